"""`check`: name every bad cell of a file, offline."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import COLUMNS, FILE, SHOWING, with_options
from bulkload.cli.output import print_outcome, settings

if TYPE_CHECKING:
    from bulkload.model import ReportRow


@click.command()
@FILE
@with_options(*COLUMNS, "strict", "output", "results", *SHOWING)
@click.pass_obj
def check(config: Path | None, /, file: Path, **given: Any) -> int:
    """Name every bad cell of FILE, offline.

    --strict and --output are accepted as for run, and have no effect.

    \b
    Examples:
      bulkload check hosts.xlsx
      bulkload check hosts.xlsx --results marked.xlsx
    """
    from bulkload.model import Input
    from bulkload.operations.preview import check_file

    _, options = settings(config, given)
    issues: list[dict[str, object]] = []

    def on_row(row: ReportRow) -> None:
        if options.json_:
            issues.extend(_issues_json(row))
            return
        for line in _issue_lines(row, warnings=not options.quiet):
            click.echo(f"{file.name}: {line}")

    outcome = check_file(Input.at(file), options, on_row)
    print_outcome(outcome, options, {"issues": issues})
    return outcome.exit_code


def _issue_lines(row: ReportRow, *, warnings: bool) -> list[str]:
    where = f"row {row.source_row}"
    lines = []
    for issue in row.issues:
        if issue.severity == "warning" and not warnings:
            continue
        kind = "warning: " if issue.severity == "warning" else ""
        column = f', column "{issue.column}"' if issue.column else ""
        lines.append(f"{where}{column}: {kind}{issue.message}")
    if row.error and not any(issue.severity == "error" for issue in row.issues):
        lines.append(f"{where}: {row.error}")
    return lines


def _issues_json(row: ReportRow) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [{"row": row.source_row} | asdict(issue) for issue in row.issues]
    if row.error and not any(issue.severity == "error" for issue in row.issues):
        found.append({"row": row.source_row, "code": row.status.value, "message": row.error, "severity": "error"})
    return found
