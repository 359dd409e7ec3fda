"""Group commit: marks and results that arrive at nearly the same time share one transaction.

In: `RowChange`s from many workers. Out: one transaction for all that arrive within a few milliseconds. A worker waits
until its mark is durable, but not for its results; a crash before a result is written leaves the row in doubt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bulkload.errors import LockLost, StoreError
from bulkload.store.row_records import RowChange
from bulkload.store.rows import RunRows

GROUP_SECONDS = 0.002  # how long a group stays open; a commit takes about as long

log = logging.getLogger(__name__)


class GroupCommit:
    """Collects changes of one run and writes them in groups; those that the store refuses go to `on_refused`."""

    def __init__(self, rows: RunRows, on_refused: Callable[[RowChange], None] = lambda change: None) -> None:
        self._rows = rows
        self._on_refused = on_refused
        self._changes: list[RowChange] = []
        self._futures: list[asyncio.Future[None]] = []  # of the workers that wait for their marks
        self._timer: asyncio.TimerHandle | None = None  # set: a group is open
        self._failure: StoreError | None = None

    async def mark(self, change: RowChange) -> None:
        """Return when the change is on disk. Raises `StoreError` if it cannot be written."""
        self._check()
        self.record(change)
        durable = asyncio.get_running_loop().create_future()
        self._futures.append(durable)
        await durable
        self._check()

    def record(self, change: RowChange) -> None:
        """Write the change with the next group. Raises `StoreError` if an earlier one failed.

        A run that lost its lock still records the outcome of requests that were sent before.
        """
        if not isinstance(self._failure, LockLost):
            self._check()
        self._changes.append(change)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GROUP_SECONDS, self._write)

    def flush(self) -> None:
        """Write everything now. Raises `StoreError` if this or an earlier group could not be written."""
        self._write()
        self._check()

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        changes, self._changes = self._changes, []
        futures, self._futures = self._futures, []
        try:
            for refused in self._rows.apply(changes) if changes else ():
                log.error("row at position %d: %s", refused.position, refused.error)
                self._on_refused(refused)
        except StoreError as error:
            self._failure = error
        except BaseException as error:
            self._failure = StoreError(f"The run store could not be written: {type(error).__name__}: {error}.")
            self._failure.__cause__ = error
            log.debug("the store could not be written", exc_info=error)
            if not isinstance(error, Exception):
                raise
        finally:  # no worker may wait forever; `_check` raises the error
            for durable in futures:
                if not durable.done():  # its worker may have been cancelled
                    durable.set_result(None)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
