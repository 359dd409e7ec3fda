"""Write a file completely or not at all.

In: the path of the file. Out: the path of a draft, which replaces the file only if writing succeeds.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkload.errors import StoreError

LEAST_FREE = 1 << 18  # bytes that have to be free for a file


@contextmanager
def atomic_write(path: Path, *, advice: str = "") -> Iterator[Path]:
    """Yield a draft beside `path`; it replaces the file when the block ends, and is removed if the block raises.

    The draft has a temporary folder of its own: a writer can keep scratch files next to it, and it gets the permissions
    of a new file. Raises `StoreError` if the file cannot be written; `advice` is appended to its message.
    """
    with _errors(path, advice), _draft(path) as (draft, target):
        yield draft
        _flush(draft)
        draft.replace(target)


def check_writable(path: Path, *, size: int = 0) -> None:
    """Raise `StoreError` if a file of this size could not be written at `path` now. Nothing there is changed."""
    with _errors(path), _draft(path) as (draft, target):
        with draft.open("wb") as file:
            _reserve(file.fileno(), max(size, LEAST_FREE))
        if target.exists():
            _check_replaceable(target)


def is_special(path: Path) -> bool:
    """True for a pipe, a device or a socket: reading it may never end, and replacing it is a mistake."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _draft(path: Path) -> Iterator[tuple[Path, Path]]:
    """The path of a draft in a temporary folder, and that of the file that it will replace."""
    target = Path(os.path.realpath(path))  # a symbolic link stays a link, as with open()
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError
    if is_special(target):
        raise OSError("it is a pipe or a device")
    with tempfile.TemporaryDirectory(prefix=".bulkload-", dir=target.parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder) / f"draft{target.suffix}", target


@contextmanager
def _errors(path: Path, advice: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {_reason(error)}{advice}.") from error


def _reserve(file: int, size: int) -> None:
    """Raise `OSError` if the disk is full."""
    if sys.platform == "linux":
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV):
                raise
        else:
            return
    os.write(file, bytes(LEAST_FREE))


def _check_replaceable(target: Path) -> None:
    """Raise `OSError` if another file cannot take the place of this one."""
    if sys.platform == "win32":
        target.open("r+b").close()  # not while a spreadsheet program has it open
        return
    folder, user = target.parent.stat(), os.geteuid()
    if folder.st_mode & stat.S_ISVTX and user not in (0, folder.st_uid, target.stat().st_uid):
        raise PermissionError("the folder lets only the owner of a file replace it")


def _flush(path: Path) -> None:
    """Flush a file's content to disk, so that the rename can never reach the disk first."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _reason(error: OSError) -> str:
    """Return the reason for an error of the operating system in plain English."""
    if isinstance(error, PermissionError):
        return "permission denied, or another program has the file open"
    if isinstance(error, IsADirectoryError):
        return "a folder has that name"
    if isinstance(error, NotADirectoryError | FileExistsError):
        return "a part of the path is a file, not a folder"
    message = error.strerror or str(error) or type(error).__name__
    return message[:1].lower() + message[1:]
