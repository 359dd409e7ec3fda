"""Find the header among records, and fit every row below it to the header's width.

In: the records of a worksheet or text file, numbered as a spreadsheet program numbers rows. Out: the header and a
stream of `RawRow`. All formats share this, so a row that is too long gets the same issue in a CSV file and a workbook.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bulkload.errors import InputError
from bulkload.files.formulas import restore
from bulkload.model import Issue, RawRow
from bulkload.monitors.header import column_letters, header_score
from bulkload.monitors.invisible import has_visible, without_invisible
from bulkload.monitors.values import SWITCH_WORDS

HEADER_SEARCH_ROWS = 50  # rows with content that are searched for the header
MAX_COLUMNS = 1_000
_WHOLE_WORDS = frozenset(word for word in SWITCH_WORDS if len(word) > 1)
_MAX_QUOTED = 60  # characters of a cell that a message quotes

IsHeader = Callable[[Sequence[str]], bool]


class Record(NamedTuple):
    """One row as read: it may be blank, too short or too long."""

    number: int
    cells: Sequence[str]
    findings: Sequence[tuple[int | None, Issue]] = ()  # with the index of the cell, or None for the whole row
    ends_file: bool = False  # the last line of a text file, without a line end


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header and the records below it, which can be read once."""

    header: tuple[str, ...]
    header_number: int
    recognised: bool  # False: no row is a whole header, so the row that is most like one is used
    skipped: tuple[int, ...]  # numbers of the title lines above the header
    records: Iterator[Record]
    findings: Sequence[tuple[int | None, Issue]] = ()  # in the header
    score: int = 0  # how well the header is one, if it is not recognised: see `header_score`

    @property
    def unread_names(self) -> dict[int, str]:
        """Why the names of columns are not known, if no row is a known header; a person has to say what they are."""
        if self.recognised:
            return {}
        width = len(self.header)
        return {index: issue.message for index, issue in self.findings if index is not None and index < width}


def find_table(
    records: Iterable[Record], is_header: IsHeader, *, headerless: bool = False, header_row: int | None = None
) -> Table | None:
    """Return the table of these records; None if no record has content.

    The header is the row `header_row`, if that is given; else the first whole header; else the row that is most like
    one, the first row with content if no row is. If `headerless`, a row that is no whole header is a row of the table,
    and the columns are named by their letters.
    """
    stream = iter(records)
    if header_row is not None:
        return _table_at(header_row, stream, is_header)
    above: list[Record] = []
    for record in itertools.islice((r for r in stream if has_content(r)), HEADER_SEARCH_ROWS):
        header = clean_header(record.cells)
        if is_header(header):
            _reject_unread_header_cell(record)
            skipped = tuple(r.number for r in above)
            return _table(record, header, recognised=True, skipped=skipped, records=stream)
        above.append(record)
    if not above:
        return None
    if headerless:
        width = max(1, *(len(clean_header(record.cells)) for record in above))
        names = tuple(f"Column {column_letters(index)}" for index in range(width))
        no_line = Record(above[0].number - 1, names)
        return _table(no_line, names, recognised=False, skipped=(), records=itertools.chain(above, stream))
    scores = [header_score(clean_header(record.cells)) for record in above]
    best = scores.index(max(scores))  # the first of equals
    record, below = above[best], itertools.chain(above[best + 1 :], stream)
    skipped = tuple(r.number for r in above[:best])
    table = _table(record, clean_header(record.cells), recognised=False, skipped=skipped, records=below)
    return replace(table, score=scores[best])


def _table_at(header_row: int, stream: Iterator[Record], is_header: IsHeader) -> Table | None:
    """Return the table whose header is a row that the user named. Raises `InputError` if that row is empty."""
    skipped: list[int] = []
    last = 0
    for record in stream:
        last = record.number
        if last < header_row:
            skipped.extend([last] if has_content(record) else [])
            continue
        if last == header_row and has_content(record):
            _reject_unread_header_cell(record)
            header = clean_header(record.cells)
            recognised = is_header(header)
            table = _table(record, header, recognised=recognised, skipped=tuple(skipped), records=stream)
            return table if recognised else replace(table, score=header_score(header))
        break
    if not skipped and last < header_row:
        return None
    raise InputError(f"row {header_row}, which --header-row names as the header, is empty; name the header's row.")


def clean_header(cells: Sequence[str]) -> tuple[str, ...]:
    """Drop empty cells at the end; collapse white space, because cells are often wrapped; drop invisible characters."""
    texts = list(map(header_cell, cells))
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)


def header_cell(text: str) -> str:
    """The name of a column: without line breaks and invisible characters."""
    return " ".join(without_invisible(text).split())


def has_content(record: Record) -> bool:
    """True if a row has an issue or any text other than white space and invisible characters."""
    text = "".join(record.cells)
    return bool(record.findings) or (text != "" and not text.isspace() and (text.isascii() or has_visible(text)))


def raw_rows(table: Table, *, ragged: bool) -> Iterator[RawRow]:
    """Yield every row with content, fitted to the width of the header; if `ragged`, a row can be too short."""
    header, width = table.header, len(table.header)
    for record in table.records:
        cells, count = record.cells, len(record.cells)
        if count == width and not record.findings and not record.ends_file:
            if has_content(record):
                yield RawRow(number=record.number, cells=tuple(cells))
        elif has_content(record):
            yield _fit_to_width(record, header, ragged=ragged)


def restored_formulas(header: Sequence[str], rows: Iterator[RawRow]) -> tuple[tuple[str, ...], Iterator[RawRow]]:
    """Remove the apostrophes that CSV results have in front of texts that look like formulas."""
    restored = (row._replace(cells=tuple(map(restore, row.cells))) for row in rows)
    return clean_header([restore(cell) for cell in header]), restored


def shorten(text: str) -> str:
    """Return a text cut to a length that a message can quote."""
    return text if len(text) <= _MAX_QUOTED else f"{text[: _MAX_QUOTED - 1]}…"


def _table(
    record: Record, header: tuple[str, ...], *, recognised: bool, skipped: tuple[int, ...], records: Iterator[Record]
) -> Table:
    if len(header) > MAX_COLUMNS:
        raise InputError(f"The header in row {record.number} has {len(header):,} columns; {MAX_COLUMNS:,} are allowed.")
    return Table(
        header=header,
        header_number=record.number,
        recognised=recognised,
        skipped=skipped,
        records=records,
        findings=record.findings,
    )


def _reject_unread_header_cell(record: Record) -> None:
    """Raise `InputError` for a header cell that holds something unknown: its column would count as nameless."""
    for index, issue in record.findings:
        if index is not None and not record.cells[index].strip():
            raise InputError(f"The header in row {record.number}, column {column_letters(index)}: {issue.message}")


def _fit_to_width(record: Record, header: tuple[str, ...], *, ragged: bool) -> RawRow:
    width, cells = len(header), list(record.cells)
    issues = [_with_column(issue, index, header) for index, issue in record.findings if index is None or index < width]
    extra = [cell for cell in cells[width:] if has_visible(cell)]
    if extra:
        problem = f"The row has {len(cells)} cells" if ragged else "The row has content to the right of the last column"
        quoted = shorten("; ".join(extra))
        issues.append(
            Issue(
                code="row.long",
                message=f"{problem}, but the header has {width} columns; the extra content is {quoted!r}.",
                value="; ".join(extra),
            )
        )
    wrong = {index for index, issue in record.findings if issue.severity == "error"}
    if record.ends_file and wrong.isdisjoint((None, width - 1)):
        issues.extend(_issues_of_end(cells, header))
    fitted = (cells + [""] * (width - len(cells)))[:width]
    ends_at = len(cells) if ragged and len(cells) < width else None
    return RawRow(number=record.number, cells=tuple(fitted), issues=tuple(issues), ends_at=ends_at)


def _issues_of_end(cells: Sequence[str], header: Sequence[str]) -> Iterator[Issue]:
    """Yield an issue if the file may have been cut off in this row, its last.

    Many programs write no line end after the last row, so a row with all cells is only a warning. A yes or no is a
    whole cell; in any other cell, the rest of a number or name may be lost.
    """
    if len(cells) < len(header):
        yield Issue(
            code="row.cut",
            message=f"The file ends in this row, without a line end and after {len(cells)} of {len(header)} cells, so "
            "it was probably cut off; send the whole file, or complete the row.",
        )
    elif len(cells) == len(header) and cells[-1].strip().casefold() not in _WHOLE_WORDS:
        is_whole = f'"{shorten(cells[-1].strip())}" is the whole' if has_visible(cells[-1]) else "this is an empty"
        yield Issue(
            code="row.end",
            message="The file ends in this cell without a line end, so it may have been cut off; check that "
            f"{is_whole} cell, and that no row is missing below.",
            column=header[-1] or column_letters(len(header) - 1),
            index=len(header) - 1,
            value=cells[-1],
            severity="warning",
        )


def _with_column(issue: Issue, index: int | None, header: tuple[str, ...]) -> Issue:
    if index is None:
        return issue
    return replace(issue, column=header[index] or column_letters(index), index=index)
