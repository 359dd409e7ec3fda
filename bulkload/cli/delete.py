"""`delete`: delete the monitors that the rows of a file name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.next_step import NextStep, command_like_this, print_how_to_continue, print_next
from bulkload.cli.options import FILE, INPUT_OPTIONS, OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import print_line
from bulkload.cli.progress import Progress
from bulkload.cli.questions import load_login
from bulkload.cli.removals import Removals, print_stopped
from bulkload.errors import ExitCode

if TYPE_CHECKING:
    from bulkload.operations.delete import Deleted
    from bulkload.operations.removal import RemovalResult
    from bulkload.settings import Options

DELETED_SUFFIX = "-deleted.xlsx"  # of the results


@click.command()
@FILE
@command_option("--yes", "-y", is_flag=True, help="Delete without asking.")
@command_option("--include-edited", is_flag=True, help="Also delete monitors that differ from their rows.")
@command_option("--dry-run", is_flag=True, help="Show what would be deleted, but delete nothing.")
@with_options(
    *INPUT_OPTIONS,
    *("rate", "concurrency", "trust-list", "request-timeout", "output", "results", "sandbox"),
    *OUTPUT_OPTIONS,
)
@click.pass_obj
def delete(config: Path | None, /, file: Path, yes: bool, include_edited: bool, dry_run: bool, **arguments: Any) -> int:
    """Delete the monitors that the rows of FILE name in the column monitor_id.

    FILE is a results file or an export, from which you have removed the rows to keep. Shows the monitors and asks
    before it deletes them. A monitor that differs from its row was edited since, and is kept. Rows without a monitor_id
    are left alone. The results are written to output/<name>-deleted.xlsx. If it is interrupted, run it again.

    The exit code is 0 if none of the monitors is left, and 1 otherwise.

    \b
    Examples:
      bulkload delete old-hosts.xlsx --dry-run
      bulkload delete old-hosts.xlsx
      bulkload delete old-hosts.xlsx --yes --rate 2/s
    """
    from bulkload.files.names import MAX_NAME, shorten
    from bulkload.model import Input
    from bulkload.operations.delete import delete_file
    from bulkload.operations.results_names import check_results
    from bulkload.reports.summary import number_of

    account, options = load_login(config, arguments)
    removals = Removals("delete", account, options, yes=yes, dry_run=dry_run, gone="not found")
    check_results([file], options)
    stem = shorten(file.stem.removesuffix("-deleted"), MAX_NAME - len(DELETED_SUFFIX))
    results = options.results or [options.output / f"{stem}{DELETED_SUFFIX}"]

    def agree(counts: Mapping[RemovalResult, int], without_id: int) -> bool:
        rows = number_of(without_id, "row")
        return removals.agree(counts, [f"{rows} without a monitor_id: left alone"] if without_id else [])

    with Progress(options) as progress:
        deleted = delete_file(
            Input.at(file),
            account,
            options,
            results,
            removals.add,
            agree,
            progress.on_start,
            include_edited=include_edited,
            dry_run=dry_run,
            observer=progress,
        )
    _print_result(deleted, removals, file, options, dry_run=dry_run)
    if deleted.outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        print_how_to_continue("delete", file, options)
    return deleted.outcome.exit_code


def _print_result(deleted: Deleted, removals: Removals, file: Path, options: Options, *, dry_run: bool) -> None:
    outcome, counts = deleted.outcome, deleted.counts
    if options.json_:
        removals.print_json("delete", outcome, counts, deleted.session, {"without_id": deleted.without_id})
    elif not options.quiet:
        if deleted.done:
            removals.print_counts(counts, outcome)
        elif dry_run:
            print_next(NextStep("Next, to delete them", command_like_this("delete", file)), options)
        else:
            print_line("Nothing was deleted.")
    print_stopped(deleted.session)
