"""How the header of a file maps to fields, and which of its columns are our own.

in: the header of a file, with what --map and --set say    out: a `ColumnMapping`, or one InputError naming every
problem
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
    """How the columns of one file are to be read."""

    header: tuple[str, ...]
    fields: tuple[str | None, ...]  # per column; "api:x" is passed through, None is not sent
    is_results: bool
    result_columns: Mapping[str, int]  # our own columns in a results file: name → index
    user_columns: tuple[int, ...]  # indices of everything else


_HINTS = {  # by pattern of a normalised header
    "tls|ssl": 'TLS follows from the type or the port, so write imaps, pop3s or smtps in "type"',
    "password": "passwords are not sent; keep them out of the file",
    # to suggest the plain name would be to ask for seconds that are read as minutes
    ".*(interval|frequency)(in)?(m?s|m?secs?|(milli)?seconds?|h|hrs?|hours?)": (
        'an interval is minutes, in a column "interval"'
    ),
    ".*timeout(in)?(ms|msecs?|milliseconds?|m|mins?|minutes?)": 'a timeout is seconds, in a column "timeout"',
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
) -> ColumnMapping:
    """Map each column to a field, or raise one InputError that lists every problem of the header.

    `mapping` is --map (column → field); `given` names, in any spelling, the fields that --set or [defaults] fill.
    """
    header = tuple(header)
    names = [normalise(cell) for cell in header]
    problems: list[str] = []
    renamed = _renamed(header, names, mapping or {}, problems)

    prefix = results_prefix(header)
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
    return ColumnMapping(
        header=header,
        fields=tuple(fields),
        is_results=prefix is not None,
        result_columns=ours,
        user_columns=tuple(index for index in range(len(header)) if index not in ours.values()),
    )


def columns_of(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Name the column of each field that a header has, under the name that the API knows the field by."""
    renamed = {normalise(column): field for column, target in mapping.items() if (field := field_named(target))}
    found = {_field_of(cell, renamed): cell for cell in header}
    return {field.removeprefix(API_PREFIX): cell for field, cell in found.items() if field is not None}


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
    advice = _suggestion(header[index])
    return f"{_place(header, index)} is unknown{advice}; map it with --map, or skip it with --ignore-unknown."


def _suggestion(text: str) -> str:
    import difflib

    for pattern, hint in _HINTS.items():
        if re.fullmatch(pattern, normalise(text)):
            return f"; {hint}"
    close = difflib.get_close_matches(normalise(text)[:100], list(ALIASES), n=1, cutoff=0.7)
    return f', perhaps "{ALIASES[close[0]]}" is meant' if close else ""


def _place(header: Sequence[str], index: int) -> str:
    return f'Column {column_letters(index)} "{" ".join(header[index].split())}"'
