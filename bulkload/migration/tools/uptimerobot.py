"""Reads monitors of UptimeRobot: `getMonitors` (API v2) and `/monitors` (API v3) as JSON, and the bulk import CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import Document
from bulkload.migration.json_listings import (
    IMAP,
    MINUTE,
    POP,
    SMTP,
    TCP,
    ListingFormat,
    is_listing,
    is_one_of,
    translate_items,
)
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_seconds, as_text, lookup

NAME, TITLE = "uptimerobot", "UptimeRobot"

# The old CSV template has minutes, the new one seconds; the shortest interval of UptimeRobot is 30 seconds.
MIN_CSV_SECONDS = 30.0

_TYPES = {"1": "http", "2": "keyword", "3": "ping", "4": "port", "5": "heartbeat"}
_SUB_TYPES = {"1": "http", "2": "https", "3": "ftp", "4": "smtp", "5": "pop3", "6": "imap", "99": "port"}
_CSV_COLUMNS = {
    "friendly name": "friendly_name",
    "url/ip": "url",
    "type": "type",
    "sub type": "sub_type",
    "port": "port",
    "interval": "interval",
    "timeout": "timeout",
    "status": "status",
}


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """Replace type numbers by names, and the type "port" by the protocol of its sub-type."""
    if lookup(item, "is_cut_off"):
        raise UnreadableValue("The file ends in the middle of this row (truncated file?).")
    type_text = as_text(lookup(item, "type"), "type").lower()
    type_name = _TYPES.get(type_text, type_text)
    if type_name == "port":
        sub_type = as_text(lookup(item, "sub_type", "subType"), "sub-type").lower()
        type_name = _SUB_TYPES.get(sub_type, sub_type)
        if type_name not in {"http", "https", "ftp", "smtp", "pop3", "pop", "imap"}:
            type_name = "port"
    port = lookup(item, "port")
    return ({**item, "type": type_name, "port": None if port in (0, "0") else port},)


def _interval_in_minutes(item: SourceObject) -> Iterable[str]:
    if lookup(item, "is_in_minutes"):
        yield "The interval is below 30 and is read as minutes, as in UptimeRobot's older CSV template."


FORMAT = ListingFormat(
    title=TITLE,
    noun="monitor",
    lists=("monitors", "data"),
    details=("monitor", "data"),
    required_keys=(("friendly_name", "friendlyName"), ("url",), ("type",)),
    envelope=("stat", "monitors"),
    name=("friendly_name", "friendlyName"),
    hostname=("url",),
    interval=("interval",),
    timeout=("timeout",),
    types={"smtp": SMTP, "pop3": POP, "pop": POP, "imap": IMAP, "port": TCP},
    paused=is_one_of("status", "0", "paused"),
    adapt=_adapt,
    changes=_interval_in_minutes,
)


def recognises(document: Document) -> bool:
    """Whether the document is JSON or CSV of UptimeRobot."""
    if document.format == "json":
        return is_listing(FORMAT, document.json())
    return document.format == "text" and _delimiter(document) is not None


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every monitor of the pages and files."""
    return translate_items(
        FORMAT,
        ((document, document.json() if document.format == "json" else _csv_items(document)) for document in documents),
    )


def _delimiter(document: Document) -> str | None:
    """Return the delimiter of the CSV, or None if its header is not UptimeRobot's."""
    header = document.head.split("\n", maxsplit=1)[0].strip().lower()
    for delimiter in ",;\t":
        columns = {column.strip().strip('"') for column in header.split(delimiter)}
        if {"friendly name", "url/ip", "type"} <= columns:
            return delimiter
    return None


def _csv_items(document: Document) -> list[object]:
    delimiter = _delimiter(document)
    if delimiter is None:
        raise InputError(f"{document.name} is neither JSON nor a CSV with the columns of {TITLE}.")
    reader = csv.reader(document.text.split("\n"), delimiter=delimiter)
    items: list[SourceObject] = []
    try:
        names = [_CSV_COLUMNS.get(column.strip().lower(), "") for column in next(reader)]
        cells: list[str] = []
        for cells in reader:
            if any(cell.strip() for cell in cells):
                items.append(_csv_item(dict(zip(names, cells, strict=False))))
        is_open = len(cells) < len(names) or document.text.count('"') % 2  # a cell is missing, or a quote
        if items and is_open and not document.text.endswith("\n"):
            items[-1] = {**items[-1], "is_cut_off": True}
    except csv.Error as error:
        raise InputError(f"{document.name} line {reader.line_num} cannot be read as CSV: {error}.") from error
    return list(items)


def _csv_item(cells: dict[str, str]) -> SourceObject:
    try:
        interval = as_seconds(cells.get("interval"), "interval", unit=1)
    except UnreadableValue:
        return cells  # reported later, where all intervals are parsed
    if interval is None or interval >= MIN_CSV_SECONDS:
        return cells
    return {**cells, "interval": interval * MINUTE, "is_in_minutes": True}
