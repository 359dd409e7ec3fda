"""`python -m tests.benchmarks`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from tests.benchmarks import frugality, limit, memory, pacing, requests_sent, rows, start, workbooks
from tests.benchmarks.scale import FULL, SMALL, Scale
from tests.benchmarks.table import Line, Skipped, as_markdown, as_text

MEASURES: dict[str, Callable[[Scale, Path], Iterator[Line]]] = {
    "rows": rows.measure,
    "pacing": pacing.measure,
    "limit": limit.measure,
    "memory": memory.measure,
    "workbooks": workbooks.measure,
    "start": start.measure,
    "requests": requests_sent.measure,
    "frugality": frugality.measure,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(MEASURES)))
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table there as well.")
@click.option("--small", is_flag=True, help="The small form, whose figures mean nothing.")
def main(names: tuple[str, ...], markdown: Path | None, small: bool) -> None:
    """Measure bulkload beside its peers: all of it, or the measures that are named."""
    lines: list[Line] = []
    for name in names or MEASURES:
        click.echo(f"measuring {name} …", err=True)
        lines.extend(taken(name, SMALL if small else FULL))
    click.echo(as_text(lines))
    if markdown is not None:
        markdown.write_text(as_markdown(lines), encoding="utf-8")


def taken(name: str, scale: Scale) -> list[Line]:
    """Take one measure; where that cannot be done, the line says why."""
    with tempfile.TemporaryDirectory(prefix="bulkload-benchmark-") as folder:
        try:
            return list(MEASURES[name](scale, Path(folder)))
        except Skipped as reason:
            return [Line(measure=name, ours=f"skipped: {reason}")]


if __name__ == "__main__":
    main()
