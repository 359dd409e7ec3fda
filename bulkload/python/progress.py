"""Show the progress of a call as its caller wants it.

In: `progress=True`, or a callable. Out: a function for `background`, which calls it in the caller's thread.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bulkload.errors import UsageError
from bulkload.python.background import OnTick, Watch

Progress = bool | Callable[[Mapping[str, int]], object]


@contextmanager
def reporting(progress: Progress) -> Iterator[OnTick]:
    """A function that reports what has changed since it was called before.

    A callable gets `{"done": rows that are final, "total": rows to send}`, from the moment when these are known.
    """
    if not callable(progress):
        if not isinstance(progress, bool):
            raise UsageError(f"progress is {progress!r}; True, False or a callable is allowed.")
        if progress:
            yield from _bar()
        else:
            yield lambda watch: None
        return
    if inspect.iscoroutinefunction(progress):
        raise UsageError("progress is a coroutine function; give a callable that returns when it is done.")
    last: Mapping[str, int] = {}

    def call(watch: Watch) -> None:
        nonlocal last
        if watch.total is not None and last != (counts := {"done": watch.done, "total": watch.total}):
            last = counts
            progress(counts)

    yield call


def _bar() -> Iterator[OnTick]:
    from tqdm.auto import tqdm

    bar: Any = None

    def show(watch: Watch) -> None:
        nonlocal bar
        if watch.total and bar is None:
            bar = tqdm(total=watch.total, unit="row", desc="Sending")
        if bar is not None and watch.done > bar.n:
            bar.update(watch.done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()
