"""`template`: write a workbook to fill in."""

from __future__ import annotations

from pathlib import Path

import click

from bulkload.cli.options import FILE, command_option
from bulkload.cli.output import print_line
from bulkload.errors import ExitCode


@click.command()
@FILE
@command_option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def template(file: Path, overwrite: bool) -> int:
    """Create FILE, a workbook to fill in.

    It has every column with a comment and drop-down lists, and an example row of each type. FILE is .xlsx, or .csv for
    the columns and examples alone.

    \b
    Example:
      bulkload template hosts.xlsx
    """
    from bulkload.operations.template import write_template

    write_template(file, overwrite=overwrite)
    print_line(f"Wrote {file}.")
    return ExitCode.DONE
