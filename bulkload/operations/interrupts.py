"""End the command at once on a signal outside of a session with the account.

A signal can interrupt any statement, even in an import or a destructor, where the exception that it raises is wrapped
in another one or dropped. So the signal is recorded, and sent again if its exception was dropped.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from bulkload.errors import ExitCode, Interrupted, stop_signals

RESEND_AFTER = 0.01  # seconds


class Interrupts:
    """A context in which the `stop_signals` raise `KeyboardInterrupt`; `code` is the exit code of the newest signal.

    At the end, the former handlers are restored; if the process ends then (`last`), signals are ignored instead. Any
    other error after a signal becomes `KeyboardInterrupt`, too: a library has wrapped it, or failed because of it.
    """

    def __init__(self, *, last: bool) -> None:
        self._signal_number: int | None = None  # of the newest signal
        self._last = last
        self._dropping = False

    def __enter__(self) -> Interrupts:
        self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        self._before = {number: signal.signal(number, self._on_signal) for number in stop_signals()}
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._last else before)
        sys.unraisablehook = self._hook
        if isinstance(error, Exception) and not isinstance(error, Interrupted) and self._signal_number is not None:
            raise KeyboardInterrupt(self._signal_number) from error  # as from a clean-up that the signal cut short

    @property
    def code(self) -> ExitCode | None:
        """The exit code after the newest signal; None without a signal."""
        return None if self._signal_number is None else ExitCode.after(self._signal_number)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal_number = number
        raise KeyboardInterrupt(number)  # libraries catch every `Exception` that passes through them

    def _dropped(self, unraisable: Any) -> None:
        """Handle an exception that cannot be raised where it occurred."""
        if not isinstance(unraisable.exc_value, KeyboardInterrupt) or self._signal_number is None:
            self._hook(unraisable)
            return
        self._dropping = True
        try:
            threading.Timer(RESEND_AFTER, self._send_again, (self._signal_number,)).start()
        finally:
            self._dropping = False

    def _send_again(self, number: int) -> None:
        while self._dropping:  # a signal now would be dropped again
            time.sleep(RESEND_AFTER)
        os.kill(os.getpid(), number)
