"""The table of input columns, with their names, rules and limits.

In: nothing. Out: `FIELDS` by name and `ALIASES` by normalised header. Validation, the template, the messages and the
documentation use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bulkload.monitors.other_languages import HEADERS as OTHER_HEADERS
from bulkload.monitors.other_languages import spellings
from bulkload.monitors.result_columns import normalise
from bulkload.protocols import HIGHEST_PORT, LOWEST_PORT, MONITOR_TYPES, ROUND_TRIP, SERVER_TYPES

CellType = Literal["choice", "text", "host", "number", "switch", "list", "address"]

PORTS = (LOWEST_PORT, HIGHEST_PORT)
INTERVALS = (1, 1440)  # minutes
TIMEOUTS = (1, 300)  # seconds
LONGEST_NAME = 255  # characters; AlertSite publishes no limit
LONGEST_NOTE = 255  # characters, the limit of AlertSite's own pages
LONGEST_ALERT_NOTE = 1000  # characters; AlertSite truncates longer ones silently


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input column; `rule` is the second half of the message "port is 99999; …"."""

    name: str
    cell_type: CellType
    rule: str
    help: str
    example: str
    types: tuple[str, ...] = MONITOR_TYPES
    required: bool = False  # for the types it belongs to
    choices: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None  # lowest and highest number
    longest: int | None = None  # characters of a text
    aliases: tuple[str, ...] = ()


MODES = ("Primary", "Global Notify", "Global Verify", "Round Robin", "SLA (MultiPOP)")
_SWITCH_RULE = "use true/false, yes/no, y/n, on/off, 1/0 or enabled/disabled"


def _switch(name: str, help: str, *aliases: str, example: str = "yes", types: tuple[str, ...] = MONITOR_TYPES) -> Field:
    return Field(
        name=name,
        cell_type="switch",
        rule=_SWITCH_RULE,
        help=help,
        example=example,
        types=types,
        choices=("yes", "no"),
        aliases=aliases,
    )


_TABLE = (
    Field(
        name="type",
        cell_type="choice",
        required=True,
        rule="use imap, pop, smtp, round-trip, imaps, pop3s, smtps or submission; the last four also set the port",
        help="The protocol to check. imaps, pop3s, smtps and submission also set the port to 993, 995, 465 and 587.",
        example="imap",
        choices=("imap", "imaps", "pop", "pop3s", "smtp", "smtps", "submission", "round-trip"),
        aliases=("protocol", "service", "service type", "monitor type", "check type"),
    ),
    Field(
        name="name",
        cell_type="text",
        required=True,
        rule=f"a name has 1 to {LONGEST_NAME} characters and no control characters",
        longest=LONGEST_NAME,
        help="The name of the monitor in AlertSite.",
        example="Example IMAP",
        aliases=("monitor name", "monitor", "display name", "friendly name", "title", "label"),
    ),
    Field(
        name="hostname",
        cell_type="host",
        required=True,
        types=SERVER_TYPES,
        rule="a host name has parts of letters, digits and hyphens, separated by dots, such as mail.example.com",
        help="The mail server: a host name or an IPv4 address. host:993 and imaps://host:993 work too.",
        example="imap.example.com",
        aliases=(
            *("host", "server", "server name", "server address", "host address"),
            *("mail server", "mail host", "fqdn", "dns name", "target"),
        ),
    ),
    Field(
        name="port",
        cell_type="number",
        types=SERVER_TYPES,
        rule="a port is a whole number from {} to {}".format(*PORTS),
        bounds=PORTS,
        help="If empty, the type sets the port: imap 143, pop 110, smtp 25, imaps 993, pop3s 995, smtps 465.",
        example="993",
        aliases=("port number", "tcp port", "server port"),
    ),
    Field(
        name="billing_plancode",
        cell_type="text",
        required=True,
        rule="a plan code is spelled as in AlertSite, such as UBM - A/A, without the counts after it",
        help="The plan that the monitor is billed to, spelled as in AlertSite. --set fills it in for a whole file.",
        example="UBM - A/A",
        aliases=("plan", "plan code", "billing plan"),
    ),
    Field(
        name="interval",
        cell_type="number",
        rule="an interval is a whole number of minutes from {} to {}".format(*INTERVALS),
        bounds=INTERVALS,
        help="Minutes between two checks.",
        example="15",
        aliases=(
            *("frequency", "check frequency", "check interval", "polling interval"),
            *("interval minutes", "interval min", "interval in minutes"),
        ),
    ),
    Field(
        name="timeout",
        cell_type="number",
        rule="a timeout is a whole number of seconds from {} to {}".format(*TIMEOUTS),
        bounds=TIMEOUTS,
        help="Seconds until a check counts as failed. For round-trip it must be shorter than the interval.",
        example="30",
        aliases=("timeout seconds", "timeout sec", "timeout in seconds", "timeout s"),
    ),
    _switch("enabled", "Whether monitoring is on.", "active", "monitoring", "is enabled"),
    _switch("notify_on_error", "Whether availability alerts are sent.", "notify", "send alerts", "alerts"),
    Field(
        name="mode",
        cell_type="choice",
        rule=f"a mode is {', '.join(MODES[:-1])} or {MODES[-1]}",
        help="How checks are distributed over the locations.",
        example="Global Verify",
        choices=MODES,
        aliases=("monitoring mode",),
    ),
    Field(
        name="locations",
        cell_type="list",
        rule="locations are location numbers separated by semicolons, such as 10;20",
        help="Numbers of the monitoring locations, separated by semicolons. If empty: the account's default.",
        example="10;20",
        aliases=("location", "location ids", "location id", "monitoring locations"),
    ),
    Field(
        name="home_location",
        cell_type="number",
        rule="a home location is the number of one location",
        help="Number of the primary location; it must be one of the locations.",
        example="10",
        aliases=("primary location",),
    ),
    _switch(
        "rotate_locations",
        "Whether the locations take turns instead of all checking each time.",
        "rotate",
        example="no",
    ),
    Field(
        name="monitor_location_count",
        cell_type="number",
        rule="a location count is a whole number from 1 up to the number of locations",
        help="How many locations check each time when they rotate.",
        example="1",
        aliases=("location count", "locations per run"),
    ),
    _switch(
        "retry_on_failure",
        "Whether a failed check is retried before it counts as failed.",
        "retry",
        "local retry",
        "enable local retry",
    ),
    _switch("traceroute_on_error", "Whether a failure is followed by a traceroute.", "traceroute", example="no"),
    _switch(
        "resolve_dns",
        "Whether the host name is resolved on each check; if no, checks connect to the address in ipv4.",
        "resolve",
        types=SERVER_TYPES,
    ),
    Field(
        name="ipv4",
        cell_type="address",
        types=SERVER_TYPES,
        rule="an IPv4 address is four numbers from 0 to 255, such as 192.0.2.10",
        help="The server's IPv4 address, used when resolve_dns is no.",
        example="192.0.2.10",
        aliases=("ip", "ip address", "ipv4 address"),
    ),
    Field(
        name="smtp_hostname",
        cell_type="host",
        required=True,
        types=(ROUND_TRIP,),
        rule="an SMTP server is a host name or smtps://host:465",
        help="The server that sends the test message: a host name, or smtps://host:465 for TLS.",
        example="smtps://smtp.example.com:465",
        aliases=("smtp host", "smtp server", "outgoing server", "outgoing mail server"),
    ),
    Field(
        name="pop3_hostname",
        cell_type="host",
        required=True,
        types=(ROUND_TRIP,),
        rule="a POP3 server is a host name or pop3s://host:995",
        help="The server that the test message is fetched from: a host name, or pop3s://host:995 for TLS.",
        example="pop3s://pop.example.com:995",
        aliases=(
            *("pop3 host", "pop3 server", "pop hostname", "pop host", "pop server"),
            *("incoming server", "incoming mail server"),
        ),
    ),
    Field(
        name="email",
        cell_type="address",
        required=True,
        types=(ROUND_TRIP,),
        rule="an e-mail address looks like probe@example.com",
        help="The mailbox that receives the test message; it must not be used for anything else.",
        example="probe@example.com",
        aliases=("email address", "mail address", "mailbox", "test mailbox"),
    ),
    Field(
        name="alert_note",
        cell_type="text",
        rule=f"an alert note has at most {LONGEST_ALERT_NOTE} characters and no control characters",
        help=f"Text included in alerts, at most {LONGEST_ALERT_NOTE} characters.",
        longest=LONGEST_ALERT_NOTE,
        example="Call the mail team",
        aliases=("alert text",),
    ),
    Field(
        name="note",
        cell_type="text",
        rule=f"a note has at most {LONGEST_NOTE} characters and no control characters",
        help=f"Text for the dashboard, at most {LONGEST_NOTE} characters.",
        longest=LONGEST_NOTE,
        example="Moved here in May",
        aliases=("notes", "dashboard note"),
    ),
    Field(
        name="custom_properties",
        cell_type="list",
        rule="custom properties are pairs of property and value numbers, such as 28=74;30=81",
        help="Pairs of property number and value number, separated by semicolons.",
        example="28=74;30=81",
        aliases=("custom property", "properties"),
    ),
    _switch(
        "allow_internal_testing",
        "Whether AlertSite's QA team may use the monitor for tests.",
        "allow qa testing",
        example="no",
    ),
    Field(
        name="monitor_id",
        cell_type="number",
        rule="a monitor ID consists of digits only",
        help="The ID of an existing monitor, as in a results file or an export.",
        example="123456",
        aliases=("alertsite id",),
    ),
)

FIELDS: Mapping[str, Field] = {field.name: field for field in _TABLE}

ENGLISH_ALIASES: Mapping[str, str] = {
    normalise(spelling): field.name for field in _TABLE for spelling in (field.name, *field.aliases)
}
ALIASES: Mapping[str, str] = {
    **{normalise(each): name for name, words in OTHER_HEADERS.items() for word in words for each in spellings(word)},
    **ENGLISH_ALIASES,
}

READ_ONLY = frozenset(  # fields that the API returns but does not accept
    {"id", "type", "access_type", "blackout_ids", "has_performance_alerts", "has_active_performance_alerts"}
    | {"has_sla", "sla_id"}
)
