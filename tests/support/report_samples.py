"""Sample rows and runs for the tests of results files."""

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
# Text that a spreadsheet program or XML could misinterpret
TRICKY_TEXTS = (
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
    "  spaces around  ",
    '"quoted", and; more',
    "בדיקה",
    "日本語メール",
    "e\u0301 \U0001f4ec",
)
# All text that a cell and an XML file can contain
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
    """A row of results, by default of a created IMAP monitor."""
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


def one_row_per_status() -> list[ReportRow]:
    """One row for each status."""
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


def run_info(
    rows: Sequence[ReportRow], *, header: tuple[str, ...] = HEADER, stopped: str = "", run_id: str = "r1"
) -> RunInfo:
    """The run that these rows belong to."""
    return RunInfo(
        run_id=run_id,
        input="hosts.csv",
        header=header,
        account="ops@example.org",
        base_url="https://api.example.org/v3",
        started="2026-11-22T11:00:30+00:00",
        finished="2026-11-22T12:00:42+01:00",
        seconds=12.34,
        counts=Counter(row.status for row in rows),
        details={"encoding": "UTF-8"},
        settings={"on_existing": "skip"},
        requests={"sent": 1047, "throttled": 2},
        stopped=stopped,
    )
