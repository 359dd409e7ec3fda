"""The documented API without HTTP: logins, creates, updates, reads and deletes in one account.

In: calls, parsed by `route`. Out: an `ApiResponse`, or a `MonitorList` whose monitors are read while they are sent.

Assumptions where the public documentation is silent:

* LOGIN-REFUSED-IS-400: a refused login has the status 400, like the code in its published body.
* FIXED-LIFETIME: a token expires a fixed time after its issue, also if it is used; a user may have any number of
  tokens, and they are lost when the server stops.
* SAME-LIST: 401, 403, 404, 405 and 415 have the same list of errors as 400, with their own code.
* ALL-REASONS: the list has one entry for each reason why a body is refused.
* JSON-ONLY: a body of another content type is refused with 415, a body that is not a JSON object with 400.
* ROLE-FIRST: 403 comes before 404 and before errors of the body.
* ANY-ROLE-READS: every role may list and get.
* OTHER-TYPE-IS-404: an update under the path of another type is a 404.
* LIST-ORDER: by ID, oldest first.
* LIST-LIMITS: limit and offset apply, a limit above `page_size` is reduced to it, and an invalid one is a 400.
* COUNT-IS-THE-PAGE: `resultset.count` is the number of monitors on the page (`count_is_total`: of all).
* OFFSET-IS-A-STRING: `resultset.offset` is a string, as on the blackouts page; `limit` is a number or null.
* UNKNOWN-TYPES-ARE-EMPTY: a type in the filter of which the account has no monitors adds nothing.
* SELECT-IN-LISTS: `select` works in lists as it does for one monitor.
* PLAN-FULL: the capacity of a plan counts its monitors, visible or not.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bulkload.sandbox.account_options import WRITERS, SandboxOptions
from bulkload.sandbox.alterations import Show
from bulkload.sandbox.faults import Operation
from bulkload.sandbox.monitor_bodies import MODELS, Refused, edited_monitor, new_monitor
from bulkload.sandbox.recipients import recipient_groups, recipients
from bulkload.sandbox.state import SandboxState, StoredMonitor

AUTH_TEXT = "invalid_request - User authentication failed."
NOT_FOUND = "Record not found"
PERMISSIONS = {"acl": 7}
OPERATIONS_OF_LISTS: Mapping[str, Operation] = {"recipients": "recipients", "notifier-groups": "groups"}

_DECODER = json.JSONDecoder(parse_constant=lambda name: _refuse_constant(name))
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)  # 18 digits fit into SQLite's integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The operation that a request calls, and on what."""

    operation: Operation
    monitor_type: str = ""  # from the path
    monitor_id: int = 0  # from the path; of a recipient or a group, too; 0: all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """A response of the API, and its effect on the account."""

    status: int
    text: str = ""  # JSON; empty for 204
    committed: bool = False
    id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A valid create that has not been carried out."""

    monitor_type: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorList:
    """A list response whose monitors are read while it is sent."""

    count: int  # monitors in `batches`
    resultset: Mapping[str, object]
    batches: Iterator[list[str]]  # JSON texts


def refusal(status: int, *reasons: str) -> ApiResponse:
    """An error response in the documented format."""
    return ApiResponse(
        status=status,
        text=json.dumps({"errors": [{"code": status, "message": reason} for reason in reasons]}),
    )


def route(method: str, path: str) -> Call | ApiResponse:
    """The call of a method and a path (relative to the base path), or the refusal of an unknown one."""
    match (method, *path.strip("/").split("/")):
        case ("POST", "access-tokens"):
            return Call(operation="login")
        case ("GET", "monitors"):
            return Call(operation="list")
        case ("POST", "monitors", monitor_type) if monitor_type in MODELS:
            return Call(operation="create", monitor_type=monitor_type)
        case ("PATCH", "monitors", monitor_type, text) if monitor_type in MODELS and _NUMBER.fullmatch(text):
            return Call(operation="patch", monitor_type=monitor_type, monitor_id=int(text))
        case ("GET" | "DELETE", "monitors", text) if _NUMBER.fullmatch(text):
            return Call(operation="get" if method == "GET" else "delete", monitor_id=int(text))
        case ("GET", "recipients" | "notifier-groups" as kind):
            return Call(operation=OPERATIONS_OF_LISTS[kind])
        case ("GET", "recipients" | "notifier-groups" as kind, text) if _NUMBER.fullmatch(text) and int(text):
            return Call(operation=OPERATIONS_OF_LISTS[kind], monitor_id=int(text))
        case (_, "access-tokens" | "monitors" | "recipients" | "notifier-groups"):
            return refusal(405, f"sandbox: {method} is not allowed here.")
        case (_, "monitors", known, *_) if known in MODELS or _NUMBER.fullmatch(known):
            return refusal(405, f"sandbox: {method} is not allowed here.")
        case (_, "recipients" | "notifier-groups", text) if _NUMBER.fullmatch(text):
            return refusal(405, f"sandbox: {method} is not allowed here.")
    return refusal(404, NOT_FOUND)


def parse_body(content_type: str, body: bytes) -> dict[str, object] | ApiResponse:
    """The JSON object in a body, or the refusal of any other body."""
    if content_type != "application/json":
        return refusal(415, f"sandbox: The content type {content_type!r} is not application/json.")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return refusal(400, "sandbox: The body is not readable as JSON.")
    if not isinstance(value, dict):
        return refusal(400, "sandbox: The body is not a JSON object.")
    return value


class SandboxAccount:
    """One account: its tokens in memory, its monitors in the state."""

    def __init__(self, options: SandboxOptions, state: SandboxState, clock: Callable[[], float]) -> None:
        self._options = options
        self._state = state
        self._clock = clock
        self._tokens: dict[str, float] = {}  # token → when it expires
        self._refused_as: dict[str, Literal[400, 401]] = {}  # tokens expired on request → status of the refusal

    def login(self, body: Mapping[str, object]) -> ApiResponse:
        """POST /access-tokens."""
        credentials = (body.get("username"), body.get("password"))
        if not all(
            isinstance(sent, str) and hmac.compare_digest(sent.encode("utf-8", "replace"), expected.encode())
            for sent, expected in zip(credentials, (self._options.user, self._options.password), strict=True)
        ):
            return refusal(400, AUTH_TEXT)
        now = self._clock()
        self._tokens = {token: end for token, end in self._tokens.items() if end > now}
        token = secrets.token_hex(16)
        self._tokens[token] = now + self._options.token_seconds
        return ApiResponse(status=200, text=json.dumps({"access_token": token}))

    def expire(self, token: str | None = None, status: Literal[400, 401] = 401) -> None:
        """Expire one token, or all; `status` is the response to requests with them from now on."""
        for expired in list(self._tokens) if token is None else [token]:
            if self._tokens.pop(expired, None) is not None:
                self._refused_as[expired] = status

    def admit(self, token: str, operation: Operation) -> ApiResponse | None:
        """None if the token and the role allow the call, else the refusal."""
        if self._tokens.get(token, 0.0) <= self._clock():
            if self._refused_as.get(token) == 400:
                return refusal(400, AUTH_TEXT)
            return refusal(401, "sandbox: The access token is missing, unknown or expired.")
        if operation in ("create", "patch", "delete") and self._options.role not in WRITERS:
            return self.wrong_role()
        return None

    def wrong_role(self) -> ApiResponse:
        """The 403 of a role that may not write."""
        return refusal(403, "sandbox: The user's role does not allow this.")

    def plan_full(self) -> ApiResponse:
        """The refusal of a create if the plan has no free monitor."""
        return refusal(self._options.plan_full_status, "sandbox: The plan has no free monitor.")

    def draft(self, monitor_type: str, body: Mapping[str, object]) -> Draft | ApiResponse:
        """POST /monitors/{type}, until just before the monitor is created."""
        fields = new_monitor(monitor_type, body, self._options)
        if isinstance(fields, Refused):
            return refusal(400, *fields.reasons)
        plan = str(fields["billing_plancode"])
        capacity = self._options.capacity.get(plan)
        if capacity is not None and not self._state.plan_has_room(plan, capacity):
            return self.plan_full()
        if self._options.unique_names and self._state.name_is_taken(monitor_type, str(fields["name"])):
            return refusal(400, "sandbox: name: another monitor of this type has this name.")
        return Draft(monitor_type=monitor_type, fields=fields)

    def create(self, draft: Draft, *, hidden: float = 0.0) -> ApiResponse:
        """Create the monitor; it becomes visible after `hidden` seconds."""
        visible_at = self._clock() + hidden if hidden else 0.0
        monitor_id = self._state.insert(draft.monitor_type, draft.fields, visible_at)
        return ApiResponse(status=200, text=f'{{"id": "{monitor_id}"}}', committed=True, id=monitor_id)

    def patch(self, monitor_type: str, monitor_id: int, body: Mapping[str, object]) -> ApiResponse:
        """PATCH /monitors/{type}/{id}."""
        stored = self._state.get(monitor_id)
        if stored is None or stored.type != monitor_type:
            return refusal(404, NOT_FOUND)
        fields = edited_monitor(monitor_type, stored.fields(), body, self._options)
        if isinstance(fields, Refused):
            return refusal(400, *fields.reasons)
        if self._options.unique_names and self._state.name_is_taken(monitor_type, str(fields["name"]), but=monitor_id):
            return refusal(400, "sandbox: name: another monitor of this type has this name.")
        self._state.replace(monitor_id, fields)
        return ApiResponse(status=200, text=f'{{"id": "{monitor_id}"}}', committed=True, id=monitor_id)

    def delete(self, monitor_id: int) -> ApiResponse:
        """DELETE /monitors/{id}."""
        if self._state.get(monitor_id) is None:
            return refusal(404, NOT_FOUND)
        self._state.delete(monitor_id)
        return ApiResponse(status=204, committed=True, id=monitor_id)

    def get(self, monitor_id: int, query: Mapping[str, str], *, hide: bool, show: Show | None = None) -> ApiResponse:
        """GET /monitors/{id}; `hide`: a monitor that is not yet in the list is not found."""
        stored = self._state.get(monitor_id)
        if stored is None or (hide and stored.visible_at > self._clock()):
            return refusal(404, NOT_FOUND)
        return ApiResponse(status=200, text=_selected(stored, query.get("select"), show))

    def list(
        self, query: Mapping[str, str], *, show: Show | None = None, gap: bool = False
    ) -> MonitorList | ApiResponse:
        """GET /monitors; `gap`: a page after the first is read as if an earlier monitor had just been deleted."""
        paging = self._paging(query)
        if isinstance(paging, ApiResponse):
            return paging
        limit, offset = paging
        types = sorted(set(query["type"].split(","))) if query.get("type") else sorted(MODELS)
        now = self._clock()
        total = self._state.count(types, now)
        skipped = 1 if gap and offset and total else 0
        total -= skipped
        count = max(0, min(total - offset, total if limit is None else limit))
        batches = self._state.batches(types, now, limit=count, offset=offset + skipped)
        select = query.get("select")
        return MonitorList(
            count=count,
            resultset={
                "count": total if self._options.count_is_total else count,
                "limit": limit,
                "offset": str(offset),
            },
            batches=([_selected(stored, select, show) for stored in batch] for batch in batches),
        )

    def alert_objects(self, call: Call, query: Mapping[str, str]) -> ApiResponse:
        """GET /recipients, /notifier-groups, and one of them by its ID."""
        objects = (recipients if call.operation == "recipients" else recipient_groups)(self._options, query)
        if call.monitor_id:
            one = [item for item in objects if item["id"] == call.monitor_id]
            return ApiResponse(status=200, text=json.dumps(one[0])) if one else refusal(404, NOT_FOUND)
        paging = self._paging(query)
        if isinstance(paging, ApiResponse):
            return paging
        limit, offset = paging
        page = objects[offset:] if limit is None else objects[offset : offset + limit]
        count = len(objects) if self._options.count_is_total else len(page)
        resultset = {"count": count, "limit": limit, "offset": str(offset)}
        content = {"metadata": {"__permissions": PERMISSIONS, "resultset": resultset}, "results": page}
        return ApiResponse(status=200, text=json.dumps(content))

    def _paging(self, query: Mapping[str, str]) -> tuple[int | None, int] | ApiResponse:
        """Limit and offset of a list; a limit of None: no limit."""
        paging: dict[str, int | None] = {"limit": None, "offset": None}
        for key in paging:
            if text := query.get(key):
                if not _NUMBER.fullmatch(text):
                    return refusal(400, f"sandbox: {key}: must be a whole number from 0.")
                paging[key] = int(text)
        limit, offset = paging["limit"], paging["offset"] or 0
        if self._options.page_size is not None:
            limit = self._options.page_size if limit is None else min(limit, self._options.page_size)
        return limit, offset


def _selected(stored: StoredMonitor, select: str | None, show: Show | None) -> str:
    if select is None and show is None:
        return stored.document  # not decoded, because whole accounts are listed this way
    fields = show(stored.fields()) if show else stored.fields()
    selected = fields if select is None else select.split(",")
    return json.dumps({key: value for key, value in fields.items() if key in selected})


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
