"""The lock of a run store: one process at a time, which notices if it loses the lock.

In: the path of a store that is open. Out: a `Hold`, which the operating system drops with the process. A lock file can
be deleted, and a folder cannot be locked everywhere; so both are locked, and the holder checks both again before
each create whether its files are still the ones in the folder.
"""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import Locked, StoreError

if TYPE_CHECKING:
    from filelock import FileLock

LOCK_SUFFIX = ".lock"
WAL_SUFFIX = "-wal"  # what was committed may be in there only; SQLite leaves it in place as long as a store is open

Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """Which file is at a path now; None: none that can be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Hold:
    """A store held by this process; `token` is written into it, so that the next holder shows."""

    def __init__(self, path: Path, opened: Identity | None) -> None:
        """Take the store at a path, which was this file when it was opened. Raises `Locked` or `StoreError`."""
        self.token = uuid.uuid4().hex
        self._path = path
        self._opened = opened
        real = path.resolve()  # so that every way to the store meets the same lock
        self._lock_path = real.with_name(real.name + LOCK_SUFFIX)
        self._wal_path = real.with_name(real.name + WAL_SUFFIX)
        self._lock: FileLock | None = None
        self._folder: int | None = None  # file descriptor
        try:
            self._lock_file()
            self._lock_folder(real.parent)
            self._locked = identity(self._lock_path)
            self._wal = identity(self._wal_path)  # None: a file system on which SQLite cannot use one
            if opened is None or self._locked is None or identity(path) != opened:
                raise Locked(f"{path} was moved, deleted or replaced just now; try again.")
            if path.stat().st_nlink > 1:
                raise StoreError(
                    f"{path} has a second name in some folder (a hard link); two runs could use it without seeing each"
                    " other. Remove the other name, or put a copy of the file in its place."
                )
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others have it."""
        if self._folder is not None:
            folder, self._folder = self._folder, None
            with contextlib.suppress(OSError):
                os.close(folder)
        if self._lock is not None:
            self._lock.release()

    def lost(self) -> str | None:
        """What happened to the files, as the begin of a sentence; None: they are as they were."""
        if identity(self._path) != self._opened:
            return f"The run store {self._path} was moved, deleted or replaced"
        if identity(self._lock_path) != self._locked:
            return f"The lock file {self._lock_path} was deleted or replaced"
        if self._wal is not None and identity(self._wal_path) != self._wal:
            return f"{self._wal_path}, a part of the run store, was moved, deleted or replaced"
        return None

    def _lock_file(self) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(str(self._lock_path))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Locked(f"Another run is using {self._path}.") from None
        except OSError as error:
            raise StoreError(f"{self._lock_path} cannot be locked: {error.strerror}.") from error

    def _lock_folder(self, folder: Path) -> None:
        """Lock the folder, which cannot be deleted unnoticed. Where that is impossible, the lock file must suffice.

        Not the store itself: closing a second descriptor of it would drop SQLite's own locks.
        """
        if sys.platform == "win32":
            return
        import fcntl

        with contextlib.suppress(OSError):
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # not inherited by other programs
        if self._folder is None:
            return
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"Another run is using {self._path}: it has locked the folder.") from None
        except OSError:  # many network file systems
            pass
