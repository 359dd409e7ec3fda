"""What happens to one request: rate limit, fault, token, role, body, answer, log.

In: requests of aiohttp. Out: responses, or connections that are gone. A fault of the moment "before" answers instead
of the account; one of the moment "after" lets the account act and spoils the answer.

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

GONE_CHECK_SECONDS = 0.2  # how often a stalled answer looks whether its client is still there


@dataclass(slots=True, kw_only=True)
class _RequestInProgress:
    """One request on its way through."""

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
        """What goes wrong now."""
        return self._schedule.faults

    def set_faults(self, faults: Faults) -> None:
        """Let other things go wrong from now on; requests and attempts are counted anew."""
        self._window = RateWindow(limit=faults.rate_limit, seconds=faults.rate_window)
        self._schedule = Schedule(faults)
        self._show = shown_by(faults.shows)

    def end_stalls(self) -> None:
        """Let stalled and slow answers end now, because the server stops."""
        self._stopping.set()

    def commit_late(self) -> int:
        """Carry out every late commit now and return how many there were."""
        return self._late.commit()

    def drop_late(self) -> None:
        """Forget every late commit."""
        self._late.drop()

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """ApiResponse one request; `path` is below the base path."""
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
        if exchange.rule and exchange.rule.kind.moment == "before":
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
        """Let the account carry the call out."""
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
            return self._account.get(call.number, exchange.request.query, hide=hide, show=self._show)
        if call.operation == "delete":
            return self._account.delete(call.number)
        if isinstance(content, ApiResponse):
            return content
        if call.operation == "patch":
            return self._account.patch(call.kind, call.number, content)
        draft = self._account.draft(call.kind, content)
        if isinstance(draft, ApiResponse):
            return draft
        lag = rule.wait if rule and rule.fault == "lag" else 0.0
        hidden = max(lag, self.faults.visible_after)
        created = self._account.create(draft, hidden=hidden)
        if rule and rule.fault == "create-twice":
            # The first is done, whatever becomes of the second: the plan may be full now, or the name taken.
            self._state.commit()
            self._note(replace(exchange, operation="lost-create"), 0, created)
            again = self._account.draft(call.kind, content)
            return self._account.create(again, hidden=hidden) if isinstance(again, Draft) else again
        return created

    async def _strike_before(
        self, exchange: _RequestInProgress, rule: Rule, call: Call, content: dict[str, object] | ApiResponse
    ) -> web.StreamResponse:
        """ApiResponse instead of the account."""
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
        return self._answer(exchange, _trouble(exchange, rule))

    async def _strike_after(
        self, exchange: _RequestInProgress, rule: Rule, answer: ApiResponse | MonitorList
    ) -> web.StreamResponse:
        """Spoil the answer of the account."""
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
                return wire.plain(_trouble(exchange, rule))
            case "page-after":
                self._note(exchange, rule.answer, done)
                return wire.page(rule.answer)
            case "cut":
                self._note(exchange, 200, done)
                return await wire.cut(request, text)
            case "slow":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), rule.wait)
        # A refusal is not a success that could be misread, so it stays what it is.
        succeeded = done is None or done.status < 300
        if fault == "garbled" and succeeded:
            self._note(exchange, rule.answer, done)
            return wire.garbled(text, rule.answer)
        if fault == "gzip-bomb" and succeeded:
            self._note(exchange, rule.answer, done)
            return await endless_answers.compressed_bomb(request, rule.answer, self._stopping)
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
        """Say nothing until the client goes or the server stops."""
        self._note(exchange, 0, done)
        request = exchange.request
        while request.transport is not None and not request.transport.is_closing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), GONE_CHECK_SECONDS)
                break
        return wire.break_connection(request, reset=False)

    def _promise(
        self, exchange: _RequestInProgress, rule: Rule, call: Call, content: dict[str, object] | ApiResponse
    ) -> ApiResponse:
        """ApiResponse like a gateway that gave up, and create the monitor later; what is refused is refused now."""
        if refused := self._account.admit(_token(exchange.request), call.operation):
            return refused
        draft = content if isinstance(content, ApiResponse) else self._account.draft(call.kind, content)
        if isinstance(draft, ApiResponse):
            return draft

        assert not isinstance(content, ApiResponse)  # or there would be no draft
        self._late.put(rule.wait, partial(self._create_late, exchange, call.kind, content))
        return _trouble(exchange, rule)

    def _create_late(self, exchange: _RequestInProgress, kind: str, body: Mapping[str, object]) -> None:
        # Checked again: the plan may have become full, or the name taken, in the meantime.
        done = self._account.draft(kind, body)
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


def _trouble(exchange: _RequestInProgress, rule: Rule) -> ApiResponse:
    """The words of a fault that has the documented shape of errors."""
    match rule.fault:
        case "error-auth-before" | "error-auth-after":
            return refusal(rule.answer, AUTH_TEXT)
        case "echo-refusal":
            return refusal(rule.answer, f"sandbox: The name {exchange.name} is not allowed.")
        case "surrogate":
            return refusal(rule.answer, "sandbox: The name is not allowed: \ud83d.")  # sent as this escape
    return refusal(rule.answer, f"sandbox: The fault {rule.fault} was asked for.")


def _subject(call: Call, content: dict[str, object] | ApiResponse, exchange: _RequestInProgress) -> Subject:
    """What chance depends on; the name and host of a create are noted for the log on the way."""
    if call.operation != "create":
        return Subject(operation=call.operation, key=str(call.number))
    if not isinstance(content, ApiResponse):
        exchange.name = str(content.get("name", ""))
        exchange.host = str(content.get("hostname") or content.get("smtp_hostname") or "")
    return Subject(operation="create", key=f"{call.kind}\n{exchange.name}\n{exchange.host}", name=exchange.name)
