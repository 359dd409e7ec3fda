"""A forecast says what a run would send, what is billed and who would be alerted, and never more than is known."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulkload.model import Status
from bulkload.operations.forecast import MAX_VALUES, OTHERS, Forecast, Switch, forecast_of, forecast_of_run
from bulkload.operations.forecast_texts import Fact, facts
from bulkload.sandbox import AlertRecipient, Faults, RecipientGroup, Rule, SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import (
    PLAN,
    ApiRequest,
    CommandLine,
    FakeResponse,
    fake_api,
    imap,
    list_response,
)
from tests.support.stores import stored_run

EVERYBODY = "New monitors are in no recipient group, so they alert all recipients."
SANDBOX_RECIPIENTS = "2 recipients: Mail team (mail-team@example.com); Chat #mail (POST JSON request to web server)"


def create(**fields: object) -> tuple[Status, str]:
    """A row to be created."""
    return Status.WILL_CREATE, json.dumps({"billing_plancode": PLAN, "name": "a", "hostname": "h", **fields})


def update(**fields: object) -> tuple[Status, str]:
    """A row to be updated, with the fields that change."""
    return Status.WILL_UPDATE, json.dumps(fields)


def by_label(forecast: Forecast) -> dict[str, Fact]:
    """The facts about a forecast."""
    return {fact.label: fact for fact in facts(forecast)}


def test_rows_are_summed_up_by_what_they_cost() -> None:
    forecast = forecast_of(
        [
            create(interval=15, enabled=True, notify_on_error=False, locations=[{"id": 10}, {"id": 20}]),
            create(interval=5, enabled=False, notify_on_error=True),
            create(billing_plancode="VMNODE-100"),
            (Status.EXISTS, None),
            (Status.INVALID, None),
            update(interval=5, note="x"),
            update(note="y"),
        ],
        rate=2,
    )
    assert forecast.counts == {Status.EXISTS: 1, Status.INVALID: 1, Status.WILL_CREATE: 3, Status.WILL_UPDATE: 2}
    assert (forecast.requests, forecast.seconds, forecast.creates, forecast.updates) == (5, 2.5, 3, 2)
    assert forecast.plan_codes == {PLAN: 2, "VMNODE-100": 1}
    assert forecast.intervals == {15: 1, 5: 1, 0: 1}
    assert forecast.checks_per_day == 96  # neither the one that is off nor the one without an interval
    assert forecast.locations == {"10, 20": 1, "": 2}
    assert forecast.monitoring == Switch(on=1, off=1, default=1)
    assert forecast.alerting == Switch(on=1, off=1, default=1)
    assert forecast.changed_fields == {"note": 2, "interval": 1}


def test_facts_are_short_and_in_plain_words() -> None:
    rows = [create(interval=15, enabled=True)] * 3 + [create(enabled=True, notify_on_error=False)]
    shown = facts(forecast_of([*rows, update(note="x")], rate=5))
    default = "AlertSite's default"
    assert shown == [
        Fact("Time", "about 1.0 s", "5 requests at 5 requests per second."),
        Fact("Plan code", PLAN, "4 new monitors. The API does not show how many more a plan allows."),
        Fact(
            "Interval",
            f"15 min (3), {default} (1)",
            "288 checks per day in all, each counted once for all its locations."
            f" 1 monitor with {default} not included.",
        ),
        Fact("Locations", default),
        Fact("Monitoring", "on"),
        Fact("Availability alerts", f"off (1), {default} (3)"),
        Fact("Changes", "note", "In 1 existing monitor."),
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], [Fact("Time", "none", "A run would send nothing.")]),
        ([(Status.EXISTS, None)], [Fact("Time", "none", "A run would send nothing.")]),
    ],
)
def test_a_run_that_sends_nothing_has_no_other_facts(rows: list[tuple[Status, None]], expected: list[Fact]) -> None:
    assert facts(forecast_of(rows, rate=5)) == expected


def test_without_a_rate_limit_the_time_is_not_promised() -> None:
    assert facts(forecast_of([create()], rate=0))[0].detail == "1 request, as fast as the API allows."


def test_with_first_only_those_rows_are_billed_but_all_are_counted() -> None:
    rows = [create(), (Status.EXISTS, None), update(note="x"), create(billing_plancode="other")]
    forecast = forecast_of(rows, rate=1, first=2)
    assert (forecast.requests, forecast.creates, forecast.updates) == (2, 1, 1)
    assert forecast.plan_codes == {PLAN: 1}
    assert forecast.counts == {Status.EXISTS: 1, Status.WILL_CREATE: 2, Status.WILL_UPDATE: 1}


@pytest.mark.parametrize(
    "odd",
    [
        {"interval": "5"},
        {"interval": 0},
        {"interval": -5},
        {"interval": True},
        {"interval": 1.5},
        {"locations": "10"},
        {"locations": [10, None]},
        {"enabled": "yes"},
        {"notify_on_error": []},
        {"billing_plancode": {"a": "\x1b[31m\n"}},
        {"billing_plancode": "x" * 500},
    ],
)
def test_values_that_a_column_of_the_api_brings_are_survived_and_shown_in_one_short_line(
    odd: dict[str, object],
) -> None:
    forecast = forecast_of([create(**odd)], rate=5)
    assert forecast.checks_per_day == 0
    for fact in facts(forecast):
        assert fact.text.isprintable()
        assert len(fact.text) <= 60


def test_values_beyond_a_number_are_counted_together_so_that_memory_stays_flat() -> None:
    def rows(count: int) -> Iterator[tuple[Status, str]]:
        return (
            create(billing_plancode=f"P{n}", interval=n + 1, locations=[{"id": n}], **{f"field{n}": n})
            for n in range(count)
        )

    forecast = forecast_of(rows(MAX_VALUES + 500), rate=5)
    assert forecast.plan_codes[OTHERS] == 500
    assert sum(forecast.plan_codes.values()) == sum(forecast.intervals.values()) == MAX_VALUES + 500
    peaks = []
    for count in (2 * MAX_VALUES, 8 * MAX_VALUES):
        tracemalloc.start()
        forecast_of(rows(count), rate=5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_forecast_of_a_run_is_made_from_the_store(tmp_path: Path) -> None:
    with stored_run(tmp_path, rows=3) as (store, run, context):
        store.db.execute("UPDATE rows SET monitor_id = '7', patch = '{\"interval\":5}' WHERE position = 1")
        store.db.execute("UPDATE rows SET state = 'exists' WHERE position = 2")
        forecast = forecast_of_run(context)
        assert forecast.counts == {Status.EXISTS: 1, Status.WILL_CREATE: 1, Status.WILL_UPDATE: 1}
        assert (forecast.creates, forecast.updates, forecast.changed_fields) == (1, 1, {"interval": 1})
        assert context.rows.has_creates()
        store.db.execute("UPDATE rows SET state = 'created' WHERE position = 0")
        assert not context.rows.has_creates()
        assert facts(forecast_of_run(context))[0].text == "about 0.2 s"
        assert run.id


# ── who would be alerted ───────────────────────────────────────────────────────────────────────────────────────────


def plan_alerts(cli: CommandLine, *rows: dict[str, object]) -> str:
    """The line of `plan` about alerts; empty if there is none."""
    shown = cli("plan", cli.write_csv("hosts.csv", list(rows) or [imap("a")])).stdout.splitlines()
    found = [line for line in shown if line.startswith("Alerts: ")]
    assert len(found) <= 1
    return found[0].removeprefix("Alerts: ") if found else ""


def test_a_plan_says_who_would_be_alerted_and_a_run_does_not_ask(cli: CommandLine, sandbox: Sandbox) -> None:
    assert plan_alerts(cli) == f"{SANDBOX_RECIPIENTS}. {EVERYBODY}"
    assert sandbox.counts() == {"login": 1, "list": 1, "recipients": 1, "groups": 1}
    as_json = cli("plan", "hosts.csv", "--json").json
    assert as_json["requests"]["sent"] == 4
    assert as_json["alerts"] == {
        "recipients": ["Mail team (mail-team@example.com)", "Chat #mail (POST JSON request to web server)"],
        "count": 2,
        "off": 0,
        "default_group": None,
        "problem": None,
        "new_monitors": {"on": 0, "off": 0, "default": 1},
    }
    sandbox.forget_requests()
    cli("run", "hosts.csv")
    assert {"recipients", "groups"}.isdisjoint(sandbox.counts())


def test_nobody_is_asked_if_nothing_would_be_created(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("hosts.csv", [imap("a")]))
    sandbox.forget_requests()
    for option in ([], ["--on-existing", "update"], ["--on-existing", "fail"]):
        cli.write_csv("hosts.csv", [imap("a", note="other")])
        planned = cli("plan", "hosts.csv", "--json", *option).json
        assert planned["alerts"] is None
    assert {"recipients", "groups"}.isdisjoint(sandbox.counts())
    assert plan_alerts(cli, imap("a")) == ""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([imap("a", notify_on_error="no")], "nobody. All new monitors have alerts off."),
        (
            [imap("a", notify_on_error="no"), imap("b", notify_on_error="yes"), imap("c")],
            f"{SANDBOX_RECIPIENTS}. {EVERYBODY} Alerts are off for 1 of 3 new monitors.",
        ),
    ],
)
def test_rows_that_switch_alerts_off_are_named(
    cli: CommandLine, sandbox: Sandbox, rows: list[dict[str, object]], expected: str
) -> None:
    assert plan_alerts(cli, *rows) == expected


def recipients(count: int, *, availability_alert: bool = True) -> tuple[AlertRecipient, ...]:
    """Recipients that are alerted by e-mail."""
    return tuple(
        AlertRecipient(
            id=number, name=f"r{number}", recipient=f"r{number}@example.com", availability_alert=availability_alert
        )
        for number in range(1, count + 1)
    )


FEW = "1 recipient: r1 (r1@example.com)"
DAY = f"{FEW}. New monitors are in no recipient group, so they alert the default group Day."


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (SandboxOptions(recipients=()), f"nobody. {EVERYBODY} There are none."),
        (
            SandboxOptions(recipients=recipients(1, availability_alert=False)),
            f"nobody. {EVERYBODY} None of them has availability alerts on.",
        ),
        (
            SandboxOptions(recipients=recipients(2), groups=(RecipientGroup(id=7, name="Night", recipients=(2,)),)),
            f"2 recipients: r1 (r1@example.com); r2 (r2@example.com). {EVERYBODY}",
        ),
        (
            SandboxOptions(
                recipients=recipients(2), groups=(RecipientGroup(id=7, name="Day", recipients=(1,), is_default=True),)
            ),
            DAY,
        ),
        (
            SandboxOptions(
                recipients=recipients(2),
                groups=(RecipientGroup(id=7, name="Day", recipients=(1,), is_default=True, errortypes=(1,)),),
            ),
            f"{DAY} It covers some types of errors only.",
        ),
    ],
)
def test_new_monitors_alert_the_default_group_or_else_everybody(
    cli: CommandLine, options: SandboxOptions, expected: str
) -> None:
    with running(options) as sandbox:
        cli.use_account(sandbox.base_url)
        assert plan_alerts(cli) == expected


def test_recipients_whose_alerts_are_off_are_not_named(cli: CommandLine) -> None:
    both = (*recipients(1), AlertRecipient(id=9, name="q", recipient="q@example.com", availability_alert=False))
    with running(SandboxOptions(recipients=both)) as sandbox:
        cli.use_account(sandbox.base_url)
        assert plan_alerts(cli) == f"{FEW}. {EVERYBODY} Availability alerts are off for 1 recipient."


def test_the_first_ten_recipients_are_named(cli: CommandLine) -> None:
    with running(SandboxOptions(recipients=recipients(22), page_size=5)) as sandbox:
        cli.use_account(sandbox.base_url)
        line = plan_alerts(cli)
        assert line.startswith("22 recipients: r1 (r1@example.com); r2 ")
        assert "r10 (r10@example.com); and 12 more. New monitors" in line
        alerts = cli("plan", "hosts.csv", "--json").json["alerts"]
        assert (alerts["count"], len(alerts["recipients"])) == (22, 10)


UNREADABLE = "not known. The account's alert recipients could not be read: "


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("wrong-role", "sandbox: The user's role does not allow this."),
        ("page-before", "HTTP 502: <!DOCTYPE html>"),
        ("redirect", "HTTP 302"),
        ("garbled", "the response has an unknown shape."),
        ("drop-before", "does not respond"),
    ],
)
def test_a_plan_stands_even_if_the_recipients_cannot_be_read(
    cli: CommandLine, sandbox: Sandbox, fault: str, reason: str
) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("recipients",)),)))
    line = plan_alerts(cli)
    assert line.startswith(UNREADABLE)
    assert reason in line
    assert not line.endswith("..")
    planned = cli("plan", "hosts.csv", "--json")
    assert (planned.exit_code, planned.json["stopped"], planned.json["counts"]) == (0, None, {"will create": 1})
    assert planned.json["alerts"]["problem"].rstrip(".") in line
    assert sandbox.counts()["recipients"] <= 8  # in two plans; the HTTP client itself repeats a GET once
    assert "groups" not in sandbox.counts()


def test_a_plan_names_the_recipients_even_if_the_groups_cannot_be_read(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("groups",)),)))
    assert plan_alerts(cli) == (
        f"{SANDBOX_RECIPIENTS}. New monitors alert all recipients, unless the account has a default recipient group."
        " The account's recipient groups could not be read: sandbox: The user's role does not allow this."
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda request: FakeResponse(content={"errors": []}, status=404), f"{UNREADABLE}HTTP 404"),
        (lambda request: FakeResponse(content={"errors": []}, status=401), f"{UNREADABLE}The API refuses the token"),
        (lambda request: FakeResponse(content="[" * 100_000), f"{UNREADABLE}the response has an unknown shape."),
        (
            lambda request: list_response({**imap("x"), "id": 5, "type": "email-imap"}),
            f"{UNREADABLE}the list contains something that is not a recipient.",
        ),
        (
            lambda request: FakeResponse(content={"results": [{"id": 1, "method_id": 12, "name": "a\x1b[2J\nb"}]}),
            "1 recipient: a\ufffd[2J b. New monitors alert all recipients, unless",
        ),
    ],
)
def test_odd_answers_stop_nothing_and_control_no_terminal(
    cli: CommandLine, answer: Callable[[ApiRequest], FakeResponse], expected: str
) -> None:
    with fake_api(lambda request: list_response() if request.path == "/monitors" else answer(request)) as server:
        cli.use_account(server.base_url)
        line = plan_alerts(cli)
        assert line.startswith(expected)
        assert line.isprintable()
        assert cli("plan", "hosts.csv").exit_code == 0


def test_a_plan_that_stopped_knows_nothing_about_alerts(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="list-shape"),)))
    planned = cli("plan", cli.write_csv("hosts.csv", [imap("a")]))
    assert (planned.exit_code, "Alerts:" in planned.stdout) == (3, False)
    assert cli("plan", "hosts.csv", "--json").json["alerts"] is None
    assert sandbox.counts().get("recipients") is None


def test_requests_about_recipients_keep_the_rate_limit(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rate_limit=2, rate_window=0.2))
    assert plan_alerts(cli).startswith(SANDBOX_RECIPIENTS)
    assert sandbox.counts()["throttled"] > 0
