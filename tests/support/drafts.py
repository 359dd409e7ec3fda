"""Drafts of files, and what the command line says about the same files."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkload.model import Input, ReportRow, Status
from bulkload.operations.draft_check import DUPLICATE
from bulkload.operations.draft_columns import NO_HEADER, defaults_by_field
from bulkload.operations.draft_edits import DraftEditor
from bulkload.operations.draft_upload import UPLOADS
from bulkload.operations.drafts import draft_input, draft_options, read_draft
from bulkload.operations.pipeline import begin
from bulkload.operations.preview import check_file
from bulkload.settings import Account, Options
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import IGNORED, LEFT_OUT, READY, RowFilter, ShownRow, issue_record
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft, Drafts
from bulkload.store.runs import Run, Store

PLAN = {"billing_plancode": "UBM - A/A"}
ALL_ROWS = 1 << 30
_ROW_COLUMNS = (
    "position, source_row, cells, state, type, key, body, patch, names, finished_in_file, monitor_id, error,"
    " error_columns, issues"
)


def upload(
    store: Store, path: Path, options: Options, *, name: str = "", headerless: bool = False, **reading: str
) -> Draft:
    """A draft of a file, read as the page does it, whatever became of it; `name` is the file's for people."""
    stored_as = secrets.token_hex(16) + path.suffix
    folder = options.output / UPLOADS
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / stored_as)
    draft = Drafts(store).create(
        name or path.name,
        stored_as,
        defaults=defaults_by_field(options.set),
        reading=reading | ({NO_HEADER: "yes"} if headerless else {}),
        is_rehearsal=options.sandbox,
    )
    read_draft(store, draft, options)
    return Drafts(store).get(draft.id)


def upload_text(store: Store, text: str, options: Options, name: str = "hosts.csv", **more: Any) -> Draft:
    """A draft of a text file."""
    path = options.output / name
    path.write_text(text, encoding="utf-8", newline="")
    return upload(store, path, options, **more)


@contextmanager
def locked_store(options: Options) -> Iterator[Store]:
    """The store of the output folder, locked as by the worker of the page."""
    with Store(options.output) as store:
        store.lock()
        yield store


def again(store: Store, draft: Draft) -> Draft:
    """The draft as it is now."""
    return Drafts(store).get(draft.id)


def editor(store: Store, draft: Draft) -> DraftEditor:
    """An editor of the draft as it is now."""
    return DraftEditor(store, again(store, draft))


def rows_of(store: Store, draft: Draft) -> list[ShownRow]:
    """All rows as they are shown, in the order of the file."""
    rows = DraftPages(store, again(store, draft)).page(RowFilter(), 0, ALL_ROWS)
    return sorted(rows, key=lambda row: row.number)


def statuses(store: Store, draft: Draft) -> dict[int, str]:
    """The status of each row."""
    return {row.number: row.status for row in rows_of(store, draft)}


def codes(row: ShownRow) -> list[str]:
    """The codes of a row's issues."""
    return [issue.code for issue in row.issues]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a check says: `check` of a file, or that of a draft."""

    counts: Mapping[str, int]
    issues: Sequence[tuple[int, dict[str, str | None]]]
    repeats: Mapping[int, str]  # what is said of rows that repeat others


def check_of_file(path: Path, options: Options) -> Check:
    """What `bulkload check` says about a file."""
    rows: list[ReportRow] = []
    outcome = check_file(Input.at(path), options, rows.append)
    return Check(
        counts={READY if status is Status.WILL_CREATE else str(status): n for status, n in outcome.info.counts.items()},
        issues=[(row.source_row, issue.record()) for row in rows for issue in row.issues],
        repeats={row.source_row: row.error for row in rows if row.error.startswith("Repeats row")},
    )


def check_of_draft(store: Store, draft: Draft) -> Check:
    """The same about a draft: rows that hold only 0 or FALSE are none, and nothing is said about those left out."""
    rows, counts = rows_of(store, draft), DraftPages(store, again(store, draft)).counts()
    issues = [(row.number, issue) for row in rows for issue in row.issues]
    return Check(
        counts={status: n for status, n in counts.items() if status not in (IGNORED, LEFT_OUT)},
        issues=[(number, issue.record()) for number, issue in issues if issue.code != DUPLICATE],
        repeats={number: issue.message for number, issue in issues if issue.code == DUPLICATE},
    )


def run_of_draft(store: Store, draft: Draft, options: Options) -> Run:
    """A run with the rows of a draft, as the pipeline stores it before anything is sent."""
    now = again(store, draft)
    source = draft_input(store, draft.id, version=now.version)
    return begin(store, source, Account(), draft_options(now, options)).run


def run_of_file(store: Store, path: Path, options: Options) -> Run:
    """A run with the rows of a file, as the pipeline stores it before anything is sent."""
    return begin(store, Input.at(path), Account(), options).run


def stored(store: Store, run: Run) -> dict[str, Any]:
    """Everything that the store has of a run, but for its name and settings."""
    (row,) = store.db.execute("SELECT header, details, translated FROM runs WHERE run = ?", (run.number,)).fetchall()
    rows = store.db.execute(f"SELECT {_ROW_COLUMNS} FROM rows WHERE run = ? ORDER BY position", (run.number,))
    return {
        "header": json.loads(row["header"]),
        "details": json.loads(row["details"]),
        "translated": row["translated"],
        "rows": [tuple(row) for row in rows.fetchall()],
    }


def everything(store: Store, draft: Draft) -> dict[str, list[tuple[Any, ...]]]:
    """All that the store has of the rows of a draft, but for what the account has for them."""
    now = again(store, draft)
    rows = store.db.execute(
        "SELECT number, cells, original, numbers, ends_at, findings, left_out, accepted, state, rank, own_key,"
        " given_id, error FROM draft_rows WHERE draft = ? ORDER BY number",
        (now.number,),
    )
    issues = store.db.execute(
        "SELECT number, place, code, header, severity, suggestion, issue FROM draft_issues WHERE draft = ?"
        " ORDER BY number, place",
        (now.number,),
    )
    raw = [
        (row.number, row.cells, [issue_record(issue) for issue in row.issues], row.ends_at, row.left_out)
        for row in DraftRows(store, now).raw()
    ]
    return {
        "rows": [tuple(row) for row in rows.fetchall()],
        "issues": [tuple(row) for row in issues.fetchall()],
        "raw": raw,
        "kinds": [tuple(kind) for kind in DraftPages(store, now).kinds()],
        "counts": sorted(DraftPages(store, now).counts().items()),
    }
