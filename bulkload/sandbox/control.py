"""The control endpoints, outside the API's path: faults, the request log, all monitors, tokens, late commits.

    GET  /control/faults          the current faults, as JSON
    PUT  /control/faults          replace the faults; the counts of requests and attempts restart
    GET  /control/requests        the request log, oldest first; DELETE clears it
    GET  /control/counts          requests of each operation, monitors created, requests throttled
    GET  /control/monitors        every monitor, visible or not
    POST /control/expire-tokens   all tokens expire now; with ?status=400 their use gives 400 instead of 401
    POST /control/commit-late     all late commits are carried out now

They need no token and no role, and rate limit and faults do not apply to them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal, Protocol

from aiohttp import web

from bulkload.sandbox.faults import Faults
from bulkload.sandbox.request_log import LogEntry


class Controlled(Protocol):
    """The methods of the sandbox that the endpoints use."""

    @property
    def faults(self) -> Faults: ...
    def set_faults(self, faults: Faults) -> None: ...
    def requests(self) -> list[LogEntry]: ...
    def forget_requests(self) -> None: ...
    def counts(self) -> dict[str, int]: ...
    def monitors(self) -> list[dict[str, object]]: ...
    def expire_tokens(self, status: Literal[400, 401] = 401) -> None: ...
    def commit_late(self) -> int: ...


async def control(sandbox: Controlled, request: web.BaseRequest) -> web.Response:
    """Respond to one request below /control/."""
    match (request.method, request.path.removeprefix("/control/")):
        case ("GET", "faults"):
            return web.Response(text=sandbox.faults.to_json(), content_type="application/json")
        case ("PUT", "faults"):
            try:
                sandbox.set_faults(Faults.from_json(await request.read()))
            except ValueError as error:
                return web.json_response({"error": str(error)}, status=400)
            return web.Response(status=204)
        case ("GET", "requests"):
            return web.json_response([asdict(entry) for entry in sandbox.requests()])
        case ("DELETE", "requests"):
            sandbox.forget_requests()
            return web.Response(status=204)
        case ("GET", "counts"):
            return web.json_response(sandbox.counts())
        case ("GET", "monitors"):
            return web.json_response(sandbox.monitors())
        case ("POST", "expire-tokens"):
            sandbox.expire_tokens(400 if request.query.get("status") == "400" else 401)
            return web.Response(status=204)
        case ("POST", "commit-late"):
            return web.json_response({"committed": sandbox.commit_late()})
    return web.json_response({"error": "There is no such control endpoint."}, status=404)
