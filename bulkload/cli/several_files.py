"""Work on several files, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from bulkload.cli.options import INPUT_PATH
from bulkload.cli.output import print_message
from bulkload.errors import BulkloadError, ExitCode

FILES = click.argument("files", nargs=-1, required=True, type=INPUT_PATH, metavar="FILE…")


def for_each_file(files: Sequence[Path], work: Callable[[Path], int]) -> int:
    """Do the work for each file, also after one that cannot be read; returns the worst exit code.

    Raises the error of a single file. A signal ends the work.
    """
    worst = 0
    for file in files:
        try:
            exit_code = work(file)
        except BulkloadError as error:
            if len(files) == 1:
                raise
            problem = str(error).removeprefix(f"{file}: ").removeprefix(f"{file.name}: ")
            print_message(f"{file}: {problem}")
            exit_code = error.exit_code
        worst = max(worst, exit_code)
        if exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            break
    return worst
