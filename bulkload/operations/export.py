"""The account's mail monitors as a sheet that `run` accepts as it is.

In: an account, and the path of an .xlsx or .csv file. Out: one row per monitor, with every field that can be set, its
`monitor_id`, and what we know no column for as `api:` columns. Run against the same account, every row exists; against
another one, every row is created. A cell that `run` would not take is written all the same, and named.

The column `run_id` marks the sheet as one of ours: readers then restore cells that were guarded against being formulas.
"""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulkload import clock
from bulkload.errors import UsageError
from bulkload.files.atomic import atomic_write
from bulkload.files.formulas import neutralise
from bulkload.files.xlsx import truncate_to_cell, write_text
from bulkload.model import RawRow
from bulkload.monitors.fields import FIELDS, READ_ONLY
from bulkload.monitors.header import API_PREFIX, field_named, map_header, not_passed_through
from bulkload.monitors.identity import differences
from bulkload.monitors.validate import Invalid, Validator
from bulkload.monitors.values import CellError, json_or_text, show
from bulkload.protocols import MONITOR_TYPES
from bulkload.settings import Account, Options, check_credentials

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.operations.session import StopRequest

SUFFIXES = (".xlsx", ".csv")
MOST_ROWS = 1_048_575  # below the header of an Excel sheet
_SECRET = re.compile(r"passw|secret|token|credential", re.IGNORECASE)
_OUR_COLUMN = "run_id"
_MEASURED_ROWS = 200  # for the widths of columns
_NARROWEST, _WIDEST = 8, 48  # characters

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    path: Path
    monitors: int
    notes: tuple[str, ...]  # what `run` would not take as it stands, and what was left out
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)


def export_file(path: Path, account: Account, options: Options, *, overwrite: bool = False) -> Exported:
    """Write the account's mail monitors into a file. A file that exists is left alone unless told otherwise."""
    from bulkload.operations.session import run_session, unless_stopped

    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} has the suffix {path.suffix or 'none'}; an export is .xlsx or .csv.")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already; name a file that does not, or add --overwrite.")
    if not options.sandbox:
        check_credentials(account)
    items: list[dict[str, Any]] = []

    async def work(api: Api, stop: StopRequest) -> None:
        items.extend(await unless_stopped(api.list_mail_monitors(), stop))

    session = run_session(account, options, work)
    if session.stopped is not None:
        raise session.stopped
    mail = [item for item in items if item.get("type") in MONITOR_TYPES]
    notes = write_sheet(path, mail)
    return Exported(
        path=path, monitors=len(mail), notes=tuple(notes), seconds=session.seconds, requests=session.requests
    )


def write_sheet(path: Path, items: Sequence[Item]) -> list[str]:
    """Write listed monitors into a file, and tell what a run would not take as it stands."""
    notes: list[str] = []
    header = (*FIELDS, *_passed_on_columns(items, notes), _OUR_COLUMN)
    rows = _rows(items, header, notes)
    with atomic_write(path) as draft:
        if path.suffix.lower() == ".csv":
            _write_csv(draft, header, rows)
        else:
            if len(items) > MOST_ROWS:
                raise UsageError(f"An Excel sheet holds {MOST_ROWS:,} monitors and there are {len(items):,}; use .csv.")
            _write_workbook(draft, header, rows)
    return notes


# ── what stands in the cells ──────────────────────────────────────────────────────────────────────────────────


def _passed_on_columns(items: Sequence[Item], notes: list[str]) -> list[str]:
    """Name the `api:` columns for what the monitors have and no column of ours carries."""
    found: dict[str, None] = {}
    secret: dict[str, None] = {}
    for item in items:
        for name, value in item.items():
            if name in FIELDS or name in READ_ONLY or name in found or value is None or value == "":
                continue
            column = API_PREFIX + name
            if _is_secret(name, value):
                secret[name] = None
            elif field_named(column) == column == " ".join(column.split()) and not not_passed_through(column):
                found[name] = None
    notes.extend(f"The field {show(name)} is left out: it may hold a secret." for name in secret)
    return [API_PREFIX + name for name in found if name not in secret]


def _is_secret(name: str, value: object) -> bool:
    if _SECRET.search(name):
        return True
    if isinstance(value, Mapping):
        return any(_is_secret(str(key), inner) for key, inner in value.items())
    return isinstance(value, list) and any(_is_secret("", inner) for inner in value)


def _rows(items: Sequence[Item], header: Sequence[str], notes: list[str]) -> Iterator[list[str]]:
    layout = map_header(header)
    validator = Validator(layout)
    run_id = "export-" + re.sub("[-:]", "", clock.utc(time.time()))
    for number, item in enumerate(items, 2):
        cells = []
        for column in header:
            text = run_id if column == _OUR_COLUMN else _cell(column, item)
            if truncate_to_cell(text) != text:
                notes.append(f"{_place(number, item)}: {column} is left out, it is longer than a cell holds.")
                text = ""
            cells.append(text)
        notes.extend(_refused(validator, number, item, cells))
        yield cells


def _cell(column: str, item: Item) -> str:
    """The text that a run reads back as the monitor's value; empty for what is not set."""
    if column.startswith(API_PREFIX):
        return _passed_on(item.get(column[len(API_PREFIX) :]))
    kind = str(item.get("type"))
    if column == "type":
        return kind.removeprefix("email-")
    value = item.get("id" if column == "monitor_id" else column)
    if value is None or value == "" or kind not in FIELDS[column].types:
        return ""
    return _TEXTS.get(column, _plain)(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.replace("\r\n", "\n") if isinstance(value, str) else _json(value) if _nested(value) else str(value)


def _locations(value: object) -> str:
    entries = value if isinstance(value, list) else [value]
    return ";".join(_plain(entry.get("id") if isinstance(entry, Mapping) else entry) for entry in entries)


def _properties(value: object) -> str:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        return _plain(value)
    return ";".join(f"{_plain(entry.get('id'))}={_plain(entry.get('value_id'))}" for entry in value)


_TEXTS: Mapping[str, Callable[[object], str]] = {"locations": _locations, "custom_properties": _properties}


def _passed_on(value: object) -> str:
    """A text as it is if it is read back as that, anything else as JSON."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        try:
            if json_or_text(value.strip()) == value and "\r" not in value:
                return value
        except CellError:
            pass
        return json.dumps(value)
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _nested(value: object) -> bool:
    return isinstance(value, Mapping | list)


# ── what a run would make of it ───────────────────────────────────────────────────────────────────────────────


def _refused(validator: Validator, number: int, item: Item, cells: Sequence[str]) -> Iterator[str]:
    """Say what a run would not take, or would take for something else than is in the account."""
    found = validator.check(RawRow(number=number, cells=tuple(cells)))
    if isinstance(found, Invalid):
        for issue in found.issues:
            if issue.severity == "error":
                yield f"{_place(number, item)}: {issue.message}"
    elif others := differences(found.config.body(), item):
        yield f"{_place(number, item)}: a run would see a difference in {', '.join(others)}."


def _place(number: int, item: Item) -> str:
    return f"Row {number}, monitor {item['id']} {show(str(item.get('name')))}"


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _write_csv(path: Path, header: Sequence[str], rows: Iterator[list[str]]) -> None:
    with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(header)
        lines.writerows([neutralise(cell) for cell in row] for row in rows)


def _write_workbook(path: Path, header: Sequence[str], rows: Iterator[list[str]]) -> None:
    import xlsxwriter  # type: ignore[import-untyped]

    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        text = book.add_format({"num_format": "@", "valign": "top"})  # stays text when a person edits it
        head = book.add_format({"num_format": "@", "bold": True, "bg_color": "#E8EAED", "bottom": 1})
        sheet = book.add_worksheet("monitors")
        sheet.freeze_panes(1, 2)
        widths = [len(name) + 3 for name in header]  # room for the button of the filter
        for column, name in enumerate(header):
            write_text(sheet, 0, column, name, head)
        last = 0
        for last, row in enumerate(rows, 1):
            for column, cell in enumerate(row):
                if cell:
                    write_text(sheet, last, column, cell, text)
            if last <= _MEASURED_ROWS:
                widths = [max(width, len(cell)) for width, cell in zip(widths, row, strict=True)]
        for column, width in enumerate(widths):
            sheet.set_column(column, column, min(max(width + 1, _NARROWEST), _WIDEST), text)
        sheet.autofilter(0, 0, last, len(header) - 1)
        sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{MOST_ROWS + 1}"})
