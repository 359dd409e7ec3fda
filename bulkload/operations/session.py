"""One session with the account: log in, plan, send, and stop when asked.

In: a run whose rows are in the store. Out: its rows moved as far as possible, why it stopped early, the time and the
requests it took. The first Ctrl-C or SIGTERM asks the work to stop, so that requests in flight finish; the second ends
it at once, and still loses nothing, because everything that matters is in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.errors import BulkloadError, ExitCode, Interrupted
from bulkload.model import State
from bulkload.monitors.header import columns_of
from bulkload.settings import Account, Options
from bulkload.stages.execute import Execution, Limits
from bulkload.stages.listing import Listing
from bulkload.stages.matching import Terms
from bulkload.stages.plan import plan
from bulkload.stages.settle import Patience
from bulkload.stages.verify import Verified, verify
from bulkload.store.rows import Ledger
from bulkload.store.runs import Run, Store

T = TypeVar("T")
SANDBOX_STATE = "sandbox.sqlite3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How one session ended."""

    stopped: BulkloadError | None = None
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)
    verified: Verified | None = None  # None: not asked for, or the session ended before


class Stop:
    """A wish to stop: work is told of it, or looks for it. A second wish cancels the work."""

    def __init__(self) -> None:
        self.wish: Interrupted | None = None
        self.tell: Callable[[Interrupted], None] = lambda wish: None
        self.cancel: Callable[[], object] = lambda: None
        self.loop: asyncio.AbstractEventLoop | None = None  # that the work runs in

    def ask(self, wish: Interrupted) -> None:
        """Wish for a stop."""
        if self.wish is not None:
            self.cancel()
            return
        self.wish = wish
        self.tell(wish)

    def on_signal(self, wish: Interrupted) -> None:
        """Wish for a stop from a signal handler, which may strike in the middle of anything."""
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.ask, wish)
        else:
            self.wish = self.wish or wish


def plan_run(store: Store, run: Run, number: int, account: Account, options: Options) -> Session:
    """Settle what needs no request; only a login and GETs are sent."""
    ledger = Ledger(store, run, number)

    async def work(api: Api, stop: Stop) -> None:
        await unless_stopped(plan(ledger, api, terms_of(options), patience_of(options)), stop)

    return hold(account, options, work)


def carry_out(
    store: Store,
    run: Run,
    number: int,
    account: Account,
    options: Options,
    *,
    limits: Limits,
    bad_rows: int,
    on_start: Callable[[int], Callable[[int], None]],
    on_listing: Callable[[Listing], None],
) -> Session:
    """Plan a run, send what is pending and settle what is in doubt; `on_listing` sees the list of the plan."""
    ledger = Ledger(store, run, number)

    async def work(api: Api, stop: Stop) -> None:
        terms, patience = terms_of(options), patience_of(options)
        on_listing(await unless_stopped(plan(ledger, api, terms, patience), stop))
        on_progress = on_start(ledger.count(State.PENDING))
        execution = Execution(ledger, api, terms, patience, limits, bad_rows=bad_rows, on_progress=on_progress)
        stop.tell = execution.stop
        await execution.run()
        if options.verify:
            columns = columns_of(run.header, options.map)
            verified.append(await unless_stopped(verify(ledger, api, terms, patience, columns), stop))

    verified: list[Verified] = []
    session = hold(account, options, work)
    return replace(session, verified=verified[0]) if verified else session


def hold(account: Account, options: Options, work: Callable[[Api, Stop], Coroutine[None, None, None]]) -> Session:
    """Do some work against the account; what stops it is in the session, not raised."""
    began = time.monotonic()
    pace = Pace(options.rate or None)
    counts: dict[str, int] = {}
    stop = Stop()

    async def main() -> None:
        stop.loop = asyncio.get_running_loop()
        try:
            async with _connected(account, options, pace) as api:
                if stop.wish is not None:
                    raise stop.wish
                task = asyncio.create_task(work(api, stop))
                stop.cancel = task.cancel
                try:
                    await task
                except asyncio.CancelledError:
                    raise stop.wish or Interrupted(ExitCode.INTERRUPTED) from None
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
    stopped = stopped or stop.wish  # a wish that came when the work was done is for what would come next
    return Session(stopped=stopped, seconds=time.monotonic() - began, requests=counts)


async def unless_stopped(work: Coroutine[None, None, T], stop: Stop) -> T:
    """Wait for work in which nothing is in flight that matters; a wish to stop ends it at once."""
    task = asyncio.create_task(work)

    def cancel(_: Interrupted) -> None:
        task.cancel()

    stop.tell = cancel
    try:
        found = await task
    except asyncio.CancelledError:
        if stop.wish is not None:
            raise stop.wish from None
        raise
    if stop.wish is not None:
        raise stop.wish
    return found


def terms_of(options: Options) -> Terms:
    """What the user wants done about monitors that are there."""
    return Terms(
        on_existing=options.on_existing,
        trust_list=options.trust_list,
        create_lookalikes=options.create_lookalikes,
    )


def patience_of(options: Options) -> Patience:
    """How long a doubtful answer may take to show."""
    return Patience(grace=options.settle_grace, after=options.settle_after, timeout=options.settle_timeout)


@contextlib.asynccontextmanager
async def _connected(account: Account, options: Options, pace: Pace) -> AsyncIterator[Api]:
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
def _signals(stop: Stop) -> Iterator[None]:
    """Have signals wish for a stop. None may raise while the event loop lives, since it would raise inside of it.

    Only the main thread gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(number: int, _: object) -> None:
        stop.on_signal(Interrupted(ExitCode.after(number)))

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is available; it is about a quarter faster."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
