"""Map the columns of a file to fields, and recognise the columns of a results file.

In: the header of a file, and the values of --map and --set. Out: a `ColumnMapping`, or one `InputError` that lists
every problem.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bulkload.errors import InputError
from bulkload.monitors.fields import ALIASES, FIELDS
from bulkload.monitors.result_columns import RESULT_COLUMNS, normalise, results_prefix

API_PREFIX = "api:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """The field of each column of one file."""

    header: tuple[str, ...]
    fields: tuple[str | None, ...]  # per column; "api:x" is passed through, None is not sent
    is_results: bool
    result_columns: Mapping[str, int]  # of a results file, the columns that bulkload added: name → index
    user_columns: tuple[int, ...]  # indices of all other columns


_HINTS = {  # by pattern of a normalised header
    "tls|ssl": 'the type or the port sets TLS, so write imaps, pop3s or smtps in "type"',
    "password": "passwords are not sent; remove the column from the file",
    # a suggestion of the plain name would lead to seconds that are read as minutes
    ".*(interval|frequency)(in)?(m?s|m?secs?|(milli)?seconds?|h|hrs?|hours?)": (
        'name the column "interval" and write the interval in minutes'
    ),
    ".*timeout(in)?(ms|msecs?|milliseconds?|m|mins?|minutes?)": (
        'name the column "timeout" and write the timeout in seconds'
    ),
}
_REQUIRED = ("type", "name", "billing_plancode")
_HOST_FIELDS = ("hostname", "smtp_hostname")


def is_header(cells: Sequence[str], *, given: Collection[str] = (), mapping: Mapping[str, str] | None = None) -> bool:
    """True if a row of cells is a header: together with the given fields, it has type, name and a host."""
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
) -> ColumnMapping:
    """Map each column to a field, or raise one InputError that lists every problem of the header.

    `mapping` is --map (column → field); `given` names, in any spelling, the fields that --set or [defaults] fill.
    """
    header = tuple(header)
    names = [normalise(cell) for cell in header]
    problems: list[str] = []
    renamed = _renamed(header, names, mapping or {}, problems)

    prefix = results_prefix(header)
    result_columns: dict[str, int] = {}
    if prefix is not None:
        # they come after the user's columns, so of two equal names the last one is meant
        last = {name: index for index, name in enumerate(names) if name not in renamed}
        spelled = {column: normalise(prefix + column) for column in RESULT_COLUMNS}
        result_columns = {column: last[name] for column, name in spelled.items() if name in last}

    fields: list[str | None] = []
    index_of: dict[str, int] = {}
    for index, (cell, name) in enumerate(zip(header, names, strict=True)):
        field = None if index in result_columns.values() else _field_of(cell, renamed)
        if field is None:
            if name and index not in result_columns.values() and not ignore_unknown:
                problems.append(_unknown(header, index))
        elif reason := not_passed_through(field):
            problems.append(f"{_place(header, index)} {reason}.")
        elif field in index_of:
            problems.append(
                f"{_place(header, index_of[field])} and {_place(header, index)} both mean {field};"
                " only one of them is allowed."
            )
        else:
            index_of[field] = index
        fields.append(field)

    problems.extend(_missing({*index_of, *_fields_of(given)}))
    if problems:
        lead = "The header has a problem:" if len(problems) == 1 else f"The header has {len(problems)} problems:"
        raise InputError("\n  ".join([lead, *problems]))
    return ColumnMapping(
        header=header,
        fields=tuple(fields),
        is_results=prefix is not None,
        result_columns=result_columns,
        user_columns=tuple(index for index in range(len(header)) if index not in result_columns.values()),
    )


def columns_of(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The column of each field that a header contains, by the field's name in the API."""
    renamed = {normalise(column): field for column, target in mapping.items() if (field := field_named(target))}
    columns = {_field_of(cell, renamed): cell for cell in header}
    return {field.removeprefix(API_PREFIX): cell for field, cell in columns.items() if field is not None}


def field_named(text: str) -> str | None:
    """The field that a text names: by its name, an alias, or as api:anything; None if there is none."""
    text = text.strip()
    if text[: len(API_PREFIX)].casefold() == API_PREFIX:
        return API_PREFIX + text[len(API_PREFIX) :].strip()  # names of API fields are case-sensitive
    return ALIASES.get(normalise(text))


def column_letters(index: int) -> str:
    """The letters of a column in spreadsheet programs: A, B, … AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def not_passed_through(field: str) -> str | None:
    """The reason why an api: field must not be passed through; None if it may be, or if it is not an api: field."""
    if not field.startswith(API_PREFIX):
        return None
    name = normalise(field[len(API_PREFIX) :])
    if not name:
        return "names no field; write api:field_name"
    if name == "id" or name in map(normalise, FIELDS):
        return "is a field that has its own column or cannot be set"
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
    for column, field_text in mapping.items():
        target = field_named(field_text)
        option = f'--map "{column}={field_text}"'
        if target is None:
            problems.append(f'{option}: there is no field "{field_text}"{_suggestion(field_text)}.')
        if not normalise(column) or normalise(column) not in names:
            columns = ", ".join(f'"{cell}"' for cell in header if cell.strip()) or "none"
            problems.append(f'{option}: the file has no column "{column}"; its columns are {columns}.')
        elif target is not None:
            renamed[normalise(column)] = target
    return renamed


def _missing(known: Collection[str]) -> list[str]:
    problems = [
        f'The column "{name}" is missing; every row needs it.{" --set can fill it in." if name != "name" else ""}'
        for name in _REQUIRED
        if name not in known
    ]
    if not any(host in known for host in _HOST_FIELDS):
        problems.append('The column "hostname" (for round-trip: "smtp_hostname") is missing; every row needs it.')
    elif "hostname" not in known:
        problems.extend(
            f'The column "{name}" is missing; round-trip monitors need it.'
            for name in ("pop3_hostname", "email")
            if name not in known
        )
    return problems


def _unknown(header: Sequence[str], index: int) -> str:
    suggestion = _suggestion(header[index])
    return f"{_place(header, index)} is unknown{suggestion}; map it with --map, or skip it with --ignore-unknown."


def _suggestion(text: str) -> str:
    import difflib

    for pattern, hint in _HINTS.items():
        if re.fullmatch(pattern, normalise(text)):
            return f"; {hint}"
    close = difflib.get_close_matches(normalise(text)[:100], list(ALIASES), n=1, cutoff=0.7)
    return f' (did you mean "{ALIASES[close[0]]}"?)' if close else ""


def _place(header: Sequence[str], index: int) -> str:
    return f'Column {column_letters(index)} "{" ".join(header[index].split())}"'
