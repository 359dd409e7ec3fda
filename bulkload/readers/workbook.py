"""Read workbooks: xlsx, xlsm, xls, xlsb and ods.

In: a path. Out: a `Source` with the table of one worksheet. calamine is called directly, not through pandas: pandas
loads the worksheet into a data frame, takes nearly twice as long, and does not report which worksheets are hidden,
where the used range starts and which cells hold errors. Macros are never run.
"""

from __future__ import annotations

import datetime
import itertools
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.parsers import expat

from bulkload.errors import InputError
from bulkload.model import Issue, NumberText, Source
from bulkload.monitors.result_columns import results_prefix
from bulkload.readers import biff, sheet_layout, sheet_scan, zip_package
from bulkload.readers.encoding import Encoding, encoding_issue, header_doubts
from bulkload.readers.layout_reader import LayoutReader, hidden_rows_notes
from bulkload.readers.open_document_layout import layout_open_document
from bulkload.readers.sheet_layout import Area, SheetLayout
from bulkload.readers.sheet_scan import UnreadCell, WorksheetSurvey
from bulkload.readers.table import MAX_COLUMNS, IsHeader, Record, Table, raw_rows

if TYPE_CHECKING:
    import zipfile

    from python_calamine import CalamineSheet, CalamineWorkbook

MAX_BYTES = 512 << 20  # bytes of a workbook's file
_GROUPED_FROM = 1000  # typed with a comma, digits may have become a number with thousands separators
EXACT_FROM = 1e15  # Excel keeps 15 digits of a number; larger numbers may have lost some

_ZIP = b"PK"
_CONTENT = "content.xml"  # the part of an OpenDocument package that holds its worksheets
# OLE documents that cannot be read, recognised by the name of a stream that only they have
_FOREIGN_OLE = (
    ("EncryptedPackage", "a workbook protected by a password; save it without one"),
    ("WordDocument", "a Word document, not a workbook"),
    ("PowerPoint Document", "a PowerPoint presentation, not a workbook"),
    ("__substg1.0_", "an Outlook message, not a workbook"),
)
_MAX_LISTED = 20  # names of worksheets that a message lists
# The largest workbook and worksheet that are read only to report that a further worksheet matches
_MAX_PREVIEW_BYTES, _MAX_PREVIEW_CELLS = 4 << 20, 1_000_000
_SHARED_PARTS = ("sharedstrings", "styles", "content")  # what calamine expands when it opens a workbook
_TEXT_COUNT = re.compile(rb"""<(?:\w+:)?sst\s[^>]*?\buniqueCount\s*=\s*["'](\d{1,20})""")

Value = int | float | str | bool | datetime.time | datetime.date | datetime.datetime | datetime.timedelta


@contextmanager
def open_workbook(
    path: Path, *, sheet: str | None, is_header: IsHeader, skip_hidden: bool = False, encoding: str | None = None
) -> Iterator[Source]:
    """Open a workbook as a source; its rows can be read until the context ends."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"the workbook has {size:,} bytes; {MAX_BYTES:,} are allowed.")
    with _open(path, skip_hidden=skip_hidden) as workbook:
        if workbook.package is None:
            workbook = replace(workbook, text_encoding=biff.text_encoding(path, encoding))
        name, table = _select_worksheet(workbook, sheet, is_header)
        continuations = _continuations(workbook, name, table)
        details = {"sheet": name} if len(workbook.visible) + len(workbook.hidden) > 1 else {}
        if workbook.text_encoding is not None:
            details["encoding"] = workbook.text_encoding.label
        if sheet is None and (matches := _further_matches(workbook, (name, *continuations), is_header)):
            details["other sheets"] = f"also matching: {', '.join(matches)}"
        yield Source(
            path=path,
            name=path.name,
            format=workbook.format,
            header=table.header,
            rows=raw_rows(replace(table, records=_all_records(workbook, table, continuations)), ragged=False),
            details=details,
            notes=_notes(workbook, name, table, continuations),
            header_doubts=header_doubts(table.findings, len(table.header)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workbook:
    """An open workbook: as calamine reads it, and its zip package if it has one."""

    path: Path
    format: str
    calamine: CalamineWorkbook
    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    package: zipfile.ZipFile | None  # None for xls
    parts: Mapping[str, str]  # of an Excel package, by the name of the worksheet
    skip_hidden: bool  # rows and columns
    text_encoding: Encoding | None = None  # of an old xls workbook that names no code page
    surveys: dict[str, tuple[WorksheetSurvey, SheetLayout]] = field(default_factory=dict)  # by worksheet
    layout_readers: dict[str, LayoutReader] = field(default_factory=dict)  # by worksheet, once its table was searched


@contextmanager
def _open(path: Path, *, skip_hidden: bool) -> Iterator[_Workbook]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum, load_workbook

    with ExitStack() as stack:
        package: zipfile.ZipFile | None = None
        file_format, parts = "xls", dict[str, str]()
        with path.open("rb") as file:
            is_package = file.read(len(_ZIP)) == _ZIP
        if is_package:
            package = stack.enter_context(zip_package.open_package(path))
            with zip_package.translate_damage():
                file_format = zip_package.workbook_format(package)
                zip_package.check_size(package, path)
                parts = {} if file_format == "ods" else zip_package.worksheet_parts(package, file_format)
                _verify_shared_parts(package)
        else:
            _reject_foreign_ole(path)
            biff.reject_circles(path)
        # calamine trusts the suffix of a path, which has to be Unicode; for an open file, it checks the content
        by_path = path.suffix.lower() == f".{file_format}" and os.fsencode(path) == str(path).encode(errors="replace")
        with _translate_errors():
            calamine = stack.enter_context(load_workbook(path if by_path else stack.enter_context(path.open("rb"))))
            worksheets = [each for each in calamine.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
        yield _Workbook(
            path=path,
            format=file_format,
            calamine=calamine,
            visible=tuple(each.name for each in worksheets if each.visible == SheetVisibleEnum.Visible),
            hidden=tuple(each.name for each in worksheets if each.visible != SheetVisibleEnum.Visible),
            package=package,
            parts=parts,
            skip_hidden=skip_hidden,
        )


def _verify_shared_parts(package: zipfile.ZipFile) -> None:
    """Read the shared parts once, so that what calamine would trust is rejected before it opens the workbook."""
    for part in package.namelist():
        if part.lower().rpartition("/")[2].startswith(_SHARED_PARTS):
            blocks = zip_package.read_blocks(package, part)
            if part == _CONTENT:
                _verify_complete(blocks)
                continue
            declared = _TEXT_COUNT.search(next(blocks, b""))
            if declared and int(declared[1]) > sheet_scan.MAX_CELLS:
                raise InputError(f"the workbook is damaged: its part {part} declares {int(declared[1]):,} texts.")
            for _ in blocks:  # a false size is rejected
                pass


def _verify_complete(blocks: Iterable[bytes]) -> None:
    """Reject an XML document that ends inside of an element, where calamine would search for the end for ever."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = sheet_scan.reject_doctype
    try:
        for block in blocks:
            parser.Parse(block, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError) as error:  # LookupError: an unknown encoding
        raise InputError(f"the workbook is damaged or cut off ({error}); save or send it again.") from error


def _reject_foreign_ole(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for stream, description in _FOREIGN_OLE:
            if content.find(stream.encode("utf-16-le")) >= 0:
                raise InputError(f"it is {description}.")


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate calamine's exceptions, and its panics on damaged files, into `InputError`."""
    from python_calamine import CalamineError, PasswordError

    try:
        yield
    except PasswordError as error:
        raise InputError("the workbook is protected by a password; save it without one.") from error
    except CalamineError as error:
        if "Cell limit" in str(error):
            raise InputError(f"a worksheet spans too many cells ({error}).") from error
        raise InputError(f"the workbook is damaged or cut off ({error}); save or send it again.") from error
    except BaseException as error:
        # A panic in Rust code is not an Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise InputError("the workbook is damaged; save or send it again.") from error


def _select_worksheet(workbook: _Workbook, requested: str | None, is_header: IsHeader) -> tuple[str, Table]:
    """Return the requested worksheet, else the first visible one with the required columns, else with content."""
    fallback: tuple[str, Table] | None = None
    for name in workbook.visible if requested is None else (_worksheet_name(workbook, requested),):
        table = _find_table(workbook, name, is_header)
        if table is None:
            continue
        if table.recognised:
            return name, table
        fallback = fallback or (name, table)
    if fallback is None:
        problem = "no visible worksheet has content" if requested is None else f"the worksheet {requested!r} is empty"
        raise InputError(f"{problem}; a header and rows below it are required.{_hidden_sentence(workbook.hidden)}")
    return fallback


def _further_matches(workbook: _Workbook, read: Sequence[str], is_header: IsHeader) -> list[str]:
    """Name the further visible worksheets with the required columns; skip those that are large or cannot be read."""
    if workbook.path.stat().st_size > _MAX_PREVIEW_BYTES:
        return []
    matches = []
    for name in workbook.visible[workbook.visible.index(read[0]) + 1 :][:_MAX_LISTED]:
        if name in read:
            continue
        with suppress(InputError):
            survey, _ = _survey(workbook, name, max_cells=_MAX_PREVIEW_CELLS)
            if survey.cells <= _MAX_PREVIEW_CELLS:
                table = _find_table(workbook, name, is_header)
                if table is not None and table.recognised:
                    matches.append(name)
    return matches


def _worksheet_name(workbook: _Workbook, requested: str) -> str:
    names = workbook.visible + workbook.hidden
    for name in names:
        if name == requested:
            return name
    for name in names:  # names of worksheets never differ in case only
        if name.casefold() == requested.strip().casefold():
            return name
    listed = ", ".join(repr(name) for name in names[:_MAX_LISTED])
    raise InputError(f"worksheet {requested!r} not found; the workbook has {listed}.")


def _hidden_sentence(hidden: Sequence[str]) -> str:
    if not hidden:
        return ""
    names = ", ".join(repr(name) for name in hidden[:_MAX_LISTED])
    return f" Hidden worksheets were ignored: {names}."


def _notes(workbook: _Workbook, name: str, table: Table, continuations: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if hidden := [each for each in workbook.hidden if each != name and each not in continuations]:
        notes.append(_hidden_sentence(hidden).strip())
    if table.skipped:
        notes.append(f"The header was found in row {table.header_number}; the rows above it were ignored.")
    if continuations:
        names = ", ".join(map(repr, continuations))
        notes.append(f"The worksheet continues in {names}; row numbers continue as well.")
    notes.extend(workbook.layout_readers[name].notes())
    for each in continuations:
        _, layout = _survey(workbook, each)
        notes.extend(hidden_rows_notes(layout, skips=workbook.skip_hidden, worksheet=each))
    if workbook.format == "xlsm":
        notes.append("The workbook has macros, which are never run.")
    return tuple(notes)


def _continuations(workbook: _Workbook, name: str, table: Table) -> list[str]:
    """Name the worksheets that continue the rows of a results workbook.

    Only a results workbook has them: Excel gives a copied worksheet the same form of name, and a forgotten copy must
    not be sent to the account.
    """
    if results_prefix(table.header) is None:
        return []
    names = set(workbook.visible + workbook.hidden)
    return list(itertools.takewhile(names.__contains__, (f"{name} ({number})" for number in itertools.count(2))))


def _all_records(workbook: _Workbook, table: Table, continuations: Sequence[str]) -> Iterator[Record]:
    last = table.header_number
    for record in table.records:
        last = record.number
        yield record
    for name in continuations:
        below = _find_table(workbook, name, lambda cells: tuple(cells) == table.header)
        if below is None or not below.recognised:
            raise InputError(f"the worksheet {name!r} does not have the columns of the worksheets before it.")
        offset = last - below.header_number
        for record in below.records:
            last = record.number + offset
            yield record._replace(number=last)


def _find_table(workbook: _Workbook, name: str, is_header: IsHeader) -> Table | None:
    """Return the table of a worksheet as its layout shows it."""
    survey, layout = _survey(workbook, name)
    _reject_too_large(name, survey)
    with _translate_errors():
        worksheet = workbook.calamine.get_sheet_by_name(name)
        merged = worksheet.merged_cell_ranges  # None for the formats in which calamine does not find them
    if merged is not None:
        layout = replace(layout, merged=sheet_layout.in_order(Area(*first, *last) for first, last in merged))
    first_column = worksheet.start[1] if worksheet.start else 0
    reader = LayoutReader(layout, first_column=first_column, skip_hidden=workbook.skip_hidden)
    workbook.layout_readers[name] = reader
    return reader.find_table(_records(workbook, name, worksheet, survey), is_header)


def _records(workbook: _Workbook, name: str, worksheet: CalamineSheet, survey: WorksheetSurvey) -> Iterator[Record]:
    """Yield the rows of a worksheet, numbered as spreadsheet programs show them, with unread cells filled in."""
    start = worksheet.start
    first_column = start[1] if start else 0
    unread_cells = _unread_cells(workbook, name) if survey.may_have_unread_cells else ()
    unread_rows = itertools.groupby(unread_cells, key=lambda cell: cell.row)
    unread = next(unread_rows, None)
    index = -1
    if start:
        # calamine's rows start at the first row of the worksheet, but at the first column with content
        for index, values in enumerate(worksheet.iter_rows()):
            texts, findings = _cell_texts(values)
            if workbook.text_encoding is not None:
                _decode_again(texts, findings, workbook.text_encoding)
            if unread and unread[0] == index:
                _fill_unread(texts, findings, unread[1], first_column)
                unread = next(unread_rows, None)
            yield Record(index + 1, texts, findings)
    while unread:  # rows that have no other content
        texts, findings = [], []
        if unread[0] > index:
            _fill_unread(texts, findings, unread[1], first_column)
            yield Record(unread[0] + 1, texts, findings)
        unread = next(unread_rows, None)


def _decode_again(texts: list[str], findings: list[tuple[int | None, Issue]], encoding: Encoding) -> None:
    for index, text in enumerate(texts):
        if not text.isascii():
            texts[index], issue = encoding_issue(biff.as_decoded(text, encoding), encoding)
            if issue is not None:
                findings.append((index, issue))


def _reject_too_large(name: str, survey: WorksheetSurvey) -> None:
    if survey.cells > sheet_scan.MAX_CELLS:
        raise InputError(
            f"the worksheet {name!r} spans {survey.cells:,} cells; {sheet_scan.MAX_CELLS:,} are allowed. "
            "Delete stray content far below or to the right of the table."
        )


def _survey(
    workbook: _Workbook, name: str, *, max_cells: int = sheet_scan.MAX_CELLS
) -> tuple[WorksheetSurvey, SheetLayout]:
    """Survey a worksheet and its layout, in one pass unless something is merged or hidden."""
    if name not in workbook.surveys:
        workbook.surveys[name] = _survey_once(workbook, name, max_cells=max_cells)
    return workbook.surveys[name]


def _survey_once(workbook: _Workbook, name: str, *, max_cells: int) -> tuple[WorksheetSurvey, SheetLayout]:
    if workbook.package is None:
        records = biff.worksheet_records(workbook.path, workbook.calamine.sheet_names.index(name))
        # an xls worksheet has at most 65,536 rows of 256 cells, so a scan is cheap
        return WorksheetSurvey(0, True), sheet_layout.layout_xls(records)
    is_open_document = workbook.format == "ods"
    if not is_open_document and name not in workbook.parts:
        raise InputError(f"the workbook is damaged: the worksheet {name!r} is missing.")
    part = _CONTENT if is_open_document else workbook.parts[name]
    blocks = zip_package.read_blocks(workbook.package, part)
    if workbook.format == "xlsb":
        binary_layout = sheet_layout.BinaryLayout()
        survey = sheet_scan.survey_binary(binary_layout.look_at(zip_package.binary_records(blocks)))
        return survey, binary_layout.complete()
    signs = sheet_layout.LayoutSigns(sheet_layout.OPEN_DOCUMENT_SIGNS if is_open_document else sheet_layout.XML_SIGNS)
    blocks = signs.look_at(blocks)
    survey = sheet_scan.survey_open_document(blocks) if is_open_document else sheet_scan.survey_xml(blocks)
    for _ in blocks:  # a survey may end early
        pass
    if survey.cells > max_cells:
        survey = survey._replace(cells=sheet_scan.count_cells_xml(zip_package.read_blocks(workbook.package, part)))
    if not signs.found:
        return survey, SheetLayout()
    blocks = zip_package.read_blocks(workbook.package, part)
    layout = layout_open_document(blocks, name) if is_open_document else sheet_layout.layout_xml(blocks)
    return survey, layout


def _unread_cells(workbook: _Workbook, name: str) -> Iterator[UnreadCell]:
    if workbook.package is None:
        return biff.unread_cells_xls(workbook.path, workbook.calamine.sheet_names.index(name))
    if workbook.format == "ods":
        return sheet_scan.unread_cells_open_document(zip_package.read_blocks(workbook.package, _CONTENT), name)
    blocks = zip_package.read_blocks(workbook.package, workbook.parts[name])
    return sheet_scan.unread_cells_binary(blocks) if workbook.format == "xlsb" else sheet_scan.unread_cells_xml(blocks)


def _fill_unread(
    texts: list[str], findings: list[tuple[int | None, Issue]], cells: Iterable[UnreadCell], first_column: int
) -> None:
    """Add the unread cells of one row to its texts, and an issue for each."""
    for cell in cells:
        index = cell.column - first_column
        if not 0 <= index < MAX_COLUMNS:
            continue
        texts.extend([""] * (index + 1 - len(texts)))
        texts[index] = texts[index] or cell.error
        if cell.error:
            message = f"The cell shows the error {cell.error}; a value is required."
            findings.append((index, Issue(code="cell.error", message=message, value=cell.error)))
        else:
            message = (
                "The formula in this cell has no stored value; open and save the file in a spreadsheet program, "
                "or enter the value itself."
            )
            findings.append((index, Issue(code="cell.formula", message=message)))


def _cell_texts(values: Sequence[Value]) -> tuple[list[str], list[tuple[int | None, Issue]]]:
    try:
        return [value if type(value) is str else _exact_text(value) for value in values], []
    except _InexactNumber:
        texts = list(map(_cell_text, values))
    findings: list[tuple[int | None, Issue]] = []
    for index, (value, text) in enumerate(zip(values, texts, strict=True)):
        if _is_inexact(value):
            message = (
                f"The number {text} has more digits than a spreadsheet keeps (15), so some may be lost; "
                "format the cell as text and enter it again."
            )
            findings.append((index, Issue(code="cell.precision", message=message, value=text)))
    return texts, findings


class _InexactNumber(Exception):
    """A row has a number that may have lost digits."""


@lru_cache(maxsize=4096, typed=True)
def _exact_text(value: Value) -> str:
    if _is_inexact(value):
        raise _InexactNumber
    return _cell_text(value)


def _is_inexact(value: Value) -> bool:
    return isinstance(value, (float, int)) and not -EXACT_FROM < value < EXACT_FROM


def _cell_text(value: Value) -> str:
    """Return a value as a person would type it."""
    if isinstance(value, float):
        if value.is_integer() and not _is_inexact(value):
            return str(int(value)) if value < _GROUPED_FROM else NumberText(int(value))
        return repr(value).removesuffix(".0").upper()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(int(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat()
    return str(value)
