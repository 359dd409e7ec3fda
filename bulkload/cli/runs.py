"""`runs`: list the calls and runs in the store."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import load_settings, print_note
from bulkload.errors import ExitCode

if TYPE_CHECKING:
    from bulkload.model import RunInfo
    from bulkload.operations.history import Call, RunRecord


@click.command()
@command_option("--since", metavar="DATE|AGE", help="Only calls that began since a date (2026-03-14) or age (3d, 12h).")
@command_option("--failed", is_flag=True, help="Only calls that did not end with exit code 0.")
@with_options("output", *OUTPUT_OPTIONS)
@click.pass_obj
def runs(config: Path | None, /, since: str | None, failed: bool, **arguments: Any) -> int:
    """List what was run in the output folder, newest first.

    There is a line for each call: a run that was resumed has several, so a call that failed stays failed when the next
    one succeeds. With --json, the calls are listed within their run; --since and --failed also list calls that are
    about no run, such as those of delete.

    \b
    Examples:
      bulkload runs
      bulkload runs --since 3d --failed
      bulkload runs --output /srv/monitors
    """
    from bulkload.cli.since import moment_of
    from bulkload.operations.history import list_calls_without_run, list_runs

    _, options = load_settings(config, arguments)
    moment = moment_of(since) if since is not None else None

    def is_shown(call: Call) -> bool:
        return (moment is None or call.began >= moment) and not (failed and (call.exit_code == 0 or call.is_running))

    listed = list_runs(options)
    if options.json_:
        selected = [(record, [call for call in record.calls if is_shown(call)]) for record in listed]
        is_filtered = failed or moment is not None
        as_json = [record_json(record, calls) for record, calls in selected if calls or not is_filtered]
        if is_filtered:  # without, there is one object for each run and no other
            as_json += [call_without_run_json(call) for call in list_calls_without_run(options) if is_shown(call)]
        click.echo(json.dumps(as_json))
    elif not options.quiet:
        of_runs = [(call, record) for record in listed for call in record.calls]
        without_run: list[tuple[Call, RunRecord | None]] = [(call, None) for call in list_calls_without_run(options)]
        calls = sorted([*of_runs, *without_run], key=lambda line: line[0].began, reverse=True)
        lines = [(call, record) for call, record in calls if is_shown(call)]
        if lines:
            print_calls(lines)
        else:
            print_note(f"No {'such ' if calls else ''}runs in {options.output}.")
    return ExitCode.DONE


def print_calls(lines: list[tuple[Call, RunRecord | None]]) -> None:
    """Print a table of calls."""
    from bulkload.cli.tables import print_table

    zones = {local_time(call.began)[1] for call, _ in lines}
    is_one_zone = len(zones) == 1
    began = f"BEGAN ({zones.pop()})" if is_one_zone else "BEGAN"
    print_table(
        ("RUN", began, "BY", "FILE", "OUTCOME"),
        [
            (
                record.run.id if record else "-",
                local_time(call.began)[0] if is_one_zone else " ".join(local_time(call.began)),
                call.caller,
                Path(call.input).name,
                outcome_text(call, record.info if record else None),
            )
            for call, record in lines
        ],
        keep=("RUN", began, "BY"),
        shorten=("FILE",),
    )


def outcome_text(call: Call, info: RunInfo | None) -> str:
    """How a call ended, with its counts."""
    from bulkload.operations.history import outcome_of

    counts = call.counts if call.counts is not None else (info.counts if info and call.ended is not None else {})
    texts = [f"{n:,} {status.value}" for status, n in counts.items()]
    outcome = outcome_of(call, info)
    if call.caller == "undo" and texts:
        return f"{outcome} (the run now: {', '.join(texts)})"
    return f"{outcome} ({', '.join(texts)})" if texts else outcome


def local_time(seconds: float) -> tuple[str, str]:
    """A moment in local time to the minute, and its zone."""
    local = datetime.fromtimestamp(seconds).astimezone()
    return local.strftime("%Y-%m-%d %H:%M"), local.tzname() or local.strftime("%z")


def record_json(record: RunRecord, calls: list[Call]) -> dict[str, object]:
    """A run with some of its calls, as JSON."""
    from bulkload.reports.summary import run_json

    info = record.info
    return run_json(info) | {
        "exit_code": record.run.exit_code,
        "started": info.started,
        "finished": info.finished or None,
        "account": info.account,
        "base_url": info.base_url,
        "calls": [call_json(call, info) for call in calls],
    }


def call_without_run_json(call: Call) -> dict[str, object]:
    """A call that has no run, with the keys of a run."""
    as_json = call_json(call)
    return {
        "run_id": None,
        "input": call.input,
        "results": list(call.results),
        "counts": as_json["counts"] or {},
        "rows": sum(call.counts.values()) if call.counts is not None else 0,
        "seconds": round(call.ended - call.began, 3) if call.ended is not None else 0.0,
        "requests": {},
        "exit_code": call.exit_code,
        "stopped": call.stopped or None,
        "read_as": {},
        "started": as_json["began"],
        "finished": as_json["ended"],
        "account": call.username,
        "base_url": call.base_url,
        "calls": [as_json],
    }


def call_json(call: Call, info: RunInfo | None = None) -> dict[str, object]:
    """A call, as JSON."""
    from bulkload import clock
    from bulkload.operations.history import outcome_of

    return {
        "by": call.caller,
        "began": clock.utc(call.began),
        "ended": clock.utc(call.ended) if call.ended is not None else None,
        "exit_code": call.exit_code,
        "outcome": outcome_of(call, info),
        "stopped": call.stopped or None,
        "counts": {status.value: n for status, n in call.counts.items()} if call.counts is not None else None,
        "results": list(call.results),
    }
