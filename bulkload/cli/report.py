"""`report`: write the results of a run again."""

from __future__ import annotations

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
    from bulkload.operations.history import write_results_again

    _, options = settings(config, given)
    outcome = write_results_again(run_id, options)
    print_outcome(outcome, options)
    return ExitCode.DONE
