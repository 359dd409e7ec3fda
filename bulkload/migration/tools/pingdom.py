"""Reads checks of Pingdom: `GET /checks` (a list without ports) and `GET /checks/{id}` (details) as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bulkload.migration.json_listings import IMAP, MINUTE, POP, SMTP, TCP, ListingFormat, is_one_of, is_true, reader
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_bool, lookup

NAME, TITLE = "pingdom", "Pingdom"


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """Split the type of a detail, {name: settings}, into its name and its settings."""
    type_object = lookup(item, "type")
    if not isinstance(type_object, Mapping):
        return (item,)
    if len(type_object) != 1:
        raise UnreadableValue(f"The check has {len(type_object)} types; exactly one is required.")
    ((name, settings),) = type_object.items()
    return ({**item, "type": name, "settings": settings},)


def _encrypted(item: SourceObject) -> Iterable[str]:
    if as_bool(lookup(item, "settings.encryption", "encryption"), "encryption"):
        yield "The check uses encryption; its port determines whether this is TLS or STARTTLS."


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
