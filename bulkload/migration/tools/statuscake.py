"""StatusCake: `GET /v1/uptime` (a list without ports) and `GET /v1/uptime/{id}` (one test) as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import MINUTE, SMTP, TCP, ListingFormat, is_one_of, is_true, reader
from bulkload.migration.parsing import SourceObject, lookup

NAME, TITLE = "statuscake", "StatusCake"


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """A rate of 0 means without a pause, not never."""
    constant = lookup(item, "check_rate") in (0, "0")
    return ({**item, "check_rate": MINUTE, "constant": True} if constant else item,)


def _constant(item: SourceObject) -> Iterable[str]:
    if lookup(item, "constant"):
        yield "The test runs without a pause; once a minute is taken."


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
    changes=_constant,
)
recognises, translate = reader(FORMAT)
