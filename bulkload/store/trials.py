"""The monitors that `doctor --try` makes, noted so that none is ever left behind.

In: a token, written down before its create leaves, and the ID that came back. Out: the trials whose monitor may still
be there. They are no monitors of a run: nothing else of the store knows them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bulkload import clock
from bulkload.store.runs import Store

WHERE_IT_SHOWS = ("name", "hostname", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A monitor that may be there."""

    token: str  # is in its name, its host and its note
    at: str  # the moment its create left, see `clock`
    monitor_id: str | None  # None: its answer has not come
    seen: bool  # the account has shown it, so it is gone when it is not found

    def age(self) -> float:
        """Seconds since its create left."""
        return clock.seconds_between(self.at, clock.moment())

    def is_shown_by(self, item: Mapping[str, Any]) -> bool:
        """True if a monitor is this one. Names may be shown in another letter case, cut or escaped."""
        return any(self.token in _letters(item.get(field)) for field in WHERE_IT_SHOWS)

    def among(self, items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Give the monitors of a list that are this one; more than one if a create was repeated on the way."""
        return [item for item in items if self.is_shown_by(item)]


def new_token() -> str:
    """Twelve hexadecimal digits that no other monitor has."""
    return uuid.uuid4().hex[:12]


class Trials:
    """The trials of one account. Everything is durable when a method returns."""

    def __init__(self, store: Store, account: int) -> None:
        self._store = store
        self._account = account

    def open(self) -> list[Trial]:
        """The trials whose monitor may be there."""
        with self._store.errors():
            found = self._store.db.execute(
                "SELECT token, at, monitor_id, seen FROM trials WHERE account = ? ORDER BY at", (self._account,)
            ).fetchall()
        return [Trial(token=token, at=at, monitor_id=number, seen=bool(seen)) for token, at, number, seen in found]

    def get(self, token: str) -> Trial | None:
        """One trial, if it is still noted."""
        return next((trial for trial in self.open() if trial.token == token), None)

    def note(self, token: str) -> None:
        """Note that a create leaves now."""
        self._write(
            "INSERT OR REPLACE INTO trials (account, token, at) VALUES (?, ?, ?)",
            (self._account, token, clock.moment()),
        )

    def made(self, token: str, monitor_id: str) -> None:
        """Note the ID that a trial's monitor got."""
        self._write(
            "UPDATE trials SET monitor_id = ? WHERE account = ? AND token = ?", (monitor_id, self._account, token)
        )

    def saw(self, token: str) -> None:
        """Note that the account shows it."""
        self._write("UPDATE trials SET seen = 1 WHERE account = ? AND token = ?", (self._account, token))

    def forget(self, token: str) -> None:
        """Remove a trial of which nothing is left."""
        self._write("DELETE FROM trials WHERE account = ? AND token = ?", (self._account, token))

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        with self._store.transaction():
            self._store.db.execute(sql, values)


def _letters(value: object) -> str:
    return "".join(filter(str.isalnum, str(value))).casefold()
