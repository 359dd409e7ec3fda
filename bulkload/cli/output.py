"""What the commands share: settings, a progress bar, printing an outcome, messages on stderr, questions."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.logs import log_line, set_up
from bulkload.cli.options import VARIABLES
from bulkload.errors import ExitCode

if TYPE_CHECKING:
    from bulkload.operations.outcome import Outcome
    from bulkload.operations.pipeline import OnStart
    from bulkload.settings import Account, Options

WIDEST_BAR = 100  # columns
ROWS_OF_BAR = 2  # explicit: on a terminal of unknown height tqdm would hide the bar


def settings(config: Path | None, given: dict[str, Any]) -> tuple[Account, Options]:
    """Load the settings from all their sources, and set up logs."""
    from bulkload.settings import exposed_secret, load, slips

    account, options = load(given, config)
    set_up(options.log_level, options.log_format)
    for warning in (exposed_secret(account), *slips(VARIABLES)):
        if warning is not None:
            logging.getLogger(__name__).warning("%s", warning)
    return account, options


@contextmanager
def progress(options: Options) -> Iterator[OnStart]:
    """A progress bar on a terminal, nothing elsewhere."""
    with ExitStack() as stack:

        def on_start(rows: int) -> Callable[[int], None]:
            if not rows or options.quiet or options.json_ or options.log_format == "json" or not sys.stderr.isatty():
                return lambda done: None
            from tqdm import tqdm

            columns = min(shutil.get_terminal_size().columns, WIDEST_BAR)
            bar = stack.enter_context(tqdm(total=rows, unit="row", desc="Sending", ncols=columns, nrows=ROWS_OF_BAR))

            def on_progress(done: int) -> None:
                bar.update(done)

            return on_progress

        yield on_start


def print_outcome(
    outcome: Outcome, options: Options, more: dict[str, object] | None = None, *, resumable: bool = True
) -> None:
    """Print how a run ended: a table or an object on stdout, and on stderr what a person should know."""
    from bulkload.reports.summary import run_json, summary_table, untranslated

    info, verified = outcome.info, outcome.verified
    if options.json_:
        found = run_json(info, results=outcome.results, exit_code=outcome.exit_code) | (more or {})
        click.echo(json.dumps(found | ({"verify": verified.as_json()} if verified else {})))
    elif not options.quiet:
        remark(f"{info.input}, read as {', '.join(info.details.values())}")
        click.echo(summary_table(info, outcome.results))
        if verified:
            click.echo(f"Verified: {verified}")
    if lost := untranslated(info):
        complain(f"{info.input}: {lost}")
    if info.stopped and (options.json_ or options.quiet):
        complain(info.stopped)
    if resumable and outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        sandbox = " --sandbox" if options.sandbox else ""
        output = shlex.quote(str(options.output))
        complain(f"To continue, run: bulkload resume {info.run_id} --output {output}{sandbox}", logging.INFO)


def complain(message: str, level: int = logging.ERROR) -> None:
    """Print an error on stderr; as a line of the log if the log format is JSON."""
    if not log_line(message, level):
        click.echo(f"bulkload: {message}", err=True)


def remark(message: str) -> None:
    """Print a note on stderr."""
    if not log_line(message, logging.INFO):
        click.echo(message, err=True)


def ask(question: str) -> bool | None:
    """Ask on stderr; the answer is a line of stdin. None: there is no answer."""
    for_people = not log_line(question, logging.INFO)
    if for_people:
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
    try:
        answer = sys.stdin.readline() if sys.stdin is not None else ""
    except (OSError, UnicodeDecodeError):
        answer = ""
    if for_people and not (answer and sys.stdin.isatty()):
        click.echo(err=True)  # on a terminal, the answer has ended the line
    return answer.strip().lower() in ("y", "yes") if answer else None
