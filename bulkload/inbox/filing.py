"""Move finished files to `done` or `failed`, with their results, and report what happened to them.

In: a file at work, and the outcome of its run or the reason why it could not be read. Out: the file at its destination,
and a `FileOutcome`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import ExitCode
from bulkload.inbox.moves import finish_move, move_edited, move_to_destination, results_path, working_path, write_reason
from bulkload.inbox.records import FileOutcome, Subfolder
from bulkload.inbox.scan import DONE, DROPPED_SUFFIX, REASON_SUFFIX
from bulkload.settings import Options
from bulkload.store.arrivals import Arrival, Arrivals
from bulkload.store.dropped import DroppedMonitors
from bulkload.store.results_files import Found, look_at, note_moved
from bulkload.store.runs import Run, Store

if TYPE_CHECKING:
    from bulkload.operations.outcome import Outcome


class Filing:
    """Moves the files of one visit and collects their outcomes."""

    def __init__(
        self, folder: Path, store: Store, arrivals: Arrivals, dropped: DroppedMonitors, options: Options
    ) -> None:
        self.outcomes: list[FileOutcome] = []
        self.notes: defaultdict[int, list[str]] = defaultdict(list)  # arrival → what else to say about the file
        self._folder = folder
        self._store = store
        self._arrivals = arrivals
        self._dropped = dropped
        self._options = options

    def move(self, arrival: Arrival, run: Run, outcome: Outcome, *, problem: str = "", deleted: int = 0) -> None:
        """Move a file, its results and the list of its dropped monitors to their destination."""
        from bulkload.inbox.dropped_report import write_dropped

        if self._dropped.count(run):
            write_dropped(working_path(self._folder, arrival, DROPPED_SUFFIX), self._dropped, run)
        subfolder: Subfolder = "done" if outcome.exit_code == ExitCode.DONE else "failed"
        path = move_to_destination(self._folder, self._arrivals, arrival, subfolder)
        self._report(arrival, outcome, subfolder, path, problem=problem, deleted=deleted)

    def keep(
        self,
        arrival: Arrival,
        outcome: Outcome,
        *,
        problem: str = "",
        deleted: int = 0,
        least_exit_code: ExitCode = ExitCode.DONE,
    ) -> None:
        """Leave a file where it is, to be resumed by the next call."""
        path = working_path(self._folder, arrival)
        outcome = replace(outcome, exit_code=max(outcome.exit_code, least_exit_code))
        self._report(arrival, outcome, "working", path, problem=problem, deleted=deleted)

    def report_trouble(
        self,
        name: str,
        subfolder: Subfolder,
        path: Path,
        problem: str,
        exit_code: ExitCode = ExitCode.USAGE,
        run: Run | None = None,
    ) -> None:
        """Report a file that stays where it is, because something is wrong with it or it changed."""
        self.outcomes.append(
            FileOutcome(
                name=name,
                subfolder=subfolder,
                path=path,
                exit_code=max(exit_code, ExitCode.ROWS_LEFT),
                info=None if run is None else self._store.info(run),
                problem=problem,
            )
        )

    def set_aside_edited(self, arrival: Arrival) -> None:
        """Move results in `working` that were changed by hand to `failed`, so that new ones can be written."""
        results = results_path(working_path(self._folder, arrival))
        if look_at(self._store, results).found in (Found.CHANGED, Found.UNKNOWN):
            edited = move_edited(self._folder, results)
            self.notes[arrival.number].append(
                f"{results} was changed after it was written; it is now {edited}. To send what was changed, put that"
                " file into the folder."
            )

    def put_in_place(self, arrival: Arrival, outcome: Outcome) -> None:
        """Move results to their place that got a number because those there were changed during the run."""
        results = results_path(working_path(self._folder, arrival))
        for path in outcome.results:
            if path != results:
                self.set_aside_edited(arrival)
                path.rename(results)
                note_moved(self._store, path, results)

    def reject(self, arrival: Arrival, problem: str) -> None:
        """Move a file that cannot be read to `failed`, with the reason in a text file."""
        write_reason(self._folder, arrival, problem)
        path = move_to_destination(self._folder, self._arrivals, arrival, "failed")
        self.report_trouble(arrival.name, "failed", path, problem)

    def finish(self, arrival: Arrival, run: Run | None) -> None:
        """Finish a move that was interrupted."""
        from bulkload.operations.results import write_results

        path = finish_move(self._folder, self._arrivals, arrival)
        subfolder: Subfolder = "done" if str(arrival.destination).startswith(DONE) else "failed"
        if run is None:
            reason = path.with_name(path.stem + REASON_SUFFIX)
            problem = f"{arrival.name}: it could not be read; see {reason.name}."
            self.report_trouble(arrival.name, subfolder, path, problem)
            return
        results = results_path(path)
        exit_code = None if run.exit_code is None else ExitCode(run.exit_code)
        outcome = write_results(self._store, run, [] if results.exists() else [results], self._options, exit_code)
        self._report(arrival, outcome, subfolder, path)

    def _report(
        self,
        arrival: Arrival,
        outcome: Outcome,
        subfolder: Subfolder,
        path: Path,
        *,
        problem: str = "",
        deleted: int = 0,
    ) -> None:
        from bulkload.inbox.details import bad_rows
        from bulkload.reports.summary import untranslated

        run = self._store.run(outcome.info.run_id)
        exit_code = outcome.exit_code
        if subfolder == "failed" and exit_code == ExitCode.DONE:
            exit_code = ExitCode.ROWS_LEFT
        self._store.amend_call(run, exit_code, problem)
        self.outcomes.append(
            FileOutcome(
                name=arrival.name,
                subfolder=subfolder,
                path=path,
                exit_code=exit_code,
                info=outcome.info,
                results=results_path(path),
                problem=" ".join(
                    filter(
                        None, (outcome.info.stopped, untranslated(outcome.info), problem, *self.notes[arrival.number])
                    )
                ),
                dropped=self._dropped.count(run),
                deleted=deleted,
                bad_rows=bad_rows(self._store.report_rows(run), outcome.info) if exit_code else (),
            )
        )
