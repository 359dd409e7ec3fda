"""What tests of several files are given, and how hypothesis looks for examples.

By default the same examples each time and however slow the machine is; `pytest --hypothesis-profile=explore` tries
others.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, settings

from tests.driven_clock import Clock

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
