"""`run`: create one monitor per row of one or several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import INPUT_OPTIONS, OUTPUT_OPTIONS, SENDING_OPTIONS, with_options
from bulkload.cli.output import print_message, print_outcome, progress
from bulkload.cli.questions import before_many_creates, load_login
from bulkload.errors import BulkloadError, ExitCode


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@with_options(*INPUT_OPTIONS, *SENDING_OPTIONS, "strict", "output", "results", "keep", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def run(config: Path | None, /, files: tuple[Path, ...], **arguments: Any) -> int:
    """Create one monitor per row of FILE.

    Rows whose monitor already exists are skipped. The results are written to output/<name>-results.xlsx: your rows,
    each with its monitor ID or its error. Fix the errors in that file and run it: rows that are done are not sent
    again.

    On a terminal, the first run that creates more than 25 monitors in an account asks before it creates them (not
    with BULKLOAD_YES=1), and the password is asked for if it is not set.

    \b
    Examples:
      bulkload run hosts.xlsx
      bulkload run hosts.csv --set billing_plancode="UBM - A/A" --rate 2/s --results done.csv
      bulkload run output/hosts-results.xlsx        sends only rows that are not done
    """
    from bulkload.model import Input
    from bulkload.operations.pipeline import run_file
    from bulkload.operations.results import results_for

    account, options = load_login(config, arguments)
    agree = before_many_creates(account, options)
    exit_code = ExitCode.DONE
    for file, results in zip(files, results_for(files, options), strict=True):
        try:
            with progress(options) as on_start:
                outcome = run_file(Input.at(file), account, options, results, on_start, agree)
        except BulkloadError as error:
            if len(files) == 1:
                raise
            problem = str(error).removeprefix(f"{file}: ").removeprefix(f"{file.name}: ")
            print_message(f"{file}: {problem}")
            exit_code = max(exit_code, error.exit_code)
            continue
        print_outcome(outcome, options)
        exit_code = max(exit_code, outcome.exit_code)
        if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            break
    return exit_code
