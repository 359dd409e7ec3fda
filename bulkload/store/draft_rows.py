"""The rows of a draft: what was read, what people changed, and what the check and the account say about each.

In: rows as read, changes, results of checks and of comparisons. Out: rows to check, a page of rows to show, counts.
What was read stays: a change can be taken back, and what the reader found in a cell counts again if its text returns.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bulkload.model import Issue, NumberText, RawRow
from bulkload.store.drafts import Draft, DraftChanged
from bulkload.store.runs import Store, to_json

READY, LEFT_OUT = "ready", "left out"  # statuses of a draft's row, besides those of `Status`
IGNORED = "not a row"  # it has only 0 or FALSE
BATCH = 500  # rows fetched at a time

_GUESSED_TEXT = "cell.encoding"  # code of the reader's issue about a text whose encoding is not certain
_RANK_UNCHECKED, _RANK_BAD, _RANK_WARNING, _RANK_GOOD, _RANK_OUT = range(-1, 4)  # the order in which rows are shown
_SHOWN = f"CASE WHEN left_out THEN '{LEFT_OUT}' ELSE coalesce(planned, state) END"
_READ = "number, cells, original, numbers, ends_at, findings, accepted"


class CheckedRow(NamedTuple):
    """What a check says about a row."""

    number: int
    state: str  # READY, IGNORED, or a `Status`
    error: str = ""  # of the whole row, if no issue says it
    issues: tuple[Issue, ...] = ()
    key: str | None = None  # of the monitor that it means, whether an earlier row means it too or not
    given_id: str | None = None


class PlannedRow(NamedTuple):
    """What the account has for a row."""

    number: int
    status: str  # "will create", "exists", …
    monitor_id: str
    error: str  # what differs


class ShownRow(NamedTuple):
    """A row with everything that a page shows."""

    number: int
    cells: tuple[str, ...]
    original: tuple[str, ...] | None  # as read, if it was changed
    status: str
    left_out: bool
    error: str
    issues: tuple[Issue, ...]
    planned: str | None
    planned_id: str
    planned_error: str


class RowChange(NamedTuple):
    """A change of one row; None: unchanged."""

    number: int
    cells: tuple[str, ...] | None = None
    left_out: bool | None = None
    accepted: bool | None = None  # the row is meant as it is shown, whatever the reader found about it


class Kind(NamedTuple):
    """All issues of one code in one column."""

    code: str
    header: str  # empty: of whole rows
    severity: str
    rows: int
    message: str  # of its first row
    suggestions: int  # rows for which the right value is known


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """Which rows to show."""

    status: str = ""
    kind: tuple[str, str] | None = None  # code and header
    search: str = ""


class DraftRows:
    """The rows of one draft."""

    def __init__(self, store: Store, draft: Draft) -> None:
        self.draft = draft
        self._store = store
        self._db = store.db

    # ── as read, and as changed ───────────────────────────────────────────────────────────────────────────

    def add(self, rows: Iterable[RawRow]) -> None:
        """Add rows as they were read. Raises `DraftChanged` if the draft is no longer in this version."""
        values = [
            (
                self.draft.number,
                row.number,
                to_json(row.cells),
                _numbers(row.cells),
                row.ends_at,
                to_json([issue.record() for issue in row.issues]) if row.issues else None,
            )
            for row in rows
        ]
        with self._store.transaction():
            self._check_version()
            self._db.executemany(
                "INSERT INTO draft_rows (draft, number, cells, numbers, ends_at, findings) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )

    def raw(self) -> Iterator[RawRow]:
        """All rows but those that are left out, as changed, in order."""
        after = -1
        while batch := self._fetch("number > ? AND NOT left_out ORDER BY number LIMIT ?", after, BATCH):
            yield from batch
            after = batch[-1].number

    def raw_of(self, numbers: Iterable[int]) -> list[RawRow]:
        """Some rows as changed, in order, without those that are left out."""
        condition = "NOT left_out AND number IN (SELECT value FROM json_each(?)) ORDER BY number"
        return self._fetch(condition, to_json(sorted(numbers)))

    def samples(self, limit: int) -> list[tuple[str, ...]]:
        """The cells of the first rows."""
        return [row.cells for row in self._fetch("number > ? ORDER BY number LIMIT ?", -1, limit)]

    def matching(self, *, kind: tuple[str, str] | None = None, left_out: bool | None = None) -> list[int]:
        """The numbers of rows with a kind of issue, or of those that are left out or not."""
        condition, values = _condition(self.draft, RowFilter(kind=kind))
        if left_out is not None:
            condition += " AND left_out = ?"
            values.append(left_out)
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT number FROM draft_rows WHERE draft = ? AND {condition} ORDER BY number",
                (self.draft.number, *values),
            )
            return [number for (number,) in rows]

    def unchecked(self) -> list[int]:
        """The numbers of rows that were changed and, because the program ended, not checked again."""
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT number FROM draft_rows WHERE draft = ? AND rank = {_RANK_UNCHECKED}", (self.draft.number,)
            )
            return [number for (number,) in rows]

    def suggestions(self, kind: tuple[str, str]) -> dict[int, str]:
        """The suggested text for each row with a kind of issue, where one is known."""
        with self._store.errors():
            return dict(
                self._db.execute(
                    "SELECT number, suggestion FROM draft_issues WHERE draft = ? AND code = ? AND header = ?"
                    " AND suggestion <> '' ORDER BY number, place DESC",
                    (self.draft.number, *kind),
                ).fetchall()
            )

    def change(self, what: str, changes: Iterable[RowChange], user: str = "") -> list[int]:
        """Change rows as one edit, which `what` describes; returns their numbers."""
        changed: list[int] = []
        before: list[tuple[object, ...]] = []
        with self._store.transaction():
            for change in changes:
                row = self._db.execute(
                    "SELECT cells, original, left_out, accepted FROM draft_rows WHERE draft = ? AND number = ?",
                    (self.draft.number, change.number),
                ).fetchone()
                if row is None:
                    continue
                cells = row["cells"] if change.cells is None else to_json(change.cells)
                left_out = row["left_out"] if change.left_out is None else int(change.left_out)
                accepted = row["accepted"] if change.accepted is None else int(change.accepted)
                if (cells, left_out, accepted) == (row["cells"], row["left_out"], row["accepted"]):
                    continue
                changed.append(change.number)
                before.append((change.number, row["cells"], row["left_out"], row["accepted"]))
                self._write(change.number, cells, row["original"] or row["cells"], left_out, accepted)
            if changed:
                self._db.execute(
                    "INSERT INTO draft_edits (draft, edit, at, user, what, changes) SELECT ?1,"
                    " (SELECT coalesce(max(edit), 0) + 1 FROM draft_edits WHERE draft = ?1), ?2, ?3, ?4, ?5",
                    (self.draft.number, time.time(), user, what, to_json(before)),
                )
                self._raise_version()
        return changed

    def take_back(self) -> list[int]:
        """Take the last edit back; returns the numbers of its rows."""
        with self._store.transaction():
            edit = self._db.execute(
                "SELECT edit, changes FROM draft_edits WHERE draft = ? ORDER BY edit DESC LIMIT 1",
                (self.draft.number,),
            ).fetchone()
            if edit is None:
                return []
            changes = json.loads(edit["changes"])
            for number, cells, left_out, accepted in changes:
                (original,) = self._db.execute(
                    "SELECT coalesce(original, cells) FROM draft_rows WHERE draft = ? AND number = ?",
                    (self.draft.number, number),
                ).fetchone()
                self._write(number, cells, original, left_out, accepted)
            self._db.execute("DELETE FROM draft_edits WHERE draft = ? AND edit = ?", (self.draft.number, edit["edit"]))
            self._raise_version()
        return [number for number, *_ in changes]

    def edits(self) -> tuple[int, str]:
        """How many edits can be taken back, and what the last one was."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT count(*), max(edit), what FROM draft_edits WHERE draft = ?", (self.draft.number,)
            ).fetchone()
        return row[0], row["what"] or ""

    def changed_numbers(self, limit: int) -> tuple[int, list[int], int, list[int]]:
        """How many rows were changed and left out, each with the first numbers."""
        found: list[int | list[int]] = []
        with self._store.errors():
            for condition in ("original IS NOT NULL AND NOT left_out", "left_out"):
                where = f"FROM draft_rows WHERE draft = ? AND {condition}"
                found.append(self._db.execute(f"SELECT count(*) {where}", (self.draft.number,)).fetchone()[0])
                rows = self._db.execute(f"SELECT number {where} ORDER BY number LIMIT ?", (self.draft.number, limit))
                found.append([number for (number,) in rows])
        return tuple(found)  # type: ignore[return-value]

    # ── results of checks and of comparisons with the account ─────────────────────────────────────────────

    def save_checked(self, rows: Sequence[CheckedRow]) -> None:
        """Record what a check says about rows; what the account has for them is forgotten."""
        number = self.draft.number
        with self._store.transaction():
            self._check_existence()
            self._db.executemany(
                "DELETE FROM draft_issues WHERE draft = ? AND number = ?", [(number, row.number) for row in rows]
            )
            self._db.executemany(
                "UPDATE draft_rows SET state = ?, rank = ?, error = ?, own_key = ?, given_id = ?, planned = NULL,"
                " planned_id = NULL, planned_error = NULL WHERE draft = ? AND number = ?",
                [(row.state, _rank(row), row.error, row.key, row.given_id, number, row.number) for row in rows],
            )
            self._db.executemany(
                "INSERT INTO draft_issues (draft, number, place, code, header, severity, suggestion, issue)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(number, row.number, place, issue.code, issue.column or "", issue.severity),
                        *(issue.suggestion, to_json(issue.record())),
                    )
                    for row in rows
                    for place, issue in enumerate(row.issues)
                ],
            )

    def clear_checked(self) -> None:
        """Forget what checks said, before all rows are checked again."""
        with self._store.transaction():
            self._db.execute("DELETE FROM draft_issues WHERE draft = ?", (self.draft.number,))
            self._db.execute(
                f"UPDATE draft_rows SET state = ?, rank = {_RANK_OUT}, error = '', own_key = NULL, given_id = NULL,"
                " planned = NULL, planned_id = NULL, planned_error = NULL WHERE draft = ?",
                (IGNORED, self.draft.number),
            )

    def save_planned(self, rows: Iterable[PlannedRow]) -> None:
        """Record what the account has for rows. Raises `DraftChanged` if the draft is no longer in this version."""
        values = [(row.status, row.monitor_id, row.error, self.draft.number, row.number) for row in rows]
        with self._store.transaction():
            self._check_version()
            self._db.executemany(
                "UPDATE draft_rows SET planned = ?, planned_id = ?, planned_error = ? WHERE draft = ? AND number = ?",
                values,
            )

    def related(self, numbers: Iterable[int]) -> list[CheckedRow]:
        """Rows that may repeat each other: those that mean the same monitors as some rows, and these, in order."""
        given = to_json(sorted(numbers))
        with self._store.errors():
            rows = self._db.execute(
                "WITH some AS (SELECT own_key, given_id FROM draft_rows WHERE draft = ?1"
                " AND number IN (SELECT value FROM json_each(?2)))"
                ", found AS ("  # a union, because with OR, SQLite would read all rows of the draft
                " SELECT number FROM draft_rows WHERE draft = ?1"
                " AND own_key IN (SELECT own_key FROM some WHERE own_key IS NOT NULL)"
                " UNION SELECT number FROM draft_rows WHERE draft = ?1"
                " AND given_id IN (SELECT given_id FROM some WHERE given_id IS NOT NULL))"
                " SELECT number, state, own_key, given_id FROM draft_rows WHERE draft = ?1 AND NOT left_out"
                " AND number IN (SELECT number FROM found) ORDER BY number",
                (self.draft.number, given),
            )
            return [CheckedRow(number, state, key=key, given_id=given_id) for number, state, key, given_id in rows]

    # ── to show ───────────────────────────────────────────────────────────────────────────────────────────

    def page(self, wanted: RowFilter, offset: int, limit: int) -> list[ShownRow]:
        """Some of the rows that match a filter, those with errors first."""
        condition, values = _condition(self.draft, wanted)
        return self._shown(
            f"{condition} ORDER BY rank, number LIMIT ? OFFSET ?", (self.draft.number, *values, limit, offset)
        )

    def after(self, number: int, limit: int) -> list[ShownRow]:
        """The next rows in the order of the file."""
        return self._shown("number > ? ORDER BY number LIMIT ?", (self.draft.number, number, limit))

    def shown(self, numbers: Iterable[int]) -> list[ShownRow]:
        """Some rows by their numbers."""
        return self._shown(
            "number IN (SELECT value FROM json_each(?)) ORDER BY number", (self.draft.number, to_json(list(numbers)))
        )

    def count(self, wanted: RowFilter) -> int:
        """How many rows match a filter."""
        condition, values = _condition(self.draft, wanted)
        with self._store.errors():
            row = self._db.execute(
                f"SELECT count(*) FROM draft_rows WHERE draft = ? AND {condition}", (self.draft.number, *values)
            ).fetchone()
        return int(row[0])

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
        """The kinds of issues, errors and the most frequent first."""
        with self._store.errors():
            rows = self._db.execute(
                "SELECT code, header, severity, count(DISTINCT number) AS n, min(number), issue, sum(suggestion <> '')"
                " FROM draft_issues WHERE draft = ? GROUP BY code, header, severity ORDER BY severity, n DESC, code",
                (self.draft.number,),
            ).fetchall()
        return [
            Kind(
                code=row["code"],
                header=row["header"],
                severity=row["severity"],
                rows=row["n"],
                message=json.loads(row["issue"])["message"],
                suggestions=row[6],
            )
            for row in rows
        ]

    # ── helpers ───────────────────────────────────────────────────────────────────────────────────────────

    def _fetch(self, condition: str, *values: object) -> list[RawRow]:
        header = self.draft.header
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT {_READ} FROM draft_rows WHERE draft = ? AND {condition}", (self.draft.number, *values)
            ).fetchall()
        return [_raw_row(header, *row) for row in rows]

    def _shown(self, condition: str, values: Sequence[object]) -> list[ShownRow]:
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT number, cells, original, {_SHOWN} AS shown, left_out, error, planned, planned_id,"
                f" planned_error FROM draft_rows WHERE draft = ? AND {condition}",
                values,
            ).fetchall()
            issues: dict[int, list[Issue]] = {row["number"]: [] for row in rows}
            for number, issue in self._db.execute(
                "SELECT number, issue FROM draft_issues WHERE draft = ?"
                " AND number IN (SELECT value FROM json_each(?)) ORDER BY number, place",
                (self.draft.number, to_json(list(issues))),
            ):
                issues[number].append(Issue(**json.loads(issue)))
        return [
            ShownRow(
                number=row["number"],
                cells=tuple(json.loads(row["cells"])),
                original=tuple(json.loads(row["original"])) if row["original"] else None,
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

    def _write(self, number: int, cells: str, original: str, left_out: int, accepted: int) -> None:
        self._db.execute(
            "UPDATE draft_rows SET cells = ?1, original = nullif(?2, ?1), left_out = ?3, accepted = ?4,"
            f" rank = {_RANK_UNCHECKED}, planned = NULL WHERE draft = ?5 AND number = ?6",
            (cells, original, left_out, accepted, self.draft.number, number),
        )

    def _check_version(self) -> None:
        """Raise `DraftChanged` if the draft is in another version, or deleted. In a transaction, it stays as it is."""
        row = self._db.execute("SELECT version FROM drafts WHERE draft = ?", (self.draft.number,)).fetchone()
        if row is None or row["version"] != self.draft.version:
            raise DraftChanged

    def _check_existence(self) -> None:
        """Raise `DraftChanged` if the draft is deleted."""
        if not self._db.execute("SELECT 1 FROM drafts WHERE draft = ?", (self.draft.number,)).fetchone():
            raise DraftChanged

    def _raise_version(self) -> None:
        self._db.execute(
            "UPDATE drafts SET version = version + 1, changed = ? WHERE draft = ?", (time.time(), self.draft.number)
        )


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
        text = to_json(wanted.search)[1:-1]
        for character in "\\%_":
            text = text.replace(character, f"\\{character}")
        conditions.append("cells LIKE ? ESCAPE '\\'")
        values.append(f"%{text}%")
    return " AND ".join(conditions), values


def _rank(row: CheckedRow) -> int:
    if row.state in (IGNORED, LEFT_OUT):
        return _RANK_OUT
    if row.state != READY:
        return _RANK_BAD
    return _RANK_WARNING if row.issues else _RANK_GOOD


def _numbers(cells: Sequence[str]) -> str | None:
    """Which cells a workbook stores as numbers of several digits, as JSON."""
    indexes = [index for index, cell in enumerate(cells) if isinstance(cell, NumberText)]
    return to_json(indexes) if indexes else None


def _raw_row(
    header: Sequence[str],
    number: int,
    cells_json: str,
    original_json: str | None,
    numbers: str | None,
    ends_at: int | None,
    findings_json: str | None,
    accepted: int,
) -> RawRow:
    """A row with what the reader found about it, as far as that still holds."""
    cells: list[str] = json.loads(cells_json)
    original: list[str] = json.loads(original_json) if original_json else cells
    for index in json.loads(numbers) if numbers else ():
        if cells[index] == original[index]:
            cells[index] = NumberText(cells[index])
    findings = (Issue(**finding) for finding in json.loads(findings_json)) if findings_json else ()
    edited = {header[index] for index, cell in enumerate(cells) if cell != original[index]}
    kept = tuple(
        finding
        for finding in findings
        if not (accepted and (finding.column is None or finding.code == _GUESSED_TEXT)) and finding.column not in edited
    )
    return RawRow(
        number=number,
        cells=tuple(cells),
        issues=kept,
        ends_at=None if accepted or original_json else ends_at,
    )
