"""The Excel family (xlsx, xlsm, xls, xlsb, ods): a workbook goes in, the table of one sheet comes out.

calamine is asked directly and not through pandas: pandas collects the whole sheet as a data frame, needs nearly
twice the time, and hides which sheets are hidden, where the used range starts and which cells hold errors.
Macros are never run: nothing here can.
"""

from __future__ import annotations

import datetime
import itertools
import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import InputError
from bulkload.model import Issue, Source
from bulkload.monitors.result_columns import results_prefix
from bulkload.readers import biff, sheet_scan, zip_package
from bulkload.readers.sheet_scan import SheetSurvey, UnreadCell
from bulkload.readers.table import MAX_COLUMNS, IsHeader, Record, Table, find_table, raw_rows

if TYPE_CHECKING:
    import zipfile

    from python_calamine import CalamineWorkbook

MAX_BYTES = 512 << 20  # bytes of a workbook as it lies on the disk
EXACT_FROM = 1e15  # Excel keeps 15 digits of a number, so those from here on may have lost some

_ZIP = b"PK"
_CONTENT = "content.xml"  # where an OpenDocument package has its sheets
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# What OLE documents have inside, by the name of a stream that only they have
_OLE_FOREIGN = (
    ("EncryptedPackage", "a workbook protected by a password; save it without one"),
    ("WordDocument", "a Word document, not a workbook"),
    ("PowerPoint Document", "a PowerPoint presentation, not a workbook"),
    ("__substg1.0_", "an Outlook message, not a workbook"),
)
_SHOWN_SHEETS = 20  # names of sheets that a message lists
_GLANCED_BYTES, _GLANCED_CELLS = 4 << 20, 1_000_000  # of a workbook and its sheet, opened only to say that it fits too
_SHARED_PARTS = ("sharedstrings", "styles", "content")  # what calamine expands on opening, besides the list of sheets

Value = int | float | str | bool | datetime.time | datetime.date | datetime.datetime | datetime.timedelta


def recognises(path: Path, head: bytes) -> bool:
    """Say whether a file is a zip package or an OLE document; which of them are workbooks is said on opening."""
    return head.startswith((_ZIP + b"\x03\x04", _ZIP + b"\x05\x06", _OLE))


@contextmanager
def open_workbook(path: Path, *, sheet: str | None, is_header: IsHeader) -> Iterator[Source]:
    """Open a workbook as a source; its rows can be read while the context lasts."""
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"the workbook has {size:,} bytes; {MAX_BYTES:,} are allowed.")
    with _opened(path) as book:
        name, table = _choose(book, sheet, is_header)
        pages = _continuations(book, name, table)
        details = {"sheet": name} if len(book.visible) + len(book.hidden) > 1 else {}
        if sheet is None and (others := _also_fitting(book, (name, *pages), is_header)):
            details["other sheets"] = f"also fits: {', '.join(others)}"
        yield Source(
            path=path,
            name=path.name,
            format=book.kind,
            header=table.header,
            rows=raw_rows(replace(table, records=_with_pages(book, table, pages)), ragged=False),
            details=details,
            notes=_notes(book, name, table, pages),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workbook:
    """An opened workbook: calamine's view of it, and its package where it has one."""

    path: Path
    kind: str
    calamine: CalamineWorkbook
    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    package: zipfile.ZipFile | None  # None for xls
    parts: Mapping[str, str]  # of an Excel package: where each sheet is


@contextmanager
def _opened(path: Path) -> Iterator[_Workbook]:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum, load_workbook

    with ExitStack() as stack:
        zipped: zipfile.ZipFile | None = None
        kind, parts = "xls", dict[str, str]()
        with path.open("rb") as file:
            is_package = file.read(len(_ZIP)) == _ZIP
        if is_package:
            zipped = stack.enter_context(zip_package.opened(path))
            with zip_package.damage_translated():
                kind = zip_package.kind_of(zipped)
                zip_package.guard(zipped, path)
                parts = {} if kind == "ods" else zip_package.sheet_parts(zipped, kind)
                _prove_sizes(zipped)
        else:
            _refuse_foreign_ole(path)
        # calamine believes the suffix of a path; given a file, it looks at the content
        honest = path.suffix.lower() == f".{kind}"
        with _translated():
            calamine = stack.enter_context(load_workbook(path if honest else stack.enter_context(path.open("rb"))))
            sheets = [each for each in calamine.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
        yield _Workbook(
            path=path,
            kind=kind,
            calamine=calamine,
            visible=tuple(each.name for each in sheets if each.visible == SheetVisibleEnum.Visible),
            hidden=tuple(each.name for each in sheets if each.visible != SheetVisibleEnum.Visible),
            package=zipped,
            parts=parts,
        )


def _prove_sizes(zipped: zipfile.ZipFile) -> None:
    """Read the shared parts once, so that a package that lies about their size is refused before calamine."""
    for part in zipped.namelist():
        if part.lower().rpartition("/")[2].startswith(_SHARED_PARTS):
            for _ in zip_package.blocks(zipped, part):
                pass


def _refuse_foreign_ole(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for name, what in _OLE_FOREIGN:
            if content.find(name.encode("utf-16-le")) >= 0:
                raise InputError(f"it is {what}.")


@contextmanager
def _translated() -> Iterator[None]:
    """Translate what calamine raises, also when it loses its footing on a damaged file."""
    from python_calamine import CalamineError, PasswordError

    try:
        yield
    except PasswordError as error:
        raise InputError("the workbook is protected by a password; save it without one.") from error
    except CalamineError as error:
        if "Cell limit" in str(error):
            raise InputError(f"a sheet of the workbook reaches over too many cells ({error}).") from error
        raise InputError(f"the workbook is damaged or cut off ({error}); save or send it again.") from error
    except BaseException as error:
        # A panic in Rust code is no Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise InputError("the workbook is damaged; save or send it again.") from error


def _choose(book: _Workbook, wanted: str | None, is_header: IsHeader) -> tuple[str, Table]:
    """Return the sheet asked for, else the first visible one with the columns that are needed."""
    fallback: tuple[str, Table] | None = None
    for name in book.visible if wanted is None else (_named(book, wanted),):
        table = find_table(_records(book, name), is_header)
        if table is None:
            continue
        if table.recognised:
            return name, table
        fallback = fallback or (name, table)
    if fallback is None:
        where = "no visible sheet has" if wanted is None else f"the sheet {wanted!r} does not have"
        raise InputError(f"{where} any content; a header and rows below it are needed.{_mention(book.hidden)}")
    return fallback


def _also_fitting(book: _Workbook, read: Sequence[str], is_header: IsHeader) -> list[str]:
    """Name the sheets that could have been meant as well; one that is large or cannot be read is not looked at."""
    if book.path.stat().st_size > _GLANCED_BYTES:
        return []
    fitting = []
    for name in book.visible[book.visible.index(read[0]) + 1 :][:_SHOWN_SHEETS]:
        with suppress(InputError):
            if name not in read and _survey(book, name, most=_GLANCED_CELLS).cells <= _GLANCED_CELLS:
                table = find_table(_records(book, name), is_header)
                if table is not None and table.recognised:
                    fitting.append(name)
    return fitting


def _named(book: _Workbook, wanted: str) -> str:
    names = book.visible + book.hidden
    for name in names:
        if name == wanted:
            return name
    for name in names:  # no two sheets differ in case only
        if name.casefold() == wanted.strip().casefold():
            return name
    shown = ", ".join(repr(name) for name in names[:_SHOWN_SHEETS])
    raise InputError(f"there is no sheet {wanted!r}; the workbook has {shown}.")


def _mention(hidden: Sequence[str]) -> str:
    if not hidden:
        return ""
    names = ", ".join(repr(name) for name in hidden[:_SHOWN_SHEETS])
    return f" Hidden sheets were not looked at: {names}."


def _notes(book: _Workbook, name: str, table: Table, pages: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if hidden := [other for other in book.hidden if other != name and other not in pages]:
        notes.append(_mention(hidden).strip())
    if table.skipped:
        notes.append(f"The header was found in row {table.header_number}; what stands above it was left out.")
    if pages:
        names = ", ".join(repr(page) for page in pages)
        notes.append(f"The sheet goes on in {names}, whose rows are numbered on from its last one.")
    if book.kind == "xlsm":
        notes.append("The workbook has macros, which are never run.")
    return tuple(notes)


def _continuations(book: _Workbook, name: str, table: Table) -> list[str]:
    """Name the further pages of a results workbook.

    Only of those: Excel gives a sheet that a person copied the same kind of name, and a forgotten copy must not
    be sent to the account.
    """
    if results_prefix(table.header) is None:
        return []
    names = set(book.visible + book.hidden)
    return list(itertools.takewhile(names.__contains__, (f"{name} ({page})" for page in itertools.count(2))))


def _with_pages(book: _Workbook, table: Table, pages: Sequence[str]) -> Iterator[Record]:
    last = table.header_number
    for record in table.records:
        last = record.number
        yield record
    for page in pages:
        below = find_table(_records(book, page), lambda cells: tuple(cells) == table.header)
        if below is None or not below.recognised:
            raise InputError(f"the sheet {page!r} does not continue the columns of the worksheets before it.")
        offset = last - below.header_number
        for record in below.records:
            last = record.number + offset
            yield record._replace(number=last)


def _records(book: _Workbook, name: str) -> Iterator[Record]:
    """Yield the rows of a sheet by the numbers that a spreadsheet program shows, lost cells filled in."""
    survey = _survey(book, name)
    _refuse_too_large(name, survey)
    with _translated():
        sheet = book.calamine.get_sheet_by_name(name)
    start = sheet.start
    left = start[1] if start else 0
    waiting = itertools.groupby(_unread_cells(book, name) if survey.suspicious else (), key=lambda cell: cell.row)
    ahead = next(waiting, None)
    index = -1
    if start:
        # calamine's rows begin in the first row of the sheet, but in the first column with content
        for index, values in enumerate(sheet.iter_rows()):
            texts, findings = _texts(values)
            if ahead and ahead[0] == index:
                _fill(texts, findings, ahead[1], left)
                ahead = next(waiting, None)
            yield Record(index + 1, texts, findings)
    while ahead:  # rows that have nothing else
        texts, findings = [], []
        if ahead[0] > index:
            _fill(texts, findings, ahead[1], left)
            yield Record(ahead[0] + 1, texts, findings)
        ahead = next(waiting, None)


def _refuse_too_large(name: str, survey: SheetSurvey) -> None:
    if survey.cells > sheet_scan.MAX_CELLS:
        raise InputError(
            f"the sheet {name!r} reaches over {survey.cells:,} cells; {sheet_scan.MAX_CELLS:,} are allowed. "
            "Delete stray content far below or to the right of the table."
        )


def _survey(book: _Workbook, name: str, *, most: int = sheet_scan.MAX_CELLS) -> SheetSurvey:
    if book.package is None:
        return SheetSurvey(0, True)  # an xls sheet ends at 65,536 rows and 256 columns; looking twice is cheap
    if book.kind == "ods":
        return sheet_scan.survey_open_document(zip_package.blocks(book.package, _CONTENT))
    if name not in book.parts:
        raise InputError(f"the workbook is damaged: the sheet {name!r} is missing.")
    part = book.parts[name]
    if book.kind == "xlsb":
        return sheet_scan.survey_binary(zip_package.blocks(book.package, part))
    survey = sheet_scan.survey_xml(zip_package.blocks(book.package, part))
    if survey.cells > most:
        survey = survey._replace(cells=sheet_scan.exact_cells_xml(zip_package.blocks(book.package, part)))
    return survey


def _unread_cells(book: _Workbook, name: str) -> Iterator[UnreadCell]:
    if book.package is None:
        return biff.unread_cells_xls(book.path, book.calamine.sheet_names.index(name))
    if book.kind == "ods":
        return sheet_scan.unread_cells_open_document(zip_package.blocks(book.package, _CONTENT), name)
    blocks = zip_package.blocks(book.package, book.parts[name])
    return sheet_scan.unread_cells_binary(blocks) if book.kind == "xlsb" else sheet_scan.unread_cells_xml(blocks)


def _fill(texts: list[str], findings: list[tuple[int | None, Issue]], cells: Iterable[UnreadCell], left: int) -> None:
    """Put the lost cells of one row into it, each with its issue."""
    for cell in cells:
        index = cell.column - left
        if not 0 <= index < MAX_COLUMNS:
            continue
        texts.extend([""] * (index + 1 - len(texts)))
        texts[index] = texts[index] or cell.error
        if cell.error:
            message = f"The cell shows the error {cell.error}; a value is needed."
            findings.append((index, Issue(code="cell.error", message=message, value=cell.error)))
        else:
            message = (
                "The formula in this cell has no stored value; open and save the file in a spreadsheet program, "
                "or put the value itself there."
            )
            findings.append((index, Issue(code="cell.formula", message=message)))


def _texts(values: Sequence[Value]) -> tuple[list[str], list[tuple[int | None, Issue]]]:
    try:
        return [value if type(value) is str else _exact_text(value) for value in values], []
    except _Inexact:
        texts = list(map(_text, values))
    findings: list[tuple[int | None, Issue]] = []
    for index, (value, text) in enumerate(zip(values, texts, strict=True)):
        if _is_inexact(value):
            message = (
                f"The number {text} has more digits than a spreadsheet keeps (15), so some may be lost; "
                "format the cell as text and type it again."
            )
            findings.append((index, Issue(code="cell.precision", message=message, value=text)))
    return texts, findings


class _Inexact(Exception):
    """A number may have lost digits."""


@lru_cache(maxsize=4096, typed=True)
def _exact_text(value: Value) -> str:
    if _is_inexact(value):
        raise _Inexact
    return _text(value)


def _is_inexact(value: Value) -> bool:
    return isinstance(value, (float, int)) and not -EXACT_FROM < value < EXACT_FROM


def _text(value: Value) -> str:
    """Return a value as people would type it."""
    if isinstance(value, float):
        if value.is_integer() and not _is_inexact(value):
            return str(int(value))
        return repr(value).removesuffix(".0").upper()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(int(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat()
    return str(value)
