"""`resume`: finish an interrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import ACTING, SHOWING, with_options
from bulkload.cli.output import print_outcome, progress, settings


@click.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@with_options(*ACTING, "strict", "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def resume(config: Path | None, /, run_id: str | None, **given: Any) -> int:
    """Resume an interrupted run, without its file.

    RUN is the ID of a run, or the beginning of one (default: the newest run that is not done).

    \b
    Example:
      bulkload resume 20260314T021500-1f3a
    """
    from bulkload.operations import pipeline

    account, options = settings(config, given)
    with progress(options) as on_start:
        outcome = pipeline.resume(run_id, account, options, on_start)
    print_outcome(outcome, options)
    return outcome.exit_code
