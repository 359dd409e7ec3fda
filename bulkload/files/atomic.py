"""Write a file completely or not at all.

In: the path of the file. Out: the path of a draft, which replaces the file only if writing succeeds.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkload.errors import StoreError


@contextmanager
def atomic_write(path: Path, *, advice: str = "") -> Iterator[Path]:
    """Yield a draft beside `path`; it replaces the file when the block ends, and is removed if the block raises.

    The draft has a temporary folder of its own: a writer can keep scratch files next to it, and it gets the permissions
    of a new file. Raises `StoreError` if the file cannot be written; `advice` is appended to its message.
    """
    target = Path(os.path.realpath(path))  # a symbolic link stays a link, as with open()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".bulkload-", dir=target.parent, ignore_cleanup_errors=True) as folder:
            draft = Path(folder) / f"draft{target.suffix}"
            yield draft
            _flush(draft)
            draft.replace(target)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {_reason(error)}{advice}.") from error


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
