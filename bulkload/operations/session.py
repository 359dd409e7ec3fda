"""Connect to the account, do some work, and stop on request.

In: work to be done with the API client. Out: why it stopped early, its duration and its requests. The first signal
(Ctrl-C, SIGTERM, or SIGHUP of a closed terminal) requests the work to stop, so that requests in flight finish; the
second cancels it. No state is lost, because all of it is in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.errors import BulkloadError, ExitCode, Interrupted, stop_signals
from bulkload.settings import Account, Options

T = TypeVar("T")
SANDBOX_STATE = "sandbox.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How one session ended."""

    stopped: BulkloadError | None = None
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)


class StopRequest:
    """Tells the work that a stop is requested, by `on_stop` and `reason`. A second request cancels the work."""

    def __init__(self) -> None:
        self.reason: Interrupted | None = None
        self.on_stop: Callable[[Interrupted], None] = lambda reason: None
        self.cancel: Callable[[], object] = lambda: None
        self.loop: asyncio.AbstractEventLoop | None = None  # that runs the work

    def stop(self, reason: Interrupted) -> None:
        """Request a stop."""
        if self.reason is not None:
            self.cancel()
            return
        self.reason = reason
        self.on_stop(reason)

    def stop_from_outside(self, reason: Interrupted) -> None:
        """Request a stop from a signal handler, which can interrupt any statement, or from another thread."""
        if (loop := self.loop) is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed, so all work is done
                loop.call_soon_threadsafe(self.stop, reason)
        else:
            self.reason = self.reason or reason


def run_session(
    account: Account, options: Options, work: Callable[[Api, StopRequest], Coroutine[None, None, None]]
) -> Session:
    """Do some work with the account; an error that stops it is returned in the session, not raised."""
    began = time.monotonic()
    pace = Pace(options.rate or None)
    counts: dict[str, int] = {}
    stop = StopRequest()

    async def main() -> None:
        stop.loop = asyncio.get_running_loop()
        try:
            async with _connect(account, options, pace) as api:
                if stop.reason is not None:
                    raise stop.reason
                task = asyncio.create_task(work(api, stop))
                stop.cancel = task.cancel
                try:
                    await task
                except asyncio.CancelledError:
                    raise stop.reason or Interrupted(ExitCode.INTERRUPTED) from None
                finally:
                    counts.update(sent=api.sent, throttled=pace.throttled, retried=api.retried)
        finally:
            stop.loop = None

    stopped: BulkloadError | None = None
    with _signals(stop):
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(main())
        except BulkloadError as error:
            stopped = error
    stopped = stopped or stop.reason  # requested after the work was done: the caller must stop
    return Session(stopped=stopped, seconds=time.monotonic() - began, requests=counts)


async def unless_stopped(work: Coroutine[None, None, T], stop: StopRequest) -> T:
    """Wait for work that can be cancelled safely; a request to stop cancels it at once."""
    task = asyncio.create_task(work)

    def cancel(_: Interrupted) -> None:
        task.cancel()

    stop.on_stop = cancel
    try:
        result = await task
    except asyncio.CancelledError:
        if stop.reason is not None:
            raise stop.reason from None
        raise
    if stop.reason is not None:
        raise stop.reason
    return result


@contextlib.asynccontextmanager
async def _connect(account: Account, options: Options, pace: Pace) -> AsyncIterator[Api]:
    async with contextlib.AsyncExitStack() as stack:
        base_url, username, password = account.base_url, account.username, account.password.get_secret_value()
        if options.sandbox:
            from bulkload.sandbox.server import Sandbox

            options.output.mkdir(parents=True, exist_ok=True)
            sandbox = await stack.enter_async_context(Sandbox(state=options.output / SANDBOX_STATE))
            base_url, username, password = sandbox.base_url, sandbox.options.user, sandbox.options.password
        yield await stack.enter_async_context(
            Api(
                base_url,
                pace,
                username=username,
                password=password,
                token="" if options.sandbox else account.token.get_secret_value(),
                concurrency=options.concurrency,
                request_timeout=options.request_timeout,
            )
        )


@contextlib.contextmanager
def _signals(stop: StopRequest) -> Iterator[None]:
    """Turn signals into requests to stop; an exception from a handler would be raised inside the event loop.

    Only the main thread receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(signal_number: int, _: object) -> None:
        stop.stop_from_outside(Interrupted(ExitCode.after(signal_number)))

    before = {number: signal.signal(number, on_signal) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop if it is available; it is about a quarter faster."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
