"""Say what to do now: the next command, ready to copy, with the options of this call that it takes too."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping, Set
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from click.core import ParameterSource

from bulkload.cli.options import INPUT_OPTIONS
from bulkload.cli.output import print_message, print_note
from bulkload.errors import Declined, ExitCode, StoppedByOption
from bulkload.model import RunInfo, Status

if TYPE_CHECKING:
    from bulkload.operations.outcome import Outcome
    from bulkload.settings import Options

_OF_THIS_CALL = {"results", "json", "quiet", "all_", "dry_run", "color", "log_format", "log_level"}  # never repeated
_OF_THE_INPUT = {"sheet", "header_row", "skip_hidden", "encoding", "from", "from_", "skip_private"}  # not of results
_READ_BEFORE = {name.replace("-", "_") for name in INPUT_OPTIONS} | {"keep"}  # a run that is resumed is in the store


class NextStep(NamedTuple):
    """What to do now."""

    purpose: str
    command: str


def command_like_this(name: str, *arguments: Path | str, is_results: bool = False) -> str:
    """A command line for another command, with the options of this call that it takes too.

    `is_results`: the file is a results file of this call, which is read without the options for reading the input.
    """
    context = click.get_current_context()
    assert context.parent is not None
    omitted = _OF_THIS_CALL | ({"output"} if "--output" in arguments else set())
    if is_results:
        omitted |= _OF_THE_INPUT
    if name == "resume":
        omitted |= _READ_BEFORE
    if context.info_name != "plan":
        omitted |= {"first"}  # the rest is to be sent
    words = [*_options(context.parent), name]
    return " ".join(
        ["bulkload", *map(shlex.quote, words), *map(argument, arguments), *map(shlex.quote, _options(context, omitted))]
    )


def argument(path: Path | str) -> str:
    """An argument for a shell; a path that begins with a dash is no option."""
    text = str(path)
    return shlex.quote(f"./{text}" if isinstance(path, Path) and text.startswith("-") else text)


def options_of_run(settings: Mapping[str, str]) -> str:
    """The options with which a results file of a run, or its input, is read in the same way."""
    words: list[str] = []
    for name in ("set", "map"):
        pairs = json.loads(settings.get(name) or "{}")
        words += [word for key, value in pairs.items() for word in (f"--{name}", f"{key}={value}")]
    words += ["--ignore-unknown"] if settings.get("ignore_unknown") else []
    return f" {shlex.join(words)}" if words else ""


def print_next(step: NextStep | None, options: Options) -> None:
    """Print what to do now as the last line, unless only errors or JSON are wanted."""
    if step is not None and not options.quiet and not options.json_:
        print_note(f"{step.purpose}:")
        print_note(f"  {step.command}")


def print_next_of_run(outcome: Outcome, options: Options) -> None:
    """Print what to do after a run; how an interrupted one is resumed is printed whatever is wanted otherwise."""
    unknown = outcome.info.counts.get(Status.UNKNOWN, 0)
    if unknown and outcome.known_at is not None and not options.quiet and not options.json_:
        rows = "1 row was" if unknown == 1 else f"{unknown:,} rows were"
        when = datetime.fromtimestamp(outcome.known_at).astimezone().strftime("%H:%M:%S %Z")
        print_note(
            f"It is not known whether {rows} created. Another run after {when} can find out, and sends nothing twice.",
            wrap=True,
        )
    is_interrupted = outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
    if is_interrupted or isinstance(outcome.stopped, Declined):
        print_how_to_continue("resume", outcome.info.run_id, options)
    else:
        print_next(next_of_run(outcome), options)


def print_how_to_continue(name: str, argument: Path | str, options: Options) -> None:
    """Print the command that continues an interrupted one; the folder is named in any case."""
    command = command_like_this(name, argument, "--output", str(options.output))
    print_message(f"To continue, run: {command}", logging.INFO)


def next_of_run(outcome: Outcome) -> NextStep | None:
    """What to do after a run; None if every row is done."""
    info = outcome.info
    if _has(info, "fix") and outcome.results:
        file = _file_to_fix(outcome, Path(info.input))
        command = command_like_this("run", file, is_results=file in outcome.results)
        return NextStep(f"Next, after you have fixed the rows in {file.name}", command)
    if _has(info, "run again") and not isinstance(outcome.stopped, StoppedByOption):
        return NextStep("Next, to send the rows that are not done", command_like_this("resume", info.run_id))
    return None


def next_of_check(outcome: Outcome, file: Path, *, has_account: bool) -> NextStep | None:
    """What to do after a check; without an account, in the sandbox."""
    if _has(outcome.info, "fix"):
        file = _file_to_fix(outcome, file)
        command = command_like_this("check", file, is_results=file in outcome.results)
        return NextStep(f"Next, after you have fixed the rows in {file.name}", command)
    if outcome.exit_code is not ExitCode.DONE or not outcome.info.rows:
        return None
    command = command_like_this("plan", file)
    if has_account:
        return NextStep("Next, to compare the rows with your account, and create nothing", command)
    return NextStep("Next, to see what a run does, without an account", f"{command} --sandbox")


def next_of_plan(outcome: Outcome, file: Path) -> NextStep | None:
    """What to do after a plan."""
    counts = outcome.info.counts
    if outcome.stopped is not None or not (counts.get(Status.WILL_CREATE) or counts.get(Status.WILL_UPDATE)):
        return None
    verb = "create" if counts.get(Status.WILL_CREATE) else "update"
    rows = "the monitors of the good rows" if outcome.exit_code is not ExitCode.DONE else "the monitors"
    return NextStep(f"Next, to {verb} {rows}", command_like_this("run", file))


def _file_to_fix(outcome: Outcome, source: Path) -> Path:
    """The first results file that can be run again, which a page cannot; else the input."""
    return next((path for path in outcome.results if path.suffix.lower() != ".html"), source)


def _has(info: RunInfo, next_step: str) -> bool:
    return any(n and status.next_step.startswith(next_step) for status, n in info.counts.items())


def _options(context: click.Context, omitted: Set[str] = frozenset()) -> list[str]:
    """The options of a call that were given on its command line."""
    words: list[str] = []
    for option in context.command.params:
        name = option.name or ""
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not isinstance(option, click.Option) or name in omitted or not is_given:
            continue
        value = context.params[name]
        for each in value if option.multiple else [value]:
            words += [option.opts[0]] if option.is_flag else [option.opts[0], str(each)]
    return words
