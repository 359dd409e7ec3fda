"""The rows of a file whose monitors are to be deleted: those that give a monitor's ID.

In: a file that was read into the locked store. Out: its rows by ID, each ID once; what became of their monitors is
recorded for all rows with this ID, and for the row of the run that created the monitor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bulkload.model import Status
from bulkload.store.row_records import RowChange
from bulkload.store.rows import RunRows
from bulkload.store.runs import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRow:
    """The first row that gives a monitor's ID, and where it and the others are."""

    positions: tuple[int, ...]  # of all rows that give this ID, in order
    source_row: int
    monitor_id: str
    type: str  # empty: the row has errors
    body: str  # JSON of what the row requests; empty: the row has errors


class NamedRows:
    """The rows of a file that give monitor IDs."""

    def __init__(self, store: Store, rows: RunRows, account_id: int) -> None:
        self._rows = rows
        self._account_id = account_id
        self._store = store
        self._db = store.db

    def __iter__(self) -> Iterator[NamedRow]:
        """Each ID once, in the order of the rows."""
        first: dict[str, tuple[int, str, str]] = {}
        positions: dict[str, list[int]] = {}
        with self._store.errors():
            for position, source_row, monitor_id, type_, body in self._db.execute(
                "SELECT position, source_row, names, coalesce(type, ''), coalesce(body, '') FROM rows"
                " WHERE run = ? AND names IS NOT NULL ORDER BY position",
                (self._rows.run.number,),
            ):
                first.setdefault(monitor_id, (source_row, type_, body))
                positions.setdefault(monitor_id, []).append(position)
        for monitor_id, (source_row, type_, body) in first.items():
            yield NamedRow(
                positions=tuple(positions[monitor_id]),
                source_row=source_row,
                monitor_id=monitor_id,
                type=type_,
                body=body,
            )

    def count_unnamed(self) -> int:
        """The number of rows that give no ID."""
        with self._store.errors():
            sql = "SELECT count(*) FROM rows WHERE run = ? AND names IS NULL"
            return int(self._db.execute(sql, (self._rows.run.number,)).fetchone()[0])

    def mark_unnamed(self, message: str) -> None:
        """Say of the rows without an ID why nothing was done; rows with errors keep theirs."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE rows SET error = ? WHERE run = ? AND names IS NULL AND state = 'pending'",
                (message, self._rows.run.number),
            )

    def set_removed(self, row: NamedRow, message: str) -> None:
        """Record that a row's monitor no longer exists, also for the run that created it."""
        with self._store.errors():
            creator = self._db.execute(
                "SELECT run, position FROM monitors WHERE account = ? AND monitor_id = ?",
                (self._account_id, row.monitor_id),
            ).fetchone()
        changes = _changes(row, Status.REMOVED, message)
        if creator is not None:
            run, position = creator
            changes.append(RowChange(run=run, position=position, state=Status.REMOVED, error=message))
        self._rows.apply(changes)

    def set_kept(self, row: NamedRow, message: str) -> None:
        """Record that a row's monitor still exists, and why."""
        self._rows.apply(_changes(row, Status.EXISTS, message))


def _changes(row: NamedRow, status: Status, message: str) -> list[RowChange]:
    """The change of each row that gives the same ID."""
    return [
        RowChange(position=position, state=status, monitor_id=row.monitor_id, error=message)
        for position in row.positions
    ]
