"""The command line: parse, call the pipeline, print, exit.

In: arguments. Out: what was asked for on stdout, progress and logs on stderr, an `ExitCode`. Modules are imported
where they are used, so that a command starts as fast as it can.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bulkload import __version__
from bulkload.errors import BulkloadError, ExitCode, Interrupted

if TYPE_CHECKING:
    from bulkload.model import ReportRow
    from bulkload.pipeline import Outcome
    from bulkload.settings import Account, Options

FIRST_SHOWN = 5  # rows of each kind that `plan` shows
LONGEST_SHOWN = 60  # characters of a cell that are shown

F = TypeVar("F", bound=Callable[..., Any])


def entry() -> None:
    """Run the program; the process ends with its exit code."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command. No traceback reaches a user."""
    import signal

    def terminated(*_: object) -> None:
        raise Interrupted(ExitCode.TERMINATED)

    signal.signal(signal.SIGTERM, terminated)
    try:
        return int(cli.main(args=list(arguments), prog_name="bulkload", standalone_mode=False) or 0)
    except BulkloadError as error:
        _complain(str(error))
        return error.exit_code
    except click.UsageError as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        _complain("Interrupted before anything was sent.")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away; that is fine
        return ExitCode.DONE


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bulkload")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (default: bulkload.toml, if there).")
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Create AlertSite mail monitors in bulk from a spreadsheet: never twice, every row accounted for.

    \b
    Try it without an account:
      bulkload template hosts.xlsx
      bulkload run hosts.xlsx --sandbox
    """
    context.obj = config


def _options(*names: str) -> Callable[[F], F]:
    """Add options by name, in this order."""

    def decorate(function: F) -> F:
        for name in reversed(names):
            function = OPTIONS[name](function)
        return function

    return decorate


def _flag(name: str, help_text: str) -> Callable[[F], F]:
    return click.option(f"--{name}", name.replace("-", "_"), is_flag=True, default=None, help=help_text)


OPTIONS: dict[str, Callable[[Any], Any]] = {
    "set": click.option(
        "--set", "set", multiple=True, metavar="FIELD=VALUE", help="Fill empty cells of a field. Repeatable."
    ),
    "map": click.option(
        "--map", "map", multiple=True, metavar="COLUMN=FIELD", help="Say which field a column is. Repeatable."
    ),
    "sheet": click.option("--sheet", metavar="NAME", help="The sheet to read (default: the first that fits)."),
    "ignore-unknown": _flag("ignore-unknown", "Keep unknown columns in the report and send nothing of them."),
    "rate": click.option("--rate", metavar="N[/s|/min]", help="Requests at most (default 5/s)."),
    "concurrency": click.option("--concurrency", metavar="N", help="Requests in flight at most (default 10)."),
    "on-existing": click.option(
        "--on-existing", metavar="skip|update|fail", help="What to do about monitors that are there (default skip)."
    ),
    "trust-list": _flag("trust-list", "Believe the account's list also if our monitors are missing in it."),
    "wait": _flag("wait", "Stay until every row in doubt is settled."),
    "first": click.option("--first", metavar="N", help="Send the first N rows only; the next run does the rest."),
    "strict": _flag("strict", "Send nothing if any row is not good."),
    "max-errors": click.option("--max-errors", metavar="N|N%", help="Stop when more rows than this go wrong."),
    "request-timeout": click.option(
        "--request-timeout", metavar="SECONDS", help="How long a request may take (default 30)."
    ),
    "output": click.option(
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder of everything a run writes (default output).",
    ),
    "results": click.option(
        "--results",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Results file; .xlsx, .csv, .jsonl or .html. Repeatable.",
    ),
    "sandbox": _flag("sandbox", "Use a local stand-in for AlertSite instead of an account."),
    "json": click.option("--json", "json", is_flag=True, default=None, help="Print one JSON object on stdout."),
    "quiet": _flag("quiet", "Print nothing but errors."),
    "log-format": click.option("--log-format", metavar="text|json", help="How logs look on stderr (default text)."),
    "log-level": click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error (default warning)."),
}
COLUMNS = ("set", "map", "sheet", "ignore-unknown")
ACTING = ("rate", "concurrency", "on-existing", "trust-list", "wait", "first", "max-errors", "request-timeout")
SHOWING = ("json", "quiet", "log-format", "log-level")
FILE = click.argument("file", type=click.Path(path_type=Path))


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@_options(*COLUMNS, *ACTING, "strict", "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def run(config: Path | None, /, files: tuple[Path, ...], **given: Any) -> int:
    """Create what is in FILE and write its results to output/<name>-results.xlsx.

    \b
    Examples:
      bulkload run hosts.xlsx
      bulkload run hosts.csv --set billing_plancode="UBM - A/A" --rate 2/s --results done.csv
      bulkload run output/hosts-results.xlsx        only what is not done yet
    """
    from bulkload import pipeline

    account, options = _settings(config, given)
    worst = ExitCode.DONE
    for file, results in zip(files, pipeline.results_for(files, options), strict=True):
        try:
            outcome = pipeline.run_file(file, account, options, results, _progress(options))
        except Interrupted:
            raise
        except BulkloadError as error:
            if len(files) == 1:
                raise
            _complain(f"{file}: {error}")
            worst = max(worst, error.exit_code)
            continue
        _print_outcome(outcome, options)
        worst = max(worst, outcome.exit_code)
        if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            break
    return worst


@cli.command()
@FILE
@_options(*COLUMNS, "results", *SHOWING)
@click.pass_obj
def check(config: Path | None, /, file: Path, **given: Any) -> int:
    """Check FILE offline and print every bad cell; nothing is sent.

    \b
    Examples:
      bulkload check hosts.xlsx
      bulkload check hosts.xlsx --results marked.xlsx
    """
    from bulkload import pipeline

    _, options = _settings(config, given)
    issues: list[dict[str, object]] = []

    def on_row(row: ReportRow) -> None:
        if options.json_:
            issues.extend(_issues_json(row))
        elif not options.quiet:
            for line in _issue_lines(row):
                click.echo(f"{file.name}: {line}")

    outcome = pipeline.check_file(file, options, on_row)
    _print_outcome(outcome, options, {"issues": issues})
    return outcome.exit_code


@cli.command()
@FILE
@_options(*COLUMNS, "rate", "on-existing", "trust-list", "request-timeout", "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def plan(config: Path | None, /, file: Path, **given: Any) -> int:
    """Say what run would do with FILE in this account now; sends only a login and GETs.

    \b
    Examples:
      bulkload plan hosts.xlsx
      bulkload plan hosts.xlsx --on-existing update
    """
    from bulkload import pipeline
    from bulkload.model import Status
    from bulkload.report.summary import duration

    account, options = _settings(config, given)
    shown: dict[Status, list[ReportRow]] = {}

    def on_row(row: ReportRow) -> None:
        first = shown.setdefault(row.status, [])
        if len(first) < FIRST_SHOWN:
            first.append(row)

    outcome = pipeline.plan_file(file, account, options, on_row)
    to_send = sum(outcome.info.counts.get(status, 0) for status in (Status.WILL_CREATE, Status.WILL_UPDATE))
    seconds = to_send / options.rate if options.rate else 0.0
    if not options.json_ and not options.quiet:
        for status in Status:
            for row in shown.get(status, []):
                click.echo(f"{status.value}  {_row_line(row)}")
            if (more := outcome.info.counts.get(status, 0) - len(shown.get(status, []))) > 0:
                click.echo(f"{status.value}  … and {more:,} more")
    _print_outcome(outcome, options, {"expected_seconds": round(seconds, 1)})
    if not options.json_ and not options.quiet:
        pace = f" at {options.rate:g} requests a second" if options.rate else ""
        click.echo(f"Run will send {to_send:,} requests; expect {duration(seconds)}{pace}.")
    return outcome.exit_code


@cli.command()
@click.argument("run_id", required=False, metavar="[RUN]")
@_options(*ACTING, "output", "results", "sandbox", *SHOWING)
@click.pass_obj
def resume(config: Path | None, /, run_id: str | None, **given: Any) -> int:
    """Go on with an interrupted run, without its file. RUN is its ID (default: the newest that is not done).

    \b
    Example:
      bulkload resume 20260314T021500-1f3a
    """
    from bulkload import pipeline

    account, options = _settings(config, given)
    outcome = pipeline.resume(run_id, account, options, _progress(options))
    _print_outcome(outcome, options)
    return outcome.exit_code


@cli.command()
@click.argument("run_id", metavar="RUN")
@_options("output", "results", *SHOWING)
@click.pass_obj
def report(config: Path | None, /, run_id: str, **given: Any) -> int:
    """Write the results of RUN again, in any format.

    \b
    Example:
      bulkload report 20260314T021500-1f3a --results monday.html
    """
    from bulkload import pipeline

    _, options = _settings(config, given)
    outcome = pipeline.rewrite(run_id, options)
    _print_outcome(outcome, options)
    return ExitCode.DONE


@cli.command()
@_options("output", *SHOWING)
@click.pass_obj
def runs(config: Path | None, /, **given: Any) -> int:
    """List the runs of this folder, the newest first."""
    from bulkload import pipeline
    from bulkload.report.summary import run_json

    _, options = _settings(config, given)
    found = pipeline.history(options)
    if options.json_:
        exit_codes = [(info, run.exit_code) for run, info in found]
        click.echo(json.dumps([run_json(info) | {"exit_code": code} for info, code in exit_codes]))
    elif not options.quiet:
        for run, info in found:
            counts = ", ".join(f"{n:,} {status.value}" for status, n in info.counts.items()) or "no rows"
            ended = "not finished" if run.exit_code is None else f"exit {run.exit_code}"
            click.echo(f"{run.id}  {info.started}  {run.input}  {counts}  {ended}")
    return ExitCode.DONE


@cli.command()
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


def _settings(config: Path | None, given: dict[str, Any]) -> tuple[Account, Options]:
    from bulkload.logs import set_up
    from bulkload.settings import load

    account, options = load(given, config)
    set_up(options.log_level, options.log_format)
    return account, options


def _progress(options: Options) -> Callable[[int], Callable[[int], None]]:
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


def _print_outcome(outcome: Outcome, options: Options, more: dict[str, object] | None = None) -> None:
    from bulkload.report.summary import run_json, summary_table

    if options.json_:
        found = run_json(outcome.info, results=outcome.results, exit_code=outcome.exit_code)
        click.echo(json.dumps(found | (more or {})))
    elif not options.quiet:
        click.echo(summary_table(outcome.info, outcome.results))
    if outcome.info.stopped and (options.json_ or options.quiet):
        _complain(outcome.info.stopped)
    if outcome.info.run_id and outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        _complain(f"Go on with: bulkload resume {outcome.info.run_id} --output {options.output}")


def _issue_lines(row: ReportRow) -> list[str]:
    where = f"row {row.source_row}"
    lines = []
    for issue in row.issues:
        kind = "warning: " if issue.severity == "warning" else ""
        column = f', column "{issue.column}"' if issue.column else ""
        lines.append(f"{where}{column}: {kind}{issue.message}")
    if row.error and not any(issue.severity == "error" for issue in row.issues):
        lines.append(f"{where}: {row.error}")
    return lines


def _issues_json(row: ReportRow) -> list[dict[str, object]]:
    from dataclasses import asdict

    found: list[dict[str, object]] = [{"row": row.source_row} | asdict(issue) for issue in row.issues]
    if row.error and not any(issue.severity == "error" for issue in row.issues):
        found.append({"row": row.source_row, "code": row.status.value, "message": row.error, "severity": "error"})
    return found


def _row_line(row: ReportRow) -> str:
    cells = "  ".join(cell for cell in row.cells if cell)
    shown = cells if len(cells) <= LONGEST_SHOWN else cells[: LONGEST_SHOWN - 1] + "…"
    monitor = f"  [{row.monitor_id}]" if row.monitor_id else ""
    return f"row {row.source_row}: {shown}{monitor}" + (f"  ({row.error})" if row.error else "")


def _complain(message: str) -> None:
    click.echo(f"bulkload: {message}", err=True)
