"""The monitors that `doctor --try` creates, recorded so that none of them is left in the account.

In: a token, stored before its create request is sent, and the ID in the response. Out: the trial monitors that may
still exist. They belong to no run, and nothing else in the store refers to them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bulkload import clock
from bulkload.store.runs import Store

TOKEN_FIELDS = ("name", "hostname", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialMonitor:
    """A trial monitor that may exist."""

    token: str  # part of its name, hostname and note
    at: str  # when its create request was sent, see `clock`
    monitor_id: str | None  # None: no response yet
    seen: bool  # the account has shown it; if it is not found any more, it is deleted

    def age(self) -> float:
        """Seconds since its create request was sent."""
        return clock.seconds_between(self.at, clock.moment())

    def is_shown_by(self, item: Mapping[str, Any]) -> bool:
        """True if a listed monitor is this one. The account may change letter case, cut or escape its fields."""
        return any(self.token in _letters(item.get(field)) for field in TOKEN_FIELDS)

    def among(self, items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The monitors of a list that are this one; several if the create request was repeated on the way."""
        return [item for item in items if self.is_shown_by(item)]


def new_token() -> str:
    """A new token of twelve hexadecimal digits."""
    return uuid.uuid4().hex[:12]


class TrialMonitors:
    """The trial monitors of one account. Everything is durable when a method returns."""

    def __init__(self, store: Store, account_id: int) -> None:
        self._store = store
        self._account_id = account_id

    def open(self) -> list[TrialMonitor]:
        """Those that may still exist, the oldest first."""
        with self._store.errors():
            rows = self._store.db.execute(
                "SELECT token, at, monitor_id, seen FROM trials WHERE account = ? ORDER BY at", (self._account_id,)
            ).fetchall()
        return [
            TrialMonitor(token=token, at=at, monitor_id=monitor_id, seen=bool(seen))
            for token, at, monitor_id, seen in rows
        ]

    def get(self, token: str) -> TrialMonitor | None:
        """The one with a token; None if it is not recorded."""
        return next((monitor for monitor in self.open() if monitor.token == token), None)

    def record(self, token: str) -> None:
        """Record that a create request is about to be sent."""
        self._write(
            "INSERT OR REPLACE INTO trials (account, token, at) VALUES (?, ?, ?)",
            (self._account_id, token, clock.moment()),
        )

    def record_id(self, token: str, monitor_id: str) -> None:
        """Record the ID of the created monitor."""
        self._write(
            "UPDATE trials SET monitor_id = ? WHERE account = ? AND token = ?", (monitor_id, self._account_id, token)
        )

    def record_seen(self, token: str) -> None:
        """Record that the account has shown it."""
        self._write("UPDATE trials SET seen = 1 WHERE account = ? AND token = ?", (self._account_id, token))

    def forget(self, token: str) -> None:
        """Delete the record of a monitor that no longer exists."""
        self._write("DELETE FROM trials WHERE account = ? AND token = ?", (self._account_id, token))

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        with self._store.transaction():
            self._store.db.execute(sql, values)


def _letters(value: object) -> str:
    return "".join(filter(str.isalnum, str(value))).casefold()
