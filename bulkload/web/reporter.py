"""Report the progress of a job from a thread of its own, so that the engine does nothing for it.

In: what the engine tells its observer, the session's counters, and the rows in the store. Out: `progress` events, at
most every `INTERVAL` and only if something has changed. Counting the rows of a large run takes long, so it is done so
seldom that it takes at most `MAX_SHARE` of the time.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from bulkload.errors import BulkloadError, Interrupted
from bulkload.model import State, Status, status_counts_of
from bulkload.settings import Options
from bulkload.stages.observer import Observer, PauseReason, Phase, SessionStatus
from bulkload.store.runs import Run, Store
from bulkload.web.messages import MAX_TEXT, Progress, RowError, event_of

INTERVAL = 0.5  # seconds
MAX_SHARE = 0.05  # of the time may be spent on reading the store
RATE_SECONDS = 10.0  # over which the rate is measured
MIN_PAUSE = 0.5  # seconds; a shorter pause is not worth showing
LAST_ERRORS = 5
_TROUBLE = (Status.REJECTED, Status.FAILED, Status.UNKNOWN, State.DOUBT)

log = logging.getLogger(__name__)


class Reporter(Observer):
    """Watches one job. Use as a context manager; its end stops the reports."""

    def __init__(self, send: Callable[[dict[str, Any]], None], options: Options, first: int | None) -> None:
        self._send = send
        self._options = options
        self._first = first
        self._run: Run | None = None
        self._phase = ""
        self._session: Callable[[], SessionStatus] | None = None
        self._total = self._done = 0
        self._is_ended = threading.Event()
        self._thread = threading.Thread(target=self._report, name="progress", daemon=True)
        self._rows = _RowCounts(options)
        self._speed = _Speed()

    def __enter__(self) -> Reporter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ended.set()
        self._thread.join()

    # ── called by the engine ──────────────────────────────────────────────────────────────────────────────

    def on_run(self, run: Run) -> None:
        """Count the rows of this run."""
        self._run = run

    def on_phase(self, phase: Phase) -> None:
        """Report this phase."""
        self._phase = phase

    def on_session(self, status: Callable[[], SessionStatus], stop: Callable[[Interrupted], None]) -> None:
        """Report this session."""
        self._session = status

    def on_start(self, total: int) -> Callable[[int], None]:
        """Report how many of this many rows or monitors are done."""
        self._total = total if self._first is None else min(total, self._first)
        return self._on_progress

    def _on_progress(self, rows: int) -> None:
        self._done += rows

    # ── in the thread ─────────────────────────────────────────────────────────────────────────────────────

    def _report(self) -> None:
        last = Progress()
        try:
            is_ended = False
            while not is_ended:
                is_ended = self._is_ended.wait(INTERVAL)  # the last report shows the end
                now = self._progress(fresh=is_ended)
                if now != last:
                    self._send(event_of("progress", now))
                    last = now
        except Exception:  # the job goes on without its progress
            log.warning("the progress can no longer be shown", exc_info=True)
        finally:
            self._rows.close()

    def _progress(self, *, fresh: bool) -> Progress:
        run, done = self._run, self._done
        if run is not None and (run.command == "run" or not fresh):  # the rows of a plan are gone at its end
            self._rows.refresh(run, at_once=fresh)
        progress = Progress(
            run="" if run is None or run.command != "run" else run.id,
            phase=self._phase,
            done=done,
            total=max(self._total, done),
            counts=self._rows.counts,
            in_doubt=self._rows.in_doubt,
            doubt_until=self._rows.doubt_until,
            last_errors=self._rows.last_errors,
        )
        return progress if self._session is None else self._with_session(progress, self._session())

    def _with_session(self, progress: Progress, status: SessionStatus) -> Progress:
        phase = progress.phase
        if phase == Phase.LISTING and not status.is_logged_in:
            phase = Phase.LOGGING_IN
        is_paused = status.pause >= MIN_PAUSE
        self._speed.add(status.requests, is_paused=is_paused)
        seconds_left = None
        if phase in (Phase.CREATING, Phase.DELETING) and self._speed.usual:
            allowed = self._speed.usual if status.rate is None else min(self._speed.usual, status.rate)
            per_row = 2 if phase == Phase.DELETING else 1  # a monitor is read before it is deleted
            seconds_left = round(status.pause + (progress.total - progress.done) * per_row / allowed)
        return dataclasses.replace(
            progress,
            phase=str(phase),
            rate=0.0 if is_paused else round(self._speed.lately, 1),
            seconds_left=seconds_left,
            paused_until=round(time.time() + status.pause) if is_paused else None,
            pause_reason=str(status.pause_reason) if is_paused or status.pause_reason is PauseReason.LOWERED else "",
            stopping=status.is_stopping,
        )


class _Speed:
    """The requests a second, measured while there is no pause."""

    def __init__(self) -> None:
        self.lately = 0.0
        self.usual = 0.0  # before the pause, if there is one; 0: not known yet
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, requests: int, *, is_paused: bool) -> None:
        now = time.monotonic()
        if is_paused:
            self._samples.clear()
            return
        self._samples.append((now, requests))
        while now - self._samples[0][0] > RATE_SECONDS:
            self._samples.popleft()
        began, before = self._samples[0]
        if now - began >= INTERVAL:
            self.lately = (requests - before) / (now - began)
            self.usual = self.lately or self.usual


class _RowCounts:
    """The rows of a run, as they were when the store was last read, by a connection of its own."""

    def __init__(self, options: Options) -> None:
        self.counts: dict[str, int] = {}
        self.in_doubt = 0
        self.doubt_until: float | None = None
        self.last_errors: tuple[RowError, ...] = ()
        self._options = options
        self._store: Store | None = None
        self._trouble: dict[str, int] = {}
        self._next = 0.0  # monotonic time of the next reading

    def refresh(self, run: Run, *, at_once: bool) -> None:
        """Read the store again, unless that would be too soon."""
        began = time.monotonic()
        if began < self._next and not at_once:
            return
        try:
            self._store = self._store or Store(self._options.output, must_exist=True)
            self._read(self._store, run)
        except BulkloadError as error:  # the job itself says what is wrong with its store
            log.debug("the progress cannot be read: %s", error)
        now = time.monotonic()
        self._next = now + (now - began) * (1 / MAX_SHARE - 1)

    def close(self) -> None:
        """Close the connection."""
        if self._store is not None:
            self._store.db.close()

    def _read(self, store: Store, run: Run) -> None:
        states = store.state_counts(run)
        self.counts = {str(status): n for status, n in status_counts_of(states, is_active=True).items()}
        self.in_doubt = states.get(State.DOUBT, 0)
        self.doubt_until = None
        if self.in_doubt and (wall := store.last_doubt(run)) is not None:
            self.doubt_until = round(wall + self._options.settle_after)
        trouble = {str(state): states.get(state, 0) for state in _TROUBLE}
        if trouble != self._trouble:
            self._trouble = trouble
            self.last_errors = tuple(
                RowError(row=row, message=message[:MAX_TEXT]) for row, message in store.last_errors(run, LAST_ERRORS)
            )
