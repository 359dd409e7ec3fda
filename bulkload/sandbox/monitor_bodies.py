"""Turn the body of a create or an update into the monitor that is stored, or refuse it.

In: a JSON object and the account's options. Out: the fields to store, or `Refused` with all reasons. The messages start
with "sandbox:", because AlertSite's own are not known.

Assumptions where the public documentation is silent:

* NULL-IS-LEFT-OUT: a field that is null counts as omitted.
* UNKNOWN-FIELDS: a field that the type does not have, or that is read-only, is ignored (`strict_fields`: refused).
* RANGES: interval 1 to 1440 minutes, timeout 1 to 300 seconds, name and host up to 255 characters, note up to 255.
* STRICT-TYPES: `"15"` or `15.0` instead of an integer is refused, and 1 instead of true.
* UNSET-IS-EMPTY: an unset port or ipv4 is returned as "", and "" unsets it.
* HOME-IS-ONE-OF: home_location must be one of the locations, and is the first of them if it is omitted.
* COUNT-IS-CHECKED: monitor_location_count cannot be above the number of locations.
* LOCATIONS-REPLACE: locations in an update replace the whole list, and home_location too if it is no longer in it.
* PLAN-MAY-CHANGE: an update may change billing_plancode.
* LONGER-THAN-TIMEOUT: a round-trip's interval must be longer than its timeout, as in the UI.
* MODES: the five names of the UI, in its spelling.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bulkload.sandbox.account_options import ACCOUNT_DEFAULTS, SHOWN_LOCATIONS, Location, SandboxOptions

ALERT_NOTE_LENGTH = 1000  # characters; a longer text is truncated silently, which is documented
READ_ONLY: Mapping[str, object] = {
    "access_type": "Edit",
    "blackout_ids": [],
    "has_active_performance_alerts": False,
    "has_performance_alerts": False,
    "has_sla": False,
    "sla_id": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The body cannot become a monitor."""

    reasons: tuple[str, ...]


def new_monitor(monitor_type: str, body: Mapping[str, object], options: SandboxOptions) -> dict[str, object] | Refused:
    """The fields of a new monitor: those sent, and the account's defaults for the others."""
    sent = _sent(body)
    fields = {**ACCOUNT_DEFAULTS, **options.defaults, **sent}
    return _checked(monitor_type, fields, sent, options)


def edited_monitor(
    monitor_type: str, stored: Mapping[str, object], body: Mapping[str, object], options: SandboxOptions
) -> dict[str, object] | Refused:
    """The fields of a monitor after an update: only those sent change."""
    sent = _sent(body)
    fields = {**stored, **sent}
    if "locations" in sent and "home_location" not in sent:
        fields.pop("home_location", None)
    return _checked(monitor_type, fields, sent, options)


def _ipv4(text: str) -> str:
    if text:
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            raise ValueError("must be an IPv4 address such as 192.0.2.1") from None
    return text


def _host(text: str) -> str:
    if any(character.isspace() for character in text):
        raise ValueError("must be a host name without white space")
    return text


def _cut(text: str) -> str:
    return text[:ALERT_NOTE_LENGTH]


Text = Annotated[str, Field(min_length=1, max_length=255)]
Host = Annotated[Text, AfterValidator(_host)]
Mode = Literal["Primary", "Global Notify", "Global Verify", "Round Robin", "SLA (MultiPOP)"]


class _LocationId(BaseModel):
    model_config = ConfigDict(strict=True, defer_build=True)  # until the first monitor comes
    id: int


class _Property(BaseModel):
    model_config = ConfigDict(strict=True, defer_build=True)  # until the first monitor comes
    id: int
    name: str = ""
    value: str = ""
    value_id: int | None = None


class _Monitor(BaseModel):
    """Fields of every type."""

    model_config = ConfigDict(strict=True, defer_build=True)  # until the first monitor comes
    billing_plancode: Text
    name: Text
    interval: Annotated[int, Field(ge=1, le=1440)]  # minutes
    timeout: Annotated[int, Field(ge=1, le=300)]  # seconds
    enabled: bool
    alert_note: Annotated[str, AfterValidator(_cut)]
    note: Annotated[str, Field(max_length=255)]
    allow_internal_testing: bool
    custom_properties: list[_Property]
    locations: Annotated[list[_LocationId], Field(min_length=1)]
    home_location: int | None = None
    mode: Mode
    rotate_locations: bool
    monitor_location_count: Annotated[int, Field(ge=1)]
    notify_on_error: bool
    retry_on_failure: bool
    resolve_dns: bool
    traceroute_on_error: bool


class _Server(_Monitor):
    """IMAP, POP3 and SMTP."""

    hostname: Host
    port: Annotated[int, Field(ge=1, le=65535)] | Literal[""] = ""
    ipv4: Annotated[str, AfterValidator(_ipv4)] = ""


class _RoundTrip(_Monitor):
    smtp_hostname: Host
    pop3_hostname: Host
    email: Annotated[Text, Field(pattern=r"^[^@\s]+@[^@\s]+$")]


MODELS: Mapping[str, type[_Monitor]] = {
    "email-imap": _Server,
    "email-pop": _Server,
    "email-smtp": _Server,
    "email-round-trip": _RoundTrip,
}


def _sent(body: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in body.items() if value is not None}


def _checked(
    monitor_type: str, fields: Mapping[str, object], sent: Mapping[str, object], options: SandboxOptions
) -> dict[str, object] | Refused:
    model = MODELS[monitor_type]
    reasons: list[str] = []
    if options.strict_fields:
        reasons += [f"{key} is not a field of {monitor_type}." for key in sent if key not in model.model_fields]
    try:
        monitor = model.model_validate(fields)
    except ValidationError as error:
        return Refused(reasons=_prefixed([*reasons, *_reasons(error)]))
    location_ids = [location.id for location in monitor.locations]
    if monitor.home_location is None:
        monitor.home_location = location_ids[0]
    reasons += _conflicts(monitor_type, monitor, location_ids, options)
    if reasons:
        return Refused(reasons=_prefixed(reasons))
    return {
        **READ_ONLY,
        **monitor.model_dump(),
        "locations": [_location(location_id, options) for location_id in location_ids],
        "type": monitor_type,
    }


def _conflicts(monitor_type: str, monitor: _Monitor, location_ids: list[int], options: SandboxOptions) -> list[str]:
    """The reasons that concern several fields, or the plans and locations of the account."""
    reasons = []
    if options.plans is not None and monitor.billing_plancode not in options.plans:
        reasons.append(f"billing_plancode: the account has no plan {monitor.billing_plancode!r}.")
    if options.locations is not None:
        known = {location.id for location in options.locations}
        reasons += [
            f"locations: there is no location {location_id}."
            for location_id in location_ids
            if location_id not in known
        ]
    if monitor.home_location not in location_ids:
        reasons.append("home_location: must be one of the locations.")
    if monitor.monitor_location_count > len(location_ids):
        reasons.append(f"monitor_location_count: must be at most {len(location_ids)}, the number of locations.")
    if monitor_type == "email-round-trip" and monitor.interval * 60 <= monitor.timeout:
        reasons.append("interval: must be longer than the timeout.")
    if options.check_modes:
        if monitor.mode in ("Round Robin", "SLA (MultiPOP)") and len(location_ids) < 2:
            reasons.append(f"mode: {monitor.mode} needs two locations.")
        if monitor.mode == "Primary" and monitor.rotate_locations:
            reasons.append("rotate_locations: Primary cannot rotate.")
    return reasons


def _reasons(error: ValidationError) -> list[str]:
    reasons: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        field = str(problem["loc"][0])
        is_model_type = problem["type"] == "model_type"  # pydantic's message would contain the name of a class
        message = "Input should be an object" if is_model_type else problem["msg"].removeprefix("Value error, ")
        # A union reports each of its members; the first one is the usual type
        reasons.setdefault(field, f"{field} is required." if problem["type"] == "missing" else f"{field}: {message}.")
    return list(reasons.values())


def _prefixed(reasons: list[str]) -> tuple[str, ...]:
    return tuple(f"sandbox: {reason}" for reason in reasons)


def _location(location_id: int, options: SandboxOptions) -> dict[str, object]:
    for location in options.locations or SHOWN_LOCATIONS:
        if location.id == location_id:
            break
    else:
        location = Location(id=location_id, name=f"Location {location_id}", region=1)
    return {"id": location.id, "name": location.name, "region": location.region}
