"""`run`: create one monitor per row of one or several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bulkload.cli.options import INPUT_OPTIONS, OUTPUT_OPTIONS, SENDING_OPTIONS, with_options
from bulkload.cli.printed_run import print_run
from bulkload.cli.progress import Progress
from bulkload.cli.questions import before_many_creates, load_login
from bulkload.cli.several_files import FILES, for_each_file


@click.command()
@FILES
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
    from bulkload.operations.results_names import results_for
    from bulkload.operations.run import run_file

    account, options = load_login(config, arguments)
    agree = before_many_creates(account, options)
    results = iter(results_for(files, options))

    def run_one(file: Path) -> int:
        with Progress(options) as progress:
            outcome = run_file(Input.at(file), account, options, next(results), progress.on_start, agree, progress)
        print_run(outcome, options)
        return outcome.exit_code

    return for_each_file(files, run_one)
