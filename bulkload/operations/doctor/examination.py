"""Find out how an account lists, displays and limits monitors, which AlertSite does not document.

In: an account. Out: findings, reported one by one, and a display profile in the store. Reading the account sends only a
login and GET requests. A trial creates one disabled monitor, reads it, updates it and deletes it. Monitors that earlier
trials have left are always deleted first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bulkload import clock
from bulkload.errors import BulkloadError, ExitCode, UsageError
from bulkload.monitors.display_profile import UNKNOWN
from bulkload.monitors.header import field_named
from bulkload.operations.doctor.cleanup import OnFinding, delete_leftovers
from bulkload.operations.doctor.finding import Finding
from bulkload.operations.doctor.list_findings import (
    limits_finding,
    list_findings,
    own_monitors_finding,
    plan_counts,
    profile_finding,
)
from bulkload.operations.doctor.trial import MONITOR_TYPE, PORT, TrialRunner, hostname, unusual_name
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
    """The monitor that a trial would create."""

    type: str
    name: str
    hostname: str
    port: int
    plan: str
    is_most_common_plan: bool  # of the account; no plan code was specified


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminationResult:
    """How an examination ended."""

    exit_code: ExitCode
    findings: tuple[Finding, ...]
    learned: tuple[str, ...] = ()  # a sentence for each known alteration
    tried: bool = False  # a trial was carried out
    stopped: BulkloadError | None = None
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)


def examine(
    account: Account, options: Options, on_finding: OnFinding, agree: Callable[[Proposal], bool] | None = None
) -> ExaminationResult:
    """Examine an account; with a trial, if `agree` is given and returns True.

    Exit code 0: there are no problems. 1: there are.
    """
    with locked_store(options, "doctor") as store:
        account_id = account_id_of(store, account, options)
        return _Examination(store, account_id, account, options, on_finding).run(agree)


def check_defaults(defaults: Iterable[str]) -> None:
    """Raise `UsageError` unless all `FIELD=VALUE` texts of --set are plan codes."""
    for text in defaults:
        if field_named(text.partition("=")[0]) != PLAN:
            raise UsageError(f"--set {text}: doctor accepts only {PLAN}.")


class _Examination:
    """One examination of an account."""

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
        self._limit_headers: dict[str, str] = {}  # of the responses before the trial

    def run(self, agree: Callable[[Proposal], bool] | None) -> ExaminationResult:
        """Read the account; carry out a trial if `agree` returns True."""
        self._connect(self._read)
        tried = False
        if agree is not None and self._stopped is None:
            token = new_token()
            proposal = self._proposal(token)
            if tried := agree(proposal):
                trial = TrialRunner(self._record, self._trials, token, proposal.plan, self._options, self._report)
                self._connect(lambda api, stop: self._try(trial, api, stop))
        exit_code = ExitCode.ROWS_LEFT if any(finding.is_problem for finding in self._findings) else ExitCode.DONE
        if self._stopped is not None:
            exit_code = self._stopped.exit_code
        requests: dict[str, int] = {}
        for session in self._sessions:
            for kind, count in session.requests.items():
                requests[kind] = requests.get(kind, 0) + count
        return ExaminationResult(
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

    def _connect(self, work: Callable[[Api, StopRequest], Any]) -> None:
        self._sessions.append(run_session(self._account, self._options, work))

    def _report(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._on_finding(finding)

    async def _read(self, api: Api, stop: StopRequest) -> None:
        """List the monitors once, and delete those that earlier trials have left."""
        requested_at = clock.moment()
        items = await unless_stopped(api.list_mail_monitors(), stop)
        self._report(self._login())
        pages = list(api.pages)
        deleted_ids = await unless_stopped(
            delete_leftovers(api, self._trials, items, self._options, self._report), stop
        )
        self._items = [item for item in items if str(item["id"]) not in deleted_ids]
        listing = identify(self._record, requested_at, self._items, log_alterations=False)
        for finding in list_findings(listing, pages, api.type_spellings):
            self._report(finding)
        self._limit_headers = dict(api.limit_headers)
        self._report(limits_finding(api.limit_headers, api.pace.throttled, self._options.rate))
        self._report(own_monitors_finding(listing, Coverage.of(self._record, listing)))
        self._report(profile_finding(listing.profile))

    async def _try(self, trial: TrialRunner, api: Api, stop: StopRequest) -> None:
        """Carry out a trial; its responses may have other headers about limits than the list."""
        try:
            await trial.run(api, stop)
        finally:
            if api.limit_headers.keys() - self._limit_headers.keys() or api.pace.throttled:
                self._report(limits_finding(api.limit_headers, api.pace.throttled, self._options.rate))

    def _login(self) -> Finding:
        has_password = bool(self._account.password.get_secret_value())
        credentials = "user name and password" if has_password else "an access token"
        if self._options.sandbox:
            behaviour = public_behaviour = "accepted by the sandbox"
        else:
            user = f"{self._account.username} at " if self._account.username else ""
            behaviour, public_behaviour = f"{user}{self._account.base_url}, with {credentials}", f"with {credentials}"
        consequence = (
            "bulkload renews the token when it expires"
            if has_password or self._options.sandbox
            else "the token is valid for one hour; a longer run needs user name and password"
        )
        return Finding(topic="login", behaviour=behaviour, consequence=consequence, public_behaviour=public_behaviour)

    def _proposal(self, token: str) -> Proposal:
        defaults = {field_named(name): value for name, value in self._options.set.items()}
        most_common = plan_counts(self._items).most_common(1)
        plan = defaults.get(PLAN) or (most_common[0][0] if most_common else "")
        if not plan:
            raise UsageError(
                "Nothing was created, because no monitor displays a plan code;"
                f' add --set {PLAN}="…" with the code from Settings > Plan Details.'
            )
        return Proposal(
            type=MONITOR_TYPE,
            name=unusual_name(token),
            hostname=hostname(token),
            port=PORT,
            plan=plan,
            is_most_common_plan=not defaults.get(PLAN),
        )
