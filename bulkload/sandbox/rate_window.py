"""A strictly enforced rate limit: in: the moment of a request; out: nothing, or how long until there is room.

Assumption REFUSED-ARE-FREE: a refused request does not count, or a client that keeps asking would never get in.
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
        # Compared as a sum on both sides, so that "exactly one window later" is not lost to rounding.
        while self._admitted and self._admitted[0] + self._seconds <= now:
            self._admitted.popleft()
        if len(self._admitted) >= self._limit:
            return self._admitted[0] + self._seconds - now
        self._admitted.append(now)
        return 0.0
