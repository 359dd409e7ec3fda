"""StatusCake: `GET /v1/uptime` (a list without ports) and `GET /v1/uptime/{id}` (one test) as JSON."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import MINUTE, SMTP, TCP, ListingFormat, flag, reader, word
from bulkload.migration.parsing import Item, at

NAME, TITLE = "statuscake", "StatusCake"


def _adapt(item: Item) -> Iterable[Item]:
    """A rate of 0 means without a pause, not never."""
    constant = at(item, "check_rate") in (0, "0")
    return ({**item, "check_rate": MINUTE, "constant": True} if constant else item,)


def _constant(item: Item) -> Iterable[str]:
    if at(item, "constant"):
        yield "The test runs without a pause; once a minute is taken."


FORMAT = ListingFormat(
    title=TITLE,
    noun="test",
    lists=("data",),
    details=("data",),
    marks=(("test_type",), ("check_rate",)),
    type=("test_type",),
    hostname=("website_url",),
    interval=("check_rate",),
    timeout=("timeout",),
    types={"smtp": SMTP, "tcp": TCP},
    paused=lambda item: flag("paused")(item) or word("status", "paused")(item),
    no_port="give the answer of GET /v1/uptime/{id} together with the list",
    adapt=_adapt,
    changes=_constant,
)
recognises, translate = reader(FORMAT)
