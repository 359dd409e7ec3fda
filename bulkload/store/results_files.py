"""The results files that were written, so that one that was changed since, by hand perhaps, is recognised.

In: the path of a results file, and its content before it replaces the file there. Out: whether the file there now is
one that was written, and by which run. Paths are relative to the folder of the store where they can be, so that the
folder can be moved.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from bulkload.store.database import Database

WRITTEN_WITHIN = 120.0  # seconds after the end of a run in which its results are written


class Found(Enum):
    """What is at the path of a results file."""

    NOTHING = "nothing"
    WRITTEN = "written"  # a file as it was written
    CHANGED = "changed"  # a file that was written, and changed since
    UNKNOWN = "unknown"  # a file that was not written by a run in this store
    NO_FILE = "no file"  # a folder, a pipe, a link to nothing


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """What is at the path of a results file, and the run that wrote it if that is still in the store."""

    found: Found
    run_number: int = 0
    run_id: str = ""  # empty: not known
    input: str = ""  # of that run


def look_at(store: Database, path: Path) -> ResultsFile:
    """What is at the path of a results file now; a file that cannot be read counts as changed."""
    try:
        if not path.is_file():
            return ResultsFile(Found.NO_FILE if os.path.lexists(path) else Found.NOTHING)
    except OSError:  # reported when the file is written
        return ResultsFile(Found.NOTHING)
    with store.errors():
        written = store.db.execute(
            "SELECT digest, run, id, input FROM results_files LEFT JOIN runs USING (run) WHERE path = ?",
            (_key(store, path),),
        ).fetchall()
    if not written:
        return ResultsFile(Found.WRITTEN if _was_written_before(store, path) else Found.UNKNOWN)
    try:
        digest = _digest(path)
    except OSError:
        return ResultsFile(Found.CHANGED)
    for row in written:
        if row["digest"] == digest:
            return ResultsFile(Found.WRITTEN, row["run"], row["id"] or "", row["input"] or "")
    return ResultsFile(Found.CHANGED)


def note_draft(store: Database, path: Path, draft: Path, run_number: int) -> bytes:
    """Record a draft that is about to replace a results file, and return its digest.

    The digests of earlier content stay: a process that is killed now leaves one file or the other.
    """
    digest = _digest(draft)
    with store.transaction():
        store.db.execute(
            "INSERT OR REPLACE INTO results_files (path, digest, run) VALUES (?, ?, ?)",
            (_key(store, path), digest, run_number),
        )
    return digest


def note_written(store: Database, path: Path, digest: bytes) -> None:
    """Record that the draft with this digest has replaced the file."""
    with store.transaction():
        store.db.execute("DELETE FROM results_files WHERE path = ? AND digest <> ?", (_key(store, path), digest))


def note_moved(store: Database, old: Path, new: Path) -> None:
    """Record that a results file was moved to the place of another."""
    with store.transaction():
        store.db.execute("DELETE FROM results_files WHERE path = ?", (_key(store, new),))
        store.db.execute("UPDATE results_files SET path = ? WHERE path = ?", (_key(store, new), _key(store, old)))


def _was_written_before(store: Database, path: Path) -> bool:
    """True if the file is as a version that recorded no digests wrote it, as far as its time tells."""
    with store.errors():
        calls = store.db.execute(
            "SELECT ended, results, json_extract(settings, '$.results') AS asked FROM calls JOIN runs USING (run)"
            " WHERE call <= (SELECT run FROM results_files WHERE path = '') AND ended IS NOT NULL"
        ).fetchall()
    key = _key(store, path)
    for call in calls:
        named = json.loads(call["results"]) or (call["asked"] or "").splitlines()
        if path.stat().st_mtime <= call["ended"] + WRITTEN_WITHIN and key in {
            _key(store, Path(name)) for name in named
        }:
            return True
    return False


def _key(store: Database, path: Path) -> str:
    """The path as the store has it: relative to its folder, so that both can be moved together."""
    real = os.path.realpath(path)
    try:
        return os.path.relpath(real, os.path.realpath(store.path.parent))
    except ValueError:  # Windows: another drive
        return real


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
