"""Reads monitors of Site24x7 (`GET /api/monitors` as JSON). The names of mail types come from third-party sources."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import IMAP, MINUTE, POP, SMTP, TCP, ListingFormat, is_one_of, reader
from bulkload.migration.parsing import SourceObject, as_bool, as_text, lookup

NAME, TITLE = "site24x7", "Site24x7"

_SUSPENDED = "5"


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """Normalise the type: both PORT-SMTP and PORT_SMTP occur."""
    return ({**item, "type": as_text(lookup(item, "type"), "type").upper().replace("_", "-")},)


def _inverted(item: SourceObject) -> str:
    if as_bool(lookup(item, "invert_port_check"), "invert_port_check"):
        return "The monitor is inverted: it succeeds when the port is closed."
    return ""


def _assumptions(item: SourceObject) -> Iterable[str]:
    if lookup(item, "check_frequency") is not None:
        yield "The check frequency is assumed to be in minutes."
    if as_bool(lookup(item, "use_ssl"), "use_ssl"):
        yield "The monitor uses encryption; its port determines whether this is TLS or STARTTLS."


FORMAT = ListingFormat(
    title=TITLE,
    noun="monitor",
    lists=("data",),
    details=("data",),
    required_keys=(("display_name",), ("type",), ("check_frequency", "host_name", "monitor_id")),
    id=("monitor_id",),
    name=("display_name",),
    hostname=("host_name", "hostname", "website"),
    interval=("check_frequency",),
    interval_unit=MINUTE,
    timeout=("timeout",),
    login=("user_name", "password"),
    types={
        "port-smtp": SMTP,
        "smtp": SMTP,
        "port-pop": POP,
        "port-pop3": POP,
        "pop": POP,
        "port-imap": IMAP,
        "imap": IMAP,
        "port": TCP,
    },
    paused=is_one_of("state", _SUSPENDED, "suspended"),
    adapt=_adapt,
    skip_reason=_inverted,
    changes=_assumptions,
)
recognises, translate = reader(FORMAT)
