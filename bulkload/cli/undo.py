"""`undo`: delete the monitors that a run created."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.next_step import print_how_to_continue
from bulkload.cli.options import OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import confirm, print_line, print_message
from bulkload.cli.progress import Progress
from bulkload.cli.questions import load_login
from bulkload.cli.run_ids import run_argument
from bulkload.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkload.model import RunInfo
    from bulkload.operations.removal import RemovalResult
    from bulkload.operations.undo import PlannedRemoval, Undone
    from bulkload.settings import Options

MOST_ROWS = 1_000_000  # of one range
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
FIRST_MONITORS = 20  # printed monitors of each result


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
    silent = options.json_ or options.quiet
    if silent and not yes and not dry_run:
        raise UsageError("undo asks before it deletes; with --json or --quiet, add --yes or --dry-run.")
    first_monitors: dict[RemovalResult, list[PlannedRemoval]] = {}
    as_json: list[dict[str, object]] = []

    def on_monitor(planned: PlannedRemoval) -> None:
        if options.json_:
            as_json.append(_planned_json(planned))
        monitors = first_monitors.setdefault(planned.removal.result, [])
        if len(monitors) < FIRST_MONITORS:
            monitors.append(planned)

    def agree(counts: Mapping[RemovalResult, int]) -> bool:
        if not silent:
            _print_plan(first_monitors, counts)
        if dry_run or yes:
            return not dry_run
        if (agreed := confirm(_question(counts))) is None:
            raise UsageError("Nothing was deleted, because the question was not answered; add --yes or --dry-run.")
        return agreed

    with Progress(options) as progress:
        undone = undo_run(
            run_id,
            account,
            options,
            on_monitor,
            agree,
            progress.on_start,
            include_edited=include_edited,
            dry_run=dry_run,
            rows=selected,
            observer=progress,
        )
    _print_result(undone, as_json, options, dry_run=dry_run, rows=rows)
    if undone.outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        print_how_to_continue("undo", undone.outcome.info.run_id, options)
    return undone.outcome.exit_code


def _print_plan(
    first_monitors: Mapping[RemovalResult, list[PlannedRemoval]], counts: Mapping[RemovalResult, int]
) -> None:
    from bulkload.operations.removal import RemovalResult

    actions = {RemovalResult.DELETED: "delete", RemovalResult.GONE: "already gone", RemovalResult.EDITED: "keep"}
    width = max(len(actions[result]) for result in first_monitors)
    for result, action in actions.items():
        for planned in first_monitors.get(result, []):
            monitor = planned.monitor
            cells = (monitor.monitor_id, monitor.type.removeprefix("email-"), planned.name, planned.host)
            reason = f"  ({planned.removal.reason})" if planned.removal.reason else ""
            print_line(f"{action:<{width}}  row {monitor.source_row}: {'  '.join(cells)}{reason}")
        if (more := counts.get(result, 0) - len(first_monitors.get(result, []))) > 0:
            print_line(f"{action:<{width}}  … and {more:,} more")


def _question(counts: Mapping[RemovalResult, int]) -> str:
    from bulkload.operations.removal import RemovalResult

    count = counts.get(RemovalResult.DELETED, 0)
    return f"Delete {count:,} {'monitor' if count == 1 else 'monitors'}? This cannot be undone."


def _print_result(
    undone: Undone, monitors: list[dict[str, object]], options: Options, *, dry_run: bool, rows: str | None
) -> None:
    from bulkload.operations.removal import RemovalResult
    from bulkload.reports.summary import run_json

    outcome, session = undone.outcome, undone.session
    counts = {result.value: undone.counts.get(result, 0) for result in RemovalResult}
    if options.json_:
        run = run_json(outcome.info, results=outcome.results, exit_code=outcome.exit_code)
        run["seconds"] = round(session.seconds, 3)
        run["requests"] = {kind: session.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")}
        run["stopped"] = str(session.stopped) if session.stopped is not None else None
        run["undo"] = {"dry_run": dry_run, **counts, "in_doubt": undone.in_doubt, "monitors": monitors}
        click.echo(json.dumps(run))
    elif not options.quiet:
        if not sum(counts.values()) and not undone.in_doubt:
            print_line(_why_nothing(outcome.info, rows))
        elif undone.done:
            kept = sum(count for result, count in undone.counts.items() if result.kept)
            print_line(f"{counts['deleted']:,} deleted, {counts['gone']:,} already gone, {kept:,} kept.")
            for path in outcome.results:
                print_line(f"Results: {path}")
        elif not dry_run:
            print_line("Nothing was deleted.")
    if undone.in_doubt:
        print_message(
            f"The run may have created monitors for {undone.in_doubt:,} more of its rows that are not listed yet;"
            " run undo again later."
        )
    if session.stopped is not None:
        print_message(str(session.stopped))


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


def _planned_json(planned: PlannedRemoval) -> dict[str, object]:
    monitor, removal = planned.monitor, planned.removal
    return {
        "row": monitor.source_row,
        "monitor_id": monitor.monitor_id,
        "type": monitor.type,
        "name": planned.name,
        "host": planned.host,
        "foreseen": removal.result.value,
        "fields": {
            field: {"asked": requested, "now": now} for field, (requested, now) in (removal.fields or {}).items()
        },
    }
