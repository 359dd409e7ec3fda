"""Unannounced limits are detected, used, rarely exceeded, and no longer respected after they are gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bulkload.alertsite.pacing import Pace
from tests.support.driven_clock import Clock, drive

WORKERS = 10


class LeakyBucket:
    """A leaky bucket like nginx's `limit_req`: it accepts up to `burst` requests more than it leaks."""

    def __init__(self, limit: float, burst: int) -> None:
        self.limit, self.burst = limit, burst
        self.level, self.at = 0.0, 0.0

    def accepts(self, now: float) -> bool:
        level = max(0.0, self.level - (now - self.at) * self.limit)
        if level > self.burst:
            return False
        self.level, self.at = level + 1, now
        return True


class FixedWindow:
    """Accepts `limit` requests in each whole second."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.second, self.count = 0, 0

    def accepts(self, now: float) -> bool:
        if int(now) != self.second:
            self.second, self.count = int(now), 0
        self.count += 1
        return self.count <= self.limit


Server = LeakyBucket | FixedWindow


async def send(pace: Pace, server: Server, clock: Clock, seconds: float, round_trip: float = 0.005) -> tuple[int, int]:
    """How many requests were accepted and how many refused."""
    accepted = refused = 0
    until = clock.now + seconds

    async def worker() -> None:
        nonlocal accepted, refused
        while clock.now < until:
            started = await pace.start()
            await asyncio.sleep(round_trip)
            if server.accepts(clock.now):
                accepted += 1
                pace.record_accepted(started)
            else:
                refused += 1
                pace.slow_down(started, None)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return accepted, refused


def servers() -> Iterator[Any]:
    for burst in (1, 5, 30):
        yield pytest.param(lambda limit, burst=burst: LeakyBucket(limit, burst), id=f"bucket-{burst}")
    yield pytest.param(FixedWindow, id="window")


@pytest.mark.parametrize("server", list(servers()))
@pytest.mark.parametrize(("rate", "limit"), [(200, 10), (200, 30), (200, 100), (1_500, 100), (None, 100)])
def test_an_unannounced_limit_is_detected_used_to_90_percent_and_rarely_exceeded(
    clock: Clock, server: Callable[[float], Server], limit: int, rate: int | None
) -> None:
    generator = random.Random(1)

    async def work() -> None:
        accepted, refused = await send(Pace(rate), server(limit), clock, seconds=120)
        assert accepted >= 0.90 * limit * 120
        assert refused < 0.03 * (accepted + refused)

    drive(clock, work(), lambda: generator.uniform(0, 0.001))


def test_a_limit_that_appears_later_is_detected_and_one_that_ends_is_forgotten(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(50)
        accepted, refused = await send(pace, FixedWindow(1_000), clock, seconds=30)
        assert refused == 0
        accepted, refused = await send(pace, FixedWindow(20), clock, seconds=60)
        assert accepted >= 0.90 * 20 * 60
        await send(pace, FixedWindow(1_000), clock, seconds=60)
        accepted, refused = await send(pace, FixedWindow(1_000), clock, seconds=30)
        assert accepted >= 0.98 * 50 * 30

    drive(clock, work())


def test_a_server_that_refuses_everything_gets_about_one_request_a_second_at_most(clock: Clock) -> None:
    async def work() -> None:
        accepted, refused = await send(Pace(1_000), FixedWindow(0), clock, seconds=60)
        assert accepted == 0
        assert 10 <= refused <= 100

    drive(clock, work())
