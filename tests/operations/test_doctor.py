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
from tests.support.command_line import PLAN, Asked, Desk, Ended, Said, by_hand, imap, listed, scripted
from tests.support.sandbox_caller import USER
from tests.torture.points import Fuse
from tests.torture.program import Place, place

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


def _topics(ended: Ended) -> dict[str, str]:
    """The lines of the output, by topic."""
    matches = (re.fullmatch(r"[! ] (.{12})  (.*)", line) for line in ended.stdout.splitlines())
    return {match[1].strip(): match[0] for match in matches if match}


def _display_profile(folder: Path) -> DisplayProfile:
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return DisplayProfile.from_json(database.execute("SELECT showing FROM accounts").fetchone()[0])


def _trials(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return database.execute("SELECT monitor_id FROM trials").fetchall()


@pytest.mark.parametrize("way", ALTERATIONS)
def test_a_trial_learns_how_monitors_are_displayed(way: str, desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(shows=tuple(way.split("+"))))
    ended = desk(*TRY)
    assert ended.exit_code == 0, ended
    assert sandbox.monitors() == []
    assert _display_profile(desk.folder / "output").alterations == ALTERATIONS[way], ended.stdout
    assert _display_profile(desk.folder / "output").known
    assert _trials(desk.folder / "output") == []


@pytest.mark.parametrize("way", ["cut=20", "cut=33", "cut-bytes=40"])
def test_nothing_is_learned_from_what_is_behind_the_cut(way: str, desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(shows=(way,)))
    assert desk(*TRY).exit_code == 0
    profile = _display_profile(desk.folder / "output")
    assert profile.alterations == {Alteration.CUT}
    assert profile.exact.isdisjoint({Alteration.UNICODE, Alteration.ASTRAL, Alteration.ACCENTS})
    asked = Identity("email-imap", ("mx1.example.com",), 143, "x" * 60 + " & é \N{LARGE GREEN CIRCLE}")
    seen = Observation.of(asked, asked._replace(name="x" * 50))
    assert learn_profile(UNKNOWN, [seen], fresh=True).exact == {Alteration.TYPE, Alteration.NO_NAME, Alteration.NO_HOST}


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────


def _account(*monitors: dict[str, object], **headers: str) -> Any:
    """A server that lists these monitors and accepts no other request."""

    def answer(asked: Asked) -> Said:
        assert (asked.method, asked.path) == ("GET", "/monitors")
        response = listed(*monitors)
        return Said(
            content=response.content, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return scripted(answer)


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


def test_reading_sends_only_a_login_and_gets(desk: Desk, sandbox: Sandbox) -> None:
    desk.run(desk.sheet("hosts.csv", [imap("a"), imap("b", port=993)]))
    before = len(sandbox.requests())
    ended = desk("doctor")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert [entry.operation for entry in sandbox.requests()[before:]] == ["login", "list"]
    topics = _topics(ended)
    assert "2 mail monitors: 2 imap" in topics["monitors"]
    assert f"{PLAN} (2 monitors)" in topics["plan codes"]
    assert "2 monitors created by runs of this folder: 2 listed, 2 recognised" in topics["own monitors"]
    assert "none: monitors are displayed as they were sent" in topics["alterations"]
    assert "Nothing needs attention." in ended.stdout
    assert desk("runs", "--json").json[0]["input"].endswith("hosts.csv"), "no run is left in the history"


def test_ports_unset_fields_and_names_are_reported(desk: Desk) -> None:
    odd = [
        _monitor(1),
        _monitor(2, port=None, note=None),
        _monitor(3, port="993", ipv4=None),
        _monitor(4, port=993, name="two  blanks &amp; Ünï 🟢", note="x"),
        _monitor(5, hostname="mx.example.com:2993", name="a" * 40),
    ]
    del odd[0]["port"], odd[0]["ipv4"]
    with _account(*odd) as server:
        desk.log_in_at(server.base_url)
        topics = _topics(desk("doctor"))
    for port in ("1 omitted", "1 as null", "1 as a string", "1 as a number", "1 in the hostname"):
        assert port in topics["ports"]
    assert 'ipv4: "" (3), omitted (1), null (1); note: omitted (3), null (1)' in topics["unset fields"]
    assert "up to 40 characters, 1 with repeated spaces, 1 with escapes such as &amp;" in topics["names"]
    assert "1 with non-ASCII letters, 1 with emoji" in topics["names"]
    assert "1 with a port" in topics["hostnames"]


@pytest.mark.parametrize(("way", "spelling"), [("upper-types", "EMAIL-IMAP"), ("short-types", "imap")])
def test_types_with_another_spelling_are_reported(desk: Desk, sandbox: Sandbox, way: str, spelling: str) -> None:
    assert desk.run(desk.sheet("hosts.csv", [imap("a")]))[0].exit_code == 0
    sandbox.set_faults(Faults(shows=(way,)))
    ended = desk("doctor")
    assert f"displayed as {spelling} → recognised despite the spelling" in _topics(ended)["types"]
    assert ended.exit_code == 0


def test_the_pages_of_the_list_are_reported(desk: Desk) -> None:
    from bulkload.sandbox import SandboxOptions

    with running(SandboxOptions(page_size=2)) as sandbox:
        desk.log_in_at(sandbox.base_url)
        desk.run(desk.sheet("hosts.csv", [imap("a"), imap("b"), imap("c")]))
        line = _topics(desk("doctor"))["list"]
    assert (
        "2 pages; count 2 and 1, limit 2; count is the number of monitors on the page → listing takes at least 4"
        in line
    )


def test_only_headers_about_limits_are_reported(desk: Desk) -> None:
    headers = {"X_RateLimit_Limit": "100", "RateLimit_Policy": "100;w=60", "X_Request_Limit": "7", "Retry_After": "0"}
    with _account(_monitor(1), X_Other="1", **headers) as server:
        desk.log_in_at(server.base_url)
        line = _topics(desk("doctor"))["limits"]
    for name, value in headers.items():
        assert f"{name.replace('_', '-')}: {value}" in line
    assert "X-Other" not in line


def test_the_json_object_names_no_user_host_or_monitor(desk: Desk) -> None:
    with _account(_monitor(1), _monitor(2), X_RateLimit_User="Somebody@Example.org") as server:
        desk.log_in_at(server.base_url, "somebody@example.org", "pa55word")
        ended = desk("doctor", "--json")
    assert ended.exit_code == ended.json["exit_code"] == 0
    for private in ("somebody", "pa55word", "127.0.0.1", "secret-name", "secret-host"):
        assert private not in ended.stdout.casefold()
    report = ended.json
    assert report.keys() == {"findings", "learned", "tried", "stopped", "requests", "seconds", "exit_code"}
    assert all(finding.keys() == {"topic", "account", "follows", "problem"} for finding in report["findings"])
    assert report["requests"] == {"sent": 2, "throttled": 0, "retried": 0}
    assert PLAN in ended.stdout


def test_the_json_object_of_an_account_that_cannot_be_read_names_no_user_either(desk: Desk) -> None:
    with scripted(lambda asked: Said(content={"results": ["secret-name"]})) as server:
        desk.log_in_at(server.base_url, "somebody@example.org")
        ended = desk("doctor", "--json")
    assert ended.exit_code == ended.json["exit_code"] == 3
    assert "secret-name" in ended.stderr
    assert "secret-name" not in ended.stdout
    assert ended.json["stopped"] == "The API's responses are inconsistent or have an unexpected format."
    with running() as sandbox:
        desk.log_in_at(sandbox.base_url, "somebody@example.org")
        ended = desk("doctor", "--json")
    assert (ended.exit_code, "somebody" in ended.stderr, "somebody" in ended.stdout) == (3, True, False)


def test_quiet_prints_only_what_needs_attention(desk: Desk, sandbox: Sandbox) -> None:
    desk.run(desk.sheet("hosts.csv", [imap("a")]))
    quiet = desk("doctor", "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    by_hand(sandbox, "DELETE", sandbox.monitors()[0])
    quiet = desk("doctor", "--quiet")
    assert quiet.exit_code == 1
    assert re.fullmatch(r"! own monitors .* run with --trust-list\n", quiet.stdout)


@pytest.mark.parametrize("way", ["blanks", "cut=50", "escapes", "upper-names", "question-marks", "empty-ports"])
def test_reading_learns_from_monitors_that_runs_created(way: str, desk: Desk, sandbox: Sandbox) -> None:
    """In an account that has altered monitors only since yesterday, or after runs of an older version."""
    names = [unusual_name("0123456789ab"), unusual_name("ba9876543210").replace("and", "or")]
    desk.run(desk.sheet("hosts.csv", [imap(name, port=2993) for name in names]))
    sandbox.set_faults(Faults(shows=(way,)))
    ended = desk("doctor")
    assert (ended.exit_code, ended.stderr) == (0, "")
    (alteration,) = ALTERATIONS[way.partition("=")[0]]
    assert alteration.about in _topics(ended)["alterations"]
    assert alteration.about in desk("doctor", "--json").json["learned"][0]


# ── what later runs use of a trial ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["blanks", "escapes", "cut=60", "question-marks", "lower-names"])
def test_a_later_run_recognises_a_monitor_of_another_folder(way: str, desk: Desk, sandbox: Sandbox) -> None:
    """Without the trial, the monitor would only be a candidate for the row."""
    sandbox.set_faults(Faults(shows=(way,)))
    sheet = desk.sheet("hosts.csv", [imap(unusual_name("0123456789ab"))])
    assert desk("run", sheet, "--output", "elsewhere").exit_code == 0
    assert desk(*TRY).exit_code == 0
    ended, rows = desk.run(sheet)
    assert (ended.exit_code, ended.stderr.count("WARNING")) == (0, 0)
    assert [(row["status"], row["error"]) for row in rows if row["status"]] == [("exists", "")]
    assert len(sandbox.monitors()) == 1


def test_a_later_run_does_not_read_its_first_monitor_back(desk: Desk, sandbox: Sandbox) -> None:
    assert desk(*TRY).exit_code == 0
    before = len(sandbox.requests())
    desk.run(desk.sheet("hosts.csv", [imap("a")]))
    assert [entry.operation for entry in sandbox.requests()[before:]] == ["login", "list", "create"]


def test_the_monitor_of_a_trial_belongs_to_no_run(desk: Desk, sandbox: Sandbox) -> None:
    desk.run(desk.sheet("hosts.csv", [imap("a")]))
    assert desk("doctor", "--try", "--yes").exit_code == 0, "the plan is that of the existing monitors"
    with Store(desk.folder / "output") as store:
        assert store.db.execute("SELECT count(*) FROM monitors").fetchone()[0] == 1
    assert desk("undo", desk("runs", "--json").json[0]["run_id"], "--yes").exit_code == 0
    assert sandbox.monitors() == []


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────


def _creates(sandbox: Sandbox) -> int:
    return sum(entry.operation == "create" for entry in sandbox.requests())


@pytest.mark.parametrize(("answer", "exit_code", "creates"), [("y\n", 0, 1), ("n\n", 0, 0), ("", 2, 0)])
def test_a_trial_asks_first(answer: str, exit_code: int, creates: int, desk: Desk, sandbox: Sandbox) -> None:
    desk.environment.setattr(sys, "stdin", io.StringIO(answer))
    ended = desk("doctor", "--try", "--set", f"plan={PLAN}")
    assert (ended.exit_code, _creates(sandbox)) == (exit_code, creates)
    assert "Create, update and delete this monitor? [y/N]" in ended.stderr
    assert re.search(r"name +bulkload doctor [0-9a-f]{12}  Aa", ended.stdout)
    assert ("Nothing was created" in ended.stdout + ended.stderr) is not bool(creates)


@pytest.mark.parametrize("silent", ["--json", "--quiet"])
def test_a_silent_trial_needs_the_option_yes(silent: str, desk: Desk, sandbox: Sandbox) -> None:
    ended = desk("doctor", "--try", silent, "--set", f"plan={PLAN}")
    assert (ended.exit_code, ended.stdout, sandbox.requests()) == (2, "", [])
    assert "add --yes" in ended.stderr
    assert desk(*TRY, silent).exit_code == 0


def test_a_trial_needs_a_plan_code_and_accepts_no_other_field(desk: Desk, sandbox: Sandbox) -> None:
    ended = desk("doctor", "--try", "--yes")
    assert (ended.exit_code, _creates(sandbox)) == (2, 0)
    assert "--set billing_plancode=" in ended.stderr
    assert desk("doctor", "--set", "interval=5").exit_code == 2


def test_doctor_stops_if_the_store_is_locked(desk: Desk, sandbox: Sandbox) -> None:
    with Store(desk.folder / "output") as store:
        store.lock()
        assert desk("doctor").exit_code == 5
        assert desk(*TRY).exit_code == 5
    assert sandbox.requests() == []


# ── what a trial reports ────────────────────────────────────────────────────────────────────────────────────────


def test_a_trial_reports_how_its_monitor_is_displayed(desk: Desk, sandbox: Sandbox) -> None:
    ended = desk(*TRY)
    topics = _topics(ended)
    assert re.search(r"all 8 fields as sent; ipv4 \(not sent\): \"\" → recognised", topics["fields"])
    assert "in the list after 0.0 s; by GET after 0.0 s" in topics["displayed"]
    assert "--on-existing update works" in topics["update"]
    assert "nothing is left" in topics["delete"]
    assert [entry.operation for entry in sandbox.requests()].count("create") == 1
    as_json = desk(*TRY, "--json")
    assert as_json.json["tried"] is True
    assert USER["username"] not in as_json.stdout


def test_after_a_rejected_name_a_plain_one_is_tried_once(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="echo-refusal", at=(1,)),)))
    ended = desk(*TRY)
    assert (ended.exit_code, _creates(sandbox), sandbox.monitors()) == (0, 2, [])
    assert "an unusual name is rejected: sandbox: The name bulkload doctor" in ended.stdout
    sandbox.set_faults(Faults(rules=(Rule(fault="plan-full"),)))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert "! create" in ended.stdout
    assert _trials(desk.folder / "output") == []


@pytest.mark.parametrize("fault", ["throttle", "token-401"])
def test_a_create_that_certainly_created_nothing_is_repeated(fault: str, desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault=fault, at=(1,), on=("create",), seconds=0.1),)))
    ended = desk(*TRY)
    assert (ended.exit_code, _creates(sandbox), sandbox.monitors()) == (0, 2, [])
    assert ("Retry-After: " in ended.stdout) is (fault == "throttle"), "headers of the trial are reported, too"


def test_the_delay_of_the_list_is_measured(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(visible_after=0.4))
    desk.environment.setenv("BULKLOAD_SETTLE_TIMEOUT", "5")
    ended = desk(*TRY)
    delay = re.search(r"displayed +in the list after ([0-9.]+) s", ended.stdout)
    assert delay is not None
    assert 0.3 < float(delay[1]) < 3
    assert (ended.exit_code, sandbox.monitors()) == (0, [])


def test_a_list_that_is_too_late_needs_attention(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(visible_after=60))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert re.search(r"^! displayed .*not in the list within 0 s", ended.stdout, re.MULTILINE)
    assert (sandbox.monitors(), _trials(desk.folder / "output")) == ([], [])


def test_a_monitor_that_get_does_not_find_stays_recorded(desk: Desk, sandbox: Sandbox) -> None:
    """It is deleted only after it was read, and is not forgotten."""
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "60")
    sandbox.set_faults(Faults(visible_after=60, hide_single=True))
    ended = desk(*TRY)
    assert (ended.exit_code, len(sandbox.monitors())) == (1, 1)
    assert "GET does not find it" in ended.stdout
    assert "the next doctor tries again" in ended.stdout
    sandbox.set_faults(Faults(visible_after=60))
    assert (desk("doctor").exit_code, sandbox.monitors()) == (0, [])


def test_a_role_that_may_not_create_needs_attention(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("create",)),)))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert re.search(r"^! create .* needs the role", ended.stdout, re.MULTILINE)


def test_a_monitor_that_cannot_be_deleted_needs_attention_and_is_deleted_later(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("patch", "delete")),)))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert re.search(r"^! update .*PATCH is refused", ended.stdout, re.MULTILINE)
    assert re.search(r"^! delete .*the API refuses to delete it", ended.stdout, re.MULTILINE)
    assert desk("doctor").exit_code == 1
    sandbox.set_faults(Faults())
    ended = desk("doctor")
    assert (ended.exit_code, sandbox.monitors()) == (0, [])
    assert "it was deleted" in _topics(ended)["leftovers"]
    assert "leftovers" not in _topics(desk("doctor"))


def test_all_monitors_of_a_repeated_create_are_deleted(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="create-twice"),)))
    ended = desk(*TRY)
    assert (ended.exit_code, sandbox.monitors()) == (1, [])
    assert "one request created several monitors" in ended.stdout


# ── no monitor is left ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["drop-after", "error-after", "no-id", "page-after", "garbled", "reset-after"])
@pytest.mark.parametrize("way", ["", "upper-names+upper-hosts", "cut=20+escapes", "no-names", "no-hosts"])
def test_a_create_whose_response_is_lost_is_found(fault: str, way: str, desk: Desk, sandbox: Sandbox) -> None:
    shows = tuple(filter(None, way.split("+")))
    sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("create",)),), shows=shows))
    ended = desk(*TRY)
    assert (ended.exit_code, sandbox.monitors()) == (0, [])
    assert "the response was lost" in ended.stdout


def test_a_create_whose_response_is_lost_and_that_is_listed_late_is_found_later(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="error-after", on=("create",)),), visible_after=2))
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "30")
    ended = desk(*TRY)
    assert (ended.exit_code, len(sandbox.monitors())) == (1, 1)
    assert "the next doctor deletes it" in ended.stdout
    again = desk("doctor", "--quiet")
    assert (again.exit_code, again.stdout.startswith("! leftovers"), "may still appear" in again.stdout) == (
        1,
        True,
        True,
    )
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "0")  # so the monitor counts as never created
    sandbox.set_faults(Faults())
    by_hand(sandbox, "DELETE", sandbox.monitors()[0])
    assert desk("doctor").exit_code == 0
    assert _trials(desk.folder / "output") == []


def test_only_a_monitor_with_the_token_is_deleted(desk: Desk, sandbox: Sandbox) -> None:
    """An ID that a response gave wrongly, or that was reassigned, belongs to another monitor."""
    desk.run(desk.sheet("hosts.csv", [imap("a")]))
    (monitor,) = sandbox.monitors()
    with Store(desk.folder / "output") as store:
        trials = TrialMonitors(store, 1)
        trials.record("0123456789ab")
        trials.record_id("0123456789ab", str(monitor["id"]))
    ended = desk("doctor")
    assert ended.exit_code == 1
    assert "does not contain the trial's token" in ended.stdout
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
def where(tmp_path: Path) -> Iterator[Place]:
    times = {"BULKLOAD_SETTLE_GRACE": "0.2", "BULKLOAD_SETTLE_AFTER": "1", "BULKLOAD_SETTLE_TIMEOUT": "1"}
    with place(tmp_path, {**times, "BULKLOAD_REQUEST_TIMEOUT": "100"}) as prepared:
        yield prepared


def _stalled(where: Place, operation: str, fault: str, number: int = 1) -> Any:
    """Start a trial, and wait until a request hangs."""
    rule = Rule(fault=fault, on=(operation,), at=(number,))  # type: ignore[arg-type]
    where.sandbox.set_faults(Faults(rules=(rule,)))
    process = where.start(*TRY)
    assert process.until(lambda: any(entry["fault"] == fault for entry in where.seen))
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
    operation: str, fault: str, number: int, next_call: tuple[str, ...], where: Place
) -> None:
    process = _stalled(where, operation, fault, number)
    left = len(where.sandbox.monitors())
    process.signal(signal.SIGKILL)
    assert process.end().killed
    where.sandbox.set_faults(Faults())
    ended = where.run(*next_call)
    assert where.sandbox.monitors() == []
    assert "leftovers" in ended.stdout
    if left:
        assert (ended.exit_code, "it was deleted" in ended.stdout) == (0, True)
    elif operation == "create":  # it cannot be known yet
        assert (ended.exit_code, "may still appear" in ended.stdout) == (1, True)
        assert where.run("doctor", BULKLOAD_SETTLE_AFTER="0").exit_code == 0
    else:
        assert (ended.exit_code, "left no monitor" in ended.stdout) == (0, True)
    assert _trials(where.folder / "output") == []


def test_a_trial_that_is_killed_before_any_statement_of_the_store_leaves_no_monitor(where: Place) -> None:
    """From the record of its create on."""
    for _ in range(2):  # in the second, the tables exist, as in all later ones
        where.run(*TRY, entered=Fuse(at=0, trace=where.folder / "trace"))
    steps = (where.folder / "trace").read_text("utf-8").splitlines()
    first = next(number for number, step in enumerate(steps, 1) if "INTO trials" in step)
    left = 0
    for number in range(first - 1, len(steps) + 1):
        ended = where.run(*TRY, entered=Fuse(at=number))
        assert ended.killed, (number, ended)
        left += len(where.sandbox.monitors())
        again = where.run("doctor", BULKLOAD_SETTLE_AFTER="0")
        assert (again.exit_code, where.sandbox.monitors(), _trials(where.folder / "output")) == (0, [], []), again
    assert left > 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(("operation", "at"), [("get", 1), ("list", 2), ("patch", 1)])
def test_a_trial_that_is_interrupted_deletes_its_monitor_first(
    operation: str, at: int, number: int, code: int, where: Place
) -> None:
    process = _stalled(where, operation, "stall-after", at)
    process.signal(number)
    ended = process.end()
    assert (ended.exit_code, where.sandbox.monitors()) == (code, [])
    assert "the trial was stopped, and its monitor was deleted" in ended.stdout
    assert _trials(where.folder / "output") == []


def test_a_second_signal_ends_a_trial_at_once_and_the_next_call_deletes_its_monitor(where: Place) -> None:
    process = _stalled(where, "create", "stall-after")
    process.signal(signal.SIGINT)
    process.until(lambda: not process.alive, 0.3)
    assert process.alive, "the request may still get a response"
    process.signal(signal.SIGINT)
    ended = process.end()
    assert ended.exit_code == 130
    assert "the next doctor deletes it" in ended.stdout
    assert len(where.sandbox.monitors()) == 1
    where.sandbox.set_faults(Faults())
    assert where.run("doctor").exit_code == 0
    assert where.sandbox.monitors() == []


def test_a_run_ignores_the_monitor_of_a_killed_trial(where: Place) -> None:
    process = _stalled(where, "patch", "stall-after")
    process.signal(signal.SIGKILL)
    assert process.end().killed
    where.sandbox.set_faults(Faults())
    rows = f"type,name,hostname,billing_plancode\nimap,a,mx1.example.com,{PLAN}\n"
    (where.folder / "hosts.csv").write_text(rows)
    assert where.run("run", "hosts.csv").exit_code == 0
    assert len(where.sandbox.monitors()) == 2
    assert where.run("doctor").exit_code == 0
    assert [monitor["name"] for monitor in where.sandbox.monitors()] == ["a"]


def test_a_trial_that_loses_its_login_leaves_a_record(where: Place) -> None:
    where.sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", at=(3,)), Rule(fault="token-401", on=("get",)))))
    ended = where.run(*TRY)
    assert ended.exit_code == 3
    assert "the next doctor deletes it" in ended.stdout
    assert json.loads(where.run("doctor", "--json").stdout)["exit_code"] == 3
    where.sandbox.set_faults(Faults())
    assert where.run("doctor").exit_code == 0
    assert where.sandbox.monitors() == []
