"""The rows of a draft: what was read, and what people changed.

In: rows as read, changes. Out: rows to check and to run, with what the reader found about them as far as it still
holds. What was read stays: every change can be taken back, and then the row is again what it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from bulkload.model import Issue, NumberText, RawRow
from bulkload.store.draft_records import RowChange, issue_of, issue_record
from bulkload.store.drafts import Draft, Drafts
from bulkload.store.runs import Store
from bulkload.store.stored_rows import to_json

BATCH = 500  # rows fetched at a time
RANK_UNCHECKED = -1  # of rows that were changed and not checked since

_GUESSED_TEXT = "cell.encoding"  # code of the reader's issue about a text whose encoding is not certain
_UNREAD = "\N{REPLACEMENT CHARACTER}"  # in place of bytes that could not be decoded
_STORED = "number, cells, original, numbers, ends_at, findings, left_out, accepted"


class StoredRow(NamedTuple):
    """A row as the store has it; lists are JSON."""

    number: int
    cells: str
    original: str | None  # the cells as read, if they were changed
    numbers: str | None  # indexes of the cells that a workbook stores as numbers of several digits
    ends_at: int | None
    findings: str | None  # what the reader found
    left_out: int
    accepted: int

    def current(self) -> RawRow:
        """The row as people changed it, with what the reader found and still holds.

        A finding about a cell holds until its text is changed; one about the whole row, and that it ends early, until
        a person accepts the row, which also settles a text whose encoding is not certain.
        """
        cells: list[str] = json.loads(self.cells)
        read: list[str] = json.loads(self.original) if self.original else cells
        changed = {index for index, cell in enumerate(cells) if cell != read[index]} if self.original else set[int]()
        _mark_numbers(cells, self.numbers, except_for=changed)
        findings = map(issue_of, json.loads(self.findings)) if self.findings else ()
        kept = [
            finding
            for finding in findings
            if finding.index not in changed and not (self.accepted and can_be_accepted(finding, cells))
        ]
        return RawRow(
            number=self.number,
            cells=tuple(cells),
            issues=tuple(kept),
            ends_at=None if self.accepted else self.ends_at,
            left_out=bool(self.left_out),
        )

    def context(self) -> RawRow | None:
        """The row as read, if it no longer is what it was and may be the rest of the row above; never to be sent."""
        if self.ends_at is None or not (self.left_out or self.accepted or self.original):
            return None
        read = self._replace(cells=self.original or self.cells, original=None, accepted=0, left_out=1)
        return read.current()


def stream(rows: Iterable[StoredRow]) -> Iterator[RawRow]:
    """The rows for a check or a run; those that are left out only show whether the row above them is whole."""
    for row in rows:
        if (context := row.context()) is not None:
            yield context
        if not row.left_out:
            yield row.current()


class DraftRows:
    """The rows of one draft."""

    def __init__(self, store: Store, draft: Draft) -> None:
        self.draft = draft
        self._store = store
        self._db = store.db

    def add(self, rows: Iterable[RawRow]) -> None:
        """Add rows as they were read. Raises `DraftChanged` if the draft is no longer the one that was read."""
        values = [
            (
                self.draft.number,
                row.number,
                to_json(row.cells),
                _numbers(row.cells),
                row.ends_at,
                to_json([issue_record(issue) for issue in row.issues]) if row.issues else None,
            )
            for row in rows
        ]
        with self._store.transaction():
            Drafts(self._store).require(self.draft, unchanged=True)
            self._db.executemany(
                "INSERT INTO draft_rows (draft, number, cells, numbers, ends_at, findings) VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )

    def raw(self) -> Iterator[RawRow]:
        """All rows for a check or a run, in order; see `stream`."""
        return stream(self.stored())

    def stored(self, batch: int = BATCH) -> Iterator[StoredRow]:
        """All rows, in order."""
        after = -1
        while rows := self._fetch("number > ? ORDER BY number LIMIT ?", after, batch):
            yield from rows
            after = rows[-1].number

    def stored_of(self, numbers: Iterable[int]) -> list[StoredRow]:
        """Some rows, in order."""
        return self._fetch("number IN (SELECT value FROM json_each(?)) ORDER BY number", to_json(sorted(numbers)))

    def with_neighbours(self, number: int) -> list[StoredRow]:
        """A row with those above and below it."""
        return self._fetch(
            "number BETWEEN coalesce((SELECT max(number) FROM draft_rows WHERE draft = ?1 AND number < ?2), ?2)"
            " AND coalesce((SELECT min(number) FROM draft_rows WHERE draft = ?1 AND number > ?2), ?2) ORDER BY number",
            number,
        )

    def beside_short(self, numbers: Iterable[int]) -> tuple[set[int], set[int]]:
        """Those rows that end early in the file or are below one that does, and the rows below those that do."""
        with self._store.errors():
            rows = self._db.execute(
                "SELECT number, ends_at, (SELECT ends_at FROM draft_rows AS above WHERE above.draft = ?1"
                " AND above.number < this.number ORDER BY number DESC LIMIT 1) AS above,"
                " (SELECT min(number) FROM draft_rows AS below WHERE below.draft = ?1 AND below.number > this.number)"
                " AS below FROM draft_rows AS this WHERE draft = ?1 AND number IN (SELECT value FROM json_each(?2))"
                " AND (ends_at IS NOT NULL OR above IS NOT NULL)",
                (self.draft.number, to_json(sorted(numbers))),
            ).fetchall()
        beside = {row["number"] for row in rows}
        return beside, {row["below"] for row in rows if row["ends_at"] is not None and row["below"] is not None}

    def samples(self, limit: int) -> list[tuple[str, ...]]:
        """The cells of the first rows."""
        rows = self._fetch("number > ? ORDER BY number LIMIT ?", -1, limit)
        return [tuple(json.loads(row.cells)) for row in rows]

    # ── changes ───────────────────────────────────────────────────────────────────────────────────────────

    def change(self, what: str | Callable[[], str], changes: Iterable[RowChange], user: str = "") -> list[int]:
        """Change rows as one edit, which `what` describes once all are changed; returns their numbers."""
        changed: list[int] = []
        before: list[tuple[object, ...]] = []
        with self._store.transaction():
            Drafts(self._store).require(self.draft)
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
                    (self.draft.number, time.time(), user, what if isinstance(what, str) else what(), to_json(before)),
                )
                self._raise_version()
        return changed

    def take_back(self) -> list[int]:
        """Take the last edit back; returns the numbers of its rows."""
        with self._store.transaction():
            Drafts(self._store).require(self.draft)
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
        changed, first_changed = self._numbers("original IS NOT NULL AND NOT left_out", limit)
        left_out, first_left_out = self._numbers("left_out", limit)
        return changed, first_changed, left_out, first_left_out

    # ── helpers ───────────────────────────────────────────────────────────────────────────────────────────

    def _numbers(self, condition: str, limit: int) -> tuple[int, list[int]]:
        where = f"FROM draft_rows WHERE draft = ? AND {condition}"
        with self._store.errors():
            (count,) = self._db.execute(f"SELECT count(*) {where}", (self.draft.number,)).fetchone()
            rows = self._db.execute(f"SELECT number {where} ORDER BY number LIMIT ?", (self.draft.number, limit))
            return count, [number for (number,) in rows]

    def _fetch(self, condition: str, *values: object) -> list[StoredRow]:
        with self._store.errors():
            rows = self._db.execute(
                f"SELECT {_STORED} FROM draft_rows WHERE draft = ?1 AND {condition}", (self.draft.number, *values)
            )
            return [StoredRow(*row) for row in rows]

    def _write(self, number: int, cells: str, original: str, left_out: int, accepted: int) -> None:
        self._db.execute(
            "UPDATE draft_rows SET cells = ?1, original = nullif(?2, ?1), left_out = ?3, accepted = ?4,"
            f" rank = {RANK_UNCHECKED}, planned = NULL WHERE draft = ?5 AND number = ?6",
            (cells, original, left_out, accepted, self.draft.number, number),
        )

    def _raise_version(self) -> None:
        self._db.execute(
            "UPDATE drafts SET version = version + 1, changed = ? WHERE draft = ?", (time.time(), self.draft.number)
        )


def can_be_accepted(finding: Issue, cells: Sequence[str]) -> bool:
    """True for what is wrong with a whole row or with its encoding; not for a cell that could not be read."""
    if finding.code != _GUESSED_TEXT:
        return finding.index is None
    texts = cells if finding.index is None else cells[finding.index : finding.index + 1]
    return not any(_UNREAD in text for text in texts)


def _numbers(cells: Sequence[str]) -> str | None:
    indexes = [index for index, cell in enumerate(cells) if isinstance(cell, NumberText)]
    return to_json(indexes) if indexes else None


def _mark_numbers(cells: list[str], numbers: str | None, *, except_for: set[int]) -> None:
    for index in json.loads(numbers) if numbers else ():
        if index not in except_for:
            cells[index] = NumberText(cells[index])
