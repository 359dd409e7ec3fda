"""Group commits: marks and results of the same moment become durable together.

In: `Change`s of rows, from many workers. Out: one transaction for all that came up within a few milliseconds.
A mark is waited for; a result is recorded a moment later, and a crash in between leaves its row in doubt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bulkload.errors import LockLost, StoreError
from bulkload.store.rows import Change, Ledger

GATHER = 0.002  # seconds that a group stays open; a commit takes about as long, and a caller gets ready far earlier

log = logging.getLogger(__name__)


class Journal:
    """Collects changes of one run and writes them in groups; tells of those that the ledger refuses."""

    def __init__(self, ledger: Ledger, on_refused: Callable[[Change], None] = lambda change: None) -> None:
        self._ledger = ledger
        self._on_refused = on_refused
        self._changes: list[Change] = []
        self._waiting: list[asyncio.Future[None]] = []  # those who wait for their mark
        self._timer: asyncio.TimerHandle | None = None  # set: a group is open
        self._failure: StoreError | None = None

    async def mark(self, change: Change) -> None:
        """Return when the change is on disk. Raises `StoreError` if it cannot get there."""
        self._check()
        self.record(change)
        durable = asyncio.get_running_loop().create_future()
        self._waiting.append(durable)
        await durable
        self._check()

    def record(self, change: Change) -> None:
        """Have the change on disk with the next group. Raises `StoreError` if an earlier one failed.

        A run that lost its store still notes what became of the requests that had left before.
        """
        if not isinstance(self._failure, LockLost):
            self._check()
        self._changes.append(change)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._write)

    def flush(self) -> None:
        """Write everything now. Raises `StoreError` if this or an earlier group could not be written."""
        self._write()
        self._check()

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        changes, self._changes = self._changes, []
        waiting, self._waiting = self._waiting, []
        try:
            for refused in self._ledger.apply(changes) if changes else ():
                log.error("row at position %d: %s", refused.position, refused.error)
                self._on_refused(refused)
        except StoreError as error:
            self._failure = error
        except BaseException as error:
            self._failure = StoreError(f"The run store was not written: {type(error).__name__}: {error}.")
            self._failure.__cause__ = error
            log.debug("the store was not written", exc_info=error)
            if not isinstance(error, Exception):
                raise
        finally:  # whatever went wrong, nobody waits for ever; `_check` tells them
            for durable in waiting:
                if not durable.done():  # its worker may have been cancelled
                    durable.set_result(None)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
