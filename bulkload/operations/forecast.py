"""What a run would do in the account: what it sends, how long that takes, what is billed, who would be alerted.

In: the planned rows of a run in the store, or rows with predicted status and body; the account. Out: a `Forecast`.
`forecast_texts` makes sentences of it. Nothing is sent but GET requests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bulkload.errors import ApiError, BulkloadError, ExitCode, RunStopped
from bulkload.model import Status, in_order
from bulkload.operations.pipeline import plan_run
from bulkload.stages.context import RunContext

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.operations.session import Session

MAX_VALUES = 1_000  # different values of a field that are counted; a file can have a plan code of its own in each row
FIRST_RECIPIENTS = 10  # that are named
MINUTES_PER_DAY = 24 * 60
OTHERS = "other values"

_PLANNED = {Status.WILL_CREATE: False, Status.WILL_UPDATE: True}  # status → the monitor exists


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """In how many new monitors a switch is on or off, or AlertSite's default for the account decides."""

    on: int = 0
    off: int = 0
    default: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Who would be alerted by a new monitor with availability alerts on.

    A monitor in no recipient group alerts all recipients of the account, whether or not they are in groups, unless the
    account has a default group: then it alerts that (AlertSite's documentation, "Recipient Groups"). A create puts a
    monitor in no group. When and how often a recipient is alerted depends on their own settings and blackouts.
    """

    recipients: tuple[str, ...] = ()  # the first `FIRST_RECIPIENTS`, as they may be shown
    count: int = 0  # of all of them
    off: int = 0  # further ones, whose availability alerts are off
    default_group: str = ""  # empty: there is none, so everybody is alerted
    only_some_errors: bool = False  # the default group covers some types of errors only
    problem: str = ""  # why the recipients could not be read
    group_problem: str = ""  # why the recipient groups could not be read; the recipients are all of the account's


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run would do now. All but `counts` is about the rows that it would send, with `first` only the first ones.

    What is counted of new monitors is what their rows say. Mappings give rows by value, the most frequent first.
    """

    counts: Mapping[Status, int]  # all rows of the input
    requests: int | None  # None: the plan stopped too early to know
    seconds: float | None
    rate: float  # requests per second; 0: no limit
    first: int | None = None
    creates: int = 0
    updates: int = 0
    plan_codes: Mapping[str, int] = field(default_factory=dict)
    intervals: Mapping[int, int] = field(default_factory=dict)  # minutes; 0: AlertSite's default
    checks_per_day: int = 0  # of new monitors that give an interval and are not switched off
    locations: Mapping[str, int] = field(default_factory=dict)  # "10, 20"; empty: AlertSite's default
    monitoring: Switch = Switch()  # `enabled`
    alerting: Switch = Switch()  # `notify_on_error`
    changed_fields: Mapping[str, int] = field(default_factory=dict)  # of updates
    alerts: Alerts | None = None  # None: not asked, because nothing would be created or the plan stopped


def plan_with_forecast(context: RunContext) -> tuple[Session, Forecast]:
    """Plan a run, ask the account who would be alerted by new monitors, and sum up."""
    alerts: list[Alerts] = []

    async def ask(api: Api) -> None:
        if context.rows.has_creates():
            alerts.append(await read_alerts(api))

    session = plan_run(context, ask)
    return session, forecast_of_run(context, session.stopped, alerts[0] if alerts else None)


def forecast_of_run(
    context: RunContext, stopped: BulkloadError | None = None, alerts: Alerts | None = None
) -> Forecast:
    """The forecast of a run in the store whose rows were planned, unless something stopped the plan."""
    options = context.options
    if stopped is not None:
        run_would_stop = stopped.exit_code in (ExitCode.ROWS_LEFT, ExitCode.TOO_MANY_ERRORS)
        requests = 0 if run_would_stop else None
        seconds = None if requests is None else 0.0
        counts = context.store.counts(context.run)
        return Forecast(counts=counts, requests=requests, seconds=seconds, rate=options.rate, first=options.first)
    planned = ((Status.WILL_UPDATE if exists else Status.WILL_CREATE, body) for exists, body in context.rows.planned())
    forecast = forecast_of(planned, rate=options.rate, first=options.first, alerts=alerts)
    others = context.store.counts(context.run)
    others.pop(Status.NOT_ATTEMPTED, None)
    return replace(forecast, counts=in_order({**others, **forecast.counts}))


def forecast_of(
    rows: Iterable[tuple[Status | str, str | bytes | None]],
    *,
    rate: float,
    first: int | None = None,
    alerts: Alerts | None = None,
) -> Forecast:
    """The forecast of rows in order, each with its predicted status and what would be sent for it, as JSON.

    That is the body of the create, or the changed fields of the update. `rate` is in requests per second; 0: no limit.
    """
    counts: Counter[Status] = Counter()
    tally = _Tally()
    for status, body in rows:
        status = Status(status)
        counts[status] += 1
        if status in _PLANNED and (not first or tally.rows < first):
            tally.add(json.loads(body) if body else {}, exists=_PLANNED[status])
    return Forecast(
        counts=in_order(counts),
        requests=tally.rows,
        seconds=tally.rows / rate if rate else 0.0,
        rate=rate,
        first=first,
        creates=tally.rows - tally.updates,
        updates=tally.updates,
        plan_codes=tally.plan_codes.by_frequency(),
        intervals=tally.intervals.by_frequency(),
        checks_per_day=round(tally.checks_per_day),
        locations=tally.locations.by_frequency(),
        monitoring=_switch(tally.monitoring),
        alerting=_switch(tally.alerting),
        changed_fields=tally.changed_fields.by_frequency(),
        alerts=alerts,
    )


async def read_alerts(api: Api) -> Alerts:
    """Ask the account who is alerted by monitors in no recipient group; whatever the API answers, nothing stops."""
    try:
        everybody = await api.recipients()
    except (ApiError, RunStopped) as error:
        return Alerts(problem=_reason(error))
    chosen, default_groups, group_problem = everybody, [], ""
    try:
        default_groups = [group for group in await api.recipient_groups() if group.is_default]
    except (ApiError, RunStopped) as error:
        group_problem = _reason(error)
    if default_groups:
        known = {recipient.recipient_id: recipient for recipient in everybody}
        members = {member.recipient_id: member for group in default_groups for member in group.recipients}
        chosen = [known.get(recipient_id, member) for recipient_id, member in members.items()]
    alerted = [recipient.shown for recipient in chosen if recipient.gets_availability_alerts]
    return Alerts(
        recipients=tuple(alerted[:FIRST_RECIPIENTS]),
        count=len(alerted),
        off=len(chosen) - len(alerted),
        default_group=", ".join(group.name for group in default_groups),
        only_some_errors=any(group.only_some_errors for group in default_groups),
        group_problem=group_problem,
    )


class _Values(Counter[Any]):
    """Counts rows by value, of at most `MAX_VALUES` different ones, so that memory stays flat."""

    def add(self, value: Any, others: Any = OTHERS) -> None:
        self[value if value in self or len(self) < MAX_VALUES else others] += 1

    def by_frequency(self) -> dict[Any, int]:
        return dict(self.most_common())


class _Tally:
    """Sums up the rows that would be sent."""

    def __init__(self) -> None:
        self.rows = 0
        self.updates = 0
        self.plan_codes = _Values()
        self.intervals = _Values()
        self.checks_per_day = 0.0
        self.locations = _Values()
        self.monitoring = _Values()
        self.alerting = _Values()
        self.changed_fields = _Values()

    def add(self, body: Mapping[str, Any], *, exists: bool) -> None:
        self.rows += 1
        if exists:
            self.updates += 1
            for name in body:
                self.changed_fields.add(name)
            return
        interval = _minutes(body.get("interval"))
        self.plan_codes.add(str(body.get("billing_plancode", "")))
        self.intervals.add(interval, others=0)
        self.locations.add(_locations(body.get("locations")))
        self.monitoring.add(str(body.get("enabled")))
        self.alerting.add(str(body.get("notify_on_error")))
        if interval and body.get("enabled") is not False:
            self.checks_per_day += MINUTES_PER_DAY / interval


def _minutes(value: object) -> int:
    """An interval; 0 if there is none. A column such as api:interval can hold anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _locations(value: object) -> str:
    if not isinstance(value, list):
        return ""
    return ", ".join(str(item["id"]) if isinstance(item, dict) and "id" in item else str(item) for item in value)


def _switch(values: Mapping[str, int]) -> Switch:
    on, off = values.get("True", 0), values.get("False", 0)
    return Switch(on=on, off=off, default=sum(values.values()) - on - off)


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
