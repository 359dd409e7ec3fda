"""Parse the command line, run a command, and exit with its code.

In: arguments. Out: output on stdout, progress and logs on stderr, an `ExitCode`. Modules are imported where they are
used, and those of a command when it is looked up, so that a command starts quickly.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO, cast

import click

from bulkload import __version__
from bulkload.cli.logs import log_line, set_up
from bulkload.cli.options import command_option
from bulkload.cli.output import print_message
from bulkload.cli.streams import DurableStream
from bulkload.errors import BulkloadError, ExitCode, UsageError
from bulkload.operations.interrupts import Interrupts


def run_process() -> int:
    """Run the program with the arguments of the process; returns its exit code."""
    if "_BULKLOAD_COMPLETE" in os.environ:
        cli.main(prog_name="bulkload")  # the shell asks for completions; click answers in bytes, and exits
    _open_closed_streams()
    stdout, stderr = DurableStream(sys.stdout), DurableStream(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, stdout), cast(TextIO, stderr)
    sys.unraisablehook = _log_dropped
    try:
        exit_code = main(sys.argv[1:], last=True)
    except Exception as error:
        exit_code = _report_bug(error)
    if stdout.failure is not None and not isinstance(stdout.failure, BrokenPipeError):
        print_message(f"Cannot write to stdout: {stdout.failure.strerror}. Everything else was done.")
        exit_code = max(exit_code, ExitCode.USAGE)  # a closed pipe is not an error: its reader has seen enough
    return exit_code


def _log_dropped(unraisable: Any) -> None:
    """Log an exception in a destructor: of a file that a library left open, for example, on a disk that is full."""
    error = unraisable.exc_value
    logging.getLogger("bulkload").debug("%s was ignored", type(error).__name__, exc_info=error)


def _open_closed_streams() -> None:
    """Discard what goes to a stream that the caller has closed (`2>&-`), or a file that is opened would get it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdin = sys.stdin or _null_stream("r")
    sys.stdout, sys.stderr = sys.stdout or _null_stream("w"), sys.stderr or _null_stream("w")


def _null_stream(mode: str) -> TextIO:
    return cast(TextIO, Path(os.devnull).open(mode, encoding="utf-8"))


def main(arguments: Sequence[str], *, last: bool = False) -> int:
    """Run one command; `last` says that the process ends after it. Users never see a traceback."""
    interrupts = Interrupts(last=last)
    try:
        with interrupts:
            return _run(arguments)
    except (click.Abort, KeyboardInterrupt):
        print_message("Interrupted. To see what was done, run: bulkload runs")
        return interrupts.code or ExitCode.INTERRUPTED
    except BulkloadError as error:
        print_message(str(error))
        return error.exit_code
    except click.UsageError as error:
        return _report_usage(error, arguments)


def _report_usage(error: click.UsageError, arguments: Sequence[str]) -> ExitCode:
    """Report a wrong call as click does; where another command does what was asked for, name that."""
    command = error.ctx.info_name if error.ctx is not None else None
    if isinstance(error, click.NoSuchOption) and (command, error.option_name) == ("run", "--dry-run"):
        words = ["plan" if word == "run" else word for word in arguments if word != "--dry-run"]
        print_message(f"run has no --dry-run. To see what it would do, run: bulkload {shlex.join(words)}")
    elif not log_line(error.format_message(), logging.ERROR):
        error.show()
    return ExitCode.USAGE


def _run(arguments: Sequence[str]) -> int:
    set_up("warning", _log_format(arguments))
    _require_utf8(arguments)
    return int(cli.main(args=list(arguments), prog_name="bulkload", standalone_mode=False) or 0)


def _log_format(arguments: Sequence[str]) -> str:
    """The log format until all settings are loaded, or if they are invalid."""
    log_format = os.environ.get("BULKLOAD_LOG_FORMAT", "")
    for option, value in pairwise(part for argument in arguments for part in argument.split("=", 1)):
        log_format = value if option == "--log-format" else log_format
    return log_format


def _require_utf8(arguments: Sequence[str]) -> None:
    """Raise `UsageError` for an argument that the store and the results cannot contain."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(argument).decode(errors="backslashreplace")
            raise UsageError(f"{shown} is not valid UTF-8; rename the file.") from None


def _report_bug(error: Exception) -> ExitCode:
    """Report an unexpected exception in one line; `--log-level debug` shows the traceback."""
    print_message(
        f"This is a bug in bulkload, not in your file: {type(error).__name__}: {error}."
        " To see what was done, run: bulkload runs"
    )
    logging.getLogger("bulkload").debug("the traceback", exc_info=error)
    return ExitCode.BUG


COMMANDS = (
    *("run", "check", "plan", "resume", "report", "runs", "show", "undo", "delete"),
    *("export", "compare", "doctor", "inbox", "serve", "template", "samples", "convert", "sandbox"),
)


class _Commands(Mapping[str, click.Command]):
    """The commands; each is in a module of its name, which is imported when the command is looked up."""

    def __getitem__(self, name: str) -> click.Command:
        if name not in COMMANDS:
            raise KeyError(name)
        return cast(click.Command, getattr(import_module(f"bulkload.cli.{name}"), name))

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@click.group(
    commands=cast(MutableMapping[str, click.Command], _Commands()),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="bulkload")
@command_option(
    "--config", type=click.Path(path_type=Path), help="Settings file (default: bulkload.toml, if it exists)."
)
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Create AlertSite mail monitors in bulk from a spreadsheet: never twice, every row accounted for.

    \b
    To try it without an account:
      bulkload template hosts.xlsx
      bulkload run hosts.xlsx --sandbox
    """
    context.obj = config
