"""The log of requests and their real effects: the last ones in memory, and all as lines of JSON in a file.

In: `LogEntry`s. Out: the entries, and counts of them. An entry has only selected fields, so that no password, token or
body is logged.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One request; or a create without a response of its own: a late one, or one whose response a gateway lost."""

    at: float  # monotonic seconds, when the request arrived
    wall: float  # seconds since 1970
    operation: str  # login, list, get, create, patch, delete, recipients, groups, other, late-commit, lost-create
    method: str
    path: str
    status: int  # of the response; 0: no response
    fault: str = ""  # "rate-limit", or the name of the fault that was applied
    name: str = ""  # of the monitor, for a create
    host: str = ""
    id: int | None = None  # of the monitor that was created, changed or deleted
    committed: bool = False  # the account was changed


class RequestLog:
    """The last requests, the number of requests of each operation, and the log file."""

    def __init__(self, *, size: int, file: Path | None) -> None:
        self._ring: deque[LogEntry] = deque(maxlen=size)
        self._counts: Counter[str] = Counter()
        # Line buffered: a killed process loses no line that was written.
        self._file: IO[str] | None = file.open("a", buffering=1, encoding="utf-8") if file else None

    def add(self, entry: LogEntry) -> None:
        """Log one request."""
        self._ring.append(entry)
        self._counts[entry.operation] += 1
        if entry.operation in ("create", "late-commit", "lost-create") and entry.committed:
            self._counts["created"] += 1
        if entry.status == 429:
            self._counts["throttled"] += 1
        if self._file:
            self._file.write(json.dumps(asdict(entry)) + "\n")

    def entries(self) -> list[LogEntry]:
        """The requests in memory, in the order in which they were handled."""
        return list(self._ring.copy())  # an atomic copy, so that other threads may call this

    def counts(self) -> dict[str, int]:
        """The number of requests of each operation, of monitors `created`, and of requests `throttled`."""
        return dict(self._counts.copy())

    def clear(self) -> None:
        """Remove the requests from memory and restart the counts; the file keeps its lines."""
        self._ring.clear()
        self._counts.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
