"""Reads monitors of Better Stack Uptime (`GET /api/v2/monitors` as JSON). A monitor may check several ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bulkload.migration.json_listings import IMAP, POP, SMTP, TCP, ListingFormat, reader
from bulkload.migration.parsing import SourceObject, as_bool, as_text, lookup

NAME, TITLE = "better-stack", "Better Stack"

_MILLISECOND = 0.001  # in seconds; mail checks give their timeout in milliseconds, web checks in seconds


def _one_per_port(item: SourceObject) -> Iterable[SourceObject]:
    """Split a monitor with several ports, such as "25,465,587", into one per port."""
    attributes, port_list = lookup(item, "attributes"), lookup(item, "attributes.port")
    if not isinstance(attributes, Mapping) or not isinstance(port_list, str):
        return (item,)
    ports = dict.fromkeys(port.strip() for port in port_list.split(",") if port.strip())
    return [{**item, "attributes": {**attributes, "port": port}} for port in ports]


def _paused(item: SourceObject) -> bool:
    return (
        as_bool(lookup(item, "attributes.paused"), "paused")
        or as_text(lookup(item, "attributes.status"), "status").lower() == "paused"
        or lookup(item, "attributes.paused_at") is not None
    )


def _ipv6_only(item: SourceObject) -> Iterable[str]:
    if lookup(item, "attributes.ip_version") == "ipv6":
        yield "The monitor uses IPv6 only; this setting is not imported."


FORMAT = ListingFormat(
    title=TITLE,
    noun="monitor",
    lists=("data",),
    details=("data",),
    required_keys=(("attributes.monitor_type",),),
    name=("attributes.pronounceable_name",),
    type=("attributes.monitor_type",),
    hostname=("attributes.url",),
    port=("attributes.port",),
    interval=("attributes.check_frequency",),
    timeout=("attributes.request_timeout",),
    timeout_unit=_MILLISECOND,
    tags=(),
    login=("attributes.auth_username",),
    types={"smtp": SMTP, "pop": POP, "imap": IMAP, "tcp": TCP},
    paused=_paused,
    adapt=_one_per_port,
    changes=_ipv6_only,
)
recognises, translate = reader(FORMAT)
