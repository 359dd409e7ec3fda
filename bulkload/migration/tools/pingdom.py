"""Pingdom: `GET /checks` (a list without ports) and `GET /checks/{id}` (one check with all of it) as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bulkload.migration.json_listings import IMAP, MINUTE, POP, SMTP, TCP, ListingFormat, is_one_of, is_true, reader
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_bool, lookup

NAME, TITLE = "pingdom", "Pingdom"


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """A detail has its type as an object of one key, with the settings inside."""
    found = lookup(item, "type")
    if not isinstance(found, Mapping):
        return (item,)
    if len(found) != 1:
        raise UnreadableValue(f"The check has {len(found)} types, but one is needed.")
    ((name, settings),) = found.items()
    return ({**item, "type": name, "settings": settings},)


def _encrypted(item: SourceObject) -> Iterable[str]:
    if as_bool(lookup(item, "settings.encryption", "encryption"), "encryption"):
        yield "The check uses encryption; whether from the start or by STARTTLS, only its port can tell."


FORMAT = ListingFormat(
    title=TITLE,
    noun="check",
    lists=("checks",),
    details=("check",),
    required_keys=(("resolution",), ("hostname", "host"), ("type",)),
    envelope=("checks", "counts"),
    hostname=("hostname", "host"),
    port=("settings.port", "port"),
    interval=("resolution",),
    interval_unit=MINUTE,
    login=("settings.auth", "auth"),
    types={"smtp": SMTP, "pop3": POP, "imap": IMAP, "tcp": TCP},
    paused=lambda item: is_true("paused")(item) or is_one_of("status", "paused")(item),
    port_hint="add the response of GET /checks/{id} to the input",
    adapt=_adapt,
    changes=_encrypted,
)
recognises, translate = reader(FORMAT)
