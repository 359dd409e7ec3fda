"""Fixtures for the whole test suite, and the profiles of hypothesis.

By default, hypothesis generates the same examples in each run, without a deadline;
`pytest --hypothesis-profile=explore` generates new ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import CommandLine, make_command_line
from tests.support.driven_clock import Clock
from tests.support.listener import Listener, listening

settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=(HealthCheck.too_slow,), print_blob=True
)
settings.register_profile("explore", settings.get_profile("same"), derandomize=False)
settings.load_profile("same")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A simulated clock, in place of `time.monotonic`."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line, in an empty folder, without an account."""
    return make_command_line(tmp_path, monkeypatch, capsys)


@pytest.fixture
def sandbox(cli: CommandLine) -> Iterator[Sandbox]:
    """A sandbox with an empty account and no faults, used by the command line."""
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        yield sandbox


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server that records pings and webhooks."""
    with listening() as listener:
        yield listener
