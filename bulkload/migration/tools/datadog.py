"""Reads tests of Datadog Synthetics (`GET /api/v1/synthetics/tests` as JSON). Only TCP and SSL tests are imported."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.json_listings import TCP, TLS, ListingFormat, is_one_of, reader
from bulkload.migration.parsing import SourceObject, as_text, lookup

NAME, TITLE = "datadog", "Datadog Synthetics"


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    """Add the protocol: the subtype of an API test, else the type, as browser and mobile tests have no subtype."""
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
        is_negated = as_text(lookup(assertion, "operator"), "operator").lower().startswith("isnot")
        is_established = as_text(lookup(assertion, "target"), "target").lower() == "established"
        if is_negated == is_established:
            return "The test is inverted: it succeeds when the connection fails."
    return ""


def _private_locations(item: SourceObject) -> Iterable[str]:
    locations = lookup(item, "locations")
    if isinstance(locations, list) and any(
        isinstance(location, str) and location.startswith("pl:") for location in locations
    ):
        yield "The test runs from a private location; the host may not be reachable from public locations."


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
