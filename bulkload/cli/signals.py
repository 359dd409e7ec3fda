"""Signals outside of a session with the account: the command ends at once.

A signal can interrupt any statement, also in an import or a destructor, where the exception that it raises is wrapped
in another or dropped. So the signal is remembered, and one that was dropped is sent again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from bulkload.errors import ExitCode

SOON = 0.01  # seconds


class Interrupts:
    """While this lasts, SIGINT and SIGTERM raise `KeyboardInterrupt`, and `code` says which came last.

    Afterwards they do what they did before, or nothing if it is the `last` that the process does.
    """

    def __init__(self, *, last: bool) -> None:
        self._number: int | None = None  # of the signal that came last
        self._last = last
        self._dropping = False

    def __enter__(self) -> Interrupts:
        self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._last else before)
        sys.unraisablehook = self._hook

    @property
    def code(self) -> ExitCode | None:
        """What the process ends with after the signal that came last; None: none came."""
        return None if self._number is None else ExitCode.after(self._number)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        raise KeyboardInterrupt  # libraries catch every `Exception` that passes through them

    def _dropped(self, found: Any) -> None:
        """Handle an exception that cannot be raised where it occurred."""
        if not isinstance(found.exc_value, KeyboardInterrupt) or self._number is None:
            self._hook(found)
            return
        self._dropping = True
        try:
            threading.Timer(SOON, self._send_again, (self._number,)).start()
        finally:
            self._dropping = False

    def _send_again(self, number: int) -> None:
        while self._dropping:  # in there, it would be dropped once more
            time.sleep(SOON)
        os.kill(os.getpid(), number)
