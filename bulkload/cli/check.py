"""`check`: report every invalid cell of a file, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import FILE, INPUT_OPTIONS, OUTPUT_OPTIONS, with_options
from bulkload.cli.output import JsonArray, load_settings, print_line, print_outcome

if TYPE_CHECKING:
    from bulkload.model import ReportRow


@click.command()
@FILE
@with_options(*INPUT_OPTIONS, "strict", "output", "results", *OUTPUT_OPTIONS)
@click.pass_obj
def check(config: Path | None, /, file: Path, **arguments: Any) -> int:
    """Check every row of FILE and report each invalid cell, offline.

    Needs no account and sends nothing. --strict and --output are accepted, as for run, but have no effect.

    \b
    Examples:
      bulkload check hosts.xlsx
      bulkload check hosts.xlsx --results marked.xlsx
    """
    from bulkload.model import Input
    from bulkload.operations.preview import check_file

    _, options = load_settings(config, arguments)

    def on_row(row: ReportRow) -> None:
        if options.json_:
            for issue in _issues_json(row):
                issues.append(issue)
            return
        for line in _issue_lines(row, warnings=not options.quiet):
            print_line(f"{file.name}: {line}")

    with JsonArray() as issues:
        outcome = check_file(Input.at(file), options, on_row)
        print_outcome(outcome, options, {"issues": issues})
    return outcome.exit_code


def _issue_lines(row: ReportRow, *, warnings: bool) -> list[str]:
    location = f"row {row.source_row}"
    lines = []
    for issue in row.issues:
        if issue.severity == "warning" and not warnings:
            continue
        prefix = "warning: " if issue.severity == "warning" else ""
        column = f', column "{issue.column}"' if issue.column else ""
        lines.append(f"{location}{column}: {prefix}{issue.message}")
    if row.error and not any(issue.severity == "error" for issue in row.issues):
        lines.append(f"{location}: {row.error}")
    return lines


def _issues_json(row: ReportRow) -> list[dict[str, object]]:
    issues: list[dict[str, object]] = [{"row": row.source_row, **issue.record()} for issue in row.issues]
    if row.error and not any(issue.severity == "error" for issue in row.issues):
        issues.append({"row": row.source_row, "code": row.status.value, "message": row.error, "severity": "error"})
    return issues
