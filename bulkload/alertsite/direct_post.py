"""POST requests on the connections of aiohttp's pool, without its session.

In: a URL, headers and a body. Out: status, headers and body of the response, or an exception of aiohttp.

Connections, TLS and the parser of responses are aiohttp's. Its session builds two objects with many features for each
request, which takes longer than everything else that a run does for a row. A connection is kept for the next request,
because a return to the pool costs time too; `give_back` returns those that are kept. The parts used here are not
documented as an interface: where they are not as expected, nothing is sent, and the caller uses the session.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import math
import time
from collections.abc import Mapping

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from bulkload import clock
from bulkload.alertsite.bodies import RequestBody, read_body

MAX_BYTES = 16 * 2**10  # of a request body; it then fits into the buffer of a socket
KEPT_SECONDS = 10.0  # that a connection is used again without a request, as aiohttp does for 15
EXPECTED = (  # methods of aiohttp, and parameters that they must have
    (aiohttp.BaseConnector, "connect", ("req", "traces", "timeout")),
    (ResponseHandler, "set_response_params", ("read_until_eof", "auto_decompress")),
    (ResponseHandler, "read", ()),
    (ResponseHandler, "is_connected", ()),
    (ClientRequest, "__init__", ("method", "url", "headers", "loop", "session")),
    (Connection, "release", ()),
    (Connection, "close", ()),
)

log = logging.getLogger(__name__)

Kept = list[tuple[Connection, float]]  # with the monotonic time of the last response
Received = tuple[int, Mapping[str, str], bytes]  # status, headers, decompressed body


class _Request(ClientRequest):
    """What the connector needs to know, used for many requests."""

    @functools.cached_property
    def connection_key(self) -> ConnectionKey:  # aiohttp makes a new one each time
        return super().connection_key


class DirectPost:
    """Sends bodies to a few URLs again and again, over the connections of one session."""

    def __init__(self, session: aiohttp.ClientSession, timeout: float, *, uses_proxy: bool) -> None:
        """`timeout` is in seconds, for the whole request; requests through a proxy are not sent directly."""
        self._session = session
        self._timeout = timeout
        self._connect_timeout = aiohttp.ClientTimeout(connect=timeout, sock_connect=session.timeout.sock_connect)
        self._is_usable = not uses_proxy and all(_has_parameters(*expected) for expected in EXPECTED)
        self._requests: dict[tuple[str, str], tuple[ClientRequest, bytes, Kept]] = {}  # with the bytes of their heads
        self._kept: dict[ConnectionKey, Kept] = {}
        self._deadlines = _Deadlines()

    async def send(self, url: str, headers: Mapping[str, str], body: RequestBody, max_bytes: int) -> Received | None:
        """Send one request, and read a response body of at most `max_bytes`; None if nothing was sent.

        Raises `aiohttp.ClientError`, `TimeoutError`, `OSError` or `UnreadableBody`.
        """
        if not self._is_usable or len(body.content) > MAX_BYTES:
            return None
        deadline = time.monotonic() + self._timeout
        try:
            request, head, kept = self._request(url, headers)
            connection = _take(kept) or await self._connect(request)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise
        except Exception:
            log.debug("aiohttp's connections cannot be used without its session", exc_info=True)
            self._is_usable = False
            return None
        try:
            received = await self._exchange(connection, deadline, head, body, max_bytes)
        except BaseException:
            connection.close()
            raise
        if getattr(connection.protocol, "should_close", True):
            connection.release()
        else:
            kept.append((connection, time.monotonic()))
        return received

    def give_back(self) -> None:
        """Return the connections that no request uses to the pool, where the session finds them."""
        for kept in self._kept.values():
            for connection, _ in kept:
                connection.release()
            kept.clear()

    def _request(self, url: str, headers: Mapping[str, str]) -> tuple[ClientRequest, bytes, Kept]:
        """What the connector needs to know, the request up to the length of its body, and connections to its host."""
        key = url, headers["Authorization"]
        if (known := self._requests.get(key)) is not None:
            return known
        request = _Request(
            "POST",
            URL(url),
            headers={**self._session.headers, **headers},
            loop=asyncio.get_running_loop(),
            session=self._session,
        )
        fields = [f"{name}: {value}" for name, value in request.headers.items() if name != "Content-Length"]
        lines = [f"POST {request.url.raw_path_qs} HTTP/1.1", *fields]
        if any(not line.isprintable() for line in lines):
            raise ValueError("a header has a control character")
        kept = self._kept.setdefault(request.connection_key, [])
        self._requests[key] = request, "\r\n".join([*lines, "Content-Length: "]).encode(), kept
        return self._requests[key]

    async def _connect(self, request: ClientRequest) -> Connection:
        connector = self._session.connector
        assert connector is not None
        try:
            return await connector.connect(request, traces=[], timeout=self._connect_timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {request.url}") from error

    async def _exchange(
        self, connection: Connection, deadline: float, head: bytes, body: RequestBody, max_bytes: int
    ) -> Received:
        protocol = connection.protocol
        transport = protocol.transport if protocol is not None else None
        if protocol is None or transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionError("the connection was closed")
        protocol.set_response_params(read_until_eof=True, auto_decompress=False)
        transport.write(b"%b%d\r\n\r\n%b" % (head, len(body.content), body.content))
        if not transport.get_write_buffer_size():
            body.sent_at = clock.Reading.now()
        task = asyncio.current_task()
        assert task is not None
        cancelled_before = task.cancelling()
        self._deadlines.add(task, deadline)
        try:
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:  # informational
                message, content = await protocol.read()
            return message.code, message.headers, await read_body(message.headers, content, max_bytes)
        except asyncio.CancelledError as error:
            if self._deadlines.is_over(task) and task.uncancel() <= cancelled_before:
                raise TimeoutError from error
            raise
        except HttpProcessingError as error:
            raise aiohttp.ClientPayloadError(f"{error.code}, {error.message}") from error
        finally:
            self._deadlines.remove(task)


def _take(kept: Kept) -> Connection | None:
    """The connection that was used last, if it is still open."""
    while kept:
        connection, since = kept.pop()
        is_open = connection.protocol is not None and connection.protocol.is_connected()
        if is_open and time.monotonic() - since < KEPT_SECONDS:
            return connection
        connection.close()
    return None


class _Deadlines:
    """Cancels tasks that wait for a response for too long, as `asyncio.timeout` does; one timer serves all of them.

    To close their connections is not enough: after some damaged responses, aiohttp has closed the connection, but the
    task that reads the body waits forever.
    """

    def __init__(self) -> None:
        self._deadlines: dict[asyncio.Task[object], float] = {}  # on the monotonic clock
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf  # on the monotonic clock

    def add(self, task: asyncio.Task[object], deadline: float) -> None:
        """Cancel this task at a time on the monotonic clock, unless it is removed before."""
        self._deadlines[task] = deadline
        if deadline < self._timer_at:
            self._set_timer(deadline)

    def is_over(self, task: asyncio.Task[object]) -> bool:
        """True if a task was cancelled."""
        return task not in self._deadlines

    def remove(self, task: asyncio.Task[object]) -> None:
        """Do not cancel this task any more."""
        self._deadlines.pop(task, None)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(at - time.monotonic(), self._end)
        self._timer_at = at

    def _end(self) -> None:
        now = time.monotonic()
        for task in [task for task, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[task]
            task.cancel()
        self._timer, self._timer_at = None, math.inf
        if self._deadlines:
            self._set_timer(min(self._deadlines.values()))


def _has_parameters(owner: type, name: str, parameters: tuple[str, ...]) -> bool:
    try:
        known = inspect.signature(getattr(owner, name)).parameters
    except (AttributeError, TypeError, ValueError):
        return False
    return all(parameter in known for parameter in parameters)
