"""Writing a file whole or not at all.

In: the path that a file shall have. Out: a path to write to, which takes the wanted place only when all went well.
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
    """Give a draft beside `path`; leaving the block well puts it in place, leaving it badly removes it.

    The draft is alone in a folder of its own, so that a writer may keep scratch files next to it, and so that
    it gets the permissions of a new file. `advice` ends the sentence that a user reads when writing fails.
    """
    target = Path(os.path.realpath(path))  # a link stays a link, as it would with a plain open
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
    """Wait until a file's content is on disk, so that the rename can never be there before it."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _reason(error: OSError) -> str:
    """Say in plain words what the operating system objected to."""
    if isinstance(error, PermissionError):
        return "the folder or the file may not be written, or another program has it open"
    if isinstance(error, IsADirectoryError):
        return "a folder has that name"
    if isinstance(error, NotADirectoryError | FileExistsError):
        return "a part of that path is a file, not a folder"
    words = error.strerror or str(error) or type(error).__name__
    return words[:1].lower() + words[1:]
