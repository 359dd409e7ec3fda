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
    """Write an empty workbook with drop-downs, comments and one example per type (.xlsx or .csv).

    \b
    Example:
      bulkload template hosts.xlsx
    """
    from bulkload.template import write_template

    write_template(file)
    click.echo(f"Wrote {file}.")
    return ExitCode.DONE
