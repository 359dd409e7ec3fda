"""Print what is wrong with the rows of a file: each kind of problem once, with its rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bulkload.cli.output import print_line
from bulkload.reports.summary import number_of

if TYPE_CHECKING:
    from bulkload.reports.problems import Kind, Problems


def print_problems(problems: Problems, *, warnings: bool = True, more: str) -> None:
    """Print the kinds of problems, errors first; `more` says where the rows are that are not shown."""
    from bulkload.cli.tables import Block, print_blocks

    kinds = [kind for kind in problems.kinds() if kind.is_error or warnings]
    if kinds:
        print_blocks(
            [Block(heading=_heading(kind), is_error=kind.is_error, texts=list(_texts(kind, more))) for kind in kinds]
        )
        print_line("")


def _heading(kind: Kind) -> str:
    return f"{'' if kind.is_error else 'warning, '}{kind.label}: {number_of(kind.rows.count, 'row')}"


def _texts(kind: Kind, more: str) -> Iterator[tuple[str, str]]:
    yield from ((str(rows), message) for message, rows in kind.messages.items())
    if kind.others.count:
        yield "", f"… and {number_of(kind.others.count, 'more row')}{more}"
