"""Group commit: marks of rows that are about to be sent, and results, share transactions.

In: rows to mark, and `RowChange`s with what became of rows. Out: one transaction for each block of marks, with all
results that were recorded before; results alone are written at most `RESULT_SECONDS` later. A crash before a result is
written leaves the row in doubt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from bulkload.errors import LockLost, StoreError
from bulkload.store.row_records import PendingRow, RowChange
from bulkload.store.rows import RunRows

RESULT_SECONDS = 0.1  # how long a result may wait for others
MAX_RECENT_IDS = 100_000  # remembered, of created monitors

log = logging.getLogger(__name__)


class GroupCommit:
    """Collects changes of one run and writes them in groups; those that the store refuses go to `on_refused`."""

    def __init__(self, rows: RunRows, on_refused: Callable[[RowChange], None] = lambda change: None) -> None:
        self._rows = rows
        self._on_refused = on_refused
        self._changes: list[RowChange] = []
        self._recent_ids: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None  # set: results wait
        self._failure: StoreError | None = None

    def mark(self, rows: Sequence[PendingRow]) -> None:
        """Mark rows as being sent; on return, the marks are on disk. Raises `StoreError` if they are not."""
        self._check()
        self._write([row.position for row in rows])
        self._check()

    def record(self, change: RowChange) -> None:
        """Write the change with the next group. Raises `StoreError` if an earlier one failed.

        A monitor ID that was recorded before is written at once, because the store refuses it and the run must stop. A
        run that lost its lock still records the outcome of requests that were sent before.
        """
        if not isinstance(self._failure, LockLost):
            self._check()
        self._changes.append(change)
        if self._is_repeated(change.monitor_id):
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(RESULT_SECONDS, self._write)

    def flush(self) -> None:
        """Write everything now. Raises `StoreError` if this or an earlier group could not be written."""
        self._write()
        self._check()

    def _is_repeated(self, monitor_id: str | None) -> bool:
        if monitor_id is None:
            return False
        if monitor_id in self._recent_ids:
            return True
        if len(self._recent_ids) == MAX_RECENT_IDS:
            self._recent_ids.clear()
        self._recent_ids.add(monitor_id)
        return False

    def _write(self, sending: Sequence[int] = ()) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        changes, self._changes = self._changes, []
        try:
            for refused in self._rows.apply(changes, sending=sending) if changes or sending else ():
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

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
