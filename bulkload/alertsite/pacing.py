"""Request pacing: when the next request may start, for everybody.

Works on absolute time: every start has its place on one time line, so a timer that fires late does not slow the
whole run, and no burst follows a quiet time. One pause holds everybody.

Refusals that name no time teach the pace the limit: it falls to a half until requests go through, and climbs back
along a cubic curve that is flat near the speed of the last refusal. So it stays a little below a limit that nobody
told it, tries now and then whether there is more, and is at the full rate again soon after a limit is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable

from bulkload.errors import NotSent

LEAD = 0.05  # seconds before its start at which a caller should get ready
LATENESS = 0.004  # seconds a start may be late without moving the starts after it; MARGIN has room for 0.006
ARRIVES_LATE, MOST_LATE = 0.001, 0.02  # seconds a request may arrive later than usual unnoticed, and is allowed for
MARGIN = 0.994  # of the rate is used, so that lateness never puts one start too many into a second
PAUSE_CEILING = 600.0  # seconds; the longest Retry-After that is honoured
SLOWEST = 0.1  # requests a second; halving ends here
SHORTEST_BACK_OFF, LONGEST_BACK_OFF = 0.02, 1.0  # seconds after a 429 that names no time, doubled in a series
SHORT = 0.2  # seconds that may pass before a halt is noticed
LATENESS_WHEN_REFUSED = 0.001  # the same, while the server refuses: it may look at every single gap
FAR, NEAR = 0.5, 0.94  # of its speed is left to a pace that was refused: at once, or after it had been good for long
LEVEL = 0.98  # of a refused speed is where the way back is flat
BELIEVED = 1.1  # times a refused speed is the most that an earlier level counts for
RECENT = 3.0  # seconds between two refusals in which the requests taken show the limit
EXCESS = 1.25  # times what was taken is the most that the limit is expected to be
LEAST_STEP = 0.02  # of the level: how deep the curve is at least, or it would never leave the level
CLIMB_SECONDS, CLIMB_REQUESTS = 5.0, 100.0  # the longer of both is the way back to the level
MEASURED = 20  # starts that show the speed of a run without a rate


class Pace:
    """Hands out starts at most `rate` a second (None: as fast as possible), and holds them during a pause."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self.throttled = 0  # 429s seen
        self._next = 0.0  # monotonic time of the next start
        self._paused_until = 0.0
        self._level: float | None = None  # starts a second just below a refused speed; None: none was, or not lately
        self._lowered_to = 0.0  # starts a second right after the last refusal
        self._lowered_at = 0.0
        self._back_off = 0.0  # seconds of the last pause without a Retry-After
        self._backed_off_at = 0.0
        self._taken = 0  # requests that started after that and were not refused
        self._starts: deque[float] = deque(maxlen=MEASURED)
        self._quickest: float | None = None  # seconds that the quickest answer took
        self._allowed = 0.0  # seconds by which starts were put off because requests may have arrived late
        self._allowed_at = 0.0
        self._ready = 0  # callers that got ready and have not started
        self._queue = asyncio.Lock()
        self._gate = asyncio.Lock()
        self._halted = asyncio.Event()

    async def start(self, get_ready: Callable[[], Awaitable[None]] | None = None) -> float:
        """Return at the moment one request may start; gives that moment on the monotonic clock.

        `get_ready` is awaited shortly before, when the start is at most `LEAD` seconds away; such a caller gets
        `NotSent` instead of a start once `halt` was called.
        """
        if get_ready is None:
            return await self._turn(asyncio.sleep)
        if self._ahead() > LEAD:
            async with self._queue:  # one waits for its time, all others for that one
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

    def taken(self, started: float) -> None:
        """Note that a request which started then was answered and not refused as too many."""
        if started > self._backed_off_at:
            self._taken += 1
        self._allow_for_lateness(time.monotonic(), started)

    def slow_down(self, started: float, retry_after: float | None) -> None:
        """Take a 429 into account: wait as long as the API says, or lower the pace.

        `started` is when the refused request started: requests already under way when the pace last backed off
        prove nothing about what came after, so one wave of refusals counts once.
        """
        self.throttled += 1
        if retry_after is not None:
            self.pause(min(max(retry_after, 0.0), PAUSE_CEILING))
            return
        if started <= self._backed_off_at:
            return
        now = self._backed_off_at = time.monotonic()
        series = self._back_off > 0 and not self._taken
        if not series or self._back_off >= LONGEST_BACK_OFF:
            self._lower(now)
        self._taken = 0
        back_off = 2 * self._back_off if series else max(self._gap(now), SHORTEST_BACK_OFF)
        self._back_off = min(back_off, LONGEST_BACK_OFF)
        self.pause(self._back_off)

    async def _turn(self, sleep: Callable[[float], Awaitable[None]]) -> float:
        async with self._gate:
            while (wait := max(self._next, self._paused_until) - time.monotonic()) > 0:
                await sleep(wait)
            now = time.monotonic()
            self._starts.append(now)
            late = LATENESS if self._level is None else LATENESS_WHEN_REFUSED
            self._next = max(self._next, now - late) + self._gap(now)
            return now

    def _allow_for_lateness(self, now: float, started: float) -> None:
        """Put off what follows by as much as a request may have arrived late, once a second: a server counts arrivals.

        A slow answer may mean a slow way there. Allowed for is no more than `MOST_LATE`, so a server that is slow by
        nature costs at most that much of each second.
        """
        if self._speed(now) is None:
            return
        took = now - started
        usual = 0.0 if self._quickest is None else min(self._quickest, took)  # the first one had to connect, too
        self._quickest = took if self._quickest is None else usual
        late = min(took - usual - ARRIVES_LATE, MOST_LATE)
        if now - self._allowed_at > 1:
            self._allowed = 0.0
        if late > self._allowed:
            self._next += late - self._allowed
            self._allowed, self._allowed_at = late, now

    async def _doze(self, seconds: float) -> None:
        if seconds < SHORT:
            await asyncio.sleep(seconds)
        else:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halted.wait(), seconds)
        if self._halted.is_set():
            raise NotSent("the run is stopping")

    def _lower(self, now: float) -> None:
        """Fall after a refusal: far if the last one was just before, a little if many were taken since."""
        speed = self._speed(now) or self._measured_speed()
        if self._level is not None and 0 < (seconds := now - self._lowered_at) < RECENT:
            speed = min(speed, EXCESS * max(self._taken, 1) / seconds)
        trust = self._taken / (1 + self._taken) if self._level is not None else 0.0
        # A chance refusal below a level that was good must not pull it down as far as one that was due
        good = min(self._level or 0.0, BELIEVED * speed)
        self._level = max(SLOWEST, LEVEL * speed, good * trust / 2 + LEVEL * speed * (1 - trust / 2))
        self._lowered_to = min(self._level, max(SLOWEST, speed * (FAR + (NEAR - FAR) * trust)))
        self._lowered_at = now

    def _speed(self, now: float) -> float | None:
        """Starts a second that are allowed now; None: as many as can be."""
        if self._level is None:
            return self.rate
        way = (now - self._lowered_at) / max(CLIMB_SECONDS, CLIMB_REQUESTS / self._level)
        depth = max(self._level - self._lowered_to, LEAST_STEP * self._level)
        speed = self._level + depth * (way - 1) ** 3
        if self.rate is not None and speed >= self.rate:
            self._level = None
            return self.rate
        return speed

    def _gap(self, now: float) -> float:
        """Seconds between two starts."""
        speed = self._speed(now)
        return 1 / (speed * MARGIN) if speed is not None else 0.0

    def _measured_speed(self) -> float:
        seconds = self._starts[-1] - self._starts[0] if self._starts else 0.0
        return max(SLOWEST, (len(self._starts) - 1) / seconds) if seconds else 1 / LONGEST_BACK_OFF

    def _ahead(self) -> float:
        """Seconds until one more caller could start."""
        now = time.monotonic()
        return max(self._next + self._ready * self._gap(now), self._paused_until) - now
