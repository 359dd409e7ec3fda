"""Export the account's mail monitors to a file that `run` accepts.

In: an account, and the path of an .xlsx or .csv file. Out: one row per monitor. Run in the same account, every row
exists; run in another one, every row is created.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulkload.errors import UsageError
from bulkload.files.atomic import atomic_write
from bulkload.files.formulas import neutralise
from bulkload.files.xlsx import WORKSHEET_ROWS, write_text
from bulkload.operations.export_cells import Item, export_header, export_rows
from bulkload.operations.pipeline import observe
from bulkload.protocols import MONITOR_TYPES
from bulkload.settings import Account, Options, check_credentials
from bulkload.stages.observer import NOBODY, Observer

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.operations.session import Session, StopRequest

SUFFIXES = (".xlsx", ".csv")
_MEASURED_ROWS = 200  # rows that determine the widths of columns
_NARROWEST, _WIDEST = 8, 48  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What was exported."""

    path: Path
    monitors: int
    notes: tuple[
        str, ...
    ]  # sentences about omitted fields, and about values that `run` would reject or read differently
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)


def export_file(path: Path, account: Account, options: Options, *, overwrite: bool = False) -> ExportResult:
    """Write the account's mail monitors to a file; an existing file is replaced only with `overwrite`."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} has the suffix {path.suffix or 'none'}; an export is .xlsx or .csv.")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} already exists; choose another name, or add --overwrite.")
    items, session = list_account(account, options)
    notes = write_export(path, items)
    return ExportResult(
        path=path, monitors=len(items), notes=tuple(notes), seconds=session.seconds, requests=session.requests
    )


def list_account(account: Account, options: Options, *, observer: Observer = NOBODY) -> tuple[Sequence[Item], Session]:
    """The account's mail monitors as the API lists them. Raises what stops the session."""
    from bulkload.operations.session import run_session, unless_stopped

    if not options.sandbox:
        check_credentials(account)
    items: list[dict[str, Any]] = []

    async def work(api: Api, stop: StopRequest) -> None:
        observe(observer, api, stop)
        items.extend(await unless_stopped(api.list_mail_monitors(), stop))

    session = run_session(account, options, work)
    if session.stopped is not None:
        raise session.stopped
    return [item for item in items if item.get("type") in MONITOR_TYPES], session


def write_export(path: Path, items: Sequence[Item]) -> list[str]:
    """Write listed monitors to a file; returns the notes."""
    notes: list[str] = []
    header = export_header(items, notes)
    write_rows(path, header, export_rows(items, header, notes), len(items))
    return notes


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], count: int) -> None:
    """Write this number of rows of an export to a file."""
    with atomic_write(path) as draft:
        if path.suffix.lower() == ".csv":
            write_csv(draft, header, rows)
        else:
            if count >= WORKSHEET_ROWS:
                raise UsageError(
                    f"The account has {count:,} monitors, but an Excel worksheet holds only"
                    f" {WORKSHEET_ROWS - 1:,}; use .csv."
                )
            _write_workbook(draft, header, rows)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write rows as CSV that Excel opens in the right encoding, without live formulas."""
    with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([neutralise(name) for name in header])
        writer.writerows([neutralise(cell) for cell in row] for row in rows)


def _write_workbook(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    import xlsxwriter  # type: ignore[import-untyped]

    with xlsxwriter.Workbook(path, {"constant_memory": True}) as workbook:
        text_format = workbook.add_format({"num_format": "@", "valign": "top"})  # edited cells stay text
        header_format = workbook.add_format({"num_format": "@", "bold": True, "bg_color": "#E8EAED", "bottom": 1})
        worksheet = workbook.add_worksheet("monitors")
        worksheet.freeze_panes(1, 2)
        widths = [len(name) + 3 for name in header]  # with space for the filter button
        for column, name in enumerate(header):
            write_text(worksheet, 0, column, name, header_format)
        last = 0
        for last, row in enumerate(rows, 1):
            for column, cell in enumerate(row):
                if cell:
                    write_text(worksheet, last, column, cell, text_format)
            if last <= _MEASURED_ROWS:
                widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
        for column, width in enumerate(widths):
            worksheet.set_column(column, column, min(max(width + 1, _NARROWEST), _WIDEST), text_format)
        worksheet.autofilter(0, 0, last, len(header) - 1)
        worksheet.ignore_errors({"number_stored_as_text": f"A1:XFD{WORKSHEET_ROWS}"})
