"""The summary sheet of the workbook.

In: a sheet to fill and the run. Out: the counts by status with their colours and a chart, then the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkload.files.printable import one_line
from bulkload.files.xlsx import write_text
from bulkload.model import RunInfo
from bulkload.reports.palette import PALETTE
from bulkload.reports.summary import headline, outcomes, sections

_WIDTHS = (26, 14, 10, 62)  # columns A to D, in characters
_FACT_LIMIT = 2_000  # characters; a fact is a line or two
_CHART_ROW_PIXELS = 30  # height of a bar with its gap
_CHART_FRAME_PIXELS = 40


def write_summary(book: Any, sheet: Any, run: RunInfo, *, notes: Sequence[str]) -> None:
    """Fill the sheet from top to bottom."""
    title = book.add_format({"bold": True, "font_size": 16, "valign": "vcenter"})
    lead = book.add_format({"font_size": 11, "font_color": "#444444"})
    heading = book.add_format({"bold": True, "font_size": 12, "bottom": 1, "bottom_color": "#9AA0A6"})
    heading_right = book.add_format(
        {"bold": True, "font_size": 12, "bottom": 1, "bottom_color": "#9AA0A6", "align": "right"}
    )
    label = book.add_format({"font_color": "#555555", "valign": "top"})
    value = book.add_format({"num_format": "@", "text_wrap": True, "valign": "top", "align": "left"})
    warning = book.add_format({"bold": True, "font_color": "#A3193F", "text_wrap": True, "valign": "top"})
    total = book.add_format({"bold": True, "top": 1, "num_format": "#,##0"})

    for column, width in enumerate(_WIDTHS):
        sheet.set_column(column, column, width)
    sheet.hide_gridlines(2)
    sheet.set_portrait()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)

    sheet.set_row(0, 28)
    sheet.write_string(0, 0, "Results", title)
    sheet.write_string(1, 0, headline(run), lead)
    at = 2
    if run.stopped:
        sheet.merge_range(at, 0, at, 3, "", warning)
        write_text(sheet, at, 0, _fact(f"Stopped early: {run.stopped}"), warning)
        sheet.set_row(at, 32)
        at += 1

    at += 1
    for column, (text, look) in enumerate(
        [("Status", heading), ("Rows", heading_right), ("Share", heading_right), ("   Next step", heading)]
    ):
        sheet.write_string(at, column, text, look)
    first = at + 1
    found = outcomes(run)
    for at, (status, n) in enumerate(found, start=first):
        colours = PALETTE[status]
        look = {"bg_color": colours.fill, "font_color": colours.ink}
        chip = look | {"bold": True, "left": 5, "left_color": colours.strong}
        sheet.write_string(at, 0, status.value, book.add_format(chip | {"indent": 1}))
        sheet.write_number(at, 1, n, book.add_format(look | {"num_format": "#,##0"}))
        sheet.write_number(at, 2, n / run.rows, book.add_format(look | {"num_format": "0.0%"}))
        sheet.write_string(at, 3, status.next_step, book.add_format(look | {"indent": 1}))
    at = first + len(found)
    for column in (0, 2, 3):
        sheet.write_blank(at, column, None, total)
    sheet.write_string(at, 0, "Rows", total)
    sheet.write_number(at, 1, run.rows, total)
    at += 2

    if found:
        chart = _chart(book, sheet, found, first)
        height = _CHART_FRAME_PIXELS + _CHART_ROW_PIXELS * len(found)
        chart.set_size({"width": 800, "height": height})
        sheet.insert_chart(at, 0, chart, {"x_offset": 2, "description": headline(run)})
        at += height // 20 + 2  # a row is 20 pixels high

    if notes:
        sheet.write_string(at, 0, "Worth knowing", heading)
        for column in (1, 2, 3):
            sheet.write_blank(at, column, None, heading)
        at += 1
        for note in notes:
            sheet.merge_range(at, 0, at, 3, "", value)
            sheet.write_string(at, 0, note, value)
            sheet.set_row(at, 32)
            at += 1
        at += 1

    for section in sections(run):
        sheet.write_string(at, 0, section.title, heading)
        for column in (1, 2, 3):
            sheet.write_blank(at, column, None, heading)
        at += 1
        for name, text in section.facts:
            write_text(sheet, at, 0, _fact(name), label)
            sheet.merge_range(at, 1, at, 3, "", value)
            write_text(sheet, at, 1, _fact(text), value)
            at += 1
        at += 1


def _chart(book: Any, sheet: Any, found: Sequence[Any], first: int) -> Any:
    """Draw the outcome as bars in the colours of the statuses."""
    last = first + len(found) - 1
    chart = book.add_chart({"type": "bar"})
    chart.add_series(
        {
            "name": "Rows",
            "categories": [sheet.name, first, 0, last, 0],
            "values": [sheet.name, first, 1, last, 1],
            "points": [{"fill": {"color": PALETTE[status].strong}} for status, _ in found],
            "data_labels": {"value": True, "num_format": "#,##0"},
            "gap": 40,
        }
    )
    chart.set_title({"none": True})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "line": {"none": True}, "major_tick_mark": "none"})
    chart.set_x_axis({"visible": False, "min": 0, "major_gridlines": {"visible": False}})
    chart.set_chartarea({"border": {"none": True}})
    return chart


def _fact(text: str) -> str:
    """Keep a fact to a readable length, on one line and free of control characters."""
    line = one_line(text)
    return line if len(line) <= _FACT_LIMIT else line[: _FACT_LIMIT - 1] + "…"
