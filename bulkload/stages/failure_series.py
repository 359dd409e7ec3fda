"""Series of requests that fail: slow down at first, and end the run when a series gets long.

In: one failed request after the other. Out: a pause of the pace, or the `RunStopped` that ends the run.
"""

from __future__ import annotations

import logging

from bulkload.alertsite.pacing import Pace
from bulkload.errors import ApiDown, InDoubt, NotSent, RunStopped, Throttled, UnexpectedPage

MOST_UNANSWERED = 20  # requests in a row without a response that end the run
TOLERATED = 4  # of those, how many pass before the pace slows down
LONGEST_BACK_OFF = 2.0  # seconds
MOST_THROTTLED = 50  # 429s in a row that end the run

log = logging.getLogger(__name__)


class FailureSeries:
    """Counts failed requests since the last success."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._unanswered = 0
        self._throttled = 0

    def reset(self) -> None:
        """Note a request with a proper response."""
        self._unanswered = self._throttled = 0

    def add_unanswered(self, error: NotSent | InDoubt) -> None:
        """Note a request without a proper response. Raises `RunStopped` if there were too many in a row."""
        self._unanswered += 1
        if isinstance(error, UnexpectedPage):
            raise RunStopped(f"The server is not the AlertSite API: {error}") from error
        if self._unanswered >= MOST_UNANSWERED:
            raise ApiDown(f"{self._unanswered} requests in a row got no response; the last: {error}") from error
        log.info("a create got no response: %s", error)
        tolerated = 0 if isinstance(error, NotSent) else TOLERATED
        if self._unanswered > tolerated:
            self._pace.pause(min(LONGEST_BACK_OFF, 0.1 * 2 ** (self._unanswered - tolerated - 1)))

    def add_throttled(self, error: Throttled) -> None:
        """Note a 429. Raises `ApiDown` if there were too many in a row."""
        self._throttled += 1
        if self._throttled >= MOST_THROTTLED:
            raise ApiDown(f"The API refused {self._throttled} requests in a row as too many: {error}") from error
