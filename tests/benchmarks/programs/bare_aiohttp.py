"""A loop of aiohttp workers that sends the same bodies, without checks, store or results.

python -m tests.benchmarks.programs.bare_aiohttp URL ROWS WORKERS [uvloop]
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import aiohttp

from tests.benchmarks.inputs import request_bodies


async def main(url: str, count: int, workers: int) -> None:
    """Post all bodies and read each response."""
    headers = {"Authorization": "Bearer stub", "Content-Type": "application/json"}

    async def worker(todo: Iterator[tuple[str, bytes]]) -> None:
        for monitor_type, body in todo:
            async with session.post(f"{url}/monitors/{monitor_type}", data=body) as response:
                response.raise_for_status()
                (await response.json())["id"]

    async with aiohttp.ClientSession(headers=headers) as session:
        todo = request_bodies(count)
        await asyncio.gather(*(worker(todo) for _ in range(workers)))


if __name__ == "__main__":
    factory = None
    if sys.argv[4:] == ["uvloop"]:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
