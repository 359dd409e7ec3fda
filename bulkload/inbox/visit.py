"""One visit to the folder: what was left, then every waiting file, then what is no longer in the files.

In: a folder, an account, options. Out: a `Visit` that says what happened to each file. Files are taken in the
order of their arrival, unfinished ones first, so that the account ends up as if each file had been run when it arrived.
What stops one run because of the account stops the visit; the files that still wait stay where they are.
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
from bulkload.inbox.moves import adopt, at_work, finish, put_away, take, write_why
from bulkload.inbox.records import FileOutcome, PlaceName, Visit
from bulkload.inbox.retention import clear_out
from bulkload.inbox.scan import DONE, GONE, RESULTS, WHY, is_plain, waiting
from bulkload.model import Input
from bulkload.settings import Account, Options
from bulkload.store.arrivals import SECONDS_A_DAY, Arrival, Arrivals
from bulkload.store.dropped import DroppedMonitors
from bulkload.store.runs import Run, Store

if TYPE_CHECKING:
    from bulkload.model import RunInfo
    from bulkload.operations.outcome import Outcome
    from bulkload.operations.pipeline import OnStart
    from bulkload.stages.context import RunContext

MOST_READINGS = 3  # times that reading a file may start without ending, before it counts as unreadable
RESUMABLE = (  # exit codes of runs that are resumed
    ExitCode.USAGE,
    ExitCode.STOPPED,
    ExitCode.LOCKED,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
)


def visit(
    folder: Path, account: Account, options: Options, on_start: OnStart, begin: Callable[[], None] = lambda: None
) -> Visit:
    """Do all that there is to do in a folder; `begin` is called once the folder is locked.

    Raises `Locked` if another process has locked it.
    """
    started, begun = time.time(), time.monotonic()
    found = Visit(folder=folder, started=started)
    runner: _VisitRunner | None = None
    try:
        with Store(options.output) as store:
            store.lock()
            begin()
            runner = _VisitRunner(folder, store, account, options, on_start)
            runner.work()
    except Locked:
        raise
    except BulkloadError as error:
        found = replace(found, problem=str(error), exit_code=error.exit_code)
    if runner is not None:
        found = runner.add_to(found)
    return replace(found, seconds=time.monotonic() - begun)


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
        self._account_id_once: int | None = None  # once it is needed
        self._files: list[FileOutcome] = []
        self._to_prune: list[tuple[Arrival, Run, Outcome]] = []
        self._unsettled: dict[str, float] = {}
        self._requests: Counter[str] = Counter()

    def work(self) -> None:
        """Finish, take, prune, clear out."""
        stopped = self._finish_earlier()
        while not stopped:
            found = waiting(self._folder, self._options.unchanged_for)
            self._unsettled = self._arrivals.still_unsettled(found.unsettled)
            if not found.ready:
                break
            for path in found.ready:
                self._account_id()  # before a file is touched: without a way to log in, all stays as it is
                arrival = take(self._folder, self._arrivals, path)
                if arrival is not None and self._run(arrival):
                    stopped = True
                    break
        if not stopped:
            for arrival, run, outcome in self._to_prune:
                self._prune_and_file(arrival, run, outcome)
        clear_out(self._folder, self._store, self._arrivals, self._options.keep)

    def add_to(self, found: Visit) -> Visit:
        """Add what was done to the record of the visit."""
        allowed = self._options.retry_for * SECONDS_A_DAY
        overdue = [name for name, since in self._unsettled.items() if time.time() - since > allowed]
        codes = [found.exit_code, *(file.exit_code for file in self._files)]
        if overdue:
            codes.append(ExitCode.ROWS_LEFT)
        return replace(
            found,
            files=tuple(self._files),
            unsettled=tuple(self._unsettled),
            overdue=tuple(overdue),
            exit_code=max(codes),
            requests=dict(self._requests),
        )

    def _finish_earlier(self) -> bool:
        """Resume files that were taken earlier; True if something stops the visit."""
        adopt(self._folder, self._arrivals)
        return any(self._run(arrival) for arrival in self._arrivals.open())

    def _run(self, arrival: Arrival) -> bool:
        """Process one file as far as possible; True if what stopped it would stop every other."""
        run = self._arrivals.run_of(arrival)
        if run is not None and not run.read_whole:
            self._store.forget(run)
            run = None
        if arrival.place is not None:
            self._finish_filing(arrival, run)
            return False
        if run is not None and self._is_to_restart(arrival, run):
            self._store.forget(run)
            run = None
        if run is None:
            if not os.path.lexists(at_work(self._folder, arrival)):
                self._arrivals.drop(arrival)
                return False
            try:
                context = self._read(arrival)
            except InputError as error:
                self._refuse(arrival, str(error))
                return False
        elif self._is_open(arrival, run):
            context = self._begin(run)
            self._store.reopen(run)
        else:
            self._end(arrival, run, self._write(arrival, run))
            return False
        outcome = self._carry_out(arrival, context)
        if self._will_be_resumed(arrival, outcome):
            self._report(arrival, outcome, "working", at_work(self._folder, arrival))
        else:
            self._end(arrival, context.run, outcome)
        return outcome.exit_code in RESUMABLE

    def _read(self, arrival: Arrival) -> RunContext:
        path = at_work(self._folder, arrival)
        if not is_plain(path):
            raise InputError(f"{arrival.name} is a link or a device, not a file; put the file itself into the folder.")
        if self._arrivals.start_reading(arrival) >= MOST_READINGS:
            raise InputError(
                f"Reading {arrival.name} started {MOST_READINGS} times and never ended, so it was given up."
            )
        try:
            context = self._begin(Input(path=path, name=arrival.name, arrival=arrival.number))
        except (BulkloadError, KeyboardInterrupt):
            self._arrivals.end_reading(arrival)
            raise
        self._arrivals.end_reading(arrival)
        return context

    def _carry_out(self, arrival: Arrival, context: RunContext) -> Outcome:
        from bulkload.inbox.dropped import note_dropped
        from bulkload.operations.pipeline import carry_out

        before = self._store.info(context.run).requests
        outcome = carry_out(
            context,
            [at_work(self._folder, arrival, RESULTS)],
            self._on_start,
            lambda listing: note_dropped(self._store, self._dropped, arrival, context.run, listing),
        )
        self._requests.update({kind: n - before.get(kind, 0) for kind, n in outcome.info.requests.items()})
        return outcome

    def _write(self, arrival: Arrival, run: Run) -> Outcome:
        from bulkload.operations.results import write_results

        exit_code = None if run.exit_code is None else ExitCode(run.exit_code)
        return write_results(self._store, run, [at_work(self._folder, arrival, RESULTS)], exit_code)

    def _is_to_restart(self, arrival: Arrival, run: Run) -> bool:
        """True after a call with a wrong address or user that sent nothing: the file is run as if it were new."""
        return (
            run.account_id != self._account_id()
            and not self._arrivals.is_begun(run)
            and not self._arrivals.is_superseded(arrival)
        )

    def _is_open(self, arrival: Arrival, run: Run) -> bool:
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
        if time.time() - arrival.arrived > self._options.retry_for * SECONDS_A_DAY:
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
        """True if a later call tries rows again; not if the user's own limits held them back."""
        return not info.stopped and any(status.next_step == "run again" for status in info.counts)

    # ── filing ───────────────────────────────────────────────────────────────────────────────────

    def _end(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        """File a file, after pruning if that is requested."""
        if self._options.prune and outcome.exit_code not in RESUMABLE and self._dropped.count(run, "ours"):
            self._to_prune.append((arrival, run, outcome))
            return
        if run.account_id == self._account_id():
            self._file(arrival, run, outcome)
            return
        was = f"{run.username} at {run.base_url}"
        problem = f"It was begun as {was}, which is not the account of this call; nothing more was sent."
        outcome = replace(outcome, info=replace(outcome.info, stopped=""))  # what stopped it is not why it ends
        self._file(arrival, run, outcome, problem=problem)

    def _prune_and_file(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        from bulkload.operations.prune import prune

        pruned = prune(self._begin(run), self._dropped, arrival)
        self._requests.update(pruned.requests)
        outcome = replace(outcome, exit_code=max(outcome.exit_code, pruned.exit_code))
        if pruned.exit_code in RESUMABLE:  # the next call resumes it
            path = at_work(self._folder, arrival)
            self._report(arrival, outcome, "working", path, problem=pruned.problem, deleted=pruned.deleted)
        else:
            self._file(arrival, run, outcome, problem=pruned.problem, deleted=pruned.deleted)

    def _file(self, arrival: Arrival, run: Run, outcome: Outcome, *, problem: str = "", deleted: int = 0) -> None:
        """File a file and its results."""
        from bulkload.inbox.dropped import write_dropped

        if self._dropped.count(run):
            write_dropped(at_work(self._folder, arrival, GONE), self._dropped, run)
        place_name: PlaceName = "done" if outcome.exit_code == ExitCode.DONE else "failed"
        path = put_away(self._folder, self._arrivals, arrival, place_name)
        self._report(arrival, outcome, place_name, path, problem=problem, deleted=deleted)

    def _refuse(self, arrival: Arrival, problem: str) -> None:
        """File what cannot be read as failed, with a text that says why."""
        write_why(self._folder, arrival, problem)
        path = put_away(self._folder, self._arrivals, arrival, "failed")
        self._files.append(
            FileOutcome(name=arrival.name, place_name="failed", path=path, exit_code=ExitCode.USAGE, problem=problem)
        )

    def _finish_filing(self, arrival: Arrival, run: Run | None) -> None:
        """Finish the filing of a file, which was interrupted."""
        from bulkload.operations.results import write_results

        path = finish(self._folder, self._arrivals, arrival)
        place_name: PlaceName = "done" if str(arrival.place).startswith(DONE) else "failed"
        if run is None:
            why = path.with_name(path.stem + WHY)
            problem = f"{arrival.name} could not be read; see {why.name}."
            self._files.append(
                FileOutcome(
                    name=arrival.name, place_name=place_name, path=path, exit_code=ExitCode.USAGE, problem=problem
                )
            )
            return
        results = path.with_name(path.stem + RESULTS)
        exit_code = None if run.exit_code is None else ExitCode(run.exit_code)
        outcome = write_results(self._store, run, [] if results.exists() else [results], exit_code)
        self._report(arrival, outcome, place_name, path)

    def _report(
        self,
        arrival: Arrival,
        outcome: Outcome,
        place_name: PlaceName,
        path: Path,
        *,
        problem: str = "",
        deleted: int = 0,
    ) -> None:
        from bulkload.reports.summary import untranslated

        run = self._store.run(outcome.info.run_id)
        exit_code = outcome.exit_code
        if place_name == "failed" and exit_code == ExitCode.DONE:
            exit_code = ExitCode.ROWS_LEFT
        self._files.append(
            FileOutcome(
                name=arrival.name,
                place_name=place_name,
                path=path,
                exit_code=exit_code,
                info=outcome.info,
                results=path.with_name(path.stem + RESULTS),
                problem=" ".join(filter(None, (outcome.info.stopped, untranslated(outcome.info), problem))),
                dropped=self._dropped.count(run),
                deleted=deleted,
            )
        )

    def _account_id(self) -> int:
        if self._account_id_once is None:
            from bulkload.operations.pipeline import account_id_of

            self._account_id_once = account_id_of(self._store, self._account, self._options)
        return self._account_id_once

    def _begin(self, source: Input | Run) -> RunContext:
        from bulkload.operations.pipeline import begin

        return begin(self._store, source, self._account, self._options)
