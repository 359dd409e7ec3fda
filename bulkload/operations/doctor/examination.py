"""Find out how a real account lists, displays and limits monitors, which AlertSite does not document.

In: an account. Out: findings, told one by one, and what was learned in the store. Reading sends a login and GETs only.
A trial makes one monitor that is switched off, looks at it, changes it and deletes it; what an earlier trial has left
is always deleted first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bulkload import clock
from bulkload.errors import BulkloadError, ExitCode, UsageError
from bulkload.monitors.display_profile import UNKNOWN
from bulkload.monitors.header import field_named
from bulkload.operations.doctor import findings
from bulkload.operations.doctor.cleanup import OnFinding, clear_leftovers
from bulkload.operations.doctor.findings import Finding, plans
from bulkload.operations.doctor.trial import KIND, PORT, Attempt, awkward_name, host_name
from bulkload.operations.pipeline import account_id_of, locked_store
from bulkload.operations.session import Session, StopRequest, run_session, unless_stopped
from bulkload.settings import Account, Options
from bulkload.stages.listing import Coverage, identify, profile_of
from bulkload.store.account_record import AccountRecord
from bulkload.store.runs import Store
from bulkload.store.trial_monitors import TrialMonitors, new_token

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api

PLAN = "billing_plancode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The monitor that a trial would make."""

    type: str
    name: str
    host: str
    port: int
    plan: str
    plan_is_guessed: bool  # it is the one that most monitors of the account have


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """How it ended."""

    exit_code: ExitCode
    findings: tuple[Finding, ...]
    learned: tuple[str, ...] = ()  # sentences
    tried: bool = False
    stopped: BulkloadError | None = None
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)


def examine(
    account: Account, options: Options, on_finding: OnFinding, agree: Callable[[Proposal], bool] | None = None
) -> Examined:
    """Find out what an account does; with `agree`, and if it says so, also by a trial.

    Exit code 0: all that was asked was found out. 1: something keeps bulkload from being safe or whole here.
    """
    with locked_store(options) as store:
        account_id = account_id_of(store, account, options)
        return _Examination(store, account_id, account, options, on_finding).run(agree)


def check_set(defaults: Iterable[str]) -> None:
    """Raise `UsageError` unless all `FIELD=VALUE` texts of --set are plan codes."""
    for text in defaults:
        if field_named(text.partition("=")[0]) != PLAN:
            raise UsageError(f"--set {text}: doctor takes only {PLAN}.")


class _Examination:
    """One examination."""

    def __init__(
        self, store: Store, account_id: int, account: Account, options: Options, on_finding: OnFinding
    ) -> None:
        self._record = AccountRecord(store, account_id)
        self._trials = TrialMonitors(store, account_id)
        self._account = account
        self._options = options
        self._on_finding = on_finding
        self._findings: list[Finding] = []
        self._sessions: list[Session] = []
        self._items: list[Mapping[str, Any]] = []
        self._limits: dict[str, str] = {}  # headers of the answers to reading

    def run(self, agree: Callable[[Proposal], bool] | None) -> Examined:
        """Read, and try if that is wanted."""
        self._hold(self._read)
        tried = False
        if agree is not None and self._stopped is None:
            token = new_token()
            proposal = self._proposal(token)
            if tried := agree(proposal):
                attempt = Attempt(self._record, self._trials, token, proposal.plan, self._options, self._tell)
                self._hold(lambda api, stop: self._try(attempt, api, stop))
        exit_code = ExitCode.ROWS_LEFT if any(finding.problem for finding in self._findings) else ExitCode.DONE
        if self._stopped is not None:
            exit_code = self._stopped.exit_code
        requests: dict[str, int] = {}
        for session in self._sessions:
            for kind, count in session.requests.items():
                requests[kind] = requests.get(kind, 0) + count
        return Examined(
            exit_code=exit_code,
            findings=tuple(self._findings),
            learned=tuple(profile_of(self._record).sentences(UNKNOWN)),
            tried=tried,
            stopped=self._stopped,
            seconds=sum(session.seconds for session in self._sessions),
            requests=requests,
        )

    @property
    def _stopped(self) -> BulkloadError | None:
        return next((session.stopped for session in self._sessions if session.stopped is not None), None)

    def _hold(self, work: Callable[[Api, StopRequest], Any]) -> None:
        self._sessions.append(run_session(self._account, self._options, work))

    def _tell(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._on_finding(finding)

    async def _read(self, api: Api, stop: StopRequest) -> None:
        """Look once, and clear away what earlier trials have left."""
        requested_at = clock.moment()
        items = await unless_stopped(api.list_mail_monitors(), stop)
        self._tell(self._login())
        pages = list(api.pages)
        gone = await unless_stopped(clear_leftovers(api, self._trials, items, self._options, self._tell), stop)
        self._items = [item for item in items if str(item["id"]) not in gone]
        listing = identify(self._record, requested_at, self._items, log_alterations=False)
        for finding in findings.of_list(listing, pages, api.type_spellings):
            self._tell(finding)
        self._limits = dict(api.limit_headers)
        self._tell(findings.of_limits(api.limit_headers, api.pace.throttled, self._options.rate))
        self._tell(findings.of_store(listing, Coverage.of(self._record, listing)))
        self._tell(findings.of_showing(listing.profile))

    async def _try(self, attempt: Attempt, api: Api, stop: StopRequest) -> None:
        """Carry out a trial; its answers may speak of other limits than those of the list."""
        try:
            await attempt.run(api, stop)
        finally:
            if api.limit_headers.keys() - self._limits.keys() or api.pace.throttled:
                self._tell(findings.of_limits(api.limit_headers, api.pace.throttled, self._options.rate))

    def _login(self) -> Finding:
        by_password = bool(self._account.password.get_secret_value())
        means = "user name and password" if by_password else "an access token"
        if self._options.sandbox:
            where = public = "the stand-in that comes with bulkload"
        else:
            who = f"{self._account.username} at " if self._account.username else ""
            where, public = f"{who}{self._account.base_url}, by {means}", f"by {means}"
        lasting = by_password or self._options.sandbox
        follows = (
            "a token that expires is renewed"
            if lasting
            else "it is valid for one hour; a longer run needs the password"
        )
        return Finding(topic="login", account=where, follows=follows, public=public)

    def _proposal(self, token: str) -> Proposal:
        given = {field_named(name): value for name, value in self._options.set.items()}
        guessed = plans(self._items).most_common(1)
        plan = given.get(PLAN) or (guessed[0][0] if guessed else "")
        if not plan:
            raise UsageError(
                "Nothing was created: no monitor shows which plan code the account has;"
                f' add --set {PLAN}="…", the code under Settings > Plan Details.'
            )
        return Proposal(
            type=KIND,
            name=awkward_name(token),
            host=host_name(token),
            port=PORT,
            plan=plan,
            plan_is_guessed=not given.get(PLAN),
        )
