"""`plan`: show what `run` would do in this account now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import FILE, INPUT_OPTIONS, OUTPUT_OPTIONS, SENDING_OPTIONS, with_options
from bulkload.cli.output import load_settings, print_line, print_outcome
from bulkload.errors import ExitCode

if TYPE_CHECKING:
    from bulkload.model import ReportRow
    from bulkload.operations.outcome import Outcome
    from bulkload.settings import Options

FIRST_ROWS = 5  # printed rows of each status
FIRST_WARNINGS = 20  # printed warnings
LONGEST_ROW = 60  # printed characters of a row


@click.command()
@FILE
@with_options(*INPUT_OPTIONS, *SENDING_OPTIONS, "strict", "output", "results", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def plan(config: Path | None, /, file: Path, **arguments: Any) -> int:
    """Show what run would do with FILE in this account.

    Sends only a login and GET requests. Accepts all options of run.

    \b
    Examples:
      bulkload plan hosts.xlsx
      bulkload plan hosts.xlsx --on-existing update
    """
    from bulkload.model import ACCOUNT_ISSUE, Input, Status
    from bulkload.operations.preview import plan_file

    account, options = load_settings(config, arguments)
    first_rows: dict[Status, list[ReportRow]] = {}
    warnings: list[dict[str, object]] = []

    def on_row(row: ReportRow) -> None:
        for issue in row.issues:
            if issue.code.startswith(ACCOUNT_ISSUE):
                warnings.append({"row": row.source_row, "code": issue.code, "message": issue.message})
        rows = first_rows.setdefault(row.status, [])
        if len(rows) < FIRST_ROWS:
            rows.append(row)

    outcome = plan_file(Input.at(file), account, options, on_row)
    if not options.json_ and not options.quiet:
        for status in (status for status in Status if status is not Status.NOT_ATTEMPTED):
            for row in first_rows.get(status, []):
                print_line(f"{status.value}  {_row_line(row)}")
            if (more := outcome.info.counts.get(status, 0) - len(first_rows.get(status, []))) > 0:
                print_line(f"{status.value}  … and {more:,} more")
        for warning in warnings[:FIRST_WARNINGS]:
            print_line(f"warning  row {warning['row']}: {warning['message']}")
        if (more := len(warnings) - FIRST_WARNINGS) > 0:
            print_line(f"warning  … and {more:,} more")
    requests = _requests(outcome, options)
    seconds = None if requests is None else requests / options.rate if options.rate else 0.0
    expected = None if seconds is None else round(seconds, 1)
    print_outcome(outcome, options, {"expected_seconds": expected, "warnings": warnings}, resumable=False)
    if not options.json_ and not options.quiet:
        print_line(_expectation(requests, seconds, options))
    return outcome.exit_code


def _requests(outcome: Outcome, options: Options) -> int | None:
    """The number of requests that run would send; None if the plan stopped too early to know it."""
    from bulkload.model import Status

    run_would_stop = outcome.exit_code in (ExitCode.ROWS_LEFT, ExitCode.TOO_MANY_ERRORS)
    if outcome.info.stopped and not run_would_stop:
        return None
    rows = sum(outcome.info.counts.get(status, 0) for status in (Status.WILL_CREATE, Status.WILL_UPDATE))
    return min(rows, options.first or rows)


def _expectation(requests: int | None, seconds: float | None, options: Options) -> str:
    from bulkload.reports.summary import duration

    if requests is None or seconds is None:
        return "The plan stopped too early to know what a run would send."
    if not requests:
        return "A run would send nothing."
    noun = "request" if requests == 1 else "requests"
    limit = f" (--first {options.first})" if requests == options.first else ""
    rate = f" at {options.rate:g} {'request' if options.rate == 1 else 'requests'} per second" if options.rate else ""
    return f"A run would send {requests:,} {noun}{limit} and take about {duration(seconds)}{rate}."


def _row_line(row: ReportRow) -> str:
    cells = "  ".join(cell for cell in row.cells if cell)
    text = cells if len(cells) <= LONGEST_ROW else cells[: LONGEST_ROW - 1] + "…"
    monitor = f"  [{row.monitor_id}]" if row.monitor_id else ""
    return f"row {row.source_row}: {text}{monitor}" + (f"  ({row.error})" if row.error else "")
