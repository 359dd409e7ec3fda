"""Everything that can stop a run or fail one request, as one tree; and the edge that keeps readers within it.

* BulkloadError                 stops the run; the message is for the user; carries the exit code
  x UsageError                  invalid settings or options                                   exit 2
  x InputError                  a file cannot be read in its format                           exit 2
  x StoreError                  the run store cannot be read or written                       exit 2
    + LockLost                  this run no longer holds the store's lock                     exit 5
  x MoveError                   a file of an inbox cannot be moved                            exit 2
  x Locked                      another run holds the store's lock                            exit 5
  x RunStopped                  the state of the account or the API makes continuing useless  exit 3
    + LoginRefused              user name, password or token is refused
    + ApiUnreliable             inconsistent or unexpected responses, so nothing is created
    + ApiDown                   a series of requests without one success
  x StoppedByOption             an option says to send nothing in this case                   exit 1
    + AlreadyExists             --on-existing fail, and monitors exist already
  x Declined                    a question was answered with no; the run can be resumed       exit 2
  x Interrupted                 Ctrl-C, SIGTERM, or the terminal was closed                   exit 130 / 143
  x TooManyErrors               --max-errors was reached                                      exit 4
  x RowsFailed                  rows are left; only a Python program gets it, if it asks      exit 1
* ApiError                      one request failed; the class says what is known about its row
  x NotSent                     the request was never sent: not created
  x Throttled                   429: not created, the rate was too high
  x AuthFailed                  the token was refused: not created
  x Forbidden                   403: not created, role or permissions
  x Rejected                    the API rejected the content, and its message says why: not created
  x NotFound                    404 for one monitor: it no longer exists
  x WrongAddress                redirect, missing path or a web page: not created
  x InDoubt                     sent, but its effect is not known
    + UnexpectedPage            2xx with a web page: the server is not the API
    + UnreadableResponse        a response that is too long, or in an unknown content encoding

A bad row is not an exception: it is an `Issue` on the row. `doctor --json` shows the docstring of a `RunStopped`.
"""

from __future__ import annotations

import enum
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

MAX_REASON_CHARS = 200  # of an unexpected exception's text


class ExitCode(enum.IntEnum):
    """The exit status of the process, for cron and scripts."""

    DONE = 0  # every row is created, updated or exists already
    ROWS_LEFT = 1  # some rows are not
    USAGE = 2  # usage, settings or an unreadable file
    STOPPED = 3  # the account or the API stopped the run
    TOO_MANY_ERRORS = 4  # --max-errors
    LOCKED = 5  # another run holds the lock
    BUG = 70  # an unexpected error in bulkload; EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  # Ctrl-C; can be resumed
    TERMINATED = 143  # SIGTERM, or SIGHUP from a terminal that was closed; can be resumed

    @classmethod
    def after(cls, signal_number: int) -> ExitCode:
        """The exit code after one of the `stop_signals`."""
        return cls.INTERRUPTED if signal_number == signal.SIGINT else cls.TERMINATED


def stop_signals() -> tuple[int, ...]:
    """The signals that stop a command in an orderly way; SIGHUP is not one if it is ignored, as under `nohup`."""
    hangup: int | None = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, hangup


class BulkloadError(Exception):
    """The run was stopped; the message tells the user why."""

    exit_code = ExitCode.STOPPED
    temporary = False  # the same call may succeed later, although nobody does anything about it
    result: Any = None  # of the Python API: the `bulkload.Result` so far, if there is one


class UsageError(BulkloadError):
    """Invalid settings or options."""

    exit_code = ExitCode.USAGE


class InputError(BulkloadError):
    """The file cannot be read in the format that its name or content indicates."""

    exit_code = ExitCode.USAGE


class StoreError(BulkloadError):
    """The run store cannot be read or written."""

    exit_code = ExitCode.USAGE


class StoreBusy(StoreError):
    """Another process is writing into the run store, and does not finish."""

    exit_code = ExitCode.LOCKED
    temporary = True


class LockLost(StoreError):
    """This run no longer holds the lock of the run store."""

    exit_code = ExitCode.LOCKED
    temporary = True

    def __init__(self, message: str, *, taken_over: bool = False) -> None:
        super().__init__(message)
        self.taken_over = taken_over  # another run has written its name into the store


class MoveError(BulkloadError):
    """A file of an inbox cannot be moved, or a file beside it cannot be written."""

    exit_code = ExitCode.USAGE


class Locked(BulkloadError):
    """Another run holds the lock of the run store."""

    since: float | None = None  # when it took the lock, in seconds since 1970; None: not known
    exit_code = ExitCode.LOCKED
    temporary = True


class RunStopped(BulkloadError):
    """The state of the account or the API makes it useless to continue."""


class LoginRefused(RunStopped):
    """The API refuses the user name, password or token."""


class ApiUnreliable(RunStopped):
    """The API's responses are inconsistent or have an unexpected format."""


class ApiDown(RunStopped):
    """A series of requests failed without one success."""

    temporary = True


class StoppedByOption(BulkloadError):
    """An option says to send nothing in this case."""

    exit_code = ExitCode.ROWS_LEFT


class AlreadyExists(StoppedByOption):
    """Monitors exist already, and `--on-existing fail` stops the run."""


class Declined(BulkloadError):
    """A question was answered with no, or not at all; the run can be resumed."""

    exit_code = ExitCode.USAGE


class Interrupted(BulkloadError):
    """The user or the system stops the run; it can be resumed."""

    temporary = True

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__("Interrupted." if exit_code is ExitCode.INTERRUPTED else "Terminated.")
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.exit_code,), vars(self)  # its argument is not the message, as pickle assumes


class TooManyErrors(BulkloadError):
    """More rows failed than `--max-errors` allows."""

    exit_code = ExitCode.TOO_MANY_ERRORS


class RowsFailed(BulkloadError):
    """Some rows are not done; `temporary` is true if all of them need nothing but another run."""

    exit_code = ExitCode.ROWS_LEFT

    def __init__(self, message: str, *, temporary: bool = False) -> None:
        super().__init__(message)
        self.temporary = temporary


class ApiError(Exception):
    """One request failed; the class says what is known about its effect."""


class NotSent(ApiError):
    """The request was not sent completely, so nothing was created."""


class Throttled(ApiError):
    """The API asks for a lower rate; nothing was created."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds; None without a valid Retry-After header


class AuthFailed(ApiError):
    """The token was refused; nothing was created."""

    def __init__(self, message: str, generation: int = 0) -> None:
        super().__init__(message)
        self.generation = generation  # of the refused token, counted from 1
        self.was_fresh = False  # the token cannot have expired: others were accepted at its age


class Forbidden(ApiError):
    """The role or the permissions do not allow it; nothing was created."""


class Rejected(ApiError):
    """The API rejected the content, and its message says why; nothing was created."""


class NotFound(ApiError):
    """The requested monitor does not exist."""


class WrongAddress(ApiError):
    """The server that responded is not the AlertSite API; nothing was created."""


class InDoubt(ApiError):
    """The request was sent, but its effect is not known."""

    def __init__(self, message: str, sent_at: str) -> None:
        super().__init__(message)
        self.sent_at = sent_at  # the latest possible moment, see `clock`


class UnexpectedPage(InDoubt):
    """A web page came back with a 2xx status."""


class UnreadableResponse(InDoubt):
    """The response is too long, or in a content encoding that was not requested."""


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn an unexpected exception of a reader into an `InputError` that names the file; log its traceback.

    Files from elsewhere find cases that no reader expects, and one of them must not end a run of many files. Our own
    errors pass through unchanged, and so do Ctrl-C, the end of the process and warnings that are errors.
    """
    try:
        yield
    except (BulkloadError, ApiError, Warning):
        raise
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"  # of a Rust library; it is not an Exception
        if not isinstance(error, Exception) and not is_panic:
            raise
        log.debug("%s: unexpected exception in a reader", name, exc_info=True)
        raise InputError(f"{name}: this file cannot be read: {_reason(error)}.") from error


def _reason(error: BaseException) -> str:
    """The text of an exception in one line, with its type, which is all that some have."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split()).rstrip(".")[:MAX_REASON_CHARS]
    return f"{text} ({type(error).__name__})" if text else type(error).__name__
