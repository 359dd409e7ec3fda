"""Datadog Synthetics: `GET /api/v1/synthetics/tests` as JSON; only TCP and SSL tests can reach a mail port."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import TCP, TLS, ListingFormat, reader, word
from bulkload.migration.parsing import Item, as_text, at

NAME, TITLE = "datadog", "Datadog Synthetics"


def _adapt(item: Item) -> Iterable[Item]:
    """An API test has its protocol as subtype; a browser or mobile test has none."""
    return ({**item, "protocol": at(item, "subtype") if at(item, "type") in (None, "api") else at(item, "type")},)


def _inverted(item: Item) -> str:
    assertions = at(item, "config.assertions")
    for assertion in assertions if isinstance(assertions, list) else ():
        if at(assertion, "type") != "connection":
            continue
        says_not = as_text(at(assertion, "operator"), "operator").lower().startswith("isnot")
        established = as_text(at(assertion, "target"), "target").lower() == "established"
        if says_not == established:
            return "The test is inverted: it passes when no connection is made."
    return ""


def _private_locations(item: Item) -> Iterable[str]:
    locations = at(item, "locations")
    if isinstance(locations, list) and any(isinstance(one, str) and one.startswith("pl:") for one in locations):
        yield "The test runs from a private location; the host may not be reachable from outside."


FORMAT = ListingFormat(
    title=TITLE,
    noun="test",
    lists=("tests",),
    marks=(("public_id",), ("subtype", "config", "type")),
    id=("public_id",),
    type=("protocol",),
    hostname=("config.request.host",),
    port=("config.request.port",),
    interval=("options.tick_every",),
    timeout=("config.request.timeout",),
    login=("config.request.basicAuth",),
    types={"tcp": TCP, "ssl": TLS},
    paused=word("status", "paused"),
    adapt=_adapt,
    refuse=_inverted,
    changes=_private_locations,
)
recognises, translate = reader(FORMAT)
