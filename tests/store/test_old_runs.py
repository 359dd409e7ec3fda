"""Old runs are deleted, but nothing that undo, "never twice" or resuming needs."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from bulkload.model import State, Status
from bulkload.sandbox.server import running
from bulkload.store.database import STORE_NAME
from bulkload.store.drafts import Drafts
from bulkload.store.old_runs import delete_old_runs, delete_rows
from bulkload.store.row_records import RowChange
from bulkload.store.runs import Run, Store
from tests.support.command_line import CommandLine, imap
from tests.support.stores import ACCOUNT, begin_run, context_of, new_row

FOREVER = 1e12  # a moment after which nothing has ended


def _run(store: Store, *states: State | Status, ended: bool = True, ids: dict[int, str] | None = None) -> Run:
    """A run whose rows end in these states; by position, the monitors of some of them."""
    account_id = store.account_id(*ACCOUNT)
    run = begin_run(store, account_id, [new_row(number) for number in range(len(states))])
    context_of(store, run, account_id).rows.apply(
        RowChange(position=position, state=state, monitor_id=(ids or {}).get(position), at="boot|5.0000|5.0000")
        for position, state in enumerate(states)
    )
    if ended:
        store.end(run, ExitCode.DONE, None, 1.0, {})
    return run


def _left(store: Store) -> dict[int, int]:
    """The number of rows of each run."""
    sql = "SELECT runs.run, count(position) FROM runs LEFT JOIN rows USING (run) GROUP BY runs.run"
    return dict(store.db.execute(sql).fetchall())


@pytest.mark.parametrize("state", [Status.EXISTS, Status.UPDATED, Status.INVALID, Status.REJECTED, Status.DUPLICATE])
def test_a_run_whose_rows_are_done_or_wrong_is_deleted_when_it_is_old(state: Status, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.lock()
        run = _run(store, state, Status.EXISTS)
        assert delete_old_runs(store, time.time() - 60) == 0
        assert _left(store) == {run.number: 2}
        assert delete_old_runs(store, FOREVER) == 1
        assert _left(store) == {}
        assert store.db.execute("SELECT count(*) FROM row_counts").fetchone()[0] == 0


@pytest.mark.parametrize("state", [*State, Status.FAILED, Status.UNKNOWN])
def test_a_run_that_can_be_resumed_is_kept_whole(state: State | Status, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.lock()
        run = _run(store, Status.EXISTS, state, Status.INVALID)
        assert delete_old_runs(store, FOREVER) == 0
        assert _left(store) == {run.number: 3}


def test_a_run_that_has_not_ended_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.lock()
        run = _run(store, Status.EXISTS, ended=False)
        assert delete_old_runs(store, FOREVER) == 0
        assert _left(store) == {run.number: 1}


def test_a_run_with_a_monitor_that_can_be_undone_is_kept_whole_until_it_is(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.lock()
        run = _run(store, Status.CREATED, Status.INVALID, Status.CREATED, ids={0: "7", 2: "8"})
        for _ in range(2):
            assert delete_old_runs(store, FOREVER) == 0
            assert _left(store) == {run.number: 3}
        record = context_of(store, run, 1).record
        assert [monitor.monitor_id for monitor in record.created_by(run.number, -1, 9)] == ["7", "8"]
        rows = context_of(store, run, 1).rows
        rows.apply([RowChange(position=0, state=Status.REMOVED), RowChange(position=2, state=Status.REMOVED)])
        assert delete_old_runs(store, FOREVER) == 1
        assert _left(store) == {}


def test_what_was_requested_for_a_monitor_that_got_another_name_is_kept(tmp_path: Path) -> None:
    """Two later runs gave its ID with the new name: the last of them tells what was requested."""
    with Store(tmp_path) as store:
        store.lock()
        first = _run(store, Status.CREATED, ids={0: "7"})
        runs = []
        for _ in range(2):
            account_id = store.account_id(*ACCOUNT)
            runs.append(begin_run(store, account_id, [new_row(0, key="new", given_monitor_id="7"), new_row(1)]))
            context = context_of(store, runs[-1], account_id)
            context.rows.apply([RowChange(position=0, state=State.PENDING, monitor_id="7", patch="{}")])
            context.rows.apply(
                RowChange(position=position, state=state, monitor_id=monitor_id)
                for position, state, monitor_id in ((0, Status.UPDATED, "7"), (1, Status.EXISTS, "9"))
            )
            store.end(runs[-1], ExitCode.DONE, None, 1.0, {})
        (key,) = context.record.created_keys().values()
        requested = context.record.requested(key)
        assert requested is not None
        assert delete_old_runs(store, FOREVER) == 1
        assert _left(store) == {first.number: 1, runs[1].number: 2}
        assert context.record.requested(key) == requested


def test_runs_of_a_draft_and_of_an_inbox_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.lock()
        of_draft, of_inbox = _run(store, Status.EXISTS), _run(store, Status.EXISTS)
        draft = Drafts(store).create("hosts.csv", "", user="", defaults={}, is_rehearsal=False, on_existing="skip")
        store.db.execute("UPDATE drafts SET run = ? WHERE id = ?", (of_draft.id, draft.id))
        store.db.execute("UPDATE runs SET arrival = 1 WHERE run = ?", (of_inbox.number,))
        assert delete_old_runs(store, FOREVER) == 0


def _make_older(folder: Path, days: float) -> None:
    with closing(sqlite3.connect(folder / "output" / STORE_NAME)) as db:
        db.execute("UPDATE runs SET finished = finished - ?", (days * 86_400,))
        db.commit()


def test_run_deletes_runs_older_than_keep_and_nothing_is_created_twice(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        rows = [imap("a"), imap("b", hostname="b.example.com"), imap("c", port=0)]
        file = cli.write_csv("a.csv", rows)
        for night in range(8):
            file.write_text(file.read_text() + "\n" * (night % 3), "utf-8")  # the nights 3 and 6 share rows
            _, results = cli.run(file)
            assert [row["status"] for row in results] == (["exists"] if night else ["created"]) * 2 + ["invalid"]
            _make_older(cli.folder, 2)
        with Store(cli.folder / "output") as store:
            ids = [run.id for run in store.runs()][::-1]
            assert len(ids) == 8
        assert cli("run", file, "--keep", "forever").exit_code == 1
        _make_older(cli.folder, 3)
        assert cli("run", file, "--keep", "8").exit_code == 1
        with Store(cli.folder / "output") as store:
            runs = store.runs()[::-1]
            assert [run.id for run in runs[:4]] == [ids[0], *ids[5:]], "the first can be undone, 6 shares the rows of 5"
            assert [len(list(store.report_rows(run))) for run in runs] == [3] * 6
            first = runs[0].id
        assert sandbox.counts()["created"] == 2
        assert cli("undo", first, "--yes").exit_code == 0
        assert sandbox.monitors() == []
        assert cli("run", file, "--keep", "0").exit_code == 1
        with Store(cli.folder / "output") as store:
            assert len(store.runs()) == 1
        assert [monitor["name"] for monitor in sandbox.monitors()] == ["a", "b"]


def test_rows_that_were_deleted_because_of_their_age_are_missing_in_no_later_run(cli: CommandLine) -> None:
    """The inbox deletes rows, not runs; what is left of such a run is not what an unchanged file holds."""
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        two, four = [imap("a"), imap("b")], [imap("a"), imap("b"), imap("c"), imap("d")]
        cli.run(cli.write_csv("two.csv", two))
        file = cli.write_csv("four.csv", four)
        cli.run(file)
        with Store(cli.folder / "output") as store:
            store.lock()
            assert delete_rows(store, store.run()), "those that can be undone are left"
            assert len(list(store.report_rows(store.run()))) == 2
        for _ in range(2):
            result, rows = cli.run(file)
            assert result.exit_code == 0
            assert [(row["name"], row["status"]) for row in rows] == [(name, "exists") for name in "abcd"]


def test_the_results_of_an_old_run_stay_complete(cli: CommandLine) -> None:
    """A run that is kept because of one monitor is shared, reported and undone with all its rows."""
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        cli.run(cli.write_csv("one.csv", [imap("a")]))
        file = cli.write_csv("three.csv", [imap("a"), imap("b"), imap("c", port=0)])
        cli.run(file)
        _make_older(cli.folder, 200)
        cli.run(cli.write_csv("other.csv", [imap("z")]))
        result, rows = cli.run(file)
        assert result.exit_code == 1
        assert [row["status"] for row in rows] == ["exists", "exists", "invalid"]
