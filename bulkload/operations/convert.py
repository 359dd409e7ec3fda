"""Another tool's configuration as a spreadsheet: its files go in, rows and an account of the move come out.

The workbook has three sheets: rows for `check` and `run`, which lack nothing but a plan code; what was left out and
why; what was changed on the way, and what the monitors do not do, each once with the rows that it is about. A CSV
output is three files. Every object of the source is a row, skipped, or an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bulkload.errors import UsageError
from bulkload.files.atomic import atomic_write
from bulkload.files.formulas import neutralise
from bulkload.files.printable import display_width
from bulkload.files.xlsx import WORKSHEET_ROWS, truncate_to_cell, write_text
from bulkload.migration.rules import MigratedRow, Rules, Translation, read_configuration
from bulkload.migration.rules import TcpAs as TcpAs  # an option of convert
from bulkload.migration.tools.registry import READERS
from bulkload.model import Translated
from bulkload.monitors.result_columns import RUN_ID_COLUMN

SHEETS = ROWS_SHEET, LEFT_OUT_SHEET, CHANGED_SHEET = "rows", "left out", "changed"

_LEFT_OUT_HEADER = ("what", "reason", "where")
_CHANGED_HEADER = ("kind", "what", "rows", "which rows", "names", "where")
_CHANGED, _NOT_COVERED = "changed", "not covered"  # kinds
_MAX_NAMED = 5  # rows and names of a line
_MERGED = "Another check of the same type, host and port is merged"
_WIDEST = 90  # characters of a column
_MEASURED_ROWS = 1_000  # enough to choose widths


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Translated):
    """How many objects of a source were translated, skipped and changed."""

    tool: str  # for people
    changes: int
    not_covered: int  # what the source's checks did and the monitors do not do, over all rows
    private_hosts: int  # rows whose host AlertSite's locations cannot reach


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    name: str
    header: Sequence[str]
    rows: Iterable[Sequence[str]]


def supported_tools() -> list[tuple[str, str]]:
    """The value of --from and the name of each tool, in order."""
    return sorted((reader.NAME, reader.TITLE) for reader in READERS)


def convert(
    sources: Sequence[Path],
    out: Path,
    *,
    tool: str | None = None,
    skip_private: bool = False,
    tcp_as: TcpAs = "mail",
    overwrite: bool = False,
    encoding: str | None = None,
) -> Counts:
    """Write the rows of `sources`, files or folders that make one input, to `out` (.xlsx or .csv).

    An existing file is replaced only with `overwrite`: if the user forgets OUT, the last source takes its place.
    """
    suffix = out.suffix.lower()
    if suffix not in (".xlsx", ".csv"):
        raise UsageError(f"The output {out} ends in {suffix or 'no suffix'}; allowed are .xlsx and .csv.")
    if any(source.resolve() == out.resolve() for source in sources):
        raise UsageError(f"The output {out} is one of the sources; name another file.")
    written = [out] if suffix == ".xlsx" else [_path_of(sheet, out) for sheet in SHEETS]
    if not overwrite and (existing := next((path for path in written if path.exists()), None)):
        raise UsageError(f"The output {existing} exists already; name another file, or add --overwrite.")
    rules = Rules(skip_private=skip_private, tcp_as=tcp_as)
    translation = read_configuration(sources, tool=tool, rules=rules, encoding=encoding)
    if suffix == ".xlsx":
        with atomic_write(out) as draft:
            _write_workbook(draft, _tables(translation))
    else:
        _write_csv(out, _tables(translation))
    return Counts(
        **asdict(translation.counts),
        tool=translation.tool,
        changes=sum(len(row.changes) for row in translation.rows),
        not_covered=sum(len(row.not_covered) for row in translation.rows),
        private_hosts=sum(row.is_private for row in translation.rows),
    )


def _tables(translation: Translation) -> tuple[_Table, ...]:
    header = translation.header
    errors_first = sorted(translation.skipped_objects, key=lambda item: not item.error)
    return (
        _Table(
            name=ROWS_SHEET,
            header=header,
            rows=([row.fields.get(name, "") for name in header] for row in translation.rows),
        ),
        _Table(
            name=LEFT_OUT_SHEET,
            header=_LEFT_OUT_HEADER,
            rows=(("error" if item.error else "skipped", item.reason, item.origin) for item in errors_first),
        ),
        _Table(
            name=CHANGED_SHEET,
            header=_CHANGED_HEADER,
            rows=_grouped(translation),
        ),
    )


def _grouped(translation: Translation) -> Iterator[Sequence[str]]:
    """One line for all rows to which the same happened: the most frequent first, what is not covered last."""
    groups: dict[tuple[str, str], list[tuple[int, MigratedRow]]] = {}
    for number, row in enumerate(translation.rows, 2):  # the header is row 1
        for change in row.changes:
            what = f"{_MERGED}." if change.startswith(_MERGED) else change
            groups.setdefault((_CHANGED, what), []).append((number, row))
        for sentence in row.not_covered:
            groups.setdefault((_NOT_COVERED, sentence), []).append((number, row))
    for (kind, what), members in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]))):
        rows = dict(members)  # a row may have several merged checks
        yield (
            kind,
            what,
            str(len(rows)),
            row_ranges(list(rows)),
            _first([row.fields["name"] for row in rows.values()]),
            _first([row.origin for row in rows.values()]),
        )


def row_ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as a person writes them: 2–6, 9, 11 and 40 more."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [str(first) if first == last else f"{first}–{last}" for first, last in ranges[:_MAX_NAMED]]
    rest = sum(last - first + 1 for first, last in ranges[_MAX_NAMED:])
    return ", ".join(shown) + (f" and {rest:,} more" if rest else "")


def _first(texts: Sequence[str]) -> str:
    """The first few texts, and how many more there are."""
    more = len(texts) - _MAX_NAMED
    return "; ".join(texts[:_MAX_NAMED]) + (f"; and {more:,} more" if more > 0 else "")


def _write_csv(out: Path, tables: Sequence[_Table]) -> None:
    """Write the rows to `out` and the other tables beside it; all are written before the first is moved into place."""
    import csv

    with ExitStack() as drafts:
        for table in reversed(tables):  # so that the rows are moved into place last
            draft = drafts.enter_context(atomic_write(_path_of(table.name, out)))
            with draft.open("w", encoding="utf-8-sig", errors="replace", newline="") as stream:
                csv.writer(stream).writerows(_protected(table))


def _protected(table: _Table) -> Iterator[list[str]]:
    """The lines of a table without live formulas. If rows for `run` were changed, a column tells it to restore them."""
    rows = [list(row) for row in table.rows]
    protected = [[neutralise(cell) for cell in row] for row in rows]
    mark = table.name == ROWS_SHEET and protected != rows
    yield [*table.header, RUN_ID_COLUMN] if mark else [*table.header]
    yield from ([*row, "convert"] if mark else row for row in protected)


def _path_of(table: str, out: Path) -> Path:
    """The file of a table if each has its own: `out` for the rows, files beside it for the others."""
    return out if table == ROWS_SHEET else out.with_name(f"{out.stem}-{table.replace(' ', '-')}{out.suffix}")


def _write_workbook(draft: Path, tables: Sequence[_Table]) -> None:
    import xlsxwriter  # type: ignore[import-untyped]  # it has annotations, but does not declare them

    options = {
        "constant_memory": True,
        "tmpdir": str(draft.parent),
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
    }
    with xlsxwriter.Workbook(str(draft), options) as book:
        text = book.add_format({"num_format": "@", "valign": "top"})
        head = book.add_format({"bold": True, "bg_color": "#E8EAED", "bottom": 1, "num_format": "@"})
        for table in tables:
            _write_sheets(book, table, text, head)


def _write_sheets(book: Any, table: _Table, text: Any, head: Any) -> None:
    """Write a table to as many worksheets as it needs."""
    rows = iter(table.rows)
    page = 1
    more: Sequence[str] | None = next(rows, None)
    while page == 1 or more is not None:
        sheet = book.add_worksheet(table.name if page == 1 else f"{table.name} ({page})")
        sheet.freeze_panes(1, 0)
        widths = [display_width(name) + 4 for name in table.header]
        for column, title in enumerate(table.header):
            write_text(sheet, 0, column, truncate_to_cell(title), head)
        at = 0
        while more is not None and at < WORKSHEET_ROWS - 1:
            at += 1
            for column, cell in enumerate(more):
                if cell:
                    write_text(sheet, at, column, truncate_to_cell(cell), text)
                if at <= _MEASURED_ROWS:
                    widths[column] = max(widths[column], display_width(cell))
            more = next(rows, None)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, min(width + 1, _WIDEST))
        sheet.autofilter(0, 0, at, len(table.header) - 1)
        sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{WORKSHEET_ROWS}"})  # these are meant to be text
        page += 1
