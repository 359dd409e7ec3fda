"""The options of the sandbox's account: user, role, plans, locations, defaults, alert recipients. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Role = Literal["admin", "co-admin", "power-user", "read-only", "report-only"]

WRITERS: frozenset[Role] = frozenset({"admin", "co-admin", "power-user"})


class SandboxError(Exception):
    """The sandbox cannot start; the message tells the user why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A monitoring location of AlertSite."""

    id: int
    name: str
    region: int  # 1 US and Canada, 2 other countries, 3 mobile networks, 0 private


# The locations in AlertSite's public documentation
SHOWN_LOCATIONS = (
    Location(id=10, name="Fort Lauderdale (FL)", region=1),
    Location(id=20, name="Atlanta, GA", region=1),
    Location(id=26, name="Atlanta, GA - ATT Wireless", region=3),
    Location(id=30, name="Fremont", region=1),
    Location(id=10273, name="InSite", region=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecipient:
    """An alert recipient, with the fields of the documented object that tell recipients apart."""

    id: int
    name: str
    recipient: str  # the destination
    method_id: int = 12
    method_description: str = "E-mail (HTML format)"
    availability_alert: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientGroup:
    """A recipient group; the sandbox sends no alerts, so its monitors are only shown."""

    id: int
    name: str
    recipients: tuple[int, ...]  # their IDs
    is_default: bool = False
    monitors: tuple[int, ...] = ()  # their IDs
    errortypes: tuple[int, ...] = ()  # none: all errors


# One by e-mail, and one whose destination is a secret, as on the public page of a recipient group
SHOWN_RECIPIENTS = (
    AlertRecipient(id=90626, name="Mail team", recipient="mail-team@example.com"),
    AlertRecipient(
        id=90627,
        name="Chat #mail",
        recipient="https://hooks.example.com/services/T12345678/sandbox-secret",
        method_id=16,
        method_description="POST JSON request to web server",
    ),
)

# Assumption ACCOUNT-DEFAULTS: the values of fields that a create omits. The real values belong to each
# account (Settings > Preferences > Monitor Defaults); only `allow_internal_testing` is documented.
ACCOUNT_DEFAULTS: Mapping[str, object] = MappingProxyType(
    {
        "alert_note": "",
        "allow_internal_testing": True,
        "custom_properties": [],
        "enabled": True,
        "interval": 15,  # minutes
        "locations": [{"id": 10}],
        "mode": "Primary",
        "monitor_location_count": 1,
        "note": "",
        "notify_on_error": True,
        "resolve_dns": True,
        "retry_on_failure": True,
        "rotate_locations": False,
        "timeout": 30,  # seconds
        "traceroute_on_error": True,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """The account that the sandbox simulates, and its log."""

    user: str = "sandbox@example.com"
    password: str = field(default="sandbox", repr=False)
    role: Role = "admin"
    token_seconds: float = 3600.0  # lifetime of a token, counted from its issue

    plans: tuple[str, ...] | None = None  # valid plan codes; None: any
    capacity: Mapping[str, int] = field(
        default_factory=dict
    )  # plan code → maximum number of monitors; a plan that is not listed has no limit
    plan_full_status: Literal[400, 403] = 400
    locations: tuple[Location, ...] | None = None  # valid locations; None: any
    defaults: Mapping[str, object] = field(default_factory=dict)  # changes to ACCOUNT_DEFAULTS
    recipients: tuple[AlertRecipient, ...] = SHOWN_RECIPIENTS
    groups: tuple[RecipientGroup, ...] = ()

    strict_fields: bool = False  # refuse fields that the type does not have, instead of ignoring them
    unique_names: bool = False  # refuse a name that another monitor of the same type has
    check_modes: bool = False  # Round Robin and SLA need two locations, Primary cannot rotate

    page_size: int | None = None  # maximum number of items on a page of a list; None: all
    count_is_total: bool = False  # `resultset.count` is the number of all items, not of those on the page

    first_id: int = 100_001  # of a new state file
    late_on_stop: Literal["commit", "drop"] = "commit"  # what happens to late commits
    log_size: int = 10_000  # requests kept in memory
    log_file: Path | None = None  # every request as a line of JSON, appended
