"""The validated configuration of one monitor.

In: Python values. Out: `MonitorConfig` with the JSON body of its create request. The model declares ranges and lengths;
`conflicts` checks rules between fields, and `cautions` reports valid values that are probably mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bulkload.monitors.fields import FIELDS, INTERVALS, LONGEST_ALERT_NOTE, LONGEST_NAME, LONGEST_NOTE, PORTS, TIMEOUTS
from bulkload.monitors.hosts import is_private
from bulkload.monitors.identity import monitor_key
from bulkload.monitors.invisible import (
    has_joiners,
    names_of_invisible,
    names_of_unusual_spaces,
    with_usual_spaces,
    without_invisible,
)
from bulkload.monitors.spoiled_texts import doubt_of
from bulkload.monitors.values import show
from bulkload.protocols import MONITOR_TYPES, ROUND_TRIP, USUAL_PORTS

LARGEST_ID = 10**18 - 1

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Text = Annotated[str, Field(min_length=1)]


class Problem(NamedTuple):
    """A problem between fields, reported on one of them."""

    field: str
    reason: str
    message: str
    others: tuple[str, ...] = ()  # the other fields
    suggestion: str = ""  # a text for the field's cell that is probably meant


class MonitorConfig(BaseModel):
    """One mail monitor; a field that is None is not sent, so AlertSite uses its default."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["email-imap", "email-pop", "email-smtp", "email-round-trip"]
    billing_plancode: Text
    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    hostname: Text | None = None
    port: Annotated[int, Field(ge=PORTS[0], le=PORTS[1])] | None = None
    smtp_hostname: Text | None = None
    pop3_hostname: Text | None = None
    email: Text | None = None
    interval: Annotated[int, Field(ge=INTERVALS[0], le=INTERVALS[1])] | None = None
    timeout: Annotated[int, Field(ge=TIMEOUTS[0], le=TIMEOUTS[1])] | None = None
    enabled: bool | None = None
    notify_on_error: bool | None = None
    mode: Literal["Primary", "Global Notify", "Global Verify", "Round Robin", "SLA (MultiPOP)"] | None = None
    locations: tuple[Id, ...] | None = None
    home_location: Id | None = None
    rotate_locations: bool | None = None
    monitor_location_count: Id | None = None
    retry_on_failure: bool | None = None
    traceroute_on_error: bool | None = None
    resolve_dns: bool | None = None
    ipv4: Text | None = None
    alert_note: Annotated[str, Field(max_length=LONGEST_ALERT_NOTE)] | None = None
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] | None = None
    custom_properties: tuple[tuple[Id, Id], ...] | None = None
    allow_internal_testing: bool | None = None
    api: dict[str, Any] | None = None  # sent unchanged: the published field list is incomplete

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        for problem in conflicts(self.__dict__):
            raise ValueError(problem.message)
        return self

    @property
    def key(self) -> str:
        """The identity key, which equal monitors share: see `identity`."""
        return monitor_key(self.type, self.__dict__)

    def body(self) -> dict[str, object]:
        """The body of the create request: the fields that are set, in JSON types."""
        values = self.__dict__
        body: dict[str, object] = {field: value for field in _BODY_FIELDS if (value := values[field]) is not None}
        if self.locations is not None:
            body["locations"] = [{"id": location} for location in self.locations]
        if self.custom_properties is not None:
            body["custom_properties"] = [
                {"id": property_id, "value_id": value} for property_id, value in self.custom_properties
            ]
        if self.api:
            body |= self.api
        return body


_BODY_FIELDS = tuple(field for field in MonitorConfig.model_fields if field not in ("type", "api"))
_REQUIRED = {
    monitor_type: tuple(
        f.name for f in FIELDS.values() if f.required and f.types != MONITOR_TYPES and monitor_type in f.types
    )
    for monitor_type in MONITOR_TYPES
}
_NOT_ALLOWED = {
    monitor_type: tuple(f.name for f in FIELDS.values() if monitor_type not in f.types)
    for monitor_type in MONITOR_TYPES
}
_SHARED_MODES = ("Round Robin", "SLA (MultiPOP)")  # they need two locations
_ALERTSITE_PLAN = "UBM - A/A"
# with other spaces, or with the dash that word processors make of a hyphen
_PLAN_WITH_OTHER_MARKS = re.compile(r"\s*U\s*B\s*M\s*[-\u2010-\u2015\u2212]\s*A\s*/\s*A\s*")
_MAIL_PORTS = frozenset().union(*USUAL_PORTS.values())
_JOINED_PORTS = {  # typed in a cell, 25,465 becomes one number
    int(f"{first}{second}"): (first, second) for first in _MAIL_PORTS for second in _MAIL_PORTS - {first}
}


def conflicts(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the rules between fields that are not met; `values` has only fields that are valid on their own."""
    monitor_type = values.get("type")
    get = values.get
    if monitor_type is not None:
        for field in _REQUIRED[monitor_type]:
            if get(field) is None:
                yield Problem(field, "missing", f"{field} is missing; {_short(monitor_type)} monitors need it.")
        for field in _NOT_ALLOWED[monitor_type]:
            if get(field) is not None:
                message = f"{field} is set; {_short(monitor_type)} monitors do not have this field, so remove it."
                yield Problem(field, "type", message)
        timeout, interval = get("timeout"), get("interval")
        if monitor_type == ROUND_TRIP and timeout and interval and interval * 60 <= timeout:
            yield Problem(
                "timeout",
                "interval",
                f"timeout is {timeout} seconds and interval is {interval} min; the interval must be longer.",
                others=("interval",),
            )
    locations = get("locations")
    if locations:
        home, count = get("home_location"), get("monitor_location_count")
        if home is not None and home not in locations:
            listed = ", ".join(map(str, locations[:10]))
            yield Problem(
                "home_location",
                "not_listed",
                f"home_location is {home}; it must be one of the locations: {listed}.",
                others=("locations",),
            )
        if count is not None and count > len(locations):
            yield Problem(
                "monitor_location_count",
                "too_many",
                f"monitor_location_count is {count}; at most {len(locations)} are allowed, one per location.",
                others=("locations",),
            )


def accepts(field: str, value: object) -> bool:
    """True if a value is valid for a field, whatever the other fields are."""
    try:
        MonitorConfig.model_validate({field: value})
    except ValidationError as error:
        return all(details["loc"][:1] != (field,) for details in error.errors(include_url=False, include_input=False))
    return True


def cautions(config: MonitorConfig) -> Iterator[Problem]:
    """Yield a problem for each valid value that is probably a mistake."""
    if config.port is not None and config.port not in USUAL_PORTS[config.type]:
        for other_type, ports in USUAL_PORTS.items():
            if config.port in ports:
                yield Problem(
                    "port",
                    "other_type",
                    f"port is {config.port}, which is usual for {_short(other_type)}; {_short(config.type)} "
                    f"usually uses {_either(USUAL_PORTS[config.type])}.",
                    others=("type",),
                )
        if config.port in _JOINED_PORTS:
            first, second = _JOINED_PORTS[config.port]
            message = f"port is {config.port}; if ports {first} and {second} are meant, add one row for each."
            yield Problem("port", "joined", message)
    if config.hostname is not None and is_private(config.hostname):
        yield _private("hostname", config.hostname)
    if config.type == ROUND_TRIP:
        yield from _round_trip_cautions(config)
    for field, text in (("name", config.name), ("billing_plancode", config.billing_plancode)):
        if doubt := doubt_of(text):
            message = f"{field} is {show(text)}; {doubt.explanation}."
            yield Problem(field, doubt.reason, message, suggestion=doubt.meant)
    if not config.name.isascii():
        yield from _name_cautions(config.name)
    if config.billing_plancode != _ALERTSITE_PLAN and _PLAN_WITH_OTHER_MARKS.fullmatch(config.billing_plancode):
        yield Problem(
            "billing_plancode",
            "spelling",
            f"billing_plancode is {show(config.billing_plancode)}; AlertSite spells it {_ALERTSITE_PLAN}.",
            suggestion=_ALERTSITE_PLAN,
        )
    if config.mode in _SHARED_MODES and config.locations is not None and len(config.locations) < 2:
        message = f"mode is {config.mode}; AlertSite requires at least two locations for it."
        yield Problem("mode", "locations", message, others=("locations",))
    if config.mode == "Primary" and config.rotate_locations:
        message = "rotate_locations is yes; in mode Primary, AlertSite does not rotate."
        yield Problem("rotate_locations", "mode", message, others=("mode",))


def _round_trip_cautions(config: MonitorConfig) -> Iterator[Problem]:
    for field, host, port, scheme in (
        ("smtp_hostname", config.smtp_hostname or "", 465, "smtps"),
        ("pop3_hostname", config.pop3_hostname or "", 995, "pop3s"),
    ):
        if is_private(re.sub(r"^\w+://|:\d+$", "", host)):
            yield _private(field, host)
        if host.endswith(f":{port}") and not host.startswith(f"{scheme}://"):
            with_scheme = f"{scheme}://{host.rpartition('/')[2]}"
            yield Problem(field, "tls", f"{field} is {host}; for TLS write {with_scheme}.", suggestion=with_scheme)


def _private(field: str, host: str) -> Problem:
    return Problem(field, "private", f"{field} is {host}; only private monitoring locations can reach this host.")


def _name_cautions(name: str) -> Iterator[Problem]:
    if hidden := names_of_invisible(name):
        label = "an invisible character" if len(hidden) == 1 else "invisible characters"
        listed = ", ".join(hidden[:5])
        message = f"name has {label} ({listed}); names that look the same may differ."
        yield Problem("name", "invisible", message, suggestion="" if has_joiners(name) else without_invisible(name))
    if "\N{REPLACEMENT CHARACTER}" in name:
        yield Problem("name", "damaged", "name has U+FFFD, so a character was lost in conversion; correct the file.")
    if spaces := names_of_unusual_spaces(name):
        message = f"name has {spaces[0]}, not a space; names that look the same may differ."
        yield Problem("name", "blank", message, suggestion=with_usual_spaces(name))


def _short(monitor_type: str) -> str:
    return monitor_type.removeprefix("email-")


def _either(ports: frozenset[int]) -> str:
    *first, last = sorted(ports)
    return f"{', '.join(map(str, first))} or {last}"
