"""Find which files are open elsewhere: in processes that write them, and in spreadsheet programs.

In: files of one folder, and the names beside them. Out: those that are open for writing, and the lock files of
spreadsheet programs. Linux shows the open files of processes of the same user, and to root those of all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_PROCESSES = Path("/proc")


def open_for_writing(paths: Iterable[Path]) -> set[Path]:
    """Those of the files that a process has open for writing, as far as the system shows it."""
    wanted = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.lstat()
            wanted[status.st_dev, status.st_ino] = path
    if not wanted or sys.platform != "linux":
        return set()
    names = {path.name for path in wanted.values()}
    found = set()
    for link in _descriptors():
        with contextlib.suppress(OSError):  # closed meanwhile, or the process has ended
            # By name first: looking at a file of a network folder that is gone could take forever
            if link.readlink().name not in names:
                continue
            status = link.stat()
            opened = wanted.get((status.st_dev, status.st_ino))
            if opened is not None and _may_write(link.parent.parent / "fdinfo" / link.name):
                found.add(opened)
    return found


def lock_file_of(name: str, names: Mapping[str, object]) -> str | None:
    """The lock file that Excel, Word or LibreOffice has put beside an open file; `names` are those of the folder."""
    candidates = [f"~${name}", f".~lock.{name}#"]
    if name[2:] not in names:  # for long names, the two characters replace the first two of the name
        candidates.append(f"~${name[2:]}")
    return next((candidate for candidate in candidates if candidate in names), None)


def _descriptors() -> Iterator[Path]:
    """The links to the open files of each process that may be looked at."""
    with contextlib.suppress(OSError):
        for process in _PROCESSES.iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    yield from (process / "fd").iterdir()


def _may_write(description: Path) -> bool:
    for line in description.read_text("ascii", "replace").splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False
