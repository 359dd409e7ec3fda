"""Do the same work for many things, several at a time.

In: things, and the work for one of them. Out: all work is done, or what stopped it is raised. Work that has begun is
not cancelled by the failure of other work, so what it changes is recorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def for_each(
    things: Iterable[T],
    work: Callable[[T], Awaitable[None]],
    most: int,
    *,
    is_stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Do the work for each thing, for at most `most` at a time; they are begun in order.

    Once `is_stopping` is true or some work raises, no more is begun. Of several errors, that of the first thing is
    raised.
    """
    waiting = iter(enumerate(things))
    errors: dict[int, Exception] = {}

    async def worker() -> None:
        while not errors and not is_stopping() and (taken := next(waiting, None)) is not None:
            index, thing = taken
            try:
                await work(thing)
            except Exception as error:
                errors[index] = error

    async with asyncio.TaskGroup() as group:
        for _ in range(most):
            group.create_task(worker())
    if errors:
        raise errors[min(errors)]
