"""The store keeps every run and every row, complete or not at all, even if several processes open it."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from contextlib import closing, suppress
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload import clock
from bulkload.errors import ExitCode, Locked, StoreError, TooManyErrors, UsageError
from bulkload.model import Issue, State, Status, errors_of
from bulkload.store.account_record import AccountRecord
from bulkload.store.database import STORE_NAME
from bulkload.store.row_records import NewRow, RowChange
from bulkload.store.runs import Run, Store
from bulkload.store.schema import MIGRATIONS
from tests.support.stores import ACCOUNT, begin_run, new_row, stored_run

CELLS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2).map(tuple)


def test_a_new_store_is_durable_before_anything_is_sent(tmp_path: Path) -> None:
    """WAL and synchronous=FULL: a committed mark survives a power failure."""
    with Store(tmp_path) as store:
        assert store.db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert store.db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert store.db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)


@settings(max_examples=25)
@given(rows=st.lists(CELLS, max_size=30))
def test_rows_are_returned_unchanged_and_in_order(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Store(tmp_path_factory.mktemp("store")) as store:
        store.lock()
        new = [
            NewRow(source_row=number, cells=cells, state=Status.INVALID, error="x", error_columns=("a",))
            for number, cells in enumerate(rows, 2)
        ]
        run = begin_run(store, store.account_id(*ACCOUNT), new)
        stored = list(store.report_rows(run))
        assert [(row.source_row, row.cells) for row in stored] == list(enumerate(rows, 2))
        assert sum(store.counts(run).values()) == len(rows)


def test_all_details_of_a_row_are_kept_for_the_report(tmp_path: Path) -> None:
    issue = Issue(code="port.range", message="70000 is too high.", column="Port", field="port", value="70000")
    other = Issue(code="port.digits", message="99\uff13 is no port.", column="Port", suggestion="993")
    with Store(tmp_path) as store:
        bad = NewRow(
            source_row=7,
            cells=("a", "b"),
            state=Status.INVALID,
            error="E.",
            error_columns=("Port",),
            issues=(issue, other),
        )
        (row,) = store.report_rows(begin_run(store, store.account_id(*ACCOUNT), [bad]))
        assert row.issues == (issue, other)
        assert (row.error, row.error_columns, row.status) == ("E.", ("Port",), Status.INVALID)


def test_invalid_rows_take_little_space_and_lose_no_word(tmp_path: Path) -> None:
    """Each can have kilobytes of text about its cells, and a file can have millions of them."""
    text = "A sentence about a cell that says what was found, what is allowed, and what to do now. " * 4
    issues = tuple(
        Issue(code=f"c{n}", message=f"{n}: {text}", column=f"C{n}", severity="warning" if n == 2 else "error")
        for n in range(5)
    )
    rows = [NewRow(2 + n, ("x",), Status.INVALID, issues=issues, **_errors_of(issues)) for n in range(1_000)]
    with Store(tmp_path) as store:
        store.lock()
        run = begin_run(store, store.account_id(*ACCOUNT), rows)
        stored = list(store.report_rows(run))
        pages, page_size = (store.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    assert [(row.error, row.error_columns, row.issues) for row in stored] == [
        (row.error, row.error_columns, row.issues) for row in rows
    ]
    assert pages * page_size < 1_000_000  # without compression, 1,000 rows of 4 kB


def _errors_of(issues: tuple[Issue, ...]) -> dict[str, Any]:
    error, error_columns = errors_of(issues)
    return {"error": error, "error_columns": error_columns}


def test_a_failed_transaction_writes_nothing(tmp_path: Path) -> None:
    def rows() -> object:
        yield new_row(0)
        raise RuntimeError("the reader failed")

    with Store(tmp_path) as store:
        run = store.begin("run", "x", ("a", "b"), account_id=None, details={}, settings={})
        with pytest.raises(RuntimeError):
            store.add(run, 0, rows())  # type: ignore[arg-type]
        assert list(store.report_rows(run)) == []
        assert not store.db.in_transaction


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_found_by_an_unambiguous_prefix_of_its_id(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises(UsageError, match="no runs yet"):
            store.run()
        runs = [begin_run(store, store.account_id(*ACCOUNT), []) for _ in range(3)]
        assert store.run().id == runs[-1].id
        assert [listed.id for listed in store.runs()] == [run.id for run in reversed(runs)]
        for run in runs:
            assert store.run(run.id).number == run.number
        with pytest.raises(UsageError, match="several run IDs"):
            store.run(runs[0].id[:8])
        for prefix in ("nothing", "%", "_", "*"):
            with pytest.raises(UsageError, match="no run"):
                store.run(prefix)


def test_sessions_of_a_run_add_up_and_the_last_exit_code_is_kept(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, _):
        store.end(run, ExitCode.STOPPED, TooManyErrors("Too many."), 2.0, {"sent": 5, "retried": 1})
        store.end(run, ExitCode.DONE, None, 3.0, {"sent": 7, "throttled": 2})
        info = store.info(run)
        assert (info.seconds, info.stopped) == (5.0, "")
        assert dict(info.requests) == {"sent": 12, "throttled": 2, "retried": 1}
        assert store.run().exit_code == ExitCode.DONE


def test_rows_that_were_given_up_are_pending_again_in_another_session(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        context.rows.apply([], sending=[0])
        context.rows.apply([RowChange(position=0, state=Status.FAILED), RowChange(position=1, state=Status.REJECTED)])
        store.reopen(run)
        rows = list(store.report_rows(run))
        assert [row.status for row in rows] == [Status.NOT_ATTEMPTED, Status.REJECTED, Status.NOT_ATTEMPTED]
        assert rows[0].attempts == 0


def test_accounts_differ_by_address_and_user(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        names = [("https://a", "x"), ("https://a", "y"), ("https://b", "x")]
        account_ids = [store.account_id(*name) for name in names]
        assert len(set(account_ids)) == 3
        assert [store.account_id(*name) for name in names] == account_ids


# ── counts ────────────────────────────────────────────────────────────────────────────────────────────────────


def _kept(store: Store, run: Run) -> bool:
    return store.db.execute("SELECT 1 FROM row_counts WHERE run = ?", (run.number,)).fetchone() is not None


def _counted(store: Store, run: Run) -> dict[str, int]:
    return dict(store.db.execute("SELECT state, count(*) FROM rows WHERE run = ? GROUP BY state", (run.number,)))


STATES = st.sampled_from([*State, *list(Status)[:10]])


@settings(max_examples=40)
@given(steps=st.lists(st.one_of(st.tuples(st.integers(0, 1), st.integers(0, 3), STATES), st.none()), max_size=15))
def test_counts_are_right_after_any_change_of_any_run(
    steps: list[tuple[int, int, State | Status] | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """None: a session ends."""
    folder = tmp_path_factory.mktemp("store")
    with stored_run(folder, rows=4) as (store, first, context), Store(folder) as reader:
        runs = [first, begin_run(store, context.account_id, [new_row(number + 10) for number in range(4)])]
        assert all(_kept(store, run) for run in runs)
        for step in steps:
            if step is None:
                store.end(first, ExitCode.DONE, None, 1.0, {})
                assert all(_kept(store, run) for run in runs)
            else:
                run, position, state = step
                monitor_id = str(100 * run + position) if state is Status.CREATED else None
                context.rows.apply(
                    [RowChange(run=runs[run].number, position=position, state=state, monitor_id=monitor_id)]
                )
            for run_ in runs:
                assert store.state_counts(run_) == reader.state_counts(run_) == _counted(store, run_)


def test_a_change_that_is_rolled_back_or_killed_leaves_the_counts(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        with suppress(ZeroDivisionError), store.transaction():
            store.db.execute("UPDATE rows SET state = 'rejected'")
            assert store.counts(run) == {Status.REJECTED: 3}
            raise ZeroDivisionError
        assert _kept(store, run)
        assert store.counts(run) == {Status.NOT_ATTEMPTED: 3}
        context.rows.apply([], sending=[0])
    with Store(tmp_path) as store:  # the process ended without a word
        assert not _kept(store, run)
        assert store.counts(run) == {Status.UNKNOWN: 1, Status.NOT_ATTEMPTED: 2}
        store.lock()
        store.keep_counts()
        assert _kept(store, run)
        assert store.state_counts(run) == {"doubt": 1, "pending": 2}


def test_the_counts_of_a_run_that_is_being_read_are_not_kept(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        reading = store.begin("run", "x", ("a", "b"), account_id=context.account_id, details={}, settings={})
        position = store.add(reading, 0, [new_row(7)])
        store.end(run, ExitCode.DONE, None, 1.0, {})
        assert not _kept(store, reading)
        store.add(reading, position, [new_row(8)])
        assert store.counts(reading) == {Status.NOT_ATTEMPTED: 2}


# ── lock ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_locked_store_is_refused_immediately_and_free_afterwards(tmp_path: Path) -> None:
    with Store(tmp_path) as first:
        first.lock()
        with Store(tmp_path) as second, pytest.raises(Locked):
            second.lock()
    with Store(tmp_path) as third:
        third.lock()


def _open_with_others(folder: Path, start: Barrier, results: SimpleQueue[str]) -> None:
    for number in range(20):
        start.wait(60)
        try:
            with Store(folder / str(number)) as store:
                store.account_id(*ACCOUNT)
            results.put("")
        except StoreError as error:
            results.put(str(error))


def test_processes_that_create_the_store_simultaneously_can_all_open_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.SimpleQueue()
    processes = [context.Process(target=_open_with_others, args=(tmp_path, start, results)) for _ in range(4)]
    for process in processes:
        process.start()
    assert {results.get() for _ in range(4 * 20)} == {""}
    for process in processes:
        process.join(60)


def _lock_and_die(folder: Path) -> None:
    Store(folder).lock()
    os._exit(9)


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_lock_and_die, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    with Store(tmp_path) as store:
        store.lock()


def test_requests_of_a_killed_process_are_in_doubt_from_the_time_of_the_lock(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, run, context):
        context.rows.apply([], sending=[0])
        context.rows.apply([], sending=[1])
        context.rows.apply([RowChange(position=1, state=State.DOUBT, at="boot|5.0000|5.0000")])
    before = clock.moment()
    with Store(tmp_path) as store:
        store.lock()
        doubts = AccountRecord(store, 1).rows_in_doubt()
        assert [(doubt.position, doubt.attempts) for doubt in doubts] == [(0, 1), (1, 1)]
        assert doubts[1].at == "boot|5.0000|5.0000", "a known moment is kept"
        assert clock.seconds_between(before, doubts[0].at) > 0
        assert store.counts(run) == {Status.UNKNOWN: 2, Status.NOT_ATTEMPTED: 1}


def test_an_interrupted_plan_is_deleted_by_the_next_process(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.lock()
        store.add(store.begin("plan", "x", ("a", "b"), account_id=None, details={}, settings={}), 0, [new_row(0)])
    with Store(tmp_path) as store:
        store.lock()
        assert store.runs() == []
        assert store.db.execute("SELECT count(*) FROM rows").fetchone()[0] == 0


# ── versions ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_store_of_every_older_version_is_migrated_without_loss(version: int, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as database:
        for script in MIGRATIONS[:version]:
            database.executescript(script)
        database.executescript(
            f"""
            PRAGMA user_version = {version};
            INSERT INTO accounts (base_url, username) VALUES ('https://a', 'x');
            INSERT INTO runs (id, account, command, input, header, details, settings, started, read_whole)
            VALUES ('20260314T021500-1f3a', 1, 'run', 'hosts.csv', '["name"]', '{{}}', '{{}}', 1.0, 1);
            INSERT INTO rows (run, position, source_row, cells, state, monitor_id)
            VALUES (1, 0, 2, '["m0"]', 'created', '7');
            """
        )
    with Store(tmp_path) as store:
        store.lock()
        (row,) = store.report_rows(store.run())
        assert (row.cells, row.status, row.monitor_id) == (("m0",), Status.CREATED, "7")
        assert store.db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)


def test_a_store_of_a_newer_version_is_refused_and_unchanged(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreError, match="newer bulkload"):
        Store(tmp_path)
    with closing(sqlite3.connect(tmp_path / STORE_NAME)) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1


def test_a_store_that_must_exist_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no runs"):
        Store(tmp_path / "nothing", must_exist=True)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_does_not_wait_for_a_run_and_sees_only_committed_changes(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context), Store(tmp_path) as reader:
        with store.transaction():
            store.db.execute("UPDATE rows SET state = 'rejected' WHERE position = 0")
            assert reader.counts(run) == {Status.NOT_ATTEMPTED: 3}
        assert reader.counts(run) == {Status.REJECTED: 1, Status.NOT_ATTEMPTED: 2}
        assert context.rows.count(State.PENDING) == 2
