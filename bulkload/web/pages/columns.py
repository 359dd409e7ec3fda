"""The page on which a person says what the columns mean, and gives values for empty cells.

In: a draft, or the form of this page. Out: the form with every problem at its field, or the checked rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.monitors.columns import ColumnProblem
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import column_letters
from bulkload.operations.draft_columns import (
    HEADER_ROW,
    NO_HEADER,
    choose_columns,
    problems_of,
    problems_of_defaults,
    proposal_of,
    proposals_of,
)
from bulkload.operations.drafts import header_row_of
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.runs import Store
from bulkload.text_encodings import codec_named
from bulkload.web.access import read_form
from bulkload.web.pages.draft_view import reading_view, view_of, view_of_unread
from bulkload.web.pages.reading import begin_reading
from bulkload.web.site import draft_of, frame_of, go_to, page, site_of
from bulkload.web.state import OPTIONS
from bulkload.web.views import Choice, ColumnView, DefaultView
from bulkload.web.wording import on_page

SAMPLES = 3  # cells of a column that are shown
_NO_COLUMNS_YET = (DraftState.READING, DraftState.UNREADABLE, DraftState.CHECKING)
_NOT_SENT = "-"  # value of the select for a column that is not sent
_FIRST_DEFAULTS = ("billing_plancode", "type", "interval")
_NO_DEFAULTS = ("name", "hostname", "monitor_id", "smtp_hostname", "pop3_hostname", "ipv4")
_NEEDED = ("billing_plancode", "type")
_CHANGED = "The rows or columns were changed in another window since this page was opened. Look, and choose again."


async def show(request: web.Request) -> web.Response:
    """Show the columns with what is known about them."""
    draft = await draft_of(request)
    if draft.state in _NO_COLUMNS_YET:
        return go_to(request, f"/drafts/{draft.id}")
    return await _page(request, draft, None, dict(draft.defaults), ())


async def choose(request: web.Request) -> web.Response:
    """Take a person's choice, and check the rows; without it, show what is wrong."""
    form = await read_form(request)
    async with site_of(request).draft_locks[request.match_info["draft"]]:
        return await _choose(request, form, await draft_of(request))


async def _choose(request: web.Request, form: Mapping[str, object], draft: Draft) -> web.Response:
    """Do it with the draft as it is, while nobody else changes it."""
    if draft.state in _NO_COLUMNS_YET:
        return go_to(request, f"/drafts/{draft.id}")
    if str(form.get("version", "")) != str(draft.version):
        return go_to(request, f"/drafts/{draft.id}/columns", _CHANGED, is_problem=True)
    if "headerless" in form and draft.upload:
        reading = {name: text for name, text in draft.reading.items() if name not in (NO_HEADER, HEADER_ROW)}
        return await _read(request, draft, reading | ({NO_HEADER: "yes"} if form["headerless"] == "1" else {}))
    values = [str(form.get(f"column-{index}", "")) for index in range(len(draft.header))]
    fields = [None if value in ("", _NOT_SENT) else value for value in values]
    defaults = {field: str(form.get(f"default-{field}", "")).strip() for field in FIELDS if f"default-{field}" in form}
    kept = {  # fields that the form does not show; a name that is no field cannot be kept
        field: text
        for field, text in draft.defaults.items()
        if field not in defaults and (field in FIELDS or field.startswith("api:"))
    }
    results = {
        column.index
        for column in proposals_of(draft)
        if column.is_result or (not column.needs_choice and column.field is None)
    }
    undecided = [
        ColumnProblem(index=index, text="Choose what this column means, or that it is not sent.")
        for index, value in enumerate(values)
        if not value and index not in results
    ]
    problems = undecided or await site_of(request).store.long(choose_columns, draft, fields, {**kept, **defaults})
    if problems:
        return await _page(request, draft, values, {**kept, **defaults}, problems)
    return go_to(request, f"/drafts/{draft.id}", "The rows are checked. Nothing is sent yet.")


async def read_again(request: web.Request) -> web.Response:
    """Read the file again, in another way."""
    form = await read_form(request)
    async with site_of(request).draft_locks[request.match_info["draft"]]:
        return await _read_again(request, form, await draft_of(request))


async def _read_again(request: web.Request, form: Mapping[str, object], draft: Draft) -> web.Response:
    """Do it with the draft as it is, while nobody else changes it."""
    fields = ("sheet", HEADER_ROW, "encoding")
    reading = {name: text for name in fields if (text := str(form.get(name, "")).strip())}
    if HEADER_ROW not in reading:
        reading |= {name: text for name, text in draft.reading.items() if name == NO_HEADER}
    if not draft.upload:
        raise UsageError("These rows come from a run, not from a file.")
    if str(form.get("version", "")) != str(draft.version):
        return go_to(request, f"/drafts/{draft.id}", _CHANGED, is_problem=True)
    if HEADER_ROW in reading:
        try:
            reading[HEADER_ROW] = str(header_row_of(reading[HEADER_ROW]))
        except ValueError:
            message = f"The row of the header is {reading[HEADER_ROW]}; enter the number of a row, such as 4."
            return go_to(request, f"/drafts/{draft.id}", message, is_problem=True)
    if "encoding" in reading:
        try:
            reading["encoding"] = codec_named(reading["encoding"])
        except ValueError as error:
            return go_to(request, f"/drafts/{draft.id}", f"The encoding is not known: {error}.", is_problem=True)
    return await _read(request, draft, reading)


async def _read(request: web.Request, draft: Draft, reading: Mapping[str, str]) -> web.Response:
    """Begin to read the file again."""
    site = site_of(request)
    await site.store.long(lambda store: Drafts(store).set_reading(draft, reading))
    begin_reading(site, request.app[OPTIONS], await draft_of(request))
    return go_to(request, f"/drafts/{draft.id}")


async def _page(
    request: web.Request,
    draft: Draft,
    values: Sequence[str] | None,
    defaults: Mapping[str, str],
    problems: Sequence[ColumnProblem],
) -> web.Response:
    """The form; `values` are those of its selects if a person sent it."""

    def gather(store: Store) -> dict[str, Any]:
        proposal, is_sent = proposal_of(store, draft), values is not None
        fields = proposal.fields
        chosen = values if values is not None else [field or "" for field in fields]
        found = problems or problems_of(draft, fields, draft.defaults, is_chosen=proposal.is_chosen)
        remembered = ""
        if proposal.remembered is not None:
            on = datetime.fromtimestamp(proposal.remembered).astimezone()
            remembered = f"The columns are as somebody chose them on {on:%-d %B %Y} for a file with the same header."
        views = _defaults(fields, defaults, found if is_sent else ())
        is_checked = draft.state is DraftState.CHECKED
        return {
            "draft": view_of(store, draft, "columns") if is_checked else view_of_unread(draft),
            "columns": _columns(store, draft, chosen, found, is_sent=is_sent, was_chosen=proposal.is_chosen),
            "defaults": views,
            "problems": _notices(found) if is_sent else _elsewhere(problems_of_defaults(defaults), views),
            "remembered": remembered,
            "can_be_headerless": _can_be_headerless(draft),
            "is_headerless": NO_HEADER in draft.reading,
            "reading": reading_view(draft),
        }

    context = await site_of(request).store(gather)
    frame = frame_of(request, "What is in the columns?", section="start", is_rehearsal=draft.is_rehearsal)
    return page(request, "columns.html", frame, status=200 if values is None else 422, **context)


def _can_be_headerless(draft: Draft) -> bool:
    return draft.source is not None and not draft.source.has_known_header and bool(draft.upload)


def _notices(problems: Sequence[ColumnProblem]) -> list[str]:
    """What the top of the page says of a choice that cannot be used: all that has no column, or where to look."""
    notices = [on_page(problem.text) for problem in problems if problem.index is None]
    return notices or ["The rows are not checked yet: look at what is marked below."]


def _elsewhere(problems: Sequence[ColumnProblem], views: Sequence[DefaultView]) -> list[str]:
    """The problems of values for empty cells that are not at a field of the page."""
    shown = {view.problem for view in views}
    return [text for problem in problems if (text := on_page(problem.text)) not in shown]


def _columns(
    store: Store,
    draft: Draft,
    chosen: Sequence[str],
    problems: Sequence[ColumnProblem],
    *,
    is_sent: bool,
    was_chosen: bool,
) -> list[ColumnView]:
    samples = DraftRows(store, draft).samples(SAMPLES)
    problem_of = {problem.index: problem.text for problem in problems if problem.index is not None}
    views = []
    for column in proposals_of(draft):
        if column.is_result:
            continue  # of a results file: read back, never sent
        value = chosen[column.index] or (
            _NOT_SENT if (not column.needs_choice and column.field is None) or was_chosen else ""
        )
        is_clear = column.index not in problem_of and (
            bool(column.field) or not column.needs_choice or bool(chosen[column.index])
        )
        views.append(
            ColumnView(
                index=column.index,
                letter=column_letters(column.index),
                header=printable(column.header),
                samples=[printable(cells[column.index]) for cells in samples],
                choices=_choices(column.suggestion, value),
                is_clear=is_clear,
                hint=on_page(column.hint),
                suggestion=column.suggestion or "",
                problem=on_page(problem_of[column.index]) if is_sent and column.index in problem_of else "",
            )
        )
    return views


def _choices(suggestion: str | None, value: str) -> list[Choice]:
    """What a column can mean; a field that may be meant comes first, and is never chosen by itself."""
    names = [*([suggestion] if suggestion else []), *(name for name in FIELDS if name != suggestion)]
    if value.startswith("api:"):
        names.append(value)
    return [
        Choice(value="", label="Choose…", is_chosen=not value),
        Choice(value=_NOT_SENT, label="not sent: only kept in the results", is_chosen=value == _NOT_SENT),
        *(
            Choice(value=name, label=f"{name} (perhaps)" if name == suggestion else name, is_chosen=name == value)
            for name in names
        ),
    ]


def _defaults(
    fields: Sequence[str | None], defaults: Mapping[str, str], problems: Sequence[ColumnProblem]
) -> list[DefaultView]:
    problem_of = {
        problem.field: problem.text
        for problem in (*problems_of_defaults(defaults), *problems)
        if problem.index is None and problem.field
    }
    order = [*_FIRST_DEFAULTS, *(name for name in FIELDS if name not in _FIRST_DEFAULTS and name not in _NO_DEFAULTS)]
    views = []
    for name in order:
        field, value = FIELDS[name], defaults.get(name, "")
        choices = [
            Choice(value="", label="no value", is_chosen=not value),
            *(Choice(value=choice, label=choice, is_chosen=choice == value) for choice in field.choices),
        ]
        if value and value not in field.choices and field.choices:
            choices.append(Choice(value=value, label=value, is_chosen=True))
        views.append(
            DefaultView(
                field=name,
                label=name.replace("_", " "),
                help=_help(field.help),
                value=value,
                choices=choices if field.choices else (),
                is_required=name in _NEEDED and name not in fields,
                problem=on_page(problem_of.get(name, "")),
            )
        )
    return views


def _help(text: str) -> str:
    """The help of a field without its sentences about the command line."""
    return ". ".join(sentence for sentence in text.split(". ") if "--" not in sentence).rstrip(".") + "."
