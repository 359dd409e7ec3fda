"""What many scripts do about a limit: a fixed rate, and every refused request tried again by itself.

python -m tests.benchmarks.programs.fixed_rate URL ROWS RATE WORKERS
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterator

import aiohttp
from aiolimiter import AsyncLimiter

from tests.benchmarks.inputs import bodies

FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 8.0  # seconds


async def main(url: str, count: int, rate: float, workers: int) -> None:
    """Post all bodies, each until it is taken."""
    headers = {"Authorization": "Bearer stub", "Content-Type": "application/json"}
    limiter = AsyncLimiter(1, 1 / rate)

    async def worker(todo: Iterator[tuple[str, bytes]]) -> None:
        for kind, body in todo:
            back_off = FIRST_BACK_OFF
            while True:
                await limiter.acquire()
                async with session.post(f"{url}/monitors/{kind}", data=body) as response:
                    await response.read()
                    if response.status != 429:
                        break
                await asyncio.sleep(back_off * random.uniform(0.5, 1.5))
                back_off = min(2 * back_off, LONGEST_BACK_OFF)

    async with aiohttp.ClientSession(headers=headers) as session:
        todo = bodies(count)
        await asyncio.gather(*(worker(todo) for _ in range(workers)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
