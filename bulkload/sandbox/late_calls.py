"""Calls that are carried out after their response. In: calls, and when they are due. Out: the calls, made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence


class LateCalls:
    """Calls made by timers of the event loop, which can be made at once or discarded."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.TimerHandle, Callable[[], None]] = {}

    def put(self, seconds: float, carry_out: Callable[[], None]) -> None:
        """Make a call after some seconds."""

        def due() -> None:
            self._carry_out([timer])

        # A timer of the loop, not the request, makes the call, so it is made even if the client disconnects
        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._waiting[timer] = carry_out

    def commit(self) -> int:
        """Make all waiting calls now; returns their number."""
        return self._carry_out(list(self._waiting))

    def commit_due(self) -> None:
        """Make the calls that are due; if the process was delayed, their timers may not have fired yet."""
        now = asyncio.get_running_loop().time()
        self._carry_out([timer for timer in self._waiting if timer.when() <= now])

    def drop(self) -> None:
        """Discard all waiting calls."""
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()

    def _carry_out(self, timers: Sequence[asyncio.TimerHandle]) -> int:
        for timer in timers:
            timer.cancel()
            self._waiting.pop(timer)()
        return len(timers)
