"""Drafts in the store: pages of rows, search, kinds of problems, quick queries, and nothing that stays behind."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.model import Issue, NumberText, RawRow
from bulkload.operations.draft_retention import delete_old_drafts
from bulkload.store.draft_checks import DraftChecks
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import IGNORED, LEFT_OUT, READY, CheckedRow, PlannedRow, RowChange, RowFilter
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft, DraftChanged, Drafts, DraftSource
from bulkload.store.row_records import NewRow
from bulkload.store.run_pages import RunPages
from bulkload.store.runs import Store
from bulkload.store.schema import MIGRATIONS
from bulkload.store.search import register, search_condition
from tests.support.stores import begin_run

HEADER = ("type", "name", "hostname")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as store:
        yield store


def new_draft(store: Store, rows: Sequence[RawRow], header: Sequence[str] = HEADER) -> Draft:
    """A draft with these rows, not checked."""
    drafts = Drafts(store)
    draft = drafts.create("hosts.csv", "")
    DraftRows(store, draft).add(rows)
    drafts.set_source(draft, DraftSource(format="csv", header=tuple(header)))
    return drafts.get(draft.id)


def numbered(*cells: Sequence[str]) -> list[RawRow]:
    return [RawRow(number=number, cells=tuple(row)) for number, row in enumerate(cells, 2)]


def error(code: str, index: int | None = None, suggestion: str = "", message: str = "It is wrong.") -> Issue:
    return Issue(code=code, message=message, index=index, suggestion=suggestion)


# ── rows as read ──────────────────────────────────────────────────────────────────────────────────────────

ISSUES = st.lists(
    st.builds(
        Issue,
        code=st.sampled_from(("cell.error", "row.long", "cell.encoding")),
        message=st.text(max_size=5),
        column=st.none() | st.text(max_size=3),
        index=st.none() | st.integers(0, 2),
        value=st.text(max_size=3),
        severity=st.sampled_from(("error", "warning")),
    ),
    max_size=3,
)
CELLS = st.tuples(*[st.text(max_size=5) | st.builds(NumberText, st.sampled_from(("1020", "99")))] * 3)


@given(st.lists(st.tuples(CELLS, ISSUES, st.none() | st.integers(0, 3)), max_size=5))
def test_rows_are_as_they_were_read(rows: list[tuple[tuple[str, ...], list[Issue], int | None]]) -> None:
    read = [RawRow(number, cells, tuple(issues), ends_at) for number, (cells, issues, ends_at) in enumerate(rows, 3)]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        draft = new_draft(store, read)
        stored = list(DraftRows(store, draft).raw())
        assert stored == read
        kinds = [[type(cell) for cell in row.cells] for row in stored]
        assert kinds == [[type(cell) for cell in row.cells] for row in read]
        assert [[issue.index for issue in row.issues] for row in stored] == [
            [issue.index for issue in row.issues] for row in read
        ]


# ── search and filters ────────────────────────────────────────────────────────────────────────────────────


def found(store: Store, draft: Draft, search: str) -> list[int]:
    wanted = RowFilter(search=search)
    rows = DraftPages(store, draft).page(wanted, 0, 100)
    assert DraftPages(store, draft).count(wanted) == len(rows)
    return [row.number for row in rows]


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        ("%", [2]),
        ("_", [3]),
        ("\\", [4]),
        ("\\\\", []),
        ('"', [5]),
        ("'", [6]),
        (",", [7]),
        ("[", []),
        ('","', []),
        ("n", [8, 9, 11]),  # not the line break of row 10
        ("\n", [10]),
        ("büro", [8]),
        ("BÜRO", [8]),
        ("ÄÖ", [9]),
        ("почта", [11]),
        ("Straße", [9]),
        ("mx.EXAMPLE", []),
        ("", [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
        ("\u0000", []),
        ("u00", []),
    ],
)
def test_search(search: str, numbers: list[int], store: Store) -> None:
    cells = ("100%", "a_b", "C:\\x", 'a"b', "it's", "a,b", "Büro München", "Straße äön", "a\r\nb", "ПОЧТА in")
    draft = new_draft(store, numbered(*[("", cell, "") for cell in cells]))
    assert found(store, draft, search) == numbers


@given(st.lists(st.text(max_size=6), min_size=1, max_size=4), st.text(min_size=1, max_size=3))
def test_search_finds_what_is_in_a_cell(cells: list[str], search: str) -> None:
    database = sqlite3.connect(":memory:")
    register(database)
    database.execute("CREATE TABLE rows (cells TEXT)")
    database.execute("INSERT INTO rows VALUES (?)", (json.dumps(cells, ensure_ascii=False),))
    condition, values = search_condition(search)
    is_found = bool(database.execute(f"SELECT 1 FROM rows WHERE {condition}", values).fetchall())
    database.close()
    assert is_found or not any(search in cell for cell in cells)
    assert not is_found or any(search.casefold() in cell.casefold() for cell in cells)


def test_search_in_a_run(store: Store) -> None:
    store.lock()
    names = ("100%", "Büro", "plain")
    rows = [NewRow(source_row=n, cells=(name, "x"), state="invalid") for n, name in enumerate(names, 2)]  # type: ignore[arg-type]
    run = begin_run(store, store.account_id("https://api.example.com", "probe"), rows)
    for search, expected in (("BÜRO", [3]), ("%", [2]), ("x", [2, 3, 4]), ("AIN", [4]), ("1", [2])):
        pages = RunPages(store=store, run=run, search=search)
        assert [row.source_row for row in pages.page(0, 10)] == expected
        assert pages.count() == len(expected)


def checked_draft(store: Store) -> Draft:
    draft = new_draft(store, numbered(*[("imap", f"m{number}", "x") for number in range(2, 9)]))
    checks = DraftChecks(store, draft)
    checks.save(
        [
            CheckedRow(2, READY, key="k2"),
            CheckedRow(3, "invalid", issues=(error("port.range", 2), error("name.length", 1, "short"))),
            CheckedRow(4, READY, issues=(Issue(code="port.odd", message="Odd.", index=2, severity="warning"),)),
            CheckedRow(5, IGNORED),
            CheckedRow(6, "invalid", issues=(error("port.range", 2), error("row.long"))),
            CheckedRow(7, "duplicate", issues=(error("row.duplicate"), error("name.length", 1))),
            CheckedRow(8, READY, key="k8"),
        ]
    )
    DraftRows(store, draft).change("row 8", [RowChange(8, left_out=True)])
    checks.save([CheckedRow(8, LEFT_OUT)])
    return Drafts(store).get(draft.id)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (RowFilter(), [3, 6, 7, 4, 2, 5, 8]),  # bad ones first, then warnings, then good ones, then what is left out
        (RowFilter(status="invalid"), [3, 6]),
        (RowFilter(status=READY), [4, 2]),
        (RowFilter(status=LEFT_OUT), [8]),
        (RowFilter(status=IGNORED), [5]),
        (RowFilter(status="'; DROP TABLE drafts"), []),
        (RowFilter(kind=("port.range", "2")), [3, 6]),
        (RowFilter(kind=("port.range", "")), []),
        (RowFilter(kind=("row.long", "")), [6]),
        (RowFilter(kind=("name.length", "1"), status="duplicate"), [7]),
        (RowFilter(kind=("name.length", "1"), search="M3"), [3]),
    ],
)
def test_filters_and_order(wanted: RowFilter, numbers: list[int], store: Store) -> None:
    pages = DraftPages(store, checked_draft(store))
    assert [row.number for row in pages.page(wanted, 0, 100)] == numbers
    assert pages.count(wanted) == len(numbers)
    assert [row.number for start in range(0, 8, 3) for row in pages.page(wanted, start, 3)] == numbers


def test_kinds_and_counts(store: Store) -> None:
    draft = checked_draft(store)
    pages = DraftPages(store, draft)
    assert [(kind.key, kind.severity, kind.rows, kind.suggestions) for kind in pages.kinds()] == [
        (("name.length", "1"), "error", 2, 1),
        (("port.range", "2"), "error", 2, 0),
        (("row.duplicate", ""), "error", 1, 0),
        (("row.long", ""), "error", 1, 0),
        (("port.odd", "2"), "warning", 1, 0),
    ]
    assert DraftChecks(store, draft).suggestions(("name.length", "1")) == {3: "short"}
    assert pages.numbers(kind=("name.length", "1")) == [3, 7]
    DraftChecks(store, draft).save_planned([PlannedRow(2, "exists", "77", "differs"), PlannedRow(8, "exists", "", "")])
    assert pages.counts() == {"invalid": 2, READY: 1, IGNORED: 1, "duplicate": 1, LEFT_OUT: 1, "exists": 1}


def test_results_for_an_older_version_are_not_taken(store: Store) -> None:
    draft = checked_draft(store)
    DraftRows(store, draft).change("row 2", [RowChange(2, cells=("imap", "x", "y"))])
    DraftChecks(store, draft).save_planned([PlannedRow(2, "exists", "77", ""), PlannedRow(4, "exists", "78", "")])
    assert {row.planned for row in DraftPages(store, draft).page(RowFilter(), 0, 10)} == {None}


# ── quick queries ─────────────────────────────────────────────────────────────────────────────────────────


class Recorded(sqlite3.Connection):
    """A connection that explains each query of the tables of drafts."""

    plans: ClassVar[dict[str, str]] = {}

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith(("SELECT", "WITH")) and "draft_" in sql:
            plan = super().execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
            self.plans[sql] = "; ".join(row[3] for row in plan)
        return super().execute(sql, parameters)


def test_queries_use_the_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No query reads the rows of other drafts; pages come in order, without sorting."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, **more, factory=Recorded))
    Recorded.plans.clear()
    with Store(tmp_path) as store:
        draft = checked_draft(store)
        rows, checks, pages = DraftRows(store, draft), DraftChecks(store, draft), DraftPages(store, draft)
        list(rows.raw())
        rows.samples(3)
        rows.with_neighbours(3)
        rows.beside_short([3, 4])
        rows.changed_numbers(3)
        checks.connected([2, 3], 100)
        checks.unchecked()
        checks.suggestions(("port.range", "2"))
        for wanted in (
            RowFilter(),
            RowFilter(status=READY),
            RowFilter(search="x"),
            RowFilter(kind=("port.range", "2")),
        ):
            pages.page(wanted, 0, 50)
            pages.count(wanted)
        pages.kinds()
        pages.counts()
        pages.numbers(kind=("port.range", "2"))
    assert len(Recorded.plans) > 15
    for sql, plan in Recorded.plans.items():
        assert not [step for step in plan.split("; ") if step.startswith("SCAN") and "json_each" not in step], (
            sql,
            plan,
        )
        assert "AUTOMATIC" not in plan, (sql, plan)
        if "ORDER BY rank" in sql:
            assert "USING INDEX draft_rows_rank" in plan, (sql, plan)
        if "ORDER BY number LIMIT" in sql or "ORDER BY rank" in sql:
            assert "TEMP B-TREE" not in plan, (sql, plan)
        if "own_key IN" in sql:
            assert "draft_rows_key" in plan, (sql, plan)
        if "given_id IN" in sql:
            assert "draft_rows_given" in plan, (sql, plan)
        if "code = ?" in sql:
            assert "draft_issues_kind" in plan, (sql, plan)


# ── what stays behind ─────────────────────────────────────────────────────────────────────────────────────


def counts_of_tables(store: Store) -> dict[str, int]:
    return {
        table: store.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("drafts", "draft_rows", "draft_issues", "draft_edits")
    }


def test_a_deleted_draft_leaves_nothing(store: Store) -> None:
    other = checked_draft(store)
    before = counts_of_tables(store)
    draft = checked_draft(store)
    Drafts(store).delete(draft)
    assert counts_of_tables(store) == before
    with pytest.raises(DraftChanged):
        Drafts(store).get(draft.id)
    Drafts(store).delete(draft)  # twice is no error
    assert Drafts(store).get(other.id).header == HEADER


def test_what_still_works_on_a_deleted_draft_does_not_change_the_next_one(store: Store) -> None:
    """SQLite gives the number of the last draft again once that is deleted."""
    old = checked_draft(store)
    Drafts(store).delete(old)
    new = checked_draft(store)
    assert new.number == old.number
    before = counts_of_tables(store), DraftPages(store, new).page(RowFilter(), 0, 10), Drafts(store).get(new.id)
    for work in (
        lambda: DraftRows(store, old).add(numbered(("a", "b", "c"))),
        lambda: DraftRows(store, old).change("x", [RowChange(2, left_out=True)]),
        lambda: DraftRows(store, old).take_back(),
        lambda: DraftChecks(store, old).begin(),
        lambda: DraftChecks(store, old).save([CheckedRow(2, "invalid", issues=(error("x"),))]),
        lambda: DraftChecks(store, old).forget_planned(),
        lambda: Drafts(store).set_target(
            old, is_rehearsal=True, on_existing="skip", trust_list=False, create_lookalikes=False
        ),
        lambda: Drafts(store).set_problem(old, "x"),
        lambda: Drafts(store).set_checked(old),
        lambda: Drafts(store).set_columns(old, (None,) * 3, {}),
        lambda: Drafts(store).set_source(old, DraftSource(format="csv", header=())),
        lambda: Drafts(store).set_checked(old),
        lambda: Drafts(store).set_columns(old, (None,) * 3, {}),
    ):
        with pytest.raises(DraftChanged):
            work()
    Drafts(store).set_planned(old, {})
    Drafts(store).set_run(old.id, "run", 1)
    DraftChecks(store, old).save_planned([PlannedRow(2, "exists", "", "")])
    Drafts(store).delete(old)
    assert before == (
        counts_of_tables(store), DraftPages(store, new).page(RowFilter(), 0, 10), Drafts(store).get(new.id),
    )  # fmt: skip


def test_a_draft_that_is_read_again_takes_no_rows_of_the_first_reading(store: Store) -> None:
    draft = Drafts(store).create("hosts.csv", "")
    first = DraftRows(store, draft)
    first.add(numbered(("a", "b", "c")))
    Drafts(store).set_reading(draft, {"sheet": "other"})
    with pytest.raises(DraftChanged):
        first.add([RawRow(9, ("a", "b", "c"))])
    assert counts_of_tables(store)["draft_rows"] == 0


def test_old_drafts_and_their_uploads_are_deleted(store: Store, tmp_path: Path) -> None:
    uploads, drafts = tmp_path / "uploads", Drafts(store)
    assert delete_old_drafts(store, uploads) == 0  # no folder yet
    uploads.mkdir()
    names = {key: f"{key * 32}.csv" for key in "abc"}
    for name in (*names.values(), "0" * 32, "notes.txt", "f" * 31 + "x.csv"):
        (uploads / name).write_text("x", encoding="utf-8")
    (uploads / "reading-abc").mkdir()
    (uploads / "reading-abc" / "hosts.csv").write_text("x", encoding="utf-8")
    for key, days in (("a", 91), ("b", 89)):
        draft = drafts.create("hosts.csv", names[key])
        DraftRows(store, draft).add(numbered(("x", "y", "z")))
        changed = time.time() - days * 86_400
        store.db.execute("UPDATE drafts SET created = ?, changed = ? WHERE id = ?", (changed, changed, draft.id))
    touched = drafts.create("hosts.csv", names["c"])
    store.db.execute("UPDATE drafts SET created = 0, changed = 0 WHERE id = ?", (touched.id,))
    DraftRows(store, touched).add(numbered(("x", "y", "z")))
    DraftRows(store, touched).change("row 2", [RowChange(2, left_out=True)])
    assert delete_old_drafts(store, uploads) == 1
    assert sorted(path.name for path in uploads.iterdir()) == sorted(
        [names["b"], names["c"], "f" * 31 + "x.csv", "notes.txt"]
    )
    assert [draft.upload for draft in drafts.list()] == [names["c"], names["b"]]
    assert counts_of_tables(store) == {"drafts": 2, "draft_rows": 2, "draft_issues": 0, "draft_edits": 1}


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_an_older_store_opens(version: int, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "bulkload.sqlite3", isolation_level=None)
    for script in MIGRATIONS[:version]:
        database.executescript(script)
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    with Store(tmp_path) as store:
        draft = checked_draft(store)
        assert Drafts(store).list() == [draft]
        assert store.runs() == []
