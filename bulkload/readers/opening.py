"""Input files: a path goes in, a `Source` comes out whose rows are a stream of text cells.

A reader recognises a file by its content (never by its name) and translates it into a `Source`. Every reader is
asked; the one that says yes opens the file. A new format is one more line in `FORMATS`. The configuration of
another monitoring tool, a file or a folder, is an input as well; those readers are in `readers.tools`.
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

HEAD_BYTES = 1 << 12  # bytes that a reader may look at to recognise a file

_TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".tab"})
_ALLOWED = "Allowed are .csv, .tsv, .txt, .xlsx, .xlsm, .xls, .xlsb and .ods"

# What people send by mistake, by its first bytes, so that the message can name it
_FOREIGN = (
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"\s*<(!doctype\s+html|html|head|body|table)\b", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\s*<\?xml.*?(<\?mso-application|urn:schemas-microsoft-com:office:spreadsheet)", re.DOTALL),
     "an XML spreadsheet of 2003"),
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


class Open(Protocol):
    """Open a recognised file; its rows can be read while the context lasts."""

    def __call__(self, path: Path, *, sheet: str | None, is_header: IsHeader) -> AbstractContextManager[Source]: ...


class SpreadsheetFormat(NamedTuple):
    """One family of formats: how to tell it from the first bytes, and how to open it."""

    recognises: Callable[[Path, bytes], bool]
    open: Open


FORMATS = (
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
    """Open an input file; what cannot be read is an `InputError` that names the file, now or while rows are read.

    `is_header(cells)` says whether a row of cells is a header with the columns that are needed. `tool` names the
    tool whose configuration it is; without it the content decides. `skip_private` leaves out a tool's private hosts.
    """
    if tool is not None or _is_configuration(path):
        from bulkload.migration.rules import Rules, configuration_source

        yield configuration_source([path], tool=tool, rules=Rules(skip_private=skip_private))
        return
    with ExitStack() as stack:
        with _naming(path):
            reader = _reader_of(path)
            source = stack.enter_context(reader.open(path, sheet=sheet, is_header=is_header))
        yield replace(source, rows=_named_rows(source), notes=_surprise(path, source) + source.notes)


def _is_configuration(path: Path) -> bool:
    """Ask the readers of other tools, which are loaded only for what is no workbook."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) in _WORKBOOKS:
                return False
    from bulkload.migration.detect import is_configuration

    return is_configuration(path)


def _reader_of(path: Path) -> SpreadsheetFormat:
    if path.is_dir():
        raise InputError(f"it is a folder, not a file. {_ALLOWED}.")
    if path.exists() and not path.is_file():
        raise InputError("it is a pipe or a device, and an input is read more than once; save it as a file first.")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise InputError("the file is empty (0 bytes); a header and rows below it are needed.")
    for pattern, what in _FOREIGN:
        if pattern.match(head.removeprefix(_BOM)):
            raise InputError(f"it is {what}, not a spreadsheet. {_ALLOWED}.")
    able = [reader for reader in FORMATS if reader.recognises(path, head)]
    if len(able) != 1:
        raise InputError(f"it is neither text nor a workbook. {_ALLOWED}.")
    return able[0]


def _surprise(path: Path, source: Source) -> tuple[str, ...]:
    """Say so when the name of a file promises something else than its content."""
    suffix = path.suffix.lower()
    is_text = source.format == "csv"
    expected = suffix in _TEXT_SUFFIXES if is_text else suffix == f".{source.format}"
    if expected or not suffix:
        return ()
    return (f"The name ends in {suffix}, but the content is {source.format.upper()} and was read as that.",)


def _named_rows(source: Source) -> Iterator[RawRow]:
    with _naming(source.path):
        yield from source.rows


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it, and translate what the operating system says."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error.__cause__
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file.") from error
    except OSError as error:
        raise InputError(f"{path.name}: the file cannot be read ({error.strerror or error}).") from error
