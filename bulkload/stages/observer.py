"""Let somebody watch a run from outside: its phase, and the state of its session with the account.

In: calls of the engine, from its own thread. Out: whatever a subclass makes of them. Nothing is called per row or
request; what changes with each of them is read from the session when it is wanted, from any thread.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkload.errors import Interrupted

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.store.runs import Run


class Phase(enum.StrEnum):
    """What is being done, for people."""

    READING = "reading the rows"
    LOGGING_IN = "logging in"
    LISTING = "listing the account"
    CREATING = "creating"
    SETTLING = "settling"
    VERIFYING = "verifying"
    DELETING = "deleting"
    WRITING = "writing the results"


class PauseReason(enum.StrEnum):
    """Why requests wait, or are slower than the rate allows, for people."""

    NONE = ""
    REQUESTED = "the API asked for a pause"  # 429 with Retry-After
    LOWERED = "the API refused requests as too many, so the rate is lower for now"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """A session with the account at one moment."""

    requests: int  # sent so far
    is_logged_in: bool
    is_stopping: bool
    rate: float | None  # requests a second that are allowed now; None: no maximum
    pause: float  # seconds in which no request starts; 0: no pause
    pause_reason: PauseReason
    retried: int = 0  # requests that repeated an earlier one


class Observer:
    """Told what a run does; this one ignores it."""

    def on_run(self, run: Run) -> None:
        """A run is in the store, with all its rows."""

    def on_phase(self, phase: Phase) -> None:
        """Another phase begins."""

    def on_session(self, status: Callable[[], SessionStatus], stop: Callable[[Interrupted], None]) -> None:
        """A session with the account begins.

        Both may be called from any thread, and after the session too: `status` tells how it goes, `stop` requests a
        stop as the first signal does, and if called again as the second.
        """

    def on_doubt(self, rows: int, seconds: float | None) -> None:
        """Nothing is left to send, and it is waited until it is known whether the monitors of these rows exist.

        At most for so many seconds; None: as long as it takes.
        """


NOBODY = Observer()


def session_status(api: Api, *, is_stopping: bool) -> SessionStatus:
    """The status of a session that uses this client."""
    pace = api.pace.status
    reason = PauseReason.LOWERED if pace.is_lowered else PauseReason.NONE
    return SessionStatus(
        requests=api.sent,
        is_logged_in=api.is_logged_in,
        is_stopping=is_stopping,
        rate=pace.rate,
        pause=pace.pause,
        pause_reason=PauseReason.REQUESTED if pace.is_requested else reason,
        retried=api.retried,
    )
