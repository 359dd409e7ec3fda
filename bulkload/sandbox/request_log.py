"""What was asked of the stand-in and what it really did: a ring in memory, and lines of JSON in a file.

An entry is made of chosen fields only, so no password, token or whole body can get in.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One request, or a create without an answer: one that came late, or one whose answer a gateway threw away."""

    at: float  # monotonic seconds, when the request arrived
    wall: float  # seconds since 1970
    operation: str  # login, list, get, create, patch, delete, other, late-commit, lost-create
    method: str
    path: str
    status: int  # what was answered; 0: nothing
    fault: str = ""  # "rate-limit", or the name of the fault that struck
    name: str = ""  # of the monitor, for a create
    host: str = ""
    id: int | None = None  # of the monitor made, changed or removed
    committed: bool = False  # the account was changed


class RequestLog:
    """The last requests, how many there were of each operation, and the file they are written to."""

    def __init__(self, *, size: int, file: Path | None) -> None:
        self._ring: deque[LogEntry] = deque(maxlen=size)
        self._counts: Counter[str] = Counter()
        # Line buffered: a killed process loses no line that was written.
        self._file: IO[str] | None = file.open("a", buffering=1, encoding="utf-8") if file else None

    def add(self, entry: LogEntry) -> None:
        """Note one request."""
        self._ring.append(entry)
        self._counts[entry.operation] += 1
        if entry.operation in ("create", "late-commit", "lost-create") and entry.committed:
            self._counts["created"] += 1
        if entry.status == 429:
            self._counts["throttled"] += 1
        if self._file:
            self._file.write(json.dumps(asdict(entry)) + "\n")

    def entries(self) -> list[LogEntry]:
        """The requests still in memory, in the order in which their fate was decided."""
        return list(self._ring.copy())  # the copy is one step, so that another thread may ask

    def counts(self) -> dict[str, int]:
        """How many requests of each operation, and how many monitors were `created`, requests `throttled`."""
        return dict(self._counts.copy())

    def clear(self) -> None:
        """Forget the requests and start counting anew; the file keeps its lines."""
        self._ring.clear()
        self._counts.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
