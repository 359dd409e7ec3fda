"""Tables and wrapped, coloured text on stdout: the only module that uses rich, which is imported when it is needed.

In: texts, which may contain anything. Out: lines on stdout, as wide as the terminal, or as `COLUMNS` says; a line for
each row if stdout is no terminal. Colours only on a terminal, and never with `NO_COLOR`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bulkload.cli.streams import CursorStream, DurableStream
from bulkload.files.printable import printable_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

UNLIMITED = 100_000  # columns, where nothing says how wide the output is


def console() -> Console:
    """A rich console on stdout that takes texts literally: no markup, no emoji codes, no guesses at numbers."""
    from rich.console import Console

    made = Console(file=sys.stdout, markup=False, emoji=False, highlight=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made = Console(file=sys.stdout, markup=False, emoji=False, highlight=False, width=UNLIMITED)
    return made


def show(*renderables: RenderableType) -> None:
    """Print what rich renders, without spaces at the ends of lines."""
    output = console()
    with output.capture() as capture:
        output.print(*renderables, sep="\n")
    text = "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    if isinstance(sys.stdout, DurableStream):
        CursorStream(sys.stdout).write(text)
    else:
        sys.stdout.write(text)


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> None:
    """Print a table; columns whose headings are in `right` are aligned to the right, those in `keep` never wrap."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(
            heading, justify="right" if heading in right else "left", overflow="fold", no_wrap=heading in keep
        )
    for row in rows:
        table.add_row(*(Text(printable_line(cell)) for cell in row))
    show(table)
