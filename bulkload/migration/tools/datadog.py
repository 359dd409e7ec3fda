"""Datadog Synthetics: `GET /api/v1/synthetics/tests` as JSON; only TCP and SSL tests can reach a mail port."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import TCP, TLS, ListingFormat, is_one_of, reader
from bulkload.migration.parsing import SourceObject, as_text, lookup

NAME, TITLE = "datadog", "Datadog Synthetics"


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """An API test has its protocol as subtype; a browser or mobile test has none."""
    return (
        {
            **item,
            "protocol": lookup(item, "subtype") if lookup(item, "type") in (None, "api") else lookup(item, "type"),
        },
    )


def _inverted(item: SourceObject) -> str:
    assertions = lookup(item, "config.assertions")
    for assertion in assertions if isinstance(assertions, list) else ():
        if lookup(assertion, "type") != "connection":
            continue
        says_not = as_text(lookup(assertion, "operator"), "operator").lower().startswith("isnot")
        established = as_text(lookup(assertion, "target"), "target").lower() == "established"
        if says_not == established:
            return "The test is inverted: it passes when no connection is made."
    return ""


def _private_locations(item: SourceObject) -> Iterable[str]:
    locations = lookup(item, "locations")
    if isinstance(locations, list) and any(isinstance(one, str) and one.startswith("pl:") for one in locations):
        yield "The test runs from a private location; the host may not be reachable from outside."


FORMAT = ListingFormat(
    title=TITLE,
    noun="test",
    lists=("tests",),
    required_keys=(("public_id",), ("subtype", "config", "type")),
    id=("public_id",),
    type=("protocol",),
    hostname=("config.request.host",),
    port=("config.request.port",),
    interval=("options.tick_every",),
    timeout=("config.request.timeout",),
    login=("config.request.basicAuth",),
    types={"tcp": TCP, "ssl": TLS},
    paused=is_one_of("status", "paused"),
    adapt=_adapt,
    skip_reason=_inverted,
    changes=_private_locations,
)
recognises, translate = reader(FORMAT)
