"""`run` and `resume`: the commands that create monitors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import ACTING, COLUMNS, SHOWING, with_options
from bulkload.cli.output import complain, print_outcome, progress, settings
from bulkload.errors import BulkloadError, ExitCode


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@with_options(*COLUMNS, *ACTING, "strict", "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def run(config: Path | None, /, files: tuple[Path, ...], **given: Any) -> int:
    """Create what is in FILE.

    The results go to output/<name>-results.xlsx.

    \b
    Examples:
      bulkload run hosts.xlsx
      bulkload run hosts.csv --set billing_plancode="UBM - A/A" --rate 2/s --results done.csv
      bulkload run output/hosts-results.xlsx        only what is not done yet
    """
    from bulkload.operations import pipeline

    account, options = settings(config, given)
    worst = ExitCode.DONE
    for file, results in zip(files, pipeline.results_for(files, options), strict=True):
        try:
            with progress(options) as on_start:
                outcome = pipeline.run_file(file, account, options, results, on_start)
        except BulkloadError as error:
            if len(files) == 1:
                raise
            problem = str(error).removeprefix(f"{file}: ").removeprefix(f"{file.name}: ")
            complain(f"{file}: {problem}")
            worst = max(worst, error.exit_code)
            continue
        print_outcome(outcome, options)
        worst = max(worst, outcome.exit_code)
        if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            break
    return worst


@click.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@with_options(*ACTING, "strict", "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def resume(config: Path | None, /, run_id: str | None, **given: Any) -> int:
    """Go on with an interrupted run, without its file.

    RUN is the ID of a run or its beginning (default: the newest that is not done).

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
