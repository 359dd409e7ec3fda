"""`plan`: show what `run` would do in this account now."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.next_step import next_of_plan, print_next
from bulkload.cli.options import FILE, INPUT_OPTIONS, OUTPUT_OPTIONS, SENDING_OPTIONS, with_options
from bulkload.cli.output import print_line, print_outcome, print_read_as
from bulkload.cli.problems import print_problems
from bulkload.cli.questions import load_login

if TYPE_CHECKING:
    from bulkload.model import ReportRow

FIRST_ROWS = 5  # printed rows of each status
LONGEST_ROW = 60  # printed characters of a row's cells; fewer on a narrow terminal
OTHER_COLUMNS = 36  # of a line: its status, row number and monitor ID


@click.command()
@FILE
@with_options(*INPUT_OPTIONS, *SENDING_OPTIONS, "strict", "output", "results", "keep", "sandbox", *OUTPUT_OPTIONS)
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
    from bulkload.operations.forecast_texts import alerts_json, expectation, recipients_fact
    from bulkload.operations.preview import plan_file
    from bulkload.reports.problems import Problems

    account, options = load_login(config, arguments)
    first_rows: dict[Status, list[ReportRow]] = {}
    warnings: list[dict[str, object]] = []
    problems = Problems()

    def on_row(row: ReportRow) -> None:
        problems.add(row)
        for issue in row.issues:
            if issue.code.startswith(ACCOUNT_ISSUE):
                warnings.append({"row": row.source_row, "code": issue.code, "message": issue.message})
        rows = first_rows.setdefault(row.status, [])
        if len(rows) < FIRST_ROWS:
            rows.append(row)

    outcome = plan_file(Input.at(file), account, options, on_row)
    print_read_as(outcome.info, options)
    if not options.json_ and not options.quiet:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else LONGEST_ROW + OTHER_COLUMNS
        longest = max(min(LONGEST_ROW, columns - OTHER_COLUMNS), 1)
        for status in (status for status in Status if status is not Status.NOT_ATTEMPTED and not status.next_step):
            for row in first_rows.get(status, []):
                print_line(f"{status.value}  {_row_line(row, longest)}")
            if (more := outcome.info.counts.get(status, 0) - len(first_rows.get(status, []))) > 0:
                print_line(f"{status.value}  … and {more:,} more")
        print_problems(problems, more="; --results FILE writes each to a file")
    forecast = outcome.forecast
    assert forecast is not None
    seconds = None if forecast.seconds is None else round(forecast.seconds, 1)
    added: dict[str, object] = {"expected_seconds": seconds, "warnings": warnings, "alerts": alerts_json(forecast)}
    print_outcome(outcome, options, added, is_stored=False)
    if not options.json_ and not options.quiet:
        print_line(expectation(forecast), wrap=True)
        if (recipients := recipients_fact(forecast)) is not None:
            print_line(f"Alerts: {recipients.text}. {recipients.detail}", wrap=True)
    print_next(next_of_plan(outcome, file), options)
    return outcome.exit_code


def _row_line(row: ReportRow, longest: int) -> str:
    cells = "  ".join(cell for cell in row.cells if cell)
    text = cells if len(cells) <= longest else cells[: longest - 1] + "…"
    monitor = f"  [{row.monitor_id}]" if row.monitor_id else ""
    return f"row {row.source_row}: {text}{monitor}" + (f"  ({row.error})" if row.error else "")
