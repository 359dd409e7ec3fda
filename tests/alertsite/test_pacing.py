"""No burst, no second above the rate, one pause for all callers, and no row is marked long before its start."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.alertsite.pacing import LEAD, MARGIN, MAX_DELAY, MAX_LATENESS, MAX_RETRY_AFTER, Pace
from bulkload.errors import NotSent
from tests.support.driven_clock import Clock, drive

WORKERS = 10


async def starts_of(pace: Pace, count: int, workers: int = WORKERS, *, of_creates: bool = True) -> list[float]:
    """The moments of `count` starts of several workers, of creates, or of reads."""
    starts: list[float] = []
    remaining = iter(range(count))

    async def worker() -> None:
        for _ in remaining:
            starts.append(await pace.start(unless_halted=of_creates))
            await asyncio.sleep(0.001)

    await asyncio.gather(*(worker() for _ in range(workers)))
    return starts


def max_starts_within(starts: list[float], window: float) -> int:
    """The highest number of starts in any window of so many seconds."""
    highest, inside = 0, deque[float]()
    for start in starts:
        inside.append(start)
        while inside[0] <= start - window:
            inside.popleft()
        highest = max(highest, len(inside))
    return highest


def median_gap(starts: list[float]) -> float:
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(starts))
    return gaps[len(gaps) // 2]


@settings(max_examples=12)
@given(rate=st.sampled_from((20, 50, 100, 300, 1000)), workers=st.sampled_from((1, 3, 20)), of_creates=st.booleans())
def test_in_real_time_no_window_has_more_starts_than_the_rate_allows_plus_one(
    rate: int, workers: int, of_creates: bool
) -> None:
    """In a second and in parts of one, where starts may also make up for one that was late."""
    count = max(4, int(rate * 0.35))
    starts = asyncio.run(starts_of(Pace(rate), count, workers, of_creates=of_creates))
    assert starts == sorted(starts)
    assert len(starts) == count
    assert max_starts_within(starts, 1.0) <= rate + 1
    for window in (0.1, 0.2):
        assert max_starts_within(starts, window) <= rate * (window + MAX_LATENESS) + 1


@pytest.mark.parametrize("rate", [0.2, 1, 5, 50, 500, 1_500])
@pytest.mark.parametrize("max_lateness", [0.0, 0.002, 0.02, 1.0])
@pytest.mark.parametrize("of_creates", [True, False])
def test_no_second_has_more_starts_than_the_rate_plus_one_even_if_timers_are_late(
    clock: Clock, rate: float, max_lateness: float, of_creates: bool
) -> None:
    generator = random.Random(1)

    async def work() -> None:
        starts = await starts_of(Pace(rate), int(20 * rate) + 20, of_creates=of_creates)
        assert max_starts_within(starts, 1.0) <= rate + 1
        assert max_starts_within(starts, 10.0) <= 10 * rate + 1

    drive(clock, work(), lambda: generator.uniform(0, max_lateness))


@pytest.mark.parametrize("rate", [1, 5, 50, 500, 1_500])
def test_at_least_99_percent_of_the_rate_is_used_even_if_timers_are_late(clock: Clock, rate: int) -> None:
    generator = random.Random(1)

    async def work() -> None:
        starts = await starts_of(Pace(rate), 20 * rate)
        assert (len(starts) - 1) / (starts[-1] - starts[0]) >= 0.99 * rate

    drive(clock, work(), lambda: generator.uniform(0, 0.002))


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


def test_no_burst_follows_an_idle_period(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(10)
        await starts_of(pace, 10)
        await asyncio.sleep(60)
        clock.now += 3.0  # the whole process is delayed, as on an overloaded machine
        starts = await starts_of(pace, 30)
        assert max_starts_within(starts, 1.0) <= 11
        assert max_starts_within(starts, 0.2) <= 3

    drive(clock, work())


def test_without_a_rate_no_caller_waits(clock: Clock) -> None:
    async def work() -> None:
        pace, began = Pace(None), clock.now
        for _ in range(1_000):
            assert await pace.start() == began

    drive(clock, work())


@pytest.mark.parametrize(("retry_after", "waited"), [(7.0, 7.0), (0.0, 0.0), (-5.0, 0.0), (1e9, MAX_RETRY_AFTER)])
def test_a_pause_of_the_requested_length_holds_all_callers(clock: Clock, retry_after: float, waited: float) -> None:
    async def work() -> None:
        pace = Pace(None)
        pace.slow_down(clock.now, retry_after)
        until = clock.now + waited
        assert min(await asyncio.gather(*(pace.start() for _ in range(WORKERS)))) >= until
        assert clock.now < until + 0.1

    drive(clock, work())


def test_a_pause_also_holds_callers_that_already_wait(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(5)
        task = asyncio.create_task(starts_of(pace, 4, 4))
        await asyncio.sleep(0.1)
        paused = clock.now
        pace.pause(0.5)
        pace.pause(0.01)  # a shorter one does not end it
        first, *later = await task
        assert first < paused
        assert min(later) >= paused + 0.5

    drive(clock, work())


def test_a_429_without_retry_after_lowers_the_rate_which_then_recovers(clock: Clock) -> None:
    """Right after refusals the gaps are longer; after some time without a refusal they are as before."""

    async def work() -> None:
        pace = Pace(100)
        usual = median_gap(await starts_of(pace, 20))
        for _ in range(3):
            pace.slow_down(await pace.start(), None)
            pace.record_accepted(await pace.start())
        assert pace.throttled == 3
        assert median_gap(await starts_of(pace, 10)) > 1.2 * usual
        await starts_of(pace, 3_000)
        assert median_gap(await starts_of(pace, 20)) == pytest.approx(usual)

    drive(clock, work())


def test_simultaneous_refusals_count_once(clock: Clock) -> None:
    async def starts_after(refusals: int) -> list[float]:
        pace = Pace(100)
        started = [await pace.start() for _ in range(WORKERS)]
        for at in started[:refusals]:
            pace.slow_down(at, None)
        return [at - started[-1] for at in await starts_of(pace, 50)]

    async def work() -> None:
        assert await starts_after(WORKERS) == pytest.approx(await starts_after(1))

    drive(clock, work())


def test_a_start_is_near_just_before_it_and_no_create_starts_after_a_halt(clock: Clock) -> None:
    async def work() -> None:
        pace = Pace(2)
        for _ in range(5):
            assert await pace.near_start() == 1
            near_at = clock.now
            assert await pace.start(unless_halted=True) - near_at <= 0.06
        pace.pause(30)
        assert pace.is_paused
        waiting = [asyncio.create_task(pace.near_start()), asyncio.create_task(pace.start(unless_halted=True))]
        await asyncio.sleep(1)
        pace.halt()
        assert {type(result) for result in await asyncio.gather(*waiting, return_exceptions=True)} == {NotSent}
        await pace.start()  # reads continue
        assert not pace.is_paused

    drive(clock, work())


@given(rate=st.sampled_from((1, 5, 20, 50, 100, 333, 1000, None)), waiting=st.integers(0, 30))
def test_only_starts_within_moments_are_near(rate: int | None, waiting: int) -> None:
    """Requests that wait for their start already come first."""

    async def work(clock: Clock) -> None:
        pace = Pace(rate)
        await pace.start()
        tasks = [asyncio.create_task(pace.start()) for _ in range(waiting)]
        await asyncio.sleep(0)
        count = await pace.near_start()
        near_at = clock.now
        if rate is None:
            assert count == math.inf
            return
        starts = [await pace.start() for _ in range(int(count))]
        await asyncio.gather(*tasks)
        assert starts[-1] - near_at <= LEAD + 0.001
        assert await pace.start() - near_at > LEAD - MAX_LATENESS - 0.001, "all of them are counted"

    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr("time.monotonic", clock)
        drive(clock, work(clock))


def test_a_halt_ends_the_wait_of_all_callers_at_once(clock: Clock) -> None:
    """Of the caller that waits for its time, and of those that wait for the lock."""

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


def test_a_request_that_may_have_arrived_late_is_allowed_for_once(clock: Clock) -> None:
    """A slow response postpones the next start by the possible delay of its request; several do not add up."""

    async def work() -> None:
        pace = Pace(1)
        first = await pace.start()
        for _ in range(2):
            pace.record_accepted(first)
        for _ in range(3):
            pace.record_accepted(clock.now - 0.5)
        assert await pace.start() - first == pytest.approx(1 / MARGIN - MAX_LATENESS + MAX_DELAY)

    drive(clock, work())


def test_the_status_says_how_long_a_pause_lasts_and_who_asked_for_it(clock: Clock) -> None:
    pace = Pace(50)
    assert pace.status == (50, False, 0.0, False)
    pace.slow_down(clock.now, retry_after=20.0)
    clock.now += 5
    assert pace.status == (50, False, 15.0, True)
    clock.now += 15
    assert pace.status == (50, False, 0.0, False)


def test_the_status_shows_a_lowered_rate_until_it_is_the_maximum_again(clock: Clock) -> None:
    pace = Pace(50)
    clock.now += 1
    pace.slow_down(clock.now, retry_after=None)
    status = pace.status
    assert (status.is_lowered, status.is_requested) == (True, False)
    assert status.rate is not None
    assert 0 < status.rate < 50
    assert 0 < status.pause < 1
    clock.now += 3_600
    assert pace.status.rate == 50  # reading it changes nothing
    assert pace.status.is_lowered

    async def one_start() -> None:
        await pace.start()

    drive(clock, one_start())
    assert pace.status == (50, False, 0.0, False)
    assert Pace(None).status == (None, False, 0.0, False)
