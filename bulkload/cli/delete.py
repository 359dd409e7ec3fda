"""`delete`: delete the monitors that the rows of a file name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.next_step import print_how_to_continue
from bulkload.cli.options import FILE, INPUT_OPTIONS, OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import confirm, print_line, print_message
from bulkload.cli.progress import Progress
from bulkload.cli.questions import load_login
from bulkload.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkload.operations.delete import Deleted, PlannedDelete
    from bulkload.operations.removal import RemovalResult
    from bulkload.settings import Account, Options

FIRST_MONITORS = 20  # printed monitors of each result


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
    from bulkload.model import Input
    from bulkload.operations.delete import delete_file
    from bulkload.operations.results_names import check_results

    account, options = load_login(config, arguments)
    silent = options.json_ or options.quiet
    if silent and not yes and not dry_run:
        raise UsageError("delete asks before it deletes; with --json or --quiet, add --yes or --dry-run.")
    check_results([file], options)
    results = options.results or [options.output / f"{file.stem.removesuffix('-deleted')}-deleted.xlsx"]
    first_monitors: dict[RemovalResult, list[PlannedDelete]] = {}
    as_json: list[dict[str, object]] = []

    def on_monitor(planned: PlannedDelete) -> None:
        if options.json_:
            as_json.append(_planned_json(planned))
        monitors = first_monitors.setdefault(planned.removal.result, [])
        if len(monitors) < FIRST_MONITORS:
            monitors.append(planned)

    def agree(counts: Mapping[RemovalResult, int], without_id: int) -> bool:
        from bulkload.operations.removal import RemovalResult

        if not silent:
            _print_plan(first_monitors, counts, without_id)
        if dry_run or yes or not counts.get(RemovalResult.DELETED):
            return not dry_run
        if (agreed := confirm(_question(counts[RemovalResult.DELETED], account, options))) is None:
            raise UsageError("Nothing was deleted, because the question was not answered; add --yes or --dry-run.")
        return agreed

    with Progress(options) as progress:
        deleted = delete_file(
            Input.at(file),
            account,
            options,
            results,
            on_monitor,
            agree,
            progress.on_start,
            include_edited=include_edited,
            dry_run=dry_run,
            observer=progress,
        )
    _print_result(deleted, as_json, options, dry_run=dry_run)
    if deleted.outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        print_how_to_continue("delete", file, options)
    return deleted.outcome.exit_code


def _print_plan(
    first_monitors: Mapping[RemovalResult, list[PlannedDelete]], counts: Mapping[RemovalResult, int], without_id: int
) -> None:
    from bulkload.operations.removal import RemovalResult

    actions = {RemovalResult.DELETED: "delete", RemovalResult.GONE: "not found", RemovalResult.EDITED: "keep"}
    width = max(len(actions[result]) for result in first_monitors)
    for result, action in actions.items():
        for planned in first_monitors.get(result, []):
            cells = (planned.row.monitor_id, planned.type.removeprefix("email-"), planned.name, planned.host)
            reason = f"  ({planned.removal.reason})" if planned.removal.reason else ""
            shown = "  ".join(cell for cell in cells if cell)
            print_line(f"{action:<{width}}  row {planned.row.source_row}: {shown}{reason}")
        if (more := counts.get(result, 0) - len(first_monitors.get(result, []))) > 0:
            print_line(f"{action:<{width}}  … and {more:,} more")
    if without_id:
        print_line(f"{without_id:,} {'row' if without_id == 1 else 'rows'} without a monitor_id: left alone")


def _question(count: int, account: Account, options: Options) -> str:
    where = "the sandbox" if options.sandbox else f"{account.username or 'the account'} at {account.base_url}"
    return f"Delete {count:,} {'monitor' if count == 1 else 'monitors'} of {where}? This cannot be undone."


def _print_result(deleted: Deleted, monitors: list[dict[str, object]], options: Options, *, dry_run: bool) -> None:
    from bulkload.operations.removal import RemovalResult
    from bulkload.reports.summary import run_json

    outcome, session = deleted.outcome, deleted.session
    counts = {result.value: deleted.counts.get(result, 0) for result in RemovalResult}
    if options.json_:
        run = run_json(outcome.info, results=outcome.results, exit_code=outcome.exit_code)
        run["run_id"] = None  # the rows are in the results, not in the store
        run["seconds"] = round(session.seconds, 3)
        run["requests"] = {kind: session.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")}
        run["stopped"] = str(session.stopped) if session.stopped is not None else None
        run["delete"] = {"dry_run": dry_run, **counts, "without_id": deleted.without_id, "monitors": monitors}
        click.echo(json.dumps(run))
    elif not options.quiet:
        if deleted.done:
            kept = sum(count for result, count in deleted.counts.items() if result.kept)
            print_line(f"{counts['deleted']:,} deleted, {counts['gone']:,} not found, {kept:,} kept.")
            for path in outcome.results:
                print_line(f"Results: {path}")
        elif not dry_run:
            print_line("Nothing was deleted.")
    if session.stopped is not None:
        print_message(str(session.stopped))


def _planned_json(planned: PlannedDelete) -> dict[str, object]:
    removal = planned.removal
    return {
        "row": planned.row.source_row,
        "monitor_id": planned.row.monitor_id,
        "type": planned.type,
        "name": planned.name,
        "host": planned.host,
        "foreseen": removal.result.value,
        "reason": removal.reason or None,
        "fields": {field: {"asked": asked, "now": now} for field, (asked, now) in (removal.fields or {}).items()},
    }
