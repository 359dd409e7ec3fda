"""Handle one request: rate limit, fault, token, role, body, response, log.

In: requests of aiohttp. Out: responses, or closed connections. A fault of the moment "before" responds instead of the
account; one of the moment "after" lets the account act and then damages the response.

Assumption LIMITED-ARE-UNCOUNTED: a request that the rate limit refuses is not one of the requests that rules count.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from aiohttp import web

from bulkload.sandbox import endless_answers, wire
from bulkload.sandbox.account import (
    AUTH_TEXT,
    ApiResponse,
    Call,
    Draft,
    MonitorList,
    SandboxAccount,
    parse_body,
    refusal,
    route,
)
from bulkload.sandbox.alterations import shown_by
from bulkload.sandbox.faults import Faults, Rule
from bulkload.sandbox.late_calls import LateCalls
from bulkload.sandbox.rate_window import RateWindow
from bulkload.sandbox.request_log import LogEntry, RequestLog
from bulkload.sandbox.schedule import Schedule, Subject
from bulkload.sandbox.state import SandboxState

CLIENT_CHECK_SECONDS = 0.2  # between two checks whether the client of a stalled response is still connected


@dataclass(slots=True, kw_only=True)
class _RequestInProgress:
    """A request that is being handled, and what is logged about it."""

    request: web.BaseRequest
    at: float
    wall: float
    operation: str
    rule: Rule | None = None
    name: str = ""
    host: str = ""


class Service:
    """The API under its base path, with faults."""

    def __init__(self, *, account: SandboxAccount, state: SandboxState, journal: RequestLog, faults: Faults) -> None:
        self._account = account
        self._state = state
        self._journal = journal
        self._late = LateCalls()
        self._stopping = asyncio.Event()
        self.set_faults(faults)

    @property
    def faults(self) -> Faults:
        """The current faults."""
        return self._schedule.faults

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults; the counts of requests and attempts restart."""
        self._window = RateWindow(limit=faults.rate_limit, seconds=faults.rate_window)
        self._schedule = Schedule(faults)
        self._show = shown_by(faults.shows)

    def end_stalls(self) -> None:
        """End stalled and slow responses, because the server stops."""
        self._stopping.set()

    def commit_late(self) -> int:
        """Carry out all late commits now; returns their number."""
        return self._late.commit()

    def drop_late(self) -> None:
        """Discard all late commits."""
        self._late.drop()

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Respond to one request; `path` is relative to the base path."""
        call = route(request.method, path)
        exchange = _RequestInProgress(
            request=request,
            at=time.monotonic(),
            wall=time.time(),
            operation=call.operation if isinstance(call, Call) else "other",
        )
        wait = self._window.refuse(exchange.at)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return self._answer(exchange, refusal(413, "sandbox: The body is too large."))
        except (web.RequestPayloadError, ConnectionError):
            self._note(exchange, 0)
            return wire.break_connection(request, reset=False)
        if wait:
            self._note(exchange, 429, fault="rate-limit")
            return wire.throttled(self.faults, wait)
        if isinstance(call, ApiResponse):
            return self._answer(exchange, call)
        self._late.commit_due()
        content: dict[str, object] | ApiResponse = {}
        if call.operation in ("login", "create", "patch"):
            content = parse_body(request.content_type, body)
        exchange.rule = self._schedule.strike(_subject(call, content, exchange))
        if exchange.rule and exchange.rule.definition.moment == "before":
            return await self._strike_before(exchange, exchange.rule, call, content)
        try:
            answer = self._act(exchange, call, content)
            if isinstance(answer, ApiResponse) and answer.committed:
                await self._state.committed()
        except sqlite3.Error as error:
            return self._answer(exchange, refusal(500, f"sandbox: The state cannot be used: {error}."))
        if exchange.rule:
            return await self._strike_after(exchange, exchange.rule, answer)
        if isinstance(answer, MonitorList):
            self._note(exchange, 200)
            return await wire.listing(request, answer, None)
        return self._answer(exchange, answer)

    def _act(
        self, exchange: _RequestInProgress, call: Call, content: dict[str, object] | ApiResponse
    ) -> ApiResponse | MonitorList:
        """Let the account carry out the call."""
        if call.operation == "login":
            return content if isinstance(content, ApiResponse) else self._account.login(content)
        if refused := self._account.admit(_token(exchange.request), call.operation):
            return refused
        rule = exchange.rule
        if call.operation == "list":
            gap = rule is not None and rule.fault == "page-gap"
            return self._account.list(exchange.request.query, show=self._show, gap=gap)
        if call.operation == "get":
            hide = self.faults.hide_single
            return self._account.get(call.monitor_id, exchange.request.query, hide=hide, show=self._show)
        if call.operation in ("recipients", "groups"):
            return self._account.alert_objects(call, exchange.request.query)
        if call.operation == "delete":
            return self._account.delete(call.monitor_id)
        if isinstance(content, ApiResponse):
            return content
        if call.operation == "patch":
            return self._account.patch(call.monitor_type, call.monitor_id, content)
        draft = self._account.draft(call.monitor_type, content)
        if isinstance(draft, ApiResponse):
            return draft
        lag = rule.wait if rule and rule.fault == "lag" else 0.0
        hidden = max(lag, self.faults.visible_after)
        created = self._account.create(draft, hidden=hidden)
        if rule and rule.fault == "create-twice":
            # The first create is kept even if the second is refused: the plan may be full now, or the name taken
            self._state.commit()
            self._note(replace(exchange, operation="lost-create"), 0, created)
            again = self._account.draft(call.monitor_type, content)
            return self._account.create(again, hidden=hidden) if isinstance(again, Draft) else again
        return created

    async def _strike_before(
        self, exchange: _RequestInProgress, rule: Rule, call: Call, content: dict[str, object] | ApiResponse
    ) -> web.StreamResponse:
        """Respond instead of the account."""
        request = exchange.request
        match rule.fault:
            case "drop-before" | "reset-before":
                self._note(exchange, 0)
                return wire.break_connection(request, reset=rule.fault == "reset-before")
            case "stall-before":
                return await self._stall(exchange, None)
            case "endless":
                self._note(exchange, rule.answer)
                return await endless_answers.endless(request, rule.answer, self._stopping)
            case "throttle":
                self._note(exchange, rule.answer)
                return wire.throttled(self.faults, rule.wait)
            case "page-before":
                self._note(exchange, rule.answer)
                return wire.page(rule.answer)
            case "redirect":
                self._note(exchange, rule.answer)
                return wire.redirect(rule.answer)
            case "late":
                return self._answer(exchange, self._promise(exchange, rule, call, content))
            case "token-401" | "token-400":
                token = _token(request)
                self._account.expire(token, 400 if rule.fault == "token-400" else 401)
                refused = self._account.admit(token, call.operation)
                return self._answer(exchange, refused or refusal(401, "sandbox: The access token expired."))
            case "wrong-role":
                return self._answer(exchange, self._account.wrong_role())
            case "plan-full":
                return self._answer(exchange, self._account.plan_full())
            case "login-refused":
                return self._answer(exchange, self._account.login({}))
        return self._answer(exchange, _fault_response(exchange, rule))

    async def _strike_after(
        self, exchange: _RequestInProgress, rule: Rule, answer: ApiResponse | MonitorList
    ) -> web.StreamResponse:
        """Damage the response of the account."""
        request, fault = exchange.request, rule.fault
        done = answer if isinstance(answer, ApiResponse) else None
        text = done.text if done else '{"metadata": {"__permissions": {"acl": 7}, "resultset": {"count": 3,'
        match fault:
            case "drop-after" | "reset-after":
                self._note(exchange, 0, done)
                return wire.break_connection(request, reset=fault == "reset-after")
            case "stall-after":
                return await self._stall(exchange, done)
            case "error-after" | "error-auth-after" | "timeout-after":
                self._note(exchange, rule.answer, done)
                return wire.plain(_fault_response(exchange, rule))
            case "page-after":
                self._note(exchange, rule.answer, done)
                return wire.page(rule.answer)
            case "cut":
                self._note(exchange, 200, done)
                return await wire.cut(request, text)
            case "slow":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), rule.wait)
        # Only a success can be misread, so a refusal stays unchanged
        succeeded = done is None or done.status < 300
        if fault == "garbled" and succeeded:
            self._note(exchange, rule.answer, done)
            return wire.garbled(text, rule.answer)
        if fault == "gzip-bomb" and succeeded:
            self._note(exchange, rule.answer, done)
            return await endless_answers.oversized_gzip(request, rule.answer, self._stopping)
        if fault == "no-id" and succeeded:
            self._note(exchange, rule.answer, done)
            return wire.plain(ApiResponse(status=rule.answer, text="{}"))
        if isinstance(answer, ApiResponse):
            return self._answer(exchange, answer)
        self._note(exchange, 200)
        if fault == "endless-list":
            answer = endless_answers.endless_page(answer, self._show)
        return await wire.listing(request, answer, rule)

    async def _stall(self, exchange: _RequestInProgress, done: ApiResponse | None) -> web.Response:
        """Send nothing until the client disconnects or the server stops."""
        self._note(exchange, 0, done)
        request = exchange.request
        while request.transport is not None and not request.transport.is_closing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), CLIENT_CHECK_SECONDS)
                break
        return wire.break_connection(request, reset=False)

    def _promise(
        self, exchange: _RequestInProgress, rule: Rule, call: Call, content: dict[str, object] | ApiResponse
    ) -> ApiResponse:
        """Respond like a gateway that timed out, and create the monitor later; a refusal is sent at once."""
        if refused := self._account.admit(_token(exchange.request), call.operation):
            return refused
        draft = content if isinstance(content, ApiResponse) else self._account.draft(call.monitor_type, content)
        if isinstance(draft, ApiResponse):
            return draft

        assert not isinstance(content, ApiResponse)  # otherwise `draft` is one, too
        self._late.put(rule.wait, partial(self._create_late, exchange, call.monitor_type, content))
        return _fault_response(exchange, rule)

    def _create_late(self, exchange: _RequestInProgress, monitor_type: str, body: Mapping[str, object]) -> None:
        # Checked again, because the plan may be full now, or the name taken
        done = self._account.draft(monitor_type, body)
        if isinstance(done, Draft):
            done = self._account.create(done, hidden=self.faults.visible_after)
            self._state.commit()
        now = replace(exchange, at=time.monotonic(), wall=time.time(), operation="late-commit")
        self._note(now, 0, done)

    def _answer(self, exchange: _RequestInProgress, answer: ApiResponse) -> web.Response:
        self._note(exchange, answer.status, answer)
        return wire.plain(answer)

    def _note(
        self, exchange: _RequestInProgress, status: int, done: ApiResponse | None = None, *, fault: str | None = None
    ) -> None:
        self._journal.add(
            LogEntry(
                at=exchange.at,
                wall=exchange.wall,
                operation=exchange.operation,
                method=exchange.request.method,
                path=exchange.request.path,
                status=status,
                fault=fault or (exchange.rule.fault if exchange.rule else ""),
                name=exchange.name,
                host=exchange.host,
                id=done.id if done else None,
                committed=done.committed if done else False,
            )
        )


def _token(request: web.BaseRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _fault_response(exchange: _RequestInProgress, rule: Rule) -> ApiResponse:
    """The response of a fault in the documented format of errors."""
    match rule.fault:
        case "error-auth-before" | "error-auth-after":
            return refusal(rule.answer, AUTH_TEXT)
        case "echo-refusal":
            return refusal(rule.answer, f"sandbox: The name {exchange.name} is not allowed.")
        case "surrogate":
            return refusal(rule.answer, "sandbox: The name is not allowed: \ud83d.")  # sent as this escape
    return refusal(rule.answer, f"sandbox: This is the fault {rule.fault}.")


def _subject(call: Call, content: dict[str, object] | ApiResponse, exchange: _RequestInProgress) -> Subject:
    """The subject of a request, on which chance depends; also stores the name and host of a create for the log."""
    if call.operation != "create":
        return Subject(operation=call.operation, key=str(call.monitor_id))
    if not isinstance(content, ApiResponse):
        exchange.name = str(content.get("name", ""))
        exchange.host = str(content.get("hostname") or content.get("smtp_hostname") or "")
    return Subject(operation="create", key=f"{call.monitor_type}\n{exchange.name}\n{exchange.host}", name=exchange.name)
