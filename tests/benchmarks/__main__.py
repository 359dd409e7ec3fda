"""`python -m tests.benchmarks`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from tests.benchmarks import frugality, limit, memory, pacing, page, python_api, requests_sent, rows, start, workbooks
from tests.benchmarks.scale import FULL, SMALL, Scale
from tests.benchmarks.table import Measurement, Skipped, as_markdown, as_text

BENCHMARKS: dict[str, Callable[[Scale, Path], Iterator[Measurement]]] = {
    "rows": rows.measure,
    "pacing": pacing.measure,
    "limit": limit.measure,
    "memory": memory.measure,
    "workbooks": workbooks.measure,
    "start": start.measure,
    "requests": requests_sent.measure,
    "frugality": frugality.measure,
    "page": page.measure,
    "python": python_api.measure,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)))
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as Markdown to this file too."
)
@click.option("--small", is_flag=True, help="Run in seconds; the figures are meaningless.")
def main(names: tuple[str, ...], markdown: Path | None, small: bool) -> None:
    """Run all benchmarks, or those named."""
    measurements: list[Measurement] = []
    for name in names or BENCHMARKS:
        click.echo(f"measuring {name} …", err=True)
        measurements.extend(measure(name, SMALL if small else FULL))
    click.echo(as_text(measurements))
    if markdown is not None:
        markdown.write_text(as_markdown(measurements), encoding="utf-8")


def measure(name: str, scale: Scale) -> list[Measurement]:
    """Run one benchmark; if it cannot be run here, the only measurement is the reason."""
    with tempfile.TemporaryDirectory(prefix="bulkload-benchmark-") as folder:
        try:
            return list(BENCHMARKS[name](scale, Path(folder)))
        except Skipped as reason:
            return [Measurement(measure=name, ours=f"skipped: {reason}")]


if __name__ == "__main__":
    main()
