"""The input columns: what they are called, what they may hold, and how a file's header maps to them.

in: the header of a file, with what --map and --set say    out: a `Layout`, or one InputError naming every problem
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bulkload.errors import InputError
from bulkload.model import MONITOR_TYPES

RESULT_COLUMNS = (
    "status",
    "monitor_id",
    "error",
    "error_columns",
    "next_step",
    "attempts",
    "source_row",
    "run_id",
)
RESULT_PREFIX = "bulkload_"  # ours are called so when the input has a column of such a name
API_PREFIX = "api:"

Kind = Literal["choice", "text", "host", "number", "switch", "list", "address"]

SERVER_TYPES = tuple(name for name in MONITOR_TYPES if name != "email-round-trip")
ROUND_TRIP = ("email-round-trip",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input column; `rule` completes the sentence "port is 99999; …"."""

    name: str
    kind: Kind
    rule: str
    help: str
    example: str
    types: tuple[str, ...] = MONITOR_TYPES
    required: bool = False  # for the types it belongs to
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the columns of one file are to be read."""

    header: tuple[str, ...]
    fields: tuple[str | None, ...]  # per column; "api:x" is passed through, None is not sent
    is_results: bool
    result_columns: Mapping[str, int]  # our own columns in a results file: name → index
    user_columns: tuple[int, ...]  # indices of everything else


MODES = ("Primary", "Global Notify", "Global Verify", "Round Robin", "SLA (MultiPOP)")
_SWITCH_RULE = "allowed are true/false, yes/no, y/n, on/off, 1/0 and enabled/disabled"


def _switch(name: str, help: str, *aliases: str, example: str = "yes", types: tuple[str, ...] = MONITOR_TYPES) -> Field:
    return Field(
        name=name,
        kind="switch",
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
        kind="choice",
        required=True,
        rule="a type is imap, pop, smtp or round-trip, or imaps, pop3s, smtps or submission to set the port too",
        help="What to check. imaps, pop3s, smtps and submission also set port 993, 995, 465 and 587.",
        example="imap",
        choices=("imap", "imaps", "pop", "pop3s", "smtp", "smtps", "submission", "round-trip"),
        aliases=("protocol", "service", "service type", "monitor type", "check type"),
    ),
    Field(
        name="name",
        kind="text",
        required=True,
        rule="a name has 1 to 255 characters and no control characters",
        help="What the monitor is called in AlertSite.",
        example="Example IMAP",
        aliases=("monitor name", "monitor", "display name", "friendly name", "title", "label"),
    ),
    Field(
        name="hostname",
        kind="host",
        required=True,
        types=SERVER_TYPES,
        rule="a host name is labels of letters, digits and dashes separated by dots, such as mail.example.com",
        help="The mail server: a bare host name or an IPv4 address. host:993 and imaps://host:993 work too.",
        example="imap.example.com",
        aliases=(
            *("host", "server", "server name", "server address", "host address"),
            *("mail server", "mail host", "fqdn", "dns name", "target"),
        ),
    ),
    Field(
        name="port",
        kind="number",
        types=SERVER_TYPES,
        rule="a port is a whole number from 1 to 65535",
        help="Left empty, the type decides: imap 143, pop 110, smtp 25, imaps 993, pop3s 995, smtps 465.",
        example="993",
        aliases=("port number", "tcp port", "server port"),
    ),
    Field(
        name="billing_plancode",
        kind="text",
        required=True,
        rule="a plan code is written as AlertSite spells it, such as UBM - A/A, without the counts behind it",
        help="The plan that pays for the monitor, spelled as in AlertSite. --set fills it for a whole file.",
        example="UBM - A/A",
        aliases=("plan", "plan code", "billing plan"),
    ),
    Field(
        name="interval",
        kind="number",
        rule="an interval is a whole number of minutes from 1 to 1440",
        help="Minutes between two checks.",
        example="15",
        aliases=(
            *("frequency", "check frequency", "check interval", "polling interval"),
            *("interval minutes", "interval min", "interval in minutes"),
        ),
    ),
    Field(
        name="timeout",
        kind="number",
        rule="a timeout is a whole number of seconds from 1 to 300",
        help="Seconds until a check counts as failed. For round-trip it is shorter than the interval.",
        example="30",
        aliases=("timeout seconds", "timeout sec", "timeout in seconds", "timeout s"),
    ),
    _switch("enabled", "Whether monitoring is on.", "active", "monitoring", "is enabled"),
    _switch("notify_on_error", "Whether availability alerts are sent.", "notify", "send alerts", "alerts"),
    Field(
        name="mode",
        kind="choice",
        rule=f"a mode is {', '.join(MODES[:-1])} or {MODES[-1]}",
        help="How the locations share the checks.",
        example="Global Verify",
        choices=MODES,
        aliases=("monitoring mode",),
    ),
    Field(
        name="locations",
        kind="list",
        rule="locations are location numbers separated by semicolons, such as 10;20",
        help="Numbers of the monitoring locations, separated by semicolons. Left empty: the account's default.",
        example="10;20",
        aliases=("location", "location ids", "location id", "monitoring locations"),
    ),
    Field(
        name="home_location",
        kind="number",
        rule="a home location is the number of one location",
        help="Number of the primary location; it must be one of the locations.",
        example="10",
        aliases=("primary location",),
    ),
    _switch("rotate_locations", "Whether each run uses a changing part of the locations.", "rotate", example="no"),
    Field(
        name="monitor_location_count",
        kind="number",
        rule="a location count is a whole number from 1 up to the number of locations",
        help="How many locations a run uses when they rotate.",
        example="1",
        aliases=("location count", "locations per run"),
    ),
    _switch(
        "retry_on_failure",
        "Whether a failure is tried again before it counts.",
        "retry",
        "local retry",
        "enable local retry",
    ),
    _switch("traceroute_on_error", "Whether a failure is followed by a traceroute.", "traceroute", example="no"),
    _switch(
        "resolve_dns",
        "Whether the host name is looked up on each check; no connects to the address in ipv4.",
        "resolve",
        types=SERVER_TYPES,
    ),
    Field(
        name="ipv4",
        kind="address",
        types=SERVER_TYPES,
        rule="an IPv4 address is four numbers from 0 to 255, such as 192.0.2.10",
        help="The server's IPv4 address, used when resolve_dns is no.",
        example="192.0.2.10",
        aliases=("ip", "ip address", "ipv4 address"),
    ),
    Field(
        name="smtp_hostname",
        kind="host",
        required=True,
        types=ROUND_TRIP,
        rule="an SMTP server is a host name or smtps://host:465",
        help="The server that sends the test message: a host name, or smtps://host:465 for TLS.",
        example="smtps://smtp.example.com:465",
        aliases=("smtp host", "smtp server", "outgoing server", "outgoing mail server"),
    ),
    Field(
        name="pop3_hostname",
        kind="host",
        required=True,
        types=ROUND_TRIP,
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
        kind="address",
        required=True,
        types=ROUND_TRIP,
        rule="an e-mail address looks like probe@example.com",
        help="The mailbox that the test message goes to; used for nothing else.",
        example="probe@example.com",
        aliases=("email address", "mail address", "mailbox", "test mailbox"),
    ),
    Field(
        name="alert_note",
        kind="text",
        rule="an alert note has at most 1000 characters and no control characters",
        help="Text that alerts carry, at most 1000 characters.",
        example="Call the mail team",
        aliases=("alert text",),
    ),
    Field(
        name="note",
        kind="text",
        rule="a note has at most 255 characters and no control characters",
        help="Text for the dashboard, at most 255 characters.",
        example="Moved here in May",
        aliases=("notes", "dashboard note"),
    ),
    Field(
        name="custom_properties",
        kind="list",
        rule="custom properties are pairs of property and value numbers, such as 28=74;30=81",
        help="Pairs of property number and value number, separated by semicolons.",
        example="28=74;30=81",
        aliases=("custom property", "properties"),
    ),
    _switch("allow_internal_testing", "Whether AlertSite's own QA may test with it.", "allow qa testing", example="no"),
    Field(
        name="monitor_id",
        kind="number",
        rule="a monitor ID is digits only",
        help="Names an existing monitor outright; comes from a results file or an export.",
        example="123456",
        aliases=("alertsite id",),
    ),
)

FIELDS: Mapping[str, Field] = {field.name: field for field in _TABLE}

_IGNORED_IN_HEADERS = re.compile(r"[\s_\-‐-―()\[\]*:]+")


def normalise(header: str) -> str:
    """Reduce a header to what counts: case, blanks, dashes, underscores, brackets and stars do not.

    >>> normalise("  Host-Name * ")
    'hostname'
    """
    return _IGNORED_IN_HEADERS.sub("", unicodedata.normalize("NFKC", header).casefold())


ALIASES: Mapping[str, str] = {
    normalise(spelling): field.name for field in _TABLE for spelling in (field.name, *field.aliases)
}

_HINTS = {
    "tls": 'TLS follows from the type or the port, so write imaps, pop3s or smtps in "type"',
    "ssl": 'TLS follows from the type or the port, so write imaps, pop3s or smtps in "type"',
    "password": "passwords are not sent; keep them out of the file",
    "intervalseconds": 'an interval is minutes, in a column "interval"',
    "timeoutms": 'a timeout is seconds, in a column "timeout"',
}
_NEEDED = ("type", "name", "billing_plancode")
_HOST_FIELDS = ("hostname", "smtp_hostname")


def is_header(cells: Sequence[str], *, given: Collection[str] = (), mapping: Mapping[str, str] | None = None) -> bool:
    """Tell whether a row of cells is a header: it names type, name and a host, apart from the given fields."""
    renamed = {normalise(column): target for column, target in (mapping or {}).items()}
    named = {_field_of(cell, renamed) for cell in cells} - {None}
    known = named | _fields_of(given)
    return bool(named) and {"type", "name"} <= known and any(host in known for host in _HOST_FIELDS)


def map_header(
    header: Sequence[str],
    *,
    mapping: Mapping[str, str] | None = None,
    given: Collection[str] = (),
    ignore_unknown: bool = False,
) -> Layout:
    """Map each column to a field, or raise one InputError that lists every problem of the header.

    `mapping` is --map (column → field); `given` names, in any spelling, the fields that --set or [defaults] fill.
    """
    header = tuple(header)
    names = [normalise(cell) for cell in header]
    problems: list[str] = []
    renamed = _renamed(header, names, mapping or {}, problems)

    prefix = next((p for p in (RESULT_PREFIX, "") if normalise(p + "run_id") in names), None)
    ours: dict[str, int] = {}
    if prefix is not None:
        # ours stand behind the user's, so of two equal names the last one is ours
        last = {name: index for index, name in enumerate(names) if name not in renamed}
        spelled = {column: normalise(prefix + column) for column in RESULT_COLUMNS}
        ours = {column: last[name] for column, name in spelled.items() if name in last}

    fields: list[str | None] = []
    taken: dict[str, int] = {}
    for index, (cell, name) in enumerate(zip(header, names, strict=True)):
        field = None if index in ours.values() else _field_of(cell, renamed)
        if field is None:
            if name and index not in ours.values() and not ignore_unknown:
                problems.append(_unknown(header, index))
        elif reason := not_passed_through(field):
            problems.append(f"{_place(header, index)} {reason}.")
        elif field in taken:
            problems.append(
                f"{_place(header, taken[field])} and {_place(header, index)} both mean {field}; one is allowed."
            )
        else:
            taken[field] = index
        fields.append(field)

    problems.extend(_missing({*taken, *_fields_of(given)}))
    if problems:
        lead = "The header has a problem:" if len(problems) == 1 else f"The header has {len(problems)} problems:"
        raise InputError("\n  ".join([lead, *problems]))
    return Layout(
        header=header,
        fields=tuple(fields),
        is_results=prefix is not None,
        result_columns=ours,
        user_columns=tuple(index for index in range(len(header)) if index not in ours.values()),
    )


def field_named(text: str) -> str | None:
    """Read a field as people write it: a name, a published alias, or api:anything."""
    text = text.strip()
    if text[: len(API_PREFIX)].casefold() == API_PREFIX:
        return API_PREFIX + text[len(API_PREFIX) :].strip()  # the API's own names keep their case
    return ALIASES.get(normalise(text))


def column_letters(index: int) -> str:
    """Name a column as spreadsheet programs do: A, B, … AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def not_passed_through(field: str) -> str | None:
    """Say why a field may not be passed through as api:field; None if it may, or is none of that kind."""
    if not field.startswith(API_PREFIX):
        return None
    name = normalise(field[len(API_PREFIX) :])
    if not name:
        return "names no field; write api:field_name"
    if name == "id" or name in map(normalise, FIELDS):
        return "passes on a field that has a column of its own or cannot be set"
    return None


def _field_of(cell: str, renamed: Mapping[str, str]) -> str | None:
    name = normalise(cell)
    if name in renamed:
        return renamed[name]
    return field_named(cell)


def _fields_of(spellings: Collection[str]) -> set[str]:
    return {field for spelling in spellings if (field := field_named(spelling)) is not None}


def _renamed(
    header: Sequence[str], names: Sequence[str], mapping: Mapping[str, str], problems: list[str]
) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for column, wanted in mapping.items():
        target = field_named(wanted)
        if target is None:
            problems.append(f'--map "{column}={wanted}": there is no field "{wanted}"{_suggestion(wanted)}.')
        if not normalise(column) or normalise(column) not in names:
            found = ", ".join(f'"{cell}"' for cell in header if cell.strip()) or "none"
            problems.append(f'--map "{column}={wanted}": the file has no column "{column}"; its columns are {found}.')
        elif target is not None:
            renamed[normalise(column)] = target
    return renamed


def _missing(known: Collection[str]) -> list[str]:
    problems = [
        f'There is no column "{name}", which every row needs{"; --set can fill it" if name != "name" else ""}.'
        for name in _NEEDED
        if name not in known
    ]
    if not any(host in known for host in _HOST_FIELDS):
        problems.append('There is no column "hostname" (for round-trip: "smtp_hostname"), which every row needs.')
    elif "hostname" not in known:
        problems.extend(
            f'There is no column "{name}", which round-trip monitors need.'
            for name in ("pop3_hostname", "email")
            if name not in known
        )
    return problems


def _unknown(header: Sequence[str], index: int) -> str:
    hint = _HINTS.get(normalise(header[index]))
    advice = f"; {hint}" if hint else _suggestion(header[index])
    return f"{_place(header, index)} is unknown{advice}; --map names its field, --ignore-unknown leaves it out."


def _suggestion(text: str) -> str:
    import difflib

    close = difflib.get_close_matches(normalise(text)[:100], list(ALIASES), n=1, cutoff=0.7)
    return f', perhaps "{ALIASES[close[0]]}" is meant' if close else ""


def _place(header: Sequence[str], index: int) -> str:
    return f'Column {column_letters(index)} "{" ".join(header[index].split())}"'
