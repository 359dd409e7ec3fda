"""`doctor` finds out what an account does, teaches it to later runs, and leaves nothing behind."""

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
from bulkload.operations.doctor.trial import awkward_name
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
WAYS = {
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
    lines = (re.fullmatch(r"[! ] (.{12})  (.*)", line) for line in ended.stdout.splitlines())
    return {found[1].strip(): found[0] for found in lines if found}


def _showing(folder: Path) -> DisplayProfile:
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return DisplayProfile.from_json(database.execute("SELECT showing FROM accounts").fetchone()[0])


def _trials(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / STORE_NAME)) as database:
        return database.execute("SELECT monitor_id FROM trials").fetchall()


@pytest.mark.parametrize("way", WAYS)
def test_a_trial_learns_how_monitors_are_shown(way: str, desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(shows=tuple(way.split("+"))))
    ended = desk(*TRY)
    assert ended.exit_code == 0, ended
    assert sandbox.monitors() == []
    assert _showing(desk.folder / "output").alterations == WAYS[way], ended.stdout
    assert _showing(desk.folder / "output").known
    assert _trials(desk.folder / "output") == []


@pytest.mark.parametrize("way", ["cut=20", "cut=33", "cut-bytes=40"])
def test_what_is_behind_the_cut_is_not_taken_for_shown(way: str, desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(shows=(way,)))
    assert desk(*TRY).exit_code == 0
    profile = _showing(desk.folder / "output")
    assert profile.alterations == {Alteration.CUT}
    assert profile.exact.isdisjoint({Alteration.UNICODE, Alteration.ASTRAL, Alteration.ACCENTS})
    asked = Identity("email-imap", ("mx1.example.com",), 143, "x" * 60 + " & é \N{LARGE GREEN CIRCLE}")
    seen = Observation.of(asked, asked._replace(name="x" * 50))
    assert learn_profile(UNKNOWN, [seen], fresh=True).exact == {Alteration.TYPE, Alteration.NO_NAME, Alteration.NO_HOST}


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────


def _account(*monitors: dict[str, object], **headers: str) -> Any:
    """A server that has some monitors and answers nothing but their list."""

    def answer(asked: Asked) -> Said:
        assert (asked.method, asked.path) == ("GET", "/monitors")
        said = listed(*monitors)
        return Said(content=said.content, headers={name.replace("_", "-"): value for name, value in headers.items()})

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
    assert f"{PLAN} 2" in topics["plan codes"]
    assert "2 monitors created by runs of this folder: 2 in the list, 2 recognised" in topics["made here"]
    assert "monitors are displayed as they were sent" in topics["learned"]
    assert "Nothing needs attention." in ended.stdout
    assert desk("runs", "--json").json[0]["input"].endswith("hosts.csv"), "no run is left in the history"


def test_ports_unset_fields_and_names_are_told(desk: Desk) -> None:
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
    for port in ("1 left out", "1 as null", "1 as a number in a text", "1 as a number", "1 in the host name"):
        assert port in topics["ports"]
    assert 'ipv4 "" 3, left out 1, null 1; note left out 3, null 1' in topics["unset fields"]
    assert "up to 40 characters, 1 with repeated spaces, 1 with escapes such as &amp;" in topics["names"]
    assert "1 with letters beyond ASCII, 1 with emoji" in topics["names"]
    assert "1 with a port" in topics["hosts"]


@pytest.mark.parametrize(("way", "spelling"), [("upper-types", "EMAIL-IMAP"), ("short-types", "imap")])
def test_types_that_are_spelled_otherwise_are_told(desk: Desk, sandbox: Sandbox, way: str, spelling: str) -> None:
    assert desk.run(desk.sheet("hosts.csv", [imap("a")]))[0].exit_code == 0
    sandbox.set_faults(Faults(shows=(way,)))
    ended = desk("doctor")
    assert f"unknown spellings: {spelling} → recognised anyway" in _topics(ended)["types"]
    assert ended.exit_code == 0


def test_the_list_and_its_pages_are_told(desk: Desk) -> None:
    from bulkload.sandbox import SandboxOptions

    with running(SandboxOptions(page_size=2)) as sandbox:
        desk.log_in_at(sandbox.base_url)
        desk.run(desk.sheet("hosts.csv", [imap("a"), imap("b"), imap("c")]))
        line = _topics(desk("doctor"))["list"]
    assert "2 pages; count 2 and 1, limit 2 (count is that of a page) → one listing takes 4 requests or more" in line


def test_headers_that_speak_of_limits_are_told_and_no_others(desk: Desk) -> None:
    headers = {"X_RateLimit_Limit": "100", "RateLimit_Policy": "100;w=60", "X_Request_Limit": "7", "Retry_After": "0"}
    with _account(_monitor(1), X_Other="1", **headers) as server:
        desk.log_in_at(server.base_url)
        line = _topics(desk("doctor"))["limits"]
    for name, value in headers.items():
        assert f"{name.replace('_', '-')}: {value}" in line
    assert "X-Other" not in line


def test_the_object_names_no_user_host_or_monitor(desk: Desk) -> None:
    with _account(_monitor(1), _monitor(2), X_RateLimit_User="Somebody@Example.org") as server:
        desk.log_in_at(server.base_url, "somebody@example.org", "pa55word")
        ended = desk("doctor", "--json")
    assert ended.exit_code == ended.json["exit_code"] == 0
    for private in ("somebody", "pa55word", "127.0.0.1", "secret-name", "secret-host"):
        assert private not in ended.stdout.casefold()
    found = ended.json
    assert found.keys() == {"findings", "learned", "tried", "stopped", "requests", "seconds", "exit_code"}
    assert all(finding.keys() == {"topic", "account", "follows", "problem"} for finding in found["findings"])
    assert found["requests"] == {"sent": 2, "throttled": 0, "retried": 0}
    assert PLAN in ended.stdout


def test_the_object_of_an_account_that_cannot_be_read_names_nobody_either(desk: Desk) -> None:
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
    assert re.fullmatch(r"! made here .* run with --trust-list\n", quiet.stdout)


@pytest.mark.parametrize("way", ["blanks", "cut=50", "escapes", "upper-names", "question-marks", "empty-ports"])
def test_reading_learns_from_what_runs_have_made(way: str, desk: Desk, sandbox: Sandbox) -> None:
    """In an account that shows a way since yesterday, or to a run of an older version."""
    names = [awkward_name("0123456789ab"), awkward_name("ba9876543210").replace("and", "or")]
    desk.run(desk.sheet("hosts.csv", [imap(name, port=2993) for name in names]))
    sandbox.set_faults(Faults(shows=(way,)))
    ended = desk("doctor")
    assert (ended.exit_code, ended.stderr) == (0, "")
    (learned_now,) = WAYS[way.partition("=")[0]]
    assert learned_now.about in _topics(ended)["learned"]
    assert learned_now.about in desk("doctor", "--json").json["learned"][0]


# ── what later runs have of a trial ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", ["blanks", "escapes", "cut=60", "question-marks", "lower-names"])
def test_a_later_run_takes_what_is_there_for_what_it_is(way: str, desk: Desk, sandbox: Sandbox) -> None:
    """Made by hand, or by another folder: without the trial, the row would only perhaps be the monitor's."""
    sandbox.set_faults(Faults(shows=(way,)))
    sheet = desk.sheet("hosts.csv", [imap(awkward_name("0123456789ab"))])
    assert desk("run", sheet, "--output", "elsewhere").exit_code == 0
    assert desk(*TRY).exit_code == 0
    ended, rows = desk.run(sheet)
    assert (ended.exit_code, ended.stderr.count("WARNING")) == (0, 0)
    assert [(row["status"], row["error"]) for row in rows if row["status"]] == [("exists", "")]
    assert len(sandbox.monitors()) == 1


def test_the_first_monitor_of_a_later_run_need_not_be_read_back(desk: Desk, sandbox: Sandbox) -> None:
    assert desk(*TRY).exit_code == 0
    before = len(sandbox.requests())
    desk.run(desk.sheet("hosts.csv", [imap("a")]))
    assert [entry.operation for entry in sandbox.requests()[before:]] == ["login", "list", "create"]


def test_a_trial_is_nobodys_monitor(desk: Desk, sandbox: Sandbox) -> None:
    desk.run(desk.sheet("hosts.csv", [imap("a")]))
    assert desk("doctor", "--try", "--yes").exit_code == 0, "the plan is that of the monitors that are there"
    with Store(desk.folder / "output") as store:
        assert store.db.execute("SELECT count(*) FROM monitors").fetchone()[0] == 1
    assert desk("undo", desk("runs", "--json").json[0]["run_id"], "--yes").exit_code == 0
    assert sandbox.monitors() == []


# ── asking ────────────────────────────────────────────────────────────────────────────────────────────────────


def _creates(sandbox: Sandbox) -> int:
    return sum(entry.operation == "create" for entry in sandbox.requests())


@pytest.mark.parametrize(("answer", "exit_code", "made"), [("y\n", 0, 1), ("n\n", 0, 0), ("", 2, 0)])
def test_a_trial_is_asked_for(answer: str, exit_code: int, made: int, desk: Desk, sandbox: Sandbox) -> None:
    desk.environment.setattr(sys, "stdin", io.StringIO(answer))
    ended = desk("doctor", "--try", "--set", f"plan={PLAN}")
    assert (ended.exit_code, _creates(sandbox)) == (exit_code, made)
    assert "Create this monitor, and delete it again? [y/N]" in ended.stderr
    assert re.search(r"name +bulkload doctor [0-9a-f]{12}  Aa", ended.stdout)
    assert ("Nothing was created" in ended.stdout + ended.stderr) is not bool(made)


@pytest.mark.parametrize("silent", ["--json", "--quiet"])
def test_a_silent_trial_needs_a_yes(silent: str, desk: Desk, sandbox: Sandbox) -> None:
    ended = desk("doctor", "--try", silent, "--set", f"plan={PLAN}")
    assert (ended.exit_code, ended.stdout, sandbox.requests()) == (2, "", [])
    assert "add --yes" in ended.stderr
    assert desk(*TRY, silent).exit_code == 0


def test_a_trial_needs_a_plan_and_takes_no_other_field(desk: Desk, sandbox: Sandbox) -> None:
    ended = desk("doctor", "--try", "--yes")
    assert (ended.exit_code, _creates(sandbox)) == (2, 0)
    assert "--set billing_plancode=" in ended.stderr
    assert desk("doctor", "--set", "interval=5").exit_code == 2


def test_one_at_a_time(desk: Desk, sandbox: Sandbox) -> None:
    with Store(desk.folder / "output") as store:
        store.lock()
        assert desk("doctor").exit_code == 5
        assert desk(*TRY).exit_code == 5
    assert sandbox.requests() == []


# ── what a trial finds ────────────────────────────────────────────────────────────────────────────────────────


def test_a_trial_says_what_it_saw(desk: Desk, sandbox: Sandbox) -> None:
    ended = desk(*TRY)
    topics = _topics(ended)
    assert re.search(r"all 8 fields as sent; ipv4, which was not sent, as \"\" → recognised", topics["fields"])
    assert "the list shows it after 0.0 s; GET by ID shows it after 0.0 s" in topics["shown"]
    assert "--on-existing update works" in topics["change"]
    assert "nothing is left behind" in topics["delete"]
    assert [entry.operation for entry in sandbox.requests()].count("create") == 1
    as_json = desk(*TRY, "--json")
    assert as_json.json["tried"] is True
    assert USER["username"] not in as_json.stdout


def test_a_name_that_is_refused_is_tried_once_as_a_plain_one(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="echo-refusal", at=(1,)),)))
    ended = desk(*TRY)
    assert (ended.exit_code, _creates(sandbox), sandbox.monitors()) == (0, 2, [])
    assert "an awkward name is refused: sandbox: The name bulkload doctor" in ended.stdout
    sandbox.set_faults(Faults(rules=(Rule(fault="plan-full"),)))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert "! create" in ended.stdout
    assert _trials(desk.folder / "output") == []


@pytest.mark.parametrize("fault", ["throttle", "token-401"])
def test_a_create_that_surely_made_nothing_is_sent_again(fault: str, desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault=fault, at=(1,), on=("create",), seconds=0.1),)))
    ended = desk(*TRY)
    assert (ended.exit_code, _creates(sandbox), sandbox.monitors()) == (0, 2, [])
    assert ("Retry-After: " in ended.stdout) is (fault == "throttle"), "limits of the trial's answers are told as well"


def test_a_list_that_lags_is_measured(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(visible_after=0.4))
    desk.environment.setenv("BULKLOAD_SETTLE_TIMEOUT", "5")
    ended = desk(*TRY)
    found = re.search(r"the list shows it after ([0-9.]+) s", ended.stdout)
    assert found is not None
    assert 0.3 < float(found[1]) < 3
    assert (ended.exit_code, sandbox.monitors()) == (0, [])


def test_a_list_that_lags_too_long_needs_attention(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(visible_after=60))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert re.search(r"^! shown .*the list does not display it within 0 s", ended.stdout, re.MULTILINE)
    assert (sandbox.monitors(), _trials(desk.folder / "output")) == ([], [])


def test_a_monitor_that_get_shows_late_stays_noted(desk: Desk, sandbox: Sandbox) -> None:
    """It is not deleted unread, and not forgotten."""
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "60")
    sandbox.set_faults(Faults(visible_after=60, hide_single=True))
    ended = desk(*TRY)
    assert (ended.exit_code, len(sandbox.monitors())) == (1, 1)
    assert "GET does not find it" in ended.stdout
    assert "the next doctor looks for it again" in ended.stdout
    sandbox.set_faults(Faults(visible_after=60))
    assert (desk("doctor").exit_code, sandbox.monitors()) == (0, [])


def test_a_role_that_may_not_write_needs_attention(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("create",)),)))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert re.search(r"^! create .* needs the role", ended.stdout, re.MULTILINE)


def test_a_monitor_that_cannot_be_deleted_needs_attention_and_is_deleted_later(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("patch", "delete")),)))
    ended = desk(*TRY)
    assert ended.exit_code == 1
    assert re.search(r"^! change .*PATCH is refused", ended.stdout, re.MULTILINE)
    assert re.search(r"^! delete .*the API refuses to delete it", ended.stdout, re.MULTILINE)
    assert desk("doctor").exit_code == 1
    sandbox.set_faults(Faults())
    ended = desk("doctor")
    assert (ended.exit_code, sandbox.monitors()) == (0, [])
    assert "it is deleted now" in _topics(ended)["left over"]
    assert "left over" not in _topics(desk("doctor"))


def test_a_create_that_was_repeated_on_the_way_leaves_nothing_either(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="create-twice"),)))
    ended = desk(*TRY)
    assert (ended.exit_code, sandbox.monitors()) == (1, [])
    assert "one create made several monitors" in ended.stdout


# ── nothing is left behind ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", ["drop-after", "error-after", "no-id", "page-after", "garbled", "reset-after"])
@pytest.mark.parametrize("way", ["", "upper-names+upper-hosts", "cut=20+escapes", "no-names", "no-hosts"])
def test_a_create_whose_answer_is_lost_is_found(fault: str, way: str, desk: Desk, sandbox: Sandbox) -> None:
    shows = tuple(filter(None, way.split("+")))
    sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("create",)),), shows=shows))
    ended = desk(*TRY)
    assert (ended.exit_code, sandbox.monitors()) == (0, [])
    assert "the answer was lost" in ended.stdout


def test_a_create_whose_answer_is_lost_and_that_the_list_shows_late_is_found_later(
    desk: Desk, sandbox: Sandbox
) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="error-after", on=("create",)),), visible_after=2))
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "30")
    ended = desk(*TRY)
    assert (ended.exit_code, len(sandbox.monitors())) == (1, 1)
    assert "the next doctor looks for it" in ended.stdout
    again = desk("doctor", "--quiet")
    assert (again.exit_code, again.stdout.startswith("! left over"), "may still appear" in again.stdout) == (
        1,
        True,
        True,
    )
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "0")  # what is that old without being shown was never made
    sandbox.set_faults(Faults())
    by_hand(sandbox, "DELETE", sandbox.monitors()[0])
    assert desk("doctor").exit_code == 0
    assert _trials(desk.folder / "output") == []


def test_only_what_shows_the_token_is_deleted(desk: Desk, sandbox: Sandbox) -> None:
    """An ID that an answer gave wrongly, or that was given anew, is somebody else's monitor."""
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
def test_a_token_is_known_however_it_is_shown(fields: dict[str, object]) -> None:
    trial = TrialMonitor(token="0123456789ab", at="|0|0", monitor_id=None, seen=False)
    assert trial.is_shown_by(fields)
    assert not trial.is_shown_by({"name": None, "hostname": "doctor-0123456789a.example.com"})


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Place]:
    times = {"BULKLOAD_SETTLE_GRACE": "0.2", "BULKLOAD_SETTLE_AFTER": "1", "BULKLOAD_SETTLE_TIMEOUT": "1"}
    with place(tmp_path, {**times, "BULKLOAD_REQUEST_TIMEOUT": "100"}) as found:
        yield found


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
def test_what_a_killed_trial_has_left_is_deleted_by_the_next_call(
    operation: str, fault: str, number: int, next_call: tuple[str, ...], where: Place
) -> None:
    process = _stalled(where, operation, fault, number)
    left = len(where.sandbox.monitors())
    process.signal(signal.SIGKILL)
    assert process.end().killed
    where.sandbox.set_faults(Faults())
    ended = where.run(*next_call)
    assert where.sandbox.monitors() == []
    assert "left over" in ended.stdout
    if left:
        assert (ended.exit_code, "it is deleted now" in ended.stdout) == (0, True)
    elif operation == "create":  # nobody can know yet
        assert (ended.exit_code, "may still appear" in ended.stdout) == (1, True)
        assert where.run("doctor", BULKLOAD_SETTLE_AFTER="0").exit_code == 0
    else:
        assert (ended.exit_code, "nothing is left" in ended.stdout) == (0, True)
    assert _trials(where.folder / "output") == []


def test_a_trial_that_is_killed_at_any_durable_step_leaves_nothing(where: Place) -> None:
    """Before each statement of its store, from the first note on."""
    for _ in range(2):  # the second finds its tables there, as all after it
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
    assert "the trial was stopped; its monitor is deleted" in ended.stdout
    assert _trials(where.folder / "output") == []


def test_a_second_signal_ends_a_trial_at_once_and_the_next_call_deletes_its_monitor(where: Place) -> None:
    process = _stalled(where, "create", "stall-after")
    process.signal(signal.SIGINT)
    process.until(lambda: not process.alive, 0.3)
    assert process.alive, "the request may be answered yet"
    process.signal(signal.SIGINT)
    ended = process.end()
    assert ended.exit_code == 130
    assert "the next doctor deletes it" in ended.stdout
    assert len(where.sandbox.monitors()) == 1
    where.sandbox.set_faults(Faults())
    assert where.run("doctor").exit_code == 0
    assert where.sandbox.monitors() == []


def test_a_run_beside_what_a_killed_trial_has_left_does_its_work(where: Place) -> None:
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


def test_a_lost_connection_in_the_middle_leaves_a_note(where: Place) -> None:
    where.sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", at=(3,)), Rule(fault="token-401", on=("get",)))))
    ended = where.run(*TRY)
    assert ended.exit_code == 3
    assert "the next doctor deletes it" in ended.stdout
    assert json.loads(where.run("doctor", "--json").stdout)["exit_code"] == 3
    where.sandbox.set_faults(Faults())
    assert where.run("doctor").exit_code == 0
    assert where.sandbox.monitors() == []
