"""`undo`: delete the monitors that a run created."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.next_step import NextStep, command_like_this, print_how_to_continue, print_next
from bulkload.cli.options import OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import print_line, print_message
from bulkload.cli.progress import Progress
from bulkload.cli.questions import load_login
from bulkload.cli.removals import Removals, print_stopped
from bulkload.cli.run_ids import run_argument
from bulkload.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkload.model import RunInfo
    from bulkload.operations.undo import Undone
    from bulkload.settings import Options

MOST_ROWS = 1_000_000  # of one range
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


@click.command()
@run_argument()
@command_option("--yes", "-y", is_flag=True, help="Delete without asking.")
@command_option("--include-edited", is_flag=True, help="Also delete monitors that were edited after the run.")
@command_option("--dry-run", is_flag=True, help="Show what would be deleted, but delete nothing.")
@command_option("--rows", metavar="LIST", help="Delete only the monitors of these rows of the file, such as 5,7-9.")
@with_options("rate", "concurrency", "trust-list", "request-timeout", "output", "results", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def undo(
    config: Path | None,
    /,
    run_id: str,
    yes: bool,
    include_edited: bool,
    dry_run: bool,
    rows: str | None,
    **arguments: Any,
) -> int:
    """Delete the monitors that RUN created.

    Shows the monitors and asks before it deletes them. Monitors that existed before the run or were edited after it are
    kept. The exit code is 0 if no monitor of the run is left, and 1 otherwise. With --rows, only the monitors of these
    rows count; the results have their numbers in the column source_row.

    RUN is the ID of a run, the beginning of one, or last.

    \b
    Examples:
      bulkload undo 20260314T021500-1f3a
      bulkload undo 20260314T021500-1f3a --dry-run
      bulkload undo last --rows 5,7-9
      bulkload undo 20260314T021500-1f3a --yes --rate 2/s
    """
    from bulkload.operations.undo import undo_run

    account, options = load_login(config, arguments)
    selected = _row_numbers(rows) if rows is not None else None
    removals = Removals("undo", account, options, yes=yes, dry_run=dry_run, gone="already gone")
    with Progress(options) as progress:
        undone = undo_run(
            run_id,
            account,
            options,
            removals.add,
            removals.agree,
            progress.on_start,
            include_edited=include_edited,
            dry_run=dry_run,
            rows=selected,
            observer=progress,
        )
    _print_result(undone, removals, options, dry_run=dry_run, rows=rows)
    if undone.outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        print_how_to_continue("undo", undone.outcome.info.run_id, options)
    return undone.outcome.exit_code


def _print_result(undone: Undone, removals: Removals, options: Options, *, dry_run: bool, rows: str | None) -> None:
    outcome, counts = undone.outcome, undone.counts
    if options.json_:
        removals.print_json("undo", outcome, counts, undone.session, {"in_doubt": undone.in_doubt})
    elif not options.quiet:
        if not sum(counts.values()) and not undone.in_doubt:
            print_line(_why_nothing(outcome.info, rows))
        elif undone.done:
            removals.print_counts(counts, outcome)
        elif dry_run:
            print_next(NextStep("Next, to delete them", command_like_this("undo", outcome.info.run_id)), options)
        else:
            print_line("Nothing was deleted.")
    if undone.in_doubt:
        print_message(
            f"The run may have created monitors for {undone.in_doubt:,} more of its rows that are not listed yet;"
            " run undo again later."
        )
    print_stopped(undone.session)


def _why_nothing(info: RunInfo, rows: str | None) -> str:
    from bulkload.model import Status

    if rows is not None:
        return f"No monitors of run {info.run_id} are left in rows {rows}; nothing to delete."
    if not info.counts.get(Status.REMOVED) and not info.counts.get(Status.CREATED):
        return f"Run {info.run_id} created nothing; nothing to delete."
    return f"Run {info.run_id} has no monitors left."


def _row_numbers(text: str) -> frozenset[int]:
    """The rows that `5,7-9` names. Raises `UsageError`."""
    numbers: set[int] = set()
    for part in text.replace(" ", "").split(","):
        if (parsed := _RANGE.fullmatch(part)) is None:
            raise UsageError(f"--rows {text}: {part or 'an empty part'} is not a row; use numbers such as 5,7-9.")
        first, last = int(parsed[1]), int(parsed[2] or parsed[1])
        if last < first or last - first > MOST_ROWS:
            raise UsageError(f"--rows {text}: {part} is not a range of at most {MOST_ROWS:,} rows.")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)
