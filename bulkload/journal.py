"""Group commits: marks and results of the same moment become durable together.

In: `Change`s of rows, from many workers. Out: one transaction for all that came up in one turn of the event loop.
A mark is waited for; a result is recorded a moment later, and a crash in between leaves its row in doubt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bulkload.errors import StoreError
from bulkload.ledger import Change, Ledger

log = logging.getLogger(__name__)


class Journal:
    """Collects changes of one run and writes them in groups; tells of those that the ledger refuses."""

    def __init__(self, ledger: Ledger, on_refused: Callable[[Change], None] = lambda change: None) -> None:
        self._ledger = ledger
        self._on_refused = on_refused
        self._changes: list[Change] = []
        self._durable: asyncio.Future[None] | None = None
        self._failure: StoreError | None = None

    async def mark(self, change: Change) -> None:
        """Return when the change is on disk. Raises `StoreError` if it cannot get there."""
        self._add(change)
        assert self._durable is not None
        await asyncio.shield(self._durable)  # others wait for it too, and who is cancelled is alone in that
        self._check()

    def record(self, change: Change) -> None:
        """Have the change on disk with the next group. Raises `StoreError` if an earlier one failed."""
        self._add(change)

    def flush(self) -> None:
        """Write everything now. Raises `StoreError` if this or an earlier group could not be written."""
        self._write()
        self._check()

    def _add(self, change: Change) -> None:
        self._check()
        self._changes.append(change)
        if self._durable is None:
            loop = asyncio.get_running_loop()
            self._durable = loop.create_future()
            loop.call_soon(self._write)

    def _write(self) -> None:
        waiting, self._durable = self._durable, None
        changes, self._changes = self._changes, []
        try:
            for refused in self._ledger.apply(changes) if changes else ():
                log.error("row at position %d: %s", refused.position, refused.error)
                self._on_refused(refused)
        except StoreError as error:
            self._failure = error
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
