"""The rules that are the same for every tool: checks of another tool go in, rows ready for a run come out.

Here, and only here: a port says which type it is, intervals become whole minutes, private hosts are marked,
the same check twice becomes one, names are told apart. Whatever a row lost or gained on the way is written down,
and every object of the source ends as a row or as left out with a reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.tools.registry import recognise
from bulkload.migration.unique_names import RowName, make_unique
from bulkload.model import RawRow, Source, Translated
from bulkload.monitors.fields import INTERVALS, LONGEST_NOTE, TIMEOUTS
from bulkload.monitors.hosts import is_private, parse_host
from bulkload.monitors.values import CellError
from bulkload.protocols import HIGHEST_PORT, LOWEST_PORT, PROTOCOLS, SIMILAR_PORTS, UNOFFICIAL_PORTS, USUAL_PORTS

TcpAs = Literal["mail", "tcp", "skip"]

# the plan code is for people to fill in: other tools have none
FIELDS = ("type", "name", "hostname", "port", "billing_plancode", "interval", "timeout", "enabled", "note")
ROUND_TRIP = "round-trip"

_PLAIN_PORTS = {protocol.name: protocol.plain_port for protocol in PROTOCOLS}
_TLS_PORTS = {protocol.name: protocol.tls_port for protocol in PROTOCOLS}
_NAME_OF_PORT = UNOFFICIAL_PORTS | {port: one.name for one in PROTOCOLS for port in USUAL_PORTS[one.type]}

MAX_CHECKS = 1_000_000  # objects of one input
MAX_HOST_CHARS = 1000  # of the text where a host name should be
MAX_NOTE_READ = 10_000  # characters of a note that are looked at
MAX_MERGED_SHOWN = 20  # checks that a merged row names
SHOWN_FILES = 3  # names of files in a message
SHOWN_LEFT_OUT = 20  # sentences about objects that need a look, in the notes of a source

# {{ jinja }}, ${ENV}, {$ZABBIX}, {#LLD}, {HOST.CONN}, $NAGIOS$, %{x}, <%= erb %>, ENC[…]
_VARIABLE = re.compile(
    r"\{\{.*?\}\}|\$\{[^}]*\}|\{\$[^}]*\}|\{#[^}]*\}|\{[A-Z][A-Z0-9.]*\}|\$\w+\$|%\{[^}]*\}|<%.*?%>|ENC\[.*?\]"
)
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]*@")
_SECRET = re.compile(r"(?i)\b(pass(?:word|wd|phrase)?|secret|token|api[_-]?key)(\s*[:=]\s*)\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the user decides about the common rules."""

    skip_private: bool = False  # leave out what public locations cannot reach
    tcp_as: TcpAs = "mail"  # what becomes of plain TCP checks on mail ports


@dataclass(frozen=True, slots=True, kw_only=True)
class MigratedRow:
    """One row of input fields, with where it comes from and what was changed on the way."""

    origin: str
    fields: Mapping[str, str]
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Everything one input holds: its rows and what is left out."""

    tool: str  # for people
    header: tuple[str, ...]
    rows: Sequence[MigratedRow]
    skipped_objects: Sequence[SkippedObject]

    @property
    def counts(self) -> Translated:
        """What became of the objects."""
        errors = sum(item.error for item in self.skipped_objects)
        return Translated(rows=len(self.rows), skipped=len(self.skipped_objects) - errors, errors=errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decided:
    """A check whose type, host and port are certain."""

    check: Check
    type: str
    host: str
    port: int | None
    marks: tuple[str, ...] = ()  # go into the note
    changes: tuple[str, ...] = ()


def read_configuration(paths: Sequence[Path], *, tool: str | None = None, rules: Rules | None = None) -> Translation:
    """Recognise whose files these are and turn them into rows."""
    recognised = recognise(read_documents(paths), tool)
    title, items = recognised.reader.TITLE, recognised.reader.translate(recognised.documents)
    found = translated(title, items, rules or Rules(), skipped_objects=recognised.skipped_objects)
    if not (found.rows or found.skipped_objects):
        names = ", ".join(document.name for document in recognised.documents[:SHOWN_FILES])
        raise InputError(f"{names} holds no check of {title}, nor anything that one is made of.")
    return found


def configuration_source(paths: Sequence[Path], *, tool: str | None = None, rules: Rules | None = None) -> Source:
    """Another tool's configuration as an input like any other, for run, check and plan."""
    translation = read_configuration(paths, tool=tool, rules=rules)
    header = translation.header
    rows = (
        RawRow(number=number, cells=tuple(row.fields.get(name, "") for name in header))
        for number, row in enumerate(translation.rows, 2)  # the header is row 1, as in the converted sheet
    )
    errors = [item for item in translation.skipped_objects if item.error]
    counts = translation.counts
    notes = [f"{item.origin}: {item.reason}" for item in errors[:SHOWN_LEFT_OUT]]
    if len(errors) > SHOWN_LEFT_OUT:
        notes.append(f"{len(errors) - SHOWN_LEFT_OUT} more objects need a look; bulkload convert lists them all.")
    if counts.skipped:
        notes.append(f"{counts.skipped} objects are skipped; bulkload convert lists them with the reason.")
    return Source(
        path=paths[0],
        name=paths[0].name or str(paths[0]),
        format=translation.tool,
        header=header,
        rows=rows,
        details={
            "objects": f"{counts.objects:,} objects: {counts.rows:,} rows, {counts.skipped:,} skipped,"
            f" {counts.errors:,} errors"
        },
        notes=tuple(notes),
        translated=counts,
    )


def translated(
    tool: str, items: Iterable[Check | SkippedObject], rules: Rules, *, skipped_objects: Sequence[SkippedObject] = ()
) -> Translation:
    """Apply the common rules to everything a reader found."""
    rest = list(skipped_objects)
    settled: list[_Decided] = []
    for count, item in enumerate(items):
        if count >= MAX_CHECKS:
            raise InputError(f"The source holds more than {MAX_CHECKS:,} objects, the most that is read at once.")
        outcome = item if isinstance(item, SkippedObject) else _settle(item, rules)
        if isinstance(outcome, SkippedObject):
            rest.append(outcome)
        else:
            settled.append(outcome)
    merged, repeated = _merge(settled)
    rows = [
        _row(item, *named) for item, named in zip(merged, make_unique([_name(item) for item in merged]), strict=True)
    ]
    extra = dict.fromkeys(key for item in merged for key in item.check.extra if key not in FIELDS)
    return Translation(tool=tool, header=(*FIELDS, *extra), rows=rows, skipped_objects=(*rest, *repeated))


def _settle(check: Check, rules: Rules) -> _Decided | SkippedObject:
    """Make type, host and port certain, or say why that cannot be."""

    def out(reason: str, *, error: bool = True) -> SkippedObject:
        return SkippedObject(origin=check.origin, reason=reason, error=error)

    if check.type == ROUND_TRIP:
        return _Decided(check=check, type=ROUND_TRIP, host=check.hostname, port=check.port)
    if len(check.hostname) > MAX_HOST_CHARS:
        return out(f"Its host name has {len(check.hostname):,} characters, more than any host name.")
    if unresolved := _VARIABLE.search(check.hostname):
        return out(f"The variable {unresolved[0]} in its host name has no value in these files.")
    marks: list[str] = []
    changes: list[str] = []
    try:
        parsed = parse_host(check.hostname.strip())
        host, port_in_host = parsed.name, parsed.port
        private = is_private(host)
    except CellError as error:
        if error.reason != "domain":
            return out(f"The host {check.hostname[:100]!r} cannot be used: {error.allowed}.")
        host, port_in_host, private = check.hostname.strip().lower(), None, True
    if host != check.hostname:
        changes.append(f"The host {check.hostname[:100]} is written {host}.")
    if private:
        if rules.skip_private:
            return out(f"{host} is a private or local host, which public locations cannot reach.", error=False)
        marks.append("private or local host, not reachable from public locations")
    port = check.port or port_in_host
    if port is not None and not LOWEST_PORT <= port <= HIGHEST_PORT:
        return out(f"Its port is {port}; {LOWEST_PORT} to {HIGHEST_PORT} are allowed.")
    kind = check.type
    if kind is None:
        if port is None:
            return out("It is a TCP check that names no port.")
        kind = _NAME_OF_PORT.get(port)
        if kind is None:
            what = f" ({SIMILAR_PORTS[port]})" if port in SIMILAR_PORTS else ""
            return out(f"Port {port}{what} is not a port of IMAP, POP3 or SMTP.", error=False)
        if rules.tcp_as == "skip":
            return out(f"It is a plain TCP check (port {port}), and those are skipped.", error=False)
        if rules.tcp_as == "tcp":
            kind = "tcp"
            changes.append(f"The plain TCP check on port {port} keeps the type tcp, which run does not take.")
        else:
            marks.append("type inferred from TCP port")
            changes.append(f"The type {kind} is inferred from TCP port {port}.")
    elif kind not in _PLAIN_PORTS:
        return out(f"The type {kind} is not one of {', '.join(_PLAIN_PORTS)}.")
    elif port is None:
        port = _TLS_PORTS[kind] if check.tls == "implicit" else _PLAIN_PORTS[kind]
        changes.append(f"The port {port} is the usual one of {kind}; the source names none.")
    elif _NAME_OF_PORT.get(port, kind) != kind and not check.extra:
        return out(f"It is an {kind.upper()} check on port {port}, which belongs to {_NAME_OF_PORT[port].upper()}.")
    if check.tls == "starttls":
        marks.append("STARTTLS in the source")
    elif check.tls == "implicit" and port not in _TLS_PORTS.values():
        marks.append("TLS in the source")
    if check.has_login:
        marks.append("login in the source, enter it again")
        changes.append("The source logs in; user name and password are not taken over.")
    return _Decided(
        check=check, type=kind, host=host, port=port, marks=tuple(marks), changes=(*check.changes, *changes)
    )


def _merge(items: Sequence[_Decided]) -> tuple[list[_Decided], list[SkippedObject]]:
    """Make one of those that test the same; monitors of AlertSite itself stay as they are."""
    groups: dict[tuple[object, ...], list[_Decided]] = {}
    for number, item in enumerate(items):
        key: tuple[object, ...] = (number,) if item.check.extra else (item.type, item.host, item.port)
        groups.setdefault(key, []).append(item)
    repeated = [
        SkippedObject(
            origin=item.check.origin,
            reason=f"It tests the same type, host and port as {first.check.origin}, and is merged into it.",
        )
        for first, *others in groups.values()
        for item in others
    ]
    return [_joined(group) if len(group) > 1 else group[0] for group in groups.values()], repeated


def _joined(group: Sequence[_Decided]) -> _Decided:
    """The first check, as often as the most frequent one, with the tags of all.

    A paused check neither switches an enabled one off nor sets its pace.
    """
    first, checks = group[0], [item.check for item in group]
    enabled = any(check.enabled for check in checks)
    leading = [check for check in checks if check.enabled == enabled]
    intervals = [check.interval_seconds for check in leading if check.interval_seconds is not None]
    check = replace(
        first.check,
        enabled=enabled,
        interval_seconds=min(intervals, default=None),
        timeout_seconds=leading[0].timeout_seconds,
        tags=tuple(dict.fromkeys(tag for check in checks for tag in check.tags)),
    )
    merged = [
        f"Another check of the same type, host and port is merged: {other.origin}."
        for other in checks[1 : MAX_MERGED_SHOWN + 1]
    ]
    if len(checks) > MAX_MERGED_SHOWN + 1:
        merged.append(f"{len(checks) - 1 - MAX_MERGED_SHOWN} more of them are merged as well.")
    marks = dict.fromkeys(mark for item in group for mark in item.marks)
    return replace(first, check=check, marks=tuple(marks), changes=(*first.changes, *merged))


def _name(item: _Decided) -> RowName:
    """What a row may be called, and what tells it from others of that name."""
    own = item.check.extra  # AlertSite finds its own monitor again by its very name
    name = (item.check.name.strip() if own else _plain(item.check.name)) or f"{item.type} {item.host}"
    return RowName(name=name, type=item.type, host=item.host, port=item.port, fixed=bool(item.check.extra))


def _row(item: _Decided, name: str, renamed: tuple[str, ...]) -> MigratedRow:
    check = item.check
    interval, about_interval = _minutes(check.interval_seconds)
    timeout, about_timeout = _seconds(check.timeout_seconds)
    note, about_note = _note(item)
    fields = {
        **check.extra,
        "type": item.type,
        "name": name,
        "hostname": item.host,
        "port": "" if item.port is None else str(item.port),
        "interval": interval,
        "timeout": timeout,
        "enabled": "true" if check.enabled else "false",
        "note": note,
    }
    paused = () if check.enabled else ("It is paused in the source and stays so.",)
    return MigratedRow(
        origin=check.origin,
        fields=fields,
        changes=(*item.changes, *renamed, *about_interval, *about_timeout, *paused, *about_note),
    )


def _minutes(seconds: float | None) -> tuple[str, tuple[str, ...]]:
    """An interval in whole minutes, rounded up."""
    if seconds is None:
        return "", ()
    if not math.isfinite(seconds) or seconds <= 0:
        return "", (f"The interval of {seconds:g} s is not taken over.",)
    minutes = min(math.ceil(seconds / 60), INTERVALS[1])
    if minutes * 60 == seconds:
        return str(minutes), ()
    return str(minutes), (f"The interval of {seconds:g} s becomes {minutes} min.",)


def _seconds(seconds: float | None) -> tuple[str, tuple[str, ...]]:
    """A time-out in whole seconds that AlertSite allows."""
    if seconds is None:
        return "", ()
    if not math.isfinite(seconds) or seconds <= 0:
        return "", (f"The timeout of {seconds:g} s is not taken over.",)
    whole = min(math.ceil(seconds), TIMEOUTS[1])
    if whole == seconds:
        return str(whole), ()
    return str(whole), (f"The timeout of {seconds:g} s becomes {whole} s.",)


def _note(item: _Decided) -> tuple[str, tuple[str, ...]]:
    """Marks first, then the note of the source and its tags, as far as they fit."""
    tags = f"tags: {', '.join(item.check.tags)}" if item.check.tags else ""
    marks = () if item.check.extra else item.marks  # a monitor of AlertSite itself keeps its note
    whole = _plain("; ".join(part for part in (*marks, item.check.note[:MAX_NOTE_READ].strip(), tags) if part))
    clean = _SECRET.sub(r"\1\2…", _LOGIN_IN_URL.sub("", whole))
    changes = ("What looks like a password in its note is not taken over.",) if clean != whole else ()
    if len(clean) <= LONGEST_NOTE or item.check.extra:
        return clean, changes
    return f"{clean[: LONGEST_NOTE - 1]}…", (*changes, f"The note is cut to {LONGEST_NOTE} characters.")


def _plain(text: str) -> str:
    """Text on one line, without what no monitor's name can hold."""
    return " ".join(_CONTROL.sub(" ", text).split())
