"""An empty workbook to fill in, made from the table of columns.

in: where to write it    out: an .xlsx with drop-downs, comments and one example per type, or a .csv with the examples
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import UsageError
from bulkload.monitors.fields import FIELDS, Field
from bulkload.protocols import MONITOR_TYPES, SERVER_TYPES

if TYPE_CHECKING:
    from openpyxl.styles import PatternFill
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

ROWS_WITH_CHOICES = 10_000  # how far down drop-downs and formats reach; Excel keeps them as ranges
_TEXT_FORMAT = "@"  # so that 10,20 stays a list and an ID keeps its digits
_INK, _REQUIRED, _SOMETIMES, _OPTIONAL, _EXAMPLE = "FFFFFF", "1F4E79", "2E75B6", "7F8C99", "6B7280"
_BAND = "EEF3F8"
_FONT = "Calibri"
_LINE_HEIGHT = 15  # points
_WIDTHS = (25, 9, 17, 44, 44, 26, 40)  # of the second sheet, in characters
_EMPTY_COLUMNS = ("monitor_id",)  # for results files and exports, not to be filled in by hand

COLUMNS = tuple(name for name in FIELDS if name not in _EMPTY_COLUMNS)

EXAMPLES = (
    {
        "type": "imaps",
        "name": "Example IMAP",
        "hostname": "imap.example.com",
        "billing_plancode": "UBM - A/A",
        "interval": "15",
        "timeout": "30",
        "enabled": "yes",
        "notify_on_error": "yes",
        "mode": "Global Verify",
        "locations": "10;20",
        "home_location": "10",
    },
    {
        "type": "pop",
        "name": "Example POP3 on its TLS port",
        "hostname": "pop.example.com",
        "port": "995",
        "billing_plancode": "UBM - A/A",
        "interval": "15",
        "timeout": "30",
        "enabled": "yes",
        "retry_on_failure": "yes",
    },
    {
        "type": "smtp",
        "name": "Example SMTP",
        "hostname": "smtp.example.com",
        "port": "587",
        "billing_plancode": "UBM - A/A",
        "interval": "5",
        "timeout": "30",
        "enabled": "yes",
        "alert_note": "Call the mail team",
    },
    {
        "type": "round-trip",
        "name": "Example round trip",
        "billing_plancode": "UBM - A/A",
        "interval": "15",
        "timeout": "300",
        "enabled": "no",
        "smtp_hostname": "smtps://smtp.example.com:465",
        "pop3_hostname": "pop3s://pop.example.com:995",
        "email": "probe@example.com",
        "note": "Needs a mailbox of its own",
    },
)


def write_template(path: Path, *, overwrite: bool = False) -> None:
    """Write the template; the suffix picks the format, and a file that exists is left alone unless told otherwise."""
    match path.suffix.lower():
        case ".xlsx":
            content = _workbook()
        case ".csv":
            content = _delimited()
        case _:
            raise UsageError(f"{path} has the suffix {path.suffix or 'none'}; a template is .xlsx or .csv.")
    try:
        with path.open("wb" if overwrite else "xb") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{path} exists already; name a file that does not, or add --overwrite.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error


def _delimited() -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(EXAMPLES)
    return text.getvalue().encode("utf-8-sig")  # the mark tells Excel that it is UTF-8


def _workbook() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    _fill_monitors(book["Sheet"])
    _fill_explanations(book)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _fill_monitors(sheet: Worksheet) -> None:
    from openpyxl.comments import Comment
    from openpyxl.styles import Alignment, Border, Font, Side
    from openpyxl.utils import get_column_letter

    sheet.title = "monitors"
    edge = Border(right=Side(style="thin", color=_INK))
    for column, name in enumerate(COLUMNS, start=1):
        field = FIELDS[name]
        head = sheet.cell(row=1, column=column, value=name)
        head.font = Font(name=_FONT, size=11, bold=True, color=_INK)
        head.fill = _fill(field)
        head.alignment = Alignment(vertical="center")
        head.border = edge
        note = Comment("\n".join(_explain(field)), "bulkload")
        note.width, note.height = 320, 150
        head.comment = note
        letter = get_column_letter(column)
        sheet.column_dimensions[letter].width = _width(name)
        number_format = "General" if field.kind == "number" else _TEXT_FORMAT
        sheet.column_dimensions[letter].number_format = number_format
        for row, example in enumerate(EXAMPLES, start=2):
            text = example.get(name)
            cell = sheet.cell(row=row, column=column, value=int(text) if text and field.kind == "number" else text)
            cell.number_format = number_format
            cell.font = Font(name=_FONT, size=11, italic=True, color=_EXAMPLE)
            cell.alignment = Alignment(horizontal="left")
        _restrict(sheet, field, f"{letter}2:{letter}{ROWS_WITH_CHOICES + 1}")
    sheet.row_dimensions[1].height = 24
    sheet.freeze_panes = "C2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(COLUMNS))}{len(EXAMPLES) + 1}"
    _fit_on_page(sheet, pages=3)
    sheet.print_title_rows = "1:1"


def _restrict(sheet: Worksheet, field: Field, cells: str) -> None:
    """Add a drop-down, or a range for numbers; Excel then says what is allowed before bulkload has to."""
    from openpyxl.worksheet.datavalidation import DataValidation

    if field.choices:
        rule = DataValidation(type="list", formula1=f'"{",".join(field.choices)}"', allow_blank=True)
        # other spellings are good too, so the choice is offered and not forced
        rule.errorStyle = "warning"
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
    rule.error = _sentence(field.rule)[:225]  # as much as Excel shows
    sheet.add_data_validation(rule)
    rule.add(cells)


def _fill_explanations(book: Workbook) -> None:
    from openpyxl.styles import Alignment, Font, PatternFill

    sheet = book.create_sheet("columns")
    sheet.append(["Column", "Needed", "For", "What it is", "Allowed", "Example", "Also understood as header"])
    for cell in sheet[1]:
        cell.font = Font(name=_FONT, size=11, bold=True, color=_INK)
        cell.fill = PatternFill("solid", fgColor=_REQUIRED)
    for field in FIELDS.values():
        sheet.append(
            [
                field.name,
                "yes" if field.required else "",
                _types(field),
                field.help,
                _sentence(field.rule),
                field.example,
                ", ".join(field.aliases),
            ]
        )
    sheet.append([])
    for text in _NOTES:
        sheet.append([text])
        sheet.merge_cells(start_row=sheet.max_row, end_row=sheet.max_row, start_column=1, end_column=7)
    band = PatternFill("solid", fgColor=_BAND)
    for number, row in enumerate(sheet.iter_rows(min_row=2), start=2):
        explains_a_field = number <= len(FIELDS) + 1
        for cell in row:
            cell.alignment = Alignment(wrap_text=explains_a_field, vertical="top")
            cell.number_format = _TEXT_FORMAT
            cell.font = Font(name=_FONT, size=11, bold=explains_a_field and cell.column == 1)
            if explains_a_field and number % 2:
                cell.fill = band
        if explains_a_field:
            texts = [str(cell.value or "") for cell in row]
            lines = max(len(textwrap.wrap(t, w - 2)) for t, w in zip(texts, _WIDTHS, strict=True))
            sheet.row_dimensions[number].height = _LINE_HEIGHT * lines + 3
    for letter, width in zip("ABCDEFG", _WIDTHS, strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "B2"
    _fit_on_page(sheet, pages=1)
    sheet.print_title_rows = "1:1"


_NOTES = (
    "Replace the four example rows. Columns that you do not need may be deleted, and their order does not matter.",
    "In headers, case, spaces, dashes and underscores do not matter.",
    "A column api:some_field is sent to AlertSite as it is, for fields that this table does not know.",
    "Dark blue headers are needed in every row (hostname: not for round-trip), light blue ones for round-trip only.",
)


def _explain(field: Field) -> Iterator[str]:
    yield field.help
    yield ""
    yield _sentence(field.rule)
    yield f"Example: {field.example}"
    if field.required:
        yield f"Needed for {_types(field)}."
    elif field.types != MONITOR_TYPES:
        yield f"Only for {_types(field)}."


def _types(field: Field) -> str:
    return {MONITOR_TYPES: "every type", SERVER_TYPES: "imap, pop, smtp"}.get(field.types, "round-trip")


def _fill(field: Field) -> PatternFill:
    from openpyxl.styles import PatternFill

    if not field.required:
        color = _OPTIONAL
    else:
        color = _SOMETIMES if field.types not in (MONITOR_TYPES, SERVER_TYPES) else _REQUIRED
    return PatternFill("solid", fgColor=color)


def _width(name: str) -> int:
    longest = max(len(name) + 4, *(len(example.get(name, "")) + 2 for example in EXAMPLES))  # 4: the filter's button
    return min(longest, 34)


def _sentence(rule: str) -> str:
    return rule[0].upper() + rule[1:] + "."


def _fit_on_page(sheet: Worksheet, *, pages: int) -> None:
    from openpyxl.worksheet.properties import PageSetupProperties

    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth = pages
    sheet.page_setup.fitToHeight = 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
