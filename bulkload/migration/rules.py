"""Applies the rules that are the same for every tool.

In: checks of another tool. Out: rows ready for a run. Only this module infers types from ports, rounds intervals to
whole minutes, marks private hosts, merges duplicate checks and makes names unique. Every change to a row is recorded,
and every object of the source becomes a row or a skipped object with a reason.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bulkload.errors import InputError, reading
from bulkload.migration.checks import NAME_OF_PORT, Check, SkippedObject, is_other_port
from bulkload.migration.documents import read_documents
from bulkload.migration.resolved import TLS_PORTS, ResolvedCheck, changes_of, merge_duplicates, remarks_of
from bulkload.migration.tools.registry import recognise
from bulkload.migration.undecoded import is_undecoded, readable, why_undecoded
from bulkload.migration.unique_names import RowName, make_unique
from bulkload.model import RawRow, Source, Translated
from bulkload.monitors.fields import INTERVALS, LONGEST_NOTE, TIMEOUTS
from bulkload.monitors.hosts import is_private, parse_host
from bulkload.monitors.values import CellError
from bulkload.protocols import HIGHEST_PORT, LOWEST_PORT, PROTOCOLS, SIMILAR_PORTS

TcpAs = Literal["mail", "tcp", "skip"]

# other tools have no plan code; the user fills it in
FIELDS = ("type", "name", "hostname", "port", "billing_plancode", "interval", "timeout", "enabled", "note")
ROUND_TRIP = "round-trip"

_PLAIN_PORTS = {protocol.name: protocol.plain_port for protocol in PROTOCOLS}

MAX_CHECKS = 1_000_000  # objects of one input
MAX_HOST_CHARS = 1000  # of a host name
MAX_NOTE_READ = 10_000  # characters of a note
MAX_FILES_NAMED = 3  # in a message
MAX_ERROR_NOTES = 20  # errors that the notes of a source list

# {{ jinja }}, ${ENV}, {$ZABBIX}, {#LLD}, {HOST.CONN}, $NAGIOS$, %{x}, <%= erb %>, ENC[…]
_VARIABLE = re.compile(
    r"\{\{.*?\}\}|\$\{[^}]*\}|\{\$[^}]*\}|\{#[^}]*\}|\{[A-Z][A-Z0-9.]*\}|\$\w+\$|%\{[^}]*\}|<%.*?%>|ENC\[.*?\]"
)
_LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s:]*:[^/@\s]*@")
_SECRET = re.compile(r"(?i)\b(pass(?:word|wd|phrase)?|secret|token|api[_-]?key)(\s*[:=]\s*)\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The options of the common rules."""

    skip_private: bool = False  # skip hosts that public locations cannot reach
    tcp_as: TcpAs = "mail"  # how to handle plain TCP checks on mail ports


@dataclass(frozen=True, slots=True, kw_only=True)
class MigratedRow:
    """One row of input fields, with its origin and the changes made to it."""

    origin: str
    fields: Mapping[str, str]
    changes: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()  # what the source's check did that a plain monitor does not do
    is_private: bool = False  # public locations cannot reach the host


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """The rows and skipped objects of one input."""

    tool: str  # its title, for messages
    header: tuple[str, ...]
    rows: Sequence[MigratedRow]
    skipped_objects: Sequence[SkippedObject]

    @property
    def counts(self) -> Translated:
        """The numbers of rows, skipped objects and errors, and what the source says is missing."""
        errors = sum(item.error for item in self.skipped_objects)
        return Translated(
            rows=len(self.rows),
            skipped=len(self.skipped_objects) - errors,
            errors=errors,
            missing=tuple(f"{item.origin}: {item.reason}" for item in self.skipped_objects if item.is_rest),
        )


def read_configuration(
    paths: Sequence[Path], *, tool: str | None = None, rules: Rules | None = None, encoding: str | None = None
) -> Translation:
    """Recognise the tool and convert its files to rows. Raises `InputError` if there are no objects."""
    with reading(", ".join(path.name or str(path) for path in paths[:MAX_FILES_NAMED])):
        recognised = recognise(read_documents(paths, encoding), tool)
        title, items = recognised.reader.TITLE, recognised.reader.translate(recognised.documents)
        translation = apply_rules(title, items, rules or Rules(), skipped_objects=recognised.skipped_objects)
    if not (translation.rows or translation.skipped_objects):
        names = ", ".join(document.name for document in recognised.documents[:MAX_FILES_NAMED])
        raise InputError(f"{names} contains no checks of {title}.")
    return translation


def configuration_source(
    paths: Sequence[Path], *, tool: str | None = None, rules: Rules | None = None, encoding: str | None = None
) -> Source:
    """Return another tool's configuration as a `Source`, for run, check and plan."""
    translation = read_configuration(paths, tool=tool, rules=rules, encoding=encoding)
    header = translation.header
    rows = (
        RawRow(number=number, cells=tuple(row.fields.get(name, "") for name in header))
        for number, row in enumerate(translation.rows, 2)  # the header is row 1, as in the output of convert
    )
    errors = [item for item in translation.skipped_objects if item.error and not item.is_rest]
    counts = translation.counts
    notes = [f"{item.origin}: {item.reason}" for item in errors[:MAX_ERROR_NOTES]]
    if len(errors) > MAX_ERROR_NOTES:
        notes.append(f"{len(errors) - MAX_ERROR_NOTES} more objects have errors; bulkload convert lists all of them.")
    if counts.skipped:
        subject = "1 object is" if counts.skipped == 1 else f"{counts.skipped:,} objects are"
        notes.append(f"{subject} skipped; bulkload convert lists them with the reasons.")
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


def apply_rules(
    tool: str, items: Iterable[Check | SkippedObject], rules: Rules, *, skipped_objects: Sequence[SkippedObject] = ()
) -> Translation:
    """Apply the common rules to the results of a reader."""
    skipped = list(skipped_objects)
    resolved: list[ResolvedCheck] = []
    for count, item in enumerate(items):
        if count >= MAX_CHECKS:
            raise InputError(f"The source contains more than {MAX_CHECKS:,} objects, the maximum for one input.")
        outcome = item if isinstance(item, SkippedObject) else _only_decoded(_resolve(item, rules))
        if isinstance(outcome, SkippedObject):
            skipped.append(outcome)
        else:
            resolved.append(outcome)
    skipped = [replace(item, origin=readable(item.origin), reason=readable(item.reason)) for item in skipped]
    merged, duplicates = merge_duplicates(resolved)
    rows = [
        _row(item, *unique_name)
        for item, unique_name in zip(merged, make_unique([_name(item) for item in merged]), strict=True)
    ]
    extra = dict.fromkeys(key for item in merged for key in item.check.extra if key not in FIELDS)
    return Translation(tool=tool, header=(*FIELDS, *extra), rows=rows, skipped_objects=(*skipped, *duplicates))


def _resolve(check: Check, rules: Rules) -> ResolvedCheck | SkippedObject:
    """Determine type, host and port, or return the reason why that is not possible."""

    def skip(reason: str, *, error: bool = True) -> SkippedObject:
        return SkippedObject(origin=check.origin, reason=reason, error=error)

    if check.type is None and check.port is not None and (other_port := _reason_not_mail(check.port)):
        return skip(other_port, error=False)  # whatever else is wrong with it, it is no mail check
    if check.type == ROUND_TRIP:
        return ResolvedCheck(check=check, type=ROUND_TRIP, host=check.hostname, port=check.port)
    if len(check.hostname) > MAX_HOST_CHARS:
        return skip(f"The host name has {len(check.hostname):,} characters; the maximum is {MAX_HOST_CHARS:,}.")
    if variable := _VARIABLE.search(check.hostname):
        return skip(f"The variable {variable[0]} in the host name has no value in these files.")
    changes: list[str] = []
    try:
        parsed = parse_host(check.hostname.strip())
        host, port_in_host = parsed.name, parsed.port
        private = is_private(host)
    except CellError as error:
        if error.reason != "domain":
            return skip(f"The host {check.hostname[:100]!r} cannot be used: {error.allowed}.")
        host, port_in_host, private = check.hostname.strip().lower(), None, True
    if host != check.hostname:
        changes.append(f"The host {check.hostname[:100]} is changed to {host}.")
    if private and rules.skip_private:
        return skip(f"{host} is a private or local host, which public locations cannot reach.", error=False)
    port = check.port or port_in_host
    if port is not None and not LOWEST_PORT <= port <= HIGHEST_PORT:
        return skip(f"The port is {port}; it must be from {LOWEST_PORT} to {HIGHEST_PORT}.")
    mail_type = check.type
    port_assumed = False
    if mail_type is None:
        if port is None:
            return skip("The TCP check has no port.")
        if other_port := _reason_not_mail(port):
            return skip(other_port, error=False)
        mail_type = NAME_OF_PORT[port]
        if rules.tcp_as == "skip":
            return skip(f"Plain TCP checks (here on port {port}) are skipped, as requested.", error=False)
        if rules.tcp_as == "tcp":
            mail_type = "tcp"
            changes.append(f"The plain TCP check on port {port} keeps the type tcp, which run does not accept.")
    elif mail_type not in _PLAIN_PORTS:
        return skip(f"The type {mail_type} is not one of {', '.join(_PLAIN_PORTS)}.")
    elif port is None:
        port, port_assumed = TLS_PORTS[mail_type] if check.tls == "implicit" else _PLAIN_PORTS[mail_type], True
    elif NAME_OF_PORT.get(port, mail_type) != mail_type and not check.extra:
        return skip(f"The type is {mail_type}, but port {port} belongs to {NAME_OF_PORT[port].upper()}.")
    return ResolvedCheck(
        check=check,
        type=mail_type,
        host=host,
        port=port,
        type_inferred=check.type is None and mail_type != "tcp",
        port_assumed=port_assumed,
        is_private=private,
        changes=tuple(changes),
    )


def _reason_not_mail(port: int) -> str:
    """Return why a plain TCP check on this port is not imported, or "" if it is a mail port or no port at all."""
    if not is_other_port(port):
        return ""
    service = f" ({SIMILAR_PORTS[port]})" if port in SIMILAR_PORTS else ""
    return f"Port {port}{service} is not a port of IMAP, POP3 or SMTP."


def _only_decoded(outcome: ResolvedCheck | SkippedObject) -> ResolvedCheck | SkippedObject:
    """Return the outcome, or the reason why a check has text whose encoding is not known."""
    if isinstance(outcome, SkippedObject):
        return outcome
    check = outcome.check
    if check.extra:  # a monitor of AlertSite itself, whose text is what the account has
        return outcome
    texts = [("name", check.name), ("host name", check.hostname), *(("tag", tag) for tag in check.tags)]
    for field_name, text in (*texts, ("note", check.note)):
        if is_undecoded(text):
            return SkippedObject(origin=check.origin, reason=why_undecoded(field_name, text), error=True)
    return outcome


def _name(item: ResolvedCheck) -> RowName:
    """The preferred name of a row and the values that distinguish it from others of that name."""
    is_alertsite = bool(item.check.extra)  # such a monitor is recognised by its exact name
    name = (item.check.name.strip() if is_alertsite else _single_line(item.check.name)) or f"{item.type} {item.host}"
    return RowName(name=name, type=item.type, host=item.host, port=item.port, fixed=is_alertsite)


def _row(item: ResolvedCheck, name: str, name_changes: tuple[str, ...]) -> MigratedRow:
    check = item.check
    interval, interval_changes = _minutes(check.interval_seconds)
    timeout, timeout_changes = _seconds(check.timeout_seconds)
    note, note_changes = _note(item)
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
    pause_changes = () if check.enabled else ("The check is paused in the source and stays paused.",)
    changes = (*changes_of(item), *name_changes, *interval_changes, *timeout_changes, *pause_changes, *note_changes)
    return MigratedRow(
        origin=readable(check.origin),
        fields=fields,
        changes=tuple(map(readable, changes)),
        not_covered=check.not_covered,
        is_private=item.is_private,
    )


def _minutes(seconds: float | None) -> tuple[str, tuple[str, ...]]:
    """Return an interval in whole minutes, rounded up, with a sentence if it changed."""
    if seconds is None:
        return "", ()
    if not math.isfinite(seconds) or seconds <= 0:
        return "", (f"The interval of {seconds:g} s is not imported.",)
    minutes = min(math.ceil(seconds / 60), INTERVALS[1])
    if minutes * 60 == seconds:
        return str(minutes), ()
    return str(minutes), (f"The interval of {seconds:g} s becomes {minutes} min.",)


def _seconds(seconds: float | None) -> tuple[str, tuple[str, ...]]:
    """Return a timeout in whole seconds that AlertSite allows, with a sentence if it changed."""
    if seconds is None:
        return "", ()
    if not math.isfinite(seconds) or seconds <= 0:
        return "", (f"The timeout of {seconds:g} s is not imported.",)
    rounded = min(math.ceil(seconds), TIMEOUTS[1])
    if rounded == seconds:
        return str(rounded), ()
    return str(rounded), (f"The timeout of {seconds:g} s becomes {rounded} s.",)


def _note(item: ResolvedCheck) -> tuple[str, tuple[str, ...]]:
    """Return the remarks, the note of the source and its tags, truncated to the longest note allowed."""
    tags = f"tags: {', '.join(item.check.tags)}" if item.check.tags else ""
    remarks = [] if item.check.extra else remarks_of(item)  # a monitor of AlertSite itself keeps its note
    text = _single_line("; ".join(part for part in (*remarks, item.check.note[:MAX_NOTE_READ].strip(), tags) if part))
    clean = _SECRET.sub(r"\1\2…", _LOGIN_IN_URL.sub("", text))
    changes = ("A possible password in the note is not imported.",) if clean != text else ()
    if len(clean) <= LONGEST_NOTE or item.check.extra:
        return clean, changes
    return f"{clean[: LONGEST_NOTE - 1]}…", (*changes, f"The note is shortened to {LONGEST_NOTE} characters.")


def _single_line(text: str) -> str:
    """Return the text on one line, without characters that a monitor's name cannot contain."""
    return " ".join(_CONTROL.sub(" ", text).split())
