"""`inbox`: run the files of a folder, for cron, timers and containers.

In: a folder and options. Out: the exit code of the visit; a summary on stderr, as JSON, metrics, ping and webhook.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import INPUT_OPTIONS, OUTPUT_OPTIONS, SENDING_OPTIONS, with_options
from bulkload.cli.output import load_settings, print_message
from bulkload.cli.progress import Progress
from bulkload.errors import ExitCode, Locked, UsageError

if TYPE_CHECKING:
    from bulkload.inbox.records import Visit
    from bulkload.settings import Account, Options

LONG_HELD = 6 * 3600.0  # seconds; a lock that is held for longer is worth a mail

log = logging.getLogger(__name__)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@with_options(
    "watch",
    "retry-for",
    "keep",
    "prune",
    "prune-limit",
    "metrics",
    "ping",
    "webhook",
    "webhook-format",
    *INPUT_OPTIONS,
    *SENDING_OPTIONS,
    "strict",
    "output",
    "sandbox",
    *OUTPUT_OPTIONS,
)
@click.pass_obj
def inbox(config: Path | None, /, folder: Path, **cli_options: Any) -> int:
    """Run every file that waits in DIR, and move it to DIR/done or DIR/failed with its results.

    Prints a summary on stderr unless there was nothing to do: the files, the first bad rows of each with their errors,
    where the results are, and what to do. All runs are recorded in DIR/bulkload.sqlite3.

    --watch ends only after a signal, with 0 between files, and with 130 or 143 while a file is run (the next call
    resumes it); with 2 for wrong settings, and when DIR is missing or was removed; with 70 after a bug. Bad rows, a
    refused login and an API that is down do not end it: it reports them, and tries again every 15 minutes.

    \b
    Examples:
      bulkload inbox /srv/monitors --on-existing update
      bulkload inbox /srv/monitors --prune --ping https://hc-ping.com/your-uuid
      bulkload inbox /srv/monitors --watch
    """
    from bulkload.inbox.scan import has_candidates
    from bulkload.settings import check_credentials

    account, options = load_settings(config, cli_options)
    if "output" not in options.model_fields_set:
        options = options.model_copy(update={"output": folder})
    _check_metrics(options.metrics, folder)
    if not options.watch:
        return _visit(folder, account, options).exit_code
    has_candidates(folder)  # raises `UsageError` if there is no such folder
    if not options.sandbox:
        check_credentials(account)  # or it would watch, and fail at each file
    from bulkload.inbox.watch import watch

    return watch(folder, lambda last: _visit(folder, account, options, last))


def _check_metrics(path: Path | None, folder: Path) -> None:
    """Raise `UsageError` for a metrics file that can never be written, or that would be taken as an input."""
    if path is None:
        return
    from bulkload.inbox.scan import is_candidate

    try:
        mode = path.stat().st_mode
    except OSError:  # there is no file yet; a folder that is missing is created
        mode = stat.S_IFREG
    if not stat.S_ISREG(mode):
        noun = "folder" if stat.S_ISDIR(mode) else "pipe or a device"
        raise UsageError(f"--metrics {path} is a {noun}; name a file that ends in .prom.")
    if is_candidate(path.name) and os.path.realpath(path.parent) == os.path.realpath(folder):
        raise UsageError(f"--metrics {path} is in the inbox, which would run it as an input; choose another folder.")


def _visit(folder: Path, account: Account, options: Options, last: Visit | None = None) -> Visit:
    """Visit once and report the result, whatever happens; `last` is the result of the last visit of this process."""
    from bulkload.inbox.records import Visit
    from bulkload.inbox.scan import is_untouched

    def ping_start() -> None:
        if options.ping is not None:
            from bulkload.inbox.notify import ping

            ping(options.ping, "start")

    started = time.time()
    try:
        if is_untouched(folder, options.output):
            ping_start()
            result = Visit(folder=folder, started=started)
        else:
            from bulkload.inbox.visit import visit

            with Progress(options) as progress:
                result = visit(folder, account, options, progress.on_start, ping_start)
    except Locked as error:
        log.info("%s", error)  # only logged: the process that holds the lock reports the files
        if error.since is not None and started - error.since > LONG_HELD:  # unless it hangs
            print_message(str(error))
        result = Visit(folder=folder, started=started, problem=str(error), exit_code=ExitCode.LOCKED)
        if options.json_:
            _print_json(result)
        return result
    except UsageError as error:  # the folder does not exist or cannot be read
        ping_start()
        result = Visit(folder=folder, started=started, problem=str(error), is_stopped=True, exit_code=error.exit_code)
    except (Exception, KeyboardInterrupt) as error:
        problem, exit_code = f"{type(error).__name__}: {error}.", ExitCode.ROWS_LEFT
        if isinstance(error, KeyboardInterrupt):
            problem, exit_code = "Interrupted.", ExitCode.INTERRUPTED
        _report(Visit(folder=folder, started=started, problem=problem, exit_code=exit_code), options)
        raise
    shown = result if last is None or result.locks != last.locks else replace(result, locks={})  # once is enough
    _report(shown, options)
    return result


def _report(result: Visit, options: Options) -> None:
    """Report the result in each way that was asked for. If one fails, the others are not affected."""
    if options.metrics is not None:
        with _logged("metrics"):
            from bulkload.inbox.metrics import write_metrics

            write_metrics(options.metrics, result)
    if options.json_ or not result.is_idle or options.ping is not None:
        from bulkload.inbox.details import detail_lines
        from bulkload.inbox.messages import summary_line
        from bulkload.inbox.notify import ping, post_json

        message = "\n".join([summary_line(result), *detail_lines(result)])
        if not result.is_idle:
            if result.exit_code or not options.quiet:
                print_message(message, logging.ERROR if result.exit_code else logging.INFO)
            if options.webhook is not None:
                with _logged("webhook"):
                    from bulkload.inbox.chat_messages import webhook_body

                    post_json(options.webhook, webhook_body(result, options.webhook_format))
        if options.json_:
            _print_json(result)
        with _logged("ping"):
            ping(options.ping, "fail" if result.exit_code else "success", message)


def _print_json(result: Visit) -> None:
    from bulkload.inbox.messages import visit_json

    click.echo(json.dumps(visit_json(result)))


@contextmanager
def _logged(name: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.warning("the %s failed because of a bug in bulkload", name)
        log.debug("the traceback", exc_info=True)
