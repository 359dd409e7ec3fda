"""Propose a field for each column of a file, and map the columns as a person chose them.

In: the header of a file, and the field that a person chose for each column. Out: proposals for what is not clear, and
a `ColumnMapping`, or the problems of the choice. Without a person, `header.map_header` maps the columns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bulkload.errors import InputError
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import (
    API_PREFIX,
    ColumnMapping,
    field_of,
    fields_named,
    hint_about,
    missing_fields,
    not_passed_through,
    own_columns,
    place_of,
    renamed_by,
    result_columns_of,
    similar_field,
)
from bulkload.monitors.result_columns import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedColumn:
    """What the name of a column says about its field."""

    index: int
    header: str  # as in the file
    field: str | None = None  # None: not recognised
    is_result: bool = False  # bulkload added it to a results file; it is read back, not sent
    hint: str = ""  # why it was not recognised: a sentence
    is_doubtful: bool = False  # what its name is, or whether it has one, is not certain
    suggestion: str | None = None  # the field that may be meant; a person has to choose it

    @property
    def needs_choice(self) -> bool:
        """True if a person has to say what the column means. A column without a name is not sent."""
        has_name = bool(normalise(self.header)) or self.is_doubtful
        return self.field is None and not self.is_result and has_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProblem:
    """Why a choice of fields cannot be used."""

    text: str  # a sentence
    index: int | None = None  # the column; None: a field for which no column is chosen
    field: str | None = None


def propose_columns(
    header: Sequence[str], *, mapping: Mapping[str, str] | None = None, doubts: Mapping[int, str] | None = None
) -> list[ProposedColumn]:
    """Propose a field for each column whose name is one; every other column gets a hint.

    `mapping` is --map (column → field). `doubts` says why the names of some columns are not certain: see `Source`.
    """
    renamed = renamed_by(mapping or {})
    own = frozenset(own_columns(header, mapping or {}))
    first: dict[str, int] = {}  # field → its column
    proposals = []
    for index, cell in enumerate(header):
        if index not in own:
            proposals.append(ProposedColumn(index=index, header=cell, is_result=True))
            continue
        field, doubt = field_of(cell, renamed), (doubts or {}).get(index, "")
        suggestion = None
        if field is None and doubt and not normalise(cell):
            hint = f"The name of this column is not known: {doubt}"
        elif field is None:
            hint, suggestion = _hint(cell)
        elif reason := not_passed_through(field):
            hint = f"{cell.strip()} {reason}."
        elif field in first:
            hint = f"{place_of(header, first[field])} means {field} too, and only one column can be sent as {field}."
        elif doubt:
            hint, suggestion = f"The name of this column is not certain: {doubt}", field
        else:
            first[field] = index
            proposals.append(ProposedColumn(index=index, header=cell, field=field))
            continue
        proposals.append(
            ProposedColumn(index=index, header=cell, hint=hint, is_doubtful=bool(doubt), suggestion=suggestion)
        )
    return proposals


def map_columns(header: Sequence[str], fields: Sequence[str | None], *, given: Collection[str] = ()) -> ColumnMapping:
    """Map each column to the field that a person chose, or raise one InputError that lists every problem.

    None is a column that is not sent; if bulkload added it to a results file, it is read back. `given` names, in any
    spelling, the fields that --set or [defaults] fill.
    """
    problems = [problem.text for problem in column_problems(header, fields, given=given)]
    if problems:
        raise InputError("\n  ".join(["The columns cannot be sent like this:", *problems]))
    is_results, result_columns = result_columns_of(
        header, except_for=[index for index, field in enumerate(fields) if field is not None]
    )
    return ColumnMapping(
        header=tuple(header),
        fields=tuple(fields),
        is_results=is_results,
        result_columns=result_columns,
        user_columns=tuple(index for index in range(len(header)) if index not in result_columns.values()),
    )


def column_problems(
    header: Sequence[str], fields: Sequence[str | None], *, given: Collection[str] = ()
) -> Iterator[ColumnProblem]:
    """Yield every reason why `map_columns` refuses these fields."""
    if len(header) != len(fields):
        text = f"The file has {len(header)} columns, but fields were chosen for {len(fields)}; choose them again."
        yield ColumnProblem(text=text)
        return
    first: dict[str, int] = {}
    for index, field in enumerate(fields):
        if field is None:
            continue
        place = place_of(header, index)
        if not field.startswith(API_PREFIX) and field not in FIELDS:
            text = f"{place}: there is no field {field!r}; choose one of the list."
        elif reason := not_passed_through(field):
            text = f"{place}: {field} {reason}."
        elif field in first:
            text = f"{place_of(header, first[field])} and {place} are both sent as {field}; only one of them can be."
        else:
            first[field] = index
            continue
        yield ColumnProblem(text=text, index=index, field=field)
    for field in missing_fields({*first, *fields_named(given)}):
        yield ColumnProblem(text=_missing(field), field=field)


def _missing(field: str) -> str:
    if field == "hostname":
        return "No column is sent as hostname (for round-trip: smtp_hostname); every row needs it."
    if field in ("pop3_hostname", "email"):
        return f"No column is sent as {field}; round-trip monitors need it."
    value = "" if field == "name" else " Choose one, or give a value for all rows."
    return f"No column is sent as {field}; every row needs it.{value}"


def _hint(cell: str) -> tuple[str, str | None]:
    """A sentence about a column that is no field, and the field that may be meant."""
    if not normalise(cell):
        return "This column has no name.", None
    if hint := hint_about(cell):
        return f"{hint[0].upper()}{hint[1:]}.", None
    if similar := similar_field(cell):
        return f"Perhaps {similar} is meant.", similar
    return "This is not the name of a field.", None
