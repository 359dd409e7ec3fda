"""What the commands share: settings and logs set up, progress on a terminal, an outcome printed, a complaint."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.errors import ExitCode

if TYPE_CHECKING:
    from bulkload.pipeline import Outcome
    from bulkload.settings import Account, Options


def settings(config: Path | None, given: dict[str, Any]) -> tuple[Account, Options]:
    from bulkload.logs import set_up
    from bulkload.settings import load

    account, options = load(given, config)
    set_up(options.log_level, options.log_format)
    return account, options


def progress(options: Options) -> Callable[[int], Callable[[int], None]]:
    """A bar on a terminal, nothing elsewhere."""

    def on_start(rows: int) -> Callable[[int], None]:
        if options.quiet or options.json_ or not sys.stderr.isatty():
            return lambda done: None
        from tqdm import tqdm

        bar = tqdm(total=rows, unit="row", desc="Creating", dynamic_ncols=True, leave=True)

        def on_progress(done: int) -> None:
            bar.update(done)
            if bar.n >= rows:
                bar.close()

        return on_progress

    return on_start


def print_outcome(outcome: Outcome, options: Options, more: dict[str, object] | None = None) -> None:
    from bulkload.report.summary import run_json, summary_table

    if options.json_:
        found = run_json(outcome.info, results=outcome.results, exit_code=outcome.exit_code)
        click.echo(json.dumps(found | (more or {})))
    elif not options.quiet:
        click.echo(summary_table(outcome.info, outcome.results))
    if outcome.info.stopped and (options.json_ or options.quiet):
        complain(outcome.info.stopped)
    if outcome.info.run_id and outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        complain(f"Go on with: bulkload resume {outcome.info.run_id} --output {options.output}")


def complain(message: str) -> None:
    click.echo(f"bulkload: {message}", err=True)
