"""Show the monitors that `undo` or `delete` would delete, ask, and print how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from bulkload.cli.output import confirm, print_line, print_message
from bulkload.errors import UsageError

if TYPE_CHECKING:
    from bulkload.operations.outcome import Outcome
    from bulkload.operations.removal import PlannedRemoval, RemovalResult
    from bulkload.operations.session import Session
    from bulkload.settings import Account, Options

FIRST_MONITORS = 20  # printed monitors of each result


class Removals:
    """The monitors that one call would delete or keep."""

    def __init__(
        self, command: str, account: Account, options: Options, *, yes: bool, dry_run: bool, gone: str
    ) -> None:
        """`gone` is what a monitor is called that is not in the account. Raises `UsageError` if it cannot be asked."""
        self._account = account
        self._options = options
        self._yes = yes
        self._dry_run = dry_run
        self._gone = gone
        self._is_silent = options.json_ or options.quiet
        self._first: dict[RemovalResult, list[PlannedRemoval]] = {}
        self._as_json: list[dict[str, object]] = []
        if self._is_silent and not yes and not dry_run:
            raise UsageError(f"{command} asks before it deletes; with --json or --quiet, add --yes or --dry-run.")

    def add(self, planned: PlannedRemoval) -> None:
        """Note a monitor, and what would become of it."""
        if self._options.json_:
            self._as_json.append(_planned_json(planned))
        monitors = self._first.setdefault(planned.removal.result, [])
        if len(monitors) < FIRST_MONITORS:
            monitors.append(planned)

    def agree(self, counts: Mapping[RemovalResult, int], notes: Sequence[str] = ()) -> bool:
        """Show the monitors and the notes, and ask whether to delete them. Raises `UsageError` without an answer."""
        from bulkload.operations.removal import RemovalResult
        from bulkload.reports.summary import number_of

        if not self._is_silent:
            self._print_plan(counts)
            for note in notes:
                print_line(note)
        deletes = counts.get(RemovalResult.DELETED, 0)
        if self._dry_run or self._yes or not deletes:
            return not self._dry_run
        agreed = confirm(f"Delete {number_of(deletes, 'monitor')} of {self._where()}? This cannot be undone.")
        if agreed is None:
            raise UsageError("Nothing was deleted, because the question was not answered; add --yes or --dry-run.")
        return agreed

    def print_counts(self, counts: Mapping[RemovalResult, int], outcome: Outcome) -> None:
        """Print what became of the monitors, and where the results are."""
        from bulkload.operations.removal import RemovalResult

        kept = sum(count for result, count in counts.items() if result.kept)
        deleted, gone = (counts.get(result, 0) for result in (RemovalResult.DELETED, RemovalResult.GONE))
        print_line(f"{deleted:,} deleted, {gone:,} {self._gone}, {kept:,} kept.")
        for path in outcome.results:
            print_line(f"Results: {path}")

    def print_json(
        self,
        name: str,
        outcome: Outcome,
        counts: Mapping[RemovalResult, int],
        session: Session,
        more: dict[str, object],
    ) -> None:
        """Print the run with what became of its monitors, under a name."""
        from bulkload.operations.removal import RemovalResult
        from bulkload.reports.summary import run_json

        by_result = {result.value: counts.get(result, 0) for result in RemovalResult}
        run = run_json(outcome.info, results=outcome.results, exit_code=outcome.exit_code)
        run["seconds"] = round(session.seconds, 3)
        run["requests"] = {kind: session.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")}
        run["stopped"] = str(session.stopped) if session.stopped is not None else None
        run[name] = {"dry_run": self._dry_run, **by_result, **more, "monitors": self._as_json}
        if name == "delete":
            run["run_id"] = None  # the rows are in the results, not in the store
        click.echo(json.dumps(run))

    def _print_plan(self, counts: Mapping[RemovalResult, int]) -> None:
        from bulkload.operations.removal import RemovalResult

        actions = {RemovalResult.DELETED: "delete", RemovalResult.GONE: self._gone, RemovalResult.EDITED: "keep"}
        width = max((len(actions[result]) for result in self._first), default=0)
        for result, action in actions.items():
            first = self._first.get(result, [])
            for planned in first:
                cells = (planned.monitor_id, planned.type.removeprefix("email-"), planned.name, planned.host)
                reason = f"  ({planned.removal.reason})" if planned.removal.reason else ""
                print_line(f"{action:<{width}}  row {planned.row}: {'  '.join(filter(None, cells))}{reason}")
            if (more := counts.get(result, 0) - len(first)) > 0:
                print_line(f"{action:<{width}}  … and {more:,} more")
        if self._dry_run:
            verbs = {
                RemovalResult.DELETED: "to delete",
                RemovalResult.GONE: self._gone,
                RemovalResult.EDITED: "to keep",
            }
            parts = [f"{counts[result]:,} {verb}" for result, verb in verbs.items() if counts.get(result)]
            print_line(f"Dry run, nothing was deleted: {', '.join(parts) or 'no monitors'}.")

    def _where(self) -> str:
        if self._options.sandbox:
            return "the sandbox"
        return f"{self._account.username or 'the account'} at {self._account.base_url}"


def print_stopped(session: Session) -> None:
    """Print why a session with the account ended early, if it did."""
    if session.stopped is not None:
        print_message(str(session.stopped))


def _planned_json(planned: PlannedRemoval) -> dict[str, object]:
    removal = planned.removal
    return {
        "row": planned.row,
        "monitor_id": planned.monitor_id,
        "type": planned.type,
        "name": planned.name,
        "host": planned.host,
        "foreseen": removal.result.value,
        "reason": removal.reason or None,
        "fields": {field: {"asked": asked, "now": now} for field, (asked, now) in (removal.fields or {}).items()},
    }
