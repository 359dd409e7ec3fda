"""What raises, what is in the result, and what a scheduler can do about it."""

from __future__ import annotations

import inspect
import pickle

import pandas as pd
import pytest

import bulkload as bl
from bulkload import errors
from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from bulkload.store.runs import Store
from tests.python.conftest import hosts


def test_a_store_in_use_raises_locked(account: bl.Account, frame: pd.DataFrame, tmp_path) -> None:  # type: ignore[no-untyped-def]
    with Store(tmp_path / "output") as store:
        store.lock()
        for call in (bl.run, bl.plan):
            with pytest.raises(bl.Locked) as error:
                call(frame, account=account)
            assert error.value.temporary
    assert bl.run(frame, account=account).ok


def test_a_refused_login_is_in_the_result(server: Sandbox, account: bl.Account, frame: pd.DataFrame) -> None:
    server.set_faults(Faults(rules=(Rule(fault="login-refused"),)))
    result = bl.run(frame, account=account)
    assert isinstance(result.stopped, bl.LoginRefused)
    assert isinstance(result.stopped, bl.RunStopped)
    assert (result.counts, result.exit_code, result.stopped.temporary) == ({"not_attempted": 3}, 3, False)
    assert list(result.failed.index) == ["A", "B", "C"]
    with pytest.raises(bl.LoginRefused) as error:
        bl.run(frame, account=account, raise_for_rows=True)
    raised = error.value.result
    assert isinstance(raised, bl.Result)
    assert raised.counts == {"not_attempted": 3}


def test_an_api_that_is_down_may_be_up_later(server: Sandbox, account: bl.Account) -> None:
    server.set_faults(Faults(rules=(Rule(fault="error-before", on=("create",)),)))
    result = bl.run(hosts(*"abcdefghijklmnopqrstuvwxyz"), account=account, concurrency=1)
    assert isinstance(result.stopped, bl.ApiDown)
    assert result.stopped.temporary
    assert sum(result.counts.values()) == 26
    server.set_faults(Faults())
    assert bl.resume(account=account, wait=True).counts == {"created": 26}
    assert len(server.monitors()) == 26


def test_rows_that_failed_raise_if_asked(account: bl.Account) -> None:
    frame = hosts("a", "b", "c", "d", "e", port=[993, 0, 0, 0, 0])
    with pytest.raises(bl.RowsFailed) as error:
        bl.run(frame, account=account, raise_for_rows=True)
    lines = str(error.value).splitlines()
    assert lines[0] == "Of 5 rows: 1 done, 4 to fix."
    assert lines[1].startswith('  index B, column "port": port is 0;')
    assert lines[-1] == "  … and 1 more row; result.issues has all problems."
    assert not error.value.temporary
    assert isinstance(error.value.result, bl.Result)
    assert list(error.value.result.failed.index) == ["B", "C", "D", "E"]
    bl.run(frame.iloc[:1], account=account, raise_for_rows=True)


def test_rows_that_only_need_another_run_are_temporary(account: bl.Account, frame: pd.DataFrame) -> None:
    result = bl.run(frame, account=account, first=1)
    with pytest.raises(bl.RowsFailed) as error:
        result.raise_for_rows()
    assert error.value.temporary


def test_too_many_errors_are_in_the_result(server: Sandbox, account: bl.Account) -> None:
    result = bl.run(hosts("a", "b", "c", port=[0, 0, 993]), account=account, max_errors=1)
    assert isinstance(result.stopped, bl.TooManyErrors)
    assert (result.exit_code, result.counts) == (4, {"invalid": 2, "not_attempted": 1})
    strict = bl.run(hosts("a", "b", port=[0, 993]), account=account, strict=True)
    assert (str(strict.stopped), strict.exit_code) == ("1 row has errors, so strict sends nothing.", 1)
    assert server.monitors() == []


def test_every_error_can_be_handed_to_another_process() -> None:
    made = 0
    for kind in vars(errors).values():
        if not inspect.isclass(kind) or not issubclass(kind, errors.BulkloadError):
            continue
        error = kind(ExitCode.INTERRUPTED) if kind is errors.Interrupted else kind("why")
        error.result = {"run_id": "x"}
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert (str(again), again.exit_code, again.temporary, again.result) == (
            str(error),
            error.exit_code,
            error.temporary,
            {"run_id": "x"},
        )
        made += 1
    assert made > 10


def test_a_result_can_be_handed_to_another_process(account: bl.Account) -> None:
    result = bl.run(hosts("a", "b", port=[993, 0]), account=account)
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(again.frame, result.frame)
    pd.testing.assert_frame_equal(again.issues, result.issues)
    assert (again.run_id, again.counts, again.exit_code) == (result.run_id, result.counts, result.exit_code)
