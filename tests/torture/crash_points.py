"""Kills a process before its n-th durable step, a step being a change of its store or of a file.

In: the number of the step. Out: a process that receives SIGKILL right before that step. The program itself is not
modified: SQLite reports each statement to a trace callback, and Python reports file operations to an audit hook.
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
READ_ONLY = ("SELECT", "--")  # statements that change nothing, and comments


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPoint:
    """A start hook for a process that kills it at a step."""

    step: int  # counts from 1; 0: do not kill
    trace: Path | None = None  # the file to write the steps to, one per line

    def __call__(self) -> None:
        """Count the steps of this process, and kill it at the chosen one."""
        steps = _StepCounter(self.step, self.trace)
        connect = sqlite3.connect

        def connect_with_trace(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            database: sqlite3.Connection = connect(*args, **kwargs)
            database.set_trace_callback(steps.statement)
            return database

        sqlite3.connect = connect_with_trace  # type: ignore[assignment]
        sys.addaudithook(steps.event)


class _StepCounter:
    def __init__(self, step: int, trace: Path | None) -> None:
        self._steps_left = step
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if trace else None

    def statement(self, sql: str) -> None:
        if not sql.startswith(READ_ONLY):
            self._step(" ".join(sql.split())[:80])

    def event(self, name: str, details: tuple[Any, ...]) -> None:
        if name in FILE_EVENTS:
            self._step(f"{name} {details[:2]}")
        elif name == "open" and isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR):
            self._step(f"open {details[0]}")

    def _step(self, description: str) -> None:
        if self._trace is not None:
            os.write(self._trace, f"{description}\n".encode())
        self._steps_left -= 1
        if self._steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
