"""Moves of files through the folder; each is recorded in the store so that it can be finished.

In: a waiting file, or a file at work and the subfolder it belongs in. Out: its next path. Taking a file is recorded
after the rename, since an unrecorded file is found in the folder; its last place is recorded before, since it must not
change.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bulkload.errors import StoreError
from bulkload.inbox.records import PlaceName
from bulkload.inbox.scan import WHY, WORKING, beside, free_name, left_in, recurring_name, tidy
from bulkload.store.arrivals import Arrival, Arrivals

_DRAFTS = ".bulkload-*"  # folders that a killed process leaves when it writes results


def take(folder: Path, arrivals: Arrivals, path: Path) -> Arrival | None:
    """Move a waiting file to the files at work; None if it was removed meanwhile."""
    with _moving():
        (folder / WORKING).mkdir(exist_ok=True)
        working = free_name(folder / WORKING, path.name, _reserved_names(arrivals))
        try:
            path.rename(folder / WORKING / working)
        except FileNotFoundError:
            return None
    name = tidy(path.name)
    return arrivals.enter(name, recurring_name(name), working)


def adopt(folder: Path, arrivals: Arrivals) -> None:
    """Record files that a killed call took without recording them, and remove its half-written results."""
    for draft in (folder / WORKING).glob(_DRAFTS):
        shutil.rmtree(draft, ignore_errors=True)
    for name in left_in(folder / WORKING):
        if name not in _reserved_names(arrivals):
            working = name
            if name != tidy(name):
                working = free_name(folder / WORKING, name, _reserved_names(arrivals))
                with _moving():
                    (folder / WORKING / name).rename(folder / WORKING / working)
            arrivals.enter(working, recurring_name(working), working)


def _reserved_names(arrivals: Arrivals) -> set[str]:
    """Names in the folder of files at work that are taken."""
    return {name for arrival in arrivals.open() for name in (arrival.working, *beside(arrival.working))}


def at_work(folder: Path, arrival: Arrival, ending: str = "") -> Path:
    """Where a file is while it is worked on, or what lies beside it with an ending behind its stem."""
    path = folder / WORKING / arrival.working
    return path.with_name(path.stem + ending) if ending else path


def put_away(folder: Path, arrivals: Arrivals, arrival: Arrival, place_name: PlaceName) -> Path:
    """Put a file and what lies beside it in its subfolder under today's date; returns its last place."""
    day = Path(place_name, datetime.now().astimezone().date().isoformat())
    with _moving():
        (folder / day).mkdir(parents=True, exist_ok=True)
    place = str(day / free_name(folder / day, arrival.name))
    arrivals.decide(arrival, place)
    return finish(folder, arrivals, replace(arrival, place=place))


def finish(folder: Path, arrivals: Arrivals, arrival: Arrival) -> Path:
    """Move a file, after the files beside it, to the recorded place; what has been moved already stays."""
    place = folder / str(arrival.place)
    pairs = [*zip(beside(arrival.working), beside(place.name), strict=True), (arrival.working, place.name)]
    for old, new in pairs:
        source = folder / WORKING / old
        if os.path.lexists(source):
            with _moving():
                place.parent.mkdir(parents=True, exist_ok=True)
                source.rename(place.with_name(new))
    arrivals.close(arrival)
    return place


def write_why(folder: Path, arrival: Arrival, problem: str) -> None:
    """Write beside a file why it could not be read."""
    from bulkload.files.atomic import atomic_write

    when = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    with atomic_write(at_work(folder, arrival, WHY)) as draft:
        draft.write_text(
            f"{arrival.name} could not be read on {when}:\n\n{problem}\n\n"
            f"Nothing of it was sent. Put a corrected file into {folder} to have it run.\n",
            encoding="utf-8",
            errors="replace",
        )


@contextmanager
def _moving() -> Iterator[None]:
    """Turn the error of a file that cannot be moved into a `StoreError`."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be moved or made: {error.strerror}.") from error
