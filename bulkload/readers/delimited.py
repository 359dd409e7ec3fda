"""Read delimited text files: CSV, TSV and the like.

In: a path. Out: a `Source`, read one record at a time. Encoding and delimiter are detected automatically and shown in
`Source.details`. A record is one row as a spreadsheet program shows it, so a quoted line break does not start a new
one. A faulty row (quotes, bytes that cannot be decoded) gets an issue; reading continues with the next row.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from bulkload.errors import InputError
from bulkload.files.delimiters import DELIMITERS
from bulkload.files.xlsx import CELL_UNITS
from bulkload.model import Issue, Source
from bulkload.monitors.header import header_score
from bulkload.monitors.result_columns import results_prefix
from bulkload.readers.encoding import Encoding, detect_encoding, encoding_issue, header_doubts
from bulkload.readers.table import (
    HEADER_SEARCH_ROWS,
    IsHeader,
    Record,
    clean_header,
    find_table,
    has_content,
    raw_rows,
    restored_formulas,
)

MAX_BYTES = 4 << 30  # bytes of a file
MAX_LINE = 1 << 20  # characters of one line
MAX_RECORD = 4 << 20  # characters of one record, quoted line breaks included
_HEAD = 1 << 16  # characters used to detect the delimiter

_MARK = "\ufeff"  # a byte order mark; the first one of a file is part of its encoding
_END_OF_FILE = "\x1a"  # Ctrl-Z, with which programs for DOS end a file
# Excel may have filled it up with delimiters
_SEP_LINE = re.compile(r'"?sep=(\\t|[^"\r\n\\])"?\1* *(?=[\r\n]|\Z)', re.IGNORECASE)
_UNWANTED_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x19\x1b-\x1f]")
_BINARY_SHARE = 0.02  # of a file's first bytes; with more control characters it is not text


def recognises(path: Path, head: bytes) -> bool:
    """True if these first bytes of a file are text."""
    if not head or head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return bool(head)
    zeros = max(head[::2].count(0), head[1::2].count(0))
    other_zeros = head.count(0) - zeros
    looks_utf16 = zeros > 0.4 * len(head) / 2 and other_zeros < 0.1 * len(head) / 2
    controls = len(_UNWANTED_CONTROL.findall(head)) + (0 if looks_utf16 else head.count(0))
    return controls <= max(2, _BINARY_SHARE * len(head))


def begins_with_header(head: bytes, is_header: IsHeader) -> bool:
    """True if these first bytes of a file begin with a header in UTF-8, whatever its delimiter."""
    line = head.removeprefix(codecs.BOM_UTF8).partition(b"\n")[0].decode("utf-8", "replace").rstrip()
    return any(is_header(clean_header(row)) for delimiter in DELIMITERS for row in _first_rows(line, delimiter))


@contextmanager
def open_delimited(
    path: Path,
    *,
    sheet: str | None,
    is_header: IsHeader,
    headerless: bool = False,
    skip_hidden: bool = False,
    encoding: str | None = None,
    header_row: int | None = None,
) -> Iterator[Source]:
    """Open a text file as a source; its rows can be read until the context ends."""
    if sheet is not None:
        raise InputError(f"the worksheet {sheet!r} was requested, but a text file has no worksheets.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"the file has {size:,} bytes; {MAX_BYTES:,} are allowed.")
    detected = detect_encoding(path, encoding)
    with _open(path, detected) as file:
        head = file.read(_HEAD).lstrip(_MARK)
    separator = _SEP_LINE.match(head)
    delimiter = separator[1].replace("\\t", "\t") if separator else _detect_delimiter(head, path.suffix, is_header)
    has_spaces = _has_spaces_before_quotes(head, delimiter)
    with _open(path, detected) as file:
        if separator:
            file.readline()  # spreadsheet programs do not show this line as a row
        records = _records(file, delimiter, detected, has_spaces=has_spaces)
        table = find_table(records, is_header, headerless=headerless, header_row=header_row)
        if table is None:
            raise InputError("the file has only blank rows; a header and rows below it are required.")
        header, rows = table.header, raw_rows(table, ragged=True)
        if results_prefix(header) is not None:
            header, rows = restored_formulas(header, rows)
        yield Source(
            path=path,
            name=path.name,
            format="csv",
            header=header,
            rows=rows,
            details={"encoding": detected.label, "delimiter": DELIMITERS.get(delimiter, repr(delimiter))},
            header_place=f"row {table.header_number}" if table.header_number > 1 else "",
            notes=_notes(table.skipped, table.header_number),
            header_doubts=table.unread_names | header_doubts(table.findings, len(header)),
        )


def _open(path: Path, encoding: Encoding) -> TextIO:
    return path.open(encoding=encoding.codec, errors=encoding.errors, newline="")


def _notes(skipped: Sequence[int], header_number: int) -> tuple[str, ...]:
    if not skipped:
        return ()
    return (f"The header was found in row {header_number}; the rows above it were ignored.",)


def _detect_delimiter(head: str, suffix: str, is_header: IsHeader) -> str:
    """Return the delimiter that produces a known header, else the one that produces rows of equal width."""
    if len(head) == _HEAD:
        head = head[: max(head.rfind("\n"), head.rfind("\r")) + 1] or head
    preferred = "\t" if suffix.lower() == ".tsv" else ","
    scores: dict[str, tuple[bool, int, int, int, bool]] = {}
    for delimiter in DELIMITERS:
        rows = _first_rows(head, delimiter)
        widths = [len(row) for row in rows]
        common = max((width for width in widths if width > 1), key=widths.count, default=0)
        headers = list(map(clean_header, rows))
        has_header = any(map(is_header, headers))
        known = 0 if has_header else max(map(header_score, headers), default=0)
        scores[delimiter] = (has_header, known, widths.count(common), common, delimiter == preferred)
    return max(scores, key=scores.__getitem__)


def _first_rows(head: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        has_spaces = _has_spaces_before_quotes(head, delimiter)
        for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, skipinitialspace=has_spaces):
            if has_content(Record(0, row)):
                rows.append(row)
            if len(rows) == HEADER_SEARCH_ROWS:
                break
    except csv.Error:  # a cell over the size limit; the rows before it are enough
        pass
    return rows


def _has_spaces_before_quotes(head: str, delimiter: str) -> bool:
    """True for `a, "b"`, where the quotes are meant as quotes though other programs take them for text."""
    return re.search(rf'(?:^|{re.escape(delimiter)}) +"(?!")', head, re.MULTILINE) is not None


def _records(file: TextIO, delimiter: str, encoding: Encoding, *, has_spaces: bool) -> Iterator[Record]:
    lines = _LineReader(file, encoding.suspect)
    new_reader = partial(csv.reader, delimiter=delimiter, strict=True, skipinitialspace=has_spaces)
    reader = new_reader(lines)
    for number in itertools.count(1):
        lines.start_record(number)
        try:
            cells = next(reader, None)
        except csv.Error:
            # Only the first line certainly belongs to this row. The lines below it are read again as rows of
            # their own; otherwise, one missing quote would consume the rest of the file.
            yield _malformed_record(number, lines.push_back(), delimiter, encoding)
            reader = new_reader(lines)
            continue
        if cells is None:
            return
        is_suspect = lines.has_suspect_text
        record = _checked_record(number, cells, encoding, delimiter) if is_suspect else Record(number, cells)
        yield record._replace(ends_file=True) if lines.has_ended else record


class _LineReader:
    """The physical lines of a file, for csv.reader; those of the current record can be pushed back."""

    def __init__(self, file: TextIO, suspect: re.Pattern[str]) -> None:
        self._file = file
        self._suspect = suspect
        self._pushed_back: list[str] = []  # the next line is last
        self._record: list[str] = []
        self._size = 0
        self._number = 0
        self.has_suspect_text = False  # the record may have undecoded bytes or NUL
        self.has_ended = False  # the record has the last line of the file, without a line end

    def start_record(self, number: int) -> None:
        """Start a record."""
        self._record = []
        self._size = 0
        self._number = number
        self.has_suspect_text = False
        self.has_ended = False

    def push_back(self) -> str:
        """Return the first line of the record; the others are read again."""
        first, *rest = self._record
        self._pushed_back.extend(reversed(rest))
        return first

    def __iter__(self) -> _LineReader:
        return self

    def __next__(self) -> str:
        line = self._pushed_back.pop() if self._pushed_back else self._file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        if len(line) >= MAX_LINE:
            raise InputError(f"row {self._number} has a line of {MAX_LINE:,} characters or more, which is not allowed.")
        if line[-1] not in "\r\n":
            line = line.rstrip(_END_OF_FILE)
            if not line:
                raise StopIteration
            self.has_ended = True
        self._record.append(line)
        self._size += len(line)
        if self._size > MAX_RECORD:
            raise csv.Error("the record is too long")
        if "\0" in line or not line.isascii():
            if self._suspect.search(line):
                self.has_suspect_text = True
            if line[0] == _MARK and len(self._record) == 1:
                return self._without_mark(line)
        return line

    def _without_mark(self, line: str) -> str:
        """Drop a byte order mark before the header, and before the quote of a file that was appended to another."""
        text = line.lstrip(_MARK)
        return text if self._number == 1 or text.startswith('"') else line


def _malformed_record(number: int, line: str, delimiter: str, encoding: Encoding) -> Record:
    """Split a malformed row into cells as well as possible, and add an issue."""
    text = line.rstrip("\r\n")
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        cells = [cell[:CELL_UNITS] for cell in text.split(delimiter)]
        issue = Issue(
            code="row.size",
            message=f"A cell of this row is longer than {csv.field_size_limit():,} characters, which is not allowed.",
        )
    else:
        issue = Issue(
            code="row.quote",
            message='A quoted cell in this row has no closing quote, or has text after its closing quote ("); '
            "close it, and double every quote that is part of the text.",
        )
    checked = _checked_record(number, cells, encoding, delimiter)
    return checked._replace(findings=((None, issue), *checked.findings))


def _checked_record(number: int, cells: Sequence[str], encoding: Encoding, delimiter: str) -> Record:
    findings: list[tuple[int | None, Issue]] = []
    texts: list[str] = []
    for index, cell in enumerate(cells):
        text, issue = encoding_issue(cell, encoding)
        if issue is not None:
            # a delimiter from @ to ~ can be the second byte of a character, so any cell may be in the wrong column
            findings.append((None if "@" <= delimiter <= "~" else index, issue))
        if "\0" in cell:
            text = text.replace("\0", "\ufffd")
            message = "The cell has a NUL character, which is not allowed in text."
            findings.append((index, Issue(code="cell.nul", message=message, value=text)))
        texts.append(text)
    return Record(number, texts, findings)
