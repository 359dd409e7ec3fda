"""`samples`: write the sample files."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from bulkload.cli.options import command_option
from bulkload.cli.output import print_line, print_note
from bulkload.errors import ExitCode


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@command_option("--overwrite", is_flag=True, help="Replace files in DIR that have other content.")
def samples(folder: Path, overwrite: bool) -> int:
    """Write the sample files to DIR.

    They are spreadsheets (mail-hosts.csv works as it is, mistakes.csv has every mistake), settings, an export of each
    other tool, and files for cron, systemd, Docker, Kubernetes, nginx, Airflow and Jupyter.

    \b
    Example:
      bulkload samples samples
    """
    from bulkload.operations.samples import write_samples

    written = write_samples(folder, overwrite=overwrite)
    for path in written:
        print_line(str(path))
    if not written:
        print_note(f"All samples are in {folder} already.")
    print_note(f"To try one, run: bulkload run {shlex.quote(str(folder / 'mail-hosts.csv'))} --sandbox")
    return ExitCode.DONE
