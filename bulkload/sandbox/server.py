"""Run the sandbox server: in the caller's event loop, in a thread, or until a signal.

In: options, faults, a state file. Out: a base URL that responds like AlertSite's.

    async with Sandbox() as sandbox: …        in the caller's event loop
    with running() as sandbox: …              in its own thread, for tests of whole processes
    serve(port=8080, on_ready=print)          until SIGINT or SIGTERM
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from aiohttp import web

from bulkload.sandbox.account import SandboxAccount
from bulkload.sandbox.account_options import SandboxError, SandboxOptions
from bulkload.sandbox.control import control
from bulkload.sandbox.faults import Faults
from bulkload.sandbox.monitor_bodies import MODELS
from bulkload.sandbox.request_log import LogEntry, RequestLog
from bulkload.sandbox.service import Service
from bulkload.sandbox.state import SandboxState

T = TypeVar("T")

BASE_PATH = "/api/v3"
SHUTDOWN_SECONDS = 0.5  # for responses in progress when the server stops
BACKLOG = 1024  # connections that may wait to be accepted

USUAL = SandboxOptions()
NO_FAULTS = Faults()


class Sandbox:
    """The sandbox server. Methods that only read may be called from any thread while it runs."""

    def __init__(
        self,
        options: SandboxOptions = USUAL,
        faults: Faults = NO_FAULTS,
        state: Path | None = None,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.base_url = ""  # known once started
        self._faults = faults
        self._path = state
        self._host = host
        self._port = port
        self._clock = clock

    async def start(self) -> str:
        """Open the state and listen; returns the base URL. Raises `SandboxError`."""
        try:
            self._journal = RequestLog(size=self.options.log_size, file=self.options.log_file)
        except OSError as error:
            raise SandboxError(f"The log file {self.options.log_file} cannot be written: {error.strerror}.") from error
        try:
            self._state = SandboxState(self._path, first_id=self.options.first_id)
        except BaseException:
            self._journal.close()
            raise
        self._account = SandboxAccount(self.options, self._state, self._clock)
        self._service = Service(account=self._account, state=self._state, journal=self._journal, faults=self._faults)
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, backlog=BACKLOG).start()
        except OSError as error:
            await self.stop()
            raise SandboxError(f"Port {self._port} of {self._host} cannot be used: {error.strerror}.") from error
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}{BASE_PATH}"
        return self.base_url

    async def stop(self) -> None:
        """Stop listening, end stalled responses, commit or drop late commits as the options say, close the state."""
        self._service.end_stalls()
        await self._runner.cleanup()
        if self.options.late_on_stop == "commit":
            self._service.commit_late()
        self._service.drop_late()
        self._state.close()
        self._journal.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def control_url(self) -> str:
        """The base URL of the control endpoints."""
        return self.base_url.removesuffix(BASE_PATH) + "/control"

    @property
    def faults(self) -> Faults:
        """The current faults."""
        return self._faults

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults; the counts of requests and attempts restart."""
        self._faults = faults
        if self.base_url:  # before the start there is no service; `start` passes it the faults
            self._service.set_faults(faults)

    def requests(self) -> list[LogEntry]:
        """The request log."""
        return self._journal.entries()

    def forget_requests(self) -> None:
        """Empty the request log and its counters."""
        self._journal.clear()

    def counts(self) -> dict[str, int]:
        """The number of requests of each operation, of monitors `created`, and of requests `throttled`."""
        return self._journal.counts()

    def monitors(self) -> list[dict[str, object]]:
        """Every monitor of the account, visible or not, in order of creation."""
        batches = self._state.batches(tuple(MODELS), float("inf"), limit=sys.maxsize)
        return [stored.fields() for batch in batches for stored in batch]

    def expire_tokens(self, status: Literal[400, 401] = 401) -> None:
        """Expire all tokens now; `status` is the response to requests with them."""
        self._account.expire(status=status)

    def commit_late(self) -> int:
        """Carry out all late commits now; returns their number. Only for the server's own thread."""
        return self._service.commit_late()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/control/"):
            return await control(self, request)
        if request.path.startswith(BASE_PATH + "/"):
            return await self._service.handle(request, request.path.removeprefix(BASE_PATH))
        return web.Response(status=404, text="Not found.\n")


@contextmanager
def running(
    options: SandboxOptions = USUAL,
    faults: Faults = NO_FAULTS,
    state: Path | None = None,
    port: int = 0,
) -> Iterator[Sandbox]:
    """Run the sandbox in its own thread for the duration of the block."""
    with in_thread(Sandbox(options, faults, state, port), "sandbox") as sandbox:
        yield sandbox


@contextmanager
def in_thread(server: AbstractAsyncContextManager[T], name: str, timeout: float | None = None) -> Iterator[T]:
    """Keep a server entered, in the event loop of a thread of its own, for the duration of the block.

    `timeout` limits the start and the end, in seconds each. An error of the server's start is raised here.
    """
    ready: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        stop = asyncio.Event()
        async with server as value:
            ready.set_result((value, asyncio.get_running_loop(), stop))
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)  # for the thread that waits below

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    value, loop, stop = ready.result(timeout)
    try:
        yield value
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout)


def serve(
    options: SandboxOptions = USUAL,
    faults: Faults = NO_FAULTS,
    state: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], object] = lambda base_url: None,
) -> None:
    """Run the sandbox until SIGINT or SIGTERM, in the main thread; `on_ready` is called with the base URL."""

    async def live() -> None:
        async with _until_signal() as stop, Sandbox(options, faults, state, port, host=host) as sandbox:
            on_ready(sandbox.base_url)
            await stop.wait()

    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(live())


@asynccontextmanager
async def _until_signal() -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
