"""`run`: create the monitors of one or several files."""

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
    """Create one monitor per row of FILE.

    The results go to output/<name>-results.xlsx.

    \b
    Examples:
      bulkload run hosts.xlsx
      bulkload run hosts.csv --set billing_plancode="UBM - A/A" --rate 2/s --results done.csv
      bulkload run output/hosts-results.xlsx        sends only what is not done yet
    """
    from bulkload.model import Input
    from bulkload.operations.pipeline import run_file
    from bulkload.operations.results import results_for

    account, options = settings(config, given)
    worst = ExitCode.DONE
    for file, results in zip(files, results_for(files, options), strict=True):
        try:
            with progress(options) as on_start:
                outcome = run_file(Input.at(file), account, options, results, on_start)
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
