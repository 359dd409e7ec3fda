"""Drafts that are changed or deleted while something else uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulkload.errors import UsageError
from bulkload.model import RawRow
from bulkload.operations.draft_check import check_draft, check_interrupted
from bulkload.operations.draft_edits import DraftEditor
from bulkload.operations.drafts import draft_input
from bulkload.store.draft_checks import DraftChecks
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import PlannedRow, RowChange, RowFilter
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft, DraftChanged, Drafts, DraftSource, DraftState
from bulkload.store.runs import Store
from tests.support.command_line import PLAN
from tests.support.stores import ACCOUNT, begin_run

HEADER = ("type", "name", "hostname", "billing_plancode")
ROWS = 1_200  # more than are fetched at a time


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as store:
        yield store


@pytest.fixture
def other(tmp_path: Path, store: Store) -> Iterator[Store]:
    """The same store, as another thread or process uses it."""
    with Store(tmp_path) as other:
        yield other


@pytest.fixture
def draft(store: Store) -> Draft:
    drafts = Drafts(store)
    draft = drafts.create("hosts.csv", "")
    rows = (RawRow(number=n, cells=("imap", f"m{n}", f"mx{n}.example.com", PLAN)) for n in range(2, ROWS + 2))
    DraftRows(store, draft).add(rows)
    drafts.set_source(draft, DraftSource(format="csv", header=HEADER))
    drafts.set_columns(drafts.get(draft.id), HEADER, {})
    check_draft(store, drafts.get(draft.id))
    return drafts.get(draft.id)


def test_a_run_has_the_rows_of_the_moment_at_which_it_was_opened(store: Store, other: Store, draft: Draft) -> None:
    source = draft_input(store, draft.id, version=draft.version)
    assert source.open is not None
    with source.open() as opened:
        first = next(iter(opened.rows))
        DraftEditor(other, draft).fill(1, "changed", only_empty=False)
        store.account_id(*ACCOUNT)  # what a run writes meanwhile
        names = [first.cells[1], *(row.cells[1] for row in opened.rows)]
    assert names == [f"m{n}" for n in range(2, ROWS + 2)]
    with pytest.raises(UsageError, match="changed in the meantime, so nothing was sent"), source.open():
        pass
    with pytest.raises(UsageError, match="changed in the meantime, so nothing was sent"):
        draft_input(store, draft.id, version=draft.version)


def test_a_comparison_with_rows_that_were_changed_is_not_stored(store: Store, other: Store, draft: Draft) -> None:
    DraftEditor(other, draft).set_cells({(2, 2): "not a host"}, {})
    DraftChecks(store, draft).save_planned([PlannedRow(2, "will create", "", "")])
    (row,) = DraftPages(store, draft).page(RowFilter(status="invalid"), 0, 2)
    assert (row.number, row.planned) == (2, None)


def test_a_run_of_an_older_version_is_not_the_current_one(store: Store, other: Store, draft: Draft) -> None:
    run = begin_run(store, store.account_id(*ACCOUNT), [])
    Drafts(store).set_run(draft.id, run.id, draft.version)
    assert Drafts(store).get(draft.id).is_run_current
    DraftEditor(other, draft).set_cells({(2, 1): "changed"}, {})
    Drafts(store).set_run(draft.id, run.id, draft.version)
    assert not Drafts(store).get(draft.id).is_run_current


def test_what_is_based_on_an_older_version_is_refused(store: Store, other: Store, draft: Draft) -> None:
    DraftEditor(other, draft).set_cells({(2, 1): "changed"}, {})
    drafts, rows = Drafts(store), DraftRows(store, draft)
    changes: tuple[Callable[[], None], ...] = (
        lambda: drafts.set_columns(draft, HEADER, {}),
        lambda: drafts.set_checked(draft),
        lambda: drafts.set_problem(draft, "problem"),
        lambda: drafts.set_reading(draft, {}),
        lambda: rows.add([RawRow(number=9_999, cells=HEADER)]),
    )
    for change in changes:
        with pytest.raises(DraftChanged):
            change()
    now = drafts.get(draft.id)
    assert (now.state, now.version, DraftPages(store, draft).count(RowFilter())) == (
        DraftState.CHECKED,
        draft.version + 1,
        ROWS,
    )


def test_nothing_gets_from_a_deleted_draft_into_a_new_one(store: Store, other: Store, draft: Draft) -> None:
    Drafts(other).delete(draft)
    Drafts(other).create("new.csv", "")
    changes: tuple[Callable[[], None], ...] = (
        lambda: DraftRows(store, draft).add([RawRow(number=2, cells=HEADER)]),
        lambda: DraftChecks(store, draft).save([]),
        lambda: Drafts(store).set_checked(draft),
    )
    for change in changes:
        with pytest.raises(DraftChanged):
            change()
    assert store.db.execute("SELECT count(*) FROM draft_rows").fetchone()[0] == 0


def test_a_change_that_was_not_checked_is_found_and_checked(store: Store, draft: Draft) -> None:
    rows, checks = DraftRows(store, draft), DraftChecks(store, draft)
    changes = [
        RowChange(2, cells=("imap", "m2", "not a host", PLAN)),
        RowChange(3, cells=("imap", "m4", "mx4.example.com", PLAN)),
        RowChange(9, left_out=True),
    ]
    assert rows.change("three rows", changes) == [2, 3, 9]
    assert checks.unchecked() == [2, 3, 9]
    check_interrupted(store)
    assert checks.unchecked() == []
    assert {row.number: row.status for row in DraftPages(store, draft).shown([2, 3, 4, 9])} == {
        2: "invalid",
        3: "ready",
        4: "duplicate",
        9: "left out",
    }
