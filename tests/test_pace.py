"""No burst, no second too full, one pause for everybody, and a way back up after refusals. In real time, but short."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.errors import NotSent
from bulkload.pace import LATENESS, MOST_LATE, Pace


async def _starts(pace: Pace, number: int, workers: int, *, ready: bool = True, busy: float = 0.0) -> list[float]:
    """Let workers take some starts; `busy` seconds go by in each before it asks again."""
    starts: list[float] = []
    left = iter(range(number))

    async def get_ready() -> None:
        await asyncio.sleep(0)

    async def work() -> None:
        for _ in left:
            starts.append(await pace.start(get_ready if ready else None))
            await asyncio.sleep(busy)

    await asyncio.gather(*(work() for _ in range(workers)))
    return starts


def _fullest(starts: list[float], window: float) -> int:
    """The most starts in any window."""
    return max(sum(start <= other < start + window for other in starts) for start in starts)


@settings(max_examples=12, deadline=None)
@given(
    rate=st.sampled_from((20, 50, 100, 300, 1000)),
    workers=st.sampled_from((1, 3, 20)),
    ready=st.booleans(),
    busy=st.sampled_from((0.0, 0.005)),
)
def test_in_no_window_start_more_than_the_rate_allows_plus_one(
    rate: int, workers: int, ready: bool, busy: float
) -> None:
    """In no second; and a part of one holds its part, but for starts that make up for one that was late."""
    number = max(4, int(rate * 0.35))
    starts = asyncio.run(_starts(Pace(rate), number, workers, ready=ready, busy=busy))
    assert starts == sorted(starts)
    assert len(starts) == number
    assert _fullest(starts, 1.0) <= rate + 1
    for window in (0.1, 0.2):
        assert _fullest(starts, window) <= rate * (window + LATENESS) + 1


async def test_the_full_second_holds_no_more_than_the_rate_plus_one() -> None:
    starts = await _starts(Pace(200), 300, 10)
    assert _fullest(starts, 1.0) <= 201


async def test_no_burst_follows_a_quiet_time() -> None:
    pace = Pace(50)
    await _starts(pace, 3, 1)
    time.sleep(0.3)  # noqa: ASYNC251  the whole process is held up, as on a machine that has too much to do
    starts = await _starts(pace, 10, 5)
    assert _fullest(starts, 0.1) <= 0.1 * 50 + 1


async def test_without_a_rate_nobody_waits() -> None:
    began = time.monotonic()
    assert len(await _starts(Pace(None), 2000, 10)) == 2000
    assert time.monotonic() - began < 5


async def test_one_pause_holds_everybody_and_ends_for_everybody() -> None:
    pace = Pace(1000)
    await _starts(pace, 5, 5)
    paused = time.monotonic()
    pace.pause(0.3)
    starts = await _starts(pace, 20, 10)
    assert min(starts) >= paused + 0.3


async def test_a_pause_that_comes_while_workers_wait_holds_them_too() -> None:
    pace = Pace(5)
    task = asyncio.create_task(_starts(pace, 4, 4))
    while not pace._ready:
        await asyncio.sleep(0)
    paused = time.monotonic()
    pace.pause(0.5)
    starts = await task
    assert [start for start in starts if start > paused + 0.01] == [start for start in starts if start >= paused + 0.5]


async def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    pace = Pace(1000)
    paused = time.monotonic()
    pace.pause(0.3)
    pace.pause(0.01)
    assert await pace.start() >= paused + 0.3


async def test_a_retry_after_is_waited_for_by_everybody() -> None:
    pace = Pace(1000)
    (started,) = await _starts(pace, 1, 1)
    refused = time.monotonic()
    pace.slow_down(started, 0.3)
    assert min(await _starts(pace, 10, 5)) >= refused + 0.3
    assert pace.throttled == 1


def _gaps(starts: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(starts)]


async def test_a_refusal_without_a_time_slows_everybody_down_and_speed_comes_back() -> None:
    """Right after refusals the gaps are wider; with time and no refusal they become what they were."""
    pace = Pace(100)
    usual = sorted(_gaps(await _starts(pace, 20, 2)))[10]
    for _ in range(3):
        pace.slow_down(await pace.start(), None)
        pace.taken(await pace.start())
    slow = sorted(_gaps(await _starts(pace, 10, 2)))[5]
    assert slow > 1.2 * usual
    again = await asyncio.wait_for(_fast_again(pace, 1.15 * usual), 60)
    assert again


async def _fast_again(pace: Pace, gap: float) -> bool:
    while sorted(_gaps(await _starts(pace, 20, 2)))[10] > gap:
        await asyncio.sleep(0)
    return True


async def test_a_wave_of_refusals_of_the_same_moment_counts_once() -> None:
    one, many = Pace(100), Pace(100)
    started = [await pace.start() for pace in (one, many)]
    one.slow_down(started[0], None)
    for _ in range(10):
        many.slow_down(started[1], None)
    assert many.throttled == 10
    gaps = [_gaps(await _starts(pace, 8, 2)) for pace in (one, many)]
    assert sorted(gaps[1])[3] < 1.5 * sorted(gaps[0])[3]


async def test_a_halt_sends_away_those_who_wait_with_something_to_get_ready() -> None:
    pace = Pace(1)
    await pace.start()
    tasks = [asyncio.create_task(_starts(pace, 1, 1)) for _ in range(5)]
    while not pace._gate.locked() and not pace._ready:
        await asyncio.sleep(0)
    began = time.monotonic()
    pace.halt()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {NotSent}
    assert time.monotonic() - began < 0.9, "they must not wait for their turn"


async def test_after_a_halt_looking_things_up_goes_on() -> None:
    pace = Pace(100)
    pace.halt()
    assert await pace.start() > 0
    with pytest.raises(NotSent):
        await _starts(pace, 3, 1)


async def test_nobody_who_is_not_about_to_start_gets_ready() -> None:
    """A mark must not be written long before its request leaves."""
    pace = Pace(4)
    ready_at: list[float] = []

    async def get_ready() -> None:
        ready_at.append(time.monotonic())

    starts = await asyncio.gather(*(pace.start(get_ready) for _ in range(4)))
    assert all(start - ready < 0.25 for ready, start in zip(sorted(ready_at), sorted(starts), strict=True))


async def test_a_failure_while_getting_ready_takes_no_start() -> None:
    pace = Pace(2)

    async def fail() -> None:
        raise RuntimeError

    await pace.start()
    with pytest.raises(RuntimeError):
        await pace.start(fail)
    began = time.monotonic()
    assert await pace.start() - began < 0.6


async def test_what_may_have_arrived_late_is_allowed_for_once() -> None:
    """A slow answer puts the next start off by as much as its request may have been late; more do not add up."""
    pace = Pace(1)
    now = await pace.start()
    for _ in range(2):
        pace.taken(now)
    due = pace._next
    for _ in range(3):
        pace.taken(time.monotonic() - 0.5)
    assert pace._next - due == pytest.approx(MOST_LATE)
