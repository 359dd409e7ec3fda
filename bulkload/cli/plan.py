"""`plan`: say what `run` would do in this account now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import ACTING, COLUMNS, FILE, SHOWING, with_options
from bulkload.cli.output import print_outcome, settings
from bulkload.errors import ExitCode

if TYPE_CHECKING:
    from bulkload.model import ReportRow
    from bulkload.operations.outcome import Outcome
    from bulkload.settings import Options

FIRST_SHOWN = 5  # rows of each status
FIRST_WARNINGS = 20
LONGEST_SHOWN = 60  # characters of a row


@click.command()
@FILE
@with_options(*COLUMNS, *ACTING, "strict", "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def plan(config: Path | None, /, file: Path, **given: Any) -> int:
    """Show what run would do in this account.

    Sends only a login and GETs. Accepts every option of run.

    \b
    Examples:
      bulkload plan hosts.xlsx
      bulkload plan hosts.xlsx --on-existing update
    """
    from bulkload.model import ACCOUNT_ISSUE, Input, Status
    from bulkload.operations.preview import plan_file

    account, options = settings(config, given)
    shown: dict[Status, list[ReportRow]] = {}
    warnings: list[dict[str, object]] = []

    def on_row(row: ReportRow) -> None:
        for issue in row.issues:
            if issue.code.startswith(ACCOUNT_ISSUE):
                warnings.append({"row": row.source_row, "code": issue.code, "message": issue.message})
        first = shown.setdefault(row.status, [])
        if len(first) < FIRST_SHOWN:
            first.append(row)

    outcome = plan_file(Input.at(file), account, options, on_row)
    if not options.json_ and not options.quiet:
        for status in (status for status in Status if status is not Status.NOT_ATTEMPTED):
            for row in shown.get(status, []):
                click.echo(f"{status.value}  {_row_line(row)}")
            if (more := outcome.info.counts.get(status, 0) - len(shown.get(status, []))) > 0:
                click.echo(f"{status.value}  … and {more:,} more")
        for warning in warnings[:FIRST_WARNINGS]:
            click.echo(f"warning  row {warning['row']}: {warning['message']}")
        if (more := len(warnings) - FIRST_WARNINGS) > 0:
            click.echo(f"warning  … and {more:,} more")
    requests = _requests(outcome, options)
    seconds = None if requests is None else requests / options.rate if options.rate else 0.0
    expected = None if seconds is None else round(seconds, 1)
    print_outcome(outcome, options, {"expected_seconds": expected, "warnings": warnings}, resumable=False)
    if not options.json_ and not options.quiet:
        click.echo(_outlook(requests, seconds, options))
    return outcome.exit_code


def _requests(outcome: Outcome, options: Options) -> int | None:
    """How many requests run would send; None if the plan was stopped before it knew."""
    from bulkload.model import Status

    refrains = outcome.exit_code in (ExitCode.ROWS_LEFT, ExitCode.TOO_MANY_ERRORS)
    if outcome.info.stopped and not refrains:
        return None
    rows = sum(outcome.info.counts.get(status, 0) for status in (Status.WILL_CREATE, Status.WILL_UPDATE))
    return min(rows, options.first or rows)


def _outlook(requests: int | None, seconds: float | None, options: Options) -> str:
    from bulkload.reports.summary import duration

    if requests is None or seconds is None:
        return "What run would send is unknown."
    if not requests:
        return "Run will send nothing."
    noun = "request" if requests == 1 else "requests"
    part = f" (--first {options.first})" if requests == options.first else ""
    pace = f" at {options.rate:g} {'request' if options.rate == 1 else 'requests'} a second" if options.rate else ""
    return f"Run will send {requests:,} {noun}{part}; expect {duration(seconds)}{pace}."


def _row_line(row: ReportRow) -> str:
    cells = "  ".join(cell for cell in row.cells if cell)
    shown = cells if len(cells) <= LONGEST_SHOWN else cells[: LONGEST_SHOWN - 1] + "…"
    monitor = f"  [{row.monitor_id}]" if row.monitor_id else ""
    return f"row {row.source_row}: {shown}{monitor}" + (f"  ({row.error})" if row.error else "")
