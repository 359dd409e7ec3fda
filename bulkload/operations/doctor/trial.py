"""Create one monitor, read it, update it and delete it, to find out what the account does with it.

In: an account, and the plan code of the monitor. Out: findings, a display profile in the store, and no monitor. The
trial's token is on disk before the create is sent, so the next call finds the monitor of a trial that was killed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from bulkload.errors import (
    ApiUnreliable,
    AuthFailed,
    BulkloadError,
    Forbidden,
    InDoubt,
    NotFound,
    NotSent,
    Rejected,
    Throttled,
    WrongAddress,
)
from bulkload.monitors.display_profile import learn_profile
from bulkload.monitors.identity import differences
from bulkload.operations.doctor.cleanup import DeletionResult, OnFinding, delete_trial_monitors
from bulkload.operations.doctor.displayed_fields import fields_finding, observation_of
from bulkload.operations.doctor.finding import Finding, Item
from bulkload.operations.doctor.list_findings import alteration_phrases
from bulkload.operations.session import StopRequest, unless_stopped
from bulkload.settings import Options
from bulkload.stages.listing import profile_of
from bulkload.store.account_record import AccountRecord
from bulkload.store.stored_rows import to_json
from bulkload.store.trial_monitors import TrialMonitor, TrialMonitors

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

MONITOR_TYPE = "email-imap"
PORT = 2993
INTERVAL = 60  # minutes
MOST_CREATES = 5  # requests that certainly created nothing, before the trial gives up
FIRST_POLL, LONGEST_POLL = 0.1, 2.0  # seconds between requests

# The first 50 characters of a name contain something of each kind that accounts are known to alter.
_UNUSUAL = " Aa é \N{LARGE GREEN CIRCLE} \N{LATIN SMALL LIGATURE FI} & < > \" '"
_LONG = " and so on, with CAPITALS and small letters, until a name is longer than 100 characters"

T = TypeVar("T")

log = logging.getLogger(__name__)


def unusual_name(token: str) -> str:
    """A name that reveals every known alteration."""
    return f"bulkload doctor {token} {_UNUSUAL}{_LONG}"


def plain_name(token: str) -> str:
    """A name that every account accepts."""
    return f"bulkload doctor {token}"


def hostname(token: str) -> str:
    """A hostname that does not exist."""
    return f"doctor-{token}.example.com"


def request_body(token: str, name: str, plan: str) -> dict[str, object]:
    """The body of the create, for a disabled monitor."""
    return {
        "name": name,
        "hostname": hostname(token),
        "port": PORT,
        "billing_plancode": plan,
        "interval": INTERVAL,
        "enabled": False,
        "note": f"bulkload doctor {token}",
    }


# ── the trial ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Sightings:
    """The monitor in the list and as returned by GET, each with the time until it was displayed.

    None: it was not displayed before the timeout.
    """

    listed: Item | None = None
    single: Item | None = None
    until_listed: float = 0.0  # seconds
    until_single: float = 0.0


class TrialRunner:
    """Carries out one trial."""

    def __init__(
        self,
        record: AccountRecord,
        trials: TrialMonitors,
        token: str,
        plan: str,
        options: Options,
        on_finding: OnFinding,
    ) -> None:
        self._record = record
        self._trials = trials
        self._token = token
        self._plan = plan
        self._options = options
        self._on_finding = on_finding
        self._body: dict[str, object] = {}
        self._is_duplicated = False  # one create request created several monitors
        self._sent_at = 0.0  # monotonic time at which the create was sent

    async def run(self, api: Api, stop: StopRequest) -> None:
        """Carry out the trial. Raises what stops it, after deleting the monitor if the account allows it."""
        self._api, self._stop = api, stop
        try:
            monitor_id = await self._create()
            if monitor_id is not None:
                if await self._observe(monitor_id):
                    await self._update(monitor_id)
                await self._delete(monitor_id)
        except BulkloadError:
            stop.on_stop = lambda reason: None  # cleaning up is short, and a second request to stop cancels it
            await self._clean_up()
            raise
        except asyncio.CancelledError:
            self._report_leftover()
            raise

    def _report(self, topic: str, behaviour: str, consequence: str, *, is_problem: bool = False) -> None:
        self._on_finding(Finding(topic=topic, behaviour=behaviour, consequence=consequence, is_problem=is_problem))

    # ── create ──

    async def _create(self) -> str | None:
        """Create the monitor; returns its ID, or None if it was not created or is not found."""
        for name in (unusual_name(self._token), plain_name(self._token)):
            self._body = request_body(self._token, name, self._plan)
            try:
                return await self._send_create()
            except Rejected as error:
                self._trials.forget(self._token)
                if name == plain_name(self._token):
                    consequence = "rows may be rejected for the same reason"
                    self._report("create", f"rejected: {error}", consequence, is_problem=True)
                else:
                    consequence = "a row with such a name may be rejected with this message; trying a plain name"
                    self._report("create", f"an unusual name is rejected: {error}", consequence)
            except Forbidden as error:
                self._trials.forget(self._token)
                consequence = "this user may not create monitors, and needs the role Admin, Co-Admin or Power User"
                self._report("create", f"refused (403): {error}", consequence, is_problem=True)
                return None
        return None

    async def _send_create(self) -> str | None:
        """Send the create; repeat it only if it certainly created nothing."""
        self._stop.on_stop = lambda reason: None  # a request in flight is finished first
        for remaining in reversed(range(MOST_CREATES)):
            self._raise_if_stopped()
            try:
                await self._api.near_create()
                self._record_create()
                created = await self._api.create(MONITOR_TYPE, to_json(self._body).encode())
            except (NotSent, Throttled, AuthFailed) as error:
                self._trials.forget(self._token)
                if not remaining:
                    behaviour = f"failed {MOST_CREATES} times: {error}"
                    self._report("create", behaviour, "run doctor again later", is_problem=True)
                    return None
                if isinstance(error, AuthFailed):
                    await self._api.renew(error)
                elif isinstance(error, NotSent):
                    await asyncio.sleep(FIRST_POLL)
            except WrongAddress as error:
                self._trials.forget(self._token)
                raise ApiUnreliable(f"The account cannot be written to: {error}") from error
            except InDoubt as error:
                return await self._look_up(error)
            else:
                self._trials.record_id(self._token, created.monitor_id)
                took = time.monotonic() - self._sent_at
                behaviour = f"the response has the monitor's ID, after {took:.1f} s"
                self._report("create", behaviour, "a row with such a response is created")
                self._raise_if_stopped()
                return created.monitor_id
        return None

    def _record_create(self) -> None:
        self._trials.record(self._token)
        self._sent_at = time.monotonic()

    async def _look_up(self, error: InDoubt) -> str | None:
        """Look for a monitor whose create has no usable response."""

        async def find() -> str | None:
            items = self._trial.among(await self._api.list_mail_monitors())
            return str(items[0]["id"]) if items else None

        monitor_id, seconds = await unless_stopped(self._poll(find), self._stop)
        if monitor_id is None:
            self._report(
                "create",
                f"the response was lost ({error}), and the monitor is not in the list after {seconds:.0f} s",
                "it may still appear; it is recorded, and the next doctor deletes it",
                is_problem=True,
            )
            return None
        self._trials.record_id(self._token, monitor_id)
        behaviour = f"the response was lost ({error}); the monitor is in the list after {seconds:.1f} s"
        self._report("create", behaviour, "a row whose response is lost is looked up in the same way")
        return monitor_id

    # ── read ──

    async def _observe(self, monitor_id: str) -> bool:
        """Report when and how the monitor is displayed; returns False if GET does not find it."""
        waiting = self._wait_until_displayed(monitor_id, self._sent_at, lambda item: True)
        sightings = await unless_stopped(waiting, self._stop)
        self._report_delays(
            {
                "in the list": sightings.until_listed if sightings.listed else None,
                "by GET": sightings.until_single if sightings.single else None,
            }
        )
        if self._is_duplicated:
            consequence = "requests are repeated on their way; rows may get duplicate monitors, which a run reports"
            self._report("create", "one request created several monitors", consequence, is_problem=True)
        listed, single = sightings.listed, sightings.single
        if listed is not None and single is not None:
            is_same = all(listed.get(field) == single.get(field) for field in ("name", "type", *self._body))
            topic = "fields" if is_same else "list fields"
            self._on_finding(fields_finding(topic, MONITOR_TYPE, self._body, listed))
            if not is_same:
                self._on_finding(fields_finding("GET fields", MONITOR_TYPE, self._body, single))
        elif (item := listed or single) is not None:
            topic = "list fields" if listed else "GET fields"
            self._on_finding(fields_finding(topic, MONITOR_TYPE, self._body, item))
        if listed is not None:
            self._learn(listed)
        return single is not None

    def _report_delays(self, delays: Mapping[str, float | None]) -> None:
        """Report after how many seconds the monitor is displayed in each place; None: not before the timeout."""
        parts = [f"{place} after {seconds:.1f} s" for place, seconds in delays.items() if seconds is not None]
        missing = [place for place, seconds in delays.items() if seconds is None]
        longest = max((seconds for seconds in delays.values() if seconds is not None), default=0.0)
        if missing:
            timeout = f"{self._options.settle_timeout:.0f} s"
            behaviour = "; ".join([*parts, *(f"not {place} within {timeout}" for place in missing)])
            consequence = "a monitor whose response is lost cannot be found in time; raise BULKLOAD_SETTLE_TIMEOUT"
            self._report("displayed", behaviour, consequence, is_problem=True)
        elif longest > self._options.settle_after:
            consequence = f"set BULKLOAD_SETTLE_AFTER above {longest:.0f}, or rows may be created twice"
            self._report("displayed", "; ".join(parts), consequence, is_problem=True)
        else:
            consequence = f"in time: bulkload allows {self._options.settle_after:.0f} s (BULKLOAD_SETTLE_AFTER)"
            self._report("displayed", "; ".join(parts), consequence)

    def _learn(self, item: Item) -> None:
        """Store how the account alters the monitor; it is new, so no person has edited it."""
        observation = observation_of(MONITOR_TYPE, self._body, item)
        if observation is None or observation.alterations is None:
            return
        before = profile_of(self._record)
        after = learn_profile(before, [observation], fresh=True)
        if after != before:
            self._record.keep_display_profile(after.to_json())
        new = alteration_phrases(after) if after.alterations != before.alterations else []
        behaviour = "; ".join(new) or ("the same as before" if before.known else "none: displayed as it was sent")
        consequence = "stored for later runs in this folder" if after != before else "nothing new"
        self._report("alterations", behaviour, consequence)

    # ── update ──

    async def _update(self, monitor_id: str) -> None:
        note, began = f"{self._body['note']}, changed", time.monotonic()
        try:
            request = self._api.patch(MONITOR_TYPE, monitor_id, to_json({"note": note}).encode())
            await unless_stopped(request, self._stop)
        except (Forbidden, Rejected, NotFound) as error:
            consequence = "--on-existing update does not work in this account"
            self._report("update", f"PATCH is refused: {error}", consequence, is_problem=True)
            return
        waiting = self._wait_until_displayed(monitor_id, began, lambda item: item.get("note") == note)
        sightings = await unless_stopped(waiting, self._stop)
        took = time.monotonic() - began
        if sightings.single is None:
            behaviour = f"PATCH succeeds, but GET does not return the new note within {took:.0f} s"
            self._report("update", behaviour, "updates cannot be verified in this account", is_problem=True)
            return
        before, self._body = self._body, {**self._body, "note": note}
        also_changed = differences(self._body, sightings.single).keys() - differences(before, sightings.single).keys()
        if also_changed := also_changed - {"note"}:
            behaviour = f"PATCH of the note also changes {', '.join(sorted(also_changed))}"
            self._report("update", behaviour, "check monitors after an update", is_problem=True)
        in_list = f"in the list after {sightings.until_listed:.1f} s" if sightings.listed else "not in the list"
        behaviour = f"PATCH succeeds; the new note is displayed by GET after {sightings.until_single:.1f} s, {in_list}"
        consequence = "--on-existing update works" if sightings.listed else "a later run may update such a row again"
        self._report("update", behaviour, consequence)

    # ── delete ──

    async def _clean_up(self) -> None:
        """Delete the monitor if the account allows it; otherwise, the next call does."""
        if (trial := self._trials.get(self._token)) is None:
            return
        try:
            items = await self._api.list_mail_monitors() if trial.monitor_id is None else []
            deletions, _ = await delete_trial_monitors(self._api, self._trials, trial, items, self._options)
        except BulkloadError as error:
            log.debug("the trial's monitor was not deleted: %s", error)
        else:
            if any(result is DeletionResult.DELETED for result, _ in deletions.values()):
                self._report("delete", "the trial was stopped, and its monitor was deleted", "nothing is left")
        self._report_leftover()

    def _report_leftover(self) -> None:
        if self._trials.get(self._token) is not None:
            behaviour = "the trial was stopped, and its monitor may still exist"
            self._report("delete", behaviour, "it is recorded, and the next doctor deletes it", is_problem=True)

    async def _delete(self, monitor_id: str) -> None:
        self._stop.on_stop = lambda reason: None  # a request in flight is finished first
        began = time.monotonic()
        items = await self._api.list_mail_monitors()
        deletions, is_complete = await delete_trial_monitors(self._api, self._trials, self._trial, items, self._options)
        result, message = deletions.get(monitor_id, (DeletionResult.NOT_FOUND, ""))
        if not is_complete or result is not DeletionResult.DELETED:
            behaviour = f"monitor {monitor_id}{f' ({message})' if message else ''}: {result.value}"
            consequence = "undo may not work in this account" + ("" if is_complete else "; the next doctor tries again")
            self._report("delete", behaviour, consequence, is_problem=True)
            return
        trial = TrialMonitor(token=self._token, at="", monitor_id=monitor_id, seen=True)

        async def is_unlisted() -> bool | None:
            return None if trial.among(await self._api.list_mail_monitors()) else True

        unlisted, _ = await unless_stopped(self._poll(is_unlisted), self._stop)
        took = time.monotonic() - began
        if unlisted is None:
            behaviour = f"GET no longer finds the monitor, but it is still in the list after {took:.0f} s"
            consequence = "a run may treat deleted monitors as existing"
            self._report("delete", behaviour, consequence, is_problem=True)
        else:
            behaviour = f"GET no longer finds the monitor, and it is not in the list after {took:.1f} s"
            self._report("delete", behaviour, "undo works; nothing is left")

    # ── helpers ──

    @property
    def _trial(self) -> TrialMonitor:
        trial = self._trials.get(self._token)
        assert trial is not None  # it is recorded as long as its monitor may exist
        return trial

    def _raise_if_stopped(self) -> None:
        if self._stop.reason is not None:
            raise self._stop.reason

    async def _wait_until_displayed(
        self, monitor_id: str, began: float, is_expected: Callable[[Item], bool]
    ) -> _Sightings:
        """Request the monitor and the list until both display it as expected, or until the timeout."""
        sightings, trial = _Sightings(), self._trial

        async def look() -> bool | None:
            if sightings.single is None:
                item = await self._api.get(monitor_id)
                if item is not None and is_expected(item):
                    sightings.single, sightings.until_single = item, time.monotonic() - began
                    if trial.is_shown_by(item):
                        self._trials.record_seen(self._token)
            if sightings.listed is None:
                items = await self._api.list_mail_monitors()
                self._is_duplicated = self._is_duplicated or len(trial.among(items)) > 1
                item = next((item for item in items if str(item["id"]) == monitor_id and is_expected(item)), None)
                if item is not None:
                    sightings.listed, sightings.until_listed = item, time.monotonic() - began
            return True if sightings.single is not None and sightings.listed is not None else None

        await self._poll(look)
        return sightings

    async def _poll(self, look: Callable[[], Awaitable[T | None]]) -> tuple[T | None, float]:
        """Call `look` until it returns a value, or until the timeout. Also returns the seconds that it took."""
        began, pause = time.monotonic(), FIRST_POLL
        while True:
            value = await look()
            took = time.monotonic() - began
            if value is not None or took + pause > self._options.settle_timeout:
                return value, took
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL)
