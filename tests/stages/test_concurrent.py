"""The same work for many things: several at a time, begun in order, and always brought to its end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.stages.concurrent import for_each


@given(steps=st.lists(st.integers(0, 3), max_size=30), most=st.integers(1, 8))
def test_all_work_is_done_at_most_some_of_it_at_a_time(steps: list[int], most: int) -> None:
    begun: list[int] = []
    active: set[int] = set()
    peaks: list[int] = []

    async def work(number: int) -> None:
        begun.append(number)
        active.add(number)
        peaks.append(len(active))
        for _ in range(steps[number]):
            await asyncio.sleep(0)
        active.remove(number)

    asyncio.run(for_each(range(len(steps)), work, most))
    assert begun == list(range(len(steps)))
    assert not active
    assert max(peaks, default=0) <= most


@given(
    number=st.integers(0, 12),
    failing=st.sets(st.integers(0, 11), min_size=1),
    most=st.integers(1, 6),
    stop=st.booleans(),
)
def test_after_an_error_or_a_stop_what_has_begun_ends_and_nothing_else_begins(
    number: int, failing: set[int], most: int, stop: bool
) -> None:
    begun: set[int] = set()
    ended: set[int] = set()
    stopped = asyncio.Event()

    async def work(index: int) -> None:
        assert not stopped.is_set()
        begun.add(index)
        await asyncio.sleep(0)
        ended.add(index)
        if index in failing:
            stopped.set()
            if not stop:
                raise ZeroDivisionError(index)

    async def main() -> None:
        await for_each(range(number), work, most, is_stopping=lambda: stop and stopped.is_set())

    expected = min((index for index in failing if index < number), default=None)
    if stop or expected is None:
        asyncio.run(main())
    else:
        with pytest.raises(ZeroDivisionError) as raised:
            asyncio.run(main())
        assert raised.value.args == (expected,)
    assert begun == ended
    assert len(begun) <= number if expected is None else len(begun) <= expected + most
