"""Load settings, print outcomes and messages, and ask questions, for all commands."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.logs import log_line, set_up
from bulkload.cli.options import OPTION_VARIABLES
from bulkload.cli.tables import set_color
from bulkload.files.printable import printable_line

if TYPE_CHECKING:
    from bulkload.model import RunInfo, Status
    from bulkload.operations.outcome import Outcome
    from bulkload.settings import Account, Options

ARRAY_IN_MEMORY = 1 << 20  # characters of a long JSON array; a longer one goes to a temporary file
ARRAY_BLOCK = 1 << 16  # characters of it that are printed at once
SHOWN_DETAILS = ("format", "encoding", "delimiter", "sheet", "header", "other sheets")  # of how an input was read


def load_settings(config: Path | None, arguments: dict[str, Any]) -> tuple[Account, Options]:
    """Load the settings from all their sources, set up the log, and log warnings about the settings."""
    from bulkload.settings import load, password_file_warning, variable_warnings

    account, options = load(arguments, config)
    set_up(options.log_level, options.log_format)
    set_color(options.color)
    for warning in (password_file_warning(account), *variable_warnings(OPTION_VARIABLES)):
        if warning is not None:
            logging.getLogger(__name__).warning("%s", warning)
    return account, options


def print_read_as(info: RunInfo, options: Options) -> None:
    """Print how the input of a run was read."""
    from bulkload.model import HEADER, NOT_WHOLE

    if options.json_ or options.quiet:
        return
    how = [
        f"header: {text}" if name == HEADER else text for name, text in info.details.items() if name in SHOWN_DETAILS
    ]
    print_note(f"{info.input}, read as {', '.join(how)}")
    if notes := info.details.get("notes"):
        print_note(f"Note: {notes}", wrap=True)
    if reason := info.details.get(NOT_WHOLE):
        print_note(f"Note: The input may not be whole: {reason}.", wrap=True)
    if not info.counts:
        print_note("Note: There are no rows below the header, so there is nothing to do.")


def print_outcome(
    outcome: Outcome,
    options: Options,
    more: dict[str, object] | None = None,
    *,
    is_stored: bool = True,
    words: Mapping[Status, str] = MappingProxyType({}),
) -> None:
    """Print how a run ended: a table or a JSON object on stdout, and messages on stderr.

    `more` is added to the JSON object; `words` replace the names of statuses in the table.
    """
    from bulkload.reports.summary import run_json, summary_table, untranslated

    info, verified = outcome.info, outcome.verified
    if options.json_:
        run = run_json(info, results=outcome.results, exit_code=outcome.exit_code) | (more or {})
        print_object(run | ({"verify": verified.as_json()} if verified else {}))
    elif not options.quiet:
        click.echo(summary_table(info, outcome.results, names_run=is_stored, words=words))
        if verified:
            print_line(f"Verified: {verified}")
    if sentence := untranslated(info):
        print_message(f"{info.input}: {sentence}")
    if info.stopped and (options.json_ or options.quiet):
        print_message(info.stopped)


class JsonArray:
    """A JSON array that may be too long for memory: its items are kept in a temporary file. Use as a context."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(ARRAY_IN_MEMORY, "w+", encoding="ascii")  # noqa: SIM115

    def __enter__(self) -> JsonArray:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def append(self, item: object) -> None:
        """Add an item."""
        self._file.write(f"{', ' if self._file.tell() else ''}{json.dumps(item)}")

    def print(self) -> None:
        """Print the array on stdout."""
        self._file.seek(0)
        click.echo("[", nl=False)
        while block := self._file.read(ARRAY_BLOCK):
            click.echo(block, nl=False)
        click.echo("]", nl=False)


def print_object(content: Mapping[str, object]) -> None:
    """Print a JSON object on one line of stdout; its values can be a `JsonArray`."""
    for index, (key, value) in enumerate(content.items()):
        click.echo(f"{', ' if index else '{'}{json.dumps(key)}: ", nl=False)
        if isinstance(value, JsonArray):
            value.print()
        else:
            click.echo(json.dumps(value), nl=False)
    click.echo("}")


def print_line(text: str, *, wrap: bool = False) -> None:
    """Print one line on stdout; a line break inside the text does not begin another. `wrap`: as for `print_note`."""
    line = printable_line(text)
    click.echo(_wrapped(line) if wrap and sys.stdout.isatty() else line)


def print_message(message: str, level: int = logging.ERROR) -> None:
    """Print a message of the program on stderr; if the log format is JSON, as a log line of this level.

    Further lines are indented, so that no text in a message can pass for another message.
    """
    if not log_line(message, level):
        first, *others = message.splitlines() or [""]
        click.echo("\n".join([f"bulkload: {first}", *(f"  {line.strip()}" for line in others)]), err=True)


def print_note(message: str, *, wrap: bool = False) -> None:
    """Print a note on stderr, without the program's name; with `wrap`, as wide as the terminal."""
    if log_line(message, logging.INFO):
        return
    text = printable_line(message)
    click.echo(_wrapped(text) if wrap and sys.stderr.isatty() else text, err=True)


def _wrapped(text: str) -> str:
    return click.wrap_text(text, shutil.get_terminal_size().columns)


def confirm(question: str) -> bool | None:
    """Ask on stderr, and read the answer from stdin; None if stdin has no line."""
    is_text = not log_line(question, logging.INFO)
    if is_text:
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
    try:
        answer = sys.stdin.readline() if sys.stdin is not None else ""
    except (OSError, UnicodeDecodeError):
        answer = ""
    if is_text and not (answer and sys.stdin.isatty()):
        click.echo(err=True)  # on a terminal, the user's Enter has ended the line
    return answer.strip().lower() in ("y", "yes") if answer else None
