"""`export`: write the account's monitors to a file."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import FILE, SHOWING, own_option, with_options
from bulkload.cli.output import complain, settings
from bulkload.errors import ExitCode

FIRST_NOTES = 20  # that are shown


@click.command()
@FILE
@own_option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
@with_options("rate", "request-timeout", "output", "sandbox", *SHOWING)
@click.pass_obj
def export(config: Path | None, /, file: Path, overwrite: bool, **given: Any) -> int:
    """Export the account's mail monitors to a file that run accepts.

    Running it in the same account changes nothing, or with --on-existing update exactly what you edited; an empty cell
    changes nothing. Running it in another account makes a copy. FILE ends in .xlsx or .csv.

    \b
    Examples:
      bulkload export monitors.xlsx
      bulkload run monitors.xlsx --on-existing update
    """
    from bulkload.operations.export import export_file

    account, options = settings(config, given)
    found = export_file(file, account, options, overwrite=overwrite)
    for note in found.notes[:FIRST_NOTES]:
        complain(note, logging.WARNING)
    if (more := len(found.notes) - FIRST_NOTES) > 0:
        complain(f"… and {more:,} more notes; --json has all.", logging.WARNING)
    if options.json_:
        facts = {"file": str(found.path), "monitors": found.monitors, "notes": list(found.notes)}
        requests = {kind: found.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")}
        ending = {"seconds": round(found.seconds, 3), "requests": requests, "exit_code": 0, "stopped": None}
        click.echo(json.dumps(facts | ending))
    elif not options.quiet:
        click.echo(f"Wrote {found.path}: {found.monitors:,} {'monitor' if found.monitors == 1 else 'monitors'}.")
    return ExitCode.DONE
