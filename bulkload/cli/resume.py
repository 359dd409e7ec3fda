"""`resume`: resume an interrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import OUTPUT_OPTIONS, SENDING_OPTIONS, with_options
from bulkload.cli.output import load_settings, print_outcome, progress


@click.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@with_options(*SENDING_OPTIONS, "strict", "output", "results", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def resume(config: Path | None, /, run_id: str | None, **arguments: Any) -> int:
    """Resume an interrupted run, without its file.

    RUN is the ID of a run, or the beginning of one (default: the newest run with rows to run again).

    \b
    Example:
      bulkload resume 20260314T021500-1f3a
    """
    from bulkload.operations import pipeline

    account, options = load_settings(config, arguments)
    with progress(options) as on_start:
        outcome = pipeline.resume(run_id, account, options, on_start)
    print_outcome(outcome, options)
    return outcome.exit_code
