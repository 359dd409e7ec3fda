"""The rows to send, handed out one by one, each of them marked on disk as being sent.

In: a run's pending rows. Out: the next row for a worker. Rows are marked in blocks, in one transaction: those that may
be sent within `LEAD` seconds, under the rate limit and at the speed of the workers. In a pause marks are taken back: if
the process were killed, their rows would be in doubt although nothing was sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import LEAD
from bulkload.errors import NotSent
from bulkload.model import State
from bulkload.stages.context import RunContext
from bulkload.store.group_commit import GroupCommit
from bulkload.store.row_records import PendingRow, RowChange

BATCH = 500  # rows fetched from the store at a time
MOST_MARKED = 128  # rows marked at a time


class RowQueue:
    """Hands out the rows of one run until `stopping` is set."""

    def __init__(self, context: RunContext, api: Api, commits: GroupCommit, stopping: asyncio.Event) -> None:
        self.taken = 0  # rows that were handed out
        self._context = context
        self._api = api
        self._commits = commits
        self._stopping = stopping
        self._fetched: deque[PendingRow] = deque()
        self._after = -1  # position of the last row that was marked
        self._marked: deque[PendingRow] = deque()  # marked, and not handed out yet
        self._marking = asyncio.Lock()
        self._block = 1  # rows that were to be marked the last time, if the rate allowed
        self._marked_at = 0.0  # monotonic time
        self._checked_at = 0.0  # monotonic time of the last look at the lock
        self._busy: set[int] = set()  # positions of rows that a worker has

    async def take(self, at_most: int = MOST_MARKED) -> PendingRow | None:
        """The next row for a worker, of at most so many marked together; None if there is none, or the run is stopping.

        Rows are in input order; those that became pending again come last. Raises `StoreError` or `RunStopped`.
        """
        while not self._stopping.is_set():
            self.unmark_in_pause()
            if self._marked:
                self._check_lock()
                row = self._marked.popleft()
                self._busy.add(row.position)
                self.taken += 1
                return row
            async with self._marking:  # one worker marks rows for all
                if not self._marked and not await self._mark(at_most):
                    return None
        return None

    def put_down(self, position: int) -> None:
        """A worker no longer has this row."""
        self._busy.discard(position)

    def forget_fetched(self) -> None:
        """Fetch the next rows again, because they may have been matched to monitors."""
        self._fetched.clear()

    def unmark_in_pause(self) -> None:
        """Take back marks if no request may be sent within moments."""
        if self._marked and self._api.pace.is_paused:
            self.unmark()

    def unmark(self) -> None:
        """Take back the marks of rows that no worker has. Raises `StoreError`."""
        rows = [*self._marked]
        self._marked.clear()
        for row in rows:
            self._commits.record(RowChange(position=row.position, state=State.PENDING, error=row.note, unsent=True))
        self._commits.flush()
        self._fetched.extendleft(reversed(rows))

    async def _mark(self, at_most: int) -> bool:
        """Mark the next rows; false if none is to be sent."""
        if not self._fetch():
            return False
        try:
            near = await self._api.near_create()
        except NotSent:  # the run is stopping
            return False
        first = self._context.options.first
        count = int(min(near, at_most, self._next_block(), MOST_MARKED if first is None else first - self.taken))
        if self._stopping.is_set() or not count or not self._fetch():  # rows may have been settled meanwhile
            return False
        rows = [self._fetched.popleft() for _ in range(min(count, len(self._fetched)))]
        self._commits.mark(rows)
        self._marked_at = self._checked_at = time.monotonic()
        self._after = rows[-1].position
        self._marked.extend(rows)
        return True

    def _next_block(self) -> int:
        """The number of rows that the workers may take within `LEAD`; the last block shows how fast they are."""
        is_fast = time.monotonic() - self._marked_at < LEAD
        self._block = min(2 * self._block, MOST_MARKED) if is_fast else max(self._block // 2, 1)
        return self._block

    def _check_lock(self) -> None:
        """Raise `LockLost` if another run owns the store, unless that was checked moments ago."""
        now = time.monotonic()
        if now - self._checked_at > LEAD:
            self._checked_at = now
            if (lost := self._context.store.lock_lost()) is not None:
                raise lost

    def _fetch(self) -> bool:
        """Fetch rows if there are none; false if no row is pending."""
        if not self._fetched:
            self._fetched.extend(self._pending(self._after))
        if not self._fetched:
            self._commits.flush()
            self._fetched.extend(self._pending(-1))
        return bool(self._fetched)

    def _pending(self, after: int) -> list[PendingRow]:
        return [row for row in self._context.rows.pending(after, BATCH) if row.position not in self._busy]
