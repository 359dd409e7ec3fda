"""Enforce a rate limit over a sliding window.

In: the moment of a request. Out: 0, or the seconds until a request would be admitted.

Assumption REFUSED-ARE-FREE: a refused request does not count; otherwise a client that keeps retrying never succeeds.
Assumption HALF-OPEN: a request exactly one window after another is no longer in that one's window.
"""

from __future__ import annotations

from collections import deque


class RateWindow:
    """At most `limit` admitted requests in any `seconds`; a limit of 0 admits all."""

    def __init__(self, *, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._admitted: deque[float] = deque()

    def refuse(self, now: float) -> float:
        """Return 0 and count the request, or return the seconds until one would be admitted."""
        if not self._limit:
            return 0.0
        # The same sum as in the wait below, so that rounding does not affect "exactly one window later"
        while self._admitted and self._admitted[0] + self._seconds <= now:
            self._admitted.popleft()
        if len(self._admitted) >= self._limit:
            return self._admitted[0] + self._seconds - now
        self._admitted.append(now)
        return 0.0
