"""`python -m tests.benchmarks`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import click

from tests.benchmarks.scale import FULL, SMALL, Scale
from tests.benchmarks.table import Measurement, Skipped, as_markdown, as_text

BENCHMARKS = {  # name → module, which is imported when it is run: the memory of this process counts for its children
    "rows": "rows",
    "pacing": "pacing",
    "limit": "limit",
    "memory": "memory",
    "workbooks": "workbooks",
    "large": "large_files",
    "near": "near_misses",
    "unchanged": "unchanged",
    "start": "start",
    "requests": "requests_sent",
    "frugality": "frugality",
    "python": "python_api",
    "history": "history",
    "page": "page",
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*BENCHMARKS]))
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table as Markdown to this file too."
)
@click.option("--small", is_flag=True, help="Run in seconds; the figures are meaningless.")
def main(names: tuple[str, ...], markdown: Path | None, small: bool) -> None:
    """Run all benchmarks, or those named."""
    measurements: list[Measurement] = []
    for name in names or BENCHMARKS:
        click.echo(f"measuring {name} …", err=True)
        began = time.monotonic()
        measurements.extend(measure(name, SMALL if small else FULL))
        click.echo(f"  {time.monotonic() - began:.0f} s", err=True)
    click.echo(as_text(measurements))
    if markdown is not None:
        markdown.write_text(as_markdown(measurements), encoding="utf-8")


def measure(name: str, scale: Scale) -> list[Measurement]:
    """Run one benchmark; if it cannot be run here, the only measurement is the reason."""
    with tempfile.TemporaryDirectory(prefix="bulkload-benchmark-") as folder:
        try:
            return list(measurements_of(name, scale, Path(folder)))
        except Skipped as reason:
            return [Measurement(measure=name, ours=f"skipped: {reason}")]


def measurements_of(name: str, scale: Scale, folder: Path) -> Iterable[Measurement]:
    """The measurements of one benchmark. Raises `Skipped` if it cannot be run here."""
    measurements: Iterable[Measurement] = import_module(f"tests.benchmarks.{BENCHMARKS[name]}").measure(scale, folder)
    return measurements


if __name__ == "__main__":
    main()
