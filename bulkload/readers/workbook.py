"""Read workbooks: xlsx, xlsm, xls, xlsb and ods.

In: a path. Out: a `Source` with the table of one worksheet. calamine is called directly, not through pandas: pandas
loads the worksheet into a data frame, takes nearly twice as long, and does not report which worksheets are hidden,
where the used range starts and which cells hold errors. Macros are never run.
"""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bulkload.errors import InputError
from bulkload.model import Source
from bulkload.monitors.result_columns import results_prefix
from bulkload.readers import biff, sheet_scan, zip_package
from bulkload.readers.cell_texts import cell_texts, fill_unread
from bulkload.readers.sheet_scan import UnreadCell, WorksheetSurvey
from bulkload.readers.table import IsHeader, Record, Table, find_table, raw_rows

if TYPE_CHECKING:
    import zipfile

    from python_calamine import CalamineSheet, CalamineWorkbook

    from bulkload.readers.excel_package import ExcelPackage

MAX_BYTES = 512 << 20  # bytes of a workbook's file

_ZIP = b"PK"
_CONTENT = "content.xml"  # the part of an OpenDocument package that holds its worksheets
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# OLE documents that cannot be read, recognised by the name of a stream that only they have
_FOREIGN_OLE = (
    ("EncryptedPackage", "a workbook protected by a password; save it without one"),
    ("WordDocument", "a Word document, not a workbook"),
    ("PowerPoint Document", "a PowerPoint presentation, not a workbook"),
    ("__substg1.0_", "an Outlook message, not a workbook"),
    ("VisioDocument", "a Visio drawing, not a workbook"),
    ("NativeContent_MAIN", "a Quattro Pro workbook; open it in a spreadsheet program and save it as .xlsx"),
)
_MAX_LISTED = 20  # names of worksheets that a message lists
# The largest workbook and worksheet that are read only to report that a further worksheet matches
_MAX_PREVIEW_BYTES, _MAX_PREVIEW_CELLS = 4 << 20, 1_000_000
_SHARED_PARTS = ("sharedstrings", "styles", "content")  # what calamine expands when it opens a workbook


def recognises(path: Path, head: bytes) -> bool:
    """True for a zip package or an OLE document; opening it checks whether it is a workbook."""
    return head.startswith((_ZIP + b"\x03\x04", _ZIP + b"\x05\x06", _OLE))


@contextmanager
def open_workbook(path: Path, *, sheet: str | None, is_header: IsHeader) -> Iterator[Source]:
    """Open a workbook as a source; its rows can be read until the context ends."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"the workbook has {size:,} bytes; {MAX_BYTES:,} are allowed.")
    with _open(path) as workbook:
        name, table = _select_worksheet(workbook, sheet, is_header)
        continuations = _continuations(workbook, name, table)
        details = {"sheet": name} if len(workbook.visible) + len(workbook.hidden) > 1 else {}
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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workbook:
    """An open workbook: as calamine reads it, and its zip package if it has one."""

    path: Path
    format: str
    calamine: CalamineWorkbook | None  # None for an Excel package that calamine refuses
    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    package: zipfile.ZipFile | None = None  # None for xls
    excel: ExcelPackage | None = None  # None for xls and ods
    parts: Mapping[str, str] = field(default_factory=dict)  # of an Excel package, by the name of the worksheet
    survey: WorksheetSurvey | None = None  # of all worksheets, for ods


@contextmanager
def _open(path: Path) -> Iterator[_Workbook]:
    from bulkload.readers import excel_package

    with ExitStack() as stack:
        with path.open("rb") as file:
            is_package = file.read(len(_ZIP)) == _ZIP
        if not is_package:
            _reject_foreign_ole(path)
            yield _from_calamine(_load(stack, path, "xls"), path, "xls")
            return
        package = stack.enter_context(zip_package.open_package(path))
        with zip_package.translate_damage():
            zip_package.check_size(package, path)
            if zip_package.is_open_document(package):
                part = None
            elif (part := excel_package.find_workbook_part(package)) is None:
                zip_package.reject_other_archive(package)
            _verify_shared_parts(package)
            if part is not None:
                excel = excel_package.read_excel_package(package, part)
        yield _open_open_document(stack, path, package) if part is None else _open_excel(stack, path, package, excel)


def _open_open_document(stack: ExitStack, path: Path, package: zipfile.ZipFile) -> _Workbook:
    """Open an OpenDocument spreadsheet; calamine reads all worksheets at once, if need be from a repaired copy."""
    from bulkload.readers import open_document, repair

    survey = open_document.survey_open_document(zip_package.read_blocks(package, _CONTENT))
    try:
        calamine = _load(stack, path, "ods") if survey.is_usual else None
    except _RefusedError as refusal:
        if refusal.is_final:
            raise
        calamine, survey = None, survey._replace(may_have_unread_cells=True)
    if calamine is None:
        calamine = _load(stack, stack.enter_context(repair.repaired_open_document(package, _CONTENT)), "ods")
    return replace(_from_calamine(calamine, path, "ods"), package=package, survey=survey)


def _open_excel(stack: ExitStack, path: Path, package: zipfile.ZipFile, excel: ExcelPackage) -> _Workbook:
    calamine = None
    if excel.has_usual_names:
        with suppress(_RefusedError):
            calamine = _load(stack, path, excel.format)
    return _Workbook(
        path=path,
        format=excel.format,
        calamine=calamine,
        visible=tuple(each.name for each in excel.worksheets if each.is_visible),
        hidden=tuple(each.name for each in excel.worksheets if not each.is_visible),
        package=package,
        excel=excel,
        parts={each.name: each.part for each in excel.worksheets if each.part is not None},
    )


def _load(stack: ExitStack, source: Path | IO[bytes], file_format: str) -> CalamineWorkbook:
    from python_calamine import load_workbook

    # calamine trusts the suffix of a path; for an open file, it checks the content
    if isinstance(source, Path) and source.suffix.lower() != f".{file_format}":
        source = stack.enter_context(source.open("rb"))
    with _translate_errors():
        return stack.enter_context(load_workbook(source))


def _from_calamine(calamine: CalamineWorkbook, path: Path, file_format: str) -> _Workbook:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    worksheets = [each for each in calamine.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    return _Workbook(
        path=path,
        format=file_format,
        calamine=calamine,
        visible=tuple(each.name for each in worksheets if each.visible == SheetVisibleEnum.Visible),
        hidden=tuple(each.name for each in worksheets if each.visible != SheetVisibleEnum.Visible),
    )


def _verify_shared_parts(package: zipfile.ZipFile) -> None:
    """Read the shared parts once, so that false sizes are rejected before calamine expands them."""
    for part in package.namelist():
        if part.lower().rpartition("/")[2].startswith(_SHARED_PARTS):
            for _ in zip_package.read_blocks(package, part):
                pass


def _reject_foreign_ole(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for stream, description in _FOREIGN_OLE:
            if content.find(stream.encode("utf-16-le")) >= 0:
                raise InputError(f"it is {description}.")


class _RefusedError(InputError):
    """calamine refuses a workbook; unless the refusal is final, a repaired copy may be read."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate calamine's exceptions, and its panics on damaged files, into `_RefusedError`."""
    from python_calamine import CalamineError, PasswordError

    try:
        yield
    except PasswordError as error:
        message = "the workbook is protected by a password; save it without one."
        raise _RefusedError(message, is_final=True) from error
    except CalamineError as error:
        if "Cell limit" in str(error):
            raise _RefusedError(f"a worksheet spans too many cells ({error}).", is_final=True) from error
        raise _RefusedError(f"the workbook is damaged or cut off ({error}); save or send it again.") from error
    except BaseException as error:
        # A panic in Rust code is not an Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise _RefusedError("the workbook is damaged; save or send it again.") from error


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
        with suppress(InputError):
            if name not in read and _survey(workbook, name, max_cells=_MAX_PREVIEW_CELLS).cells <= _MAX_PREVIEW_CELLS:
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
    """Return the table of a worksheet; None if the worksheet is empty."""
    survey = _survey(workbook, name)
    _reject_too_large(name, survey)
    worksheet, survey = _load_worksheet(workbook, name, survey)
    return find_table(_records(workbook, name, worksheet, survey), is_header)


def _records(workbook: _Workbook, name: str, worksheet: CalamineSheet, survey: WorksheetSurvey) -> Iterator[Record]:
    """Yield the rows of a worksheet, numbered as spreadsheet programs show them, with unread cells filled in."""
    start = worksheet.start
    first_column = start[1] if start else 0
    unread_cells = _unread_cells(workbook, name, survey) if survey.may_have_unread_cells else ()
    unread_rows = itertools.groupby(unread_cells, key=lambda cell: cell.row)
    unread = next(unread_rows, None)
    index = -1
    if start:
        # calamine's rows start at the first row of the worksheet, but at the first column with content
        for index, values in enumerate(worksheet.iter_rows()):
            texts, findings = cell_texts(values)
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


def _load_worksheet(workbook: _Workbook, name: str, survey: WorksheetSurvey) -> tuple[CalamineSheet, WorksheetSurvey]:
    """Load a worksheet, from a repaired copy if calamine refuses it or would misread it; return what is then known."""
    from bulkload.readers import repair

    if workbook.calamine is not None and (survey.is_usual or workbook.excel is None):
        try:
            with _translate_errors():
                return workbook.calamine.get_sheet_by_name(name), survey
        except _RefusedError as refusal:
            if refusal.is_final or workbook.excel is None:
                raise
    if workbook.package is None or workbook.excel is None:
        raise InputError("the workbook is damaged; save or send it again.")
    surveys: list[WorksheetSurvey] = []

    def check(survey: WorksheetSurvey) -> None:
        _reject_too_large(name, survey)
        surveys.append(survey)

    with ExitStack() as stack:
        copy = repair.repaired_worksheet(workbook.package, workbook.excel, workbook.parts[name], check=check)
        calamine = _load(stack, stack.enter_context(copy), workbook.format)
        with _translate_errors():
            return calamine.get_sheet_by_name(repair.WORKSHEET_NAME), surveys[0] if surveys else survey


def _reject_too_large(name: str, survey: WorksheetSurvey) -> None:
    if survey.cells > sheet_scan.MAX_CELLS:
        raise InputError(
            f"the worksheet {name!r} spans {survey.cells:,} cells; {sheet_scan.MAX_CELLS:,} are allowed. "
            "Delete stray content far below or to the right of the table."
        )


def _survey(workbook: _Workbook, name: str, *, max_cells: int = sheet_scan.MAX_CELLS) -> WorksheetSurvey:
    from bulkload.readers import sheet_patterns, sheet_xml

    if workbook.package is None:
        return WorksheetSurvey(0, True)  # an xls worksheet has at most 65,536 rows of 256 cells, so a scan is cheap
    if workbook.survey is not None:
        return workbook.survey
    if name not in workbook.parts:
        raise InputError(f"the workbook is damaged: the worksheet {name!r} is missing.")
    part = workbook.parts[name]
    if workbook.format == "xlsb":
        return sheet_scan.survey_binary(zip_package.binary_records(zip_package.read_blocks(workbook.package, part)))
    survey = sheet_patterns.survey_xml(zip_package.read_blocks(workbook.package, part))
    if survey.cells > max_cells:
        survey = survey._replace(cells=sheet_xml.count_cells_xml(zip_package.read_blocks(workbook.package, part)))
    return survey


def _unread_cells(workbook: _Workbook, name: str, survey: WorksheetSurvey) -> Iterator[UnreadCell]:
    from bulkload.readers import open_document, sheet_patterns, sheet_xml

    if workbook.package is None:
        names = workbook.calamine.sheet_names if workbook.calamine else []
        return iter(sorted(biff.unread_cells_xls(workbook.path, names.index(name)), key=lambda cell: cell.row))
    if workbook.format == "ods":
        return open_document.unread_cells_open_document(zip_package.read_blocks(workbook.package, _CONTENT), name)
    blocks = zip_package.read_blocks(workbook.package, workbook.parts[name])
    if workbook.format == "xlsb":
        return sheet_scan.unread_cells_binary(blocks)
    return sheet_patterns.unread_cells_usual(blocks) if survey.is_usual else sheet_xml.unread_cells_xml(blocks)
