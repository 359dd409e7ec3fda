"""The lock of a run store: one process at a time, which notices if it loses the lock.

In: the path of an open store. Out: a `StoreLock`, which the operating system releases when the process ends. A lock
file can be deleted, and some file systems cannot lock folders; so both are locked, and before each create the holder
checks that lock file and store are still the files in the folder.
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
WAL_SUFFIX = "-wal"  # may hold the only copy of what was committed; SQLite keeps it while a store is open

FileId = tuple[int, int]


class LockedByAnother(Locked):
    """Another process holds the lock of the store."""


def file_id(path: Path) -> FileId | None:
    """Which file is at a path now, as device and inode; None if there is none or it cannot be read."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def lock_file(path: Path, message: str) -> FileLock:
    """Lock a file, which is made if there is none, until `release()` or the end of the process.

    Raises `Locked` with this message if another process holds the lock, and `StoreError`.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(str(path))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise LockedByAnother(message) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be locked: {error.strerror}.") from error
    return lock


def is_locked(path: Path) -> bool:
    """True if a process holds the lock of the store at a path; the lock file stays as it is."""
    real = path.resolve()
    lock_path = real.with_name(real.name + LOCK_SUFFIX)
    if not lock_path.is_file():
        return False
    if sys.platform == "win32":
        try:
            lock_file(lock_path, "").release()
        except (Locked, StoreError):
            return True
        return False
    import fcntl

    try:
        descriptor = os.open(lock_path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


class StoreLock:
    """The lock of a store, held by this process. Its `token` in the store shows whether another process took over."""

    def __init__(self, path: Path, opened: FileId | None) -> None:
        """Lock the store at a path; `opened` is the file that was opened there. Raises `Locked` or `StoreError`."""
        self.token = uuid.uuid4().hex
        self._path = path
        self._opened = opened
        real = path.resolve()  # the same lock file by whatever path the store is reached
        self._lock_path = real.with_name(real.name + LOCK_SUFFIX)
        self._wal_path = real.with_name(real.name + WAL_SUFFIX)
        self._lock: FileLock | None = None
        self._folder: int | None = None  # file descriptor
        try:
            self._lock = lock_file(self._lock_path, f"Another run is using {self._path}.")
            self._lock_folder(real.parent)
            self._locked = file_id(self._lock_path)
            self._wal = file_id(self._wal_path)  # None: SQLite cannot use one on this file system
            if opened is None or self._locked is None or file_id(path) != opened:
                raise Locked(f"{path} was moved, deleted or replaced while it was being locked; try again.")
            if path.stat().st_nlink > 1:
                raise StoreError(
                    f"{path} has a second name (a hard link), by which another run could use it at the same time"
                    " unnoticed. Remove the other name, or replace it with a copy of the file."
                )
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock."""
        if self._folder is not None:
            folder, self._folder = self._folder, None
            with contextlib.suppress(OSError):
                os.close(folder)
        if self._lock is not None:
            self._lock.release()

    def describe_loss(self) -> str | None:
        """What happened to the files, as the beginning of a sentence; None if they are unchanged."""
        if file_id(self._path) != self._opened:
            return f"The run store {self._path} was moved, deleted or replaced"
        if file_id(self._lock_path) != self._locked:
            return f"The lock file {self._lock_path} was deleted or replaced"
        if self._wal is not None and file_id(self._wal_path) != self._wal:
            return f"{self._wal_path}, part of the run store, was moved, deleted or replaced"
        return None

    def _lock_folder(self, folder: Path) -> None:
        """Lock the folder, which cannot be deleted unnoticed. Where that is impossible, only the lock file is used.

        The store itself is not locked: closing a second descriptor of it would release SQLite's own locks.
        """
        if sys.platform == "win32":
            return
        import fcntl

        with contextlib.suppress(OSError):
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # not inherited by child processes
        if self._folder is None:
            return
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedByAnother(f"Another run is using {self._path}: it has locked the folder.") from None
        except OSError:  # not supported, as on many network file systems
            pass
