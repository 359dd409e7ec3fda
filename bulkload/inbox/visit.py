"""One visit to the folder: what was left over, then everything that waits, then what is gone from the sheets.

In: a folder, an account, options. Out: a `Visit` that says what became of every file. Files are taken in the order in
which they came, and an unfinished one is finished first, so that the account ends up as if every sheet had been run
when it came. What stops one run for the account's sake stops the visit; the files that still wait stay where they are.
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
from bulkload.inbox.records import Fate, Filed, Visit
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

MOST_READINGS = 3  # times that reading a file may begin and never end, before it is left to a person
GOES_ON = (  # how a run ends to be resumed
    ExitCode.USAGE,
    ExitCode.STOPPED,
    ExitCode.LOCKED,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
)


def visit(
    folder: Path, account: Account, options: Options, on_start: OnStart, begin: Callable[[], None] = lambda: None
) -> Visit:
    """Do everything that there is to do in a folder now; `begin` is called once nobody else can be at it.

    Raises `Locked` if somebody else is.
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
        found = runner.tell(found)
    return replace(found, seconds=time.monotonic() - begun)


class _VisitRunner:
    """Does the work of one visit, with the store locked."""

    def __init__(self, folder: Path, store: Store, account: Account, options: Options, on_start: OnStart) -> None:
        self._folder = folder
        self._store = store
        self._account = account
        self._options = options
        self._on_start = on_start
        self._arrivals = Arrivals(store, folder)
        self._dropped = DroppedMonitors(store, self._arrivals.folder)
        self._account_id_once: int | None = None  # once it is needed
        self._files: list[Filed] = []
        self._to_prune: list[tuple[Arrival, Run, Outcome]] = []
        self._unsettled: dict[str, float] = {}
        self._requests: Counter[str] = Counter()

    def work(self) -> None:
        """Finish, take, prune, clear out."""
        stopped = self._work_off()
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

    def tell(self, found: Visit) -> Visit:
        """Add what was done to what is told."""
        patience = self._options.retry_for * SECONDS_A_DAY
        overdue = [name for name, since in self._unsettled.items() if time.time() - since > patience]
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

    def _work_off(self) -> bool:
        """Go on with files that were taken earlier; True if something stops the visit."""
        adopt(self._folder, self._arrivals)
        return any(self._run(arrival) for arrival in self._arrivals.open())

    def _run(self, arrival: Arrival) -> bool:
        """Take one file as far as it goes now; True if what stopped it would stop every other."""
        run = self._arrivals.run_of(arrival)
        if run is not None and not run.read_whole:
            self._store.forget(run)
            run = None
        if arrival.place is not None:
            self._finish_filing(arrival, run)
            return False
        if run is not None and self._is_to_begin_anew(arrival, run):
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
        if self._stays(arrival, outcome):
            self._tell(arrival, outcome, "working", at_work(self._folder, arrival))
        else:
            self._end(arrival, context.run, outcome)
        return outcome.exit_code in GOES_ON

    def _read(self, arrival: Arrival) -> RunContext:
        path = at_work(self._folder, arrival)
        if not is_plain(path):
            raise InputError(f"{arrival.name} is a link or a device, not a file; put the file itself into the folder.")
        if self._arrivals.start_reading(arrival) >= MOST_READINGS:
            raise InputError(f"Reading {arrival.name} began {MOST_READINGS} times and never ended; it was given up.")
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

    def _is_to_begin_anew(self, arrival: Arrival, run: Run) -> bool:
        """True after a call with a wrong address or user that sent nothing: the file is run as if it came now."""
        return (
            run.account_id != self._account_id()
            and not self._arrivals.is_begun(run)
            and not self._arrivals.is_superseded(arrival)
        )

    def _is_open(self, arrival: Arrival, run: Run) -> bool:
        """True if another session can help a run that was read."""
        if run.account_id != self._account_id() or self._arrivals.is_superseded(arrival):
            return False
        if run.exit_code is None or run.exit_code in GOES_ON:
            return True
        return run.exit_code == ExitCode.ROWS_LEFT and self._to_try(self._store.info(run))

    def _stays(self, arrival: Arrival, outcome: Outcome) -> bool:
        """True if a later call goes on with a file."""
        if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            return True
        if time.time() - arrival.arrived > self._options.retry_for * SECONDS_A_DAY:
            return False
        if outcome.exit_code in GOES_ON:
            return True
        return (
            outcome.exit_code == ExitCode.ROWS_LEFT
            and self._to_try(outcome.info)
            and not self._arrivals.is_superseded(arrival)
        )

    @staticmethod
    def _to_try(info: RunInfo) -> bool:
        """True for rows that a later call tries again by itself; not if the user's own limits held them back."""
        return not info.stopped and any(status.next_step == "run again" for status in info.counts)

    # ── where files end ───────────────────────────────────────────────────────────────────────────────────

    def _end(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        """Put a file away, after pruning if that is to be done."""
        if self._options.prune and outcome.exit_code not in GOES_ON and self._dropped.count(run, "ours"):
            self._to_prune.append((arrival, run, outcome))
            return
        if run.account_id == self._account_id():
            self._file(arrival, run, outcome)
            return
        was = f"{run.username} at {run.base_url}"
        problem = f"It was begun as {was}, which is not the account of this call; nothing more of it was sent."
        outcome = replace(outcome, info=replace(outcome.info, stopped=""))  # what stopped it is not why it ends
        self._file(arrival, run, outcome, problem=problem)

    def _prune_and_file(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        from bulkload.operations.prune import prune

        pruned = prune(self._begin(run), self._dropped, arrival)
        self._requests.update(pruned.requests)
        outcome = replace(outcome, exit_code=max(outcome.exit_code, pruned.exit_code))
        if pruned.exit_code in GOES_ON:  # the next call goes on with it
            place = at_work(self._folder, arrival)
            self._tell(arrival, outcome, "working", place, problem=pruned.problem, deleted=pruned.deleted)
        else:
            self._file(arrival, run, outcome, problem=pruned.problem, deleted=pruned.deleted)

    def _file(self, arrival: Arrival, run: Run, outcome: Outcome, *, problem: str = "", deleted: int = 0) -> None:
        """Put a file and its results where they belong."""
        from bulkload.inbox.dropped import write_dropped

        if self._dropped.count(run):
            write_dropped(at_work(self._folder, arrival, GONE), self._dropped, run)
        fate: Fate = "done" if outcome.exit_code == ExitCode.DONE else "failed"
        place = put_away(self._folder, self._arrivals, arrival, fate)
        self._tell(arrival, outcome, fate, place, problem=problem, deleted=deleted)

    def _refuse(self, arrival: Arrival, problem: str) -> None:
        """Put a file that cannot be read aside, with a text that says why."""
        write_why(self._folder, arrival, problem)
        place = put_away(self._folder, self._arrivals, arrival, "failed")
        self._files.append(
            Filed(name=arrival.name, fate="failed", place=place, exit_code=ExitCode.USAGE, problem=problem)
        )

    def _finish_filing(self, arrival: Arrival, run: Run | None) -> None:
        """Put a file where it belongs whose way there was interrupted."""
        from bulkload.operations.results import write_results

        place = finish(self._folder, self._arrivals, arrival)
        fate: Fate = "done" if str(arrival.place).startswith(DONE) else "failed"
        if run is None:
            why = place.with_name(place.stem + WHY)
            problem = f"{arrival.name} could not be read; see {why.name}."
            self._files.append(
                Filed(name=arrival.name, fate=fate, place=place, exit_code=ExitCode.USAGE, problem=problem)
            )
            return
        results = place.with_name(place.stem + RESULTS)
        exit_code = None if run.exit_code is None else ExitCode(run.exit_code)
        outcome = write_results(self._store, run, [] if results.exists() else [results], exit_code)
        self._tell(arrival, outcome, fate, place)

    def _tell(
        self,
        arrival: Arrival,
        outcome: Outcome,
        fate: Fate,
        place: Path,
        *,
        problem: str = "",
        deleted: int = 0,
    ) -> None:
        from bulkload.reports.summary import untranslated

        run = self._store.run(outcome.info.run_id)
        exit_code = outcome.exit_code
        if fate == "failed" and exit_code == ExitCode.DONE:
            exit_code = ExitCode.ROWS_LEFT
        self._files.append(
            Filed(
                name=arrival.name,
                fate=fate,
                place=place,
                exit_code=exit_code,
                info=outcome.info,
                results=place.with_name(place.stem + RESULTS),
                problem=" ".join(filter(None, (outcome.info.stopped, untranslated(outcome.info), problem))),
                gone=self._dropped.count(run),
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
