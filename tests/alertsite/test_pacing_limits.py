"""Limits that nobody told: they are found, used, rarely exceeded, and forgotten when they are gone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bulkload.alertsite.pacing import Pace
from tests.support.driven_clock import Clock, drive

WORKERS = 10


class Bucket:
    """nginx's `limit_req`: a leaky bucket that takes `burst` requests more than it leaks."""

    def __init__(self, limit: float, burst: int) -> None:
        self.limit, self.burst = limit, burst
        self.level, self.at = 0.0, 0.0

    def takes(self, now: float) -> bool:
        level = max(0.0, self.level - (now - self.at) * self.limit)
        if level > self.burst:
            return False
        self.level, self.at = level + 1, now
        return True


class Window:
    """So many requests in each whole second."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.second, self.count = 0, 0

    def takes(self, now: float) -> bool:
        if int(now) != self.second:
            self.second, self.count = int(now), 0
        self.count += 1
        return self.count <= self.limit


Server = Bucket | Window


async def send(pace: Pace, server: Server, clock: Clock, seconds: float, round_trip: float = 0.005) -> tuple[int, int]:
    """How many requests were taken and how many refused."""
    taken = refused = 0
    until = clock.now + seconds

    async def worker() -> None:
        nonlocal taken, refused
        while clock.now < until:
            started = await pace.start()
            await asyncio.sleep(round_trip)
            if server.takes(clock.now):
                taken += 1
                pace.taken(started)
            else:
                refused += 1
                pace.slow_down(started, None)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return taken, refused


def servers() -> Iterator[Any]:
    for burst in (1, 5, 30):
        yield pytest.param(lambda limit, burst=burst: Bucket(limit, burst), id=f"bucket-{burst}")
    yield pytest.param(Window, id="window")


@pytest.mark.parametrize("server", list(servers()))
@pytest.mark.parametrize(("rate", "limit"), [(200, 10), (200, 30), (200, 100), (1_500, 100), (None, 100)])
def test_an_unknown_limit_is_found_used_to_90_percent_and_rarely_exceeded(
    clock: Clock, server: Callable[[float], Server], limit: int, rate: int | None
) -> None:
    dice = random.Random(1)

    async def work() -> None:
        taken, refused = await send(Pace(rate), server(limit), clock, seconds=120)
        assert taken >= 0.90 * limit * 120
        assert refused < 0.03 * (taken + refused)

    drive(clock, work(), lambda: dice.uniform(0, 0.001))


def test_a_limit_that_comes_later_is_found_and_one_that_goes_is_forgotten(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(50)
        taken, refused = await send(pace, Window(1_000), clock, seconds=30)
        assert refused == 0
        taken, refused = await send(pace, Window(20), clock, seconds=60)
        assert taken >= 0.90 * 20 * 60
        await send(pace, Window(1_000), clock, seconds=60)
        taken, refused = await send(pace, Window(1_000), clock, seconds=30)
        assert taken >= 0.98 * 50 * 30

    drive(clock, work())


def test_a_server_that_refuses_everything_is_asked_about_once_a_second_at_most(clock: Clock) -> None:
    async def work() -> None:
        taken, refused = await send(Pace(1_000), Window(0), clock, seconds=60)
        assert taken == 0
        assert 10 <= refused <= 100

    drive(clock, work())
