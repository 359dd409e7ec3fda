"""Ends a process at the n-th of its durable steps: a statement of its store begins, or a file changes its place.

In: a number. Out: a process that is killed right before that step, so that all earlier ones are done and this one is
not. Nothing of the program is replaced: SQLite says what it begins, and Python's audit hooks say what happens to files.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_EVENTS = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree")
QUIET = ("SELECT", "--")  # statements that change nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """Called at the start of a process; `at` counts from 1, and 0 only writes the steps down."""

    at: int
    trace: Path | None = None

    def __call__(self) -> None:
        """Watch SQLite and the files."""
        steps = _Steps(self.at, self.trace)
        connect = sqlite3.connect

        def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            database: sqlite3.Connection = connect(*args, **kwargs)
            database.set_trace_callback(steps.statement)
            return database

        sqlite3.connect = watched  # type: ignore[assignment]
        sys.addaudithook(steps.event)


class _Steps:
    def __init__(self, at: int, trace: Path | None) -> None:
        self._left = at
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if trace else None

    def statement(self, sql: str) -> None:
        if not sql.startswith(QUIET):
            self._step(" ".join(sql.split())[:80])

    def event(self, name: str, details: tuple[Any, ...]) -> None:
        if name in FILE_EVENTS:
            self._step(f"{name} {details[:2]}")
        elif name == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR):
            self._step(f"open {details[0]}")

    def _step(self, words: str) -> None:
        if self._trace is not None:
            os.write(self._trace, f"{words}\n".encode())
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
