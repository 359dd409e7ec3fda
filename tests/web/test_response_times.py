"""What a page costs depends on what it shows, not on the size of the file; the server answers while others work.

Times are measured by `python -m tests.benchmarks page`; here, the work of SQLite is counted, which is always the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkload.model import RawRow, Status
from bulkload.operations.draft_check import check_draft
from bulkload.operations.draft_edits import DraftEditor
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft, Drafts, DraftSource
from bulkload.store.runs import Store
from bulkload.web.pages.row_table import TableQuery, draft_table
from bulkload.web.pages.runs import run_lines
from tests.support.command_line import PLAN
from tests.support.served import Serve
from tests.support.stores import ACCOUNT, begin_run, new_row
from tests.support.web_client import Visitor, csv_of

HEADER = ("type", "name", "hostname", "billing_plancode", "port")
STEP = 20  # instructions of SQLite's virtual machine between two counts


def checked_draft(store: Store, rows: int) -> Draft:
    """A draft in which each tenth port is wrong."""
    drafts = Drafts(store)
    draft = drafts.create("hosts.csv", "")
    DraftRows(store, draft).add(
        RawRow(number=n, cells=("imap", f"m{n}", f"mx{n}.example.com", PLAN, "99999" if n % 10 == 0 else "993"))
        for n in range(2, rows + 2)
    )
    drafts.set_source(draft, DraftSource(format="csv", header=HEADER))
    drafts.set_columns(drafts.get(draft.id), HEADER, {})
    check_draft(store, drafts.get(draft.id))
    return drafts.get(draft.id)


@contextmanager
def counted(store: Store) -> Iterator[Callable[[], int]]:
    """Count the work of SQLite in the block."""
    count = 0

    def handler() -> int:
        nonlocal count
        count += 1
        return 0

    store.db.set_progress_handler(handler, STEP)
    try:
        yield lambda: count
    finally:
        store.db.set_progress_handler(None, 0)


def work(folder: Path, rows: int, query: str) -> int:
    with Store(folder / str(rows)) as store:
        draft = checked_draft(store, rows)
        fields = dict(part.split("=") for part in query.split("&")) if query else {}
        with counted(store) as steps:
            table = draft_table(DraftPages(store, draft), TableQuery.of(f"/drafts/{draft.id}", fields))
            assert table.rows
            return steps()


@pytest.mark.parametrize(
    "query", ["", "page=20", "status=ready", "kind=port.range:4", "kind=port.range:4&page=2", "q=mx9"]
)
def test_the_work_for_a_page_grows_with_the_file_no_faster_than_its_rows(tmp_path: Path, query: str) -> None:
    few, many = work(tmp_path, 1_000, query), work(tmp_path, 4_000, query)
    assert few > 0
    assert many < 5 * few


def test_the_rows_of_a_kind_are_found_in_one_look_up(tmp_path: Path) -> None:
    assert work(tmp_path / "kind", 4_000, "kind=port.range:4") < 1.5 * work(tmp_path / "all", 4_000, "")


def test_the_work_for_an_edit_does_not_depend_on_the_size_of_the_file(tmp_path: Path) -> None:
    steps = []
    for rows in (500, 5_000):
        with Store(tmp_path / str(rows)) as store:
            draft = checked_draft(store, rows)
            with counted(store) as count:
                assert DraftEditor(store, draft).set_cells({(10, 4): "993"}, {(10, 4): "99999"}) == 1
                steps.append(count())
    assert steps[1] <= 2 * steps[0] + 10


def test_a_page_of_the_history_counts_only_the_rows_of_its_runs(tmp_path: Path) -> None:
    steps = []
    for runs in (40, 160):
        with Store(tmp_path / str(runs)) as store:
            account = store.account_id(*ACCOUNT)
            for number in range(runs):
                begin_run(store, account, [new_row(row, state=Status.EXISTS) for row in range(20)], f"{number}.csv")
            with counted(store) as count:
                assert len(run_lines(store, (), 30)) == 30
                steps.append(count())
    assert steps[1] < 2 * steps[0]


def test_the_server_answers_while_a_file_is_read_and_rows_are_corrected(serve: Serve) -> None:
    server = serve()
    visitor, other = Visitor(server.address), Visitor(server.address)
    draft = assert_answered(other, lambda: visitor.upload(csv_of(15_000)).location)
    visitor.until(draft, lambda answer: "Reading the file" not in answer.text)
    bad_hosts = {"column": "2", "value": "not a host", "scope": "all"}
    assert_answered(other, lambda: visitor.post(f"{draft}/fill", bad_hosts).location)
    assert "No row is ready yet." in visitor.get(draft).shown


def assert_answered(visitor: Visitor, work: Callable[[], str]) -> str:
    """Others are answered all the time that something takes; returns its result."""
    answers, slowest = 0, 0.0
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(work)
        while not busy.done():
            began = time.monotonic()
            assert visitor.get("/health").body == b"ok\n"
            assert visitor.get("/").status == 200
            slowest, answers = max(slowest, time.monotonic() - began), answers + 1
    assert answers > 1
    assert slowest < 5
    return busy.result()
