"""A clock that is driven: time passes only when everybody waits, so an hour takes a moment."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class Clock:
    """A monotonic clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class _Skipping(selectors.SelectSelector):
    """Instead of waiting for something to happen, let the time go by."""

    def __init__(self, clock: Clock, lateness: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.lateness = lateness

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.clock.now += timeout + self.lateness()
        return super().select(0)


def drive(clock: Clock, work: Coroutine[Any, Any, None], lateness: Callable[[], float] = lambda: 0.0) -> None:
    """Run to the end; `lateness` is how late the event loop wakes."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Skipping(clock, lateness))) as runner:
        runner.run(work)
