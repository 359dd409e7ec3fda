"""Move files through the folder, and record each move in the store so that it can be finished.

In: a waiting file, or a file in `working` and the subfolder to move it to. Out: its next path. The move to `working` is
recorded after the rename, because an unrecorded file is found in `working`; the destination is recorded before the
rename, because it must not change.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bulkload.errors import MoveError, StoreError
from bulkload.inbox.records import Subfolder
from bulkload.inbox.scan import (
    FAILED,
    REASON_SUFFIX,
    WORKING,
    FileState,
    companion_names,
    files_in,
    free_name,
    recurring_name,
    safe_name,
    state_of,
)
from bulkload.store.arrivals import Arrival, Arrivals

_DRAFTS = ".bulkload-*"  # folders of half-written results that a killed process leaves


def move_to_working(folder: Path, arrivals: Arrivals, path: Path, state: FileState) -> Arrival | None:
    """Move a waiting file to `working`; None if it is no longer in this state, or no longer exists."""
    now = state_of(path)
    if now is not None and state.is_regular and now.has_changed_since(state):
        return None
    with _moving(path):
        (folder / WORKING).mkdir(exist_ok=True)
        working_name = free_name(folder / WORKING, path.name, _reserved_names(arrivals))
        try:
            path.rename(folder / WORKING / working_name)
        except FileNotFoundError:
            return None
    return arrivals.add(safe_name(path.name), recurring_name(path.name), working_name)


def move_back_to_working(folder: Path, arrivals: Arrivals, arrival: Arrival) -> Arrival:
    """Move a file that changed at its destination back to `working`."""
    path = folder / str(arrival.destination)
    with _moving(path):
        (folder / WORKING).mkdir(exist_ok=True)
        working_name = free_name(folder / WORKING, arrival.name, _reserved_names(arrivals))
        path.rename(folder / WORKING / working_name)
    return arrivals.add_again(arrival, working_name)


def recover_unrecorded(folder: Path, arrivals: Arrivals, on_trouble: Callable[[Path, MoveError], None]) -> None:
    """Record files that a killed process moved to `working` but did not record; delete its half-written results.

    `on_trouble` gets the files that cannot be moved.
    """
    for draft in (folder / WORKING).glob(_DRAFTS):
        shutil.rmtree(draft, ignore_errors=True)
    for name in files_in(folder / WORKING):
        if name not in _reserved_names(arrivals):
            working_name = name
            if name != safe_name(name):
                working_name = free_name(folder / WORKING, name, _reserved_names(arrivals))
                path = folder / WORKING / name
                try:
                    with _moving(path):
                        path.rename(path.with_name(working_name))
                except MoveError as error:
                    on_trouble(path, error)
                    continue
            arrivals.add(working_name, recurring_name(name), working_name)


def _reserved_names(arrivals: Arrivals) -> set[str]:
    """Names in `working` that recorded files and their companion files have or will have."""
    return {
        name
        for arrival in arrivals.unfinished()
        for name in (arrival.working_name, *companion_names(arrival.working_name))
    }


def working_path(folder: Path, arrival: Arrival, suffix: str = "") -> Path:
    """The path of a file in `working`, or of its companion file with this suffix."""
    path = folder / WORKING / arrival.working_name
    return path.with_name(path.stem + suffix) if suffix else path


def results_path(path: Path) -> Path:
    """The path of the results of a file, beside it."""
    return path.with_name(companion_names(path.name)[0])


def move_to_destination(folder: Path, arrivals: Arrivals, arrival: Arrival, subfolder: Subfolder) -> Path:
    """Move a file and its companion files to a subfolder, under today's date; returns the file's new path."""
    day = Path(subfolder, datetime.now().astimezone().date().isoformat())
    with _moving(working_path(folder, arrival)):
        (folder / day).mkdir(parents=True, exist_ok=True)
    destination = str(day / free_name(folder / day, arrival.name))
    arrivals.set_destination(arrival, destination)
    return finish_move(folder, arrivals, replace(arrival, destination=destination))


def move_edited(folder: Path, path: Path) -> Path:
    """Move results that were changed by hand out of `working`, where other results need their name; the new path."""
    day = folder / FAILED / datetime.now().astimezone().date().isoformat()
    with _moving(path):
        day.mkdir(parents=True, exist_ok=True)
        return path.rename(day / free_name(day, f"{path.stem}-edited{path.suffix}"))


def finish_move(folder: Path, arrivals: Arrivals, arrival: Arrival) -> Path:
    """Move the companion files, then the file, to the recorded destination, unless they are there already."""
    path = folder / str(arrival.destination)
    companions = zip(companion_names(arrival.working_name), companion_names(path.name), strict=True)
    pairs = [*companions, (arrival.working_name, path.name)]
    for old, new in pairs:
        source = folder / WORKING / old
        if os.path.lexists(source):
            with _moving(source):
                path.parent.mkdir(parents=True, exist_ok=True)
                source.rename(path.with_name(new))
                if old == companion_names(arrival.working_name)[0]:
                    arrivals.mark_results_moved(source, path.with_name(new))
    arrivals.mark_moved(arrival)
    return path


def write_reason(folder: Path, arrival: Arrival, problem: str) -> None:
    """Write the reason why a file could not be read to a text file beside it."""
    from bulkload.files.atomic import atomic_write

    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    try:
        with atomic_write(working_path(folder, arrival, REASON_SUFFIX)) as draft:
            draft.write_text(
                f"{arrival.name} could not be read on {now}:\n\n{problem}\n\n"
                f"Nothing was sent. To run the file, put a corrected copy into the folder {folder}.\n",
                encoding="utf-8",
                errors="replace",
            )
    except StoreError as error:
        raise MoveError(str(error)) from error


@contextmanager
def _moving(path: Path) -> Iterator[None]:
    """Raise `MoveError` for a file that cannot be moved."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        where = "" if error.filename in (None, str(path)) else f" ({error.filename})"
        raise MoveError(f"{path.name} cannot be moved: {reason[:1].lower()}{reason[1:]}{where}.") from error
