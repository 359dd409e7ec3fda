"""Pacing, on a clock that is driven: time passes only when everybody waits, so an hour takes a moment."""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from bulkload.errors import NotSent
from bulkload.pace import PAUSE_CEILING, Pace

WORKERS = 10


class Clock:
    """A monotonic clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Skipping(selectors.SelectSelector):
    """Instead of waiting for something to happen, let the time go by."""

    def __init__(self, clock: Clock, lateness: Callable[[], float]) -> None:
        super().__init__()
        self.clock = clock
        self.lateness = lateness

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.clock.now += timeout + self.lateness()
        return super().select(0)


Drive = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def drive(clock: Clock, work: Coroutine[Any, Any, Any], lateness: Callable[[], float] = lambda: 0.0) -> None:
    """Run to the end; `lateness` is how late the event loop wakes."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Skipping(clock, lateness))) as runner:
        runner.run(work)


def most_in(starts: list[float], window: float) -> int:
    """How many starts the fullest window has, wherever it begins."""
    most, inside = 0, deque[float]()
    for start in starts:
        inside.append(start)
        while inside[0] <= start - window:
            inside.popleft()
        most = max(most, len(inside))
    return most


async def starts_of(pace: Pace, count: int, workers: int = WORKERS) -> list[float]:
    starts: list[float] = []

    async def worker() -> None:
        while len(starts) < count:
            starts.append(await pace.start())
            await asyncio.sleep(0.001)

    await asyncio.gather(*(worker() for _ in range(workers)))
    return starts


@pytest.mark.parametrize("rate", [0.2, 1, 5, 50, 500, 1_500])
@pytest.mark.parametrize("latest", [0.0, 0.002, 0.02])
def test_no_second_has_more_starts_than_the_rate_and_one_however_late_timers_fire(
    clock: Clock, rate: float, latest: float
) -> None:
    dice = random.Random(1)

    async def work() -> None:
        starts = await starts_of(Pace(rate), int(20 * rate) + 20)
        assert most_in(starts, 1.0) <= rate + 1
        assert most_in(starts, 10.0) <= 10 * rate + 1

    drive(clock, work(), lambda: dice.uniform(0, latest))


@pytest.mark.parametrize("rate", [1, 5, 50, 500, 1_500])
def test_at_least_99_percent_of_the_rate_is_used_though_timers_are_late(clock: Clock, rate: int) -> None:
    dice = random.Random(1)

    async def work() -> None:
        starts = await starts_of(Pace(rate), 20 * rate)
        assert (len(starts) - 1) / (starts[-1] - starts[0]) >= 0.99 * rate

    drive(clock, work(), lambda: dice.uniform(0, 0.002))


@pytest.mark.parametrize("rate", [1, 2, 5, 30, 100])
@pytest.mark.parametrize("offset", [0.0, 0.1, 0.5, 0.999])
def test_a_server_that_allows_exactly_the_rate_in_each_second_never_refuses(
    clock: Clock, rate: int, offset: float
) -> None:
    async def work() -> None:
        starts = await starts_of(Pace(rate), 30 * rate)
        windows = [int(start - offset) for start in starts]
        assert max(map(windows.count, set(windows))) <= rate

    drive(clock, work())


def test_no_burst_follows_a_quiet_time(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(10)
        await starts_of(pace, 10)
        await asyncio.sleep(60)
        assert most_in(await starts_of(pace, 30), 1.0) <= 11

    drive(clock, work())


def test_without_a_rate_nobody_waits(clock: Clock) -> None:
    async def work() -> None:
        pace, began = Pace(None), clock.now
        for _ in range(1_000):
            await pace.start()
        assert clock.now == began

    drive(clock, work())


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (0.0, 0.0), (-5.0, 0.0), (1e9, PAUSE_CEILING)])
def test_one_pause_of_the_length_asked_for_holds_everybody(clock: Clock, asked: float, waited: float) -> None:
    async def work() -> None:
        pace = Pace(None)
        pace.slow_down(clock.now, asked)
        until = clock.now + waited
        assert min(await asyncio.gather(*(pace.start() for _ in range(WORKERS)))) >= until
        assert clock.now < until + 0.1

    drive(clock, work())


def test_one_wave_of_refusals_counts_once(clock: Clock) -> None:
    async def starts_after(refusals: int) -> list[float]:
        pace = Pace(100)
        started = [await pace.start() for _ in range(WORKERS)]
        for at in started[:refusals]:
            pace.slow_down(at, None)
        return [at - started[-1] for at in await starts_of(pace, 50)]

    async def work() -> None:
        assert await starts_after(WORKERS) == pytest.approx(await starts_after(1))

    drive(clock, work())


def test_a_caller_gets_ready_at_most_a_moment_before_its_start_and_is_sent_away_by_a_halt(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(2)
        ready: list[float] = []

        async def get_ready() -> None:
            ready.append(clock.now)

        started = [await pace.start(get_ready) for _ in range(5)]
        assert all(start - at <= 0.06 for start, at in zip(started, ready, strict=True))
        pace.pause(30)
        waiting = asyncio.create_task(pace.start(get_ready))
        await asyncio.sleep(1)
        pace.halt()
        with pytest.raises(NotSent):
            await waiting
        assert len(ready) == 5, "nobody got ready for a start that never came"
        await pace.start()  # looking things up goes on

    drive(clock, work())


# ── limits that nobody told ─────────────────────────────────────────────────────────────────────────────────


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
