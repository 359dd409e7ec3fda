"""No burst, no second too full, one pause for everybody, and nobody gets ready who is not about to start."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.alertsite.pacing import LATENESS, MARGIN, MOST_LATE, PAUSE_CEILING, Pace
from bulkload.errors import NotSent
from tests.support.driven_clock import Clock, drive

WORKERS = 10


async def starts_of(pace: Pace, count: int, workers: int = WORKERS, *, ready: bool = True) -> list[float]:
    """Let workers take some starts, with something to get ready or as a look at the account does."""
    starts: list[float] = []
    left = iter(range(count))

    async def get_ready() -> None:
        await asyncio.sleep(0)

    async def worker() -> None:
        for _ in left:
            starts.append(await pace.start(get_ready if ready else None))
            await asyncio.sleep(0.001)

    await asyncio.gather(*(worker() for _ in range(workers)))
    return starts


def most_in(starts: list[float], window: float) -> int:
    """How many starts the fullest window has, wherever it begins."""
    most, inside = 0, deque[float]()
    for start in starts:
        inside.append(start)
        while inside[0] <= start - window:
            inside.popleft()
        most = max(most, len(inside))
    return most


def middle_gap(starts: list[float]) -> float:
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(starts))
    return gaps[len(gaps) // 2]


@settings(max_examples=12)
@given(rate=st.sampled_from((20, 50, 100, 300, 1000)), workers=st.sampled_from((1, 3, 20)), ready=st.booleans())
def test_in_real_time_no_window_has_more_starts_than_the_rate_allows_and_one(
    rate: int, workers: int, ready: bool
) -> None:
    """In no second; and a part of one holds its part, but for starts that make up for one that was late."""
    number = max(4, int(rate * 0.35))
    starts = asyncio.run(starts_of(Pace(rate), number, workers, ready=ready))
    assert starts == sorted(starts)
    assert len(starts) == number
    assert most_in(starts, 1.0) <= rate + 1
    for window in (0.1, 0.2):
        assert most_in(starts, window) <= rate * (window + LATENESS) + 1


@pytest.mark.parametrize("rate", [0.2, 1, 5, 50, 500, 1_500])
@pytest.mark.parametrize("latest", [0.0, 0.002, 0.02, 1.0])
@pytest.mark.parametrize("ready", [True, False])
def test_no_second_has_more_starts_than_the_rate_and_one_however_late_timers_fire(
    clock: Clock, rate: float, latest: float, ready: bool
) -> None:
    dice = random.Random(1)

    async def work() -> None:
        starts = await starts_of(Pace(rate), int(20 * rate) + 20, ready=ready)
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
        clock.now += 3.0  # the whole process is held up, as on a machine that has too much to do
        starts = await starts_of(pace, 30)
        assert most_in(starts, 1.0) <= 11
        assert most_in(starts, 0.2) <= 3

    drive(clock, work())


def test_without_a_rate_nobody_waits(clock: Clock) -> None:
    async def work() -> None:
        pace, began = Pace(None), clock.now
        for _ in range(1_000):
            assert await pace.start() == began

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


def test_a_pause_that_comes_while_callers_wait_holds_them_too(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(5)
        task = asyncio.create_task(starts_of(pace, 4, 4))
        await asyncio.sleep(0.1)
        paused = clock.now
        pace.pause(0.5)
        pace.pause(0.01)  # a shorter one ends nothing
        first, *others = await task
        assert first < paused
        assert min(others) >= paused + 0.5

    drive(clock, work())


def test_a_refusal_without_a_time_slows_everybody_down_and_speed_comes_back(clock: Clock) -> None:
    """Right after refusals the gaps are wider; with time and no refusal they become what they were."""

    async def work() -> None:
        pace = Pace(100)
        usual = middle_gap(await starts_of(pace, 20))
        for _ in range(3):
            pace.slow_down(await pace.start(), None)
            pace.taken(await pace.start())
        assert pace.throttled == 3
        assert middle_gap(await starts_of(pace, 10)) > 1.2 * usual
        await starts_of(pace, 3_000)
        assert middle_gap(await starts_of(pace, 20)) == pytest.approx(usual)

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


def test_a_halt_sends_away_all_who_wait_at_once(clock: Clock) -> None:
    """Those who wait for their turn, and those who wait for these."""

    async def work() -> None:
        pace = Pace(1)
        await pace.start()
        tasks = [asyncio.create_task(starts_of(pace, 1, 1)) for _ in range(5)]
        await asyncio.sleep(0.5)
        began = clock.now
        pace.halt()
        assert {type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)} == {NotSent}
        assert clock.now == began

    drive(clock, work())


def test_nobody_gets_ready_long_before_the_start(clock: Clock) -> None:
    """A mark must not be written long before its request leaves."""

    async def work() -> None:
        pace = Pace(4)
        ready: list[float] = []

        async def get_ready() -> None:
            ready.append(clock.now)

        started = await asyncio.gather(*(pace.start(get_ready) for _ in range(8)))
        assert all(start - at <= 0.06 for start, at in zip(sorted(started), sorted(ready), strict=True))

    drive(clock, work())


def test_a_failure_while_getting_ready_takes_no_start(clock: Clock) -> None:
    async def fail() -> None:
        raise RuntimeError

    async def work() -> None:
        pace = Pace(2)
        first = await pace.start()
        with pytest.raises(RuntimeError):
            await pace.start(fail)
        assert await pace.start() - first < 0.6

    drive(clock, work())


def test_what_may_have_arrived_late_is_allowed_for_once(clock: Clock) -> None:
    """A slow answer puts the next start off by as much as its request may have been late; more do not add up."""

    async def work() -> None:
        pace = Pace(1)
        first = await pace.start()
        for _ in range(2):
            pace.taken(first)
        for _ in range(3):
            pace.taken(clock.now - 0.5)
        assert await pace.start() - first == pytest.approx(1 / MARGIN - LATENESS + MOST_LATE)

    drive(clock, work())
