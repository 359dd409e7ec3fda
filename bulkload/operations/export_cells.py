"""Convert listed monitors to rows of text that `run` reads back as the same monitors.

In: monitors as the API lists them. Out: the header, and one row per monitor: all fields that can be set, `monitor_id`,
and other fields of the API as `api:` columns. Values that `run` would reject or read differently are written
nevertheless, and reported as notes.

The column `run_id` marks the file as one of bulkload's: readers then restore cells that were neutralised because they
looked like formulas.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bulkload import clock
from bulkload.files.xlsx import truncate_to_cell
from bulkload.model import RawRow
from bulkload.monitors.fields import FIELDS, READ_ONLY
from bulkload.monitors.header import API_PREFIX, field_named, map_header, not_passed_through
from bulkload.monitors.identity import differences
from bulkload.monitors.result_columns import RUN_ID_COLUMN
from bulkload.monitors.validate import Invalid, Validator
from bulkload.monitors.values import CellError, json_or_text, show
from bulkload.protocols import MONITOR_TYPES

Item = Mapping[str, Any]

_SECRET = re.compile(r"passw|secret|token|credential", re.IGNORECASE)


def export_header(items: Sequence[Item], notes: list[str]) -> tuple[str, ...]:
    """The columns for these monitors; adds a note for each field that is omitted because it may be a secret."""
    return (*FIELDS, *_api_columns(items, notes), RUN_ID_COLUMN)


def export_rows(items: Sequence[Item], header: Sequence[str], notes: list[str]) -> Iterator[list[str]]:
    """Yield the cells of each monitor; adds notes on what `run` would reject or read differently."""
    validator = Validator(map_header(header))
    run_id = "export-" + re.sub("[-:]", "", clock.utc(time.time()))
    for row_number, item in enumerate(items, 2):
        cells = []
        for column in header:
            text = run_id if column == RUN_ID_COLUMN else field_text(column, item)
            if truncate_to_cell(text) != text:
                notes.append(f"{_subject(row_number, item)}: {column} is omitted, because it is too long for a cell.")
                text = ""
            cells.append(text)
        notes.extend(_problems(validator, row_number, item, cells))
        yield cells


def _api_columns(items: Sequence[Item], notes: list[str]) -> list[str]:
    """The `api:` columns, for fields of the monitors that have no column of their own."""
    names: dict[str, None] = {}
    secrets: dict[str, None] = {}
    for item in items:
        for name, value in item.items():
            if name in FIELDS or name in READ_ONLY or name in names or value is None or value == "":
                continue
            column = API_PREFIX + name
            if _is_secret(name, value):
                secrets[name] = None
            elif field_named(column) == column == " ".join(column.split()) and not not_passed_through(column):
                names[name] = None
    notes.extend(f"The field {show(name)} is omitted, because it may contain a secret." for name in secrets)
    return [API_PREFIX + name for name in names if name not in secrets]


def _is_secret(name: str, value: object) -> bool:
    if _SECRET.search(name):
        return True
    if isinstance(value, Mapping):
        return any(_is_secret(str(key), inner) for key, inner in value.items())
    return isinstance(value, list) and any(_is_secret("", inner) for inner in value)


def field_text(column: str, item: Item) -> str:
    """The text that `run` reads back as the monitor's value; empty if it is not set."""
    if column.startswith(API_PREFIX):
        return _api_text(item.get(column[len(API_PREFIX) :]))
    monitor_type = str(item.get("type"))
    if column == "type":
        return monitor_type.removeprefix("email-")
    value = item.get("id" if column == "monitor_id" else column)
    is_of_type = monitor_type in FIELDS[column].types or monitor_type not in MONITOR_TYPES
    if value is None or value == "" or not is_of_type:
        return ""
    return _CONVERTERS.get(column, _text)(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value.replace("\r\n", "\n")
    return _json(value) if isinstance(value, Mapping | list) else str(value)


def _locations(value: object) -> str:
    entries = value if isinstance(value, list) else [value]
    return ";".join(_text(entry.get("id") if isinstance(entry, Mapping) else entry) for entry in entries)


def _properties(value: object) -> str:
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        return _text(value)
    return ";".join(f"{_text(entry.get('id'))}={_text(entry.get('value_id'))}" for entry in value)


_CONVERTERS: Mapping[str, Callable[[object], str]] = {"locations": _locations, "custom_properties": _properties}


def _api_text(value: object) -> str:
    """A text unchanged if `run` reads it back as the same text, anything else as JSON."""
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


def _problems(validator: Validator, row_number: int, item: Item, cells: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each value that `run` would reject or read differently."""
    result = validator.check(RawRow(number=row_number, cells=tuple(cells)))
    if isinstance(result, Invalid):
        for issue in result.issues:
            if issue.severity == "error":
                yield f"{_subject(row_number, item)}: {issue.message}"
    elif fields := differences(result.config.body(), item):
        yield f"{_subject(row_number, item)}: run would see a difference in {', '.join(fields)}."


def _subject(row_number: int, item: Item) -> str:
    return f"Row {row_number}, monitor {item['id']} {show(str(item.get('name')))}"
