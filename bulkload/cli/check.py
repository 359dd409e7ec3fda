"""`check`: report every invalid cell of a file, offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.next_step import next_of_check, print_next
from bulkload.cli.options import INPUT_OPTIONS, OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import JsonArray, load_settings, print_line, print_note, print_outcome, print_read_as
from bulkload.cli.problems import print_problems
from bulkload.cli.several_files import FILES, for_each_file

if TYPE_CHECKING:
    from bulkload.model import ReportRow

OFFLINE = (
    "Not known offline: which monitors exist already, and whether the account has the plan codes, locations and"
    " recipient groups."
)


@click.command()
@FILES
@with_options(*INPUT_OPTIONS)
@command_option("--all", "all_", is_flag=True, help="Print each invalid cell, as without a terminal.")
@with_options("strict", "output", "results", *OUTPUT_OPTIONS)
@click.pass_obj
def check(config: Path | None, /, files: tuple[Path, ...], all_: bool, **arguments: Any) -> int:
    """Check every row of FILE and report each invalid cell, offline.

    On a terminal, each kind of problem is shown once, with its rows. Needs no account and sends nothing. --strict
    is accepted, as for run, but has no effect; --output only says in which folder it is known that results were edited.

    \b
    Examples:
      bulkload check hosts.xlsx
      bulkload check hosts.xlsx --results marked.xlsx
    """
    from bulkload.model import Input, Status
    from bulkload.operations.preview import check_file
    from bulkload.operations.results_names import check_results
    from bulkload.reports.problems import Problems
    from bulkload.settings import has_credentials

    account, options = load_settings(config, arguments)
    check_results(files, options)
    is_each = all_ or not sys.stdout.isatty()

    def check_one(file: Path) -> int:
        problems = Problems()

        def on_row(row: ReportRow) -> None:
            if options.json_:
                for issue in _issues_json(row):
                    issues.append(issue)
                return
            if is_each:
                for line in _issue_lines(row, warnings=not options.quiet):
                    print_line(f"{file.name}: {line}")
            problems.add(row)

        with JsonArray() as issues:
            outcome = check_file(Input.at(file), options, on_row)
            print_read_as(outcome.info, options)
            if not is_each and not options.json_:
                print_problems(problems, warnings=not options.quiet, more="; --all shows each")
            print_outcome(outcome, options, {"issues": issues}, is_stored=False, words={Status.WILL_CREATE: "ok"})
        if not options.json_ and not options.quiet and outcome.info.rows:
            print_note(OFFLINE, wrap=True)
        print_next(next_of_check(outcome, file, has_account=has_credentials(account)), options)
        return outcome.exit_code

    return for_each_file(files, check_one)


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
