"""Wait for what another process or thread does, and never for ever."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0  # seconds until a process counts as stuck


def wait_until(enough: Callable[[], bool], process: subprocess.Popen[Any] | None = None) -> None:
    """Return when something has happened; fail if the process has ended without it, or nothing happens at all."""
    deadline = time.monotonic() + PATIENCE
    while not enough():
        ended = process is not None and process.poll() is not None
        assert not ended or enough(), f"it ended with {process.returncode}" if process else ""
        assert time.monotonic() < deadline, f"nothing in {PATIENCE:.0f} seconds"
        time.sleep(0.005)
