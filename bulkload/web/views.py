"""What the templates get: plain records, ready to be shown.

In: nothing. Out: records that `pages` fill and `templates` render. Texts are not escaped here (Jinja2 does that), but
they are printable: no control character of a cell or a message reaches a page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bulkload.operations.forecast_texts import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What an action of the user led to, shown at the top of the next page."""

    text: str
    is_problem: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What every page has around its content."""

    title: str  # of the browser's tab and the page's heading
    token: str = ""  # for the hidden field "token" of each form, against cross-site request forgery
    user: str = ""  # as a trusted proxy names them; empty otherwise
    section: str = ""  # of the navigation: "start", "runs", "account"; empty: none
    account: str = ""  # "you@example.com" or "" if the account is not known yet
    is_rehearsal: bool = False  # the page is about a draft or run in the sandbox
    only_sandbox: bool = False  # this server has no other account
    message: Message | None = None
    refresh_seconds: int | None = None  # without JavaScript, the page is loaded again after this time


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One option of a select or a radio group."""

    value: str
    label: str
    is_chosen: bool = False


# ── start ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """A draft in a list."""

    href: str
    name: str
    state: str  # "choose the columns", "2 of 60 rows have errors", "ready", "cannot be read"
    changed: str  # "today 14:05", in the server's time zone
    is_rehearsal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One status in a bar chart of outcomes, as SVG: x and width of 1000 units."""

    status: str
    css: str  # class, such as "s-created"
    rows: str  # "1,200"
    share: str  # "12.5 %"
    x: float
    width: float
    next_step: str = ""
    href: str = ""  # filters the rows by this status
    is_chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in a list."""

    href: str
    run_id: str
    name: str
    started: str
    user: str
    how: str  # "All 60 rows are done.", "Of 60 rows: 58 done, 2 to fix.", "Running: 12 of 60 rows"
    bars: Sequence[Bar]
    is_rehearsal: bool = False
    is_active: bool = False
    undo_href: str = ""  # empty: no monitors to delete


# ── columns ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnView:
    """One column of the file; its select is named `column-<index>`."""

    index: int
    letter: str  # "C"
    header: str  # as in the file; may be empty
    samples: Sequence[str]  # its first cells
    choices: Sequence[Choice]  # "" (choose…), "-" (do not send this column), and the fields
    is_clear: bool  # recognised by its name, or chosen before for this header
    hint: str = ""  # why not, and what may be meant: a sentence
    suggestion: str = ""  # the field that may be meant
    problem: str = ""  # a sentence, if the last choice cannot be used


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultView:
    """A value for the empty cells of a field; its control is named `default-<field>`."""

    field: str
    label: str
    help: str
    value: str
    choices: Sequence[Choice]  # of a select; empty: a text field
    is_required: bool  # rows without a value cannot be sent
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingView:
    """How a file was read, to read it in another way: fields `sheet`, `header_row` and `encoding`."""

    sheets: Sequence[Choice]  # empty: a format without worksheets
    encoding: str  # as chosen; empty: found by the program
    has_encoding: bool  # a text format
    header_row: str = ""  # as chosen; empty: found by the program
    has_header_row: bool = False  # a format with rows above the header


# ── rows of a draft or a run ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A value that the message of an issue suggests, as a button."""

    label: str  # "Use mail.example.com"
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellView:
    """One cell; in a draft it can be edited: its field is named `cell-<row>-<column>`."""

    text: str
    column: int
    severity: str = ""  # "", "warning" or "error"
    messages: Sequence[str] = ()
    fixes: Sequence[Fix] = ()
    original: str | None = None  # the text in the file, if it was edited
    is_fixed: bool = False  # nobody can change it


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """One row. `messages` are those of the whole row; those of cells are in the cells."""

    number: int  # as the spreadsheet program numbers it
    css: str  # class of its status
    status: str  # "ready", "invalid", "will create", "created", …
    cells: Sequence[CellView]
    messages: Sequence[str] = ()  # errors and warnings of the whole row
    has_error: bool = False
    monitor_id: str = ""
    account: str = ""  # a draft: what the account has, "new", "exists as 1234", "would change interval: 15 → 5"
    next_step: str = ""
    is_left_out: bool = False
    is_edited: bool = False
    can_accept: bool = False  # the reader doubts whether the row is whole or its text right
    is_open: bool = False  # every cell is a field (`?edit=<row>`)
    edit_href: str = ""  # opens the row; empty: it cannot be edited


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of problem, with all its rows."""

    text: str  # "port is out of range"; the first message if there is one row only
    column: str  # header, or "" for whole rows
    rows: str  # "12"
    severity: str
    href: str  # shows only its rows
    is_chosen: bool
    key: str  # for the hidden field "kind"
    fix_label: str = ""  # "Use the suggestion in 11 of 12 rows"
    can_set: bool = True  # one value can be typed for all of them
    can_accept: bool = False  # its rows can be meant as they are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Which rows of how many are shown; empty links at the ends."""

    text: str  # "1 to 50 of 9,998"
    first_href: str
    previous_href: str
    next_href: str
    last_href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTable:
    """A page of rows with its filters."""

    header: Sequence[str]
    rows: Sequence[RowView]
    statuses: Sequence[Bar]  # with links, "all" first
    kinds: Sequence[Kind]
    search: str
    clear_href: str  # without any filter; empty: nothing is filtered
    pager: Pager
    action: str  # where the filter form goes (GET: "q", "status", "kind")
    hidden: Sequence[tuple[str, str]] = ()  # name and value of what the filter form has to keep
    query: str = ""  # of this view ("status=invalid&page=2"), for the hidden field "query": actions come back to it
    fixed: Collection[int] = ()  # columns that nobody can change
    has_account: bool = False  # the rows say what the account has of them (`RowView.account`)
    has_monitors: bool = False  # the rows have monitor IDs and next steps


# ── a draft ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftView:
    """A draft, for the heading of its pages. Its addresses are `<href>/columns`, `<href>/edit`, and so on."""

    href: str
    name: str
    version: int  # for the hidden field "version": an action on an older version is refused
    read_as: str  # "xlsx, worksheet Hosts, header in row 3"
    notes: Sequence[str]  # what the reader says: hidden rows, title lines, further worksheets
    rows: str  # "60"
    ready: int
    bad: int
    left_out: int
    edits: int  # that can be taken back
    last_edit: str  # "port in 12 rows"
    step: str  # "columns", "check", "start"
    converted_href: str = ""  # what became of another tool's configuration, as a workbook


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastView:
    """What a run would do in the account."""

    bars: Sequence[Bar]  # "will create", "exists", "will update", "invalid", …
    facts: Sequence[Fact]  # how long it takes, plan code, who would be alerted
    warnings: Sequence[str]
    problem: str = ""  # why the account could not be read
    is_current: bool = True  # False: the rows were changed since
    creates: int = 0
    updates: int = 0


# ── a job and a run ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressView:
    """The state of a job, sent again as it changes."""

    headline: str  # "Creating monitors: 12 of 58 rows", "Waiting for the run of hosts.xlsx", "Stopping…"
    bars: Sequence[Bar]
    done: int
    total: int  # 0: not known yet
    facts: Sequence[Fact]  # rate, time left, pause and why, rows in doubt and until when
    last_errors: Sequence[str]
    can_stop: bool
    stop_href: str
    stop_help: str = ""  # what that leads to


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A link to a file."""

    href: str
    label: str  # "Excel workbook"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run: what happens or happened."""

    href: str
    run_id: str
    name: str
    headline: str
    stopped: str  # why it stopped early
    is_stopped_on_request: bool = False
    undone: str = ""  # when, by whom, and what was deleted
    is_active: bool
    as_of: str = ""  # while it is active: when the rows were read that are shown
    is_tried: bool  # only the first rows were sent, on request ("Try 2 rows")
    facts: Sequence[Fact]
    downloads: Sequence[Download]
    events_href: str  # of the server-sent events while it is active
    can_resume: bool
    resume_label: str  # "Create the other 56 monitors", "Resume: 12 rows to run again"
    can_fix: int  # rows to be fixed
    can_undo: int  # monitors that it created and that still exist as far as is known


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalLine:
    """A monitor in the preview of an undo."""

    row: int
    monitor_id: str
    type: str
    name: str
    host: str
    action: str  # "delete", "already gone", "keep"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalView:
    """What an undo would delete. Edited monitors are kept unless `includes_edited` (`?edited=1`)."""

    lines: Sequence[RemovalLine]
    deletes: int
    edited: int  # monitors that were edited since the run
    gone: int
    includes_edited: bool
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """The accounts that this session can use."""

    own: str  # user name in the server's settings; empty: none
    typed: str  # user name typed in this session; empty: none
    only_sandbox: bool
    next_href: str = ""  # where to go after the login; for the hidden field "next"
