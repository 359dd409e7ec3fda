"""Reads monitors of AlertSite itself (`GET /monitors` as JSON), to copy them to another account with all fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from bulkload.migration.documents import Document
from bulkload.migration.json_listings import IMAP, MINUTE, POP, SMTP, CheckType, ListingFormat, reader
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_bool, as_text, lookup
from bulkload.monitors.fields import FIELDS, READ_ONLY

NAME, TITLE = "alertsite", "AlertSite"

_CHECK_FIELDS = frozenset(
    {"name", "hostname", "port", "interval", "timeout", "enabled", "note"}
)  # fields that every check has
MAX_NAMED = 10  # fields in a message


def _flag(value: object, field: str) -> str:
    return "true" if as_bool(value, field) else "false"


def _lines(value: object, field: str) -> str:
    """Return a text with its line breaks."""
    if not isinstance(value, str):
        return as_text(value, field)
    return "\n".join(as_text(line, field) for line in value.splitlines()).strip()


def _ids(value: object, field: str) -> str:
    """Convert [{"id": 10}, {"id": 20}] to the cell "10;20"."""
    if not isinstance(value, list):
        raise UnreadableValue(f"The field {field} is not a list.")
    return ";".join(as_text(lookup(entry, "id") if isinstance(entry, Mapping) else entry, field) for entry in value)


def _properties(value: object, field: str) -> str:
    """Convert [{"id": 28, "value_id": 74}] to the cell "28=74"."""
    if not isinstance(value, list):
        raise UnreadableValue(f"The field {field} is not a list.")
    return ";".join(
        f"{as_text(lookup(entry, 'id'), field)}={as_text(lookup(entry, 'value_id'), field)}" for entry in value
    )


EXTRA_COLUMNS: Mapping[str, Callable[[object, str], str]] = {
    "billing_plancode": as_text,
    "smtp_hostname": as_text,
    "pop3_hostname": as_text,
    "email": as_text,
    "ipv4": as_text,
    "resolve_dns": _flag,
    "mode": as_text,
    "home_location": as_text,
    "locations": _ids,
    "rotate_locations": _flag,
    "monitor_location_count": as_text,
    "notify_on_error": _flag,
    "retry_on_failure": _flag,
    "traceroute_on_error": _flag,
    "allow_internal_testing": _flag,
    "alert_note": _lines,
    "custom_properties": _properties,
}


def _extra(item: SourceObject) -> Mapping[str, str]:
    type_name = as_text(lookup(item, "type"), "type").lower()
    cells = {}
    for field, as_cell in EXTRA_COLUMNS.items():
        value = lookup(item, field)
        # the API returns the same fields for all types, even those that a type does not use
        if value is not None and value != [] and type_name in FIELDS[field].types:
            cells[field] = as_cell(value, field)
    return cells


def _not_imported(item: SourceObject) -> Iterable[str]:
    """Name the fields without an input column. Their values are not repeated: one may be a mailbox password."""
    names = [
        as_text(field, "field")
        for field, value in item.items()
        if not (field in EXTRA_COLUMNS or field in _CHECK_FIELDS or field in READ_ONLY)
        and value not in (None, "", False, [], {})
    ]
    if names:
        yield f"Not imported: {', '.join(sorted(names)[:MAX_NAMED])}."


_OWN_TYPE = re.compile(r'"type"\s*:\s*"(?:imap|pop|smtp|round-trip)', re.IGNORECASE)

FORMAT = ListingFormat(
    title=TITLE,
    noun="monitor",
    lists=("results", "monitors"),
    required_keys=(("billing_plancode", "access_type", "allow_internal_testing"), ("type",), ("name",)),
    envelope=("metadata.resultset", "results"),
    interval=("interval",),
    interval_unit=MINUTE,
    timeout=("timeout",),
    tags=(),
    note=("note",),
    login=("username", "userid", "user_id", "password", "pop3_username", "pop3_password", "smtp_password"),
    types={
        "email-imap": IMAP,
        "email-pop": POP,
        "email-smtp": SMTP,
        "email-round-trip": CheckType(type="round-trip"),
    },
    paused=lambda item: lookup(item, "enabled") is not None and not as_bool(lookup(item, "enabled"), "enabled"),
    has_variables=False,
    changes=_not_imported,
    extra=_extra,
)
_is_listing, translate = reader(FORMAT)


def recognises(document: Document) -> bool:
    """Whether the document is of AlertSite, and not a list of objects with types as bulkload's columns have them."""
    return _is_listing(document) and not _OWN_TYPE.search(document.head)
