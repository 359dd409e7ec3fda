"""Do the work of one call in a thread of its own, which has an event loop of its own when it needs one.

In: work, and the `Watch` that it reports to. Out: what it returns or raises. So a call works the same in a program
without a loop and in one whose loop is running (Jupyter), and the thread handles no signal: an interrupted caller asks
the run to stop, and waits until what is in flight is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from bulkload.errors import ExitCode, Interrupted
from bulkload.python.options import in_python_terms
from bulkload.stages.observer import Observer, SessionStatus
from bulkload.store.runs import Run

T = TypeVar("T")
TICK = 0.1  # seconds between two looks at the progress
PATIENCE = 3  # requests to stop, after which the caller no longer waits


class Watch(Observer):
    """What the calling thread knows about the work, and how it asks it to stop; may be used from any thread."""

    def __init__(self) -> None:
        self.done = 0  # rows that became final
        self.total: int | None = None  # rows to send; None: not known yet
        self.run_id = ""
        self._stops = 0  # how often a stop was requested
        self._stop_session: Callable[[Interrupted], None] | None = None
        self._lock = threading.Lock()

    def request_stop(self) -> int:
        """Ask the work to stop; returns how often that was asked."""
        with self._lock:
            self._stops += 1
            if self._stop_session is not None:
                self._stop_session(Interrupted(ExitCode.INTERRUPTED))
            return self._stops

    def check(self) -> None:
        """Raise `Interrupted` if a stop was requested; for work that needs no session."""
        if self._stops:
            raise Interrupted(ExitCode.INTERRUPTED)

    # ── called by the engine ──────────────────────────────────────────────────────────────────────────────

    def on_run(self, run: Run) -> None:
        """Note the run's ID."""
        self.run_id = run.id

    def on_session(self, status: Callable[[], SessionStatus], stop: Callable[[Interrupted], None]) -> None:
        """Stop this session when a stop is requested, or now if it was before."""
        with self._lock:
            self._stop_session = stop
            for _ in range(self._stops):
                stop(Interrupted(ExitCode.INTERRUPTED))

    def on_start(self, total: int) -> Callable[[int], None]:
        """Count the rows that become final."""
        self.total = total

        def on_progress(done: int) -> None:
            self.done += done

        return on_progress


OnTick = Callable[[Watch], None]


class Background(Generic[T]):
    """Work for a thread of its own, and how its caller waits for it."""

    def __init__(self, work: Callable[[], T], watch: Watch, *, continues: str = "") -> None:
        self.watch = watch
        self._work = work
        self._continues = continues  # the call that continues what was interrupted; {0}: the run's ID
        self._interruption: BaseException | None = None  # what the caller was interrupted by
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._ended = threading.Event()  # not `is_alive`, which an interrupted `join` makes false (Python 3.11)
        self._on_end: Callable[[], None] = lambda: None
        context = contextvars.copy_context()  # of the caller, who may tell log lines apart by it
        # a daemon, or a caller that gave up waiting could not end its process
        self._thread = threading.Thread(target=context.run, args=(self._do,), name="bulkload", daemon=True)

    def _do(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()
            self._on_end()

    def wait(self, on_tick: OnTick) -> T:
        """Wait for the result; `on_tick` is called in this thread now and then.

        What interrupts the caller, Ctrl-C or an error of `on_tick`, is raised when the work has come to an orderly end;
        a further one ends the work sooner.
        """
        self._thread.start()
        is_ended = False
        while not is_ended:
            try:
                is_ended = self._ended.wait(TICK)
                self._tick(on_tick)  # also at the end
            except BaseException as error:
                if not self._is_patient(error):
                    break
        return self._outcome()

    async def wait_async(self, on_tick: OnTick) -> T:
        """Wait for the result without blocking the running loop; see `wait`. A cancelled task counts as Ctrl-C."""
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def end() -> None:
            if not ended.done():
                ended.set_result(None)

        def tell_loop() -> None:
            with contextlib.suppress(RuntimeError):  # the caller has given up, and its loop is closed
                loop.call_soon_threadsafe(end)

        self._on_end = tell_loop
        self._thread.start()
        is_ended = False
        while not is_ended:
            try:
                await asyncio.wait((ended,), timeout=TICK)
                is_ended = ended.done()
                self._tick(on_tick)  # also at the end
            except BaseException as error:
                if not self._is_patient(error):
                    break
        return self._outcome()

    def _tick(self, on_tick: OnTick) -> None:
        if self._interruption is None:
            on_tick(self.watch)

    def _is_patient(self, interruption: BaseException) -> bool:
        """Ask the work to stop; returns False if the caller does not want to wait any longer."""
        self._interruption = self._interruption or interruption
        return self.watch.request_stop() < PATIENCE

    def _outcome(self) -> T:
        if self._interruption is not None:
            self._explain(self._interruption)
            raise self._interruption
        self._thread.join()
        if self._error is not None:
            in_python_terms(self._error)
            raise self._error
        return self._result[0]

    def _explain(self, interruption: BaseException) -> None:
        """Add the result, if there is one, and what to do next."""
        if self._result:
            interruption.result = self._result[0]  # type: ignore[attr-defined]
        if self._continues and self.watch.run_id and self._ended.is_set():
            call = f"bulkload.{self._continues.format(self.watch.run_id)}"
            interruption.add_note(f"What was begun has come to an orderly end; {call} continues what is left.")
