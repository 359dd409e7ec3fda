"""Rows of text to monitors, with everything that is wrong named at once.

in: a `ColumnMapping`, the defaults, and one `RawRow` after the other    out: `Valid` with its `MonitorConfig`, or
`Invalid`

Cell text becomes native values in `values` and `hosts`; pydantic judges them in `MonitorConfig`; the words are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from pydantic import ValidationError

from bulkload.errors import UsageError
from bulkload.model import Issue, RawRow, Status
from bulkload.monitors import hosts, values
from bulkload.monitors.config import MonitorConfig, cautions, conflicts
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import API_PREFIX, ColumnMapping, column_letters, field_named, not_passed_through
from bulkload.monitors.hosts import Host
from bulkload.monitors.values import CellError, show
from bulkload.protocols import MONITOR_TYPES, ROUND_TRIP, SCHEME_OF_PORT, SCHEMES, USUAL_PORTS

Parser = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid:
    """A row that can be sent."""

    row: RawRow
    config: MonitorConfig
    warnings: tuple[Issue, ...] = ()
    monitor_id: str = ""  # named by a results file or an export
    earlier: Status | None = None  # what a results file says became of the row


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """A row that cannot be sent, with every reason."""

    row: RawRow
    issues: tuple[Issue, ...]
    monitor_id: str = ""  # named by a results file or an export; as it stands there if it is none


_TEXT_PARSERS: Mapping[str, Callable[[str, str], object]] = {
    **{name: values.switch for name, field in FIELDS.items() if field.kind == "switch"},
    **{name: values.whole_number for name, field in FIELDS.items() if field.kind == "number"},
    "name": values.line,
    "alert_note": values.lines,
    "note": values.lines,
    "smtp_hostname": lambda field, text: hosts.parse_endpoint(field, text).endpoint,
    "pop3_hostname": lambda field, text: hosts.parse_endpoint(field, text).endpoint,
}
_PARSERS: Mapping[str, Parser] = {
    **{name: partial(parse, name) for name, parse in _TEXT_PARSERS.items()},
    "type": values.monitor_type,
    "hostname": hosts.parse_host,
    "billing_plancode": values.plan_code,
    "mode": values.mode,
    "locations": values.locations,
    "ipv4": values.ipv4,
    "email": values.email,
    "custom_properties": values.custom_properties,
}
_ALL_USUAL_PORTS = frozenset().union(*USUAL_PORTS.values())
_REASONS = {  # pydantic's error type → ours
    "greater_than_equal": "range",
    "less_than_equal": "range",
    "string_too_long": "length",
    "string_too_short": "missing",
    "missing": "missing",
}


class Validator:
    """Checks the rows of one file; wrong defaults are a UsageError at once, not an issue of every row."""

    def __init__(self, layout: ColumnMapping, *, defaults: Mapping[str, str] | None = None) -> None:
        self._layout = layout
        self._columns = {field: index for index, field in enumerate(layout.fields) if field is not None}
        self._cells = tuple((index, field, _parser(field)) for field, index in self._columns.items())
        ours = layout.result_columns
        read_back = [ours[name] for name in ("monitor_id", "status") if name in ours]
        self._sent = {layout.header[index]: index for index in (*self._columns.values(), *read_back)}
        self._headerless = tuple(index for index in layout.user_columns if not layout.header[index].strip())
        parsed = _parse_defaults(defaults or {})
        self._first_defaults = {field: value for field, value in parsed.items() if field in ("type", "hostname")}
        self._other_defaults = tuple(
            (field, FIELDS[field].types if field in FIELDS else MONITOR_TYPES, value)
            for field, value in parsed.items()
            if field not in self._first_defaults
        )
        self._has_api = any(field.startswith(API_PREFIX) for field in (*self._columns, *parsed))

    def check(self, row: RawRow) -> Valid | Invalid:
        """Check one row, all columns at once."""
        cells = row.cells
        found: dict[str, Any] = {}
        issues: list[Issue] = []
        warnings: list[Issue] = []
        for index, field, parse in self._cells:
            text = cells[index].strip()
            if text:
                try:
                    found[field] = parse(text)
                except CellError as error:
                    issues.append(self._wrong(field, text, error))
        if row.issues:
            issues = self._with_reader_issues(row, issues, warnings)
        monitor_id, earlier = self._identity(row, found, issues, warnings)
        for index in self._headerless:
            if cells[index].strip():
                warnings.append(_headerless(index, cells[index]))

        wanted = self._combine(row, found, issues)
        try:
            config = MonitorConfig.model_validate(wanted)
        except ValidationError as error:
            self._translate(error, wanted, row, issues)
            return self._invalid(row, issues, warnings, monitor_id)
        if issues:
            return self._invalid(row, issues, warnings, monitor_id)
        for problem in cautions(config):
            if problem.field in self._columns:  # a default is not this row's doing
                warnings.append(self._issue(problem.field, problem.reason, problem.message, row, "warning"))
        return Valid(row=row, config=config, warnings=tuple(warnings), monitor_id=monitor_id, earlier=earlier)

    def _identity(
        self, row: RawRow, found: dict[str, Any], issues: list[Issue], warnings: list[Issue]
    ) -> tuple[str, Status | None]:
        """Read what a results file or an export says about the row: its monitor and what became of it."""
        number = found.pop("monitor_id", None)
        monitor_id = "" if number is None else str(number)
        ours = self._layout.result_columns
        if "monitor_id" in ours and (text := row.cells[ours["monitor_id"]].strip()):
            column = self._layout.header[ours["monitor_id"]]
            try:
                monitor_id = str(values.whole_number("monitor_id", text))
            except CellError as error:
                monitor_id = text
                issues.append(self._wrong("monitor_id", text, error, column=column))
        earlier = None
        if "status" in ours and (text := row.cells[ours["status"]].strip()):
            try:
                earlier = Status(text.casefold())
            except ValueError:
                warnings.append(
                    Issue(
                        code="status.unknown",
                        message=f"status is {show(text)}; that is none of ours, so the row is taken as new.",
                        column=self._layout.header[ours["status"]],
                        value=text,
                        severity="warning",
                    )
                )
        return monitor_id, earlier

    def _combine(self, row: RawRow, wanted: dict[str, Any], issues: list[Issue]) -> dict[str, Any]:
        """Turn what the cells say into the fields of a monitor; what a cell says goes before any default."""
        bad = {issue.field for issue in issues}
        for field, value in self._first_defaults.items():
            if field not in wanted and field not in bad:
                wanted[field] = value
        kind, implied = wanted.get("type", (None, None))
        if kind is not None:
            wanted["type"] = kind
        if (host := wanted.get("hostname")) is not None:
            wanted["hostname"] = host.name
            if kind != ROUND_TRIP:
                implied = self._take_host_apart(row, host, wanted, kind, implied, issues)
        if implied is not None and "port" not in bad:
            port = wanted.setdefault("port", implied)
            if port != implied and port in _ALL_USUAL_PORTS:
                word = SCHEME_OF_PORT[implied]
                message = f"port is {port}; {word} means port {implied}, so leave one of the two out."
                issues.append(self._issue("port", "type", message, row))
        for field, types, value in self._other_defaults:
            if field not in wanted and field not in bad and (kind is None or kind in types):
                wanted[field] = value
        if self._has_api:
            passed_on = {field: wanted.pop(field) for field in list(wanted) if field.startswith(API_PREFIX)}
            if passed_on:
                wanted["api"] = {field[len(API_PREFIX) :]: value for field, value in passed_on.items()}
        return wanted

    def _take_host_apart(
        self,
        row: RawRow,
        host: Host,
        wanted: dict[str, Any],
        kind: str | None,
        implied: int | None,
        issues: list[Issue],
    ) -> int | None:
        """Use scheme, port and address of the host cell; return the port that type and scheme insist on."""
        if host.scheme is not None:
            scheme_kind, insists = SCHEMES[host.scheme]
            if (kind or scheme_kind) != scheme_kind or (insists and implied and insists != implied):
                message = f"hostname starts with {host.scheme}://, which does not go with the type; make them agree."
                issues.append(self._issue("hostname", "scheme_type", message, row))
            else:
                implied = implied or insists
        if host.port is not None and wanted.setdefault("port", host.port) != host.port:
            message = f"hostname names port {host.port} and port is {wanted['port']}; make them agree."
            issues.append(self._issue("hostname", "port", message, row))
        if host.is_ipv4:
            if wanted.setdefault("ipv4", host.name) != host.name:
                message = f"ipv4 is {wanted['ipv4']} and hostname is {host.name}; make them agree."
                issues.append(self._issue("ipv4", "hostname", message, row))
            if wanted.setdefault("resolve_dns", False):
                message = "resolve_dns is yes, but hostname is an IP address; allowed is no."
                issues.append(self._issue("resolve_dns", "hostname", message, row))
        return implied

    def _translate(self, error: ValidationError, wanted: Mapping[str, Any], row: RawRow, issues: list[Issue]) -> None:
        """Add what pydantic found, in our words, and the conflicts between the fields that are good in themselves."""
        known = {issue.field for issue in issues}
        bad = set(known)
        for found in error.errors(include_url=False, include_input=False):
            if not found["loc"]:
                continue  # conflicts, which are named below
            field = str(found["loc"][0])
            if field not in bad:
                reason = _REASONS.get(found["type"], "form")
                message = _sentence(field, reason, self._text(row, field) or str(wanted.get(field, "")), found)
                issues.append(self._issue(field, reason, message, row))
            bad.add(field)
        good = {field: value for field, value in wanted.items() if field not in bad}
        for problem in conflicts(good):
            if problem.field not in bad:
                issues.append(self._issue(problem.field, problem.reason, problem.message, row))
        if "type" in bad and not {"hostname", "smtp_hostname", "pop3_hostname", "email"} & {*wanted, *bad}:
            message = f"hostname is missing; {FIELDS['hostname'].rule}."
            issues.append(self._issue("hostname", "missing", message, row))

    def _with_reader_issues(self, row: RawRow, issues: list[Issue], warnings: list[Issue]) -> list[Issue]:
        """Pass on what the reader found; its word on a cell replaces ours, and a column not sent harms nobody."""
        passed_on = []
        for issue in row.issues:
            index = self._sent.get(issue.column or "")
            if issue.column is not None and index is None:
                warnings.append(replace(issue, severity="warning"))
            elif issue.severity == "warning":
                warnings.append(issue)
            else:
                field = None if index is None else self._layout.fields[index]
                passed_on.append(replace(issue, field=issue.field or field))
        flagged = {issue.column for issue in passed_on if issue.column is not None}
        return passed_on + [issue for issue in issues if issue.column not in flagged]

    def _invalid(self, row: RawRow, issues: list[Issue], warnings: list[Issue], monitor_id: str) -> Invalid:
        issues.sort(key=lambda issue: self._sent.get(issue.column or "", -1))
        return Invalid(row=row, issues=(*issues, *warnings), monitor_id=monitor_id)

    def _wrong(self, field: str, text: str, error: CellError, *, column: str | None = None) -> Issue:
        code = "api" if field.startswith(API_PREFIX) else field
        return Issue(
            code=f"{code}.{error.reason}",
            message=f"{field} is {show(error.found(text))}; {error.allowed}.",
            column=column or self._column(field),
            field=field,
            value=error.found(text),
        )

    def _issue(
        self,
        field: str,
        reason: str,
        message: str,
        row: RawRow,
        severity: Literal["error", "warning"] = "error",
    ) -> Issue:
        return Issue(
            code=f"{field}.{reason}",
            message=message,
            column=self._column(field),
            field=field,
            value=self._text(row, field),
            severity=severity,
        )

    def _column(self, field: str) -> str | None:
        return self._layout.header[self._columns[field]] if field in self._columns else None

    def _text(self, row: RawRow, field: str) -> str:
        return row.cells[self._columns[field]].strip() if field in self._columns else ""


def _parser(field: str) -> Parser:
    return values.json_or_text if field.startswith(API_PREFIX) else _PARSERS[field]


def _parse_defaults(defaults: Mapping[str, str]) -> dict[str, Any]:
    """Read --set and [defaults]; all that is wrong with them is one UsageError."""
    parsed: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in defaults.items():
        field = field_named(name)
        if field is None or field == "monitor_id":
            problems.append(f'There is no field "{name}" that a default could fill.')
        elif problem := not_passed_through(field):
            problems.append(f'The default "{name}" {problem}.')
        elif field in parsed:
            problems.append(f"{field} has two defaults; one is allowed.")
        elif text.strip():
            try:
                parsed[field] = _parser(field)(text.strip())
            except CellError as error:
                problems.append(f"The default of {field} is {show(error.found(text.strip()))}; {error.allowed}.")
    problems.extend(_misfits(parsed, defaults))
    if problems:
        raise UsageError("\n  ".join(problems))
    return parsed


def _misfits(parsed: Mapping[str, Any], defaults: Mapping[str, str]) -> Iterator[str]:
    """Name defaults out of range and defaults that can never go together."""
    texts = {field_named(name): text.strip() for name, text in defaults.items()}
    plain = {field: value for field, value in parsed.items() if not field.startswith(API_PREFIX)}
    kind = plain.pop("type", (None, None))[0]
    plain.pop("hostname", None)
    bad = set()
    try:
        MonitorConfig.model_validate(plain)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            field = str(found["loc"][0]) if found["loc"] else ""
            if field in plain and field not in bad:
                bad.add(field)
                reason = _REASONS.get(found["type"], "form")
                yield "The default: " + _sentence(field, reason, texts[field], found)
    good = {field: value for field, value in plain.items() if field not in bad}
    for problem in conflicts(good | ({"type": kind} if kind else {})):
        if problem.reason not in ("missing", "type"):
            yield "The defaults: " + problem.message


def _sentence(field: str, reason: str, text: str, found: Mapping[str, Any]) -> str:
    rule = FIELDS[field].rule
    if reason == "missing":
        return f"{field} is missing; {rule}."
    if reason == "length":
        return f"{field} has {len(text)} characters; at most {found['ctx']['max_length']} are allowed."
    return f"{field} is {show(text)}; {rule}."


def _headerless(index: int, text: str) -> Issue:
    return Issue(
        code="column.headerless",
        message=f"Column {column_letters(index)} has no header; its text {show(text.strip())} is not sent.",
        value=text,
        severity="warning",
    )
