"""`runs`: list the runs in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import OUTPUT_OPTIONS, with_options
from bulkload.cli.output import load_settings, print_line
from bulkload.errors import ExitCode


@click.command()
@with_options("output", *OUTPUT_OPTIONS)
@click.pass_obj
def runs(config: Path | None, /, **arguments: Any) -> int:
    """List the runs in the output folder, newest first.

    \b
    Examples:
      bulkload runs
      bulkload runs --output /srv/monitors
    """
    from bulkload.operations.history import list_runs
    from bulkload.reports.summary import run_json

    _, options = load_settings(config, arguments)
    listed = list_runs(options)
    if options.json_:
        exit_codes = [(info, run.exit_code) for run, info in listed]
        click.echo(json.dumps([run_json(info) | {"exit_code": code} for info, code in exit_codes]))
    elif not options.quiet:
        for run, info in listed:
            counts = ", ".join(f"{n:,} {status.value}" for status, n in info.counts.items()) or "no rows"
            ended = "not finished" if run.exit_code is None else f"exit {run.exit_code}"
            print_line(f"{run.id}  {info.started}  {run.input}  {counts}  {ended}")
    return ExitCode.DONE
