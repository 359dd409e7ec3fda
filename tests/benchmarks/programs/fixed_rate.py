"""Sends at a fixed rate and retries each refused request separately, as many scripts do.

python -m tests.benchmarks.programs.fixed_rate URL ROWS RATE WORKERS
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterator

import aiohttp
from aiolimiter import AsyncLimiter

from tests.benchmarks.inputs import request_bodies

INITIAL_BACKOFF, MAX_BACKOFF = 0.5, 8.0  # seconds


async def main(url: str, count: int, rate: float, workers: int) -> None:
    """Post all bodies, and retry each until it is accepted."""
    headers = {"Authorization": "Bearer stub", "Content-Type": "application/json"}
    limiter = AsyncLimiter(1, 1 / rate)

    async def worker(todo: Iterator[tuple[str, bytes]]) -> None:
        for monitor_type, body in todo:
            backoff = INITIAL_BACKOFF
            while True:
                await limiter.acquire()
                async with session.post(f"{url}/monitors/{monitor_type}", data=body) as response:
                    await response.read()
                    if response.status != 429:
                        break
                await asyncio.sleep(backoff * random.uniform(0.5, 1.5))
                backoff = min(2 * backoff, MAX_BACKOFF)

    async with aiohttp.ClientSession(headers=headers) as session:
        todo = request_bodies(count)
        await asyncio.gather(*(worker(todo) for _ in range(workers)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
