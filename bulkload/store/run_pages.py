"""Some of a run's rows at a time, for a page: by status, by text, those that need attention first.

In: a run, and which rows are wanted. Out: report rows, and how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

from bulkload.model import ReportRow, State, Status, status_counts_of, status_of
from bulkload.store.runs import Run, Store
from bulkload.store.search import search_condition
from bulkload.store.sharing import table_of
from bulkload.store.stored_rows import SELECT_REPORT, report_row, to_json

_NEEDS_ATTENTION = "state IN ('invalid', 'duplicate', 'rejected', 'failed', 'unknown', 'doubt', 'waiting')"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPages:
    """The rows of one run that match a filter."""

    store: Store
    run: Run
    status: str = ""
    search: str = ""
    is_active: bool = False  # the run goes on: a row that is being sent just now is not in doubt, it has no answer yet

    def counts(self) -> dict[str, int]:
        """The number of rows of the whole run by status, in the order of `Status`."""
        counts = status_counts_of(self.store.state_counts(self.run), is_active=self.is_active)
        return {status.value: rows for status, rows in counts.items()}

    def count(self) -> int:
        """How many rows match."""
        condition, values = self._condition()
        with self.store.errors():
            table = table_of(self.store.db, self.run.number)
            row = self.store.db.execute(f"SELECT count(*) FROM {table} WHERE {condition}", values).fetchone()
        return int(row[0])

    def page(self, offset: int, limit: int) -> list[ReportRow]:
        """Some of the rows, those that need attention first."""
        condition, values = self._condition()
        with self.store.errors():
            table = table_of(self.store.db, self.run.number)
            rows = self.store.db.execute(
                f"{SELECT_REPORT} {table} WHERE run = ? AND position IN (SELECT position FROM {table} WHERE {condition}"
                f" ORDER BY {_NEEDS_ATTENTION} DESC, position LIMIT ? OFFSET ?)"
                f" ORDER BY {_NEEDS_ATTENTION} DESC, position",
                (self.run.number, *values, limit, offset),
            )
            return [report_row(*row)._replace(status=status_of(row["state"], is_active=self.is_active)) for row in rows]

    def _condition(self) -> tuple[str, list[object]]:
        conditions, values = ["run = ?"], list[object]([self.run.number])
        if self.status:
            states = [state for state in (*Status, *State) if status_of(state, is_active=self.is_active) == self.status]
            conditions.append("state IN (SELECT value FROM json_each(?))")
            values.append(to_json(states))
        if self.search:
            condition, texts = search_condition(self.search)
            conditions.append(f"({condition} OR monitor_id = ?)")
            values.extend([*texts, self.search])
        return " AND ".join(conditions), values


def created_monitors(store: Store, run: Run) -> int:
    """The number of monitors that a run created, without those that are known to be deleted."""
    with store.errors():
        row = store.db.execute("SELECT count(*) FROM monitors WHERE run = ?", (run.number,)).fetchone()
    return int(row[0])
