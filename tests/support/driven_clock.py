"""A simulated clock: time passes only while every task waits, so an hour of waiting takes no real time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class Clock:
    """A monotonic clock that stands still until `now` is changed."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class _AdvancingSelector(selectors.SelectSelector):
    """A selector that advances the clock instead of waiting."""

    def __init__(self, clock: Clock, lateness: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.lateness = lateness

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.clock.now += timeout + self.lateness()
        return super().select(0)


def drive(clock: Clock, work: Coroutine[Any, Any, None], lateness: Callable[[], float] = lambda: 0.0) -> None:
    """Run `work` until it has finished; `lateness` returns the seconds by which the event loop wakes late."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_AdvancingSelector(clock, lateness))) as runner:
        runner.run(work)
