"""What was answered already and is still to be carried out. In: calls and when they are due. Out: the calls, made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence


class LateCalls:
    """Calls that the event loop's timers make, and that can be hurried or forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.TimerHandle, Callable[[], None]] = {}

    def put(self, seconds: float, carry_out: Callable[[], None]) -> None:
        """Carry something out in so many seconds."""

        def due() -> None:
            self._carry_out([timer])

        # The loop's timer, not a request, carries it, so it happens even when the client has gone.
        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._waiting[timer] = carry_out

    def commit(self) -> int:
        """Carry out everything now and return how much it was."""
        return self._carry_out(list(self._waiting))

    def commit_due(self) -> None:
        """Carry out what is due; where the process was held up, its timer may still stand behind other work."""
        now = asyncio.get_running_loop().time()
        self._carry_out([timer for timer in self._waiting if timer.when() <= now])

    def drop(self) -> None:
        """Forget everything."""
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()

    def _carry_out(self, timers: Sequence[asyncio.TimerHandle]) -> int:
        for timer in timers:
            timer.cancel()
            self._waiting.pop(timer)()
        return len(timers)
