"""A small cast of rows and runs for the tests of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import strategies as st

from bulkload.model import Issue, ReportRow, RunInfo, Status

HEADER = ("type", "name", "hostname", "port")
FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("http://example.org","x")',
    "'=1+1",
)
# Text that looks like something else to a spreadsheet program or to XML
TRICKY = (
    *FORMULAS,
    "0993",
    "1e5",
    "12345678901234567890",
    "TRUE",
    "2026-11-22",
    "http://example.org/",
    "mailto:ops@example.org",
    "<r>not markup</r>",
    "<r><t>a & b</t></r>",
    "a\x00b\x1f",
    "_x0041_",
    "two\nlines",
    "two\r\nlines",
    "  blanks around  ",
    '"quoted", and; more',
    "בדיקה",
    "日本語メール",
    "e\u0301 \U0001f4ec",
)
# Everything a cell can hold and an XML file can carry somehow
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=40)


def row(
    *cells: str,
    source_row: int = 2,
    status: Status = Status.CREATED,
    monitor_id: str = "",
    error: str = "",
    error_columns: tuple[str, ...] = (),
    attempts: int = 1,
    issues: tuple[Issue, ...] = (),
) -> ReportRow:
    """Make a row, by default a created IMAP monitor."""
    return ReportRow(
        source_row=source_row,
        cells=cells or ("imap", "Mailbox", "imap.example.org", "993"),
        status=status,
        monitor_id=monitor_id,
        error=error,
        error_columns=error_columns,
        attempts=attempts,
        issues=issues,
    )


def one_of_each() -> list[ReportRow]:
    """Make one row per status."""
    return [
        row(
            "imap",
            f"Mailbox {n}",
            f"imap{n}.example.org",
            "993",
            source_row=n,
            status=status,
            monitor_id=str(10**15 + n) if status.done else "",
            error="" if status.done else f"Reason {n}.",
        )
        for n, status in enumerate(Status, start=2)
    ]


def run_of(
    rows: Sequence[ReportRow], *, header: tuple[str, ...] = HEADER, stopped: str = "", run_id: str = "r1"
) -> RunInfo:
    """Describe a run that had these rows."""
    return RunInfo(
        run_id=run_id,
        input="hosts.csv",
        header=header,
        account="ops@example.org",
        base_url="https://api.example.org/v3",
        started="2026-11-22T11:00:30+00:00",
        finished="2026-11-22T12:00:42+01:00",
        seconds=12.34,
        counts=Counter(each.status for each in rows),
        details={"encoding": "UTF-8"},
        settings={"on_existing": "skip"},
        requests={"sent": 1047, "throttled": 2},
        stopped=stopped,
    )
