"""How long the server of the upload page takes for its pages, and for its health address while a large run goes on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.benchmarks.history import write_history
from tests.benchmarks.scale import Scale
from tests.benchmarks.table import Measurement
from tests.support.command_line import FAST_SETTINGS, PLAN
from tests.support.served import SERVE, Served
from tests.support.web_client import Answer, Visitor, csv_of

AIM = 0.1  # seconds, of the slowest request
EDITS = 50
HEADER = "type,name,hostname,billing_plancode,port,interval,locations,note,timeout,enabled"


def measure(scale: Scale, folder: Path) -> Iterator[Measurement]:
    """Load each page of a large draft and the others of a full folder, then begin a run."""
    runs, rows = scale.page_history
    write_history(folder / "output", runs, rows)
    server = Served.start(
        (*SERVE, "--sandbox"), folder, {**FAST_SETTINGS, "BULKLOAD_CONCURRENCY": "50"}, folder / "server"
    )
    try:
        yield from _measure_pages(scale, Visitor(server.address), f"{runs:,} runs of {rows:,} rows")
        yield from _measure_health(scale, Visitor(server.address))
    finally:
        server.stop()


def _measure_pages(scale: Scale, visitor: Visitor, history: str) -> Iterator[Measurement]:
    for number in range(scale.page_drafts - 1):
        visitor.draft(csv_of(100), f"draft {number}.csv")
    draft = visitor.draft(_file(scale.page_rows), "large.csv")
    count = f"{scale.page_rows:,} rows"
    pages = [f"{draft}?page={page}" for page in range(1, scale.page_rows // 50 + 1)]
    kinds = sorted({link for link in visitor.get(draft).html.links() if "kind=" in link})
    searches = [f"{draft}?q=mx{number}" for number in range(0, scale.page_rows, scale.page_rows // 20)]
    yield _timed(f"page of rows, draft of {count}, each page", visitor.get, pages)
    yield _timed(f"page of a kind of problem, draft of {count}", visitor.get, [*kinds, *(f"{k}&page=9" for k in kinds)])
    yield _timed(f"search in a draft of {count}", visitor.get, searches)

    def edit(number: str) -> Answer:
        return visitor.post(f"{draft}/edit", {"cell-12-1": f"edit {number}", "was-12-1": _name_of_edit(int(number))})

    yield _timed(f"edit of a cell, draft of {count}", edit, map(str, range(EDITS)))
    yield _timed(f"columns of a draft of {count}", visitor.get, [f"{draft}/columns"] * 20)
    run = visitor.run(draft)
    yield _timed(f"comparison of a draft of {count}", visitor.get, [f"{draft}/start?page={n}" for n in range(1, 21)])
    yield _timed(f"results of a run of {count}", visitor.get, [f"{run}?page={n}" for n in range(1, len(pages) + 1)])
    yield _timed(f"start page with {scale.page_drafts} drafts, {history}", visitor.get, ["/"] * 20)
    yield _timed(f"history of {history}", visitor.get, [f"/runs?page={n}" for n in range(1, 11)])


def _measure_health(scale: Scale, visitor: Visitor) -> Iterator[Measurement]:
    """Ask for the health address all the time that a run takes."""
    draft = visitor.draft(csv_of(scale.health_rows, "health"))
    job = visitor.begun(draft)

    def until_the_run_has_ended() -> Iterator[str]:
        while "Results<" not in visitor.follow(job).text:
            for _ in range(100):
                yield "/health"
                time.sleep(0.01)

    yield _timed(f"/health during a run of {scale.health_rows:,} rows", visitor.get, until_the_run_has_ended())


def _timed(measure: str, send: Callable[[str], Answer], addresses: Iterable[str]) -> Measurement:
    seconds = []
    for address in addresses:
        began = time.perf_counter()
        answer = send(address)
        seconds.append(time.perf_counter() - began)
        assert answer.status < 400, answer.shown
    return Measurement(
        measure=measure,
        ours=f"{statistics.median(seconds) * 1000:.1f} ms, at most {max(seconds) * 1000:.0f} ms",
        aim=f"≤ {AIM * 1000:.0f} ms",
        met=max(seconds) <= AIM,
    )


def _file(rows: int) -> bytes:
    """A file in which each tenth row has a wrong port, and each seventh a location that does not exist."""
    lines = (
        f"imap,m{n},mx{n}.example.com,{PLAN},{993 if n % 10 else 99_999},5,{'10;20' if n % 7 else 'x'},note {n},30,yes"
        for n in range(rows)
    )
    return "\n".join([HEADER, *lines, ""]).encode()


def _name_of_edit(number: int) -> str:
    return f"edit {number - 1}" if number else "m10"
