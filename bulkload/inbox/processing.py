"""Process one file of the inbox as far as possible: read it, carry out its run, and move it to its destination.

In: a file in `working`. Out: its outcome in the `Filing`, and whether other files would be stopped too. A file that
changed since it was read is read again by the next call: what its run has created is known to the store.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import ExitCode, InputError, reading
from bulkload.inbox.filing import Filing
from bulkload.inbox.moves import results_path, working_path
from bulkload.inbox.scan import STALE_LOCK, FileState, has_earlier_date, is_settled, state_of
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

MAX_READINGS = 3  # times that the machine may stop while it reads a file, before the file counts as unreadable
RESUMABLE = (  # exit codes of runs that the next call resumes
    ExitCode.USAGE,
    ExitCode.STOPPED,
    ExitCode.LOCKED,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
)
CHANGED = "It changed after it was read, so the next call reads it again."


class FileProcessor:
    """Processes the files of one visit, with the store locked."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        arrivals: Arrivals,
        filing: Filing,
        dropped: DroppedMonitors,
        account: Account,
        options: Options,
        on_start: OnStart,
    ) -> None:
        self.to_prune: list[tuple[Arrival, Run, Outcome]] = []
        self.incomplete: set[str] = set()  # files in `working` that are still being written
        self.requests: Counter[str] = Counter()
        self._stale_locks: dict[int, str] = {}  # arrival → lock file
        self._folder = folder
        self._store = store
        self._arrivals = arrivals
        self._filing = filing
        self._dropped = dropped
        self._account = account
        self._options = options
        self._on_start = on_start
        self._cached_account_id: int | None = None  # None: not needed yet

    def account_id(self) -> int:
        """The account's ID in the store. Raises `UsageError` without credentials."""
        if self._cached_account_id is None:
            from bulkload.operations.pipeline import account_id_of

            self._cached_account_id = account_id_of(self._store, self._account, self._options)
        return self._cached_account_id

    def note_stale_lock(self, arrival: Arrival, lock: str) -> None:
        """Note that a file was taken although a spreadsheet program has left a lock file beside it."""
        self._stale_locks[arrival.number] = lock
        days = f"{STALE_LOCK / SECONDS_PER_DAY:.0f} days"
        self._filing.notes[arrival.number].append(
            f"Its lock file {lock} is older than {days}, so it was taken as closed; delete the lock file."
        )

    def process(self, arrival: Arrival, *, is_new: bool = False) -> bool:
        """Process one file as far as possible; True if the visit has to stop, because other files would stop too.

        `is_new`: it waited until now, and no process was writing it.
        """
        run = self._arrivals.run_of(arrival)
        was_stopped = run is not None and run.exit_code == ExitCode.STOPPED
        if run is not None and not run.read_whole:
            self._store.forget(run, keep_calls=True)
            run = None
        if arrival.destination is not None:
            self._filing.finish(arrival, run)
            return False
        if run is not None and self._has_changed(arrival):
            arrival, run = self._arrivals.add_again(arrival, arrival.working_name), None
            self._filing.notes[arrival.number].append("It changed after an earlier call had read it.")
        if run is not None and self._must_restart(arrival, run):
            self._store.forget(run, keep_calls=True)
            run = None
        if run is None:
            context = self._read(arrival, is_new)
            if context is None:
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
        return outcome.exit_code in RESUMABLE and not self._is_own_trouble(context.run, outcome, was_stopped)

    def prune_and_move(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        """Delete the monitors that are no longer in a file, and move it to its destination."""
        from bulkload.operations.prune import prune

        if self._has_changed(arrival):
            self._restart(arrival, outcome)
            return
        if self._arrivals.is_superseded(arrival):  # the newer version decides what is no longer wanted
            self._filing.move(arrival, run, outcome)
            return
        if later := self._later_version(arrival):
            outcome = replace(outcome, exit_code=max(outcome.exit_code, ExitCode.ROWS_LEFT))
            problem = f"Nothing was deleted, since {later}, which was run before, has a later date in its name."
            self._filing.move(arrival, run, outcome, problem=problem)
            return
        pruned = prune(self._begin(run), self._dropped, arrival)
        self.requests.update(pruned.requests)
        outcome = replace(outcome, exit_code=max(outcome.exit_code, pruned.exit_code))
        if pruned.exit_code in RESUMABLE:
            self._filing.keep(arrival, outcome, problem=pruned.problem, deleted=pruned.deleted)
        else:
            self._filing.move(arrival, run, outcome, problem=pruned.problem, deleted=pruned.deleted)

    def _later_version(self, arrival: Arrival) -> str | None:
        """An earlier version of a file whose name has a later date, unless that is in the future, as by mistake."""
        tomorrow = (datetime.now().astimezone() + timedelta(days=1)).strftime("%Y%m%d")
        for name in self._arrivals.names_of_earlier_versions(arrival):
            if has_earlier_date(arrival.name, name) and not has_earlier_date(tomorrow, name):
                return name
        return None

    def is_too_old(self, arrival: Arrival) -> bool:
        """True if a file has been retried for as long as the options allow."""
        return time.time() - arrival.arrived > self._options.retry_for * SECONDS_PER_DAY

    def _read(self, arrival: Arrival, is_new: bool) -> RunContext | None:
        """Read a file; None if it is not to be carried out now, which is reported."""
        path = working_path(self._folder, arrival)
        state = state_of(path)
        if state is None and not os.path.lexists(path):
            self._arrivals.delete(arrival)
            self._filing.report_trouble(arrival.name, "working", path, "it was removed before it was read.")
            return None
        if not is_new and state is not None and not is_settled(path, self._options.unchanged_for):
            self.incomplete.add(arrival.name)
            return None
        try:
            context = self._read_state(arrival, path, state)
        except InputError as error:
            now = state_of(path)
            if state is not None and now is not None and now.is_regular and now.has_changed_since(state):
                self._filing.report_trouble(arrival.name, "working", path, CHANGED, ExitCode.ROWS_LEFT)
            else:
                self._filing.reject(arrival, str(error))
            return None
        if self._has_changed(arrival):
            self._store.forget(context.run)
            self._filing.report_trouble(arrival.name, "working", path, CHANGED, ExitCode.ROWS_LEFT)
            return None
        if arrival.number in self._stale_locks:
            from bulkload.operations.prune import LOCK_DETAIL

            self._store.note_detail(context.run, LOCK_DETAIL, self._stale_locks[arrival.number])
        return context

    def _read_state(self, arrival: Arrival, path: Path, state: FileState | None) -> RunContext:
        """Read a file in this state. Raises `InputError` for whatever is wrong with the file."""
        if state is None or not state.is_regular:
            raise InputError(
                f"{arrival.name}: a link, a pipe or a device is not read; put a regular file into the folder."
            )
        earlier = self._arrivals.start_reading(arrival, str(state))
        if earlier.was_killed or earlier.count >= MAX_READINGS:
            ended = "was killed" if earlier.was_killed else f"ended {earlier.count} times"
            raise InputError(
                f"{arrival.name}: the process {ended} while reading it, for example because it needed more memory than"
                " there is, so it is not read again. If there was another reason, put it into the folder again."
            )
        try:
            with reading(arrival.name):
                return self._begin(Input(path=path, name=arrival.name, arrival=arrival.number))
        finally:
            self._arrivals.end_reading(arrival)

    def _has_changed(self, arrival: Arrival) -> bool:
        """True if a file in `working` was written or replaced since it was read."""
        content = self._arrivals.content_of(arrival)
        state = state_of(working_path(self._folder, arrival))
        return content is not None and state is not None and state.has_changed_since(FileState.from_text(content))

    def _restart(self, arrival: Arrival, outcome: Outcome) -> None:
        """Have the next call read a file again, because it changed after it was read."""
        self._filing.keep(arrival, outcome, problem=CHANGED, least_exit_code=ExitCode.ROWS_LEFT)
        self._arrivals.add_again(arrival, arrival.working_name)

    def _carry_out(self, arrival: Arrival, context: RunContext) -> Outcome:
        from bulkload.inbox.dropped_report import record_dropped
        from bulkload.operations.pipeline import carry_out

        before = self._store.info(context.run).requests
        self._filing.set_aside_edited(arrival)
        self._arrivals.start_sending(arrival)
        try:
            outcome = carry_out(
                context,
                [results_path(working_path(self._folder, arrival))],
                self._on_start,
                lambda listing: record_dropped(self._store, self._dropped, arrival, context.run, listing),
            )
        finally:
            self._arrivals.end_sending(arrival)
        self._filing.put_in_place(arrival, outcome)
        self.requests.update({kind: n - before.get(kind, 0) for kind, n in outcome.info.requests.items()})
        return outcome

    def _write_results(self, arrival: Arrival, run: Run) -> Outcome:
        from bulkload.operations.results import write_results

        self._filing.set_aside_edited(arrival)
        results = [results_path(working_path(self._folder, arrival))]
        exit_code = None if run.exit_code is None else ExitCode(run.exit_code)
        outcome = write_results(self._store, run, results, self._options, exit_code)
        self._filing.put_in_place(arrival, outcome)
        return outcome

    def _must_restart(self, arrival: Arrival, run: Run) -> bool:
        """True if a run for another account sent nothing, as with a wrong address or user: the file is run again."""
        return (
            run.account_id != self.account_id()
            and not self._arrivals.has_sent(run)
            and not self._arrivals.is_superseded(arrival)
        )

    def _can_resume(self, arrival: Arrival, run: Run) -> bool:
        """True if another session can continue a run that was read."""
        if run.account_id != self.account_id() or self._arrivals.is_superseded(arrival):
            return False
        if run.exit_code is None or run.exit_code in RESUMABLE:
            return True
        return run.exit_code == ExitCode.ROWS_LEFT and self._has_rows_to_retry(self._store.info(run))

    def _will_be_resumed(self, arrival: Arrival, outcome: Outcome) -> bool:
        """True if a later call resumes a file."""
        if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            return True
        if self.is_too_old(arrival):
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

    def _is_own_trouble(self, run: Run, outcome: Outcome, was_stopped: bool) -> bool:
        """True if what stopped a run may be its own rows: other files are tried, and stop the visit if they stop too.

        A store that can be used, or an API that answered until rows were sent, and stopped the run the last time too.
        """
        if outcome.exit_code == ExitCode.USAGE:
            self._store.check_writable()
            return True
        return outcome.exit_code == ExitCode.STOPPED and was_stopped and self._arrivals.has_sent(run)

    def _end(self, arrival: Arrival, run: Run, outcome: Outcome) -> None:
        """Move a file to its destination, or put it on the list of those to prune first."""
        if self._has_changed(arrival):
            self._restart(arrival, outcome)
            return
        if run.account_id != self.account_id():
            problem = (
                f"It was started as {run.username} at {run.base_url}, which is not the account of this call; nothing"
                " more was sent."
            )
            outcome = replace(outcome, info=replace(outcome.info, stopped=""))  # not the reason why it ends now
            self._filing.move(arrival, run, outcome, problem=problem)
        elif self._options.prune and outcome.exit_code not in RESUMABLE and self._dropped.count(run, "ours"):
            self.to_prune.append((arrival, run, outcome))
        else:
            reason = outcome.info.not_whole if self._options.prune else ""
            self._filing.move(arrival, run, outcome, problem=f"Nothing was deleted, since {reason}." if reason else "")

    def _begin(self, source: Input | Run) -> RunContext:
        from bulkload.operations.pipeline import begin

        return begin(self._store, source, self._account, self._options)
