"""What can stop a run, or one request, as one tree.

* BulkloadError                 a sentence for people; carries the exit code
  x UsageError                  settings or options are wrong                                 exit 2
  x InputError                  a file cannot be read as what it says it is                   exit 2
  x StoreError                  the run store cannot be read or written                       exit 2
    + LockLost                  it was this run's alone, and is not any more                  exit 5
  x Locked                      another run holds the store                                   exit 5
  x RunStopped                  the account or the API makes going on pointless               exit 3
    + LoginRefused              user name, password or token is refused
    + Distrusted                an answer that cannot be true, so nothing is created
    + ApiDown                   a series of requests without one success
  x Refrained                   the user asked for nothing to be sent in this case            exit 1
    + AlreadyThere              --on-existing fail, and there is something
  x Interrupted                 Ctrl-C or SIGTERM                                             exit 130 / 143
  x TooManyErrors               --max-errors was reached                                      exit 4
* ApiError                      one request went wrong; says what it proves about the row
  x NotSent                     the request never left: not created
  x Throttled                   429: not created, the rate was too high
  x AuthFailed                  the token was refused: not created
  x Forbidden                   403: not created, role or permissions
  x Rejected                    the API refused the content, in its own words: not created
  x NotFound                    404 for one monitor: it is gone
  x WrongAddress                redirect, missing path, a page instead of an answer: not created
  x InDoubt                     sent, but what became of it is not known
    + OddPage                   2xx with a web page: whatever answers is not the API
    + Unreadable                an answer longer than any true one, or packed in an unknown way

A bad row is not an exception: it is an `Issue` on the row.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What the process tells cron and scripts."""

    DONE = 0  # every row is created, updated or there already
    ROWS_LEFT = 1  # some rows are not
    USAGE = 2  # usage, settings or an unreadable file
    STOPPED = 3  # the account or the API stopped the run
    TOO_MANY_ERRORS = 4  # --max-errors
    LOCKED = 5  # another run holds the lock
    INTERRUPTED = 130  # Ctrl-C; resumable
    TERMINATED = 143  # SIGTERM; resumable

    @classmethod
    def after(cls, number: int) -> ExitCode:
        """What the process ends with after SIGINT or SIGTERM, as shells count."""
        return cls(128 + number)


class BulkloadError(Exception):
    """Something stopped the run; the message is a sentence for people."""

    exit_code = ExitCode.STOPPED


class UsageError(BulkloadError):
    """Settings or options are wrong."""

    exit_code = ExitCode.USAGE


class InputError(BulkloadError):
    """The file cannot be read as what it says it is."""

    exit_code = ExitCode.USAGE


class StoreError(BulkloadError):
    """The run store cannot be read or written."""

    exit_code = ExitCode.USAGE


class LockLost(StoreError):
    """The run store was this run's alone, and is not any more."""

    exit_code = ExitCode.LOCKED

    def __init__(self, message: str, *, taken_over: bool = False) -> None:
        super().__init__(message)
        self.taken_over = taken_over  # another run has written its name into the store


class Locked(BulkloadError):
    """Another run holds the store."""

    exit_code = ExitCode.LOCKED


class RunStopped(BulkloadError):
    """The account or the API makes going on pointless."""


class LoginRefused(RunStopped):
    """The API refuses the user name, password or token."""


class Distrusted(RunStopped):
    """The API gave an answer that cannot be true."""


class ApiDown(RunStopped):
    """A series of requests went by without one success."""


class Refrained(BulkloadError):
    """The user asked that nothing be sent in this case."""

    exit_code = ExitCode.ROWS_LEFT


class AlreadyThere(Refrained):
    """Monitors exist already, and the user wanted that to stop the run."""


class Interrupted(BulkloadError):
    """The user or the system wants the run to stop; it can be resumed."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__("Interrupted." if exit_code is ExitCode.INTERRUPTED else "Terminated.")
        self.exit_code = exit_code


class TooManyErrors(BulkloadError):
    """More rows went wrong than allowed."""

    exit_code = ExitCode.TOO_MANY_ERRORS


class ApiError(Exception):
    """One request went wrong; the class says what that proves."""


class NotSent(ApiError):
    """The request never left this machine whole, so nothing was created."""


class Throttled(ApiError):
    """The API asks for fewer requests; nothing was created."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds, None when the answer does not say


class AuthFailed(ApiError):
    """The token was refused; nothing was created."""

    def __init__(self, message: str, generation: int = 0) -> None:
        super().__init__(message)
        self.generation = generation  # which token it was, counted from 1


class Forbidden(ApiError):
    """The role or the permissions do not allow it; nothing was created."""


class Rejected(ApiError):
    """The API refused the content, in its own words; nothing was created."""


class NotFound(ApiError):
    """The monitor asked for does not exist."""


class WrongAddress(ApiError):
    """Whatever answered is not the AlertSite API; nothing was created."""


class InDoubt(ApiError):
    """The request left, but its effect is not known."""

    def __init__(self, message: str, left: str) -> None:
        super().__init__(message)
        self.left = left  # the latest moment at which the request can have left, see `clock`


class OddPage(InDoubt):
    """A web page came back with a status of success."""


class Unreadable(InDoubt):
    """The answer is longer than any true one, or packed in a way that nobody asked for."""
