"""A task arrives in the worker as it was sent, whatever its values are."""

from __future__ import annotations

import os
from typing import Any

import pytest
from pydantic import SecretStr

from bulkload.settings import Account, Options
from bulkload.web.messages import Ended, PlannedLine, Progress, RowError, Task, event_of

ACCOUNT = Account(base_url="http://127.0.0.1:1/api/v3", username="ann@example.com", password=SecretStr("pä\n55"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rate": "unlimited", "max_errors": "5%", "set": {"port": "993", "a=b": "ä"}, "map": {"Their\n=": "hostname"}},
        {"rate": "1/h", "encoding": "latin-1", "from": "nagios", "json": True, "first": 3, "on_existing": "update"},
        {"sheet": "ﬁ\u2028x", "settle_grace": 0.25, "log_level": "debug", "results": ["a.csv"], "sandbox": True},
    ],
)
def test_options_arrive_unchanged(options: dict[str, Any]) -> None:
    task = Task(kind="run", account=ACCOUNT, options=Options(**options), name=os.fsdecode(b"\xff.csv"))
    line = task.encode()
    assert (line.count(b"\n"), line.isascii()) == (1, True)
    decoded = Task.decode(line)
    assert decoded.options.rate == pytest.approx(task.options.rate, rel=1e-6)
    assert decoded.options.model_copy(update={"rate": task.options.rate}) == task.options
    assert (decoded.name, decoded.account) == (task.name, ACCOUNT)


def test_everything_but_the_inbox_is_passed_on() -> None:
    """No URL with a token in it reaches a process that does not need it."""
    options = Options(
        ping="https://example.com/secret-path",  # type: ignore[arg-type]
        keep="forever",  # type: ignore[arg-type]
    )
    task = Task(kind="undo", account=ACCOUNT, options=options, run="r", user="ann", include_edited=True, first=2)
    line = task.encode()
    assert b"secret-path" not in line
    decoded = Task.decode(line)
    assert (decoded.kind, decoded.run, decoded.user, decoded.include_edited, decoded.first) == (
        "undo",
        "r",
        "ann",
        True,
        2,
    )
    assert "pä" not in repr(task)


def test_records_survive_as_events() -> None:
    progress = Progress(run="r", counts={"created": 2}, last_errors=(RowError(row=3, message="no"),), paused_until=1.5)
    assert Progress.of_event(event_of("progress", progress) | {"of a later version": 1}) == progress
    line = PlannedLine(row=2, monitor_id="7", type="imap", name="a", host="b", result="deleted")
    ended = Ended(exit_code=0, run="r", removals={"deleted": 1}, planned=(line,))
    assert Ended.of_event(event_of("ended", ended), (line,)) == ended
