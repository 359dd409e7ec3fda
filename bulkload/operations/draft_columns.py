"""Choose what the columns of a draft mean, and the values for its empty cells.

In: a draft that was read, and what a person chose. Out: its checked rows, or the problems of the choice. A choice is
remembered for files with an equal header, and for the results files of their runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulkload.errors import UsageError
from bulkload.monitors.columns import ColumnProblem, ProposedColumn, column_problems, propose_columns
from bulkload.monitors.header import ColumnMapping, field_named
from bulkload.operations.draft_check import OnRows, check_draft, ignore_rows
from bulkload.stages.intake import check_rows
from bulkload.store.drafts import Draft, Drafts
from bulkload.store.runs import Store

HEADER_ROW = "header_row"  # in `Draft.reading`: the number of the header's row
NO_HEADER = "no_header"  # in `Draft.reading`: the first row is a row like the others

_NO_COLUMNS = ColumnMapping(header=(), fields=(), is_results=False, result_columns={}, user_columns=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The field of each column, before a person confirms it."""

    fields: tuple[str | None, ...]
    is_chosen: bool  # a person chose them; otherwise, the columns have these names
    remembered: float | None = None  # when they were chosen, for another file with an equal header


def proposals_of(draft: Draft) -> list[ProposedColumn]:
    """What the header says about each column."""
    if (source := draft.source) is None:
        return []
    return propose_columns(draft.header, mapping=source.mapping, doubts=source.header_doubts)


def proposal_of(store: Store, draft: Draft) -> Proposal:
    """The fields as chosen, or as a person chose them for an equal header, or by the names of the columns."""
    if draft.fields is not None:
        return Proposal(fields=draft.fields, is_chosen=True)
    proposals = proposals_of(draft)
    own = _own_columns(proposals)
    if _has_certain_names(draft) and (remembered := Drafts(store).chosen_fields(list(own.values()))) is not None:
        chosen = dict(zip(own, remembered[0], strict=True))
        fields = tuple(chosen.get(column.index) for column in proposals)
        return Proposal(fields=fields, is_chosen=True, remembered=remembered[1])
    return Proposal(fields=tuple(column.field for column in proposals), is_chosen=False)


def problems_of(
    draft: Draft, fields: Sequence[str | None], defaults: Mapping[str, str], *, is_chosen: bool
) -> list[ColumnProblem]:
    """What has to be chosen or corrected before the rows can be checked; `is_chosen`: a person chose every column."""
    problems = [*column_problems(draft.header, fields, given=tuple(_filled(defaults))), *problems_of_defaults(defaults)]
    if not is_chosen:
        problems += [
            ColumnProblem(index=column.index, text=column.hint)
            for column in proposals_of(draft)
            if column.needs_choice and fields[column.index] is None
        ]
    return problems


def problems_of_defaults(defaults: Mapping[str, str]) -> list[ColumnProblem]:
    """Why values for empty cells cannot be used, each at its field; those that contradict each other have none."""
    problems = [
        ColumnProblem(field=field, text=problem)
        for field, text in _filled(defaults).items()
        if (problem := _problem_of_defaults({field: text}))
    ]
    if not problems and (problem := _problem_of_defaults(_filled(defaults))):
        problems.append(ColumnProblem(text=problem))
    return problems


def choose_columns(
    store: Store, draft: Draft, fields: Sequence[str | None], defaults: Mapping[str, str]
) -> list[ColumnProblem]:
    """Use the columns and values that a person chose, and check the rows; returns what is wrong with the choice."""
    if problems := problems_of(draft, fields, defaults, is_chosen=True):
        return problems
    drafts = Drafts(store)
    drafts.set_columns(draft, fields, _filled(defaults))
    proposals = proposals_of(draft)
    is_by_name = tuple(fields) == tuple(column.field for column in proposals)
    own = _own_columns(proposals)
    names = list(own.values())
    if _has_certain_names(draft) and not (is_by_name and drafts.chosen_fields(names) is None):
        drafts.remember_fields(names, [fields[index] for index in own])
    check_draft(store, drafts.get(draft.id))
    return []


def use_clear_columns(store: Store, draft: Draft, on_rows: OnRows = ignore_rows) -> None:
    """Check the rows if no person has to choose anything; else leave the choice to one."""
    drafts, proposal = Drafts(store), proposal_of(store, draft)
    if problems_of(draft, proposal.fields, draft.defaults, is_chosen=proposal.is_chosen):
        drafts.set_unclear(draft)
    else:
        drafts.set_columns(draft, proposal.fields, _filled(draft.defaults))
        check_draft(store, drafts.get(draft.id), on_rows)


def defaults_by_field(given: Mapping[str, str]) -> dict[str, str]:
    """The values of --set or [defaults] by field; names that are no field, or of the same field, stay to be refused."""
    fields = {name: field_named(name) for name in given}
    named = Counter(fields.values())
    return {field if field is not None and named[field] == 1 else name: given[name] for name, field in fields.items()}


def _problem_of_defaults(defaults: Mapping[str, str]) -> str:
    try:
        check_rows((), _NO_COLUMNS, defaults=defaults)
    except UsageError as error:
        return " ".join(str(error).split())
    return ""


def _own_columns(columns: Sequence[ProposedColumn]) -> dict[int, str]:
    """The names of the user's columns, by index: a results file has the same as the file of its run."""
    return {column.index: column.header for column in columns if not column.is_result}


def _has_certain_names(draft: Draft) -> bool:
    """True if the header tells this file from others, so that a choice for it can be remembered."""
    source = draft.source
    return source is not None and NO_HEADER not in draft.reading and not source.header_doubts


def _filled(defaults: Mapping[str, str]) -> dict[str, str]:
    return {field: text.strip() for field, text in defaults.items() if text.strip()}
