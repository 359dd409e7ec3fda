"""Write results as one HTML page without scripts, other files or network requests.

In: the run and its rows, read once. Out: UTF-8 HTML, written as it is rendered, so that memory does not grow with the
rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.files.printable import printable
from bulkload.model import ReportRow, RunInfo, Status
from bulkload.reports.chart import CHART_WIDTH, percent, spans
from bulkload.reports.marks import Mark, columns_by_name, marks
from bulkload.reports.palette import PALETTE, Colours, css_class
from bulkload.reports.summary import headline, sections, status_counts

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE = "page.html"
_BUFFERED_CHUNKS = 500  # of the rendered page, written together
_PRINTED_COLUMNS = 5  # columns of the user that fit on paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One status in the chart."""

    status: Status
    css: str
    rows: int
    share: str
    x: float
    width: float
    colours: Colours


def write_page(path: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Write the page."""
    page = (
        templates()
        .get_template(_TEMPLATE)
        .stream(
            title=printable(Path(run.input).name or run.input),
            headline=headline(run),
            stopped=printable(run.stopped),
            bars=bars(run),
            chart_width=CHART_WIDTH,
            sections=[
                (section.title, [(printable(name), printable(text)) for name, text in section.facts])
                for section in sections(run)
            ],
            header=[printable(name) for name in run.header],
            printed_columns=_PRINTED_COLUMNS,
            total=f"{run.rows:,}",
            rows=_rows(run, rows),
        )
    )
    page.enable_buffering(_BUFFERED_CHUNKS)
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as stream:
        stream.writelines(page)


def templates() -> Environment:
    """The templates of this folder."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("bulkload.reports", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def bars(run: RunInfo) -> list[Bar]:
    """Divide the width of the chart among the statuses."""
    counts = status_counts(run)
    return [
        Bar(
            status=status,
            css=css_class(status),
            rows=count,
            share=percent(count, run.rows),
            x=x,
            width=width,
            colours=PALETTE[status],
        )
        for (status, count), (x, width) in zip(counts, spans([count for _, count in counts]), strict=True)
    ]


def _rows(run: RunInfo, rows: Iterable[ReportRow]) -> Iterator[Mapping[str, object]]:
    column_of = columns_by_name(run.header)
    css = {status: css_class(status) for status in Status}
    for row in rows:
        marked = marks(row, column_of) if row.issues or row.error_columns else {}
        whole_row = marked.pop(None, None)
        yield {
            "number": row.source_row,
            "css": css[row.status],
            "status": row.status.value,
            "monitor_id": printable(row.id_to_keep),
            "error": printable(row.error),
            "warnings": [printable(text) for text in (whole_row.sentences if whole_row else ())],
            "next_step": row.status.next_step,
            "attempts": row.attempts,
            "cells": _cells(row.cells, marked) if marked else [(printable(cell), "", "") for cell in row.cells],
        }


def _cells(cells: Sequence[str], marked: Mapping[int | None, Mark]) -> list[tuple[str, str, str]]:
    """Each cell with the CSS class and the sentences of its mark."""
    marked_cells = []
    for column, cell in enumerate(cells):
        mark = marked.get(column)
        if mark is None:
            marked_cells.append((printable(cell), "", ""))
        else:
            marked_cells.append((printable(cell), mark.severity, printable("\n".join(mark.sentences))))
    return marked_cells
