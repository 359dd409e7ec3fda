"""Scan the folder for waiting files, and find names that are free.

In: a folder. Out: the files that are ready, the oldest first, and those that are still being written. A file is ready
if no process has it open and it has not changed for a while, or if two scans find the same size and time. Files are
moved by rename, never copied.
"""

from __future__ import annotations

import os
import re
import stat
import time
import unicodedata
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.files.names import results_name, shorten
from bulkload.inbox.open_files import lock_file_of, open_for_writing
from bulkload.settings import SETTINGS_FILE
from bulkload.store.database import STORE_NAME

WORKING, DONE, FAILED = "working", "done", "failed"
DROPPED_SUFFIX, REASON_SUFFIX = "-gone.csv", "-why.txt"  # of companion files
MAX_EMPTY = 3600.0  # seconds; a file that is empty for longer counts as complete
MAX_STEM = 180  # bytes; leaves room for the suffixes of companion files
STALE_LOCK = 2 * 86_400.0  # seconds; a program that crashed has left an older lock file

_SET_ASIDE = (  # endings of names that programs give to unfinished files, and to former versions
    *(".part", ".partial", ".crdownload", ".opdownload", ".download", ".filepart", ".aria2", ".!ut", ".!qb", ".!sync"),
    *(".incomplete", ".inprogress", ".in_progress", ".uploading", ".upload", ".writing", ".lck"),
    *(".tmp", ".temp", ".swp", ".lock", ".bak", ".old", ".orig", ".xlk", "~"),
)
_OWN_FILES = (STORE_NAME, "sandbox.sqlite3")  # also with the suffixes that SQLite appends
_FOLDER_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"})  # in lower case
_HIDDEN = (".", "~$", *_OWN_FILES)
_AUTOSAVED = re.compile(r"#.+#|.+\.sb-[0-9a-f]{8}-\w{6}", re.DOTALL)  # by Emacs, by programs of macOS
_DATE = re.compile(
    r"(?<!\d)[-_. ]?(?:20\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"  # 2026-03-14, 20260314
    r"|(?:0[1-9]|[12]\d|3[01])(?P<dot>[-_.])(?:0[1-9]|[12]\d|3[01])(?P=dot)20\d{2})"  # 14.03.2026, 03-14-2026
    r"(?:(?![-_. ]00\d\d(?![-_.:]?\d|Z))"  # rather the number of a part, as in 20260314-0001
    r"[-_.T ]?(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d)?|(?P<sep>[-_.:])[0-5]\d(?:(?P=sep)[0-5]\d)?)"  # T0215, 02-15-00
    r"(?:Z|\+\d{2}[-_.:]?\d{2})?)?(?!\d)"
)


@dataclass(frozen=True, slots=True)
class FileState:
    """What shows that a file was written, or replaced by another."""

    size: int
    modified: int  # nanoseconds
    inode: int
    is_regular: bool = True

    def __str__(self) -> str:
        """As text for the store."""
        return f"{self.size}|{self.modified}|{self.inode}"

    @classmethod
    def from_text(cls, text: str) -> FileState:
        """The state of a regular file in the store."""
        size, modified, inode = map(int, text.split("|"))
        return cls(size, modified, inode)

    def has_changed_since(self, earlier: FileState) -> bool:
        """True if it has other content; some network file systems give an unchanged file another inode."""
        return (self.size, self.modified) != (earlier.size, earlier.modified)

    def was_written_since(self, earlier: FileState) -> bool:
        """True if the same file was written, rather than replaced, or given an earlier time."""
        is_same_file = self.is_regular and self.inode == earlier.inode
        return is_same_file and (self.size != earlier.size or self.modified > earlier.modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFiles:
    """The waiting files of a folder."""

    ready: tuple[Path, ...] = ()  # the oldest first
    incomplete: tuple[str, ...] = ()  # names of files that are still being written, or open
    states: Mapping[Path, FileState] = field(default_factory=dict, compare=False)  # of the files that are ready
    locks: Mapping[str, str] = field(default_factory=dict, compare=False)  # incomplete file → its lock file
    stale_locks: Mapping[Path, str] = field(default_factory=dict, compare=False)  # ready file → its lock file


def find_waiting(folder: Path, unchanged_for: float) -> WaitingFiles:
    """Find the waiting files. If some changed less than `unchanged_for` seconds ago, wait that long and scan again."""
    first = _scan(folder)
    now = time.time()
    has_recent = any(not 0 <= unchanged_for <= now - state.modified / 1e9 for state in _candidates(first).values())
    if has_recent and unchanged_for:
        time.sleep(unchanged_for)
    everything = _scan(folder) if has_recent else first
    second = _candidates(everything)
    locks = {name: lock for name in second if (lock := lock_file_of(name, everything)) is not None}
    fresh_locks = {name: lock for name, lock in locks.items() if now - everything[lock].modified / 1e9 < STALE_LOCK}
    written = open_for_writing(folder / name for name, state in second.items() if state.is_regular)
    incomplete = {
        name
        for name, state in second.items()
        if state.is_regular
        and (
            state != first.get(name)
            or (not state.size and now - state.modified / 1e9 < MAX_EMPTY)
            or name in fresh_locks
            or folder / name in written
        )
    }
    ready = sorted((state.modified, name) for name, state in second.items() if name not in incomplete)
    return WaitingFiles(
        ready=tuple(folder / name for _, name in ready),
        incomplete=tuple(sorted(map(safe_name, incomplete))),
        states={folder / name: second[name] for _, name in ready},
        locks={safe_name(name): safe_name(lock) for name, lock in fresh_locks.items()},
        stale_locks={folder / name: safe_name(locks[name]) for _, name in ready if name in locks},
    )


def is_settled(path: Path, unchanged_for: float) -> bool:
    """True if a file in a subfolder is not being written; waits as `find_waiting` does."""
    first = state_of(path)
    if first is None:
        return True
    if not 0 <= unchanged_for <= time.time() - first.modified / 1e9:
        time.sleep(unchanged_for)
    second = state_of(path)
    return second is not None and not second.has_changed_since(first) and not open_for_writing([path])


def state_of(path: Path) -> FileState | None:
    """The state of a file now; None if there is none, or it cannot be looked at."""
    try:
        return _state(path.lstat())
    except OSError:
        return None


def is_candidate(name: str) -> bool:
    """True if the inbox takes files of this name: not those that programs and systems put beside others."""
    lower = name.lower()
    return not (
        name.startswith(_HIDDEN)
        or lower.endswith(_SET_ASIDE)
        or lower in _FOLDER_FILES
        or name in (SETTINGS_FILE, WORKING, DONE, FAILED)
        or _AUTOSAVED.fullmatch(name)
    )


def has_candidates(folder: Path, left: Container[str] = ()) -> bool:
    """True if the folder has a file that the inbox may take, besides those that the last visit `left`."""
    with _entries(folder) as entries:
        return any(is_candidate(entry.name) and entry.name not in left and not _is_folder(entry) for entry in entries)


def is_untouched(folder: Path, store: Path) -> bool:
    """True if no file waits and none was ever taken, so that there is nothing to do; fast."""
    return not has_candidates(folder) and not (store / STORE_NAME).exists() and not files_in(folder / WORKING)


def files_in(folder: Path) -> list[str]:
    """The names of the files in a subfolder, the oldest first; none if the subfolder does not exist."""
    try:
        states = _candidates(_scan(folder))
    except UsageError:
        return []
    return sorted(states, key=lambda name: (states[name].modified, name))


def companion_names(name: str) -> tuple[str, ...]:
    """The names of the companion files of a file: results, dropped monitors, and why it could not be read."""
    stem = Path(name).stem
    return (results_name(name), stem + DROPPED_SUFFIX, stem + REASON_SUFFIX)


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
    try:
        os.fsencode(text)
    except UnicodeEncodeError:  # in a locale whose encoding lacks some of its characters
        text = "".join(char if char.isascii() else "_" for char in text)
    path = Path(text)
    stem, suffix = path.stem, path.suffix
    if len(suffix.encode()) > MAX_STEM // 4:
        stem, suffix = text, ""
    return shorten(stem, MAX_STEM) + suffix


def recurring_name(name: str) -> str:
    """The name without a date, which all versions of a recurring file share."""
    path = Path(os.fsencode(name).decode("utf-8", "backslashreplace"))
    stem, dates = _DATE.subn("", path.stem)
    stem = stem.strip("-_. ")
    return stem + path.suffix if dates and stem else path.name


def has_earlier_date(name: str, other: str) -> bool:
    """True if both names have a date, and the first one's is earlier, as far as both are given."""
    date, other_date = _date_digits(name), _date_digits(other)
    length = min(len(date), len(other_date))
    return date[:length] < other_date[:length]


def _date_digits(name: str) -> str:
    """The digits of the date in a name, and of its time; none if the order of day and month is not certain."""
    match = _DATE.search(name)
    return "" if match is None or match["dot"] else re.sub(r"\+.*|\D", "", match[0])


def _scan(folder: Path) -> dict[str, FileState]:
    """All files of a folder, by name."""
    states = {}
    with _entries(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError:  # reported when the file is taken
                states[entry.name] = FileState(0, 0, 0, is_regular=False)
                continue
            if not stat.S_ISDIR(status.st_mode):
                states[entry.name] = _state(status)
    return states


def _candidates(states: Mapping[str, FileState]) -> dict[str, FileState]:
    return {name: state for name, state in states.items() if is_candidate(name)}


def _state(status: os.stat_result) -> FileState:
    return FileState(status.st_size, status.st_mtime_ns, status.st_ino, stat.S_ISREG(status.st_mode))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


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
