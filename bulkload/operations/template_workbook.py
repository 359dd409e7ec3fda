"""Build the template's workbook: a worksheet to fill in, and one that explains the columns.

In: the columns and the example rows. Out: the bytes of an .xlsx file with drop-down lists, comments and formats.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bulkload.monitors.fields import FIELDS, Field
from bulkload.monitors.other_languages import HEADERS as OTHER_HEADERS
from bulkload.monitors.other_languages import PUBLISHED_SWITCHES
from bulkload.protocols import MONITOR_TYPES, SERVER_TYPES

if TYPE_CHECKING:
    from openpyxl.styles import PatternFill
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

Example = Mapping[str, str]  # column → text

PREPARED_ROWS = 10_000  # rows with drop-down lists and formats; Excel stores them as ranges
_TEXT_FORMAT = "@"  # so that 10,20 stays a list and an ID keeps its digits
_WHITE, _EXAMPLE = "FFFFFF", "6B7280"
_REQUIRED, _REQUIRED_FOR_ROUND_TRIP, _OPTIONAL = "1F4E79", "2E75B6", "7F8C99"
_STRIPE = "EEF3F8"
_FONT = "Calibri"
_LINE_HEIGHT = 15  # points
_WIDTHS = (25, 9, 17, 44, 44, 26, 40, 44)  # columns of the second worksheet, in characters
_FILTER_BUTTON = 4  # characters
_WIDEST = 34  # characters
_LONGEST_ERROR = 225  # characters that Excel shows
_NOTES = (
    "Replace the four example rows: run refuses rows with example hosts, except in the sandbox.",
    "You can delete columns that you do not need; their order does not matter.",
    "In headers, case, spaces, dashes and underscores do not matter.",
    "A column api:some_field is sent to AlertSite unchanged, for fields that are not in this table.",
    "Dark blue headers are required (hostname: except for round-trip), light blue ones only for round-trip.",
    *(
        f"In cells with yes or no, {english} can also be written {', '.join(words)}."
        for english, words in zip(("yes", "no"), PUBLISHED_SWITCHES, strict=True)
    ),
)


def template_workbook(columns: Sequence[str], examples: Sequence[Example]) -> bytes:
    """Build the workbook."""
    from openpyxl import Workbook

    workbook = Workbook()
    _fill_monitors(workbook["Sheet"], columns, examples)
    _fill_explanations(workbook)
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def _fill_monitors(worksheet: Worksheet, columns: Sequence[str], examples: Sequence[Example]) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import Alignment, Border, Font, Side
    from openpyxl.utils import get_column_letter

    worksheet.title = "monitors"
    edge = Border(right=Side(style="thin", color=_WHITE))
    for column, name in enumerate(columns, start=1):
        field = FIELDS[name]
        header_cell = worksheet.cell(row=1, column=column, value=name)
        header_cell.font = Font(name=_FONT, size=11, bold=True, color=_WHITE)
        header_cell.fill = _fill(field)
        header_cell.alignment = Alignment(vertical="center")
        header_cell.border = edge
        comment = Comment("\n".join(_explain(field)), "bulkload")
        comment.width, comment.height = 320, 150
        header_cell.comment = comment
        letter = get_column_letter(column)
        worksheet.column_dimensions[letter].width = _width(name, examples)
        number_format = "General" if field.cell_type == "number" else _TEXT_FORMAT
        worksheet.column_dimensions[letter].number_format = number_format
        for row, example in enumerate(examples, start=2):
            text = example.get(name)
            value = int(text) if text and field.cell_type == "number" else text
            cell = worksheet.cell(row=row, column=column, value=value)
            cell.number_format = number_format
            cell.font = Font(name=_FONT, size=11, italic=True, color=_EXAMPLE)
            cell.alignment = Alignment(horizontal="left")
        _restrict(worksheet, field, f"{letter}2:{letter}{PREPARED_ROWS + 1}")
    worksheet.row_dimensions[1].height = 24
    worksheet.freeze_panes = "C2"
    worksheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{len(examples) + 1}"
    _fit_on_page(worksheet, pages=3)
    worksheet.print_title_rows = "1:1"


def _restrict(worksheet: Worksheet, field: Field, cells: str) -> None:
    """Add a drop-down list, or limits for numbers and lengths, so that Excel itself reports invalid values."""
    from openpyxl.worksheet.datavalidation import DataValidation

    if field.choices:
        rule = DataValidation(type="list", formula1=f'"{",".join(field.choices)}"', allow_blank=True)
        rule.errorStyle = "warning"  # other spellings are valid, too
    elif field.bounds is not None:
        low, high = field.bounds
        rule = DataValidation(type="whole", operator="between", formula1=str(low), formula2=str(high), allow_blank=True)
    elif field.longest is not None:
        rule = DataValidation(
            type="textLength", operator="lessThanOrEqual", formula1=str(field.longest), allow_blank=True
        )
    else:
        return
    rule.showErrorMessage = True
    rule.errorTitle = field.name
    rule.error = _sentence(field.rule)[:_LONGEST_ERROR]
    worksheet.add_data_validation(rule)
    rule.add(cells)


def _fill_explanations(workbook: Workbook) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    worksheet = workbook.create_sheet("columns")
    worksheet.append(
        [
            "Column",
            "Required",
            "For",
            "Description",
            "Allowed values",
            "Example",
            "Other accepted headers",
            "In German, French and Spanish",
        ]
    )
    for cell in worksheet[1]:
        cell.font = Font(name=_FONT, size=11, bold=True, color=_WHITE)
        cell.fill = PatternFill("solid", fgColor=_REQUIRED)
    for field in FIELDS.values():
        worksheet.append(
            [
                field.name,
                "yes" if field.required else "",
                _types(field),
                field.help,
                _sentence(field.rule),
                field.example,
                ", ".join(field.aliases),
                ", ".join(OTHER_HEADERS.get(field.name, ())),
            ]
        )
    worksheet.append([])
    for text in _NOTES:
        worksheet.append([text])
        worksheet.merge_cells(
            start_row=worksheet.max_row, end_row=worksheet.max_row, start_column=1, end_column=len(_WIDTHS)
        )
    stripe = PatternFill("solid", fgColor=_STRIPE)
    for row_number, row in enumerate(worksheet.iter_rows(min_row=2), start=2):
        is_field = row_number <= len(FIELDS) + 1
        for cell in row:
            cell.alignment = Alignment(wrap_text=is_field, vertical="top")
            cell.number_format = _TEXT_FORMAT
            cell.font = Font(name=_FONT, size=11, bold=is_field and cell.column == 1)
            if is_field and row_number % 2:
                cell.fill = stripe
        if is_field:
            texts = [str(cell.value or "") for cell in row]
            lines = max(len(textwrap.wrap(text, width - 2)) for text, width in zip(texts, _WIDTHS, strict=True))
            worksheet.row_dimensions[row_number].height = _LINE_HEIGHT * lines + 3
    for letter, width in zip("ABCDEFGH", _WIDTHS, strict=True):
        worksheet.column_dimensions[letter].width = width
    worksheet.freeze_panes = "B2"
    _fit_on_page(worksheet, pages=1)
    worksheet.print_title_rows = "1:1"


def _explain(field: Field) -> Iterator[str]:
    """Yield the lines of a column's comment."""
    yield field.help
    yield ""
    yield _sentence(field.rule)
    yield f"Example: {field.example}"
    if field.required:
        yield f"Required for {_types(field)}."
    elif field.types != MONITOR_TYPES:
        yield f"Only for {_types(field)}."


def _types(field: Field) -> str:
    return {MONITOR_TYPES: "every type", SERVER_TYPES: "imap, pop, smtp"}.get(field.types, "round-trip")


def _fill(field: Field) -> PatternFill:
    from openpyxl.styles import PatternFill

    if not field.required:
        color = _OPTIONAL
    else:
        color = _REQUIRED if field.types in (MONITOR_TYPES, SERVER_TYPES) else _REQUIRED_FOR_ROUND_TRIP
    return PatternFill("solid", fgColor=color)


def _width(name: str, examples: Sequence[Example]) -> int:
    longest = max(len(name) + _FILTER_BUTTON, *(len(example.get(name, "")) + 2 for example in examples))
    return min(longest, _WIDEST)


def _sentence(rule: str) -> str:
    return rule[0].upper() + rule[1:] + "."


def _fit_on_page(worksheet: Worksheet, *, pages: int) -> None:
    from openpyxl.worksheet.properties import PageSetupProperties

    worksheet.page_setup.orientation = "landscape"
    worksheet.page_setup.fitToWidth = pages
    worksheet.page_setup.fitToHeight = 0
    worksheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
