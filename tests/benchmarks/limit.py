"""A server whose rate limit is unknown: the share of it that is used, and the share of refused requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import inputs
from tests.benchmarks.nginx import Stub, run_stub
from tests.benchmarks.processes import BULKLOAD, account_env, program_command, require, run_process
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement

LIMIT = 30  # requests per second that the server accepts
RATE = 200  # requests per second that the client is configured for
WORKERS = 10
MIN_SHARE = 0.90  # of the limit
MAX_REFUSED = 0.03  # of all requests


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Send the same rows with bulkload, and at a fixed rate with retries of refused requests."""
    require("aiolimiter")
    sheet = inputs.write_csv(folder / "limited.csv", scale.limited_rows)
    with run_stub(folder / "ours", limit=LIMIT, logged=True) as server:
        files = ("--output", str(folder / "output"), "--results", str(folder / "results.csv"))
        speed = ("--rate", str(RATE), "--concurrency", str(WORKERS))
        run_process((*BULKLOAD, "run", str(sheet), *speed, *files), env=account_env(server.base_url))
        share, refused = _shares(server)
    with run_stub(folder / "peer", limit=LIMIT, logged=True) as server:
        run_process(program_command("fixed_rate", server.base_url, scale.limited_rows, RATE, WORKERS))
        their_share, their_refused = _shares(server)
    yield Measurement(
        measure=f"unknown limit of {LIMIT}/s, told {RATE}/s",
        ours=f"{share:.1%} of the limit, {refused:.1%} refused",
        peer=f"fixed {RATE}/s, each request retried",
        theirs=f"{their_share:.1%} of the limit, {their_refused:.1%} refused",
        ratio=f"{share / their_share:.2f}",
        aim=f"≥ {MIN_SHARE:.0%}, < {MAX_REFUSED:.0%} refused",
        met=share >= MIN_SHARE and refused < MAX_REFUSED,
    )


def _shares(server: Stub) -> tuple[float, float]:
    """The used share of the limit, and the refused share of the requests, from the log of the server."""
    responses = server.creates()
    accepted = [at for at, status in responses if status == 200]
    refused = sum(status == 429 for _, status in responses)
    return (len(accepted) - 1) / (accepted[-1] - accepted[0]) / LIMIT, refused / len(responses)
