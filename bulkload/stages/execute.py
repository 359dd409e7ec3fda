"""Execution: workers take pending rows, send them, and record what is proven before and after each request.

In: a run's pending rows. Out: the same rows, moved; nothing else. The first row goes alone, so that what is wrong with
the account shows on one request; it is read back before the others go, so that how the account shows it is known. A row
is durably marked before the first byte of its POST leaves; answers may be recorded a moment later: a crash in between
leaves a row in doubt, never a second monitor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bulkload import clock
from bulkload.alertsite.client import Api
from bulkload.errors import (
    ApiDown,
    ApiUnreliable,
    AuthFailed,
    BulkloadError,
    Forbidden,
    InDoubt,
    LoginRefused,
    NotFound,
    NotSent,
    Rejected,
    RunStopped,
    StoreError,
    Throttled,
    TooManyErrors,
    UnexpectedPage,
    WrongAddress,
)
from bulkload.model import State, Status
from bulkload.stages.listing import Listing, lacks_ours, look, recognise
from bulkload.stages.matching import Terms, match_rows
from bulkload.stages.near_misses import near_misses
from bulkload.stages.plan import warn_of_twins
from bulkload.stages.settle import Patience, settle
from bulkload.store.group_commit import Journal
from bulkload.store.rows import Change, Ledger, Task

BATCH = 500  # rows fetched from the store at a time
SERIES = 20  # requests in a row without an answer that end the run
CALM_MISSES = 4  # of those, how many pass before everybody slows down
LONGEST_BACK_OFF = 2.0  # seconds
STRANGE = (
    "Monitors that nearly match the other rows are there and may be theirs, so nothing more was created. If they are"
    " not, run with --create-lookalikes."
)
MOST_ALONE = 5  # rows that go alone one after the other, if each of them is rejected
MOST_REFUSED = 3  # rows refused with a fresh token, and none that went through after them, that end the run
MOST_THROTTLES = 50  # 429s in a row that end the run
POLL_FIRST, POLL_GROWTH, POLL_LONGEST = 0.5, 1.5, 10.0  # seconds between looks, once nothing else is left

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a run may go."""

    concurrency: int = 10
    first: int | None = None  # send at most this many rows
    most_errors: int | None = None  # more bad rows than this stop the run
    wait: bool = False  # stay until everything is settled


class Execution:
    """One session of sending a run's rows. `stop` may be called at any time from the same event loop."""

    def __init__(
        self,
        ledger: Ledger,
        api: Api,
        terms: Terms,
        patience: Patience,
        limits: Limits,
        *,
        bad_rows: int = 0,
        on_progress: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._stopped: BulkloadError | None = None  # why the run ended early
        self._ledger = ledger
        self._api = api
        self._terms = terms
        self._patience = patience
        self._limits = limits
        self._bad_rows = bad_rows
        self._on_progress = on_progress
        self._journal = Journal(ledger, self._distrust)
        self._stopping = asyncio.Event()
        self._batch: deque[Task] = deque()
        self._after = -1
        self._in_hand: set[int] = set()
        self._refused: dict[int, str] = {}  # rows refused with a fresh token: position → the API's words
        self._taken = 0
        self._created = False
        self._created_id: str | None = None  # the first monitor
        self._misses = 0
        self._throttles = 0

    def stop(self, reason: BulkloadError) -> None:
        """Take no more rows; requests in flight still finish."""
        self._stopped = self._stopped or reason
        self._stopping.set()
        self._api.pace.halt()

    async def run(self) -> None:
        """Send everything that is pending and settle what is in doubt, as far as the limits allow.

        Raises what stopped it; all that is known by then is in the store.
        """
        try:
            await self._send_first()
            while not self._stopping.is_set():
                await self._send_pending()
                if self._refused and not self._stopping.is_set():
                    await self._judge_refused()
                self._journal.flush()
                if not await self._settle_rest():
                    break
        finally:
            self._flush_last()
        if (
            self._stopping.is_set()
            and not isinstance(self._stopped, RunStopped | StoreError)
            and self._ledger.count(State.DOUBT)
        ):
            with contextlib.suppress(RunStopped):
                await self._look_and_settle()
        if self._stopped is not None:
            raise self._stopped

    def _flush_last(self) -> None:
        """Write what is known; the event loop may turn no more."""
        try:
            self._journal.flush()
        except StoreError as error:
            self.stop(error)

    async def _send_first(self) -> None:
        """Send one row alone, and the next one if it is rejected, since that says nothing about the account."""
        for _ in range(MOST_ALONE):
            if (task := self._next()) is None:
                return
            if await self._work(task) is not Status.REJECTED:
                await self._read_back(task)
                return

    async def _read_back(self, first: Task) -> None:
        """See how the account shows the first monitor, before others are made, if it is not known yet."""
        if self._stopping.is_set() or self._created_id is None or self._ledger.showing().known:
            return
        self._journal.flush()
        if not self._ledger.count(State.PENDING):
            return
        before = self._ledger.showing()
        try:
            listing = await self._shown(self._created_id)
        except RunStopped as error:
            log.warning("the first monitor could not be read back: %s", error)
            return
        warn_of_twins(self._ledger, listing)
        if self._is_strange(listing):
            self.stop(
                ApiUnreliable(f"The account shows monitor {self._created_id} so that it is not recognised. {STRANGE}")
            )
            return
        if self._ledger.showing().ways == before.ways:
            return
        open_rows = self._open()
        match_rows(self._ledger, listing, self._terms)
        self._batch.clear()  # rows that were fetched may have their monitor now
        self._after = first.position
        self._on_progress(open_rows - self._open())

    def _is_strange(self, listing: Listing) -> bool:
        """True if the first monitor is not recognised, so that rows may mean monitors that are there already."""
        is_ours_known = not listing.ours or listing.recognised > 0
        if is_ours_known or self._terms.create_lookalikes or len(listing.monitors) == len(listing.ours):
            return False
        return next(near_misses(self._ledger, listing), None) is not None

    async def _shown(self, monitor_id: str) -> Listing:
        """List the account; where the list is late with a new monitor, ask for that one."""
        listing = await look(self._ledger, self._api, fresh=[monitor_id])
        if listing.monitors and monitor_id not in listing.monitors:
            item = await self._api.get(monitor_id)
            if item is not None and str(item.get("id")) == monitor_id:
                shown = recognise(self._ledger, listing.asked, [item], fresh=[monitor_id])
                return replace(listing, showing=shown.showing)
        return listing

    # ── sending ───────────────────────────────────────────────────────────────────────────────────────────

    async def _send_pending(self) -> None:
        async with asyncio.TaskGroup() as group:
            settler = group.create_task(self._settle_meanwhile())
            workers = [group.create_task(self._worker()) for _ in range(self._limits.concurrency)]
            await asyncio.wait(workers)
            settler.cancel()

    async def _worker(self) -> None:
        try:
            while (task := self._next()) is not None:
                await self._work(task)
        except StoreError as error:
            self.stop(error)

    def _next(self) -> Task | None:
        """The next row for a worker, in input order; rows that became pending again come last."""
        if self._stopping.is_set() or self._taken == self._limits.first:
            return None
        if not self._batch:
            self._batch.extend(self._fetch(self._after))
        if not self._batch:
            self._journal.flush()
            self._batch.extend(self._fetch(-1))
        if not self._batch:
            return None
        task = self._batch.popleft()
        self._after = task.position
        self._in_hand.add(task.position)
        self._taken += 1
        return task

    def _fetch(self, after: int) -> list[Task]:
        return [task for task in self._ledger.pending(after, BATCH) if task.position not in self._in_hand]

    async def _work(self, task: Task) -> State | Status | None:
        """Take one row as far as it goes; returns where it stands then, None if that could not be recorded."""
        try:
            try:
                change = await (self._create(task) if task.monitor_id is None else self._patch(task))
            except RunStopped as error:
                self.stop(error)
                words = str(error) if task.monitor_id is None else task.note
                change = Change(position=task.position, state=State.PENDING, error=words)
            self._done(change)
        except StoreError as error:
            self.stop(error)
            return None
        return change.state

    def _done(self, change: Change) -> None:
        """Record what became of a row. Raises `StoreError`."""
        self._journal.record(change)
        if change.position not in self._refused:
            self._in_hand.discard(change.position)
        if change.state in (Status.REJECTED, Status.FAILED):
            self._bad_rows += 1
            if self._limits.most_errors is not None and self._bad_rows > self._limits.most_errors:
                rows = "row" if self._bad_rows == 1 else "rows"
                self.stop(TooManyErrors(f"{self._bad_rows:,} {rows} went wrong; --max-errors stopped the run."))
        if isinstance(change.state, Status):
            self._on_progress(1)

    async def _create(self, task: Task) -> Change:
        """Send one create until what became of it is proven, or known to be in doubt."""
        mark = Change(position=task.position, state=State.SENDING, attempt=True)

        async def get_ready() -> None:
            """Mark the row; before another attempt, too, since the store may be another run's by then."""
            nonlocal mark
            await self._journal.mark(mark)
            mark = mark._replace(attempt=False)

        has_fresh_token = False
        while True:
            refused_before = dict(self._refused)
            try:
                created = await self._api.create(task.type, task.body.encode(), get_ready)
            except AuthFailed as error:
                if has_fresh_token:
                    return self._set_aside(task, error)
                await self._api.renew(error)
                has_fresh_token = True
            except Throttled as error:
                self._count_throttle(error)
            except NotSent as error:
                if self._stopping.is_set():
                    return Change(position=task.position, state=State.PENDING)
                self._count_miss(error)
            except Forbidden as error:
                return self._forbidden(task, error)
            except WrongAddress as error:
                raise RunStopped(f"Whatever answers is not the AlertSite API: {error}") from error
            except Rejected as error:
                self._misses = self._throttles = 0
                return Change(position=task.position, state=Status.REJECTED, error=str(error))
            except InDoubt as error:
                doubt = Change(position=task.position, state=State.DOUBT, error=str(error), at=error.sent_at)
                try:
                    self._count_miss(error)
                except RunStopped as stopped:
                    self.stop(stopped)
                return doubt
            else:
                self._created = True
                self._created_id = self._created_id or created.monitor_id
                self._misses = self._throttles = 0
                self._reject(refused_before)
                return Change(
                    position=task.position, state=Status.CREATED, monitor_id=created.monitor_id, at=created.sent_at
                )
            self._api.retried += 1

    async def _patch(self, task: Task) -> Change:
        """Send one patch. It is safe to repeat; the mark is there to know later that this program made the change."""
        mark = Change(position=task.position, state=State.PENDING, error=task.note, attempt=True)
        await self._journal.mark(mark)
        try:
            await self._api.patch(task.type, str(task.monitor_id), task.body.encode())
        except Forbidden as error:
            return self._forbidden(task, error)
        except NotFound:
            words = f"Monitor {task.monitor_id} went away during the run; another run creates it anew."
            return Change(position=task.position, state=Status.FAILED, error=words)
        except Rejected as error:
            return Change(position=task.position, state=Status.REJECTED, error=str(error))
        self._created = True
        return Change(position=task.position, state=Status.UPDATED, error=task.note)

    def _forbidden(self, task: Task, error: Forbidden) -> Change:
        if self._created:
            return Change(position=task.position, state=Status.REJECTED, error=str(error))
        raise RunStopped(f"The account may not create or change monitors (role or permissions): {error}") from error

    def _set_aside(self, task: Task, error: AuthFailed) -> Change:
        """Keep a row back whose fresh token was refused, until it shows whether that is the row's fault or all rows'.

        Raises `LoginRefused` if it is all rows'.
        """
        self._refused[task.position] = str(error)
        if len(self._refused) >= MOST_REFUSED:
            raise self._login_refused()
        return Change(position=task.position, state=State.PENDING, error=str(error))

    def _reject(self, refused: Mapping[int, str]) -> None:
        """Give up rows whose token another row, sent after they were refused, has gone through with."""
        for position, message in refused.items():
            if self._refused.pop(position, None) is not None:
                self._done(Change(position=position, state=Status.REJECTED, error=message))

    async def _judge_refused(self) -> None:
        """With no other row left, see whose fault refusals are: a list that is read shows that the token is good."""
        if self._created:
            with contextlib.suppress(LoginRefused):
                await self._look_and_settle()
                self._reject(dict(self._refused))
                return
        self.stop(self._login_refused())

    def _login_refused(self) -> LoginRefused:
        return LoginRefused(f"The API refuses the token: {next(iter(self._refused.values()))}")

    def _distrust(self, refused: Change) -> None:
        self.stop(ApiUnreliable(f"The run was stopped: {refused.error}. The next run looks up what became of the row."))

    def _count_miss(self, error: NotSent | InDoubt) -> None:
        """Slow down in a series of requests without an answer, and end the run when it gets long."""
        self._misses += 1
        if isinstance(error, UnexpectedPage):
            raise RunStopped(f"Whatever answers is not the AlertSite API: {error}") from error
        if self._misses >= SERIES:
            raise ApiDown(f"{self._misses} requests in a row were not answered; the last: {error}") from error
        log.info("a create was not answered: %s", error)
        calm = 0 if isinstance(error, NotSent) else CALM_MISSES
        if self._misses > calm:
            self._api.pace.pause(min(LONGEST_BACK_OFF, 0.1 * 2 ** (self._misses - calm - 1)))

    def _count_throttle(self, error: Throttled) -> None:
        self._throttles += 1
        if self._throttles >= MOST_THROTTLES:
            raise ApiDown(f"The API refused {self._throttles} requests in a row as too many: {error}") from error

    # ── settling ──────────────────────────────────────────────────────────────────────────────────────────

    async def _settle_meanwhile(self) -> None:
        """While rows are sent, look up doubts in bulk whenever a look can prove something."""
        while not self._stopping.is_set():
            await asyncio.sleep(max(self._patience.grace, 0.05))
            newest = next((at for _, _, at in self._ledger.made()), None)
            now = clock.moment()
            if any(
                clock.seconds_between(doubt.at, now) >= self._patience.after
                or (newest is not None and clock.seconds_between(doubt.at, newest) >= self._patience.grace)
                for doubt in self._ledger.doubts()
            ):
                try:
                    await self._look_and_settle()
                except (RunStopped, StoreError) as error:
                    self.stop(error)

    async def _settle_rest(self) -> bool:
        """With nothing else left, look until everything is settled or time is up; True if rows are to be sent."""
        deadline = time.monotonic() + self._patience.timeout
        delay = min(POLL_FIRST, max(self._patience.grace / 4, 0.02))
        while not self._stopping.is_set():
            if self._ledger.count(State.PENDING):
                return self._taken != self._limits.first
            if not self._ledger.count(State.DOUBT) and not self._ledger.count(State.WAITING):
                return False
            if not self._limits.wait and time.monotonic() > deadline:
                return False
            await self._look_and_settle()
            if not self._ledger.count(State.PENDING):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
                delay = min(delay * POLL_GROWTH, POLL_LONGEST)
        return False

    async def _look_and_settle(self) -> None:
        listing = await look(self._ledger, self._api)
        self._journal.flush()
        is_whole = not await lacks_ours(self._ledger, self._api, listing)
        self._journal.flush()
        before = self._open()
        settle(self._ledger, listing, self._patience, is_whole=is_whole)
        if self._ledger.release():
            match_rows(self._ledger, listing.with_ours(self._ledger), self._terms)
        self._on_progress(before - self._open())

    def _open(self) -> int:
        return sum(self._ledger.count(state) for state in State)
