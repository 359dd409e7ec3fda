"""What tests of several files are given, and how hypothesis looks for examples.

By default the same examples each time and however slow the machine is; `pytest --hypothesis-profile=explore` tries
others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import Desk, sit_down
from tests.support.driven_clock import Clock
from tests.support.listener import Listener, listening

settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=(HealthCheck.too_slow,), print_blob=True
)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False)
settings.load_profile("same")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The monotonic clock of the whole process, driven."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """The command line, in an empty folder."""
    return sit_down(tmp_path, monkeypatch, capsys)


@pytest.fixture
def sandbox(desk: Desk) -> Iterator[Sandbox]:
    """An empty account in which nothing goes wrong; the command line is logged in."""
    with running() as found:
        desk.log_in_at(found.base_url)
        yield found


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Somebody who is told."""
    with listening() as found:
        yield found
