"""`template`: write an empty workbook to fill in."""

from __future__ import annotations

from pathlib import Path

import click

from bulkload.cli.options import FILE, own_option
from bulkload.errors import ExitCode


@click.command()
@FILE
@own_option("--overwrite", is_flag=True, help="Replace FILE if it exists.")
def template(file: Path, overwrite: bool) -> int:
    """Write an empty workbook to fill in.

    It has drop-downs, a comment per column, and one example per type. A name that ends in .csv writes a CSV file.

    \b
    Example:
      bulkload template hosts.xlsx
    """
    from bulkload.operations.template import write_template

    write_template(file, overwrite=overwrite)
    click.echo(f"Wrote {file}.")
    return ExitCode.DONE
