"""`resume`: resume an interrupted run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import OUTPUT_OPTIONS, SENDING_OPTIONS, with_options
from bulkload.cli.output import print_line, print_note
from bulkload.cli.printed_run import print_run
from bulkload.cli.progress import Progress
from bulkload.cli.questions import before_many_creates, load_login
from bulkload.cli.run_ids import run_argument

if TYPE_CHECKING:
    from bulkload.model import RunInfo


@click.command()
@run_argument(required=False)
@with_options(*SENDING_OPTIONS, "strict", "output", "results", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def resume(config: Path | None, /, run_id: str | None, **arguments: Any) -> int:
    """Resume an interrupted run, without its file.

    RUN is the ID of a run, the beginning of one, or last (default: the newest run with rows to run again). Nothing is
    sent for a run whose rows are all done or must be fixed.

    \b
    Example:
      bulkload resume 20260314T021500-1f3a
    """
    from bulkload.operations.run import resume as resume_run
    from bulkload.reports.summary import moment

    account, options = load_login(config, arguments)
    agree = before_many_creates(account, options)

    def on_run(info: RunInfo) -> None:
        if run_id is None and not options.json_ and not options.quiet:
            print_note(f"Resuming run {info.run_id} of {info.input}, begun {moment(info.started)}.")

    with Progress(options) as progress:
        outcome = resume_run(run_id, account, options, progress.on_start, on_run, agree, progress)
    if not outcome.resumed and not options.json_ and not options.quiet:
        info = outcome.info
        counts = ", ".join(f"{n:,} {status.value}" for status, n in info.counts.items()) or "no rows"
        print_note(f"Nothing to resume: run {info.run_id} of {info.input} is finished ({counts}). Nothing was sent.")
        for path in outcome.results:
            print_line(f"Results: {path}")
    else:
        print_run(outcome, options, {"resumed": outcome.resumed})
    return outcome.exit_code
