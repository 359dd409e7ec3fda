"""Validate rows and turn them into monitors; all issues of a row are reported at once.

In: a `ColumnMapping`, the defaults, and `RawRow`s. Out: for each row, `Valid` with its `MonitorConfig`, or `Invalid`
with its issues. `values` and `hosts` parse the cells, and `MonitorConfig` validates the values with pydantic; the
messages are written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from bulkload.errors import UsageError
from bulkload.model import Issue, NumberText, RawRow, Status
from bulkload.monitors import hosts, values
from bulkload.monitors.config import MonitorConfig, Problem, cautions, conflicts
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import API_PREFIX, ColumnMapping, column_letters, field_named, not_passed_through
from bulkload.monitors.hosts import Host
from bulkload.monitors.invisible import has_visible, without_invisible
from bulkload.monitors.parsers import parser_of, remove_invisible
from bulkload.monitors.suggestions import suggestion_for
from bulkload.monitors.values import CellError, show
from bulkload.protocols import MONITOR_TYPES, ROUND_TRIP, SCHEME_OF_PORT, SCHEMES, USUAL_PORTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Valid:
    """A row that can be sent, with its warnings."""

    row: RawRow
    config: MonitorConfig
    warnings: tuple[Issue, ...] = ()
    monitor_id: str = ""  # from a results file or an export
    earlier: Status | None = None  # from a results file: the status of the row in its run


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """A row that cannot be sent, with all its errors and warnings."""

    row: RawRow
    issues: tuple[Issue, ...]
    monitor_id: str = ""  # from a results file or an export; the unchanged text if that is not a valid ID


_SET_BY_HOST: Mapping[str, Callable[[Host], object]] = {
    "port": lambda host: host.port or host.scheme,
    "ipv4": lambda host: host.is_ipv4,
    "resolve_dns": lambda host: host.is_ipv4,
}
_ALL_USUAL_PORTS = frozenset().union(*USUAL_PORTS.values())
_REASONS = {  # pydantic's error type → second part of the issue code
    "greater_than_equal": "range",
    "less_than_equal": "range",
    "string_too_long": "length",
    "string_too_short": "missing",
    "missing": "missing",
}


class Validator:
    """Checks the rows of one file; invalid defaults raise one UsageError instead of an issue on every row."""

    def __init__(self, mapping: ColumnMapping, *, defaults: Mapping[str, str] | None = None) -> None:
        self._mapping = mapping
        self._columns = {field: index for index, field in enumerate(mapping.fields) if field is not None}
        self._cells = tuple((index, field, parser_of(field)) for field, index in self._columns.items())
        result_columns = mapping.result_columns
        read_back = [result_columns[name] for name in ("monitor_id", "status") if name in result_columns]
        self._names = tuple(cell or column_letters(index) for index, cell in enumerate(mapping.header))
        self._used = {index: self._names[index] for index in (*self._columns.values(), *read_back)}
        self._used_by_name = {name: index for index, name in self._used.items()}
        self._headerless = tuple(
            index
            for index in mapping.user_columns
            if mapping.fields[index] is None and not mapping.header[index].strip()
        )
        own_columns = result_columns.values()
        self._span_of_results = (min(own_columns), max(own_columns)) if own_columns else (0, 0)
        parsed = _parse_defaults(defaults or {})
        self._first_defaults = {field: value for field, value in parsed.items() if field in ("type", "hostname")}
        self._later_defaults = tuple(
            (field, FIELDS[field].types if field in FIELDS else MONITOR_TYPES, value)
            for field, value in parsed.items()
            if field not in self._first_defaults
        )
        self._has_api = any(field.startswith(API_PREFIX) for field in (*self._columns, *parsed))

    def check(self, row: RawRow) -> Valid | Invalid:
        """Check all columns of one row."""
        cells = row.cells
        parsed: dict[str, Any] = {}
        issues: list[Issue] = []
        warnings: list[Issue] = []
        for index, field, parse in self._cells:
            text = cells[index].strip()
            if not text.isascii():
                text = remove_invisible(field, text)
            if text:
                try:
                    parsed[field] = parse(text)
                except CellError as error:
                    issues.append(self._cell_issue(field, text, error))
        if "locations" in parsed and "locations" in self._columns:
            self._doubt_locations(row, issues, warnings)
        if row.issues:
            issues = self._with_reader_issues(row, issues, warnings)
        if row.ends_at is not None and self._span_of_results[0] < row.ends_at <= self._span_of_results[1]:
            issues.append(self._short(row.ends_at))
        monitor_id, earlier = self._read_result_columns(row, parsed, issues, warnings)
        if earlier is Status.INVALID:
            issues.extend(self._still_unreadable(row))
        for index in self._headerless:
            if has_visible(cells[index]):
                warnings.append(_headerless_warning(index, cells[index]))

        fields = self._combine(row, parsed, issues)
        try:
            config = MonitorConfig.model_validate(fields)
        except ValidationError as error:
            self._add_validation_issues(error, fields, row, issues)
            self._add_short(row, issues)
            return self._invalid(row, issues, warnings, monitor_id)
        if issues:
            return self._invalid(row, issues, warnings, monitor_id)
        for problem in cautions(config):
            # a warning about defaults alone would repeat on every row
            if any(self._source(field, row)[1] for field in (problem.field, *problem.others)):
                warnings.append(replace(self._issue_of(problem, row), severity="warning"))
        return Valid(row=row, config=config, warnings=tuple(warnings), monitor_id=monitor_id, earlier=earlier)

    def _doubt_locations(self, row: RawRow, issues: list[Issue], warnings: list[Issue]) -> None:
        """Add an issue if a list of locations may have become a number in a spreadsheet program."""
        text = self._text(row, "locations")
        is_number = isinstance(row.cells[self._columns["locations"]], NumberText)
        was_number = self._mapping.is_results and text.isdecimal()  # results are all text
        if (doubt := values.locations_before(text, is_number=is_number or was_number)) is None:
            return
        typed, is_likely = doubt
        if was_number and not is_number:
            if not is_likely:
                return
            is_likely = False
        message = (
            f"locations is {show(text)}; a spreadsheet program may have made that of a list such as {typed}. Separate "
            f"locations by semicolons{', and format a cell with a single location as text' if is_number else ''}."
        )
        issue = self._issue("locations", "joined", message, row, suggestion=typed if is_likely else "")
        (issues if is_likely else warnings).append(issue if is_likely else replace(issue, severity="warning"))

    def _read_result_columns(
        self, row: RawRow, parsed: dict[str, Any], issues: list[Issue], warnings: list[Issue]
    ) -> tuple[str, Status | None]:
        """Read the monitor ID and the earlier status from the columns of a results file or an export."""
        exported_id = parsed.pop("monitor_id", None)
        monitor_id = "" if exported_id is None else str(exported_id)
        result_columns = self._mapping.result_columns
        if "monitor_id" in result_columns and (text := self._result_cell(row, "monitor_id")):
            try:
                monitor_id = str(values.identifier("monitor_id", text))
            except CellError as error:
                monitor_id = text
                issues.append(self._cell_issue("monitor_id", text, error, index=result_columns["monitor_id"]))
        earlier = None
        if "status" in result_columns and (text := self._result_cell(row, "status")):
            try:
                earlier = Status(text.casefold())
            except ValueError:
                warnings.append(
                    Issue(
                        code="status.unknown",
                        message=f"status is {show(text)}; it is not a status of bulkload, so the row counts as new.",
                        column=self._mapping.header[result_columns["status"]],
                        index=result_columns["status"],
                        value=text,
                        severity="warning",
                    )
                )
        return monitor_id, earlier

    def _still_unreadable(self, row: RawRow) -> Iterator[Issue]:
        """Yield an issue for each cell of a results file that shows what could not be read in the original file."""
        index = self._mapping.result_columns.get("error_columns")
        named = row.cells[index] if index is not None else ""
        for field in self._columns:
            if "\N{REPLACEMENT CHARACTER}" in (text := self._text(row, field)) and (self._column(field) or "") in named:
                message = (
                    f"{field} is {show(text)}, because its encoding was not known; enter the text here, "
                    "or run the original file with --encoding."
                )
                yield self._issue(field, "damaged", message, row)

    def _result_cell(self, row: RawRow, name: str) -> str:
        return without_invisible(row.cells[self._mapping.result_columns[name]]).strip()

    def _combine(self, row: RawRow, fields: dict[str, Any], issues: list[Issue]) -> dict[str, Any]:
        """Complete the parsed cells to the fields of a monitor; a cell takes precedence over a default."""
        bad = {issue.field for issue in issues}
        for field, value in self._first_defaults.items():
            if field not in fields and field not in bad:
                fields[field] = value
        monitor_type, implied_port = fields.get("type", (None, None))
        if monitor_type is not None:
            fields["type"] = monitor_type
        if (host := fields.get("hostname")) is not None:
            fields["hostname"] = host.name
            if monitor_type != ROUND_TRIP:
                implied_port = self._apply_host(row, host, fields, monitor_type, implied_port, issues)
        if implied_port is not None and "port" not in bad:
            port = fields.setdefault("port", implied_port)
            if port != implied_port and port in _ALL_USUAL_PORTS:
                scheme = SCHEME_OF_PORT[implied_port]
                message = f"port is {port}; {scheme} implies port {implied_port}, so change or remove one of the two."
                issues.append(self._issue("port", "type", message, row, suggestion=str(implied_port)))
        for field, types, value in self._later_defaults:
            if field not in fields and field not in bad and (monitor_type is None or monitor_type in types):
                fields[field] = value
        if self._has_api:
            passed_through = {field: fields.pop(field) for field in list(fields) if field.startswith(API_PREFIX)}
            if passed_through:
                fields["api"] = {field[len(API_PREFIX) :]: value for field, value in passed_through.items()}
        return fields

    def _apply_host(
        self,
        row: RawRow,
        host: Host,
        fields: dict[str, Any],
        monitor_type: str | None,
        implied_port: int | None,
        issues: list[Issue],
    ) -> int | None:
        """Use scheme, port and address of the host cell; return the port that the type or the scheme implies."""
        if host.scheme is not None:
            scheme_type, scheme_port = SCHEMES[host.scheme]
            if (monitor_type or scheme_type) != scheme_type or (
                scheme_port and implied_port and scheme_port != implied_port
            ):
                message = f"hostname starts with {host.scheme}://, which does not match the type; change one of them."
                issues.append(self._issue("hostname", "scheme_type", message, row))
            else:
                implied_port = implied_port or scheme_port
        if host.port is not None and fields.setdefault("port", host.port) != host.port:
            message = f"hostname contains port {host.port}, but port is {fields['port']}; change one of them."
            issues.append(self._issue("hostname", "port", message, row))
        if host.is_ipv4:
            if fields.setdefault("ipv4", host.name) != host.name:
                message = f"ipv4 is {fields['ipv4']}, but hostname is {host.name}; change one of them."
                issues.append(self._issue("ipv4", "hostname", message, row, suggestion=host.name))
            if fields.setdefault("resolve_dns", False):
                message = "resolve_dns is yes, but hostname is an IP address; set resolve_dns to no."
                issues.append(self._issue("resolve_dns", "hostname", message, row, suggestion="no"))
        return implied_port

    def _add_validation_issues(
        self, error: ValidationError, fields: Mapping[str, Any], row: RawRow, issues: list[Issue]
    ) -> None:
        """Add an issue for each error of pydantic, and for conflicts between fields that are valid on their own."""
        bad = {issue.field for issue in issues}
        for details in error.errors(include_url=False, include_input=False):
            if not details["loc"]:
                continue  # a conflict; added below
            field = str(details["loc"][0])
            if field not in bad:
                reason = _REASONS.get(details["type"], "form")
                message = _message(field, reason, self._text(row, field) or str(fields.get(field, "")), details)
                issues.append(self._issue(field, reason, message, row))
            bad.add(field)
        good = {field: value for field, value in fields.items() if field not in bad}
        for problem in conflicts(good):
            if problem.field not in bad:
                issues.append(self._issue_of(problem, row))
        if "type" in bad and not {"hostname", "smtp_hostname", "pop3_hostname", "email"} & {*fields, *bad}:
            message = f"hostname is missing; {FIELDS['hostname'].rule}."
            issues.append(self._issue("hostname", "missing", message, row))

    def _with_reader_issues(self, row: RawRow, issues: list[Issue], warnings: list[Issue]) -> list[Issue]:
        """Add the reader's issues: they replace ours on the same cell, and are warnings if the column is not used."""
        reader_issues = []
        for issue in row.issues:
            index = self._index_of(issue)
            if issue.column is not None and index is None:
                warnings.append(replace(issue, severity="warning"))
            elif issue.severity == "warning":
                warnings.append(issue)
            else:
                field = None if index is None else self._mapping.fields[index]
                reader_issues.append(replace(issue, index=index, field=issue.field or field))
        flagged = {issue.index for issue in reader_issues if issue.index is not None}
        return reader_issues + [issue for issue in issues if issue.index not in flagged]

    def _index_of(self, issue: Issue) -> int | None:
        """The column of an issue; None for the whole row, or if the column is not used."""
        if issue.index is not None:
            return issue.index if issue.index in self._used else None
        return self._used_by_name.get(issue.column or "")

    def _add_short(self, row: RawRow, issues: list[Issue]) -> None:
        """Add an issue if the cells that a short row leaves out are needed; programs drop empty cells at the end."""
        if row.ends_at is None or any(issue.column is None and issue.severity == "error" for issue in row.issues):
            return
        missing = (issue.index for issue in issues if issue.code.endswith(".missing"))
        if any(index is not None and index >= row.ends_at for index in missing):
            issues.append(self._short(row.ends_at))

    def _short(self, ends_at: int) -> Issue:
        cells, width = "1 cell" if ends_at == 1 else f"{ends_at} cells", len(self._mapping.header)
        message = (
            f"The row has {cells}, but the header has {width} columns; a row may end early only if all cells that it "
            "leaves out can be empty."
        )
        return Issue(code="row.short", message=message)

    def _invalid(self, row: RawRow, issues: list[Issue], warnings: list[Issue], monitor_id: str) -> Invalid:
        issues.sort(key=lambda issue: -1 if issue.index is None else issue.index)
        return Invalid(row=row, issues=(*issues, *warnings), monitor_id=monitor_id)

    def _cell_issue(self, field: str, text: str, error: CellError, *, index: int | None = None) -> Issue:
        code = "api" if field.startswith(API_PREFIX) else field
        index = self._columns[field] if index is None else index
        return Issue(
            code=f"{code}.{error.reason}",
            message=f"{field} is {show(error.safe_text(text))}; {error.allowed}.",
            column=self._names[index],
            index=index,
            field=field,
            value=error.safe_text(text),
            suggestion=suggestion_for(field, error.suggestion),
        )

    def _issue_of(self, problem: Problem, row: RawRow) -> Issue:
        return self._issue(
            problem.field,
            problem.reason,
            problem.message,
            row,
            others=problem.others,
            suggestion=problem.suggestion,
        )

    def _issue(
        self,
        field: str,
        reason: str,
        message: str,
        row: RawRow,
        *,
        others: tuple[str, ...] = (),
        suggestion: str = "",
    ) -> Issue:
        """An issue of a field; it stands at the first cell that has to do with it.

        The suggestion is for the field's own cell, so it is left out if the issue stands at another one.
        """
        sources = [self._source(each, row) for each in (field, *others)]
        index, text = next((source for source in sources if source[1]), sources[0])
        is_own = bool(suggestion and self._text(row, field)) and index == self._columns.get(field)
        return Issue(
            code=f"{field}.{reason}",
            message=message,
            column=None if index is None else self._names[index],
            index=index,
            field=field,
            value=text,
            suggestion=suggestion_for(field, suggestion) if is_own else "",
        )

    def _column(self, field: str) -> str | None:
        return self._names[self._columns[field]] if field in self._columns else None

    def _source(self, field: str, row: RawRow) -> tuple[int | None, str]:
        """The column and the text of the cell that sets a field, which may be the host name."""
        host_text = self._text(row, "hostname") if field in _SET_BY_HOST and not self._text(row, field) else ""
        with suppress(CellError):
            if host_text and _SET_BY_HOST[field](hosts.parse_host(remove_invisible("hostname", host_text))):
                return self._columns["hostname"], host_text
        return self._columns.get(field), self._text(row, field)

    def _text(self, row: RawRow, field: str) -> str:
        return row.cells[self._columns[field]].strip() if field in self._columns else ""


def _parse_defaults(defaults: Mapping[str, str]) -> dict[str, Any]:
    """Parse the defaults of --set and [defaults]; all their problems raise one UsageError."""
    parsed: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in defaults.items():
        field = field_named(name)
        if field is None or field == "monitor_id":
            problems.append(f'The default "{name}" is not a field that can have a default.')
        elif problem := not_passed_through(field):
            problems.append(f'The default "{name}" {problem}.')
        elif field in parsed:
            problems.append(f"{field} has two defaults; only one is allowed.")
        elif text := remove_invisible(field, text.strip()):
            try:
                parsed[field] = parser_of(field)(text)
            except CellError as error:
                problems.append(f"The default of {field} is {show(error.safe_text(text))}; {error.allowed}.")
    problems.extend(_default_problems(parsed, defaults))
    if problems:
        raise UsageError("\n  ".join(problems))
    return parsed


def _default_problems(parsed: Mapping[str, Any], defaults: Mapping[str, str]) -> Iterator[str]:
    """Yield a message for each default that is out of range, and for each conflict between defaults."""
    texts = {field_named(name): text.strip() for name, text in defaults.items()}
    plain = {field: value for field, value in parsed.items() if not field.startswith(API_PREFIX)}
    monitor_type = plain.pop("type", (None, None))[0]
    plain.pop("hostname", None)
    bad = set()
    try:
        MonitorConfig.model_validate(plain)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            field = str(details["loc"][0]) if details["loc"] else ""
            if field in plain and field not in bad:
                bad.add(field)
                reason = _REASONS.get(details["type"], "form")
                yield "Invalid default: " + _message(field, reason, texts[field], details)
    good = {field: value for field, value in plain.items() if field not in bad}
    for problem in conflicts(good | ({"type": monitor_type} if monitor_type else {})):
        if problem.reason not in ("missing", "type"):
            yield "Conflicting defaults: " + problem.message


def _message(field: str, reason: str, text: str, details: Mapping[str, Any]) -> str:
    rule = FIELDS[field].rule
    if reason == "missing":
        return f"{field} is missing; {rule}."
    if reason == "length":
        return f"{field} has {len(text)} characters; at most {details['ctx']['max_length']} are allowed."
    return f"{field} is {show(text)}; {rule}."


def _headerless_warning(index: int, text: str) -> Issue:
    return Issue(
        code="column.headerless",
        message=f"Column {column_letters(index)} has no header, so its text {show(text.strip())} is not sent.",
        index=index,
        value=text,
        severity="warning",
    )
