"""Show the progress of a run on a terminal: a bar, why requests pause, and what is waited for.

In: what the engine tells its observer, and the counters of its session. Out: a bar on stderr if that is a terminal;
otherwise nothing. A thread reads the counters, so that the engine does nothing for it.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bulkload.cli.output import print_note
from bulkload.cli.streams import CursorStream, DurableStream
from bulkload.stages.observer import Observer, PauseReason, Phase, SessionStatus

if TYPE_CHECKING:
    from bulkload.errors import Interrupted
    from bulkload.settings import Options

WIDEST_BAR = 100  # columns
ROWS_OF_BAR = 2  # explicit: on a terminal of unknown height tqdm would hide the bar
INTERVAL = 0.5  # seconds between two looks at the session
MIN_PAUSE = 1.0  # seconds; a shorter pause is not worth showing


class Progress(Observer):
    """Watches a run, or another command that sends requests. Use as a context manager."""

    def __init__(self, options: Options) -> None:
        is_text = not (options.quiet or options.json_ or options.log_format == "json")
        self._is_shown = is_text and sys.stderr.isatty()
        self._bar: Any = None
        self._session: Callable[[], SessionStatus] | None = None
        self._phase: Phase | None = None
        self._wait_ends: float | None = None  # monotonic
        self._is_waiting = False
        self._is_ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()
        self._session = None

    def _close(self) -> None:
        """End the bar; messages that follow begin on a line of their own."""
        self._is_ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._bar is not None:
            self._bar.set_postfix_str("", refresh=False)
            self._bar.close()
            self._bar = None

    # ── called by the engine ──────────────────────────────────────────────────────────────────────────────

    def on_start(self, rows: int) -> Callable[[int], None]:
        """Show a bar for this many rows or monitors; the result is called with how many more are done.

        For several files it is called for each: the last bar has ended then.
        """
        self._close()
        if not rows or not self._is_shown:
            return lambda done: None
        from tqdm import tqdm

        columns = min(shutil.get_terminal_size().columns, WIDEST_BAR)
        stream = CursorStream(sys.stderr) if isinstance(sys.stderr, DurableStream) else sys.stderr
        what = "Deleting" if self._phase is Phase.DELETING else "Sending"
        self._bar = tqdm(total=rows, unit="row", desc=what, file=stream, ncols=columns, nrows=ROWS_OF_BAR)
        self._is_ended.clear()
        self._is_waiting = False
        self._thread = threading.Thread(target=self._watch, args=(self._bar,), name="progress", daemon=True)
        self._thread.start()

        def on_progress(done: int) -> None:
            if self._bar is not None:
                self._bar.update(done)

        return on_progress

    def on_phase(self, phase: Phase) -> None:
        """End the bar when everything is sent."""
        self._phase = phase
        if phase is Phase.CREATING:
            self._is_waiting = False
        elif phase is Phase.WRITING:
            self._close()
            self._session = None

    def on_session(self, status: Callable[[], SessionStatus], stop: Callable[[Interrupted], None]) -> None:
        """Show the pauses of this session; without a terminal, nothing keeps it after its end."""
        if self._is_shown:
            self._session = status

    def on_doubt(self, rows: int, seconds: float | None) -> None:
        """Say what is waited for."""
        if not self._is_shown:
            return
        limit = "" if seconds is None else f" up to {seconds:.0f} s"
        what = "1 row was" if rows == 1 else f"{rows:,} rows were"
        if self._bar is not None:
            self._bar.clear()
        print_note(f"Waiting{limit} to see whether {what} created. Ctrl-C is safe: another run finds out.", wrap=True)
        self._wait_ends = None if seconds is None else time.monotonic() + seconds
        self._is_waiting = True

    # ── in the thread ─────────────────────────────────────────────────────────────────────────────────────

    def _watch(self, bar: Any) -> None:
        shown = ""
        while not self._is_ended.wait(INTERVAL):
            text = self._state()
            if text != shown:
                bar.set_postfix_str(text)
                shown = text

    def _state(self) -> str:
        """What happens now, besides sending, in a few words."""
        status = self._session() if self._session is not None else None
        texts = []
        if status is not None and status.is_stopping:
            return "stopping; Ctrl-C again ends at once"
        if status is not None and status.pause >= MIN_PAUSE:
            reason = " (429)" if status.pause_reason is not PauseReason.NONE else ""
            texts.append(f"pause of {status.pause:.0f} s{reason}")
        elif status is not None and status.pause_reason is PauseReason.LOWERED:
            texts.append("slower (429)")
        if self._is_waiting:
            left = 0 if self._wait_ends is None else round(self._wait_ends - time.monotonic())
            texts.append(f"waiting {left} s" if left > 0 else "waiting")
        if status is not None and status.retried:
            texts.append("1 retry" if status.retried == 1 else f"{status.retried:,} retries")
        return ", ".join(texts)
