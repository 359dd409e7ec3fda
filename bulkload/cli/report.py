"""`report`: write the results of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import OUTPUT_OPTIONS, with_options
from bulkload.cli.output import load_settings, print_outcome, print_read_as
from bulkload.cli.run_ids import run_argument
from bulkload.errors import ExitCode


@click.command()
@run_argument()
@with_options("output", "results", *OUTPUT_OPTIONS)
@click.pass_obj
def report(config: Path | None, /, run_id: str, **arguments: Any) -> int:
    """Write the results of RUN again, in any format.

    RUN is the ID of a run, the beginning of one, or last.

    \b
    Examples:
      bulkload report last
      bulkload report 20260314T021500-1f3a --results monday.html
    """
    from bulkload.operations.history import write_results_again

    _, options = load_settings(config, arguments)
    outcome = write_results_again(run_id, options)
    print_read_as(outcome.info, options)
    print_outcome(outcome, options)
    return ExitCode.DONE
