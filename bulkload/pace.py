"""Request pacing: when the next request may start, for everybody.

Works on absolute time: every start has its place on one time line, so a timer that fires late does not slow the
whole run, and no burst follows a quiet time. One pause holds everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from bulkload.errors import NotSent

LEAD = 0.05  # seconds before its start at which a caller should get ready
LATENESS = 0.003  # seconds a start may be late without moving the starts after it
MARGIN = 0.994  # of the rate is used, so that lateness never puts one start too many into a second
PAUSE_CEILING = 600.0  # seconds; the longest Retry-After that is honoured
SLOWEST = 0.1  # requests a second; halving ends here
BACK_OFF = 1.0  # seconds everybody waits after a 429 that names no time
SHORT = 0.2  # seconds that may pass before a halt is noticed
CLIMB = 0.05  # of the full rate is won back per second without a 429


class Pace:
    """Hands out starts at most `rate` a second (None: as fast as possible), and holds them during a pause."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self.throttled = 0  # 429s seen
        self._current = rate  # starts a second right now; less than the rate after a 429
        self._next = 0.0  # monotonic time of the next start
        self._paused_until = 0.0
        self._slowed_at = 0.0
        self._climbed_at = 0.0
        self._ready = 0  # callers that got ready and have not started
        self._gate = asyncio.Lock()
        self._halted = asyncio.Event()

    async def start(self, get_ready: Callable[[], Awaitable[None]] | None = None) -> float:
        """Return at the moment one request may start; gives that moment on the monotonic clock.

        `get_ready` is awaited shortly before, when the start is at most `LEAD` seconds away; such a caller gets
        `NotSent` instead of a start once `halt` was called.
        """
        if get_ready is None:
            return await self._turn(asyncio.sleep)
        while (wait := self._ahead() - LEAD) > 0:
            await self._doze(wait)
        self._ready += 1
        try:
            await get_ready()
            return await self._turn(self._doze)
        finally:
            self._ready -= 1

    def halt(self) -> None:
        """Send away everybody who waits with a `get_ready`: the run is stopping; looking things up goes on."""
        self._halted.set()

    def pause(self, seconds: float) -> None:
        """Let nobody start for some seconds."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def slow_down(self, started: float, retry_after: float | None) -> None:
        """Take a 408 or 429 into account: wait as long as the API says, or halve the pace.

        `started` is when the refused request started: requests already under way when the pace was last lowered
        prove nothing about the new pace, so one wave of refusals counts once.
        """
        self.throttled += 1
        now = time.monotonic()
        if retry_after is not None:
            self.pause(min(max(retry_after, 0.0), PAUSE_CEILING))
            return
        if started <= self._slowed_at:
            return
        self._slowed_at = self._climbed_at = now
        self.pause(BACK_OFF)
        if self._current is not None:
            self._current = max(SLOWEST, self._current / 2)

    async def _turn(self, sleep: Callable[[float], Awaitable[None]]) -> float:
        async with self._gate:
            while (wait := max(self._next, self._paused_until) - time.monotonic()) > 0:
                await sleep(wait)
            now = time.monotonic()
            if self._current is not None:
                self._climb(now)
                self._next = max(self._next, now - LATENESS) + 1 / (self._current * MARGIN)
            return now

    async def _doze(self, seconds: float) -> None:
        if seconds < SHORT:
            await asyncio.sleep(seconds)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halted.wait(), seconds)
        if self._halted.is_set():
            raise NotSent("the run is stopping")

    def _climb(self, now: float) -> None:
        if self.rate is None or self._current is None or self._current >= self.rate:
            return
        self._current = min(self.rate, self._current + self.rate * CLIMB * (now - self._climbed_at))
        self._climbed_at = now

    def _ahead(self) -> float:
        """Seconds until one more caller could start."""
        now = time.monotonic()
        queue = self._ready / (self._current * MARGIN) if self._current is not None else 0.0
        return max(self._next + queue, self._paused_until) - now
