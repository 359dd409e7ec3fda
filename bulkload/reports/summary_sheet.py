"""Write the summary worksheet of the results workbook.

In: an empty worksheet, and the run. Out: the counts by status with their colours and a chart, notes, and facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bulkload.files.printable import one_line
from bulkload.files.xlsx import write_text
from bulkload.model import RunInfo, Status
from bulkload.reports.palette import PALETTE
from bulkload.reports.summary import headline, sections, status_counts

_WIDTHS = (26, 14, 10, 62)  # columns A to D, in characters
_LONGEST_FACT = 2_000  # characters
_CHART_BAR_PIXELS = 30  # height of a bar with its gap
_CHART_FRAME_PIXELS = 40


def write_summary(workbook: Any, worksheet: Any, run: RunInfo, *, notes: Sequence[str]) -> None:
    """Fill the worksheet from top to bottom."""
    title = workbook.add_format({"bold": True, "font_size": 16, "valign": "vcenter"})
    lead = workbook.add_format({"font_size": 11, "font_color": "#444444"})
    heading = workbook.add_format({"bold": True, "font_size": 12, "bottom": 1, "bottom_color": "#9AA0A6"})
    heading_right = workbook.add_format(
        {"bold": True, "font_size": 12, "bottom": 1, "bottom_color": "#9AA0A6", "align": "right"}
    )
    label = workbook.add_format({"font_color": "#555555", "valign": "top"})
    value = workbook.add_format({"num_format": "@", "text_wrap": True, "valign": "top", "align": "left"})
    warning = workbook.add_format({"bold": True, "font_color": "#A3193F", "text_wrap": True, "valign": "top"})
    total = workbook.add_format({"bold": True, "top": 1, "num_format": "#,##0"})

    for column, width in enumerate(_WIDTHS):
        worksheet.set_column(column, column, width)
    worksheet.hide_gridlines(2)
    worksheet.set_portrait()
    worksheet.set_paper(9)  # A4
    worksheet.fit_to_pages(1, 0)

    worksheet.set_row(0, 28)
    worksheet.write_string(0, 0, "Results", title)
    worksheet.write_string(1, 0, headline(run), lead)
    row = 2
    if run.stopped:
        worksheet.merge_range(row, 0, row, 3, "", warning)
        write_text(worksheet, row, 0, _fact(f"Stopped early: {run.stopped}"), warning)
        worksheet.set_row(row, 32)
        row += 1

    row += 1
    for column, (text, style) in enumerate(
        [("Status", heading), ("Rows", heading_right), ("Share", heading_right), ("   Next step", heading)]
    ):
        worksheet.write_string(row, column, text, style)
    first = row + 1
    counts = status_counts(run)
    for row, (status, count) in enumerate(counts, start=first):
        colours = PALETTE[status]
        style = {"bg_color": colours.fill, "font_color": colours.ink}
        status_style = style | {"bold": True, "left": 5, "left_color": colours.strong}
        worksheet.write_string(row, 0, status.value, workbook.add_format(status_style | {"indent": 1}))
        worksheet.write_number(row, 1, count, workbook.add_format(style | {"num_format": "#,##0"}))
        worksheet.write_number(row, 2, count / run.rows, workbook.add_format(style | {"num_format": "0.0%"}))
        worksheet.write_string(row, 3, status.next_step, workbook.add_format(style | {"indent": 1}))
    row = first + len(counts)
    for column in (0, 2, 3):
        worksheet.write_blank(row, column, None, total)
    worksheet.write_string(row, 0, "Rows", total)
    worksheet.write_number(row, 1, run.rows, total)
    row += 2

    if counts:
        chart = _chart(workbook, worksheet, counts, first)
        height = _CHART_FRAME_PIXELS + _CHART_BAR_PIXELS * len(counts)
        chart.set_size({"width": 800, "height": height})
        worksheet.insert_chart(row, 0, chart, {"x_offset": 2, "description": headline(run)})
        row += height // 20 + 2  # a row is 20 pixels high

    if notes:
        worksheet.write_string(row, 0, "Notes", heading)
        for column in (1, 2, 3):
            worksheet.write_blank(row, column, None, heading)
        row += 1
        for note in notes:
            worksheet.merge_range(row, 0, row, 3, "", value)
            worksheet.write_string(row, 0, note, value)
            worksheet.set_row(row, 32)
            row += 1
        row += 1

    for section in sections(run):
        worksheet.write_string(row, 0, section.title, heading)
        for column in (1, 2, 3):
            worksheet.write_blank(row, column, None, heading)
        row += 1
        for name, text in section.facts:
            write_text(worksheet, row, 0, _fact(name), label)
            worksheet.merge_range(row, 1, row, 3, "", value)
            write_text(worksheet, row, 1, _fact(text), value)
            row += 1
        row += 1


def _chart(workbook: Any, worksheet: Any, counts: Sequence[tuple[Status, int]], first: int) -> Any:
    """A bar chart of the counts, in the colours of the statuses."""
    last = first + len(counts) - 1
    chart = workbook.add_chart({"type": "bar"})
    chart.add_series(
        {
            "name": "Rows",
            "categories": [worksheet.name, first, 0, last, 0],
            "values": [worksheet.name, first, 1, last, 1],
            "points": [{"fill": {"color": PALETTE[status].strong}} for status, _ in counts],
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
    """Format a fact: on one line, without control characters, and not too long."""
    line = one_line(text)
    return line if len(line) <= _LONGEST_FACT else line[: _LONGEST_FACT - 1] + "…"
