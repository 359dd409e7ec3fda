"""What tests of several files are given."""

from __future__ import annotations

import time

import pytest

from tests.driven_clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The monotonic clock of the whole process, driven."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock
