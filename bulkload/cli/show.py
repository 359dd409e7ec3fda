"""`show`: everything about one run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import load_settings, print_line, print_object
from bulkload.cli.run_ids import run_argument
from bulkload.errors import ExitCode

if TYPE_CHECKING:
    from bulkload.operations.history import RunView
    from bulkload.settings import Options

FIRST_ROWS = 20  # bad rows that are shown


@click.command()
@run_argument()
@command_option("--all", "all_", is_flag=True, help=f"Show all rows with errors, not only the first {FIRST_ROWS}.")
@with_options("output", *OUTPUT_OPTIONS)
@click.pass_obj
def show(config: Path | None, /, run_id: str, all_: bool, **arguments: Any) -> int:
    """Show one run: what it did, its rows with errors, where its results are, and what to do next.

    RUN is the ID of a run, the beginning of one, or last.

    \b
    Examples:
      bulkload show last
      bulkload show 20260314T021500-1f3a --all
    """
    from bulkload.operations.history import view_run

    _, options = load_settings(config, arguments)
    view = view_run(run_id, options, limit=None if all_ else FIRST_ROWS)
    if options.json_:
        print_object(_view_json(view, options))
    elif not options.quiet:
        _print_view(view, options)
    return ExitCode.DONE


def _print_view(view: RunView, options: Options) -> None:
    from bulkload.cli.runs import local_time, outcome_text
    from bulkload.cli.tables import print_table
    from bulkload.reports.settings_words import settings_in_words
    from bulkload.reports.summary import duration, number_of

    has_end = any(call.ended is not None for call in view.record.calls)
    info = view.record.info
    began = " ".join(local_time(datetime.fromisoformat(info.started).timestamp()))
    account = f"{info.account or '(token)'} at {info.base_url}" if info.base_url != info.account else "the sandbox"
    facts = [
        ("Run", info.run_id),
        ("Input", info.input),
        ("Account", account if info.base_url else "none"),
        ("Began", began),
        ("Time", f"{duration(info.seconds)}, {number_of(info.requests.get('sent', 0), 'request')}" if has_end else ""),
        ("Rows", ", ".join(f"{n:,} {status.value}" for status, n in info.counts.items()) or "none"),
        ("Stopped", info.stopped),
    ]
    for label, text in facts:
        if text:
            print_line(f"{label + ':':<10}{text}")
    for number, (label, text) in enumerate(settings_in_words(info.settings)):
        print_line(f"{'' if number else 'Settings:':<10}{label}: {text}")
    click.echo()
    print_table(
        ("CALL", "BY", "OUTCOME"),
        [
            (" ".join(local_time(call.began)), call.caller, outcome_text(call, info))
            for call in reversed(view.record.calls)
        ],
        keep=("CALL", "BY"),
    )
    if view.bad_rows:
        click.echo()
        print_table(
            ("ROW", "STATUS", "ERROR"),
            [(str(row.source_row), row.status.value, row.error or row.status.next_step) for row in view.bad_rows],
            right=("ROW",),
            keep=("ROW", "STATUS"),
        )
        if (more := view.bad_row_count - len(view.bad_rows)) > 0:
            print_line(f"… and {more:,} more; --all shows each.")
    click.echo()
    for path in view.results if has_end else ():
        where = f" (now those of run {view.replaced[path]})" if path in view.replaced else ""
        print_line(f"Results:  {path}{where if path.exists() else ' (no longer there)'}")
    if view.incomplete:
        print_line(f"Note:     {view.incomplete}")
    for command, purpose in _next_commands(view, options):
        print_line(f"Next, {purpose}:")
        print_line(f"  {command}")


def _next_commands(view: RunView, options: Options) -> Iterator[tuple[str, str]]:
    """Commands that make sense now, each with its purpose; none while a call works on the run."""
    from bulkload.cli.next_step import argument, options_of_run
    from bulkload.reports.summary import number_of

    info, run = view.record.info, view.record.run
    again = any(status.next_step == "run again" for status in info.counts)
    fix = any(status.next_step.startswith("fix") for status in info.counts)
    where = "" if str(options.output) == "output" else f" --output {shlex.quote(str(options.output))}"
    where += " --sandbox" if info.base_url == "sandbox" else ""
    reading = options_of_run(info.settings)
    results = next((path for path in view.results if path.exists() and path not in view.replaced), None)
    if any(call.is_running for call in view.record.calls):
        return
    if not run.read_whole:
        yield f"bulkload run {argument(info.input)}{reading}{where}", "because it ended before the file was read"
        return
    if again:
        yield f"bulkload resume {info.run_id}{where}", "to send the rows that are not done"
    if fix and results is not None:
        yield f"bulkload run {argument(results)}{reading}{where}", "after you have fixed the rows in it"
    if results is None and not view.incomplete:
        yield f"bulkload report {info.run_id}{where.removesuffix(' --sandbox')}", "to write the results again"
    if view.created:
        yield (
            f"bulkload undo {info.run_id} --dry-run{where}",
            f"to see what an undo would delete: {number_of(view.created, 'monitor')}",
        )


def _view_json(view: RunView, options: Options) -> dict[str, object]:
    from bulkload.cli.runs import record_json

    return record_json(view.record, list(view.record.calls)) | {
        "results": [str(path) for path in view.results],
        "results_exist": [path.exists() for path in view.results],
        "settings": dict(view.record.info.settings),
        "bad_rows": [
            {
                "row": row.source_row,
                "status": row.status.value,
                "monitor_id": row.monitor_id or None,
                "error": row.error,
                "next_step": row.status.next_step,
            }
            for row in view.bad_rows
        ],
        "bad_row_count": view.bad_row_count,
        "monitors": view.created,
        "rows_deleted": view.incomplete or None,
        "next": [command for command, _ in _next_commands(view, options)],
    }
