"""One visit to the folder: unfinished files, then waiting files, then monitors to prune.

In: a folder, an account, options. Out: a `Visit` with the outcome of each file. Unfinished files come first and waiting
files in the order of their arrival, so that the account ends up as if each file had been run when it arrived. If the
account or the API stops a run, the visit stops too, and files that still wait stay where they are.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import BulkloadError, ExitCode, InputError, Locked
from bulkload.inbox.filing import Filing
from bulkload.inbox.moves import move_to_working, recover_unrecorded, working_path
from bulkload.inbox.records import Visit
from bulkload.inbox.retention import delete_old
from bulkload.inbox.scan import RESULTS_SUFFIX, find_waiting, is_regular_file
from bulkload.model import Input
from bulkload.settings import Account, Options
from bulkload.store.arrivals import SECONDS_PER_DAY, Arrival, Arrivals
from bulkload.store.dropped import DroppedMonitors
from bulkload.store.runs import Run, Store

if TYPE_CHECKING:
    from bulkload.model import RunInfo
    from bulkload.operations.outcome import Outcome
    from bulkload.operations.pipeline import OnStart
    from bulkload.stages.context import RunContext

MAX_READINGS = 3  # times that reading a file may start without ending, before the file counts as unreadable
RESUMABLE = (  # exit codes of runs that the next call resumes
    ExitCode.USAGE,
    ExitCode.STOPPED,
    ExitCode.LOCKED,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
)


def visit(
    folder: Path, account: Account, options: Options, on_start: OnStart, on_locked: Callable[[], None] = lambda: None
) -> Visit:
    """Run all files that are ready; `on_locked` is called once the store is locked.

    Raises `Locked` if another process has locked it.
    """
    started, begun = time.time(), time.monotonic()
    result = Visit(folder=folder, started=started)
    runner: _VisitRunner | None = None
    try:
        with Store(options.output) as store:
            store.lock()
            on_locked()
            runner = _VisitRunner(folder, store, account, options, on_start)
            runner.run()
    except Locked:
        raise
    except BulkloadError as error:
        result = replace(result, problem=str(error), exit_code=error.exit_code)
    if runner is not None:
        result = runner.add_outcomes(result)
    return replace(result, seconds=time.monotonic() - begun)


class _VisitRunner:
    """Carries out one visit, with the store locked."""

    def __init__(self, folder: Path, store: Store, account: Account, options: Options, on_start: OnStart) -> None:
        self._folder = folder
        self._store = store
        self._account = account
        self._options = options
        self._on_start = on_start
        self._arrivals = Arrivals(store, folder)
        self._dropped = DroppedMonitors(store, self._arrivals.folder)
        self._filing = Filing(folder, store, self._arrivals, self._dropped)
        self._cached_account_id: int | None = None  # None: not needed yet
        self._to_prune: list[tuple[Arrival, Run, Outcome]] = []
        self._incomplete: dict[str, float] = {}  # file still being written → since when, in seconds since 1970
        self._requests: Counter[str] = Counter()

    def run(self) -> None:
        """Resume unfinished files, run waiting files, prune, and delete what is old."""
        is_stopped = self._resume_unfinished()
        while not is_stopped:
            waiting = find_waiting(self._folder, self._options.unchanged_for)
            self._incomplete = self._arrivals.record_incomplete(waiting.incomplete)
            if not waiting.ready:
                break
            for path in waiting.ready:
                self._account_id()  # before a file is moved: without credentials, every file stays where it is
                arrival = move_to_working(self._folder, self._arrivals, path)
                if arrival is not None and self._process(arrival):
                    is_stopped = True
                    break
        if not is_stopped:
            for arrival, run, outcome in self._to_prune:
                self._prune_and_move(arrival, run, outcome)
        delete_old(self._folder, self._store, self._arrivals, self._options.keep)

    def add_outcomes(self, result: Visit) -> Visit:
        """Add the outcomes of the files to the result of the visit."""
        allowed = self._options.retry_for * SECONDS_PER_DAY
        overdue = [name for name, since in self._incomplete.items() if time.time() - since > allowed]
        exit_codes = [result.exit_code, *(file.exit_code for file in self._filing.outcomes)]
        if overdue:
            exit_codes.append(ExitCode.ROWS_LEFT)
        return replace(
            result,
            files=tuple(self._filing.outcomes),
            incomplete=tuple(self._incomplete),
            overdue=tuple(overdue),
            exit_code=max(exit_codes),
            requests=dict(self._requests),
        )

    def _resume_unfinished(self) -> bool:
        """Process files that an earlier call took; True if the visit has to stop."""
        recover_unrecorded(self._folder, self._arrivals)
        return any(self._process(arrival) for arrival in self._arrivals.unfinished())

    def _process(self, arrival: Arrival) -> bool:
        """Process one file as far as possible; True if the visit has to stop, because other files would stop too."""
        run = self._arrivals.run_of(arrival)
        if run is not None and not run.read_whole:
            self._store.forget(run)
            run = None
        if arrival.destination is not None:
            self._filing.finish(arrival, run)
            return False
        if run is not None and self._must_restart(arrival, run):
            self._store.forget(run)
            run = None
        if run is None:
            if not os.path.lexists(working_path(self._folder, arrival)):
                self._arrivals.delete(arrival)
                return False
            try:
                context = self._read(arrival)
            except InputError as error:
                self._filing.reject(arrival, str(error))
                return False
        elif self._can_resume(arrival, run):
            context = self._begin(run)
            self._store.reopen(run)
        else:
            self._end(arrival, run, self._write_results(arrival, run))
            return False
        outcome = self._carry_out(arrival, context)
        if self._will_be_resumed(arrival, outcome):
            self._filing.keep(arrival, outcome)
        else:
            self._end(arrival, context.run, outcome)
        return outcome.exit_code in RESUMABLE

    def _read(self, arrival: Arrival) -> RunContext:
        path = working_path(self._folder, arrival)
        if not is_regular_file(path):
            raise InputError(
                f"{arrival.name}: a link, a pipe or a device is not read; put a regular file into the folder."
            )
        if self._arrivals.start_reading(arrival) >= MAX_READINGS:
            raise InputError(
                f"{arrival.name}: the process ended {MAX_READINGS} times while reading it, so it is not read again."
            )
        try:
            context = self._begin(Input(path=path, name=arrival.name, arrival=arrival.number))
        except (BulkloadError, KeyboardInterrupt):
            self._arrivals.end_reading(arrival)
            raise
        self._arrivals.end_reading(arrival)
        return context

    def _carry_out(self, arrival: Arrival, context: RunContext) -> Outcome:
        from bulkload.inbox.dropped_report import record_dropped
        from bulkload.operations.pipeline import carry_out

        before = self._store.info(context.run).requests
        outcome = carry_out(
            context,
            [working_path(self._folder, arrival, RESULTS_SUFFIX)],
            self._on_start,
            lambda listing: record_dropped(self._store, self._dropped, arrival, context.run, listing),
        )
        self._requests.update({kind: n - before.get(kind, 0) for kind, n in outcome.info.requests.items()})
        return outcome

    def _write_results(self, arrival: Arrival, run: Run) -> Outcome:
        from bulkload.operations.results import write_results

        exit_code = None if run.exit_code is None else ExitCode(run.exit_code)
        return write_results(self._store, run, [working_path(self._folder, arrival, RESULTS_SUFFIX)], exit_code)

    def _must_restart(self, arrival: Arrival, run: Run) -> bool:
        """True if a run for another account sent nothing, as with a wrong address or user: the file is run again."""
        return (
            run.account_id != self._account_id()
            and not self._arrivals.has_sent(run)
            and not self._arrivals.is_superseded(arrival)
        )

    def _can_resume(self, arrival: Arrival, run: Run) -> bool:
        """True if another session can continue a run that was read."""
        if run.account_id != self._account_id() or self._arrivals.is_superseded(arrival):
            return False
        if run.exit_code is None or run.exit_code in RESUMABLE:
            return True
        return run.exit_code == ExitCode.ROWS_LEFT and self._has_rows_to_retry(self._store.info(run))

    def _will_be_resumed(self, arrival: Arrival, outcome: Outcome) -> bool:
        """True if a later call resumes a file."""
        if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            return True
        if time.time() - arrival.arrived > self._options.retry_for * SECONDS_PER_DAY:
            return False
        if outcome.exit_code in RESUMABLE:
            return True
        return (
            outcome.exit_code == ExitCode.ROWS_LEFT
            and self._has_rows_to_retry(outcome.info)
            and not self._arrivals.is_superseded(arrival)
        )

    @staticmethod
    def _has_rows_to_retry(info: RunInfo) -> bool:
        """True if a later call sends rows again; not if the user's own limits stopped the run."""
        return not info.stopped and any(status.next_step == "run again" for status in info.counts)

    def _end(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        """Move a file to its destination, or put it on the list of those to prune first."""
        if self._options.prune and outcome.exit_code not in RESUMABLE and self._dropped.count(run, "ours"):
            self._to_prune.append((arrival, run, outcome))
            return
        if run.account_id == self._account_id():
            translated = outcome.info.translated
            is_partial = self._options.prune and translated is not None and translated.missing
            problem = "Nothing was deleted, since the file does not have the whole list." if is_partial else ""
            self._filing.move(arrival, run, outcome, problem=problem)
            return
        problem = (
            f"It was started as {run.username} at {run.base_url}, which is not the account of this call; nothing more"
            " was sent."
        )
        outcome = replace(outcome, info=replace(outcome.info, stopped=""))  # not the reason why it ends now
        self._filing.move(arrival, run, outcome, problem=problem)

    def _prune_and_move(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        from bulkload.operations.prune import prune

        pruned = prune(self._begin(run), self._dropped, arrival)
        self._requests.update(pruned.requests)
        outcome = replace(outcome, exit_code=max(outcome.exit_code, pruned.exit_code))
        if pruned.exit_code in RESUMABLE:
            self._filing.keep(arrival, outcome, problem=pruned.problem, deleted=pruned.deleted)
        else:
            self._filing.move(arrival, run, outcome, problem=pruned.problem, deleted=pruned.deleted)

    def _account_id(self) -> int:
        if self._cached_account_id is None:
            from bulkload.operations.pipeline import account_id_of

            self._cached_account_id = account_id_of(self._store, self._account, self._options)
        return self._cached_account_id

    def _begin(self, source: Input | Run) -> RunContext:
        from bulkload.operations.pipeline import begin

        return begin(self._store, source, self._account, self._options)
