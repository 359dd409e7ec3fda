"""Read workbooks: xlsx, xlsm, xls, xlsb and ods.

In: a path. Out: a `Source` with the table of one worksheet. calamine is called directly, not through pandas: pandas
loads the worksheet into a data frame, takes nearly twice as long, and does not report which worksheets are hidden,
where the used range starts and which cells hold errors. Macros are never run.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import InputError
from bulkload.model import Issue, Source
from bulkload.monitors.result_columns import results_prefix
from bulkload.readers import biff, sheet_layout, sheet_scan, zip_package
from bulkload.readers.cell_texts import cell_texts, fill_unread
from bulkload.readers.encoding import Encoding, encoding_issue, header_doubts
from bulkload.readers.layout_reader import LayoutReader, hidden_rows_notes
from bulkload.readers.open_document_layout import layout_open_document
from bulkload.readers.sheet_layout import Area, SheetLayout
from bulkload.readers.sheet_scan import UnreadCell, WorksheetSurvey
from bulkload.readers.table import IsHeader, Record, Table, raw_rows, restored_formulas
from bulkload.readers.workbook_file import (
    CONTENT,
    RefusedError,
    WorkbookFile,
    load,
    open_workbook_file,
    translate_errors,
)

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

MAX_BYTES = 512 << 20  # bytes of a workbook's file

_EXPORT_SHEET, _SUMMARY_SHEET = "monitors", "summary"  # worksheets of an export, and beside those of results
_FROM_CSV = (
    "The worksheet comes from results in CSV, because it has no summary beside it; the apostrophes that CSV results "
    "have in front of =, +, - and @ are removed."
)
_MAX_LISTED = 20  # names of worksheets that a message lists
# The largest workbook and worksheet that are read only to report that a further worksheet matches
_MAX_PREVIEW_BYTES, _MAX_PREVIEW_CELLS = 4 << 20, 1_000_000


@contextmanager
def open_workbook(
    path: Path,
    *,
    sheet: str | None,
    is_header: IsHeader,
    headerless: bool = False,
    skip_hidden: bool = False,
    encoding: str | None = None,
    header_row: int | None = None,
) -> Iterator[Source]:
    """Open a workbook as a source; its rows can be read until the context ends."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"the workbook has {size:,} bytes; {MAX_BYTES:,} are allowed.")
    with open_workbook_file(path) as file:
        text_encoding = biff.text_encoding(path, encoding) if file.package is None else None
        workbook = _Workbook(
            file=file,
            headerless=headerless,
            skip_hidden=skip_hidden,
            text_encoding=text_encoding,
            header_row=header_row,
        )
        name, table = _select_worksheet(workbook, sheet, is_header)
        continuations = _continuations(workbook, name, table)
        details = {"sheet": name} if len(file.visible) + len(file.hidden) > 1 else {}
        if workbook.text_encoding is not None:
            details["encoding"] = workbook.text_encoding.label
        read = (name, *continuations)
        matches, unseen = _further_matches(workbook, read, is_header) if sheet is None else ([], [])
        if visible := [each for each in matches if each in file.visible]:
            details["other sheets"] = f"also matching: {', '.join(visible)}"
        header, notes = table.header, _notes(workbook, name, table, continuations)
        rows = raw_rows(replace(table, records=_all_records(workbook, table, continuations)), ragged=False)
        if _comes_from_csv(workbook, name, table, continuations):
            header, rows = restored_formulas(header, rows)
            notes += (_FROM_CSV,)
        yield Source(
            path=path,
            name=path.name,
            format=file.format,
            header=header,
            rows=rows,
            details=details,
            notes=notes,
            sheets=(*file.visible, *file.hidden),
            not_whole=_not_whole(workbook, read, [*matches, *unseen]),
            header_place=_header_place(file, name, table),
            header_doubts=table.unread_names | header_doubts(table.findings, len(table.header)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workbook:
    """An open workbook, how to read it, and what is known of its worksheets, by name."""

    file: WorkbookFile
    headerless: bool  # if no row is a known header, the first row is a row of the table
    skip_hidden: bool  # rows and columns
    text_encoding: Encoding | None  # of an old xls workbook that names no code page
    header_row: int | None = None  # that the user named
    surveys: dict[str, tuple[WorksheetSurvey, SheetLayout]] = field(default_factory=dict)
    layout_readers: dict[str, LayoutReader] = field(default_factory=dict)  # once the table was searched


def _select_worksheet(workbook: _Workbook, requested: str | None, is_header: IsHeader) -> tuple[str, Table]:
    """Return the requested worksheet, else the first visible one with the required columns, else the most like it."""
    fallback: tuple[str, Table] | None = None
    problem_of_row: InputError | None = None  # the row that the user named is empty
    for name in workbook.file.visible if requested is None else (_worksheet_name(workbook, requested),):
        try:
            table = _find_table(workbook, name, is_header)
        except InputError as error:
            if workbook.header_row is None or requested is not None:
                raise
            problem_of_row = problem_of_row or error
            continue
        if table is None:
            continue
        if table.recognised:
            return name, table
        if fallback is None or table.score > fallback[1].score:
            fallback = name, table
    if fallback is None and problem_of_row is not None:
        raise problem_of_row
    if fallback is None:
        problem = "no visible worksheet has content" if requested is None else f"the worksheet {requested!r} is empty"
        raise InputError(f"{problem}; a header and rows below it are required.{_hidden_sentence(workbook.file.hidden)}")
    return fallback


def _header_place(file: WorkbookFile, name: str, table: Table) -> str:
    """Where the header is, if it is not the first row of the first worksheet."""
    if table.header_number <= 1 and name == (*file.visible, *file.hidden)[0]:
        return ""
    return f"sheet {name}, row {max(table.header_number, 1)}"


def _further_matches(workbook: _Workbook, read: Sequence[str], is_header: IsHeader) -> tuple[list[str], list[str]]:
    """Name the further worksheets with the required columns, and those that would take too long to look at."""
    matches: list[str] = []
    unseen: list[str] = []
    is_large = workbook.file.path.stat().st_size > _MAX_PREVIEW_BYTES
    after = workbook.file.visible[workbook.file.visible.index(read[0]) + 1 :]
    for number, name in enumerate(each for each in (*after, *workbook.file.hidden) if each not in read):
        if is_large or number >= _MAX_LISTED:
            unseen.append(name)
            continue
        with suppress(InputError):
            survey, _ = _survey(workbook, name, max_cells=_MAX_PREVIEW_CELLS)
            if survey.cells > _MAX_PREVIEW_CELLS:
                unseen.append(name)
                continue
            table = _find_table(workbook, name, is_header)
            if table is not None and table.recognised:
                matches.append(name)
    return matches, unseen


def _worksheet_name(workbook: _Workbook, requested: str) -> str:
    names = workbook.file.visible + workbook.file.hidden
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
    if hidden := [each for each in workbook.file.hidden if each != name and each not in continuations]:
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
    if workbook.file.format == "xlsm":
        notes.append("The workbook has macros, which are never run.")
    return tuple(notes)


def _not_whole(workbook: _Workbook, read: Sequence[str], unread: Sequence[str]) -> str:
    """Why the workbook may have more rows; `unread` are worksheets that may have some, and that no option left out."""
    if workbook.skip_hidden and any(_survey(workbook, name)[1].hidden_rows for name in read):
        return "its hidden rows were left out"
    if not unread:
        return ""
    names = ", ".join(map(repr, unread[:_MAX_LISTED]))
    subject = f"its worksheet {names} was" if len(unread) == 1 else f"its worksheets {names} were"
    return f"{subject} not read (if {read[0]!r} has all rows, name it with --sheet)"


def _comes_from_csv(workbook: _Workbook, name: str, table: Table, continuations: Sequence[str]) -> bool:
    """True if a spreadsheet program made this workbook of results in CSV, whose cells may have apostrophes added."""
    if results_prefix(table.header) is None or name == _EXPORT_SHEET or continuations:
        return False
    return _SUMMARY_SHEET not in workbook.file.visible + workbook.file.hidden


def _continuations(workbook: _Workbook, name: str, table: Table) -> list[str]:
    """Name the worksheets that continue the rows of a results workbook.

    Only a results workbook has them: Excel gives a copied worksheet the same form of name, and a forgotten copy must
    not be sent to the account.
    """
    if results_prefix(table.header) is None:
        return []
    names = set(workbook.file.visible + workbook.file.hidden)
    return list(itertools.takewhile(names.__contains__, (f"{name} ({number})" for number in itertools.count(2))))


def _all_records(workbook: _Workbook, table: Table, continuations: Sequence[str]) -> Iterator[Record]:
    last = table.header_number
    for record in table.records:
        last = record.number
        yield record
    for name in continuations:
        below = _find_table(workbook, name, lambda cells: tuple(cells) == table.header, is_continuation=True)
        if below is None or not below.recognised:
            raise InputError(f"the worksheet {name!r} does not have the columns of the worksheets before it.")
        offset = last - below.header_number
        for record in below.records:
            last = record.number + offset
            yield record._replace(number=last)


def _find_table(workbook: _Workbook, name: str, is_header: IsHeader, *, is_continuation: bool = False) -> Table | None:
    """Return the table of a worksheet as its layout shows it; None if the worksheet is empty."""
    survey, layout = _survey(workbook, name)
    _reject_too_large(name, survey)
    worksheet, survey = _load_worksheet(workbook.file, name, survey)
    if workbook.file.package is None:
        with translate_errors():
            areas = (Area(*first, *last) for first, last in worksheet.merged_cell_ranges or ())
            layout = replace(layout, merged=sheet_layout.in_order(areas))
    first_column = worksheet.start[1] if worksheet.start else 0
    reader = LayoutReader(layout, first_column=first_column, skip_hidden=workbook.skip_hidden)
    workbook.layout_readers[name] = reader
    records = _records(workbook, name, worksheet, survey)
    header_row = None if is_continuation else workbook.header_row
    return reader.find_table(records, is_header, headerless=workbook.headerless, header_row=header_row)


def _records(workbook: _Workbook, name: str, worksheet: CalamineSheet, survey: WorksheetSurvey) -> Iterator[Record]:
    """Yield the rows of a worksheet, numbered as spreadsheet programs show them, with unread cells filled in."""
    start = worksheet.start
    first_column = start[1] if start else 0
    unread_cells = _unread_cells(workbook.file, name, survey) if survey.may_have_unread_cells else ()
    unread_rows = itertools.groupby(unread_cells, key=lambda cell: cell.row)
    unread = next(unread_rows, None)
    index = -1
    if start:
        # calamine's rows start at the first row of the worksheet, but at the first column with content
        for index, values in enumerate(worksheet.iter_rows()):
            texts, findings = cell_texts(values)
            if workbook.text_encoding is not None:
                _decode_again(texts, findings, workbook.text_encoding)
            while unread and unread[0] <= index:
                if unread[0] < index:
                    raise InputError(f"the rows of the worksheet {name!r} are not in order; save it again.")
                fill_unread(texts, findings, unread[1], first_column)
                unread = next(unread_rows, None)
            yield Record(index + 1, texts, findings)
    while unread:  # rows that have no other content
        if unread[0] <= index:
            raise InputError(f"the rows of the worksheet {name!r} are not in order; save it again.")
        texts, findings, index = [], [], unread[0]
        fill_unread(texts, findings, unread[1], first_column)
        yield Record(index + 1, texts, findings)
        unread = next(unread_rows, None)


def _decode_again(texts: list[str], findings: list[tuple[int | None, Issue]], encoding: Encoding) -> None:
    for index, text in enumerate(texts):
        if not text.isascii():
            texts[index], issue = encoding_issue(biff.as_decoded(text, encoding), encoding)
            if issue is not None:
                findings.append((index, issue))


def _load_worksheet(file: WorkbookFile, name: str, survey: WorksheetSurvey) -> tuple[CalamineSheet, WorksheetSurvey]:
    """Load a worksheet, from a repaired copy if calamine refuses it or would misread it; return what is then known."""
    from bulkload.readers import repair

    if file.calamine is not None and (survey.is_usual or file.excel is None):
        try:
            with translate_errors():
                return file.calamine.get_sheet_by_name(name), survey
        except RefusedError as refusal:
            if refusal.is_final or file.excel is None:
                raise
    if file.package is None or file.excel is None:
        raise InputError("the workbook is damaged; save or send it again.")
    surveys: list[WorksheetSurvey] = []

    def check(survey: WorksheetSurvey) -> None:
        _reject_too_large(name, survey)
        surveys.append(survey)

    with ExitStack() as stack:
        copy = repair.repaired_worksheet(file.package, file.excel, file.parts[name], check=check)
        calamine = load(stack, stack.enter_context(copy), file.format)
        with translate_errors():
            return calamine.get_sheet_by_name(repair.WORKSHEET_NAME), surveys[0] if surveys else survey


def _reject_too_large(name: str, survey: WorksheetSurvey) -> None:
    if survey.cells > sheet_scan.MAX_CELLS:
        raise InputError(
            f"the worksheet {name!r} spans {survey.cells:,} cells; {sheet_scan.MAX_CELLS:,} are allowed. "
            "Delete stray content far below or to the right of the table."
        )


def _survey(
    workbook: _Workbook, name: str, *, max_cells: int = sheet_scan.MAX_CELLS
) -> tuple[WorksheetSurvey, SheetLayout]:
    """Survey a worksheet and its layout, in one pass unless something is merged, hidden or unusual."""
    if name not in workbook.surveys:
        workbook.surveys[name] = _survey_once(workbook.file, name, max_cells=max_cells)
    return workbook.surveys[name]


def _survey_once(file: WorkbookFile, name: str, *, max_cells: int) -> tuple[WorksheetSurvey, SheetLayout]:
    if file.package is None:
        # an xls worksheet has at most 65,536 rows of 256 cells, so a scan is cheap
        return WorksheetSurvey(0, True), sheet_layout.layout_xls(biff.worksheet_records(file.path, _index(file, name)))
    if file.survey is not None:
        blocks = zip_package.read_blocks(file.package, CONTENT)
        return file.survey, layout_open_document(blocks, name) if file.has_layout else SheetLayout()
    if name not in file.parts:
        raise InputError(f"the workbook is damaged: the worksheet {name!r} is missing.")
    package, part = file.package, file.parts[name]
    blocks = zip_package.read_blocks(package, part)
    if file.format == "xlsb":
        binary_layout = sheet_layout.BinaryLayout()
        survey = sheet_scan.survey_binary(binary_layout.look_at(zip_package.binary_records(blocks)))
        return survey, binary_layout.complete()
    from bulkload.readers import sheet_patterns, sheet_xml

    signs = sheet_layout.LayoutSigns(sheet_layout.XML_SIGNS)
    survey = sheet_patterns.survey_xml(blocks, look=signs.look, is_uncalculated=_is_uncalculated(file))
    if survey.cells > max_cells:
        survey = survey._replace(cells=sheet_xml.count_cells_xml(zip_package.read_blocks(package, part)))
    is_rejected = survey.cells > max_cells  # by the caller, which needs no layout then
    if is_rejected or (survey.is_usual and not signs.found):
        return survey, SheetLayout()
    return survey, sheet_layout.layout_xml(zip_package.read_blocks(package, part))


def _index(file: WorkbookFile, name: str) -> int:
    return file.calamine.sheet_names.index(name) if file.calamine is not None else 0


def _unread_cells(file: WorkbookFile, name: str, survey: WorksheetSurvey) -> Iterator[UnreadCell]:
    from bulkload.readers import open_document, sheet_patterns, sheet_xml

    if file.package is None:
        return iter(sorted(biff.unread_cells_xls(file.path, _index(file, name)), key=lambda cell: cell.row))
    if file.format == "ods":
        return open_document.unread_cells_open_document(zip_package.read_blocks(file.package, CONTENT), name)
    blocks = zip_package.read_blocks(file.package, file.parts[name])
    if file.format == "xlsb":
        return sheet_scan.unread_cells_binary(blocks)
    if not survey.is_usual:
        return sheet_xml.unread_cells_xml(blocks)
    return sheet_patterns.unread_cells_usual(blocks, is_uncalculated=_is_uncalculated(file))


def _is_uncalculated(file: WorkbookFile) -> bool:
    return file.excel is not None and file.excel.is_uncalculated
