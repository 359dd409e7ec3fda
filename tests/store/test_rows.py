"""A row changes in one durable transaction, and a monitor belongs to at most one row."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkload.errors import StoreError
from bulkload.model import State, Status
from bulkload.store.row_records import RowChange
from bulkload.store.runs import Store
from bulkload.store.stored_rows import digest
from tests.support.stores import ACCOUNT, begin_run, context_of, new_row, stored_run

MOMENT = "boot|1.0000|1.0000"


def _created(position: int, monitor_id: str, run: int | None = None) -> RowChange:
    return RowChange(position=position, state=Status.CREATED, monitor_id=monitor_id, at=MOMENT, run=run)


def test_two_rows_cannot_have_the_same_monitor(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        assert context.rows.apply([_created(0, "7")]) == []
        (refused,) = context.rows.apply([_created(1, "7")])
        assert (refused.position, refused.state, refused.monitor_id) == (1, State.DOUBT, None)
        first, second, _ = store.report_rows(run)
        assert (first.status, first.monitor_id) == (Status.CREATED, "7")
        assert (second.status, second.monitor_id) == (Status.UNKNOWN, "")
        assert "7" in second.error


def test_a_monitor_that_existed_before_the_run_cannot_be_created_by_it(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        context.record.note_existing(context.run.number, ["7", "8"])
        assert [change.position for change in context.rows.apply([_created(0, "7"), _created(1, "9")])] == [0]
        assert context.record.is_created("9")
        assert not context.record.is_created("7")


def test_only_the_first_list_records_what_existed_before(tmp_path: Path) -> None:
    """A later one would include monitors that the run created."""
    with stored_run(tmp_path) as (_, _, context):
        context.record.note_existing(context.run.number, ["7"])
        context.record.note_existing(context.run.number, ["7", "8"])
        assert context.record.existed_before(context.run.number, "7")
        assert not context.record.existed_before(context.run.number, "8")


def test_the_same_id_in_another_account_is_another_monitor(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, _, context):
        context.rows.apply([_created(0, "7")])
        elsewhere = store.account_id("https://other.example.com", ACCOUNT[1])
        other = context_of(store, begin_run(store, elsewhere, [new_row(0)]), elsewhere)
        assert other.rows.apply([_created(0, "7")]) == []
        assert len(other.record.created_keys()) == len(context.record.created_keys()) == 1


def test_changes_are_applied_all_or_none(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        broken = RowChange(position=1, state="nonsense", error=None)  # type: ignore[arg-type]
        with pytest.raises(StoreError):
            context.rows.apply([_created(0, "7"), broken])
        assert store.counts(run) == {Status.NOT_ATTEMPTED: 3}
        assert not context.record.is_created("7")
        assert context.rows.apply([_created(0, "7")]) == []


def test_a_change_for_another_run_changes_the_row_of_that_run(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        account = store.account_id(*ACCOUNT)
        other = context_of(store, begin_run(store, account, [new_row(0)]), account)
        other.rows.apply([_created(0, "7", run=run.number)])
        assert store.counts(run)[Status.CREATED] == 1
        assert other.rows.count(State.PENDING) == 1
        assert context.rows.count(State.PENDING) == 2


def test_pending_rows_come_in_order_and_after_a_position(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=10) as (_, _, context):
        context.rows.apply([_created(3, "7")])
        assert [row.position for row in context.rows.pending(-1, 4)] == [0, 1, 2, 4]
        assert [row.position for row in context.rows.pending(4, 99)] == [5, 6, 7, 8, 9]


def test_attempts_are_counted_by_marks_and_not_by_results(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        for _ in range(2):
            context.rows.apply([RowChange(position=0, state=State.PENDING)], sending=[0])
            context.rows.apply([RowChange(position=0, state=State.DOUBT, at=MOMENT)])
        assert next(store.report_rows(run)).attempts == 2
        assert [doubt.attempts for doubt in context.record.rows_in_doubt()] == [2]


def test_a_row_is_held_back_while_its_monitor_is_in_doubt_in_another_run(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, run, context):
        context.rows.apply([RowChange(position=1, state=State.DOUBT, at=MOMENT)])
        account = store.account_id(*ACCOUNT)
        other = context_of(store, begin_run(store, account, [new_row(1), new_row(8)]), account)
        assert other.rows.hold_back() == 1
        assert [row.position for row in other.rows.pending(-1, 9)] == [1]
        assert other.rows.release() == 0
        other.rows.apply([_created(1, "7", run=run.number)])
        assert other.rows.release() == 1
        assert other.rows.count(State.PENDING) == 2


def test_a_row_in_doubt_in_another_account_holds_nothing_back(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (store, _, context):
        context.rows.apply([RowChange(position=1, state=State.DOUBT, at=MOMENT)])
        elsewhere = store.account_id("https://other.example.com", "x")
        other = context_of(store, begin_run(store, elsewhere, [new_row(1)]), elsewhere)
        assert other.rows.hold_back() == 0
        assert other.record.rows_in_doubt() == []


def test_created_monitors_are_ordered_newest_first_without_those_found_in_a_list(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, _, context):
        context.rows.apply([_created(0, "7")])
        context.rows.apply([RowChange(position=1, state=Status.CREATED, monitor_id="8")])
        context.rows.apply([_created(2, "9")])
        assert [(monitor_id, key) for monitor_id, key, _ in context.record.newest_created()] == [
            ("9", digest("email-imap\tm2")),
            ("7", digest("email-imap\tm0")),
        ]
        assert len(context.record.created_keys()) == 3


STATES = st.sampled_from([State.PENDING, State.SENDING, State.DOUBT, Status.CREATED, Status.REJECTED, Status.FAILED])
MOVES = st.lists(st.tuples(st.integers(0, 4), STATES, st.integers(1, 6).map(str)), max_size=25)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES, earlier=st.sets(st.integers(1, 6).map(str), max_size=2))
def test_after_any_changes_every_id_has_one_row_and_counts_add_up(
    moves: list[tuple[int, State | Status, str]], earlier: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with stored_run(tmp_path_factory.mktemp("store"), rows=5) as (store, run, context):
        context.record.note_existing(context.run.number, earlier)
        settled: set[int] = set()
        for position, state, monitor_id in moves:
            if position in settled:
                continue
            at = None if state is State.PENDING else MOMENT
            claimed = monitor_id if state is Status.CREATED else None
            refused = context.rows.apply([RowChange(position=position, state=state, monitor_id=claimed, at=at)])
            if state is Status.CREATED and not refused:
                settled.add(position)
        rows = list(store.report_rows(run))
        ids = [row.monitor_id for row in rows if row.status is Status.CREATED]
        assert len(ids) == len(set(ids)) == len(settled) == len(context.record.created_keys())
        assert not set(ids) & earlier
        assert sum(store.counts(run).values()) == 5


def test_changes_survive_the_process(tmp_path: Path) -> None:
    with stored_run(tmp_path) as (_, run, context):
        context.rows.apply([_created(0, "7")])
    with Store(tmp_path) as store:
        again = context_of(store, store.run(run.id), store.account_id(*ACCOUNT))
        assert again.record.is_created("7")
        assert again.record.was_created_by(again.run.number, "7")
