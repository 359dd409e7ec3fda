"""A server whose limit the client was not told: how near it we come, and how many requests it has to refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.children import OURS, account, program, ran, require
from tests.benchmarks.nginx import Stub, stub
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Line

LIMIT = 30  # requests a second that the server takes
RATE = 200  # requests a second that the client was told
WORKERS = 10
LEAST_SHARE = 0.90  # of the limit
MOST_REFUSED = 0.03  # of all requests


def measure(scale: Scale, folder: Path) -> Iterator[Line]:
    """Send the same rows with ours and with a fixed rate that tries every refused request again."""
    require("aiolimiter")
    sheet = inputs.write_csv(folder / "limited.csv", scale.limited_rows)
    with stub(folder / "ours", limit=LIMIT, logged=True) as server:
        files = ("--output", str(folder / "output"), "--results", str(folder / "results.csv"))
        speed = ("--rate", str(RATE), "--concurrency", str(WORKERS))
        ran((*OURS, "run", str(sheet), *speed, *files), env=account(server.base_url))
        share, refused = _seen(server)
    with stub(folder / "peer", limit=LIMIT, logged=True) as server:
        ran(program("fixed_rate", server.base_url, scale.limited_rows, RATE, WORKERS))
        their_share, their_refused = _seen(server)
    yield Line(
        measure=f"unknown limit of {LIMIT}/s, told {RATE}/s",
        ours=f"{share:.1%} of the limit, {refused:.1%} refused",
        peer=f"fixed {RATE}/s, each request retried",
        theirs=f"{their_share:.1%} of the limit, {their_refused:.1%} refused",
        ratio=f"{share / their_share:.2f}",
        aim=f"≥ {LEAST_SHARE:.0%}, < {MOST_REFUSED:.0%} refused",
        met=share >= LEAST_SHARE and refused < MOST_REFUSED,
    )


def _seen(server: Stub) -> tuple[float, float]:
    """The share of the limit that was used, and the share of requests that were refused, from the server's log."""
    answers = server.creates()
    taken = [at for at, status in answers if status == 200]
    refused = sum(status == 429 for _, status in answers)
    return (len(taken) - 1) / (taken[-1] - taken[0]) / LIMIT, refused / len(answers)
