"""The pages of a draft: its rows with their problems, and every way to correct them.

In: a draft, and forms with corrections. Out: the rows again, with what was done in a message. An edit made in an older
version of the page is accepted cell by cell: only a cell that somebody else has changed is refused.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from aiohttp import web

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.operations.convert import convert
from bulkload.operations.draft_edits import DraftEditor, fixed_columns
from bulkload.operations.draft_report import write_marked
from bulkload.operations.draft_upload import UPLOADS, opened_upload
from bulkload.reports.summary import number_of
from bulkload.store.draft_pages import DraftPages
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.runs import Store
from bulkload.web.access import access_of, read_form
from bulkload.web.pages.draft_view import reading_view, view_of, view_of_unread
from bulkload.web.pages.row_table import TableQuery, draft_table, kind_of
from bulkload.web.site import download, draft_of, frame_of, go_to, page, site_of
from bulkload.web.state import OPTIONS
from bulkload.web.views import DraftView, RowTable
from bulkload.web.wording import on_page

_CELL = re.compile(r"(?:cell-)?([0-9]{1,9})-([0-9]{1,4})")


async def show(request: web.Request) -> web.Response:
    """Show a draft: that it is read, why it cannot be, its columns, or its rows."""
    draft = await draft_of(request)
    if draft.state in (DraftState.READING, DraftState.CHECKING):
        frame = frame_of(request, "Reading the file", section="start", refresh_seconds=1)
        progress = site_of(request).rows_read.get(draft.id, "")
        return page(request, "reading.html", frame, draft=view_of_unread(draft), progress=progress)
    if draft.state is DraftState.UNREADABLE:
        frame = frame_of(request, "This file cannot be read", section="start")
        return page(
            request,
            "unreadable.html",
            frame,
            draft=view_of_unread(draft),
            problem=on_page(draft.problem),
            reading=reading_view(draft),
        )
    if draft.state is DraftState.COLUMNS:
        return go_to(request, f"/drafts/{draft.id}/columns")
    query = TableQuery.of(f"/drafts/{draft.id}", request.query)
    view, table = await site_of(request).store(_checked, draft, query)
    target = "the sandbox" if draft.is_rehearsal else "your account"
    frame = frame_of(request, "Check and fix", section="start", is_rehearsal=draft.is_rehearsal)
    return page(request, "rows.html", frame, draft=view, table=table, target=target)


def _checked(store: Store, draft: Draft, query: TableQuery) -> tuple[DraftView, RowTable]:
    table = draft_table(DraftPages(store, draft), query, fixed=fixed_columns(draft))
    return view_of(store, draft, "check"), table


# ── corrections ───────────────────────────────────────────────────────────────────────────────────────────────────


async def edit(request: web.Request) -> web.Response:
    """Set cells: those of the form, or the one whose suggestion or original text was chosen."""
    form = await read_form(request)
    texts, expected, used = {}, {}, {}
    for name, value in form.items():
        if name.startswith("cell-") and (was := form.get(f"was-{name.removeprefix('cell-')}")) is not None:
            text, seen = _lines(value), _lines(was)
            if text != seen:
                texts[_place(name)], expected[_place(name)] = text, seen
    if use := str(form.get("use", "")):
        place, _, text = use.partition("=")
        used[_place(place)] = texts[_place(place)] = text
        expected.pop(_place(place), None)
    restored = [_place(str(form["restore"]))] if form.get("restore") else []

    def work(editor: DraftEditor) -> int:
        for (number, column), text in used.items():
            editor.check_suggestion(number, column, text)
        count = editor.set_cells(texts, expected) if texts else 0
        return count + sum(editor.restore(number, column) for number, column in restored)

    return await _correct(request, form, work)


def _lines(value: object) -> str:
    """The text of a field, with the line breaks that it had before the browser changed them."""
    return str(value).replace("\r\n", "\n")


async def fix(request: web.Request) -> web.Response:
    """Correct all cells with one kind of problem."""
    form = await read_form(request)
    key, how, text = str(form.get("kind", "")), form.get("how"), str(form.get("value", ""))

    def work(editor: DraftEditor) -> int:
        kind = kind_of(key)
        if how == "accept":
            return editor.accept((), kind=kind)
        return editor.set_kind(kind, None if how == "suggestion" else text)

    return await _correct(request, form, work)


async def fill(request: web.Request) -> web.Response:
    """Set a column in all rows, or where it is empty."""
    form = await read_form(request)
    column, text, only_empty = _number(form, "column"), str(form.get("value", "")), form.get("scope") != "all"
    return await _correct(request, form, lambda editor: editor.fill(column, text, only_empty=only_empty))


async def leave_out(request: web.Request) -> web.Response:
    """Leave rows out, or put them back."""
    form = await read_form(request)
    if key := str(form.get("kind", "")):
        return await _correct(request, form, lambda editor: editor.leave_out((), kind=kind_of(key)))
    if "in" in form:
        number = _number(form, "in")
        return await _correct(request, form, lambda editor: editor.put_back([number]))
    number = _number(form, "out")
    return await _correct(request, form, lambda editor: editor.leave_out([number]))


async def accept(request: web.Request) -> web.Response:
    """Take a row as it is shown, whatever the reader found about it."""
    form = await read_form(request)
    number = _number(form, "row")
    return await _correct(request, form, lambda editor: editor.accept([number]))


async def take_back(request: web.Request) -> web.Response:
    """Take the last edit back: the one that the page names."""
    form = await read_form(request)

    def work(editor: DraftEditor) -> int:
        if str(form.get("version", "")) != str(editor.version):
            raise UsageError(
                "The rows were changed in another window since this page was opened, so nothing was taken back. Look at"
                " what the last edit is now."
            )
        return editor.take_back()

    return await _correct(request, form, work, "Taken back")


async def delete(request: web.Request) -> web.Response:
    """Delete a draft and its upload."""
    site, form = site_of(request), await read_form(request)
    async with site.draft_locks[request.match_info["draft"]]:
        draft = await draft_of(request)
        if draft.state is DraftState.CHECKED and str(form.get("version", "")) != str(draft.version):
            problem = (
                "The rows were changed in another window since this page was opened, so the draft was not deleted."
                " Look at them, and delete it then."
            )
            return go_to(request, f"/drafts/{draft.id}", problem, is_problem=True)
        job = site.jobs.of_draft(draft.id)
        if job is not None and job.state.ended is None:
            raise UsageError("The draft is in use; stop its run first.")
        await site.store(lambda store: Drafts(store).delete(draft))
        if draft.upload:
            path = request.app[OPTIONS].output / UPLOADS / draft.upload
            await asyncio.to_thread(path.unlink, missing_ok=True)
    return go_to(request, "/", f"{printable(draft.name)} was deleted.")


async def marked(request: web.Request) -> web.StreamResponse:
    """Send the rows as a workbook with the errors marked."""
    site, options, draft = site_of(request), request.app[OPTIONS], await draft_of(request)
    name = f"{Path(draft.name).stem}-marked.xlsx"
    return await download(request, name, lambda path: site.store.long(write_marked, draft, path, options))


async def converted(request: web.Request) -> web.StreamResponse:
    """Send what became of another tool's configuration: the rows, what was left out and why, what was changed."""
    draft, options = await draft_of(request), request.app[OPTIONS]
    if draft.source is None or draft.source.translated is None or not draft.upload:
        raise UsageError("This draft was not made of another tool's configuration.")

    def write(path: Path) -> None:
        encoding = draft.reading.get("encoding") or options.encoding
        with opened_upload(draft, options) as source:
            convert([source], path, tool=options.from_, skip_private=options.skip_private, encoding=encoding)

    return await download(
        request, f"{Path(draft.name).stem}-converted.xlsx", lambda path: asyncio.to_thread(write, path)
    )


async def _correct(
    request: web.Request, form: Mapping[str, object], work: Callable[[DraftEditor], int], done: str = "Changed"
) -> web.Response:
    """Make an edit, and show the rows again as they were filtered."""
    site, draft_id, user = site_of(request), request.match_info["draft"], access_of(request).user

    def correct(store: Store) -> int:
        return work(DraftEditor(store, _changeable(store, draft_id), user))

    async with site.draft_locks[draft_id]:
        try:
            count = await site.store.long(correct)
        except UsageError as error:
            return go_to(request, _rows_address(draft_id, form), str(error), is_problem=True)
    message = f"{done}: {number_of(count, 'row')}." if count else "Nothing was changed."
    return go_to(request, _rows_address(draft_id, form), message)


def _changeable(store: Store, draft_id: str) -> Draft:
    """A draft whose rows are checked. A job that is using them has them as they were, or refuses to begin."""
    draft = Drafts(store).get(draft_id)
    if draft.state is not DraftState.CHECKED:
        raise UsageError("The rows are not checked yet.")
    return draft


def _rows_address(draft_id: str, form: Mapping[str, object]) -> str:
    """The rows as they were filtered when the form was sent."""
    query = str(form.get("query", ""))
    is_query = re.fullmatch(r"[\w.~%&=+:-]{1,2000}", query) is not None
    return f"/drafts/{draft_id}?{query}" if is_query else f"/drafts/{draft_id}"


def _place(text: str) -> tuple[int, int]:
    """Row number and column index of "cell-17-3" or "17-3"."""
    match = _CELL.fullmatch(text)
    if match is None:
        raise UsageError("The form does not name a cell.")
    return int(match[1]), int(match[2])


def _number(form: Mapping[str, object], name: str) -> int:
    text = str(form.get(name, ""))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise UsageError("The form is not complete; load the page again.")
    return int(text)
