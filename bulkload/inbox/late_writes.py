"""Take files back that were written after they had been moved to `done` or `failed`.

In: the files that reached their destination lately. Out: those that were written since they were read are in `working`
again, as a new version of themselves. Only a program that had the file open all the time writes it there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bulkload.errors import ExitCode, MoveError
from bulkload.inbox.filing import Filing
from bulkload.inbox.moves import move_back_to_working
from bulkload.inbox.records import Subfolder
from bulkload.inbox.scan import DONE, FileState, is_settled, state_of
from bulkload.store.arrivals import SECONDS_PER_DAY, Arrival, Arrivals

MAX_AGE = 7 * SECONDS_PER_DAY  # since the move; a program that held the file open has ended by then


def take_back_written(folder: Path, arrivals: Arrivals, filing: Filing, unchanged_for: float) -> set[str]:
    """Move files back that were written; returns the names of those that are still being written."""
    incomplete = set()
    for arrival, path in _written(folder, arrivals):
        where = f"It was written after it had been moved to {path.parent.relative_to(folder)}"
        subfolder: Subfolder = "done" if str(arrival.destination).startswith(DONE) else "failed"
        if arrivals.is_superseded(arrival):
            arrivals.forget_content(arrival)
            problem = (
                f"{where}, and a newer version was run since, so it is not run again. If it has rows that the newer"
                " version lacks, put it into the folder again."
            )
            filing.report_trouble(arrival.name, subfolder, path, problem, ExitCode.ROWS_LEFT)
        elif not is_settled(path, unchanged_for):
            incomplete.add(arrival.name)
        else:
            try:
                taken = move_back_to_working(folder, arrivals, arrival)
            except MoveError as error:
                filing.report_trouble(arrival.name, subfolder, path, f"{where}, but {error}")
            else:
                filing.notes[taken.number].append(f"{where}, so it was run again.")
    return incomplete


def _written(folder: Path, arrivals: Arrivals) -> Iterator[tuple[Arrival, Path]]:
    for arrival in arrivals.moved_since(time.time() - MAX_AGE):
        path, content = folder / str(arrival.destination), arrivals.content_of(arrival)
        state = state_of(path)
        if content is not None and state is not None and state.was_written_since(FileState.from_text(content)):
            yield arrival, path
