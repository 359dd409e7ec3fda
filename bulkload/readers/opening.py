"""Open an input file as a source of rows.

In: a path. Out: a `Source` whose rows are a stream of text cells. Each spreadsheet format recognises its files by
content, never by name; exactly one must match. A new format is one more line in `SPREADSHEET_FORMATS`. The
configuration of another monitoring tool, a file or a folder, is an input too; its readers are in `migration.tools`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.readers import delimited, workbook
from bulkload.readers.table import IsHeader

HEAD_BYTES = 1 << 12  # bytes that a format may use to recognise a file

_TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".tab"})
_ALLOWED = "Allowed are .csv, .tsv, .txt, .xlsx, .xlsm, .xls, .xlsb and .ods"

# Files sent by mistake, recognised by their first bytes so that the message can name them
_FOREIGN_SIGNATURES = (
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"\s*<(!doctype\s+html|html|head|body|table)\b", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\s*<\?xml.*?(<\?mso-application|urn:schemas-microsoft-com:office:spreadsheet)", re.DOTALL),
     "an XML spreadsheet of Excel 2003"),
    (re.compile(rb"\s*<(\?xml\b|!DOCTYPE\b)", re.IGNORECASE), "an XML document"),
    (re.compile(rb"\{\\rtf"), "a rich text document"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive"),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8"), "a picture"),
    (re.compile(rb"SQLite format 3\x00"), "an SQLite database"),
    (re.compile(rb"PAR1"), "a Parquet file"),
    (re.compile(rb"\x09[\x00\x02\x04]\x04\x00|\x09\x00\x06\x00"), "an Excel workbook of version 4 or older"),
)  # fmt: skip
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # zip archives and the compound files of old Excel
_BOM = b"\xef\xbb\xbf"


class Opener(Protocol):
    """Open a recognised file; its rows can be read until the context ends."""

    def __call__(self, path: Path, *, sheet: str | None, is_header: IsHeader) -> AbstractContextManager[Source]: ...


class SpreadsheetFormat(NamedTuple):
    """A family of file formats: how to recognise it from the first bytes, and how to open it."""

    recognises: Callable[[Path, bytes], bool]
    open: Opener


SPREADSHEET_FORMATS = (
    SpreadsheetFormat(workbook.recognises, workbook.open_workbook),
    SpreadsheetFormat(delimited.recognises, delimited.open_delimited),
)


@contextmanager
def open_source(
    path: Path,
    *,
    sheet: str | None = None,
    is_header: IsHeader,
    tool: str | None = None,
    skip_private: bool = False,
) -> Iterator[Source]:
    """Open an input file. Raises `InputError` that names the file, on opening or while rows are read.

    `is_header(cells)` returns true for a header with the required columns. `tool` names the tool whose configuration
    this is; without it, the tool is detected from the content. `skip_private` skips a tool's private hosts.
    """
    with _os_errors(path):
        is_configuration = tool is not None or _is_configuration(path)
    if is_configuration:
        from bulkload.migration.rules import Rules, configuration_source

        with _os_errors(path):
            source = configuration_source([path], tool=tool, rules=Rules(skip_private=skip_private))
        yield source
        return
    with ExitStack() as stack:
        with _errors_naming_file(path):
            spreadsheet_format = _format_of(path)
            source = stack.enter_context(spreadsheet_format.open(path, sheet=sheet, is_header=is_header))
        yield replace(source, rows=_rows_naming_file(source), notes=_suffix_notes(path, source) + source.notes)


def _is_configuration(path: Path) -> bool:
    """True for the configuration of another tool; the readers of those are not loaded for a workbook."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) in _WORKBOOKS:
                return False
    from bulkload.migration.detect import is_configuration

    return is_configuration(path)


def _format_of(path: Path) -> SpreadsheetFormat:
    if path.is_dir():
        raise InputError(f"it is a folder, not a file. {_ALLOWED}.")
    if path.exists() and not path.is_file():
        raise InputError("it is a pipe or a device, but an input file is read more than once; save it as a file first.")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise InputError("the file is empty (0 bytes); a header and rows below it are required.")
    for pattern, description in _FOREIGN_SIGNATURES:
        if pattern.match(head.removeprefix(_BOM)):
            raise InputError(f"it is {description}, not a spreadsheet. {_ALLOWED}.")
    matches = [each for each in SPREADSHEET_FORMATS if each.recognises(path, head)]
    if len(matches) != 1:
        raise InputError(f"it is neither text nor a workbook. {_ALLOWED}.")
    return matches[0]


def _suffix_notes(path: Path, source: Source) -> tuple[str, ...]:
    """Return a note if the suffix of a file does not match its content."""
    suffix = path.suffix.lower()
    is_text = source.format == "csv"
    expected = suffix in _TEXT_SUFFIXES if is_text else suffix == f".{source.format}"
    if expected or not suffix:
        return ()
    return (f"The name ends in {suffix}, but the file was read as {source.format.upper()} because of its content.",)


def _rows_naming_file(source: Source) -> Iterator[RawRow]:
    with _errors_naming_file(source.path):
        yield from source.rows


@contextmanager
def _errors_naming_file(path: Path) -> Iterator[None]:
    """Prefix an `InputError` with the file's name, and translate errors of the operating system into one."""
    with _os_errors(path):
        try:
            yield
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from error.__cause__


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    """Translate errors of the operating system into an `InputError` that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: file not found.") from error
    except OSError as error:
        raise InputError(f"{path.name}: the file cannot be read ({error.strerror or error}).") from error
