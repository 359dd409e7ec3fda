"""Wait for another process or thread, for a limited time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

TIMEOUT = 60.0  # seconds after which a process counts as stuck


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[Any] | None = None) -> None:
    """Return when the condition is true; fail if the process ends or the time runs out before."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        has_ended = process is not None and process.poll() is not None
        assert not has_ended or condition(), f"the process ended with {process.returncode}" if process else ""
        assert time.monotonic() < deadline, f"not true after {TIMEOUT:.0f} seconds"
        time.sleep(0.005)
