"""Site24x7: `GET /api/monitors` as JSON. Its names for mail checks are taken from third parties."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import IMAP, MINUTE, POP, SMTP, TCP, ListingFormat, reader, word
from bulkload.migration.parsing import Item, as_bool, as_text, at

NAME, TITLE = "site24x7", "Site24x7"

_SUSPENDED = "5"


def _adapt(item: Item) -> Iterable[Item]:
    """Both PORT-SMTP and PORT_SMTP are seen."""
    return ({**item, "type": as_text(at(item, "type"), "type").upper().replace("_", "-")},)


def _inverted(item: Item) -> str:
    if as_bool(at(item, "invert_port_check"), "invert_port_check"):
        return "The monitor is inverted: it is up when the port is closed."
    return ""


def _assumed(item: Item) -> Iterable[str]:
    if at(item, "check_frequency") is not None:
        yield "The check frequency is read as minutes."
    if as_bool(at(item, "use_ssl"), "use_ssl"):
        yield "The monitor uses encryption; whether from the start or by STARTTLS, only its port can tell."


FORMAT = ListingFormat(
    title=TITLE,
    noun="monitor",
    lists=("data",),
    details=("data",),
    marks=(("display_name",), ("type",), ("check_frequency", "host_name", "monitor_id")),
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
    paused=word("state", _SUSPENDED, "suspended"),
    adapt=_adapt,
    refuse=_inverted,
    changes=_assumed,
)
recognises, translate = reader(FORMAT)
