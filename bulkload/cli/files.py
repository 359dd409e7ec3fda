"""`template`: files to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkload.cli.options import FILE
from bulkload.errors import ExitCode

if TYPE_CHECKING:
    pass


@click.command()
@FILE
def template(file: Path) -> int:
    """Write an empty workbook to fill in.

    It has drop-downs, a comment per column, and one example per type. A name that ends in .csv gives a plain file.

    \b
    Example:
      bulkload template hosts.xlsx
    """
    from bulkload.template import write_template

    write_template(file)
    click.echo(f"Wrote {file}.")
    return ExitCode.DONE
