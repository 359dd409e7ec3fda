"""Invented records of the pages: ordinary, empty, faulty and hostile ones."""

from __future__ import annotations

from dataclasses import replace

from bulkload.operations.forecast_texts import Fact
from bulkload.reports.palette import css_class
from bulkload.web.views import (
    Bar,
    CellView,
    Choice,
    ColumnView,
    DefaultView,
    Download,
    DraftView,
    Fix,
    ForecastView,
    Frame,
    Kind,
    Pager,
    ProgressView,
    ReadingView,
    RowTable,
    RowView,
    RunLine,
    RunView,
)

HOSTILE = '<script>alert("row")</script>" onmouseover="alert(1)'
LONG = "Überwachung des Postverkehrs der Niederlassung Nürnberg (Donaudampfschifffahrtsgesellschaft) " * 4
RIGHT_TO_LEFT = "شركة البريد \u202etxt.exe"
HEADER = ("Name", "Mail server", "Type", "Port", "Plan", "Interval", "Locations", "Note")
WIDE_HEADER = (*HEADER, *(f"Zusatzspalte {number}" for number in range(1, 25)), HOSTILE)

FRAME = Frame(title="", token="t0ken", account="ops@example.com")
RUNS_FRAME = replace(FRAME, section="runs")
DRAFT = DraftView(
    href="/drafts/7f3a",
    name="mail-hosts-2026.xlsx",
    version=12,
    read_as="Excel, worksheet Hosts, column names in row 3",
    notes=(),
    rows="60",
    ready=58,
    bad=2,
    left_out=0,
    edits=1,
    last_edit="port in 12 rows",
    step="check",
)
READING = ReadingView(
    sheets=(Choice(value="Hosts", label="Hosts (60 rows)", is_chosen=True), Choice(value="Old", label="Old (12 rows)")),
    encoding="",
    has_encoding=False,
)


def bars(*counts: tuple[str, int], link: str = "") -> list[Bar]:
    """A chart of these statuses."""
    total, x, result = sum(count for _, count in counts), 0.0, []
    for status, count in counts:
        width = 1000 * count / total
        result.append(
            Bar(
                status=status,
                css=css_class(status),
                rows=f"{count:,}",
                share=f"{100 * count / total:.1f} %",
                x=round(x, 2),
                width=round(width, 2),
                next_step="fix the row" if status == "invalid" else "",
                href=f"{link}?status={status}" if link else "",
            )
        )
        x += width
    return result


def row(number: int, *, header: tuple[str, ...] = HEADER, status: str = "ready") -> RowView:
    """A row without a fault."""
    texts = [
        f"Postausgang Filiale {number}",
        f"mail{number}.example.com",
        "imap",
        "993",
        "UBM - A/A",
        "15",
        "10;20",
        "",
        *("x" * (i % 7) for i in range(len(header) - len(HEADER))),
    ]
    return RowView(
        number=number,
        css=css_class(status),
        status=status,
        cells=[CellView(text=text, column=column) for column, text in enumerate(texts)],
        edit_href=f"/drafts/7f3a?edit={number}",
    )


def with_cell(view: RowView, cell: CellView) -> RowView:
    """The row with another cell."""
    cells = list(view.cells)
    cells[cell.column] = cell
    has_error = view.has_error or cell.severity == "error"
    status = "invalid" if has_error else view.status
    return replace(view, cells=cells, has_error=has_error, status=status, css=css_class(status))


def bad_port(number: int, header: tuple[str, ...] = HEADER) -> RowView:
    return with_cell(
        row(number, header=header),
        CellView(
            text="99999",
            column=3,
            severity="error",
            messages=["port is 99999; a port is a whole number from 1 to 65535"],
        ),
    )


def mixed_rows(count: int, header: tuple[str, ...] = HEADER) -> list[RowView]:
    """Bad rows first, then edited, left out, warned and clean ones."""
    bad_host = with_cell(
        bad_port(17, header),
        CellView(
            text="https://mail.example.com/owa",
            column=1,
            severity="error",
            messages=["give the host name only. Probably mail.example.com is meant."],
            fixes=[Fix(label="Use mail.example.com", value="mail.example.com")],
        ),
    )
    edited = with_cell(row(21, header=header), CellView(text="993", column=3, original="IMAPS"))
    warned = with_cell(
        row(22, header=header),
        CellView(text="110", column=3, severity="warning", messages=["port 110 is usually used by pop, not by imap"]),
    )
    hostile = with_cell(
        with_cell(
            row(23, header=header), CellView(text=HOSTILE, column=0, severity="error", messages=[f"name is {HOSTILE}"])
        ),
        CellView(text='=HYPERLINK("http://evil.example","x")', column=7, original=""),
    )
    lines = with_cell(
        row(25, header=header), CellView(text="two\nlines", column=7, severity="error", messages=["note has 2 lines"])
    )
    long = with_cell(
        with_cell(row(26, header=header), CellView(text=LONG, column=7)), CellView(text=RIGHT_TO_LEFT, column=0)
    )
    duplicate = replace(
        row(24, header=header, status="duplicate"),
        messages=["repeats row 21: same type, name, hostname and port"],
        has_error=True,
    )
    left_out = replace(row(27, header=header, status="left out"), is_left_out=True)
    opened = replace(row(28, header=header), is_open=True)
    special = [bad_host, hostile, lines, duplicate, edited, warned, long, left_out, opened]
    return [*special, *(row(number, header=header) for number in range(30, 30 + max(count - len(special), 0)))]


def table(rows: list[RowView], *, header: tuple[str, ...] = HEADER, pager: Pager | None = None) -> RowTable:
    """A page of rows."""
    return RowTable(
        header=header,
        rows=rows,
        statuses=[
            Bar(status="all", css="", rows="60", share="", x=0, width=0, href="/drafts/7f3a", is_chosen=True),
            *bars(("invalid", 2), ("duplicate", 1), ("ready", 56), ("left out", 1), link="/drafts/7f3a"),
        ],
        kinds=(),
        search="",
        clear_href="",
        pager=pager
        or Pager(text=f"1–{len(rows)} of {len(rows)}", first_href="", previous_href="", next_href="", last_href=""),
        action="/drafts/7f3a",
        hidden=(("status", "invalid"),),
        query="status=invalid&page=1",
    )


KINDS = (
    Kind(
        text="is out of range: 99999, 70000 and others",
        column="Port",
        rows="12",
        severity="error",
        href="?kind=1",
        is_chosen=True,
        key="k1",
    ),
    Kind(
        text="has an address where a host name is needed",
        column="Mail server",
        rows="3",
        severity="error",
        href="?kind=2",
        is_chosen=False,
        key="k2",
        fix_label="Use the suggestion in 3 rows",
    ),
    Kind(
        text="repeats an earlier row",
        column="",
        rows="1",
        severity="error",
        href="?kind=3",
        is_chosen=False,
        key="k3",
        can_set=False,
    ),
    Kind(text=HOSTILE, column=HOSTILE, rows="1", severity="error", href="?kind=4", is_chosen=False, key="k4"),
    Kind(
        text="110 is usually used by pop, not by imap",
        column="Port",
        rows="4",
        severity="warning",
        href="?kind=5",
        is_chosen=False,
        key="k5",
    ),
)
PAGER = Pager(
    text="51–100 of 9,998", first_href="?page=1", previous_href="?page=1", next_href="?page=3", last_href="?page=200"
)

FIELDS = (
    Choice(value="", label="choose…"),
    Choice(value="-", label="do not send this column"),
    Choice(value="name", label="name: of the monitor in AlertSite"),
    Choice(value="hostname", label="hostname: the mail server"),
    Choice(value="interval", label="interval: minutes between two checks"),
)
COLUMNS = (
    ColumnView(
        index=2,
        letter="C",
        header="Zielsystem",
        samples=("mail.example.com", "imap.example.org", ""),
        choices=FIELDS,
        is_clear=False,
        hint="The name is not known. The values look like host names.",
    ),
    ColumnView(
        index=3,
        letter="D",
        header="",
        samples=(LONG, HOSTILE, "=cmd|' /C calc'!A0"),
        choices=FIELDS,
        is_clear=False,
        problem="hostname is chosen for two columns: C and D.",
    ),
    ColumnView(index=0, letter="A", header="Name", samples=("Post 1", "Post 2"), choices=FIELDS, is_clear=True),
    ColumnView(index=1, letter="B", header="Type", samples=("imap",), choices=FIELDS, is_clear=True),
    ColumnView(index=4, letter="AA", header=RIGHT_TO_LEFT, samples=(), choices=FIELDS, is_clear=True),
)
DEFAULTS = (
    DefaultView(
        field="billing_plancode",
        label="Plan code",
        help="The plan that the monitors are billed to, spelled as in AlertSite, such as UBM - A/A.",
        value="UBM A/A 1",
        choices=(),
        is_required=True,
        problem="The plan code is spelled without the counts after it: UBM - A/A.",
    ),
    DefaultView(
        field="type",
        label="Type",
        help="The protocol to check. imaps, pop3s and smtps also set the port.",
        value="",
        choices=(
            Choice(value="", label="(none)", is_chosen=True),
            Choice(value="imap", label="imap"),
            Choice(value="smtp", label="smtp"),
        ),
        is_required=True,
    ),
    DefaultView(
        field="interval",
        label="Interval",
        help="Minutes between two checks.",
        value="15",
        choices=(),
        is_required=False,
    ),
    DefaultView(
        field="timeout",
        label="Timeout",
        help="Seconds until a check counts as failed.",
        value="",
        choices=(),
        is_required=False,
    ),
    DefaultView(
        field="locations",
        label="Locations",
        help="Numbers, separated by semicolons, such as 10;20.",
        value="",
        choices=(),
        is_required=False,
    ),
)
TARGETS = (
    Choice(value="account", label="ops@example.com", is_chosen=True),
    Choice(value="sandbox", label="the sandbox: a rehearsal, nothing is created in AlertSite"),
)
SANDBOX = (
    Choice(value="account", label="ops@example.com"),
    Choice(value="sandbox", label="the sandbox: a rehearsal, nothing is created in AlertSite", is_chosen=True),
)
ON_EXISTING = (
    Choice(value="skip", label="leave the monitor as it is", is_chosen=True),
    Choice(value="update", label="change the fields that differ"),
    Choice(value="fail", label="report the row as an error"),
)
FORECAST = ForecastView(
    bars=bars(("will create", 54), ("exists", 3), ("will update", 1), ("invalid", 2)),
    facts=(
        Fact(label="Time", text="about 12 seconds", detail="at 5 requests per second"),
        Fact(label="Plan code", text="UBM - A/A: 54 monitors", detail="billed from the day they are created"),
        Fact(
            label="Who would be alerted",
            text="Recipient group “Mail operations”",
            detail="for 54 monitors with alerts on",
        ),
        Fact(label="Interval", text="every 15 minutes (52), every 5 minutes (2)"),
    ),
    warnings=("2 rows have errors and would not be sent.",),
    creates=54,
    updates=1,
)
RUN_BARS = bars(("created", 54), ("exists", 3), ("invalid", 2), ("unknown", 1))
RUN = RunView(
    href="/runs/20261126-1405-ab12",
    run_id="20261126-1405-ab12",
    name="mail-hosts-2026.xlsx",
    headline="Of 60 rows: 57 done, 2 to fix, 1 to run again.",
    stopped="",
    is_active=False,
    is_tried=False,
    facts=(
        Fact(label="Started", text="today 14:05, by martha"),
        Fact(label="Took", text="14 seconds"),
        Fact(label="Account", text="ops@example.com"),
        Fact(label="Requests", text="61 sent, 1 retried"),
    ),
    downloads=(
        Download(href="/runs/x/results.xlsx", label="Excel workbook"),
        Download(href="/runs/x/results.csv", label="CSV"),
        Download(href="/runs/x/results.html", label="Page"),
    ),
    events_href="",
    can_resume=True,
    resume_label="Try 1 row again",
    can_fix=2,
    can_undo=54,
)
PROGRESS = ProgressView(
    headline="Creating monitors: 23 of 58 rows",
    bars=bars(("created", 20), ("exists", 2), ("rejected", 1), ("in doubt", 1), ("waiting", 34)),
    done=23,
    total=58,
    facts=(
        Fact(label="Pace", text="4.8 rows per second"),
        Fact(label="Time left", text="about 8 seconds"),
        Fact(label="Pause", text="until 14:05:31", detail="AlertSite asked to wait (429 Too Many Requests)"),
        Fact(label="In doubt", text="1 row", detail="looked up in the account until 14:07"),
    ),
    last_errors=("row 31: AlertSite: “Plan code is not valid for this account”", f"row 44: {HOSTILE}"),
    can_stop=True,
    stop_href="/runs/x/stop",
)
RUN_LINES = (
    RunLine(
        href="/runs/1",
        run_id="20261126-1405-ab12",
        name="mail-hosts-2026.xlsx",
        started="today 14:05",
        user="martha",
        how="Running: 12 of 60 rows",
        bars=bars(("created", 12), ("waiting", 48)),
        is_active=True,
    ),
    RunLine(
        href="/runs/2",
        run_id="20261125-0901-99f0",
        name=LONG.strip() + ".xlsx",
        started="yesterday 09:01",
        user="",
        how="Of 9,998 rows: 9,990 done, 8 to fix.",
        bars=bars(("created", 9990), ("invalid", 8)),
        undo_href="/runs/2/undo",
    ),
    RunLine(
        href="/runs/3",
        run_id="20261124-1700-0c0c",
        name=HOSTILE,
        started="24 November 17:00",
        user=RIGHT_TO_LEFT,
        how="All 3 rows are done.",
        bars=bars(("created", 3)),
        is_rehearsal=True,
        undo_href="/runs/3/undo",
    ),
)


def run_table(count: int) -> RowTable:
    """Rows of a finished run."""
    rows = [
        replace(row(number, status="created"), monitor_id=str(900000 + number), edit_href="")
        for number in range(2, count + 2)
    ]
    rows[0] = replace(
        bad_port(2),
        edit_href="",
        next_step="fix the row",
        messages=["port is 99999; a port is a whole number from 1 to 65535"],
    )
    rows[-1] = replace(
        row(count + 1, status="unknown"),
        messages=["the connection broke after sending; the monitor may exist"],
        next_step="run again",
    )
    return replace(table(rows), has_monitors=True, pager=PAGER if count >= 50 else table(rows).pager)


def forecast_table() -> RowTable:
    rows = [replace(row(number, status="will create"), account="new", edit_href="") for number in range(2, 12)]
    rows[3] = replace(
        row(5, status="will update"), account="exists as 8812; would change interval: 15 → 5", edit_href=""
    )
    return replace(table(rows), has_account=True)
