"""Make one monitor, look at it, change it and delete it again.

In: an account, and the plan that pays. Out: findings, what they teach in the store, and no monitor. The token of a
trial is on disk before its create leaves, so what a trial leaves when it is killed is found by the next call.
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
from bulkload.operations.doctor.cleanup import Fate, OnFinding, clear
from bulkload.operations.doctor.fields_shown import how_shown, seen_of
from bulkload.operations.doctor.findings import Finding, Item, in_words
from bulkload.operations.session import StopRequest, unless_stopped
from bulkload.settings import Options
from bulkload.stages.listing import profile_of
from bulkload.store.account_record import AccountRecord
from bulkload.store.runs import to_json
from bulkload.store.trial_monitors import TrialMonitor, TrialMonitors

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

KIND = "email-imap"
PORT = 2993
INTERVAL = 60  # minutes
MOST_TRIES = 5  # creates that surely made nothing, before it is given up
FIRST_POLL, LONGEST_POLL = 0.1, 2.0  # seconds between looks

# Within the first 50 characters there is one of everything that accounts are known to change.
_AWKWARD = " Aa é \N{LARGE GREEN CIRCLE} \N{LATIN SMALL LIGATURE FI} & < > \" '"
_LONG = " and so on, with CAPITALS and small letters, until a name is longer than 100 characters"

T = TypeVar("T")

log = logging.getLogger(__name__)


def awkward_name(token: str) -> str:
    """Build a name that an account may show otherwise in every known way."""
    return f"bulkload doctor {token} {_AWKWARD}{_LONG}"


def plain_name(token: str) -> str:
    """Build a name that nobody refuses."""
    return f"bulkload doctor {token}"


def host_name(token: str) -> str:
    """Build a host that does not exist."""
    return f"doctor-{token}.example.com"


def body_of(token: str, name: str, plan: str) -> dict[str, object]:
    """Build what is asked for: a monitor that is switched off."""
    return {
        "name": name,
        "hostname": host_name(token),
        "port": PORT,
        "billing_plancode": plan,
        "interval": INTERVAL,
        "enabled": False,
        "note": f"bulkload doctor {token}",
    }


# ── the trial ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Looks:
    """How a monitor was looked for, and when it was found; None: it was not, in the time that there was."""

    listed: Item | None = None
    single: Item | None = None
    until_listed: float = 0.0  # seconds
    until_single: float = 0.0


class Attempt:
    """One trial."""

    def __init__(
        self, record: AccountRecord, trials: TrialMonitors, token: str, plan: str, options: Options, tell: OnFinding
    ) -> None:
        self._record = record
        self._trials = trials
        self._token = token
        self._plan = plan
        self._options = options
        self._tell = tell
        self._body: dict[str, object] = {}
        self._twins = False  # one create made several
        self._left = 0.0  # monotonic time at which the create left

    async def run(self, api: Api, stop: StopRequest) -> None:
        """Do it all. Whatever stops it, its monitor is deleted if the account lets that be; raises what stopped it."""
        self._api, self._stop = api, stop
        try:
            monitor_id = await self._create()
            if monitor_id is not None:
                if await self._watch(monitor_id):
                    await self._change(monitor_id)
                await self._delete(monitor_id)
        except BulkloadError:
            stop.on_stop = lambda reason: None  # what follows is short, and a second wish ends it
            await self._leave()
            raise
        except asyncio.CancelledError:
            self._say_left()
            raise

    def _find(self, topic: str, account: str, follows: str, *, problem: bool = False) -> None:
        self._tell(Finding(topic=topic, account=account, follows=follows, problem=problem))

    # ── create ──

    async def _create(self) -> str | None:
        """Create the monitor; None: it was not, or nobody knows."""
        for name in (awkward_name(self._token), plain_name(self._token)):
            self._body = body_of(self._token, name, self._plan)
            try:
                return await self._send()
            except Rejected as error:
                self._trials.forget(self._token)
                if name == plain_name(self._token):
                    self._find("create", f"refused: {error}", "rows may be refused for the same reason", problem=True)
                else:
                    follows = "a row with such a name may be rejected with this message; trying a plain name"
                    self._find("create", f"an awkward name is refused: {error}", follows)
            except Forbidden as error:
                self._trials.forget(self._token)
                follows = "this user may not create monitors; it needs the role Admin, Co-Admin or Power User"
                self._find("create", f"refused (403): {error}", follows, problem=True)
                return None
        return None

    async def _send(self) -> str | None:
        """Send the create, again only if it surely made nothing."""
        self._stop.on_stop = lambda reason: None  # a request that is under way ends first
        for left in reversed(range(MOST_TRIES)):
            self._give_way()
            try:
                created = await self._api.create(KIND, to_json(self._body).encode(), self._note)
            except (NotSent, Throttled, AuthFailed) as error:
                self._trials.forget(self._token)
                if not left:
                    self._find("create", f"not done in {MOST_TRIES} tries: {error}", "try again later", problem=True)
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
                took = time.monotonic() - self._left
                self._find("create", f"answered with an ID after {took:.1f} s", "a row that is answered is created")
                self._give_way()
                return created.monitor_id
        return None

    async def _note(self) -> None:
        self._trials.record(self._token)
        self._left = time.monotonic()

    async def _look_up(self, error: InDoubt) -> str | None:
        """Look for a monitor whose answer was lost."""

        async def look() -> str | None:
            found = self._trial.among(await self._api.list_mail_monitors())
            return str(found[0]["id"]) if found else None

        monitor_id, seconds = await unless_stopped(self._until(look), self._stop)
        if monitor_id is None:
            self._find(
                "create",
                f"the answer was lost ({error}), and the list does not show the monitor after {seconds:.0f} s",
                "it may still turn up; it is noted, and the next doctor looks for it and deletes it",
                problem=True,
            )
            return None
        self._trials.record_id(self._token, monitor_id)
        account = f"the answer was lost ({error}); the list shows the monitor after {seconds:.1f} s"
        self._find("create", account, "a row whose answer is lost is looked up in the same way")
        return monitor_id

    # ── look ──

    async def _watch(self, monitor_id: str) -> bool:
        """See when and how it is shown; False if it is not."""
        looks = await unless_stopped(self._look_for(monitor_id, self._left, lambda item: True), self._stop)
        found = {"the list": looks.until_listed if looks.listed else None}
        found["GET by ID"] = looks.until_single if looks.single else None
        self._say_when("shown", found)
        if self._twins:
            follows = "something repeats requests on their way; rows may get duplicate monitors, which a run names"
            self._find("create", "one create made several monitors", follows, problem=True)
        if looks.listed is not None and looks.single is not None:
            same = all(looks.listed.get(field) == looks.single.get(field) for field in ("name", "type", *self._body))
            self._tell(how_shown("fields" if same else "in the list", KIND, self._body, looks.listed))
            if not same:
                self._tell(how_shown("by ID", KIND, self._body, looks.single))
        elif (item := looks.listed or looks.single) is not None:
            self._tell(how_shown("in the list" if looks.listed else "by ID", KIND, self._body, item))
        if looks.listed is not None:
            self._learn(looks.listed)
        return looks.single is not None

    def _say_when(self, topic: str, found: Mapping[str, float | None]) -> None:
        seen = [f"{where} shows it after {seconds:.1f} s" for where, seconds in found.items() if seconds is not None]
        unseen = [where for where, seconds in found.items() if seconds is None]
        longest = max((seconds for seconds in found.values() if seconds is not None), default=0.0)
        if unseen:
            waited = f"{self._options.settle_timeout:.0f} s"
            account = "; ".join([*seen, *(f"{where} does not display it within {waited}" for where in unseen)])
            follows = "a create whose response is lost cannot be looked up in time; raise BULKLOAD_SETTLE_TIMEOUT"
            self._find(topic, account, follows, problem=True)
        elif longest > self._options.settle_after:
            follows = f"set BULKLOAD_SETTLE_AFTER above {longest:.0f}, or rows may be created twice"
            self._find(topic, "; ".join(seen), follows, problem=True)
        else:
            follows = f"in time: bulkload allows {self._options.settle_after:.0f} s (BULKLOAD_SETTLE_AFTER)"
            self._find(topic, "; ".join(seen), follows)

    def _learn(self, item: Item) -> None:
        """Keep what the monitor teaches; it was made just now, so nobody has changed it."""
        seen = seen_of(KIND, self._body, item)
        if seen is None or seen.alterations is None:
            return
        before = profile_of(self._record)
        after = learn_profile(before, [seen], fresh=True)
        if after != before:
            self._record.keep_display_profile(after.to_json())
        new = in_words(after) if after.alterations != before.alterations else []
        account = "; ".join(new) or ("the same as before" if before.known else "displays what it was sent")
        follows = "stored for later runs in this folder" if after != before else "nothing new"
        self._find("learned", account, follows)

    # ── change ──

    async def _change(self, monitor_id: str) -> None:
        note, began = f"{self._body['note']}, changed", time.monotonic()
        try:
            await unless_stopped(self._api.patch(KIND, monitor_id, to_json({"note": note}).encode()), self._stop)
        except (Forbidden, Rejected, NotFound) as error:
            self._find("change", f"PATCH is refused: {error}", "--on-existing update does not work here", problem=True)
            return
        found = self._look_for(monitor_id, began, lambda item: item.get("note") == note)
        looks = await unless_stopped(found, self._stop)
        took = time.monotonic() - began
        if looks.single is None:
            account = f"PATCH succeeds, but GET does not return the change within {took:.0f} s"
            self._find("change", account, "an update cannot be verified here", problem=True)
            return
        before, self._body = self._body, {**self._body, "note": note}
        other = set(differences(self._body, looks.single)) - set(differences(before, looks.single)) - {"note"}
        if other:
            self._find("change", f"PATCH also changes {', '.join(sorted(other))}", "check updates", problem=True)
        listed = f"the list after {looks.until_listed:.1f} s" if looks.listed else "the list does not show it"
        account = f"PATCH of the note: GET shows it after {looks.until_single:.1f} s, {listed}"
        follows = "--on-existing update works" if looks.listed else "a later run may update such a row again"
        self._find("change", account, follows)

    # ── delete ──

    async def _leave(self) -> None:
        """Delete what was made, if the account lets it; what it does not is for the next call."""
        if (trial := self._trials.get(self._token)) is None:
            return
        try:
            items = await self._api.list_mail_monitors() if trial.monitor_id is None else []
            fates, _ = await clear(self._api, self._trials, trial, items, self._options)
        except BulkloadError as error:
            log.debug("the trial's monitor was not deleted: %s", error)
        else:
            if any(fate is Fate.DELETED for fate, _ in fates.values()):
                self._find("delete", "the trial was stopped; its monitor is deleted", "nothing is left behind")
        self._say_left()

    def _say_left(self) -> None:
        if self._trials.get(self._token) is not None:
            account = "the trial was stopped, and its monitor may still exist"
            self._find("delete", account, "it is noted; the next doctor deletes it", problem=True)

    async def _delete(self, monitor_id: str) -> None:
        self._stop.on_stop = lambda reason: None  # a request that is under way ends first
        began = time.monotonic()
        items = await self._api.list_mail_monitors()
        fates, over = await clear(self._api, self._trials, self._trial, items, self._options)
        fate, words = fates.get(monitor_id, (Fate.NOT_FOUND, ""))
        if not over or fate is not Fate.DELETED:
            account = f"monitor {monitor_id}{f' ({words})' if words else ''}: {fate.value}"
            follows = "undo may not work here" + ("" if over else "; the next doctor looks for it again")
            self._find("delete", account, follows, problem=True)
            return
        trial = TrialMonitor(token=self._token, at="", monitor_id=monitor_id, seen=True)

        async def look() -> bool | None:
            return None if trial.among(await self._api.list_mail_monitors()) else True

        gone, _ = await unless_stopped(self._until(look), self._stop)
        took = time.monotonic() - began
        if gone is None:
            account = f"GET no longer finds it, but the list still contains it after {took:.0f} s"
            self._find("delete", account, "a run may take deleted monitors for existing ones", problem=True)
        else:
            account = f"GET no longer finds it at once, the list after {took:.1f} s"
            self._find("delete", account, "undo works; nothing is left behind")

    # ── helpers ──

    @property
    def _trial(self) -> TrialMonitor:
        trial = self._trials.get(self._token)
        assert trial is not None  # it is noted as long as its monitor may be there
        return trial

    def _give_way(self) -> None:
        if self._stop.reason is not None:
            raise self._stop.reason

    async def _look_for(self, monitor_id: str, began: float, is_good: Callable[[Item], bool]) -> _Looks:
        """Look by ID and in the list until both show the monitor as it should be, or time is up."""
        looks, trial = _Looks(), self._trial

        async def look() -> bool | None:
            if looks.single is None:
                item = await self._api.get(monitor_id)
                if item is not None and is_good(item):
                    looks.single, looks.until_single = item, time.monotonic() - began
                    if trial.is_shown_by(item):
                        self._trials.record_seen(self._token)
            if looks.listed is None:
                items = await self._api.list_mail_monitors()
                self._twins = self._twins or len(trial.among(items)) > 1
                item = next((item for item in items if str(item["id"]) == monitor_id and is_good(item)), None)
                if item is not None:
                    looks.listed, looks.until_listed = item, time.monotonic() - began
            return True if looks.single is not None and looks.listed is not None else None

        await self._until(look)
        return looks

    async def _until(self, look: Callable[[], Awaitable[T | None]]) -> tuple[T | None, float]:
        """Look until something is found, or time is up. Returns also how many seconds that took."""
        began, pause = time.monotonic(), FIRST_POLL
        while True:
            found = await look()
            took = time.monotonic() - began
            if found is not None or took + pause > self._options.settle_timeout:
                return found, took
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_POLL)
