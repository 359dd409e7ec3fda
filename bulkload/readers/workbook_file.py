"""Open the file of a workbook: prove that calamine can be trusted with it, and let calamine open it.

In: a path. Out: a `WorkbookFile`. What would make calamine run forever or take all memory is rejected before; what it
refuses although spreadsheet programs open it is opened from a repaired copy.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bulkload.errors import InputError
from bulkload.readers import biff, sheet_layout, sheet_scan, zip_package
from bulkload.readers.sheet_scan import WorksheetSurvey

if TYPE_CHECKING:
    import zipfile

    from python_calamine import CalamineWorkbook

    from bulkload.readers.excel_package import ExcelPackage

CONTENT = "content.xml"  # the part of an OpenDocument package that holds its worksheets

_ZIP = b"PK"
# OLE documents that cannot be read, recognised by the name of a stream that only they have
_FOREIGN_OLE = (
    ("EncryptedPackage", "a workbook protected by a password; save it without one"),
    ("WordDocument", "a Word document, not a workbook"),
    ("PowerPoint Document", "a PowerPoint presentation, not a workbook"),
    ("__substg1.0_", "an Outlook message, not a workbook"),
    ("VisioDocument", "a Visio drawing, not a workbook"),
    ("NativeContent_MAIN", "a Quattro Pro workbook; open it in a spreadsheet program and save it as .xlsx"),
)
_SHARED_PARTS = ("sharedstrings", "styles", "content")  # what calamine expands when it opens a workbook
_TEXT_COUNT = re.compile(rb"""<(?:\w+:)?sst\s[^>]*?\buniqueCount\s*=\s*["'](\d{1,20})""")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbookFile:
    """An open workbook: as calamine reads it, and its zip package if it has one."""

    path: Path
    format: str
    calamine: CalamineWorkbook | None  # None for an Excel package that calamine refuses
    visible: tuple[str, ...]  # worksheets
    hidden: tuple[str, ...]
    package: zipfile.ZipFile | None = None  # None for xls
    excel: ExcelPackage | None = None  # None for xls and ods
    parts: Mapping[str, str] = field(default_factory=dict)  # of an Excel package, by the name of the worksheet
    survey: WorksheetSurvey | None = None  # of all worksheets, for ods
    has_layout: bool = False  # an ods has signs of merged or hidden cells


@contextmanager
def open_workbook_file(path: Path) -> Iterator[WorkbookFile]:
    """Open a workbook until the context ends. Raises `InputError`."""
    from bulkload.readers import excel_package

    with ExitStack() as stack:
        with path.open("rb") as file:
            is_package = file.read(len(_ZIP)) == _ZIP
        if not is_package:
            _reject_foreign_ole(path)
            biff.reject_circles(path)
            yield _from_calamine(load(stack, path, "xls"), path, "xls")
            return
        package = stack.enter_context(zip_package.open_package(path))
        with zip_package.translate_damage():
            zip_package.check_size(package, path)
            if zip_package.is_open_document(package):
                part = None
                _verify_shared_parts(package)
            elif (part := excel_package.find_workbook_part(package)) is None:
                zip_package.reject_other_archive(package)
            else:
                excel = excel_package.read_excel_package(package, part)
                _verify_shared_parts(package, excel.strings)
        yield _open_open_document(stack, path, package) if part is None else _open_excel(stack, path, package, excel)


def _open_open_document(stack: ExitStack, path: Path, package: zipfile.ZipFile) -> WorkbookFile:
    """Open an OpenDocument spreadsheet; calamine reads all worksheets at once, if need be from a repaired copy."""
    from bulkload.readers import open_document, repair

    signs = sheet_layout.LayoutSigns(sheet_layout.OPEN_DOCUMENT_SIGNS)
    blocks = signs.look_at(zip_package.read_blocks(package, CONTENT))
    survey = open_document.survey_open_document(blocks)
    for _ in blocks:  # a survey may end early
        pass
    has_layout = signs.found or not survey.is_usual
    try:
        calamine = load(stack, path, "ods") if survey.is_usual else None
    except RefusedError as refusal:
        if refusal.is_final:
            raise
        calamine, survey = None, survey._replace(may_have_unread_cells=True)
    if calamine is None:
        calamine = load(stack, stack.enter_context(repair.repaired_open_document(package, CONTENT)), "ods")
    return replace(_from_calamine(calamine, path, "ods"), package=package, survey=survey, has_layout=has_layout)


def _open_excel(stack: ExitStack, path: Path, package: zipfile.ZipFile, excel: ExcelPackage) -> WorkbookFile:
    calamine = None
    if excel.has_usual_names:
        with suppress(RefusedError):
            calamine = load(stack, path, excel.format)
    return WorkbookFile(
        path=path,
        format=excel.format,
        calamine=calamine,
        visible=tuple(each.name for each in excel.worksheets if each.is_visible),
        hidden=tuple(each.name for each in excel.worksheets if not each.is_visible),
        package=package,
        excel=excel,
        parts={each.name: each.part for each in excel.worksheets if each.part is not None},
    )


def load(stack: ExitStack, source: Path | IO[bytes], file_format: str) -> CalamineWorkbook:
    """Let calamine open a workbook until the stack ends. Raises `RefusedError`."""
    from python_calamine import load_workbook

    # calamine trusts the suffix of a path, which has to be Unicode; for an open file, it checks the content
    if isinstance(source, Path) and not (source.suffix.lower() == f".{file_format}" and _is_unicode(source)):
        source = stack.enter_context(source.open("rb"))
    with translate_errors():
        return stack.enter_context(load_workbook(source))


def _is_unicode(path: Path) -> bool:
    return os.fsencode(path) == str(path).encode(errors="replace")


def _from_calamine(calamine: CalamineWorkbook, path: Path, file_format: str) -> WorkbookFile:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    worksheets = [each for each in calamine.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    return WorkbookFile(
        path=path,
        format=file_format,
        calamine=calamine,
        visible=tuple(each.name for each in worksheets if each.visible == SheetVisibleEnum.Visible),
        hidden=tuple(each.name for each in worksheets if each.visible != SheetVisibleEnum.Visible),
    )


def _verify_shared_parts(package: zipfile.ZipFile, texts: str | None = None) -> None:
    """Read the shared parts once, so that what calamine would trust is rejected before it opens the workbook.

    `texts` is the part with the texts of cells, if it has another name than usual.
    """
    for part in package.namelist():
        if part == texts or part.lower().rpartition("/")[2].startswith(_SHARED_PARTS):
            blocks = zip_package.read_blocks(package, part)
            if part == CONTENT:
                _verify_complete(blocks)
                continue
            declared = _TEXT_COUNT.search(next(blocks, b""))
            if declared and int(declared[1]) > sheet_scan.MAX_CELLS:
                raise InputError(f"the workbook is damaged: its part {part} declares {int(declared[1]):,} texts.")
            for _ in blocks:  # a false size is rejected
                pass


def _verify_complete(blocks: Iterable[bytes]) -> None:
    """Reject an XML document that ends inside of an element, where calamine would search for the end forever."""
    parser = sheet_scan.xml_parser()
    for block in blocks:
        sheet_scan.feed(parser, block)
    sheet_scan.feed(parser, b"", is_last=True)


def _reject_foreign_ole(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for stream, description in _FOREIGN_OLE:
            if content.find(stream.encode("utf-16-le")) >= 0:
                raise InputError(f"it is {description}.")


class RefusedError(InputError):
    """calamine refuses a workbook; unless the refusal is final, a repaired copy may be read."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate calamine's exceptions, and its panics on damaged files, into `RefusedError`."""
    from python_calamine import CalamineError, PasswordError

    try:
        yield
    except PasswordError as error:
        message = "the workbook is protected by a password; save it without one."
        raise RefusedError(message, is_final=True) from error
    except CalamineError as error:
        if "Cell limit" in str(error):
            raise RefusedError(f"a worksheet spans too many cells ({error}).", is_final=True) from error
        raise RefusedError(f"the workbook is damaged or cut off ({error}); save or send it again.") from error
    except BaseException as error:
        # A panic in Rust code is not an Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise RefusedError("the workbook is damaged; save or send it again.") from error
