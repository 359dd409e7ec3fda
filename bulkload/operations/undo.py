"""Undo: take back what one run created, and nothing else.

In: a run in the store. Out: its monitors deleted, except those that were edited since, and its results written again
with `removed` rows. First one look at the account, to show what would happen; then, if that is wanted, each monitor is
read and deleted, and each deletion noted at once. So an undo that was cut short is simply done again.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bulkload.errors import BulkloadError, ExitCode, Forbidden, Rejected, RunStopped, StoreError, UsageError
from bulkload.model import Issue, State, Status
from bulkload.operations.pipeline import Outcome, account_number, locked, results_of, write_results
from bulkload.operations.removal import Fate, Removal, edit_of, remove_unless_edited
from bulkload.operations.session import Session, Stop, hold, patience_of, terms_of, unless_stopped
from bulkload.settings import Account, Options
from bulkload.stages.plan import believable_list
from bulkload.stages.settle import settle
from bulkload.store.group_commit import Journal
from bulkload.store.rows import Change, Ledger, Made
from bulkload.store.runs import ACCOUNT_ISSUE

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.stages.listing import Listing

KEPT = f"{ACCOUNT_ISSUE}kept"
BATCH = 500  # monitors fetched from the store at a time

OnMonitor = Callable[["Prospect"], None]
OnStart = Callable[[int], Callable[[int], None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """A monitor that the run created, and what an undo would do with it."""

    made: Made
    name: str
    host: str
    removal: Removal


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """How an undo ended."""

    outcome: Outcome
    counts: Mapping[Fate, int] = field(default_factory=dict)  # what became of the monitors; not done: what would
    done: bool = True  # False: it was only shown
    in_doubt: int = 0  # rows of the run that may still turn out to have created a monitor
    session: Session = field(default_factory=Session)


def undo_run(
    run_id: str,
    account: Account,
    options: Options,
    on_monitor: OnMonitor,
    agree: Callable[[Mapping[Fate, int]], bool],
    on_start: OnStart,
    *,
    include_edited: bool = False,
    dry_run: bool = False,
) -> Undone:
    """Show every monitor that a run created; delete them if `agree` says so.

    Exit code 0: none of them is left, or it was a dry run. 1: some are, because they were kept, may still turn up, or
    nobody agreed.
    """
    with locked(options, must_exist=True) as store:
        number = account_number(store, account, options)
        run = store.run(run_id)
        if run.account != number:
            raise UsageError(f"Run {run.id} belongs to {run.username} at {run.base_url}; log in as that account.")
        ledger = Ledger(store, run, number)
        counts, in_doubt = _foresee(ledger, account, options, on_monitor, include_edited)
        if not counts or not agree(counts):
            left = not dry_run and (counts or in_doubt)
            exit_code = ExitCode.ROWS_LEFT if left else ExitCode.DONE
            outcome = Outcome(info=store.info(run), results=(), exit_code=exit_code)
            return Undone(outcome=outcome, counts=counts, in_doubt=in_doubt, done=False)
        removal = _Undoing(ledger, options.concurrency, include_edited)
        session = hold(account, options, lambda api, stop: removal.run(api, stop, on_start))
        in_doubt = ledger.count(State.DOUBT)
        exit_code = ExitCode.ROWS_LEFT if in_doubt or ledger.made_here_count() else ExitCode.DONE
        if session.stopped is not None:
            exit_code = session.stopped.exit_code
        outcome = write_results(store, run, results_of(store, run, options), exit_code)
        return Undone(outcome=outcome, counts=removal.counts, in_doubt=in_doubt, session=session)


def _foresee(
    ledger: Ledger, account: Account, options: Options, on_monitor: OnMonitor, include_edited: bool
) -> tuple[Counter[Fate], int]:
    """Look at the account once, and tell what would become of every monitor of the run."""
    counts: Counter[Fate] = Counter()
    if not ledger.made_here(-1, 1) and not ledger.count(State.DOUBT):
        return counts, 0

    async def look(api: Api, stop: Stop) -> None:
        patience = patience_of(options)
        listing = await unless_stopped(believable_list(ledger, api, terms_of(options), patience), stop)
        settle(ledger, listing, patience)
        after = -1
        while batch := ledger.made_here(after, BATCH):
            after = batch[-1].position
            for made in batch:
                prospect = _prospect(made, listing, include_edited)
                counts[prospect.removal.fate] += 1
                on_monitor(prospect)

    if (stopped := hold(account, options, look).stopped) is not None:
        raise stopped
    return counts, ledger.count(State.DOUBT)


def _prospect(made: Made, listing: Listing, include_edited: bool) -> Prospect:
    asked = json.loads(made.body)
    item = listing.monitors.get(made.monitor_id)
    removal = (
        Removal(fate=Fate.GONE) if item is None else edit_of(asked, item, listing.showing) or Removal(fate=Fate.DELETED)
    )
    if include_edited and removal.fate is Fate.EDITED:
        removal = replace(removal, fate=Fate.DELETED)
    host = asked.get("hostname") or asked.get("smtp_hostname") or ""
    return Prospect(made=made, name=str(asked.get("name", "")), host=str(host), removal=removal)


class _Undoing:
    """Workers that take back monitor by monitor."""

    def __init__(self, ledger: Ledger, concurrency: int, include_edited: bool) -> None:
        self.counts: Counter[Fate] = Counter()
        self._ledger = ledger
        self._concurrency = concurrency
        self._include_edited = include_edited
        self._journal = Journal(ledger)
        self._kept: list[tuple[int, Issue]] = []
        self._batch: list[Made] = []
        self._after = -1
        self._stopped: BulkloadError | None = None

    async def run(self, api: Api, stop: Stop, on_start: OnStart) -> None:
        """Take back all that the run created. Raises what stopped it; what was done by then is in the store."""
        stop.tell = self._stop
        self._ledger.remark(KEPT, ())
        on_progress = on_start(self._ledger.made_here_count())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(self._worker(api, on_progress))
        finally:
            self._journal.flush()
            self._ledger.remark(KEPT, self._kept)
        if self._stopped is not None:
            raise self._stopped

    def _stop(self, reason: BulkloadError) -> None:
        self._stopped = self._stopped or reason

    def _next(self) -> Made | None:
        if self._stopped is not None:
            return None
        if not self._batch:
            self._batch = self._ledger.made_here(self._after, BATCH)[::-1]
        if not self._batch:
            return None
        made = self._batch.pop()
        self._after = made.position
        return made

    async def _worker(self, api: Api, on_progress: Callable[[int], None]) -> None:
        try:
            while (made := self._next()) is not None:
                await self._record(made, await self._take_back(api, made))
                on_progress(1)
        except (RunStopped, StoreError) as error:
            self._stop(error)

    async def _take_back(self, api: Api, made: Made) -> Removal:
        try:
            return await remove_unless_edited(
                api,
                made.monitor_id,
                made.type,
                json.loads(made.body),
                self._ledger.showing(),
                even_edited=self._include_edited,
            )
        except (Forbidden, Rejected) as error:
            if not self.counts[Fate.DELETED]:
                raise RunStopped(f"The account may not delete its monitors (role or permissions): {error}") from error
            return Removal(fate=Fate.REFUSED, reason=f"The API refuses to delete it: {error}")

    async def _record(self, made: Made, removal: Removal) -> None:
        """Note what became of a monitor; a deletion is on disk before its worker takes the next one."""
        self.counts[removal.fate] += 1
        if removal.kept:
            message = f"Not undone. {removal.reason}"
            self._kept.append((made.position, Issue(code=KEPT, message=message, severity="warning")))
            return
        words = "" if removal.fate is Fate.DELETED else "It was gone already when the run was undone."
        await self._journal.mark(Change(position=made.position, state=Status.REMOVED, error=words))
