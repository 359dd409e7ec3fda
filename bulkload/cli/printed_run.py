"""Print how a run ended, for the commands that carry one out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulkload.cli.next_step import print_next_of_run
from bulkload.cli.output import print_outcome, print_read_as
from bulkload.cli.problems import print_problems

if TYPE_CHECKING:
    from bulkload.operations.outcome import Outcome
    from bulkload.settings import Options


def print_run(outcome: Outcome, options: Options, more: Mapping[str, object] = MappingProxyType({})) -> None:
    """Print how a run ended: how its file was read, what is wrong with its rows, the summary, and what to do now.

    `more` is added to the JSON object.
    """
    print_read_as(outcome.info, options)
    if outcome.problems is not None and not options.json_ and not options.quiet:
        print_problems(outcome.problems, more="; the results have each")
    print_outcome(outcome, options, dict(more))
    print_next_of_run(outcome, options)
