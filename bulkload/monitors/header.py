"""Map the columns of a file to fields, and recognise the columns of a results file.

In: the header of a file, and the values of --map and --set. Out: a `ColumnMapping`, or one `InputError` that lists
every problem.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bulkload.errors import InputError
from bulkload.monitors.fields import ALIASES, ENGLISH_ALIASES, FIELDS
from bulkload.monitors.result_columns import RESULT_COLUMNS, normalise, results_prefix
from bulkload.monitors.secret_columns import is_secret
from bulkload.protocols import MONITOR_TYPES, SCHEMES

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
    # a suggestion of the plain name would lead to seconds that are read as minutes
    ".*(interval|frequency|intervalle?|intervalo)(in|en)?(m?s|m?secs?|(milli)?seconds?|se[kg]|sekunden|secondes|segundos"
    "|h|hrs?|hours?|stunden|heures|horas)": ('name the column "interval" and write the interval in minutes'),
    ".*(timeout|zeitlimit|délai|delai|espera)(in|en)?(ms|msecs?|milliseconds?|m|mins?|minutes?|minuten|minutos)": (
        'name the column "timeout" and write the timeout in seconds'
    ),
}
_VALUE = re.compile(r"^\s*[0-9]+([.,:/][0-9]+)*\s*$|@|://|\w\.\w+(\.\w+)*\s*(:[0-9]+)?\s*$")
_TYPE_WORDS = frozenset(normalise(word) for word in (*SCHEMES, *MONITOR_TYPES, "pop"))
_FEWEST_KNOWN = 2  # columns; one word alone may stand in a title or a row of data
_REQUIRED_SCORE = 100  # more than all the other columns together
_REQUIRED = ("type", "name", "billing_plancode")
_HOST_FIELDS = ("hostname", "smtp_hostname")


def is_header(cells: Sequence[str], *, given: Collection[str] = (), mapping: Mapping[str, str] | None = None) -> bool:
    """True if a row of cells is a header: together with the given fields, it has type, name and a host."""
    renamed = {normalise(column): target for column, target in (mapping or {}).items()}
    named = {field_of(cell, renamed) for cell in cells} - {None}
    known = named | fields_named(given)
    return bool(named) and {"type", "name"} <= known and any(host in known for host in _HOST_FIELDS)


def header_score(cells: Sequence[str]) -> int:
    """How well a row of cells is a header: its known columns, those that every row needs counting most.

    0 for a row in which a cell is a value (a number, a host, an address, a mail type): a row of data is no header.
    """
    if any(map(_VALUE.search, cells)) or any(normalise(cell) in _TYPE_WORDS for cell in cells):
        return 0
    fields = {field_of(cell, {}) for cell in cells} - {None}
    if len(fields) < _FEWEST_KNOWN:
        return 0
    return sum(_REQUIRED_SCORE if field in _REQUIRED or field in _HOST_FIELDS else 1 for field in fields)


def is_own_header(header: Sequence[str]) -> bool:
    """True for a header with type, name and a host in which every column is known: no other tool writes one."""
    if not is_header(header):
        return False
    _, added = result_columns_of(header, except_for=())
    return all(field_named(cell) is not None or index in added.values() for index, cell in enumerate(header))


def map_header(
    header: Sequence[str],
    *,
    mapping: Mapping[str, str] | None = None,
    given: Collection[str] = (),
    ignore_unknown: bool = False,
    place: str = "",
) -> ColumnMapping:
    """Map each column to a field, or raise one InputError that lists every problem of the header.

    `mapping` is --map (column → field); `given` names, in any spelling, the fields that --set or [defaults] fill.
    `place` says where the header is, if that is not obvious: "sheet Overview, row 4".
    """
    header = tuple(header)
    names = [normalise(cell) for cell in header]
    problems: list[str] = []
    renamed = _renamed(header, names, mapping or {}, problems)

    is_results, result_columns = result_columns_of(
        header, except_for=[index for index, name in enumerate(names) if name in renamed]
    )
    fields: list[str | None] = []
    index_of: dict[str, int] = {}
    for index, (cell, name) in enumerate(zip(header, names, strict=True)):
        field = None if index in result_columns.values() else field_of(cell, renamed)
        if field is None:
            if name and index not in result_columns.values() and not (ignore_unknown or is_secret(cell)):
                problems.append(_unknown(header, index))
        elif reason := not_passed_through(field):
            problems.append(f"{place_of(header, index)} {reason}.")
        elif field in index_of:
            problems.append(
                f"{place_of(header, index_of[field])} and {place_of(header, index)} both mean {field};"
                " only one of them is allowed."
            )
        else:
            index_of[field] = index
        fields.append(field)

    problems.extend(map(_missing, missing_fields({*index_of, *fields_named(given)})))
    if problems:
        subject = f"The header ({place})" if place else "The header"
        lead = f"{subject} has a problem:" if len(problems) == 1 else f"{subject} has {len(problems)} problems:"
        raise InputError("\n  ".join([lead, *problems]))
    return ColumnMapping(
        header=header,
        fields=tuple(fields),
        is_results=is_results,
        result_columns=result_columns,
        user_columns=tuple(index for index in range(len(header)) if index not in result_columns.values()),
    )


def result_columns_of(header: Sequence[str], *, except_for: Collection[int]) -> tuple[bool, dict[str, int]]:
    """Whether this is the header of a results file, and the columns that bulkload added: name → index.

    `except_for` are the columns whose field a person has set; they are the user's own.
    """
    prefix = results_prefix(header)
    if prefix is None:
        return False, {}
    # they come after the user's columns, so of two equal names the last one is meant
    last = {normalise(cell): index for index, cell in enumerate(header) if index not in except_for}
    spelled = {column: normalise(prefix + column) for column in RESULT_COLUMNS}
    return True, {column: last[name] for column, name in spelled.items() if name in last}


def own_columns(header: Sequence[str], mapping: Mapping[str, str]) -> tuple[int, ...]:
    """The indexes of the user's own columns; the others were added to a results file."""
    renamed = renamed_by(mapping)
    _, added = result_columns_of(header, except_for=[i for i, cell in enumerate(header) if normalise(cell) in renamed])
    return tuple(index for index in range(len(header)) if index not in added.values())


def columns_of(header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The column of each field that a header contains, by the field's name in the API."""
    renamed = renamed_by(mapping)
    columns = {field_of(cell, renamed): cell for cell in header}
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


def renamed_by(mapping: Mapping[str, str]) -> dict[str, str]:
    """The field of each column that --map names, by the normalised name of the column."""
    return {normalise(column): field for column, target in mapping.items() if (field := field_named(target))}


def field_of(cell: str, renamed: Mapping[str, str]) -> str | None:
    """The field that a cell of the header means; None if it is not recognised."""
    name = normalise(cell)
    if name in renamed:
        return renamed[name]
    return field_named(cell)


def fields_named(spellings: Collection[str]) -> set[str]:
    """The fields that texts name, in any spelling."""
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


def missing_fields(known: Collection[str]) -> list[str]:
    """The fields without which no row can be sent."""
    missing = [name for name in _REQUIRED if name not in known]
    if not any(host in known for host in _HOST_FIELDS):
        missing.append("hostname")
    elif "hostname" not in known:
        missing.extend(name for name in ("pop3_hostname", "email") if name not in known)
    return missing


def _missing(name: str) -> str:
    if name == "hostname":
        return 'The column "hostname" (for round-trip: "smtp_hostname") is missing; every row needs it.'
    if name not in _REQUIRED:
        return f'The column "{name}" is missing; round-trip monitors need it.'
    return f'The column "{name}" is missing; every row needs it.{" --set can fill it in." if name != "name" else ""}'


def _unknown(header: Sequence[str], index: int) -> str:
    suggestion = _suggestion(header[index])
    return f"{place_of(header, index)} is unknown{suggestion}; map it with --map, or skip it with --ignore-unknown."


def _suggestion(text: str) -> str:
    if hint := hint_about(text):
        return f"; {hint}"
    similar = similar_field(text)
    return f' (did you mean "{similar}"?)' if similar else ""


def hint_about(text: str) -> str | None:
    """Why a column with this name is not a field, though its name is similar to one; None if nothing is known."""
    name = normalise(text)
    if is_secret(text):
        return "passwords are not sent; remove the column from the file"
    return next((hint for pattern, hint in _HINTS.items() if re.fullmatch(pattern, name)), None)


def similar_field(text: str) -> str | None:
    """The field with the most similar name or alias; None if there is no similar one."""
    return _similar_field(normalise(text)[:100])


@lru_cache(maxsize=4096)  # each page of a draft asks again for all of its columns
def _similar_field(name: str) -> str | None:
    import difflib

    for names in (ENGLISH_ALIASES, ALIASES):
        if close := difflib.get_close_matches(name, list(names), n=1, cutoff=0.7):
            return names[close[0]]
    return None


def place_of(header: Sequence[str], index: int) -> str:
    """A column as messages name it: Column B "Host"."""
    name = " ".join(header[index].split())
    return f'Column {column_letters(index)} "{name}"' if name else f"Column {column_letters(index)}"
