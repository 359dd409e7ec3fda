"""From bare records to a table: find the header, then give every record the header's width.

In: the records of one sheet or file, numbered as a spreadsheet program numbers them. Out: the header and a stream
of `RawRow`. All formats share this, so that a long row is the same issue in a CSV file and in a workbook.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bulkload.errors import InputError
from bulkload.model import Issue, RawRow
from bulkload.monitors.header import column_letters

HEADER_SEARCH_ROWS = 20  # rows with content that are looked at to find the header under title lines
MAX_COLUMNS = 1_000  # columns
_SHOWN = 60  # characters of a cell quoted in a message

IsHeader = Callable[[Sequence[str]], bool]


class Record(NamedTuple):
    """One row of a sheet as it stands there: blank, ragged or whole."""

    number: int
    cells: Sequence[str]
    findings: Sequence[tuple[int | None, Issue]] = ()  # with the index of the cell; None: the whole row


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header and the records below it, which can be read once."""

    header: tuple[str, ...]
    header_number: int
    recognised: bool  # False: no row looked like a header, so the first one with content has to do
    skipped: tuple[int, ...]  # numbers of the title lines above the header
    records: Iterator[Record]


def find_table(records: Iterable[Record], is_header: IsHeader) -> Table | None:
    """Return the table of these records; None when no record has content."""
    stream = iter(records)
    seen: list[Record] = []
    for record in itertools.islice((r for r in stream if has_content(r)), HEADER_SEARCH_ROWS):
        header = clean_header(record.cells)
        if is_header(header):
            skipped = tuple(r.number for r in seen)
            return _table(record, header, recognised=True, skipped=skipped, records=stream)
        seen.append(record)
    if not seen:
        return None
    first, below = seen[0], seen[1:]
    rest = itertools.chain(below, stream)
    return _table(first, clean_header(first.cells), recognised=False, skipped=(), records=rest)


def clean_header(cells: Sequence[str]) -> tuple[str, ...]:
    """Collapse the white space of header cells (they are often wrapped) and drop empty ones at the end."""
    texts = [" ".join(cell.split()) for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)


def has_content(record: Record) -> bool:
    """Say whether a row has anything but white space in it."""
    text = "".join(record.cells)
    return bool(record.findings) or (text != "" and not text.isspace())


def raw_rows(table: Table, *, ragged: bool) -> Iterator[RawRow]:
    """Yield every row with content at the width of the header; `ragged` says that a row can be too short."""
    header, width = table.header, len(table.header)
    for record in table.records:
        cells, count = record.cells, len(record.cells)
        if count == width and not record.findings:
            if has_content(record):
                yield RawRow(number=record.number, cells=tuple(cells))
        elif has_content(record):
            yield _fitted(record, header, ragged=ragged)


def shorten(text: str) -> str:
    """Return a text that fits into a message."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _table(
    record: Record, header: tuple[str, ...], *, recognised: bool, skipped: tuple[int, ...], records: Iterator[Record]
) -> Table:
    if len(header) > MAX_COLUMNS:
        raise InputError(f"The header in row {record.number} has {len(header):,} columns; {MAX_COLUMNS:,} are allowed.")
    return Table(header=header, header_number=record.number, recognised=recognised, skipped=skipped, records=records)


def _fitted(record: Record, header: tuple[str, ...], *, ragged: bool) -> RawRow:
    width, cells = len(header), list(record.cells)
    issues = [_placed(issue, index, header) for index, issue in record.findings if index is None or index < width]
    extra = [cell for cell in cells[width:] if cell.strip()]
    if extra:
        what = f"The row has {len(cells)} cells" if ragged else "The row has content to the right of the last column"
        shown = shorten("; ".join(extra))
        issues.append(
            Issue(
                code="row.long",
                message=f"{what}, but the header has {width} columns; the extra content is {shown!r}.",
                value="; ".join(extra),
            )
        )
    if ragged and len(cells) < width and not record.findings:
        issues.append(
            Issue(
                code="row.short",
                message=f"The row has {len(cells)} cells, but the header has {width} columns; "
                "every row needs all separators, also around empty cells.",
            )
        )
    fitted = (cells + [""] * (width - len(cells)))[:width]
    return RawRow(number=record.number, cells=tuple(fitted), issues=tuple(issues))


def _placed(issue: Issue, index: int | None, header: tuple[str, ...]) -> Issue:
    if index is None:
        return issue
    return replace(issue, column=header[index] or column_letters(index))
