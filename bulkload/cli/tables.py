"""Tables and wrapped, coloured text on stdout: the only module that uses rich, which is imported when it is needed.

In: texts, which may contain anything. Out: lines on stdout, as wide as the terminal, or as `COLUMNS` says; a line for
each row if stdout is no terminal. Colours as `--color` says: by default on a terminal, and never with `NO_COLOR`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bulkload.cli.streams import CursorStream, DurableStream
from bulkload.files.printable import printable_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SHORTENED = 18  # columns of a text that is cut on a terminal
UNLIMITED = 100_000  # columns, where nothing says how wide the output is

Color = Literal["auto", "always", "never"]
_color: Color = "auto"


def set_color(color: Color) -> None:
    """Say whether the output of this process has colours."""
    global _color
    _color = color


def console() -> Console:
    """A rich console on stdout that takes texts literally: no markup, no emoji codes, no guesses at numbers."""
    from rich.console import Console

    is_given = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return Console(
        file=sys.stdout,
        markup=False,
        emoji=False,
        highlight=False,
        width=shutil.get_terminal_size((UNLIMITED, 0)).columns if is_given else UNLIMITED,
        force_terminal={"auto": None, "always": True, "never": False}[_color],
        no_color=None if _color == "auto" else _color == "never",
    )


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
    shorten: Sequence[str] = (),
) -> None:
    """Print a table; columns whose headings are in `right` are aligned to the right, those in `keep` never wrap.

    Those in `shorten` are cut with an ellipsis on a narrow terminal, so that the others have room.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        is_cut = heading in shorten and sys.stdout.isatty()
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            overflow="ellipsis" if is_cut else "fold",
            no_wrap=heading in keep or is_cut,
            max_width=SHORTENED if is_cut else None,
        )
    for row in rows:
        table.add_row(*(Text(printable_line(cell)) for cell in row))
    show(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A heading, and texts below it, each with a mark on its left."""

    heading: str
    is_error: bool
    texts: Sequence[tuple[str, str]]  # mark, text


def print_blocks(blocks: Sequence[Block]) -> None:
    """Print blocks whose texts are aligned, and wrapped beside their marks."""
    from rich.table import Table
    from rich.text import Text

    width = max((len(mark) for block in blocks for mark, _ in block.texts), default=0)
    is_narrow = width * 3 > console().width
    renderables: list[RenderableType] = []
    for block in blocks:
        renderables.append(Text(printable_line(block.heading), style="bold red" if block.is_error else "bold yellow"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(width=0)
        table.add_column(min_width=0 if is_narrow else width, no_wrap=True)
        table.add_column(overflow="fold")
        for mark, text in block.texts:
            if is_narrow:
                mark, text = "", f"{mark}: {text}" if mark else text
            table.add_row("", Text(mark), Text(printable_line(text)))
        renderables.append(table)
    show(*renderables)
