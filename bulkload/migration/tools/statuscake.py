"""Reads tests of StatusCake: `GET /v1/uptime` (a list without ports) and `GET /v1/uptime/{id}` (details) as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import MINUTE, SMTP, TCP, ListingFormat, is_one_of, is_true, reader
from bulkload.migration.parsing import SourceObject, lookup

NAME, TITLE = "statuscake", "StatusCake"


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """Replace a check rate of 0, which means continuously."""
    is_continuous = lookup(item, "check_rate") in (0, "0")
    return ({**item, "check_rate": MINUTE, "is_continuous": True} if is_continuous else item,)


def _continuous(item: SourceObject) -> Iterable[str]:
    if lookup(item, "is_continuous"):
        yield "The test runs continuously; an interval of one minute is used."


FORMAT = ListingFormat(
    title=TITLE,
    noun="test",
    lists=("data",),
    details=("data",),
    required_keys=(("test_type",), ("check_rate",)),
    type=("test_type",),
    hostname=("website_url",),
    interval=("check_rate",),
    timeout=("timeout",),
    types={"smtp": SMTP, "tcp": TCP},
    paused=lambda item: is_true("paused")(item) or is_one_of("status", "paused")(item),
    port_hint="add the response of GET /v1/uptime/{id} to the input",
    adapt=_adapt,
    changes=_continuous,
)
recognises, translate = reader(FORMAT)
