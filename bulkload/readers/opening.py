"""Open an input file as a source of rows.

In: a path. Out: a `Source` whose rows are a stream of text cells. Each spreadsheet format recognises its files by
content, never by name. A new format is one more line in `SPREADSHEET_FORMATS`. The configuration of another monitoring
tool, a file or a folder, is an input too; its readers are in `migration.tools`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from bulkload.errors import InputError, reading
from bulkload.model import RawRow, Source
from bulkload.monitors.header import is_own_header
from bulkload.readers import delimited, isolated
from bulkload.readers.foreign_files import describe_foreign_file
from bulkload.readers.table import IsHeader

HEAD_BYTES = 1 << 12  # bytes that a format may use to recognise a file

_TEXT_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".tab"})
_OTHER_FORMATS = {  # that are usual under a suffix: templates, and workbooks whose macros were removed
    **dict.fromkeys((".xlsm", ".xltx", ".xltm"), ("xlsx", "xlsm")),
    ".xlt": ("xls",),
    ".ots": ("ods",),
    **dict.fromkeys((".jsonl", ".ndjson"), ("json",)),
    ".yml": ("yaml",),
}
_ALLOWED = "Allowed are .csv, .tsv, .txt, .xlsx, .xlsm, .xls, .xlsb, .ods, .parquet, .json, .jsonl and .yaml"
_MAY_BE_JSON = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*[\[{]")

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # zip archives and the compound files of old Excel


class Opener(Protocol):
    """Open a recognised file; its rows can be read until the context ends."""

    def __call__(
        self,
        path: Path,
        *,
        sheet: str | None,
        is_header: IsHeader,
        headerless: bool,
        skip_hidden: bool,
        encoding: str | None,
        header_row: int | None,
    ) -> AbstractContextManager[Source]: ...


class SpreadsheetFormat(NamedTuple):
    """A family of file formats: how to recognise it from the first bytes, and how to open it."""

    recognises: Callable[[Path, bytes], bool]
    open: Opener


def _is_object_list(path: Path, head: bytes) -> bool:
    """True for a list of objects; its reader is not loaded for a table."""
    if not _may_be_object_list(path, head):
        return False
    from bulkload.readers.object_list import recognises

    return recognises(path, head)


def _may_be_object_list(path: Path, head: bytes) -> bool:
    return path.suffix.lower() in (".yaml", ".yml") or _MAY_BE_JSON.match(head) is not None


@contextmanager
def _open_object_list(path: Path, **options: Any) -> Iterator[Source]:
    from bulkload.readers.object_list import open_object_list

    with open_object_list(path, **options) as source:
        yield source


SPREADSHEET_FORMATS = (  # workbooks first: an uncompressed package begins almost like text
    SpreadsheetFormat(isolated.recognises, isolated.open_workbook),
    SpreadsheetFormat(_is_object_list, _open_object_list),
    SpreadsheetFormat(delimited.recognises, delimited.open_delimited),
)


@contextmanager
def open_source(
    path: Path,
    *,
    sheet: str | None = None,
    encoding: str | None = None,
    is_header: IsHeader,
    headerless: bool = False,
    skip_hidden: bool = False,
    tool: str | None = None,
    skip_private: bool = False,
    header_row: int | None = None,
) -> Iterator[Source]:
    """Open an input file. Raises `InputError` that names the file, on opening or while rows are read.

    `encoding` is the codec of a text file; without it, the encoding is detected. `is_header(cells)` returns true for a
    header with the required columns; without one, the row that is most like a header is it, or, if `headerless`, no
    row. `header_row` is the number of the header's row, if the user named it. `skip_hidden` leaves out the hidden rows
    and columns of a worksheet. `tool` names the tool whose configuration this is; without it, the tool is detected from
    the content. `skip_private` skips a tool's private hosts.
    """
    with _os_errors(path):
        is_configuration = tool is not None or _is_configuration(path)
    if is_configuration:
        from bulkload.migration.rules import Rules, configuration_source

        with _os_errors(path):
            source = configuration_source([path], tool=tool, rules=Rules(skip_private=skip_private), encoding=encoding)
        yield source
        return
    with ExitStack() as stack:
        with _errors_naming_file(path):
            spreadsheet_format = _format_of(path, encoding)
            open_file = spreadsheet_format.open
            source = stack.enter_context(
                open_file(
                    path,
                    sheet=sheet,
                    is_header=is_header,
                    headerless=headerless,
                    skip_hidden=skip_hidden,
                    encoding=encoding,
                    header_row=header_row,
                )
            )
        yield replace(source, rows=_rows_naming_file(source), notes=_suffix_notes(path, source) + source.notes)


def _is_configuration(path: Path) -> bool:
    """True for another tool's configuration; the readers of those are not loaded for a workbook or a table of ours."""
    document = None
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if head.startswith(_WORKBOOKS) or delimited.begins_with_header(head, is_own_header):
            return False
        if _may_be_object_list(path, head):
            from bulkload.migration.documents import Document
            from bulkload.readers.object_list import is_plain_list

            document = Document(path=path, name=path.name)
            if is_plain_list(document):
                return False
    from bulkload.migration.detect import is_configuration

    return is_configuration(path, document)


def _format_of(path: Path, encoding: str | None) -> SpreadsheetFormat:
    if path.is_dir():
        raise InputError(f"it is a folder, not a file. {_ALLOWED}.")
    if path.exists() and not path.is_file():
        raise InputError("it is a pipe or a device, but an input file is read more than once; save it as a file first.")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise InputError("the file is empty (0 bytes); a header and rows below it are required.")
    if description := describe_foreign_file(head):
        raise InputError(f"it is {description}. {_ALLOWED}.")
    heads = [head]
    if encoding is not None:  # text in UTF-16 or EBCDIC looks like binary data until it is decoded
        heads.append(head.decode(encoding, "ignore").encode("utf-8", "replace"))
    for first_bytes in heads:
        for spreadsheet_format in SPREADSHEET_FORMATS:
            if spreadsheet_format.recognises(path, first_bytes):
                return spreadsheet_format
    raise InputError(f"it is neither text nor a workbook. {_ALLOWED}.")


def _suffix_notes(path: Path, source: Source) -> tuple[str, ...]:
    """Return a note if the suffix of a file does not match its content."""
    suffix = path.suffix.lower()
    is_text = source.format == "csv"
    expected = suffix in _TEXT_SUFFIXES if is_text else source.format in (suffix[1:], *_OTHER_FORMATS.get(suffix, ()))
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
    """Translate errors of the operating system, and those that no reader expects, into one that names the file."""
    with reading(path.name):
        try:
            yield
        except FileNotFoundError as error:
            raise InputError(f"{path}: file not found.") from error
        except PermissionError as error:
            reason = "another program has it open, or " if sys.platform == "win32" else ""
            raise InputError(
                f"{path.name}: the file cannot be read ({error.strerror}): {reason}your user has no right to read it."
                " Change its permissions, or copy it to a folder of your own."
            ) from error
        except OSError as error:
            raise InputError(f"{path.name}: the file cannot be read ({error.strerror or error}).") from error
