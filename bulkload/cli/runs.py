"""`runs` and `report`: what happened before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import SHOWING, with_options
from bulkload.cli.output import print_outcome, settings
from bulkload.errors import ExitCode


@click.command()
@click.argument("run_id", metavar="RUN")
@with_options("output", "results", *SHOWING)
@click.pass_obj
def report(config: Path | None, /, run_id: str, **given: Any) -> int:
    """Write the results of RUN again, in any format.

    \b
    Example:
      bulkload report 20260314T021500-1f3a --results monday.html
    """
    from bulkload.operations import pipeline

    _, options = settings(config, given)
    outcome = pipeline.rewrite(run_id, options)
    print_outcome(outcome, options)
    return ExitCode.DONE


@click.command()
@with_options("output", *SHOWING)
@click.pass_obj
def runs(config: Path | None, /, **given: Any) -> int:
    """List the runs of this folder, the newest first.

    \b
    Example:
      bulkload runs --output output
    """
    from bulkload.operations import pipeline
    from bulkload.reports.summary import run_json

    _, options = settings(config, given)
    found = pipeline.history(options)
    if options.json_:
        exit_codes = [(info, run.exit_code) for run, info in found]
        click.echo(json.dumps([run_json(info) | {"exit_code": code} for info, code in exit_codes]))
    elif not options.quiet:
        for run, info in found:
            counts = ", ".join(f"{n:,} {status.value}" for status, n in info.counts.items()) or "no rows"
            ended = "not finished" if run.exit_code is None else f"exit {run.exit_code}"
            click.echo(f"{run.id}  {info.started}  {run.input}  {counts}  {ended}")
    return ExitCode.DONE
