"""`runs`: list the runs of a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import SHOWING, with_options
from bulkload.cli.output import settings
from bulkload.errors import ExitCode


@click.command()
@with_options("output", *SHOWING)
@click.pass_obj
def runs(config: Path | None, /, **given: Any) -> int:
    """List the runs of this folder, the newest first.

    \b
    Example:
      bulkload runs --output output
    """
    from bulkload.operations.history import list_runs
    from bulkload.reports.summary import run_json

    _, options = settings(config, given)
    found = list_runs(options)
    if options.json_:
        exit_codes = [(info, run.exit_code) for run, info in found]
        click.echo(json.dumps([run_json(info) | {"exit_code": code} for info, code in exit_codes]))
    elif not options.quiet:
        for run, info in found:
            counts = ", ".join(f"{n:,} {status.value}" for status, n in info.counts.items()) or "no rows"
            ended = "not finished" if run.exit_code is None else f"exit {run.exit_code}"
            click.echo(f"{run.id}  {info.started}  {run.input}  {counts}  {ended}")
    return ExitCode.DONE
