"""Print how a run ended, for the commands that carry one out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulkload.cli.next_step import print_next_of_run
from bulkload.cli.output import print_note, print_outcome, print_read_as
from bulkload.cli.problems import print_problems
from bulkload.model import Status

if TYPE_CHECKING:
    from bulkload.operations.outcome import Outcome
    from bulkload.reports.problems import Problems
    from bulkload.settings import Options


def print_run(outcome: Outcome, options: Options, more: Mapping[str, object] = MappingProxyType({})) -> None:
    """Print how a run ended: how its file was read, what is wrong with its rows, the summary, and what to do now.

    `more` is added to the JSON object.
    """
    print_read_as(outcome.info, options)
    if outcome.problems is not None and not options.json_ and not options.quiet:
        print_problems(outcome.problems, more="; the results have each")
    print_outcome(outcome, options, dict(more))
    if outcome.problems is not None and options.on_existing == "skip":
        _print_differing(outcome.problems, options)
    print_next_of_run(outcome, options)


def _print_differing(problems: Problems, options: Options) -> None:
    """Say what to do about monitors that exist and differ from their rows."""
    differing = sum(kind.rows.count for kind in problems.kinds() if kind.code == Status.EXISTS)
    if differing and not options.json_ and not options.quiet:
        rows = "1 row exists and differs" if differing == 1 else f"{differing:,} rows exist and differ"
        print_note(f"{rows} from the file; --on-existing update updates what differs.", wrap=True)
