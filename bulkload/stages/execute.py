"""Execution: workers take pending rows, send them, and record what is proven before and after each request.

In: a run's pending rows. Out: the same rows, in their next states; nothing else. The first row goes alone, so that a
problem of the account shows on one request; it is read back before the others go, so that it is known how the account
displays it. A row is durably marked before the first byte of its POST leaves; responses may be recorded a moment later:
a crash in between leaves a row in doubt, never a second monitor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping

from bulkload import clock
from bulkload.alertsite.client import MAX_TOKEN_REFUSALS, Api
from bulkload.errors import (
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
    WrongAddress,
)
from bulkload.model import State, Status
from bulkload.stages.context import RunContext
from bulkload.stages.failure_series import FailureSeries
from bulkload.stages.listing import list_monitors, omits_created, profile_of
from bulkload.stages.matching import match_rows
from bulkload.stages.observer import Phase
from bulkload.stages.read_back import is_unrecognisable, read_back
from bulkload.stages.row_queue import RowQueue
from bulkload.stages.settle import settle
from bulkload.store.group_commit import GroupCommit
from bulkload.store.row_records import PendingRow, RowChange

MOST_ALONE = 5  # rows that go alone one after the other, if each of them is rejected
MOST_REFUSED = 3  # rows refused with a fresh token, and none accepted after them, that end the run
POLL_FIRST, POLL_GROWTH, POLL_LONGEST = 0.5, 1.5, 10.0  # seconds between lists, once nothing else is left

log = logging.getLogger(__name__)


class Execution:
    """One session of sending a run's rows. `stop` may be called at any time from the same event loop."""

    def __init__(
        self,
        context: RunContext,
        api: Api,
        *,
        bad_rows: int = 0,
        most_errors: int | None = None,
        on_progress: Callable[[int], None] = lambda rows: None,
    ) -> None:
        """`bad_rows` are those that are bad before anything is sent; more than `most_errors` in all stop the run."""
        self._stopped: BulkloadError | None = None  # why the run ended early
        self._context = context
        self._rows = context.rows
        self._options = context.options
        self._api = api
        self._bad_rows = bad_rows
        self._most_errors = most_errors
        self._on_progress = on_progress
        self._commits = GroupCommit(context.rows, self._distrust)
        self._failures = FailureSeries(api.pace)
        self._stopping = asyncio.Event()
        self._queue = RowQueue(context, api, self._commits, self._stopping)
        self._refused: dict[int, str] = {}  # rows refused with a fresh token: position → the API's message
        self._succeeded = False  # at least one create or update
        self._created_id: str | None = None  # the first monitor

    def stop(self, reason: BulkloadError) -> None:
        """Take no more rows; requests in flight still finish."""
        self._stopped = self._stopped or reason
        self._stopping.set()
        self._api.pace.halt()

    async def run(self) -> None:
        """Send everything that is pending and settle what is in doubt, as far as the options allow.

        Raises what stopped it; all that is known by then is in the store.
        """
        self._context.observer.on_phase(Phase.CREATING)
        try:
            await self._send_first()
            while not self._stopping.is_set():
                self._context.observer.on_phase(Phase.CREATING)
                await self._send_pending()
                if self._refused and not self._stopping.is_set():
                    await self._judge_refused()
                self._commits.flush()
                if not await self._settle_rest():
                    break
        finally:
            self._flush_last()
        may_look = self._stopping.is_set() and not isinstance(self._stopped, RunStopped | StoreError)
        if may_look and self._rows.count(State.DOUBT):
            self._context.observer.on_phase(Phase.SETTLING)
            with contextlib.suppress(RunStopped):
                await self._list_and_settle()
        if self._stopped is not None:
            raise self._stopped

    def _flush_last(self) -> None:
        """Write what is known; the event loop may not run any more."""
        try:
            self._queue.unmark()
        except StoreError as error:
            self.stop(error)

    async def _send_first(self) -> None:
        """Send one row alone, and the next one if it is rejected, since that says nothing about the account."""
        for _ in range(MOST_ALONE):
            if (row := await self._queue.take(at_most=1)) is None:
                return
            if await self._work(row) is not Status.REJECTED:
                await self._read_back()
                return

    async def _read_back(self) -> None:
        """See how the account displays the first monitor, if that is not known yet and others are to be created."""
        before = profile_of(self._context.record)
        if self._stopping.is_set() or self._created_id is None or before.known:
            return
        self._commits.flush()
        if not self._rows.count(State.PENDING):
            return
        try:
            listing = await read_back(self._context, self._api, self._created_id)
        except RunStopped as error:
            log.warning("the first monitor could not be read back: %s", error)
            return
        if is_unrecognisable(self._context, listing):
            self.stop(
                ApiUnreliable(
                    f"The account displays monitor {self._created_id} so that it is not recognised. Monitors that"
                    " nearly match the other rows exist and may be theirs, so nothing more was created. If they are"
                    " not, run with --create-lookalikes."
                )
            )
            return
        if profile_of(self._context.record).alterations == before.alterations:
            return
        open_rows = self._count_open()
        match_rows(self._context, listing)
        self._queue.forget_fetched()
        self._on_progress(open_rows - self._count_open())

    # ── sending ───────────────────────────────────────────────────────────────────────────────────────────

    async def _send_pending(self) -> None:
        async with asyncio.TaskGroup() as group:
            settler = group.create_task(self._settle_meanwhile())
            workers = [group.create_task(self._worker()) for _ in range(self._options.concurrency)]
            await asyncio.wait(workers)
            settler.cancel()

    async def _worker(self) -> None:
        try:
            while (row := await self._queue.take()) is not None:
                await self._work(row)
        except (RunStopped, StoreError) as error:
            self.stop(error)

    async def _work(self, row: PendingRow) -> State | Status | None:
        """Send one row until its outcome is known; returns its state, None if that could not be recorded."""
        try:
            try:
                change = await (self._create(row) if row.monitor_id is None else self._update(row))
            except RunStopped as error:
                self.stop(error)
                message = str(error) if row.monitor_id is None else row.note
                change = RowChange(position=row.position, state=State.PENDING, error=message)
            self._done(change)
        except StoreError as error:
            self.stop(error)
            return None
        return change.state

    def _done(self, change: RowChange) -> None:
        """Record what became of a row. Raises `StoreError`."""
        self._commits.record(change)
        if change.position not in self._refused:
            self._queue.put_down(change.position)
        if change.state in (Status.REJECTED, Status.FAILED):
            self._bad_rows += 1
            if self._most_errors is not None and self._bad_rows > self._most_errors:
                noun = "row" if self._bad_rows == 1 else "rows"
                self.stop(TooManyErrors(f"{self._bad_rows:,} {noun} failed; --max-errors stopped the run."))
        if isinstance(change.state, Status):
            self._on_progress(1)

    async def _create(self, row: PendingRow) -> RowChange:
        """Send one create until its outcome is proven, or known to be in doubt."""
        refusals = 0  # of tokens
        is_retry = False
        while True:
            refused_before = dict(self._refused)
            try:
                if is_retry:
                    await self._prepare_retry()
                created = await self._api.create(row.type, row.body.encode())
            except AuthFailed as error:
                refusals += 1
                if (refusals > 1 and error.was_fresh) or refusals > MAX_TOKEN_REFUSALS:
                    return self._set_aside(row, error)
                await self._api.renew(error)
            except Throttled as error:
                self._failures.add_throttled(error)
            except NotSent as error:
                if self._stopping.is_set():
                    return RowChange(position=row.position, state=State.PENDING, unsent=not is_retry)
                self._failures.add_unanswered(error)
            except Forbidden as error:
                return self._forbidden(row, error)
            except WrongAddress as error:
                raise RunStopped(f"The server is not the AlertSite API: {error}") from error
            except Rejected as error:
                self._failures.reset()
                return RowChange(position=row.position, state=Status.REJECTED, error=str(error))
            except InDoubt as error:
                doubt = RowChange(position=row.position, state=State.DOUBT, error=str(error), at=error.sent_at)
                try:
                    self._failures.add_unanswered(error)
                except RunStopped as stopped:
                    self.stop(stopped)
                return doubt
            else:
                self._succeeded = True
                self._created_id = self._created_id or created.monitor_id
                self._failures.reset()
                self._reject(refused_before)
                return RowChange(
                    position=row.position, state=Status.CREATED, monitor_id=created.monitor_id, at=created.sent_at
                )
            self._api.retried += 1
            is_retry = True

    async def _prepare_retry(self) -> None:
        """Wait until a create may be sent, and see that no other run owns the store by then."""
        self._queue.unmark_in_pause()
        await self._api.near_create()
        if (lost := self._context.store.lock_lost()) is not None:
            raise lost

    async def _update(self, row: PendingRow) -> RowChange:
        """Send one update. It is safe to repeat."""
        try:
            await self._api.patch(row.type, str(row.monitor_id), row.body.encode())
        except Forbidden as error:
            return self._forbidden(row, error)
        except NotFound:
            message = f"Monitor {row.monitor_id} was deleted during the run; another run creates it again."
            return RowChange(position=row.position, state=Status.FAILED, error=message)
        except Rejected as error:
            return RowChange(position=row.position, state=Status.REJECTED, error=str(error))
        self._succeeded = True
        return RowChange(position=row.position, state=Status.UPDATED, error=row.note)

    def _forbidden(self, row: PendingRow, error: Forbidden) -> RowChange:
        if self._succeeded:
            return RowChange(position=row.position, state=Status.REJECTED, error=str(error))
        raise RunStopped(f"The account may not create or change monitors (role or permissions): {error}") from error

    def _set_aside(self, row: PendingRow, error: AuthFailed) -> RowChange:
        """Set a row aside whose fresh token was refused, until it is known whether that concerns one row or all.

        Raises `LoginRefused` if it concerns all.
        """
        self._refused[row.position] = str(error)
        if len(self._refused) >= MOST_REFUSED:
            raise self._login_refused()
        return RowChange(position=row.position, state=State.PENDING, error=str(error))

    def _reject(self, refused: Mapping[int, str]) -> None:
        """Reject rows with whose token another row, sent after they were refused, was accepted."""
        for position, message in refused.items():
            if self._refused.pop(position, None) is not None:
                self._done(RowChange(position=position, state=Status.REJECTED, error=message))

    async def _judge_refused(self) -> None:
        """With no other row left, see whether the token is refused for all: if a list can be read, it is not."""
        if self._succeeded:
            with contextlib.suppress(LoginRefused):
                await self._list_and_settle()
                self._reject(dict(self._refused))
                return
        self.stop(self._login_refused())

    def _login_refused(self) -> LoginRefused:
        return LoginRefused(f"The API refuses the token: {next(iter(self._refused.values()))}")

    def _distrust(self, refused: RowChange) -> None:
        self.stop(
            ApiUnreliable(f"The run was stopped: {refused.error}. The next run finds out what happened to the row.")
        )

    # ── settling ──────────────────────────────────────────────────────────────────────────────────────────

    async def _settle_meanwhile(self) -> None:
        """While rows are sent, look up rows in doubt together whenever a list can prove something."""
        record, grace, after = self._context.record, self._options.settle_grace, self._options.settle_after
        while not self._stopping.is_set():
            await asyncio.sleep(max(grace, 0.05))
            newest = next((at for _, _, at in record.newest_created()), None)
            now = clock.moment()
            if any(
                clock.seconds_between(doubt.at, now) >= after
                or (newest is not None and clock.seconds_between(doubt.at, newest) >= grace)
                for doubt in record.rows_in_doubt()
            ):
                try:
                    await self._list_and_settle()
                except (RunStopped, StoreError) as error:
                    self.stop(error)

    async def _settle_rest(self) -> bool:
        """With nothing else left, list until everything is settled or time is up; True if rows are to be sent."""
        deadline = time.monotonic() + self._options.settle_timeout
        delay = min(POLL_FIRST, max(self._options.settle_grace / 4, 0.02))
        is_told = False  # the observer knows that rows are waited for
        while not self._stopping.is_set():
            if self._rows.count(State.PENDING):
                return self._queue.taken != self._options.first
            if not self._rows.count(State.DOUBT) and not self._rows.count(State.WAITING):
                return False
            if not self._options.wait and time.monotonic() > deadline:
                return False
            self._context.observer.on_phase(Phase.SETTLING)
            await self._list_and_settle()
            unknown = self._rows.count(State.DOUBT) + self._rows.count(State.WAITING)
            if unknown and not is_told and not self._rows.count(State.PENDING):
                is_told = True
                self._context.observer.on_doubt(
                    unknown, None if self._options.wait else max(deadline - time.monotonic(), 0)
                )
            if not self._rows.count(State.PENDING):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
                delay = min(delay * POLL_GROWTH, POLL_LONGEST)
        return False

    async def _list_and_settle(self) -> None:
        record = self._context.record
        listing = await list_monitors(record, self._api)
        self._commits.flush()
        is_complete = not await omits_created(record, self._api, listing)
        self._commits.flush()
        open_rows = self._count_open()
        settle(self._context, listing, is_complete=is_complete)
        if self._rows.release():
            match_rows(self._context, listing.with_created(record))
            self._queue.forget_fetched()
        self._on_progress(open_rows - self._count_open())

    def _count_open(self) -> int:
        return sum(self._rows.count(state) for state in State)
