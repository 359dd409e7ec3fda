"""The parser of each field.

In: the name of a field. Out: the function that reads the text of its cells, and what of the text it gets to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from bulkload.monitors import hosts, values
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import API_PREFIX
from bulkload.monitors.invisible import without_invisible, without_stray

Parser = Callable[[str], object]

_TEXT_PARSERS: Mapping[str, Callable[[str, str], object]] = {
    **{name: values.switch for name, field in FIELDS.items() if field.cell_type == "switch"},
    **{name: values.whole_number for name, field in FIELDS.items() if field.cell_type == "number"},
    "home_location": values.identifier,
    "monitor_id": values.identifier,
    "name": values.line,
    "alert_note": values.lines,
    "note": values.lines,
    "smtp_hostname": lambda field, text: hosts.parse_endpoint(field, text).endpoint,
    "pop3_hostname": lambda field, text: hosts.parse_endpoint(field, text).endpoint,
}
_PARSERS: Mapping[str, Parser] = {
    **{name: partial(parse, name) for name, parse in _TEXT_PARSERS.items()},
    "type": values.monitor_type,
    "hostname": hosts.parse_host,
    "billing_plancode": values.plan_code,
    "mode": values.mode,
    "locations": values.locations,
    "ipv4": values.ipv4,
    "email": values.email,
    "custom_properties": values.custom_properties,
}


def parser_of(field: str) -> Parser:
    """The function that reads one trimmed, non-empty cell of a field, or raises `CellError`."""
    return values.json_or_text if field.startswith(API_PREFIX) else _PARSERS[field]


def remove_invisible(field: str, text: str) -> str:
    """Remove invisible characters unless they may be meant: in names, notes and passed-through fields."""
    visible = without_invisible(text).strip()
    cell_type = FIELDS[field].cell_type if field in FIELDS else "text"
    if visible and cell_type in ("host", "address"):
        return without_stray(text).strip()
    return text if visible and cell_type == "text" and field != "billing_plancode" else visible
