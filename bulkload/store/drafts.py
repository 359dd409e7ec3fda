"""Drafts: files that were uploaded to the page and are being corrected, until they are run.

In: what was read of an upload, and what people chose for it. Out: a `Draft` by its ID. Its rows are in `draft_rows`.
A draft is no run: nothing of it counts for "never twice", and no lock is needed to change it. Each change of its rows,
columns or values raises its version, so that an action on a page that is out of date can be refused.
"""

from __future__ import annotations

import enum
import json
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bulkload.errors import UsageError
from bulkload.model import Translated
from bulkload.store.runs import Store
from bulkload.store.stored_rows import digest, to_json

NO_PLAN = "planned = NULL, planned_id = NULL, planned_error = NULL"  # nothing is known of the account

_ID_BYTES = 6
_TABLES = ("draft_issues", "draft_edits", "draft_rows", "drafts")


_CHANGED = (
    "The rows were changed or deleted in another window in the meantime, so nothing was done. Load the page again."
)


class DraftChanged(UsageError):
    """The draft was deleted, or is to be read in another way, while it was being worked on."""


class DraftState(enum.StrEnum):
    """How far a draft is."""

    READING = "reading"  # its file is being read
    UNREADABLE = "unreadable"  # its file cannot be read; `problem` says why
    COLUMNS = "columns"  # its columns have to be chosen
    CHECKING = "checking"  # all of its rows are being checked
    CHECKED = "checked"  # its rows can be corrected and run


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftSource:
    """What the reader said about the file; see `model.Source`."""

    format: str
    header: tuple[str, ...]
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()
    not_whole: str = ""
    translated: Translated | None = None
    header_doubts: Mapping[int, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)  # column → field: --map of the server, or of the run
    has_known_header: bool = True  # False: its first row with content was taken as the header, or is a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One draft."""

    number: int
    id: str
    name: str  # of the file, for people
    upload: str  # name of the file in the folder of uploads; empty if it has none
    user: str
    created: float  # seconds since 1970
    changed: float
    version: int
    state: DraftState
    problem: str
    reading: Mapping[str, str]  # how to read the file: sheet, encoding, no_header
    source: DraftSource | None  # None: not read
    fields: tuple[str | None, ...] | None  # of each column; None: not chosen
    defaults: Mapping[str, str]  # for empty cells, by field
    is_rehearsal: bool  # in the sandbox
    on_existing: str
    trust_list: bool
    create_lookalikes: bool
    planned: Mapping[str, object] | None  # what the last comparison with the account said
    is_plan_current: bool  # no row was changed since
    run_id: str | None  # the last run that was made of it
    is_run_current: bool  # nothing was changed since that run was begun

    @property
    def header(self) -> tuple[str, ...]:
        """The texts of its columns."""
        return self.source.header if self.source is not None else ()


class Drafts:
    """The drafts in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db = store.db

    def create(
        self,
        name: str,
        upload: str,
        *,
        user: str = "",
        defaults: Mapping[str, str] | None = None,
        is_rehearsal: bool = False,
        on_existing: str = "skip",
        reading: Mapping[str, str] | None = None,
    ) -> Draft:
        """Add a draft whose file is to be read."""
        draft_id, now = secrets.token_hex(_ID_BYTES), time.time()
        with self._store.transaction():
            self._db.execute(
                "INSERT INTO drafts (id, name, upload, user, created, changed, state, reading, defaults, is_rehearsal,"
                " on_existing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(draft_id, name, upload, user, now, now, DraftState.READING),
                    *(to_json(reading or {}), to_json(defaults or {}), is_rehearsal, on_existing),
                ),
            )
        return self.get(draft_id)

    def get(self, draft_id: str) -> Draft:
        """A draft by its ID. Raises `DraftChanged` if there is none."""
        with self._store.errors():
            row = self._db.execute("SELECT * FROM drafts WHERE id = ?", (draft_id,)).fetchone()
        if row is None:
            raise DraftChanged("There is no such draft; it may have been deleted.")
        return _draft(row)

    def version(self, draft: Draft) -> int | None:
        """The version of a draft as it is now; None if it was deleted."""
        with self._store.errors():
            row = self._db.execute("SELECT version FROM drafts WHERE id = ?", (draft.id,)).fetchone()
        return row["version"] if row is not None else None

    def require(self, draft: Draft, *, unchanged: bool = False) -> None:
        """Raise `DraftChanged` if a draft was deleted: the number of a deleted one can be that of a new one.

        With `unchanged`, also if it has another version by now.
        """
        version = self.version(draft)
        if version is None or (unchanged and version != draft.version):
            raise DraftChanged(_CHANGED)

    def list(self, limit: int = -1, *, was_run: bool | None = None) -> list[Draft]:
        """All drafts, or some, the last changed first: `was_run` selects those with a current run, or the others."""
        with self._store.errors():
            rows = self._db.execute(
                "SELECT * FROM drafts WHERE ?1 IS NULL OR (run_version IS version) = ?1 ORDER BY changed DESC LIMIT ?2",
                (was_run, limit),
            ).fetchall()
        return [_draft(row) for row in rows]

    def of_run(self, run_id: str) -> Draft | None:
        """The draft of which a run was made, if it still exists."""
        with self._store.errors():
            row = self._db.execute("SELECT * FROM drafts WHERE run = ? ORDER BY draft DESC", (run_id,)).fetchone()
        return _draft(row) if row is not None else None

    def delete(self, draft: Draft) -> None:
        """Delete a draft; the runs that were made of it stay."""
        with self._store.transaction():
            if self.version(draft) is not None:
                for table in _TABLES:
                    self._db.execute(f"DELETE FROM {table} WHERE draft = ?", (draft.number,))

    def set_reading(self, draft: Draft, reading: Mapping[str, str]) -> None:
        """Have the file read again, with these options; what was read of it before is deleted."""
        with self._store.transaction():
            for table in _TABLES[:-1]:
                self._db.execute(f"DELETE FROM {table} WHERE draft = ?", (draft.number,))
            self._set(draft, state=DraftState.READING, reading=to_json(reading), source=None, fields=None, problem="")

    def set_problem(self, draft: Draft, problem: str) -> None:
        """Record why the file cannot be read; the rows that were read of it are deleted.

        Raises `DraftChanged` if the draft is no longer the one that was read.
        """
        with self._store.transaction():
            self._db.execute("DELETE FROM draft_rows WHERE draft = ?", (draft.number,))
            self._set(draft, state=DraftState.UNREADABLE, problem=problem)

    def set_source(self, draft: Draft, source: DraftSource) -> None:
        """Record what was read; its state stays. Raises `DraftChanged` as `set_problem` does."""
        with self._store.transaction():
            self._set(draft, source=to_json(asdict(source)), problem="")

    def set_columns(self, draft: Draft, fields: Sequence[str | None], defaults: Mapping[str, str]) -> None:
        """Record the field of each column, and the values for empty cells; the rows are to be checked."""
        state = DraftState.READING if draft.state is DraftState.READING else DraftState.COLUMNS
        with self._store.transaction():
            self._set(draft, state=state, fields=to_json(fields), defaults=to_json(defaults))

    def set_unclear(self, draft: Draft) -> None:
        """Record that all rows are read, and that a person has to choose the columns."""
        with self._store.transaction():
            self._set(draft, state=DraftState.COLUMNS)

    def set_checked(self, draft: Draft) -> None:
        """Record that all rows are checked."""
        with self._store.transaction():
            self._set(draft, state=DraftState.CHECKED)

    def set_target(
        self, draft: Draft, *, is_rehearsal: bool, on_existing: str, trust_list: bool, create_lookalikes: bool
    ) -> None:
        """Record the account that the rows are for, and what is allowed there; see the options of these names.

        What another account has for the rows is forgotten.
        """
        with self._store.transaction():
            self.require(draft)
            self._db.execute(f"UPDATE draft_rows SET {NO_PLAN} WHERE draft = ?", (draft.number,))
            self._set(
                draft,
                is_rehearsal=is_rehearsal,
                on_existing=on_existing,
                trust_list=trust_list,
                create_lookalikes=create_lookalikes,
            )

    def set_planned(self, draft: Draft, planned: Mapping[str, object]) -> None:
        """Record what a comparison with the account says about the rows as they are in this version."""
        with self._store.transaction():
            self._db.execute(
                "UPDATE drafts SET planned = ?, planned_version = ? WHERE id = ?",
                (to_json(planned), draft.version, draft.id),
            )

    def set_run(self, draft_id: str, run_id: str, version: int | None) -> None:
        """Record the run that was made of a draft, and the version of the draft that it got."""
        with self._store.transaction():
            self._db.execute("UPDATE drafts SET run = ?, run_version = ? WHERE id = ?", (run_id, version, draft_id))

    def chosen_fields(self, header: Sequence[str]) -> tuple[tuple[str | None, ...], float] | None:
        """The fields that a person chose last for the columns of an equal header, and when."""
        with self._store.errors():
            row = self._db.execute(
                "SELECT fields, at FROM header_choices WHERE header = ?", (_header_key(header),)
            ).fetchone()
        return (tuple(json.loads(row["fields"])), row["at"]) if row is not None else None

    def remember_fields(self, header: Sequence[str], fields: Sequence[str | None]) -> None:
        """Remember the fields that a person chose for the columns of a header."""
        with self._store.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO header_choices (header, fields, at) VALUES (?, ?, ?)",
                (_header_key(header), to_json(fields), time.time()),
            )

    def _set(self, draft: Draft, **values: object) -> None:
        columns = "".join(f"{column} = ?, " for column in values)
        changed = self._db.execute(
            f"UPDATE drafts SET {columns}changed = ?, version = version + 1 WHERE id = ? AND version = ?",
            (*values.values(), time.time(), draft.id, draft.version),
        )
        if not changed.rowcount:
            raise DraftChanged(_CHANGED)


def _header_key(header: Sequence[str]) -> bytes:
    return digest(to_json(header))


def _draft(row: sqlite3.Row) -> Draft:
    return Draft(
        number=row["draft"],
        id=row["id"],
        name=row["name"],
        upload=row["upload"],
        user=row["user"],
        created=row["created"],
        changed=row["changed"],
        version=row["version"],
        state=DraftState(row["state"]),
        problem=row["problem"],
        reading=json.loads(row["reading"]),
        source=_source(json.loads(row["source"])) if row["source"] else None,
        fields=tuple(json.loads(row["fields"])) if row["fields"] else None,
        defaults=json.loads(row["defaults"]),
        is_rehearsal=bool(row["is_rehearsal"]),
        on_existing=row["on_existing"],
        trust_list=bool(row["trust_list"]),
        create_lookalikes=bool(row["create_lookalikes"]),
        planned=json.loads(row["planned"]) if row["planned"] else None,
        is_plan_current=row["planned_version"] == row["version"],
        run_id=row["run"],
        is_run_current=row["run_version"] == row["version"],
    )


def _source(values: dict[str, object]) -> DraftSource:
    translated = values.pop("translated")
    doubts = values.pop("header_doubts")
    assert isinstance(doubts, dict)
    return DraftSource(
        **values | {name: tuple(values[name]) for name in ("header", "notes", "sheets")},  # type: ignore[arg-type]
        translated=Translated(**translated) if isinstance(translated, dict) else None,
        header_doubts={int(index): doubt for index, doubt in doubts.items()},
    )
