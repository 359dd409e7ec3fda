"""`undo`: take back what a run created."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import SHOWING, own_option, with_options
from bulkload.cli.output import ask, complain, progress, settings
from bulkload.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkload.operations.removal import RemovalResult
    from bulkload.operations.undo import PlannedRemoval, Undone

FIRST_SHOWN = 20  # monitors of each kind that are shown


@click.command()
@click.argument("run_id", metavar="RUN")
@own_option("--yes", "-y", is_flag=True, help="Delete without asking.")
@own_option("--include-edited", is_flag=True, help="Also delete monitors that were edited since.")
@own_option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@with_options("rate", "concurrency", "trust-list", "request-timeout", "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def undo(config: Path | None, /, run_id: str, yes: bool, include_edited: bool, dry_run: bool, **given: Any) -> int:
    """Delete the monitors that RUN created.

    Monitors that existed before the run, or were edited since, are kept. What would be deleted is shown first. The
    exit code is 0 if no monitor of the run is left, and 1 if one is.

    \b
    Examples:
      bulkload undo 20260314T021500-1f3a
      bulkload undo 20260314T021500-1f3a --dry-run
      bulkload undo 20260314T021500-1f3a --yes --rate 2/s
    """
    from bulkload.operations.undo import undo_run

    account, options = settings(config, given)
    silent = options.json_ or options.quiet
    if silent and not yes and not dry_run:
        raise UsageError("undo asks before it deletes; with --json or --quiet, add --yes or --dry-run.")
    shown: dict[RemovalResult, list[PlannedRemoval]] = {}
    everything: list[dict[str, object]] = []

    def on_monitor(planned: PlannedRemoval) -> None:
        if options.json_:
            everything.append(_as_json(planned))
        first = shown.setdefault(planned.removal.result, [])
        if len(first) < FIRST_SHOWN:
            first.append(planned)

    def agree(counts: Mapping[RemovalResult, int]) -> bool:
        if not silent:
            _show(shown, counts)
        if dry_run or yes:
            return not dry_run
        if (agreed := ask(_question(counts))) is None:
            raise UsageError("Nothing was deleted, because there was no answer; add --yes or --dry-run.")
        return agreed

    with progress(options) as on_start:
        undone = undo_run(
            run_id, account, options, on_monitor, agree, on_start, include_edited=include_edited, dry_run=dry_run
        )
    _print(undone, everything, dry_run=dry_run, as_json=options.json_, quiet=options.quiet)
    if undone.outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        sandbox = " --sandbox" if options.sandbox else ""
        output = shlex.quote(str(options.output))
        complain(
            f"To continue, run: bulkload undo {undone.outcome.info.run_id} --output {output}{sandbox}", logging.INFO
        )
    return undone.outcome.exit_code


def _show(shown: Mapping[RemovalResult, list[PlannedRemoval]], counts: Mapping[RemovalResult, int]) -> None:
    from bulkload.operations.removal import RemovalResult

    words = {RemovalResult.DELETED: "delete", RemovalResult.GONE: "gone already", RemovalResult.EDITED: "keep"}
    width = max(len(words[result]) for result in shown)
    for result, word in words.items():
        for planned in shown.get(result, []):
            monitor = planned.monitor
            cells = (monitor.monitor_id, monitor.type.removeprefix("email-"), planned.name, planned.host)
            reason = f"  ({planned.removal.reason})" if planned.removal.reason else ""
            click.echo(f"{word:<{width}}  row {monitor.source_row}: {'  '.join(cells)}{reason}")
        if (more := counts.get(result, 0) - len(shown.get(result, []))) > 0:
            click.echo(f"{word:<{width}}  … and {more:,} more")


def _question(counts: Mapping[RemovalResult, int]) -> str:
    from bulkload.operations.removal import RemovalResult

    number = counts.get(RemovalResult.DELETED, 0)
    return f"Delete {number:,} {'monitor' if number == 1 else 'monitors'}? This cannot be undone."


def _print(undone: Undone, everything: list[dict[str, object]], *, dry_run: bool, as_json: bool, quiet: bool) -> None:
    from bulkload.operations.removal import RemovalResult
    from bulkload.reports.summary import run_json

    outcome, session = undone.outcome, undone.session
    counts = {result.value: undone.counts.get(result, 0) for result in RemovalResult}
    if as_json:
        found = run_json(outcome.info, results=outcome.results, exit_code=outcome.exit_code)
        found["seconds"] = round(session.seconds, 3)
        found["requests"] = {kind: session.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")}
        found["stopped"] = str(session.stopped) if session.stopped is not None else None
        found["undo"] = {"dry_run": dry_run, **counts, "in_doubt": undone.in_doubt, "monitors": everything}
        click.echo(json.dumps(found))
    elif not quiet:
        if not sum(counts.values()) and not undone.in_doubt:
            click.echo(f"Run {outcome.info.run_id} has no monitors left.")
        elif undone.done:
            kept = counts["edited"] + counts["refused"]
            click.echo(f"Deleted {counts['deleted']:,}; gone already {counts['gone']:,}; kept {kept:,}.")
            for path in outcome.results:
                click.echo(f"Results: {path}")
        elif not dry_run:
            click.echo("Nothing was deleted.")
    if undone.in_doubt:
        complain(
            f"{undone.in_doubt:,} of the run's rows may still turn out to have created a monitor; run undo again later."
        )
    if session.stopped is not None:
        complain(str(session.stopped))


def _as_json(planned: PlannedRemoval) -> dict[str, object]:
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
