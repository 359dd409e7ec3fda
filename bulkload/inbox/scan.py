"""Scan the folder for waiting files, and find names that are free.

In: a folder. Out: the files that are ready, the oldest first, and those that are still being written. A file is ready
if it has not changed for a while, or if two scans find the same size and time. Files are moved by rename, never copied.
"""

from __future__ import annotations

import os
import re
import stat
import time
import unicodedata
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.settings import SETTINGS_FILE
from bulkload.store.database import STORE_NAME

WORKING, DONE, FAILED = "working", "done", "failed"
RESULTS_SUFFIX, DROPPED_SUFFIX, REASON_SUFFIX = "-results.xlsx", "-gone.csv", "-why.txt"  # of companion files
MAX_EMPTY = 3600.0  # seconds; a file that is empty for longer counts as complete
MAX_STEM = 180  # bytes; leaves room for the suffixes of companion files

_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".temp", ".swp", ".lock", "~")
_OWN_FILES = (STORE_NAME, "sandbox.sqlite3")  # also with the suffixes that SQLite appends
_DATE = re.compile(
    r"(?<!\d)[-_. ]?20\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"  # 2026-03-14, 20260314
    r"(?:[-_.T ]?\d{2}[-_.:]?\d{2}(?:[-_.:]?\d{2})?Z?)?(?!\d)"  # T0215, 02-15-00
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFiles:
    """The waiting files of a folder."""

    ready: tuple[Path, ...] = ()  # the oldest first
    incomplete: tuple[str, ...] = ()  # names of files that are still being written


@dataclass(frozen=True, slots=True)
class _FileState:
    size: int
    modified: int  # nanoseconds
    inode: int
    is_regular: bool


def find_waiting(folder: Path, unchanged_for: float) -> WaitingFiles:
    """Find the waiting files. If some changed less than `unchanged_for` seconds ago, wait that long and scan again."""
    first = _scan(folder)
    now = time.time()
    has_recent = any(not 0 <= unchanged_for <= now - state.modified / 1e9 for state in first.values())
    if has_recent and unchanged_for:
        time.sleep(unchanged_for)
    second = _scan(folder) if has_recent else first
    incomplete = {
        name
        for name, state in second.items()
        if state.is_regular
        and (
            state != first.get(name)
            or (not state.size and now - state.modified / 1e9 < MAX_EMPTY)
            or _is_open(folder, name)
        )
    }
    ready = sorted((state.modified, name) for name, state in second.items() if name not in incomplete)
    return WaitingFiles(
        ready=tuple(folder / name for _, name in ready), incomplete=tuple(sorted(map(safe_name, incomplete)))
    )


def is_candidate(name: str) -> bool:
    """True if the inbox takes files of this name."""
    return not (
        name.startswith((".", "~$", *_OWN_FILES)) or name.lower().endswith(_UNFINISHED) or name == SETTINGS_FILE
    )


def has_candidates(folder: Path) -> bool:
    """True if the folder has a file that the inbox may take."""
    with _entries(folder) as entries:
        return any(is_candidate(entry.name) and not entry.is_dir(follow_symlinks=False) for entry in entries)


def is_untouched(folder: Path, store: Path) -> bool:
    """True if no file waits and none was ever taken, so that there is nothing to do; fast."""
    return not has_candidates(folder) and not (store / STORE_NAME).exists() and not files_in(folder / WORKING)


def files_in(folder: Path) -> list[str]:
    """The names of the files in a subfolder, the oldest first; none if the subfolder does not exist."""
    try:
        states = _scan(folder)
    except UsageError:
        return []
    return sorted(states, key=lambda name: (states[name].modified, name))


def companion_names(name: str) -> tuple[str, ...]:
    """The names of the companion files of a file: results, dropped monitors, and why it could not be read."""
    stem = Path(name).stem
    return tuple(stem + suffix for suffix in (RESULTS_SUFFIX, DROPPED_SUFFIX, REASON_SUFFIX))


def free_name(folder: Path, name: str, reserved: Container[str] = ()) -> str:
    """The name of a file, numbered if necessary, so that it and its companion files replace no existing file."""
    clean = safe_name(name)
    for number in count(1):
        path = Path(clean)
        candidate = clean if number == 1 else f"{path.stem}-{number}{path.suffix}"
        names = (candidate, *companion_names(candidate))
        if not any(name in reserved or os.path.lexists(folder / name) for name in names):
            return candidate
    raise AssertionError("unreachable: count() never ends")


def safe_name(name: str) -> str:
    """A name that can be stored, shown and extended by a suffix: valid, printable text of limited length."""
    text = os.fsencode(name).decode("utf-8", "replace")
    text = "".join("_" if unicodedata.category(char)[0] == "C" or char == "�" else char for char in text)
    path = Path(text)
    stem, suffix = path.stem, path.suffix
    if len(suffix.encode()) > MAX_STEM // 4:
        stem, suffix = text, ""
    return stem.encode()[:MAX_STEM].decode("utf-8", "ignore") + suffix


def recurring_name(name: str) -> str:
    """The name without a date, which all versions of a recurring file share."""
    path = Path(name)
    stem, dates = _DATE.subn("", path.stem)
    stem = stem.strip("-_. ")
    return stem + path.suffix if dates and stem else name


def is_regular_file(path: Path) -> bool:
    """True for a regular file. A link may point to any file, and reading a pipe may never end."""
    return stat.S_ISREG(path.lstat().st_mode)


def _scan(folder: Path) -> dict[str, _FileState]:
    states = {}
    with _entries(folder) as entries:
        for entry in entries:
            if not is_candidate(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                states[entry.name] = _FileState(
                    status.st_size, status.st_mtime_ns, status.st_ino, stat.S_ISREG(status.st_mode)
                )
    return states


def _is_open(folder: Path, name: str) -> bool:
    """True if a spreadsheet program has the file open, according to its lock file beside the file."""
    return any((folder / lock).exists() for lock in (f"~${name}", f"~${name[2:]}", f".~lock.{name}#"))


@contextmanager
def _entries(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except FileNotFoundError:
        raise UsageError(f"There is no folder {folder}.") from None
    except NotADirectoryError:
        raise UsageError(f"{folder} is a file, not a folder.") from None
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be read: {error.strerror}.") from error
