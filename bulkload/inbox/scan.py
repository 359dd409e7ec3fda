"""The folder itself: which files wait, and which names are free. Files are moved by rename, never copied.

In: a folder. Out: the files that are ready, the oldest first, and those that are still being written. A file is ready
if it has not changed for a while, or if two looks at it show the same size and time.
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
from bulkload.store.runs import STORE_NAME

WORKING, DONE, FAILED = "working", "done", "failed"
RESULTS, GONE, WHY = "-results.xlsx", "-gone.csv", "-why.txt"  # behind the stem of a file: what lies beside it
EMPTY_FOR = 3600.0  # seconds that a file may be empty before it counts as whole
LONGEST_STEM = 180  # bytes; leaves room for what lies beside a file

_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".temp", ".swp", ".lock", "~")
_OURS = (STORE_NAME, "sandbox.sqlite3")  # with whatever SQLite puts behind these names
_DATE = re.compile(
    r"(?<!\d)[-_. ]?20\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"  # 2026-03-14, 20260314
    r"(?:[-_.T ]?\d{2}[-_.:]?\d{2}(?:[-_.:]?\d{2})?Z?)?(?!\d)"  # T0215, 02-15-00
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a look at a folder finds."""

    ready: tuple[Path, ...] = ()  # the oldest first
    unsettled: tuple[str, ...] = ()  # names of files that are still being written


@dataclass(frozen=True, slots=True)
class _Look:
    size: int
    modified: int  # nanoseconds
    inode: int
    regular: bool


def waiting(folder: Path, unchanged_for: float) -> Waiting:
    """Look for files. If some changed less than `unchanged_for` seconds ago, wait that long and look again."""
    first = _look(folder)
    now = time.time()
    young = {name for name, look in first.items() if not 0 <= unchanged_for <= now - look.modified / 1e9}
    if young and unchanged_for:
        time.sleep(unchanged_for)
    second = _look(folder) if young else first
    unsettled = {
        name
        for name, look in second.items()
        if look.regular
        and (
            look != first.get(name)
            or (not look.size and now - look.modified / 1e9 < EMPTY_FOR)
            or _is_open(folder, name)
        )
    }
    ready = sorted((look.modified, name) for name, look in second.items() if name not in unsettled)
    return Waiting(ready=tuple(folder / name for _, name in ready), unsettled=tuple(sorted(map(tidy, unsettled))))


def is_candidate(name: str) -> bool:
    """True for the name of a file that the inbox would take."""
    return not (name.startswith((".", "~$", *_OURS)) or name.lower().endswith(_UNFINISHED) or name == SETTINGS_FILE)


def has_candidates(folder: Path) -> bool:
    """True if there is anything to look at more closely."""
    with _scanned(folder) as entries:
        return any(is_candidate(entry.name) and not entry.is_dir(follow_symlinks=False) for entry in entries)


def is_untouched(folder: Path, store: Path) -> bool:
    """True if nothing waits and nothing was ever taken, so that there is nothing to do; quick."""
    return not has_candidates(folder) and not (store / STORE_NAME).exists() and not left_in(folder / WORKING)


def left_in(folder: Path) -> list[str]:
    """The names of the files in a folder of ours, the oldest first; none if there is no such folder."""
    try:
        found = _look(folder)
    except UsageError:
        return []
    return sorted(found, key=lambda name: (found[name].modified, name))


def beside(name: str) -> tuple[str, ...]:
    """The names of what may lie beside a file once it was taken."""
    stem = Path(name).stem
    return tuple(stem + ending for ending in (RESULTS, GONE, WHY))


def free_name(folder: Path, name: str, reserved: Container[str] = ()) -> str:
    """A name for a file, the wanted one if possible, so that neither it nor what will lie beside it is there yet."""
    clean = tidy(name)
    for number in count(1):
        path = Path(clean)
        found = clean if number == 1 else f"{path.stem}-{number}{path.suffix}"
        if not any(other in reserved or os.path.lexists(folder / other) for other in (found, *beside(found))):
            return found
    raise AssertionError("there is always a higher number")


def tidy(name: str) -> str:
    """A name that can be stored, shown and made longer: printable, valid text, not too long."""
    text = os.fsencode(name).decode("utf-8", "replace")
    text = "".join("_" if unicodedata.category(sign)[0] == "C" or sign == "�" else sign for sign in text)
    path = Path(text)
    stem, suffix = path.stem, path.suffix
    if len(suffix.encode()) > LONGEST_STEM // 4:
        stem, suffix = text, ""
    return stem.encode()[:LONGEST_STEM].decode("utf-8", "ignore") + suffix


def recurring_name(name: str) -> str:
    """The name that all versions of a recurring file share: without a date in it."""
    path = Path(name)
    stem, dates = _DATE.subn("", path.stem)
    stem = stem.strip("-_. ")
    return stem + path.suffix if dates and stem else name


def is_plain(path: Path) -> bool:
    """True for a regular file; a link could lead anywhere, and a pipe would never end."""
    return stat.S_ISREG(path.lstat().st_mode)


def _look(folder: Path) -> dict[str, _Look]:
    found = {}
    with _scanned(folder) as entries:
        for entry in entries:
            if not is_candidate(entry.name):
                continue
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(seen.st_mode):
                found[entry.name] = _Look(seen.st_size, seen.st_mtime_ns, seen.st_ino, stat.S_ISREG(seen.st_mode))
    return found


def _is_open(folder: Path, name: str) -> bool:
    """True if a spreadsheet program has the file open, by the lock file that it puts beside it."""
    return any((folder / lock).exists() for lock in (f"~${name}", f"~${name[2:]}", f".~lock.{name}#"))


@contextmanager
def _scanned(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except FileNotFoundError:
        raise UsageError(f"There is no folder {folder}.") from None
    except NotADirectoryError:
        raise UsageError(f"{folder} is a file; a folder is needed.") from None
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be read: {error.strerror}.") from error
