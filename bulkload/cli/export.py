"""`export`: write the account's mail monitors to a file."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import FILE, OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import print_line, print_message
from bulkload.cli.questions import load_login
from bulkload.errors import ExitCode

FIRST_NOTES = 20  # notes that are printed


@click.command()
@FILE
@command_option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@with_options("rate", "request-timeout", "output", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def export(config: Path | None, /, file: Path, overwrite: bool, **arguments: Any) -> int:
    """Export the account's mail monitors to FILE, for run.

    FILE is an .xlsx or .csv file with one row per monitor. To change monitors, edit it and run it with --on-existing
    update: only the cells that you edited are changed, and an empty cell leaves the field as it is. To copy the
    monitors, run it in another account.

    \b
    Examples:
      bulkload export monitors.xlsx
      bulkload run monitors.xlsx --on-existing update
    """
    from bulkload.operations.export import export_file

    account, options = load_login(config, arguments)
    exported = export_file(file, account, options, overwrite=overwrite)
    for note in exported.notes[:FIRST_NOTES]:
        print_message(note, logging.WARNING)
    if (more := len(exported.notes) - FIRST_NOTES) > 0:
        print_message(f"… and {more:,} more; --json prints all.", logging.WARNING)
    if options.json_:
        summary = {"file": str(exported.path), "monitors": exported.monitors, "notes": list(exported.notes)}
        requests = {kind: exported.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")}
        ending = {"seconds": round(exported.seconds, 3), "requests": requests, "exit_code": 0, "stopped": None}
        click.echo(json.dumps(summary | ending))
    elif not options.quiet:
        print_line(
            f"Wrote {exported.path}: {exported.monitors:,} {'monitor' if exported.monitors == 1 else 'monitors'}."
        )
    return ExitCode.DONE
