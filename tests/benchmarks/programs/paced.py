"""Runs ten workers that start requests as often as a limiter allows; prints the times of the starts as JSON.

python -m tests.benchmarks.programs.paced ours|aiolimiter|pyrate-limiter RATE SECONDS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

WORKERS = 10
REQUEST_DURATION = 0.002  # seconds


async def main(name: str, rate: int, seconds: float) -> list[float]:
    """Start as often as allowed for some seconds, and return the times of the starts on the monotonic clock."""
    wait = LIMITERS[name](rate)
    starts: list[float] = []
    until = time.monotonic() + seconds

    async def worker() -> None:
        while time.monotonic() < until:
            await wait()
            starts.append(time.monotonic())
            await asyncio.sleep(REQUEST_DURATION)

    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return starts


def _ours(rate: int) -> Callable[[], Awaitable[object]]:
    from bulkload.alertsite.pacing import Pace

    return Pace(rate).start


def _aiolimiter(rate: int) -> Callable[[], Awaitable[object]]:
    from aiolimiter import AsyncLimiter

    return AsyncLimiter(rate, 1).acquire


def _pyrate_limiter(rate: int) -> Callable[[], Awaitable[object]]:
    from pyrate_limiter import Duration, Limiter, Rate

    limiter = Limiter(Rate(rate, Duration.SECOND))
    return lambda: limiter.try_acquire_async("account")


LIMITERS = {"ours": _ours, "aiolimiter": _aiolimiter, "pyrate-limiter": _pyrate_limiter}


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop that bulkload uses, for all limiters."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        sys.stdout.write(json.dumps(runner.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
