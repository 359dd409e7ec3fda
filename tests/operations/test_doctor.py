"""`doctor` finds out how an account displays monitors, stores it for later runs, and leaves no monitor."""

from __future__ import annotations

import io
import json
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bulkload.monitors.alterations import Alteration
from bulkload.monitors.display_profile import UNKNOWN, DisplayProfile, Observation, learn_profile
from bulkload.monitors.identity import Identity
from bulkload.operations.doctor.trial import unusual_name
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.database import STORE_NAME
from bulkload.store.runs import Store
from bulkload.store.trial_monitors import TrialMonitor, TrialMonitors
from tests.support.command_line import (
    PLAN,
    ApiRequest,
    CommandLine,
    CommandResult,
    FakeResponse,
    api_request,
    fake_api,
    imap,
    list_response,
)
from tests.support.sandbox_client import USER
from tests.torture.crash_points import CrashPoint
from tests.torture.program import Workspace, open_workspace

TRY = ("doctor", "--try", "--yes", "--set", f"billing_plancode={PLAN}")
ALTERATIONS = {
    "blanks": {Alteration.SPACES},
    "cut": {Alteration.CUT},
    "cut-bytes": {Alteration.CUT},
    "escapes": {Alteration.ESCAPES},
    "escapes-twice": {Alteration.ESCAPES},
    "upper-names": {Alteration.CASE},
    "lower-names": {Alteration.CASE},
    "no-names": {Alteration.NO_NAME},
    "no-hosts": {Alteration.NO_HOST},
    "question-marks": {Alteration.NON_ASCII},
    "ascii-only": {Alteration.NON_ASCII},
    "bmp-only": {Alteration.ASTRAL},
    "compatible": {Alteration.UNICODE},
    "decomposed": set(),
    "no-ports": {Alteration.NO_PORT},
    "empty-ports": {Alteration.NO_PORT},
    "null-ports": {Alteration.NO_PORT},
    "number-texts": set(),
    "upper-hosts": set(),
    "dotted-hosts": set(),
    "host-ports": set(),
    "blanks+cut=60+escapes": {Alteration.SPACES, Alteration.CUT, Alteration.ESCAPES},
    "blanks+escapes": {Alteration.SPACES, Alteration.ESCAPES},
    "blanks+question-marks": {Alteration.SPACES, Alteration.NON_ASCII},
    "ascii-only+blanks": {Alteration.SPACES, Alteration.NON_ASCII},
    "no-names+no-hosts": {Alteration.NO_NAME, Alteration.NO_HOST},
}


def _topics(result: CommandResult) -> dict[str, str]:
    """The lines of the output, by topic."""
    matches = (re.fullmatch(r"[! ] (.{12})  (.*)", line) for line in result.stdout.splitlines())
    return {match[1].strip(): match[0] for match in matches if match}


def _display_profile(folder: Path) -> DisplayProfile:
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return DisplayProfile.from_json(database.execute("SELECT showing FROM accounts").fetchone()[0])


def _trials(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return database.execute("SELECT monitor_id FROM trials").fetchall()


@pytest.mark.parametrize("way", ALTERATIONS)
def test_a_trial_learns_how_monitors_are_displayed(way: str, cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(shows=tuple(way.split("+"))))
    result = cli(*TRY)
    assert result.exit_code == 0, result
    assert sandbox.monitors() == []
    assert _display_profile(cli.folder / "output").alterations == ALTERATIONS[way], result.stdout
    assert _display_profile(cli.folder / "output").known
    assert _trials(cli.folder / "output") == []


@pytest.mark.parametrize("way", ["cut=20", "cut=33", "cut-bytes=40"])
def test_nothing_is_learned_from_what_is_behind_the_cut(way: str, cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(shows=(way,)))
    assert cli(*TRY).exit_code == 0
    profile = _display_profile(cli.folder / "output")
    assert profile.alterations == {Alteration.CUT}
    assert profile.exact.isdisjoint({Alteration.UNICODE, Alteration.ASTRAL, Alteration.ACCENTS})
    asked = Identity("email-imap", ("mx1.example.com",), 143, "x" * 60 + " & é \N{LARGE GREEN CIRCLE}")
    seen = Observation.of(asked, asked._replace(name="x" * 50))
    assert learn_profile(UNKNOWN, [seen], fresh=True).exact == {Alteration.TYPE, Alteration.NO_NAME, Alteration.NO_HOST}


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────


def _account(*monitors: dict[str, object], **headers: str) -> Any:
    """A server that lists these monitors and accepts no other request."""

    def answer(request: ApiRequest) -> FakeResponse:
        assert (request.method, request.path) == ("GET", "/monitors")
        response = list_response(*monitors)
        return FakeResponse(
            content=response.content, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return fake_api(answer)


def _monitor(number: int, **fields: object) -> dict[str, object]:
    return {
        "id": number,
        "type": "email-imap",
        "name": f"secret-name-{number}",
        "hostname": f"secret-host-{number}.example.com",
        "port": "",
        "ipv4": "",
        "billing_plancode": PLAN,
        **fields,
    }


def test_reading_sends_only_a_login_and_gets(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("hosts.csv", [imap("a"), imap("b", port=993)]))
    before = len(sandbox.requests())
    result = cli("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [entry.operation for entry in sandbox.requests()[before:]] == ["login", "list"]
    topics = _topics(result)
    assert "2 mail monitors: 2 imap" in topics["monitors"]
    assert f"{PLAN} (2 monitors)" in topics["plan codes"]
    assert "2 monitors created by runs of this folder: 2 listed, 2 recognised" in topics["own monitors"]
    assert "none: monitors are displayed as they were sent" in topics["alterations"]
    assert "Nothing needs attention." in result.stdout
    assert cli("runs", "--json").json[0]["input"].endswith("hosts.csv"), "no run is left in the history"


def test_ports_unset_fields_and_names_are_reported(cli: CommandLine) -> None:
    odd = [
        _monitor(1),
        _monitor(2, port=None, note=None),
        _monitor(3, port="993", ipv4=None),
        _monitor(4, port=993, name="two  blanks &amp; Ünï 🟢", note="x"),
        _monitor(5, hostname="mx.example.com:2993", name="a" * 40),
    ]
    del odd[0]["port"], odd[0]["ipv4"]
    with _account(*odd) as server:
        cli.use_account(server.base_url)
        topics = _topics(cli("doctor"))
    for port in ("1 omitted", "1 as null", "1 as a string", "1 as a number", "1 in the hostname"):
        assert port in topics["ports"]
    assert 'ipv4: "" (3), omitted (1), null (1); note: omitted (3), null (1)' in topics["unset fields"]
    assert "up to 40 characters, 1 with repeated spaces, 1 with escapes such as &amp;" in topics["names"]
    assert "1 with non-ASCII letters, 1 with emoji" in topics["names"]
    assert "1 with a port" in topics["hostnames"]


@pytest.mark.parametrize(("way", "spelling"), [("upper-types", "EMAIL-IMAP"), ("short-types", "imap")])
def test_types_with_another_spelling_are_reported(cli: CommandLine, sandbox: Sandbox, way: str, spelling: str) -> None:
    assert cli.run(cli.write_csv("hosts.csv", [imap("a")]))[0].exit_code == 0
    sandbox.set_faults(Faults(shows=(way,)))
    result = cli("doctor")
    assert f"displayed as {spelling} → recognised despite the spelling" in _topics(result)["types"]
    assert result.exit_code == 0


def test_the_pages_of_the_list_are_reported(cli: CommandLine) -> None:
    from bulkload.sandbox import SandboxOptions

    with running(SandboxOptions(page_size=2)) as sandbox:
        cli.use_account(sandbox.base_url)
        cli.run(cli.write_csv("hosts.csv", [imap("a"), imap("b"), imap("c")]))
        line = _topics(cli("doctor"))["list"]
    assert (
        "2 pages; count 2 and 1, limit 2; count is the number of monitors on the page → listing takes at least 4"
        in line
    )


def test_only_headers_about_limits_are_reported(cli: CommandLine) -> None:
    headers = {"X_RateLimit_Limit": "100", "RateLimit_Policy": "100;w=60", "X_Request_Limit": "7", "Retry_After": "0"}
    with _account(_monitor(1), X_Other="1", **headers) as server:
        cli.use_account(server.base_url)
        line = _topics(cli("doctor"))["limits"]
    for name, value in headers.items():
        assert f"{name.replace('_', '-')}: {value}" in line
    assert "X-Other" not in line


def test_the_json_object_names_no_user_host_or_monitor(cli: CommandLine) -> None:
    with _account(_monitor(1), _monitor(2), X_RateLimit_User="Somebody@Example.org") as server:
        cli.use_account(server.base_url, "somebody@example.org", "pa55word")
        result = cli("doctor", "--json")
    assert result.exit_code == result.json["exit_code"] == 0
    for private in ("somebody", "pa55word", "127.0.0.1", "secret-name", "secret-host"):
        assert private not in result.stdout.casefold()
    report = result.json
    assert report.keys() == {"findings", "learned", "tried", "stopped", "requests", "seconds", "exit_code"}
    assert all(finding.keys() == {"topic", "account", "follows", "problem"} for finding in report["findings"])
    assert report["requests"] == {"sent": 2, "throttled": 0, "retried": 0}
    assert PLAN in result.stdout


def test_the_json_object_of_an_account_that_cannot_be_read_names_no_user_either(cli: CommandLine) -> None:
    with fake_api(lambda request: FakeResponse(content={"results": ["secret-name"]})) as server:
        cli.use_account(server.base_url, "somebody@example.org")
        result = cli("doctor", "--json")
    assert result.exit_code == result.json["exit_code"] == 3
    assert "secret-name" in result.stderr
    assert "secret-name" not in result.stdout
    assert result.json["stopped"] == "The API's responses are inconsistent or have an unexpected format."
    with running() as sandbox:
        cli.use_account(sandbox.base_url, "somebody@example.org")
        result = cli("doctor", "--json")
    assert (result.exit_code, "somebody" in result.stderr, "somebody" in result.stdout) == (3, True, False)


def test_quiet_prints_only_what_needs_attention(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("hosts.csv", [imap("a")]))
    quiet = cli("doctor", "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    api_request(sandbox, "DELETE", sandbox.monitors()[0])
    quiet = cli("doctor", "--quiet")
    assert quiet.exit_code == 1
    assert re.fullmatch(r"! own monitors .* run with --trust-list\n", quiet.stdout)


@pytest.mark.parametrize("way", ["blanks", "cut=50", "escapes", "upper-names", "question-marks", "empty-ports"])
def test_reading_learns_from_monitors_that_runs_created(way: str, cli: CommandLine, sandbox: Sandbox) -> None:
    """In an account that has altered monitors only since yesterday, or after runs of an older version."""
    names = [unusual_name("0123456789ab"), unusual_name("ba9876543210").replace("and", "or")]
    cli.run(cli.write_csv("hosts.csv", [imap(name, port=2993) for name in names]))
    sandbox.set_faults(Faults(shows=(way,)))
    result = cli("doctor")
    assert (result.exit_code, result.stderr) == (0, "")
    (alteration,) = ALTERATIONS[way.partition("=")[0]]
    assert alteration.about in _topics(result)["alterations"]
    assert alteration.about in cli("doctor", "--json").json["learned"][0]


# ── what later runs use of a trial ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["blanks", "escapes", "cut=60", "question-marks", "lower-names"])
def test_a_later_run_recognises_a_monitor_of_another_folder(way: str, cli: CommandLine, sandbox: Sandbox) -> None:
    """Without the trial, the monitor would only be a candidate for the row."""
    sandbox.set_faults(Faults(shows=(way,)))
    sheet = cli.write_csv("hosts.csv", [imap(unusual_name("0123456789ab"))])
    assert cli("run", sheet, "--output", "elsewhere").exit_code == 0
    assert cli(*TRY).exit_code == 0
    result, rows = cli.run(sheet)
    assert (result.exit_code, result.stderr.count("WARNING")) == (0, 0)
    assert [(row["status"], row["error"]) for row in rows if row["status"]] == [("exists", "")]
    assert len(sandbox.monitors()) == 1


def test_a_later_run_does_not_read_its_first_monitor_back(cli: CommandLine, sandbox: Sandbox) -> None:
    assert cli(*TRY).exit_code == 0
    before = len(sandbox.requests())
    cli.run(cli.write_csv("hosts.csv", [imap("a")]))
    assert [entry.operation for entry in sandbox.requests()[before:]] == ["login", "list", "create"]


def test_the_monitor_of_a_trial_belongs_to_no_run(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("hosts.csv", [imap("a")]))
    assert cli("doctor", "--try", "--yes").exit_code == 0, "the plan is that of the existing monitors"
    with Store(cli.folder / "output") as store:
        assert store.db.execute("SELECT count(*) FROM monitors").fetchone()[0] == 1
    assert cli("undo", cli("runs", "--json").json[0]["run_id"], "--yes").exit_code == 0
    assert sandbox.monitors() == []


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────


def _creates(sandbox: Sandbox) -> int:
    return sum(entry.operation == "create" for entry in sandbox.requests())


@pytest.mark.parametrize(("answer", "exit_code", "creates"), [("y\n", 0, 1), ("n\n", 0, 0), ("", 2, 0)])
def test_a_trial_asks_first(answer: str, exit_code: int, creates: int, cli: CommandLine, sandbox: Sandbox) -> None:
    cli.monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    result = cli("doctor", "--try", "--set", f"plan={PLAN}")
    assert (result.exit_code, _creates(sandbox)) == (exit_code, creates)
    assert "Create, update and delete this monitor? [y/N]" in result.stderr
    assert re.search(r"name +bulkload doctor [0-9a-f]{12}  Aa", result.stdout)
    assert ("Nothing was created" in result.stdout + result.stderr) is not bool(creates)


@pytest.mark.parametrize("silent", ["--json", "--quiet"])
def test_a_silent_trial_needs_the_option_yes(silent: str, cli: CommandLine, sandbox: Sandbox) -> None:
    result = cli("doctor", "--try", silent, "--set", f"plan={PLAN}")
    assert (result.exit_code, result.stdout, sandbox.requests()) == (2, "", [])
    assert "add --yes" in result.stderr
    assert cli(*TRY, silent).exit_code == 0


def test_a_trial_needs_a_plan_code_and_accepts_no_other_field(cli: CommandLine, sandbox: Sandbox) -> None:
    result = cli("doctor", "--try", "--yes")
    assert (result.exit_code, _creates(sandbox)) == (2, 0)
    assert "--set billing_plancode=" in result.stderr
    assert cli("doctor", "--set", "interval=5").exit_code == 2


def test_doctor_stops_if_the_store_is_locked(cli: CommandLine, sandbox: Sandbox) -> None:
    with Store(cli.folder / "output") as store:
        store.lock()
        assert cli("doctor").exit_code == 5
        assert cli(*TRY).exit_code == 5
    assert sandbox.requests() == []


# ── what a trial reports ────────────────────────────────────────────────────────────────────────────────────────


def test_a_trial_reports_how_its_monitor_is_displayed(cli: CommandLine, sandbox: Sandbox) -> None:
    result = cli(*TRY)
    topics = _topics(result)
    assert re.search(r"all 8 fields as sent; ipv4 \(not sent\): \"\" → recognised", topics["fields"])
    assert "in the list after 0.0 s; by GET after 0.0 s" in topics["displayed"]
    assert "--on-existing update works" in topics["update"]
    assert "nothing is left" in topics["delete"]
    assert [entry.operation for entry in sandbox.requests()].count("create") == 1
    as_json = cli(*TRY, "--json")
    assert as_json.json["tried"] is True
    assert USER["username"] not in as_json.stdout


def test_after_a_rejected_name_a_plain_one_is_tried_once(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="echo-refusal", at=(1,)),)))
    result = cli(*TRY)
    assert (result.exit_code, _creates(sandbox), sandbox.monitors()) == (0, 2, [])
    assert "an unusual name is rejected: sandbox: The name bulkload doctor" in result.stdout
    sandbox.set_faults(Faults(rules=(Rule(fault="plan-full"),)))
    result = cli(*TRY)
    assert result.exit_code == 1
    assert "! create" in result.stdout
    assert _trials(cli.folder / "output") == []


@pytest.mark.parametrize("fault", ["throttle", "token-401"])
def test_a_create_that_certainly_created_nothing_is_repeated(fault: str, cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault=fault, at=(1,), on=("create",), seconds=0.1),)))
    result = cli(*TRY)
    assert (result.exit_code, _creates(sandbox), sandbox.monitors()) == (0, 2, [])
    assert ("Retry-After: " in result.stdout) is (fault == "throttle"), "headers of the trial are reported, too"


def test_the_delay_of_the_list_is_measured(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(visible_after=0.4))
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_TIMEOUT", "5")
    result = cli(*TRY)
    delay = re.search(r"displayed +in the list after ([0-9.]+) s", result.stdout)
    assert delay is not None
    assert 0.3 < float(delay[1]) < 3
    assert (result.exit_code, sandbox.monitors()) == (0, [])


def test_a_list_that_is_too_late_needs_attention(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(visible_after=60))
    result = cli(*TRY)
    assert result.exit_code == 1
    assert re.search(r"^! displayed .*not in the list within 0 s", result.stdout, re.MULTILINE)
    assert (sandbox.monitors(), _trials(cli.folder / "output")) == ([], [])


def test_a_monitor_that_get_does_not_find_stays_recorded(cli: CommandLine, sandbox: Sandbox) -> None:
    """It is deleted only after it was read, and is not forgotten."""
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "60")
    sandbox.set_faults(Faults(visible_after=60, hide_single=True))
    result = cli(*TRY)
    assert (result.exit_code, len(sandbox.monitors())) == (1, 1)
    assert "GET does not find it" in result.stdout
    assert "the next doctor tries again" in result.stdout
    sandbox.set_faults(Faults(visible_after=60))
    assert (cli("doctor").exit_code, sandbox.monitors()) == (0, [])


def test_a_role_that_may_not_create_needs_attention(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("create",)),)))
    result = cli(*TRY)
    assert result.exit_code == 1
    assert re.search(r"^! create .* needs the role", result.stdout, re.MULTILINE)


def test_a_monitor_that_cannot_be_deleted_needs_attention_and_is_deleted_later(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("patch", "delete")),)))
    result = cli(*TRY)
    assert result.exit_code == 1
    assert re.search(r"^! update .*PATCH is refused", result.stdout, re.MULTILINE)
    assert re.search(r"^! delete .*the API refuses to delete it", result.stdout, re.MULTILINE)
    assert cli("doctor").exit_code == 1
    sandbox.set_faults(Faults())
    result = cli("doctor")
    assert (result.exit_code, sandbox.monitors()) == (0, [])
    assert "it was deleted" in _topics(result)["leftovers"]
    assert "leftovers" not in _topics(cli("doctor"))


def test_all_monitors_of_a_repeated_create_are_deleted(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="create-twice"),)))
    result = cli(*TRY)
    assert (result.exit_code, sandbox.monitors()) == (1, [])
    assert "one request created several monitors" in result.stdout


# ── no monitor is left ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["drop-after", "error-after", "no-id", "page-after", "garbled", "reset-after"])
@pytest.mark.parametrize("way", ["", "upper-names+upper-hosts", "cut=20+escapes", "no-names", "no-hosts"])
def test_a_create_whose_response_is_lost_is_found(fault: str, way: str, cli: CommandLine, sandbox: Sandbox) -> None:
    shows = tuple(filter(None, way.split("+")))
    sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("create",)),), shows=shows))
    result = cli(*TRY)
    assert (result.exit_code, sandbox.monitors()) == (0, [])
    assert "the response was lost" in result.stdout


def test_a_create_whose_response_is_lost_and_that_is_listed_late_is_found_later(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="error-after", on=("create",)),), visible_after=2))
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "30")
    result = cli(*TRY)
    assert (result.exit_code, len(sandbox.monitors())) == (1, 1)
    assert "the next doctor deletes it" in result.stdout
    again = cli("doctor", "--quiet")
    assert (again.exit_code, again.stdout.startswith("! leftovers"), "may still appear" in again.stdout) == (
        1,
        True,
        True,
    )
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "0")  # so the monitor counts as never created
    sandbox.set_faults(Faults())
    api_request(sandbox, "DELETE", sandbox.monitors()[0])
    assert cli("doctor").exit_code == 0
    assert _trials(cli.folder / "output") == []


def test_only_a_monitor_with_the_token_is_deleted(cli: CommandLine, sandbox: Sandbox) -> None:
    """An ID that a response gave wrongly, or that was reassigned, belongs to another monitor."""
    cli.run(cli.write_csv("hosts.csv", [imap("a")]))
    (monitor,) = sandbox.monitors()
    with Store(cli.folder / "output") as store:
        trials = TrialMonitors(store, 1)
        trials.record("0123456789ab")
        trials.record_id("0123456789ab", str(monitor["id"]))
    result = cli("doctor")
    assert result.exit_code == 1
    assert "does not contain the trial's token" in result.stdout
    assert len(sandbox.monitors()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "BULKLOAD DOCTOR 0123456789AB"},
        {"name": "Bulkload-Doctor_0123 4567 89ab &am"},
        {"hostname": "DOCTOR-0123456789AB.example.com."},
        {"note": "bulkload doctor 0123456789ab, changed"},
    ],
)
def test_a_token_is_recognised_however_it_is_displayed(fields: dict[str, object]) -> None:
    trial = TrialMonitor(token="0123456789ab", at="|0|0", monitor_id=None, seen=False)
    assert trial.is_shown_by(fields)
    assert not trial.is_shown_by({"name": None, "hostname": "doctor-0123456789a.example.com"})


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    times = {"BULKLOAD_SETTLE_GRACE": "0.2", "BULKLOAD_SETTLE_AFTER": "1", "BULKLOAD_SETTLE_TIMEOUT": "1"}
    with open_workspace(tmp_path, {**times, "BULKLOAD_REQUEST_TIMEOUT": "100"}) as opened_workspace:
        yield opened_workspace


def _stalled(workspace: Workspace, operation: str, fault: str, number: int = 1) -> Any:
    """Start a trial, and wait until a request hangs."""
    rule = Rule(fault=fault, on=(operation,), at=(number,))  # type: ignore[arg-type]
    workspace.sandbox.set_faults(Faults(rules=(rule,)))
    process = workspace.start(*TRY)
    assert process.wait_until(lambda: any(entry["fault"] == fault for entry in workspace.requests))
    return process


POINTS = [
    ("create", "stall-before", 1),
    ("create", "stall-after", 1),
    ("get", "stall-after", 1),
    ("list", "stall-before", 2),
    ("patch", "stall-after", 1),
    ("delete", "stall-before", 1),
    ("delete", "stall-after", 1),
]


@pytest.mark.parametrize("next_call", [("doctor",), TRY], ids=["doctor", "try"])
@pytest.mark.parametrize(("operation", "fault", "number"), POINTS)
def test_the_monitor_of_a_killed_trial_is_deleted_by_the_next_call(
    operation: str, fault: str, number: int, next_call: tuple[str, ...], workspace: Workspace
) -> None:
    process = _stalled(workspace, operation, fault, number)
    left = len(workspace.sandbox.monitors())
    process.send_signal(signal.SIGKILL)
    assert process.wait().was_killed
    workspace.sandbox.set_faults(Faults())
    result = workspace.run(*next_call)
    assert workspace.sandbox.monitors() == []
    assert "leftovers" in result.stdout
    if left:
        assert (result.exit_code, "it was deleted" in result.stdout) == (0, True)
    elif operation == "create":  # it cannot be known yet
        assert (result.exit_code, "may still appear" in result.stdout) == (1, True)
        assert workspace.run("doctor", BULKLOAD_SETTLE_AFTER="0").exit_code == 0
    else:
        assert (result.exit_code, "left no monitor" in result.stdout) == (0, True)
    assert _trials(workspace.folder / "output") == []


def test_a_trial_that_is_killed_before_any_statement_of_the_store_leaves_no_monitor(workspace: Workspace) -> None:
    """From the record of its create on."""
    for _ in range(2):  # in the second, the tables exist, as in all later ones
        workspace.run(*TRY, on_start=CrashPoint(step=0, trace=workspace.folder / "trace"))
    steps = (workspace.folder / "trace").read_text("utf-8").splitlines()
    first = next(number for number, step in enumerate(steps, 1) if "INTO trials" in step)
    left = 0
    for number in range(first - 1, len(steps) + 1):
        result = workspace.run(*TRY, on_start=CrashPoint(step=number))
        assert result.was_killed, (number, result)
        left += len(workspace.sandbox.monitors())
        again = workspace.run("doctor", BULKLOAD_SETTLE_AFTER="0")
        assert (again.exit_code, workspace.sandbox.monitors(), _trials(workspace.folder / "output")) == (0, [], []), (
            again
        )
    assert left > 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(("operation", "at"), [("get", 1), ("list", 2), ("patch", 1)])
def test_a_trial_that_is_interrupted_deletes_its_monitor_first(
    operation: str, at: int, number: int, code: int, workspace: Workspace
) -> None:
    process = _stalled(workspace, operation, "stall-after", at)
    process.send_signal(number)
    result = process.wait()
    assert (result.exit_code, workspace.sandbox.monitors()) == (code, [])
    assert "the trial was stopped, and its monitor was deleted" in result.stdout
    assert _trials(workspace.folder / "output") == []


def test_a_second_signal_ends_a_trial_at_once_and_the_next_call_deletes_its_monitor(workspace: Workspace) -> None:
    process = _stalled(workspace, "create", "stall-after")
    process.send_signal(signal.SIGINT)
    process.wait_until(lambda: not process.is_alive, 0.3)
    assert process.is_alive, "the request may still get a response"
    process.send_signal(signal.SIGINT)
    result = process.wait()
    assert result.exit_code == 130
    assert "the next doctor deletes it" in result.stdout
    assert len(workspace.sandbox.monitors()) == 1
    workspace.sandbox.set_faults(Faults())
    assert workspace.run("doctor").exit_code == 0
    assert workspace.sandbox.monitors() == []


def test_a_run_ignores_the_monitor_of_a_killed_trial(workspace: Workspace) -> None:
    process = _stalled(workspace, "patch", "stall-after")
    process.send_signal(signal.SIGKILL)
    assert process.wait().was_killed
    workspace.sandbox.set_faults(Faults())
    rows = f"type,name,hostname,billing_plancode\nimap,a,mx1.example.com,{PLAN}\n"
    (workspace.folder / "hosts.csv").write_text(rows)
    assert workspace.run("run", "hosts.csv").exit_code == 0
    assert len(workspace.sandbox.monitors()) == 2
    assert workspace.run("doctor").exit_code == 0
    assert [monitor["name"] for monitor in workspace.sandbox.monitors()] == ["a"]


def test_a_trial_that_loses_its_login_leaves_a_record(workspace: Workspace) -> None:
    workspace.sandbox.set_faults(
        Faults(rules=(Rule(fault="login-refused", at=(3,)), Rule(fault="token-401", on=("get",))))
    )
    result = workspace.run(*TRY)
    assert result.exit_code == 3
    assert "the next doctor deletes it" in result.stdout
    assert json.loads(workspace.run("doctor", "--json").stdout)["exit_code"] == 3
    workspace.sandbox.set_faults(Faults())
    assert workspace.run("doctor").exit_code == 0
    assert workspace.sandbox.monitors() == []
