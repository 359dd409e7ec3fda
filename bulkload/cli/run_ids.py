"""The argument RUN: a run ID, the beginning of one, or `last`; the shell completes the IDs of the newest runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMPLETED = 30  # newest runs


def run_argument(*, required: bool = True) -> Callable[[Any], Any]:
    """Declare the argument RUN, which the command gets as `run_id`."""
    return click.argument(
        "run_id", required=required, metavar="RUN" if required else "[RUN]", shell_complete=complete_run
    )


def complete_run(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Run IDs that begin as typed, the newest first, with their inputs; none if anything is wrong with the store."""
    from click.shell_completion import CompletionItem

    try:
        from bulkload.operations.history import recent_runs
        from bulkload.settings import load

        config = context.parent.params.get("config") if context.parent is not None else None
        given = {name: value for name in ("output",) if (value := context.params.get(name)) is not None}
        _, options = load(given, config)
        runs = recent_runs(options.output, COMPLETED)
    except Exception:  # the shell would show it in the middle of the command line
        return []
    items = [CompletionItem("last", help="the newest run")] if runs else []
    items += [CompletionItem(run.id, help=Path(run.input).name) for run in runs]
    return [item for item in items if item.value.startswith(typed)]
