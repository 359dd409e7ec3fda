"""The rows of a draft as a page shows them: some at a time, by status, kind of problem and text, the bad ones first.

In: a draft, and which rows are wanted. Out: rows with all that is known about them, how many there are, and the kinds
of their problems.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from bulkload.model import Issue
from bulkload.store.draft_records import LEFT_OUT, Kind, KindKey, RowFilter, ShownRow, issue_of
from bulkload.store.drafts import Draft
from bulkload.store.runs import Store
from bulkload.store.search import search_condition
from bulkload.store.stored_rows import to_json

_SHOWN = f"CASE WHEN left_out THEN '{LEFT_OUT}' ELSE coalesce(planned, state) END"


class DraftPages:
    """The rows of one draft, to be shown."""

    def __init__(self, store: Store, draft: Draft) -> None:
        self.draft = draft
        self._store = store
        self._db = store.db

    def page(self, wanted: RowFilter, offset: int, limit: int) -> list[ShownRow]:
        """Some of the rows that match a filter, those with errors first."""
        condition, values = _condition(self.draft, wanted)
        return self._shown(f"{condition} ORDER BY rank, number LIMIT ? OFFSET ?", *values, limit, offset)

    def shown(self, numbers: Iterable[int]) -> list[ShownRow]:
        """Some rows by their numbers."""
        return self._shown("number IN (SELECT value FROM json_each(?)) ORDER BY number", to_json(list(numbers)))

    def count(self, wanted: RowFilter) -> int:
        """How many rows match a filter."""
        condition, values = _condition(self.draft, wanted)
        with self._store.errors():
            row = self._db.execute(
                f"SELECT count(*) FROM draft_rows WHERE draft = ? AND {condition}", (self.draft.number, *values)
            ).fetchone()
        return int(row[0])

    def numbers(self, *, kind: KindKey) -> list[int]:
        """The numbers of the rows with a kind of problem, without those that are left out."""
        condition, values = _condition(self.draft, RowFilter(kind=kind))
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT number FROM draft_rows WHERE draft = ? AND {condition} ORDER BY number",
                (self.draft.number, *values),
            )
            return [number for (number,) in rows]

    def counts(self) -> dict[str, int]:
        """The number of rows by the status that is shown."""
        with self._store.errors():
            return dict(
                self._db.execute(
                    f"SELECT {_SHOWN} AS shown, count(*) FROM draft_rows WHERE draft = ? GROUP BY shown",
                    (self.draft.number,),
                ).fetchall()
            )

    def kinds(self) -> list[Kind]:
        """The kinds of problems, errors and the most frequent first."""
        with self._store.errors():
            rows = self._db.execute(
                "SELECT code, header, severity, count(DISTINCT number) AS rows, min(number), issue,"
                " sum(suggestion <> '') AS suggestions"
                " FROM draft_issues WHERE draft = ? GROUP BY code, header, severity ORDER BY severity, rows DESC, code",
                (self.draft.number,),
            ).fetchall()
        return [
            Kind(
                code=row["code"],
                column=int(row["header"]) if row["header"] else None,
                severity=row["severity"],
                rows=row["rows"],
                first=issue_of(json.loads(row["issue"])),
                suggestions=row["suggestions"],
            )
            for row in rows
        ]

    def _shown(self, condition: str, *values: object) -> list[ShownRow]:
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT number, cells, original, {_SHOWN} AS shown, left_out, error, planned, planned_id,"
                f" planned_error FROM draft_rows WHERE draft = ? AND {condition}",
                (self.draft.number, *values),
            ).fetchall()
            issues: dict[int, list[Issue]] = {row["number"]: [] for row in rows}
            for number, issue in self._db.execute(
                "SELECT number, issue FROM draft_issues WHERE draft = ?"
                " AND number IN (SELECT value FROM json_each(?)) ORDER BY number, place",
                (self.draft.number, to_json(list(issues))),
            ):
                issues[number].append(issue_of(json.loads(issue)))
        return [
            ShownRow(
                number=row["number"],
                cells=_cells(row["cells"]),
                original=_cells(row["original"]) if row["original"] else None,
                status=row["shown"],
                left_out=bool(row["left_out"]),
                error=row["error"],
                issues=tuple(issues[row["number"]]),
                planned=row["planned"],
                planned_id=row["planned_id"] or "",
                planned_error=row["planned_error"] or "",
            )
            for row in rows
        ]


def _cells(text: str) -> tuple[str, ...]:
    cells: Sequence[str] = json.loads(text)
    return tuple(cells)


def _condition(draft: Draft, wanted: RowFilter) -> tuple[str, list[object]]:
    conditions, values = ["1"], list[object]()
    if wanted.status:
        conditions.append(f"{_SHOWN} = ?")
        values.append(wanted.status)
    if wanted.kind is not None:
        conditions.append(
            "NOT left_out AND number IN (SELECT number FROM draft_issues WHERE draft = ? AND code = ? AND header = ?)"
        )
        values.extend((draft.number, *wanted.kind))
    if wanted.search:
        condition, texts = search_condition(wanted.search)
        conditions.append(condition)
        values.extend(texts)
    return " AND ".join(conditions), values
