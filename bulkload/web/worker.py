"""The worker: a process that does one job with the account, and tells the server how it goes.

In: see `messages`; SIGINT and SIGTERM stop it in order, and so does the end of stdin, so that no run goes on that
nobody sees. Out: events on stdout, the last of them `ended`; everything else is in the store. Account and options come
on stdin only: `ps` shows arguments and environment of a process.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bulkload.errors import BulkloadError, ExitCode, Interrupted, Locked
from bulkload.files.names import MAX_NAME, shorten
from bulkload.files.printable import printable_line
from bulkload.model import Status
from bulkload.operations.drafts import draft_input
from bulkload.operations.interrupts import Interrupts
from bulkload.operations.outcome import Outcome
from bulkload.operations.pipeline import begin, begin_again, carry_out, locked_store
from bulkload.operations.results_names import results_of, results_setting
from bulkload.settings import Options
from bulkload.store.drafts import Drafts
from bulkload.store.runs import Run, Store
from bulkload.web.messages import MAX_TEXT, STOP, Ended, Kind, PlannedLine, Task, event_of
from bulkload.web.reporter import Reporter

FIRST_WAIT, WAIT_GROWTH, LONGEST_WAIT = 0.5, 1.5, 2.0  # seconds between attempts to lock the store
STOPPED = "Stopped on request."
OTHER_PROCESS = "another bulkload that uses this folder, in a terminal or from cron"
FIRST_LINES = 500  # of each result in the preview of an undo
MAX_TASK = 1 << 20  # bytes
STARTED_BY, RESUMED_BY = "started by", "resumed by"  # settings of a run in the store
_SUFFIX = "-results.xlsx"
_UNSAFE = re.compile(r'[<>:"/\\|?*]')  # in a file name, on Windows or elsewhere; results are handed on

log = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], None]


# ── the jobs ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Job:
    """One job. Its methods raise `Locked` before they do anything if another process holds the store."""

    def __init__(self, task: Task, send: Send, reporter: Reporter) -> None:
        self._task = task
        self._send = send
        self._reporter = reporter
        self._options = _options(task)

    def plan(self) -> Ended:
        """Predict what a run would do."""
        from bulkload.operations.draft_plan import plan_draft

        task, options = self._task, self._options
        with locked_store(options, "page") as store:
            outcome = plan_draft(
                store, task.draft, task.account, options, version=task.version, observer=self._reporter
            )
        return _ended(outcome, run="")

    def run(self) -> Ended:
        """Begin a run, and carry it out."""
        task, options = self._task, self._options
        with locked_store(options, "page") as store:
            rows = draft_input(store, task.draft, version=task.version)
            context = begin(store, rows, task.account, options, observer=self._reporter)
            run = context.run
            results = default_results(run, options)
            for name, setting in results_setting(results, options).items():
                store.note_setting(run, name, setting)
            self._note_user(store, run, STARTED_BY)
            Drafts(store).set_run(task.draft, run.id, task.version)
            self._send({"event": "started", "run": run.id})
            return _ended(carry_out(context, results, self._reporter.on_start))

    def resume(self) -> Ended:
        """Continue a run."""
        task, options = self._task, self._options
        with locked_store(options, "page", must_exist=True) as store:
            run = store.run(task.run)
            context = begin_again(store, run, task.account, options, observer=self._reporter)
            self._note_user(store, run, RESUMED_BY)
            self._send({"event": "started", "run": run.id})
            results = results_of(store, run, options) or default_results(run, options)
            return _ended(carry_out(context, results, self._reporter.on_start))

    def undo(self, *, dry_run: bool = False) -> Ended:
        """Delete the monitors of a run, or say which ones would be deleted."""
        from bulkload.operations.removal import PlannedRemoval, RemovalResult
        from bulkload.operations.undo import undo_run

        lines: Counter[RemovalResult] = Counter()

        def on_monitor(planned: PlannedRemoval) -> None:
            lines[planned.removal.result] += 1
            if dry_run and lines[planned.removal.result] <= FIRST_LINES:
                line = PlannedLine(
                    row=planned.row,
                    monitor_id=planned.monitor_id,
                    type=planned.type.removeprefix("email-"),
                    name=planned.name[:MAX_TEXT],
                    host=planned.host[:MAX_TEXT],
                    result=str(planned.removal.result),
                    reason=planned.removal.reason[:MAX_TEXT],
                )
                self._send(event_of("planned", line))

        task = self._task
        undone = undo_run(
            task.run,
            task.account,
            self._options,
            on_monitor,
            lambda counts: not dry_run,
            self._reporter.on_start,
            include_edited=task.include_edited,
            dry_run=dry_run,
            by=task.user,
            observer=self._reporter,
        )
        return _ended(
            undone.outcome,
            stopped=undone.session.stopped,
            removals={str(result): n for result, n in undone.counts.items()},
            in_doubt=undone.in_doubt,
        )

    def undo_preview(self) -> Ended:
        """Say what an undo would do to each monitor."""
        return self.undo(dry_run=True)

    def _note_user(self, store: Store, run: Run, name: str) -> None:
        if self._task.user:
            store.note_setting(run, name, self._task.user)


WORK: Mapping[Kind, Callable[[Job], Ended]] = {
    "plan": Job.plan,
    "run": Job.run,
    "resume": Job.resume,
    "undo_preview": Job.undo_preview,
    "undo": Job.undo,
}


def default_results(run: Run, options: Options) -> list[Path]:
    """`<output>/<stem>-<run ID>-results.xlsx`: runs of files with the same name do not replace each other's results."""
    suffix = f"-{run.id}{_SUFFIX}"
    stem = _UNSAFE.sub("_", printable_line(Path(run.input).stem)).strip(" .")
    return [options.output / f"{shorten(stem or 'upload', MAX_NAME - len(suffix))}{suffix}"]


def _options(task: Task) -> Options:
    """The options of a task; a resumed run sends all of its rows unless the task says how many."""
    return task.options.model_copy(update={"first": task.first, "results": []})


def _ended(
    outcome: Outcome,
    *,
    run: str | None = None,
    stopped: BulkloadError | None = None,
    removals: Mapping[str, int] | None = None,
    in_doubt: int = 0,
) -> Ended:
    interrupted = outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
    message = str(stopped or "") or outcome.info.stopped
    if interrupted:
        message = STOPPED
    elif removals is not None and stopped is None:
        message = ""  # what stopped the run that is undone
    return Ended(
        exit_code=outcome.exit_code,
        stopped=message[:MAX_TEXT] or None,
        run=outcome.info.run_id if run is None else run,
        counts={str(status): n for status, n in outcome.info.counts.items()},
        removals=removals or {},
        in_doubt=in_doubt or outcome.info.counts.get(Status.UNKNOWN, 0),
    )


# ── the process ────────────────────────────────────────────────────────────────────────────────────────────────────


class Events:
    """The stream of events; may be used from any thread. A server that no longer reads them is no error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._is_torn = False  # the last line is not whole
        self.run = ""  # that was started

    def send(self, event: dict[str, Any]) -> None:
        """Send an event as one line."""
        self.run = event["run"] if event["event"] == "started" else self.run
        line = json.dumps(event).encode() + b"\n"
        with self._lock:
            line = b"\n" + line if self._is_torn else line
            self._is_torn = True  # a signal may end the writing in the middle
            with contextlib.suppress(OSError):
                while line:
                    line = line[os.write(self._descriptor, line) :]
            self._is_torn = False


class LogEvents(logging.Handler):
    """Sends the log of this process to that of the server."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record; a traceback follows its message."""
        message = self.format(record)[: 20 * MAX_TEXT]
        self._events.send(
            {"event": "log", "level": record.levelno, "logger": record.name, "message": printable_line(message)}
        )


def main() -> int:
    """Do the job on stdin; returns the exit code of the process."""
    descriptor = os.dup(1)
    os.dup2(2, 1)  # nothing else may get between the events
    events = Events(descriptor)
    gc.set_threshold(20_000, 20, 100)  # as for the command line
    interrupts = Interrupts(last=True)
    try:
        with interrupts:
            ended = _do(events)
    except Interrupted as error:
        ended = Ended(exit_code=error.exit_code, stopped=STOPPED, run=events.run)
    except KeyboardInterrupt:
        ended = Ended(
            exit_code=interrupts.code or ExitCode.INTERRUPTED,
            stopped=STOPPED if events.run else "Stopped on request, before anything was sent.",
            run=events.run,
        )
    except BulkloadError as error:
        ended = Ended(exit_code=error.exit_code, stopped=str(error)[: 4 * MAX_TEXT], run=events.run)
    except Exception as error:
        log.debug("the traceback", exc_info=error)
        ended = Ended(
            exit_code=ExitCode.BUG,
            stopped=f"This is a bug in bulkload, not in your file ({type(error).__name__})."
            " What was done is in the history of runs.",
            run=events.run,
        )
    events.send(event_of("ended", ended))
    return int(ended.exit_code)


def _do(events: Events) -> Ended:
    lines = _lines(0)
    task = Task.decode(next(lines))
    logger = logging.getLogger("bulkload")
    logger.handlers = [LogEvents(events)]
    logger.setLevel(task.options.log_level.upper())
    logger.propagate = False
    threading.Thread(target=_obey, args=(lines,), name="stdin", daemon=True).start()
    with Reporter(events.send, task.options, task.first) as reporter:
        job = Job(task, events.send, reporter)
        wait = 0.0
        while True:
            try:
                return WORK[task.kind](job)
            except Locked:
                if not wait:
                    events.send({"event": "waiting", "why": OTHER_PROCESS})
            wait = min(max(wait * WAIT_GROWTH, FIRST_WAIT), LONGEST_WAIT)
            time.sleep(wait)


def _obey(lines: Iterator[bytes]) -> None:
    """Stop in order on request, and when the server is gone, as if on a signal.

    The second request is another signal than the first: two of the same at nearly the same time count as one.
    """
    number = signal.SIGINT
    for line in lines:
        if line == STOP:
            os.kill(os.getpid(), number)
            number = signal.SIGTERM
    os.kill(os.getpid(), signal.SIGTERM)


def _lines(descriptor: int) -> Iterator[bytes]:
    """The lines from a descriptor, which is not buffered: a thread that waits for it does not delay the end."""
    rest = b""
    while content := os.read(descriptor, MAX_TASK):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            yield line + b"\n"


if __name__ == "__main__":
    sys.exit(main())
