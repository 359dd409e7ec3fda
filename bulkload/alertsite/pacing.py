"""Request pacing: when the next request of any worker may start.

In: the maximum rate, and which requests were accepted or refused with 429. Out: the start of each request. Starts have
absolute times on one timeline, so a late timer does not slow down the run, and no burst follows an idle period. A pause
applies to all workers.

A 429 without `Retry-After` is a congestion event as in CUBIC (RFC 9438, sections 4.2 and 4.6), with a rate in place of
the congestion window: the rate is multiplied by beta, then grows along a cubic curve that is flat at `w_max`, just
below the refused rate. So it stays a little below an unannounced limit, tests now and then whether it may be higher,
and reaches the maximum again soon after the limit is gone. Unlike in the RFC, K, the time to return to `w_max`, is set
and the steepness of the curve follows from it, and beta is larger the more requests were accepted since the last event.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from typing import NamedTuple

from bulkload.errors import NotSent

LEAD = 0.05  # seconds before the start of a create at which its row may be marked
MAX_LATENESS = 0.004  # seconds a start may be late without delaying the following ones; MARGIN allows for 0.006
MAX_LATENESS_LIMITED = 0.001  # the same while the server limits the rate: it may check every single gap
IGNORED_DELAY, MAX_DELAY = 0.001, 0.02  # seconds a request may be delayed in transit: ignored, allowed for
MARGIN = 0.994  # of the rate is used, so that lateness never puts one start too many into a second
MAX_RETRY_AFTER = 600.0  # seconds; a longer Retry-After is shortened to this
MIN_RATE = 0.1  # starts a second; the lowest rate after refusals
MIN_BACK_OFF, MAX_BACK_OFF = 0.02, 1.0  # seconds after a 429 without Retry-After, doubled in a series
MIN_INTERRUPTIBLE_WAIT = 0.2  # seconds; a shorter wait ends before it checks for `halt`
MIN_BETA, MAX_BETA = 0.5, 0.94  # factor on the rate at a congestion event: after no, and after many accepted requests
W_MAX_FACTOR = 0.98  # `w_max` as a part of the refused rate
MAX_OLD_W_MAX = 1.1  # times the refused rate is the most that the previous `w_max` counts for
RECENT_EVENT = 3.0  # seconds between two congestion events in which the accepted requests show the limit
MAX_LIMIT_FACTOR = 1.25  # times the rate of accepted requests is the highest estimate of the limit
MIN_DEPTH = 0.02  # of `w_max`: the least depth of the curve, without which the rate would stay at `w_max`
K_SECONDS, K_REQUESTS = 5.0, 100.0  # K is the longer of both, the requests at a rate of `w_max`
MEASURED_STARTS = 20  # that show the rate of a run without a maximum


class PaceStatus(NamedTuple):
    """The pace at one moment."""

    rate: float | None  # starts a second; None: no maximum
    is_lowered: bool  # because of 429s without a Retry-After
    pause: float  # seconds until the next start is granted; 0: no pause
    is_requested: bool  # the pause follows from a Retry-After


class Pace:
    """Grants at most `rate` starts a second (None: no maximum), and none during a pause."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self.throttled = 0  # number of 429s
        self._next = 0.0  # monotonic time of the next start
        self._paused_until = 0.0
        self._requested_until = 0.0  # end of the pause that a Retry-After asked for
        self._w_max: float | None = None  # starts a second at the plateau of the curve; None: no limit is known
        self._rate_at_epoch = 0.0  # starts a second right after the last congestion event
        self._epoch_start = 0.0  # monotonic time of the last congestion event
        self._back_off = 0.0  # seconds of the last pause without a Retry-After
        self._backed_off_at = 0.0
        self._accepted = 0  # requests that started after that and were not refused
        self._starts: deque[float] = deque(maxlen=MEASURED_STARTS)
        self._min_round_trip: float | None = None  # seconds
        self._allowed_delay = 0.0  # seconds by which starts were postponed because requests may have arrived late
        self._allowed_at = 0.0
        self._waiting = 0  # callers of `start` that have not started
        self._start_lock = asyncio.Lock()
        self._halted = asyncio.Event()

    async def start(self, *, unless_halted: bool = False) -> float:
        """Wait until one request may start; returns the moment on the monotonic clock.

        With `unless_halted`, raises `NotSent` after `halt`, instead of waiting on.
        """
        self._waiting += 1
        try:
            async with self._start_lock:
                while (wait := self._seconds_until_start()) > 0:
                    await (self._sleep_unless_halted(wait) if unless_halted else asyncio.sleep(wait))
                return self._grant()
        finally:
            self._waiting -= 1

    def start_at_once(self) -> float | None:
        """As `start`, but without waiting: None if the request has to wait."""
        return None if self._waiting or self._seconds_until_start() > 0 else self._grant()

    async def near_start(self) -> float:
        """Wait until one more request may start within `LEAD` seconds; returns how many may, at least 1.

        Requests that wait for their start already are not counted. Raises `NotSent` after `halt`.
        """
        while (wait := self._seconds_until_start(self._waiting)) > LEAD:
            await self._sleep_unless_halted(wait - LEAD)
        gap = self._gap(time.monotonic())
        return 1 + (LEAD - max(wait, 0.0)) // gap if gap else math.inf

    @property
    def is_paused(self) -> bool:
        """True if no request may start within `LEAD` seconds, because of a pause."""
        return self._paused_until > 0 and self._paused_until - time.monotonic() > LEAD

    def halt(self) -> None:
        """End the wait of all creates, because the run is stopping; other requests continue."""
        self._halted.set()

    def pause(self, seconds: float) -> None:
        """Grant no start for some seconds."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def record_accepted(self, started: float) -> None:
        """Record a response other than 429; `started` is when its request started."""
        if started > self._backed_off_at:
            self._accepted += 1
        self._allow_for_delay(time.monotonic(), started)

    def slow_down(self, started: float, retry_after: float | None) -> None:
        """Record a 429: pause for `retry_after` seconds, or lower the rate without one.

        `started` is when the refused request started. Requests that were under way when the rate was last lowered
        show nothing about the new rate, so simultaneous refusals count once.
        """
        self.throttled += 1
        if retry_after is not None:
            self.pause(min(max(retry_after, 0.0), MAX_RETRY_AFTER))
            self._requested_until = self._paused_until
            return
        if started <= self._backed_off_at:
            return
        now = self._backed_off_at = time.monotonic()
        is_series = self._back_off > 0 and not self._accepted
        if not is_series or self._back_off >= MAX_BACK_OFF:
            self._lower_rate(now)
        self._accepted = 0
        back_off = 2 * self._back_off if is_series else max(self._gap(now), MIN_BACK_OFF)
        self._back_off = min(back_off, MAX_BACK_OFF)
        self.pause(self._back_off)

    @property
    def status(self) -> PaceStatus:
        """The pace now; may be read from any thread."""
        now, w_max = time.monotonic(), self._w_max
        rate = self.rate if w_max is None else self._rate_on_curve(w_max, now)
        return PaceStatus(
            rate=rate if rate is None or self.rate is None else min(rate, self.rate),
            is_lowered=w_max is not None,
            pause=max(0.0, self._paused_until - now),
            is_requested=self._requested_until > now,
        )

    def _grant(self) -> float:
        now = time.monotonic()
        self._starts.append(now)
        lateness = MAX_LATENESS if self._w_max is None else MAX_LATENESS_LIMITED
        self._next = max(self._next, now - lateness) + self._gap(now)
        return now

    def _allow_for_delay(self, now: float, started: float) -> None:
        """Postpone the next start, once a second, by as much as a request may have arrived late.

        Servers count arrivals, and a slow response may mean that its request arrived late. At most `MAX_DELAY` is
        allowed for, so a server that always responds slowly costs no more than that in each second.
        """
        if self._current_rate(now) is None:
            return
        round_trip = now - started
        usual = 0.0 if self._min_round_trip is None else min(self._min_round_trip, round_trip)  # the first one connects
        self._min_round_trip = round_trip if self._min_round_trip is None else usual
        delay = min(round_trip - usual - IGNORED_DELAY, MAX_DELAY)
        if now - self._allowed_at > 1:
            self._allowed_delay = 0.0
        if delay > self._allowed_delay:
            self._next += delay - self._allowed_delay
            self._allowed_delay, self._allowed_at = delay, now

    async def _sleep_unless_halted(self, seconds: float) -> None:
        if not self._halted.is_set():
            if seconds < MIN_INTERRUPTIBLE_WAIT:
                await asyncio.sleep(seconds)
            else:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._halted.wait(), seconds)
        if self._halted.is_set():
            raise NotSent("the run is stopping")

    def _lower_rate(self, now: float) -> None:
        """Begin a new epoch of the curve: a large decrease right after another, a small one after many accepted."""
        rate = self._current_rate(now) or self._measured_rate()
        if self._w_max is not None and 0 < (seconds := now - self._epoch_start) < RECENT_EVENT:
            rate = min(rate, MAX_LIMIT_FACTOR * max(self._accepted, 1) / seconds)
        confidence = self._accepted / (1 + self._accepted) if self._w_max is not None else 0.0
        # An accidental refusal below a w_max that worked must not lower it as far as a refusal at the limit
        old_w_max = min(self._w_max or 0.0, MAX_OLD_W_MAX * rate)
        new_w_max = W_MAX_FACTOR * rate
        self._w_max = max(MIN_RATE, new_w_max, old_w_max * confidence / 2 + new_w_max * (1 - confidence / 2))
        beta = MIN_BETA + (MAX_BETA - MIN_BETA) * confidence
        self._rate_at_epoch = min(self._w_max, max(MIN_RATE, rate * beta))
        self._epoch_start = now

    def _current_rate(self, now: float) -> float | None:
        """Starts a second that are allowed now; None: no maximum."""
        if self._w_max is None:
            return self.rate
        rate = self._rate_on_curve(self._w_max, now)
        if self.rate is not None and rate >= self.rate:
            self._w_max = None
            return self.rate
        return rate

    def _rate_on_curve(self, w_max: float, now: float) -> float:
        k = max(K_SECONDS, K_REQUESTS / w_max)
        t = now - self._epoch_start
        depth = max(w_max - self._rate_at_epoch, MIN_DEPTH * w_max)
        return w_max + depth * (t / k - 1) ** 3  # RFC 9438: C (t - K)³ + w_max, with C = depth / K³

    def _gap(self, now: float) -> float:
        """Seconds between two starts."""
        rate = self._current_rate(now)
        return 1 / (rate * MARGIN) if rate is not None else 0.0

    def _measured_rate(self) -> float:
        seconds = self._starts[-1] - self._starts[0] if self._starts else 0.0
        return max(MIN_RATE, (len(self._starts) - 1) / seconds) if seconds else 1 / MAX_BACK_OFF

    def _seconds_until_start(self, others: int = 0) -> float:
        """Seconds until a request may start, after so many others."""
        now = time.monotonic()
        return max(self._next + (others * self._gap(now) if others else 0.0), self._paused_until) - now
