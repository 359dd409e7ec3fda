"""Slow down the guessing of the access key.

In: attempts by client. Out: how long each has to wait before its key is looked at, or that it is refused unseen. Nobody
else waits, and neither do those who have access already.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

FIRST_DELAY = 0.25  # seconds after the first wrong key; twice as long after each further one
LONGEST_DELAY = 15.0  # seconds
FORGET_AFTER = 900.0  # seconds without an attempt
MAX_WAITING = 4  # attempts of one client at once
MAX_WAITING_OF_ALL = 100
MAX_CLIENTS = 1000  # that are remembered


@dataclass(slots=True)
class _Client:
    attempts: int = 0  # since the last right key
    waiting: int = 0
    latest: float = 0.0  # of the monotonic clock


class Attempts:
    """The attempts of all clients."""

    def __init__(self) -> None:
        self._clients: dict[str, _Client] = {}  # the latest attempt is last
        self._waiting = 0

    async def wait(self, client: str) -> bool:
        """Wait until a key of this client may be looked at; False at once if too many attempts wait already."""
        record = self._record(client)
        if record.waiting >= MAX_WAITING or self._waiting >= MAX_WAITING_OF_ALL:
            return False
        delay = min(FIRST_DELAY * 2.0 ** (record.attempts - 1), LONGEST_DELAY) if record.attempts else 0.0
        record.attempts = min(record.attempts + 1, 100)  # counted now: attempts at the same moment are several
        record.waiting += 1
        self._waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            record.waiting -= 1
            self._waiting -= 1
        return True

    def succeeded(self, client: str) -> None:
        """Forget the wrong keys of a client that knows the right one."""
        if (record := self._clients.get(client)) is not None:
            record.attempts = 0

    def _record(self, client: str) -> _Client:
        now = time.monotonic()
        record = self._clients.pop(client, None)
        if record is None or (now - record.latest > FORGET_AFTER and not record.waiting):
            record = _Client()
        record.latest = now
        self._clients[client] = record
        while len(self._clients) > MAX_CLIENTS:
            del self._clients[next(iter(self._clients))]
        return record
