"""Who is who in an account that shows monitors otherwise than they were sent, in every command that has to tell.

The tests go by the rules of recognition, one after the other: what this folder's store made; what the first monitor
teaches; what a list does not prove; what a folder that knows nothing takes a monitor for; monitors that are there
twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from bulkload.store.schema import MIGRATIONS
from tests.support.command_line import PLAN, CommandLine, CommandResult, api_request, imap

LONG = "a name that is longer than fifty characters, as some are: number"
NAMES = ("plain", "two  blanks", "Fish & <b>", f"{LONG} one", "Ünï", "mail 東京 🟢", "UPPER lower", f"{LONG} two")
ROWS = [imap(name, hostname=f"mx{number}.example.com", interval=5) for number, name in enumerate(NAMES)]
ROWS[1]["port"] = ROWS[4]["port"] = 2993  # two of each kind: one alone may as well have been changed by hand
ROWS.append(
    {
        **{"type": "round-trip", "name": "round  trip", "billing_plancode": PLAN, "interval": 5},
        **{"smtp_hostname": "smtp.example.com", "pop3_hostname": "pop3.example.com", "email": "a@example.com"},
    }
)
WAYS = (
    *("blanks", "cut", "escapes", "upper-names", "no-names", "no-hosts", "no-ports", "empty-ports", "question-marks"),
    *("bmp-only", "decomposed", "host-ports", "default-ports", "number-texts", "cut+escapes", "no-names+no-ports"),
)
HIDING_ALL = "no-names+no-hosts+no-ports"


@pytest.fixture
def account(sandbox: Sandbox) -> Iterator[Sandbox]:
    """An account in which no monitor is there twice in the end, whatever a test does; those by hand apart."""
    yield sandbox
    twice = [key for key, number in Counter(map(_whole, sandbox.monitors())).items() if number > 1]
    assert not twice


def _whole(monitor: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(monitor.get(field) for field in ("type", "name", "hostname", "port", "smtp_hostname", "pop3_hostname"))


def show(sandbox: Sandbox, ways: str, *rules: Rule, **more: Any) -> None:
    sandbox.set_faults(Faults(shows=tuple(ways.split("+")) if ways else (), rules=rules, **more))


def check_ids(sandbox: Sandbox, rows: Sequence[Mapping[str, str]]) -> None:
    """Every ID is that of the row's own monitor."""
    monitors = {str(monitor["id"]): monitor for monitor in sandbox.monitors()}
    for row in rows:
        if row["monitor_id"]:
            monitor = monitors[row["monitor_id"]]
            assert (monitor["name"], str(monitor.get("port") or "")) == (row["name"], row.get("port") or "")


def made(cli: CommandLine, sandbox: Sandbox, rows: Sequence[Mapping[str, object]] = ROWS) -> Path:
    """Create the rows one after the other; the requests so far are forgotten."""
    sheet = cli.write_csv("rows.csv", rows)
    result, result_rows = cli.run(sheet, "--concurrency", "1")
    assert (result.exit_code, {row["status"] for row in result_rows}) == (0, {"created"}), (result, result_rows)
    check_ids(sandbox, result_rows)
    sandbox.forget_requests()
    return sheet


def unwritten(sandbox: Sandbox) -> bool:
    """True if nothing but logins and GETs was sent."""
    return not {"create", "patch", "delete"} & {name for name, number in sandbox.counts().items() if number}


def statuses(rows: Sequence[Mapping[str, str]]) -> list[str]:
    return [row["status"] for row in rows]


# ── 1. own memory first ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ways", [*WAYS, HIDING_ALL])
def test_what_this_folder_made_is_known_in_every_command(cli: CommandLine, account: Sandbox, ways: str) -> None:
    """plan, run, update, verify and undo; no warning of a near miss, no difference named, and nothing sent."""
    show(account, ways)
    sheet = made(cli, account)
    planned = cli("plan", sheet, "--json")
    assert (planned.json["counts"], planned.json["warnings"]) == ({"exists": len(ROWS)}, [])
    result, rows = cli.run(sheet, "--verify")
    assert (result.exit_code, statuses(rows)) == (0, ["exists"] * len(ROWS))
    assert {row["error"] for row in rows} == {""}
    check_ids(account, rows)
    result, rows = cli.run(sheet, "--on-existing", "update")
    assert (result.exit_code, statuses(rows), unwritten(account)) == (0, ["exists"] * len(ROWS), True)
    run = cli("runs", "--json").json[-1]["run_id"]
    verified = cli("resume", run, "--verify", "--json")
    assert verified.json["verify"] == {"compared": len(ROWS), "otherwise": 0, "missing": 0, "unseen": {}} | (
        {"unseen": {"port": 2}} if "no-ports" in ways else {}
    )
    assert verified.exit_code == 0
    undone = cli("undo", run, "--yes", "--json")
    assert (undone.exit_code, list(account.monitors())) == (0, [])


@pytest.mark.parametrize("ways", [*WAYS, HIDING_ALL])
def test_an_update_sends_what_the_sheet_changed_and_nothing_of_how_it_is_shown(
    cli: CommandLine, account: Sandbox, ways: str
) -> None:
    show(account, ways)
    made(cli, account)
    changed = [row | {"interval": 9 if number % 2 else 5} for number, row in enumerate(ROWS)]
    planned = cli("plan", cli.write_csv("b.csv", changed), "--on-existing", "update", "--json")
    assert planned.json["counts"] == {"exists": 5, "will update": 4}
    result, rows = cli.run(cli.folder / "b.csv", "--on-existing", "update", "--verify")
    assert (result.exit_code, statuses(rows)) == (0, ["exists", "updated"] * 4 + ["exists"])
    assert [row["error"] for row in rows] == ["", "interval 5 → 9"] * 4 + [""]
    assert [monitor["interval"] for monitor in account.monitors()] == [5, 9] * 4 + [5]
    check_ids(account, rows)


@pytest.mark.parametrize(("ways", "row"), [("cut", imap(f"{LONG} one")), ("empty-ports", imap("a", port=993))])
def test_an_update_that_achieved_nothing_is_not_sent_again_every_night(
    cli: CommandLine, account: Sandbox, ways: str, row: dict[str, object]
) -> None:
    show(account, ways)
    sheet = made(cli, account, [imap("short", hostname="mx2.example.com"), row])
    for _ in range(2):
        result, _ = cli.run(sheet, "--on-existing", "update")
        assert result.exit_code == 0
    assert account.counts().get("patch", 0) <= 1


@pytest.mark.parametrize("ways", ["", "blanks", "cut", "upper-names", "escapes", "no-ports"])
def test_a_monitor_that_was_renamed_by_hand_stays_its_rows(cli: CommandLine, account: Sandbox, ways: str) -> None:
    """Named and left, undone only if wanted, and renamed back by an update; never a second one."""
    show(account, ways)
    sheet = made(cli, account)
    api_request(account, "PATCH", account.monitors()[1], name="something else")
    result, rows = cli.run(sheet)
    assert (result.exit_code, statuses(rows)) == (0, ["exists"] * len(ROWS))
    shown = "SOMETHING ELSE" if ways == "upper-names" else "something else"
    assert [row["error"] for row in rows if row["error"]] == [f"Not changed: name {shown} → two  blanks."]
    run = cli("runs", "--json").json[-1]["run_id"]
    undo = cli("undo", run, "--dry-run", "--json").json["undo"]
    assert (undo["edited"], undo["deleted"]) == (1, len(ROWS) - 1)
    result, rows = cli.run(sheet, "--on-existing", "update")
    assert statuses(rows).count("updated") == 1
    assert account.monitors()[1]["name"] == "two  blanks"
    check_ids(account, rows)


@pytest.mark.parametrize("ways", ["", "no-ports", "empty-ports", "no-names"])
def test_a_port_that_the_sheet_changes_is_another_monitor_also_where_ports_are_not_shown(
    cli: CommandLine, account: Sandbox, ways: str
) -> None:
    """What the folder asked for is known, so it is not taken for the new row's."""
    show(account, ways)
    made(cli, account, [imap("a", port=993), imap("b", port=993), imap("c")])
    sheet = cli.write_csv("b.csv", [imap("a", port=995), imap("b", port=993), imap("c")])
    planned = cli("plan", sheet, "--json").json["counts"]
    result, rows = cli.run(sheet)
    assert planned == {"will create": 1, "exists": 2}
    assert (result.exit_code, statuses(rows)) == (0, ["created", "exists", "exists"])
    check_ids(account, rows)


@pytest.mark.parametrize("ways", ["", "no-ports", "no-names", HIDING_ALL])
def test_a_new_port_for_a_monitor_that_the_sheet_names_is_patched(
    cli: CommandLine, account: Sandbox, ways: str
) -> None:
    show(account, ways)
    made(cli, account, [imap("a", port=993), imap("b", port=993)])
    ids = [monitor["id"] for monitor in account.monitors()]
    sheet = cli.write_csv("b.csv", [imap("a", port=995, monitor_id=ids[0]), imap("b", port=993, monitor_id=ids[1])])
    result, _ = cli.run(sheet, "--on-existing", "update")
    assert result.exit_code == 0
    assert len(account.monitors()) == 2


TWINS = {
    "no-ports": [imap("mail"), imap("mail", port=993), imap("mail", port=2993)],
    "cut": [imap(f"{LONG} {word}") for word in ("one", "two", "three")],
    "bmp-only": [imap(f"mail {sign}") for sign in "🟢🔴🟡"],
    "question-marks": [imap(f"mail {sign}") for sign in "東京都"],
    "no-names": [imap(name) for name in "abc"],
    "no-hosts": [imap("mail", hostname=f"mx{number}.example.com") for number in range(3)],
}


@pytest.mark.parametrize("ways", TWINS)
def test_rows_that_the_account_shows_alike_are_all_made_and_kept_apart_by_this_folder(
    cli: CommandLine, account: Sandbox, ways: str
) -> None:
    """Only in port, behind the 50th character, in an emoji: also while the run learns it, and none is a twin."""
    show(account, ways)
    sheet = made(cli, account, TWINS[ways])
    for options in ([], ["--on-existing", "update"], ["--verify"]):
        result, rows = cli.run(sheet, *options)
        assert (result.exit_code, statuses(rows)) == (0, ["exists"] * 3), rows
        assert {row["error"] for row in rows} == {""}
        check_ids(account, rows)
    run = cli("runs", "--json").json[-1]["run_id"]
    assert cli("resume", run, "--verify", "--json").exit_code == 0
    fewer = cli.write_csv("fewer.csv", [*TWINS[ways][1:], imap("new", hostname="new.example.com")])
    assert statuses(cli.run(fewer)[1]) == ["exists", "exists", "created"]


@pytest.mark.parametrize("ways", ["blanks", "cut", "escapes", "upper-names", "no-ports", "no-names", HIDING_ALL])
def test_prune_deletes_what_is_gone_and_keeps_what_another_sheet_means(
    cli: CommandLine, account: Sandbox, ways: str
) -> None:
    """Two sheets of one folder mean the same monitor, however it is shown; and an edited one stays."""
    show(account, ways)
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()

    def night(**sheets: Sequence[Mapping[str, object]]) -> dict[str, Any]:
        for name, rows in sheets.items():
            cli.write_csv(f"box/{name}.csv", rows)
        result = cli("inbox", "box", "--json", "--prune", "--prune-limit", "100%", "--concurrency", "1")
        assert result.exit_code == 0, result
        return {file["name"]: file for file in result.json["files"]}

    night(a=ROWS)
    assert night(b=ROWS[:4])["b.csv"]["counts"] == {"exists": 4}
    file = night(a=ROWS[4:])["a.csv"]
    assert (file["gone"], file["deleted"], len(account.monitors())) == (4, 0, len(ROWS))
    file = night(a=ROWS[4:-1])["a.csv"]
    assert (file["deleted"], len(account.monitors())) == (1, len(ROWS) - 1)
    assert "round  trip" not in {monitor["name"] for monitor in account.monitors()}
    assert night(b=ROWS[:4])["b.csv"]["counts"] == {"exists": 4}


def test_a_near_miss_is_told_of_a_foreign_monitor_and_not_of_an_own_one_however_it_is_shown(
    cli: CommandLine, account: Sandbox
) -> None:
    show(account, "blanks")
    made(cli, account, [imap("two  blanks"), imap("other", hostname="mx2.example.com")])
    planned = cli(
        "plan", cli.write_csv("b.csv", [imap("two  blanks"), imap("fresh", hostname="mx2.example.com")]), "--json"
    )
    assert planned.json["counts"] == {"exists": 1, "will create": 1}
    (warning,) = planned.json["warnings"]
    assert "checks the same type, host and port under another name" in warning["message"]


# ── 2. the first monitor teaches ──────────────────────────────────────────────────────────────────────────


def operations(sandbox: Sandbox) -> list[str]:
    return [str(entry.operation) for entry in sandbox.requests() if entry.operation != "login"]


def test_the_first_monitor_goes_alone_and_is_read_back_before_the_others(cli: CommandLine, account: Sandbox) -> None:
    """Only in an account that is not known yet, and only if there are others."""
    cli.run(cli.write_csv("one.csv", ROWS[:1]))
    assert operations(account) == ["list", "create"]
    account.forget_requests()
    cli.run(cli.write_csv("rows.csv", ROWS))
    assert operations(account)[0] == "list"
    assert operations(account).count("list") == 1, "the first list has taught what one monitor can"
    account.forget_requests()
    cli.run(cli.folder / "rows.csv", "--output", "new")
    show(account, "")
    account.forget_requests()
    cli.run(cli.write_csv("more.csv", [imap(f"more {number}") for number in range(5)]), "--output", "newer")
    assert operations(account) == ["list", "create", "list", *["create"] * 4]


@pytest.mark.parametrize("ways", ["blanks", "escapes", "no-ports", "no-names"])
def test_a_difference_is_said_once(cli: CommandLine, account: Sandbox, ways: str) -> None:
    """On stderr, by the run that learns it, and by no later one of this folder."""
    show(account, ways)
    rows = [imap("a  & b", port=993), imap("c  & d", port=993), imap("e", port=993)]
    result, _ = cli.run(cli.write_csv("rows.csv", rows))
    assert result.stderr.count("The account ") == 1
    assert "bulkload allows for that when it compares rows with monitors." in result.stderr
    for command in (
        ["run", "rows.csv"],
        ["plan", "rows.csv"],
        ["resume"],
        ["run", "rows.csv", "--on-existing", "update"],
    ):
        assert "The account " not in cli(*command).stderr


def test_what_the_first_monitor_does_not_show_a_later_list_teaches(cli: CommandLine, account: Sandbox) -> None:
    """A plain name first; then names with blanks, and the run after that says so."""
    show(account, "blanks")
    result, _ = cli.run(cli.write_csv("rows.csv", [imap("plain"), imap("two  blanks"), imap("more  blanks")]))
    assert "The account " not in result.stderr
    result, rows = cli.run(cli.folder / "rows.csv")
    assert (result.stderr.count("repeated spaces"), statuses(rows)) == (1, ["exists"] * 3)
    assert "The account " not in cli.run(cli.folder / "rows.csv")[0].stderr


@pytest.mark.parametrize("hidden", [False, True])
def test_the_first_monitor_is_asked_for_where_the_list_is_late(
    cli: CommandLine, account: Sandbox, hidden: bool
) -> None:
    """If it is not to be seen at all yet, the run goes on and learns later."""
    by_hand_made(account, imap("foreign", hostname="other.example.com"))
    show(account, "blanks", visible_after=60.0, hide_single=hidden)
    account.forget_requests()
    result, rows = cli.run(cli.write_csv("rows.csv", [imap("a  b"), imap("c  d"), imap("e  f")]))
    assert (result.exit_code, statuses(rows)) == (0, ["created"] * 3)
    assert operations(account)[:4] == ["list", "create", "list", "get"]
    assert result.stderr.count("repeated spaces") == (0 if hidden else 1)


def by_hand_made(sandbox: Sandbox, row: Mapping[str, object]) -> None:
    """Make an IMAP monitor as somebody else would."""
    body = {field: value for field, value in row.items() if field != "type"}
    api_request(sandbox, "POST", {"type": "email-imap"}, **body)


# ── 3. what a list does not prove ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ways", ["", "blanks", "no-names", HIDING_ALL])
def test_a_row_in_doubt_is_sent_again_if_nothing_new_is_there(cli: CommandLine, account: Sandbox, ways: str) -> None:
    show(account, ways)
    made(cli, account, ROWS[:4])
    show(account, ways, Rule(fault="drop-before", times=1))
    result, rows = cli.run(cli.write_csv("more.csv", ROWS))
    again, rows = cli.run(cli.folder / "more.csv") if result.exit_code else (result, rows)
    assert again.exit_code == 0
    assert len(account.monitors()) == len(ROWS)
    check_ids(account, rows)


@pytest.mark.parametrize(("ways", "told"), [("", True), ("blanks", True), ("no-names", False)])
def test_absence_settles_a_row_only_if_ours_are_recognised_by_what_is_shown(
    cli: CommandLine, account: Sandbox, ways: str, told: bool
) -> None:
    """Somebody else makes a monitor while a row is in doubt; where names are hidden it may be any row's."""
    show(account, ways)
    made(cli, account, [imap("a"), imap("b", hostname="mx2.example.com")])
    show(account, ways, Rule(fault="drop-before"))
    in_doubt(cli)
    show(account, ways)
    by_hand_made(account, imap("somebody's", hostname="mx9.example.com"))
    for _ in range(2):
        result = cli("resume", "--results", "results.csv", "--wait" if told else "--json")
        (row,) = cli.read_results("results.csv")
        if told:
            assert (row["status"], len(account.monitors())) == ("created", 4)
            break
        assert (result.exit_code, row["status"], row["next_step"]) == (1, "unknown", "run again"), result
        assert "may be this row's, displayed differently from what was sent" in row["error"]
        assert len(account.monitors()) == 3
    check_ids(account, cli.read_results("results.csv"))


def in_doubt(cli: CommandLine) -> None:
    """Leave a row in doubt whose request has created nothing."""
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "60")
    result, (row,) = cli.run(cli.write_csv("more.csv", [imap("in doubt")]))
    assert (result.exit_code, row["status"]) == (1, "unknown"), result
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "0.1")


def test_a_row_that_waits_for_another_runs_doubt_says_so(cli: CommandLine, account: Sandbox) -> None:
    show(account, "no-names")
    made(cli, account, [imap("a"), imap("b", hostname="mx2.example.com")])
    show(account, "no-names", Rule(fault="drop-before"))
    in_doubt(cli)
    show(account, "no-names")
    by_hand_made(account, imap("somebody's", hostname="mx9.example.com"))
    _, (row,) = cli.run(cli.folder / "more.csv")
    assert row["status"] == "unknown"
    assert row["error"]


def test_a_row_in_doubt_that_may_have_made_either_of_two_monitors_stays_unknown(
    cli: CommandLine, account: Sandbox
) -> None:
    """Its request has made neither; whoever takes one for its own lets undo delete somebody's monitor."""
    show(account, "no-names")
    made(cli, account, [imap("a"), imap("b", hostname="mx2.example.com")])
    show(account, "no-names", Rule(fault="drop-before"))
    in_doubt(cli)
    show(account, "no-names")
    for name in ("somebody's", "somebody else's"):
        by_hand_made(account, imap(name))
    cli("resume", "--results", "results.csv")
    (row,) = cli.read_results("results.csv")
    assert row["status"] == "unknown"


def test_a_monitor_that_somebody_made_while_a_row_was_in_doubt_is_not_undone(
    cli: CommandLine, account: Sandbox
) -> None:
    """The row's request has created nothing, and the name that would tell is hidden."""
    show(account, "no-names")
    made(cli, account, [imap("a"), imap("b", hostname="mx2.example.com")])
    show(account, "no-names", Rule(fault="drop-before"))
    in_doubt(cli)
    show(account, "no-names")
    by_hand_made(account, imap("somebody's"))
    cli("resume")
    run = cli("runs", "--json").json[0]["run_id"]
    cli("undo", run, "--yes")
    assert "somebody's" in {monitor["name"] for monitor in account.monitors()}


# ── 4. a folder that knows nothing ────────────────────────────────────────────────────────────────────────

SAYS = {
    "no-names": "its name is not displayed",
    "no-hosts": "its host is not displayed",
    "no-ports": "its port is not displayed",
    "empty-ports": "its port is not displayed",
}


@pytest.mark.parametrize("ways", WAYS)
def test_a_new_folder_finds_what_is_there_and_says_what_differs(cli: CommandLine, account: Sandbox, ways: str) -> None:
    """plan says what run does, nothing is sent, and the next run says the same monitors."""
    show(account, ways)
    sheet = made(cli, account)
    planned = cli("plan", sheet, "--json", "--output", "new")
    result, rows = cli.run(sheet, "--output", "new")
    assert planned.json["counts"] == ended_counts(rows) == {"exists": len(ROWS)}
    assert (result.exit_code, unwritten(account)) == (0, True)
    check_ids(account, rows)
    for row in rows:
        assert row["error"] == "" or row["error"].startswith(f"Matched to monitor {row['monitor_id']}")
    if ways in SAYS:
        assert SAYS[ways] in rows[1]["error"]
        assert rows[1]["error"].endswith("if it is another one, run this row alone with --create-lookalikes.")
    again, more = cli.run(sheet, "--output", "new")
    assert (again.exit_code, unwritten(account)) == (0, True)
    assert [(row["status"], row["monitor_id"]) for row in more] == [("exists", row["monitor_id"]) for row in rows]
    result, rows = cli.run(sheet, "--output", "new", "--on-existing", "update")
    assert (statuses(rows), unwritten(account)) == (["exists"] * len(ROWS), True)


def ended_counts(results: Sequence[Mapping[str, str]]) -> dict[str, int]:
    return dict(Counter(statuses(results)))


def test_letter_case_alone_makes_another_monitor_unless_all_names_are_in_one(
    cli: CommandLine, account: Sandbox
) -> None:
    by_hand_made(account, imap("MAIL"))
    assert statuses(cli.run(cli.write_csv("a.csv", [imap("mail")]))[1]) == ["created"]
    for number in range(3):
        by_hand_made(account, imap(f"MX {number}", hostname=f"mx{number}.example.com"))
    api_request(account, "DELETE", account.monitors()[1])
    results = cli.run(cli.write_csv("b.csv", [imap("Mail")]), "--output", "new")[1]
    assert statuses(results) == ["exists"]
    assert 'its name is displayed as "MAIL"' in results[0]["error"] or "displayed as MAIL" in results[0]["error"]


@pytest.mark.parametrize("ways", ["blanks", "no-names", "no-ports"])
def test_lookalikes_are_created_on_request_and_then_known(cli: CommandLine, sandbox: Sandbox, ways: str) -> None:
    """The user says that the monitors are others; from then on the rows have their own."""
    show(sandbox, ways)
    rows = [imap("a  b", port=993), imap("c  d", hostname="mx2.example.com", port=993)]
    for row in rows:
        by_hand_made(sandbox, row | {"note": "somebody's"})
    sheet = cli.write_csv("rows.csv", rows)
    assert cli("plan", sheet, "--json", "--create-lookalikes").json["counts"] == {"will create": 2}
    result, result_rows = cli.run(sheet, "--create-lookalikes")
    assert (result.exit_code, statuses(result_rows)) == (0, ["created"] * 2)
    for options in ([], ["--create-lookalikes"]):
        more = cli.run(sheet, *options)[1]
        assert [(row["status"], row["monitor_id"]) for row in more] == [
            ("exists", row["monitor_id"]) for row in result_rows
        ]
    notes = {str(monitor["id"]): monitor["note"] for monitor in sandbox.monitors()}
    assert {notes[row["monitor_id"]] for row in result_rows} == {""}


def test_an_account_of_which_nothing_differs_creates_lookalikes_no_second_time(
    cli: CommandLine, account: Sandbox
) -> None:
    """--create-lookalikes is about monitors that only may be the row's; one that equals it is the row's."""
    sheet = made(cli, account)
    result, rows = cli.run(sheet, "--create-lookalikes", "--output", "new")
    assert (result.exit_code, statuses(rows), unwritten(account)) == (0, ["exists"] * len(ROWS), True)


@pytest.mark.parametrize("ways", TWINS)
def test_rows_that_nobody_can_tell_apart_are_unknown_and_not_sent(
    cli: CommandLine, account: Sandbox, ways: str
) -> None:
    """plan says it, run and resume stay at it, monitor_id settles it, also in the results file handed back."""
    show(account, ways)
    sheet = made(cli, account, TWINS[ways])
    planned = cli("plan", sheet, "--json", "--output", "new")
    assert planned.json["counts"] == {"unknown": 3}
    result, rows = cli.run(sheet, "--output", "new")
    assert (result.exit_code, statuses(rows)) == (1, ["unknown"] * 3)
    assert {row["next_step"] for row in rows} == {"run again"}
    for row in rows:
        assert row["monitor_id"] == ""
        assert "Nothing was sent. Write the right one into the column monitor_id" in row["error"]
    for command in (["resume"], ["run", sheet], ["run", cli.write_csv("back.csv", rows)]):
        result = cli(*command, "--output", "new", "--json")
        assert (result.exit_code in (1, 2), len(account.monitors())) == (True, 3), result
        assert unwritten(account)
    ids = [str(monitor["id"]) for monitor in account.monitors()]
    named = [row | {"monitor_id": number} for row, number in zip(rows, ids, strict=True)]
    result, rows = cli.run(cli.write_csv("named.csv", named), "--output", "new")
    assert (result.exit_code, statuses(rows), unwritten(account)) == (0, ["exists"] * 3, True)
    assert [row["monitor_id"] for row in rows] == ids


@pytest.mark.parametrize("ways", ["no-ports", "cut", "bmp-only", "no-names"])
def test_rows_that_nobody_can_tell_apart_are_created_if_the_user_says_so(
    cli: CommandLine, sandbox: Sandbox, ways: str
) -> None:
    show(sandbox, ways)
    sheet = made(cli, sandbox, TWINS[ways])
    result, rows = cli.run(sheet, "--output", "new", "--create-lookalikes")
    assert (result.exit_code, len(sandbox.monitors())) == (0, 6)
    assert statuses(rows) == ["created"] * 3
    more = cli.run(sheet, "--output", "new")[1]
    assert [(row["status"], row["monitor_id"]) for row in more] == [("exists", row["monitor_id"]) for row in rows]


def test_of_two_rows_that_may_be_a_monitor_none_has_it(cli: CommandLine, account: Sandbox) -> None:
    """Also if it equals one of them: an account may show it for the other."""
    made(cli, account, [imap("a b", port=993)])
    rows = [imap("a  b", port=993), imap("a b", port=993)]
    result, result_rows = cli.run(cli.write_csv("b.csv", rows), "--output", "new")
    assert (result.exit_code, statuses(result_rows)) == (1, ["unknown"] * 2)
    result, result_rows = cli.run(cli.write_csv("b.csv", rows), "--output", "new", "--create-lookalikes")
    assert (result.exit_code, statuses(result_rows)) == (0, ["created", "exists"])
    check_ids(account, result_rows)


def test_a_row_whose_name_only_begins_like_a_foreign_one_is_created_where_the_length_of_names_is_known(
    cli: CommandLine, account: Sandbox
) -> None:
    """The account cuts at 50, so a name of 15 is whole."""
    show(account, "cut")
    made(cli, account, [imap(f"{LONG} one"), imap(f"{LONG} two", hostname="mx2.example.com")])
    by_hand_made(account, imap("mail in the attic", hostname="mx3.example.com"))
    result, rows = cli.run(cli.write_csv("b.csv", [imap("mail in the attic, second", hostname="mx3.example.com")]))
    assert (result.exit_code, statuses(rows)) == (0, ["created"])


@pytest.mark.parametrize(
    ("asked", "ways"), [("Mail  R&D", "blanks"), ("AT&amp;T  mail", "blanks"), ("ı  Kapı", "blanks")]
)
def test_names_with_signs_and_escapes_of_their_own_are_found(
    cli: CommandLine, account: Sandbox, asked: str, ways: str
) -> None:
    show(account, ways)
    sheet = made(cli, account, [imap(asked)])
    results = cli.run(sheet, "--output", "new")[1]
    assert (statuses(results), len(account.monitors())) == (["exists"], 1)


# ── 5. there twice ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ways", ["", "blanks", "escapes", "upper-names"])
def test_monitors_that_a_gateway_made_twice_are_named(cli: CommandLine, sandbox: Sandbox, ways: str) -> None:
    """By --verify, with its exit code, and by the next plan and run, which go well."""
    show(sandbox, ways, Rule(fault="create-twice", at=(2,)))
    rows = [
        imap(name, hostname=f"mx{number}.example.com") for number, name in enumerate(["a  & A", "b  & B", "c  & C"])
    ]
    sheet = cli.write_csv("rows.csv", rows)
    result, result_rows = cli.run(sheet, "--verify", "--concurrency", "1")
    assert (result.exit_code, statuses(result_rows)) == (1, ["created"] * 3)
    assert [bool(row["error"]) for row in result_rows] == [False, True, False]
    (other,) = {str(monitor["id"]) for monitor in sandbox.monitors()} - {row["monitor_id"] for row in result_rows}
    twin = f"Duplicate monitor: monitor {other} looks the same as monitor {result_rows[1]['monitor_id']}"
    assert twin in result_rows[1]["error"]
    assert "1 monitor is in the account more than once" in result.stdout
    planned = cli("plan", sheet, "--json")
    assert [(one["row"], one["code"]) for one in planned.json["warnings"]] == [(3, "account.twin")]
    again, more = cli.run(sheet)
    assert (planned.exit_code, again.exit_code, statuses(more)) == (0, 0, ["exists"] * 3)
    assert [row["monitor_id"] for row in more] == [row["monitor_id"] for row in result_rows]
    assert twin in more[1]["error"]
    api_request(sandbox, "DELETE", next(monitor for monitor in sandbox.monitors() if str(monitor["id"]) == other))
    result, more = cli.run(sheet)
    assert (result.exit_code, {row["error"] for row in more}) == (0, {""})


# ── a store from before ───────────────────────────────────────────────────────────────────────────────────

BEFORE = 3  # migrations that a store had before it kept display profiles


def make_older(store: Path) -> None:
    """Write the same store as the version before would have."""
    older = store.with_name("older.sqlite3")
    with closing(sqlite3.connect(older, isolation_level=None)) as db:
        for script in MIGRATIONS[:BEFORE]:
            for statement in script.split(";"):
                db.execute(statement)
        db.execute("ATTACH ? AS now", (str(store),))
        for table in ("accounts", "runs", "rows", "monitors", "earlier"):
            columns = ", ".join(column[1] for column in db.execute(f"PRAGMA main.table_info ({table})"))
            db.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        db.execute(f"PRAGMA user_version = {BEFORE}")
        assert db.execute("SELECT count(*) FROM main.monitors").fetchone()[0] > 0
    for suffix in ("", "-wal", "-shm"):
        store.with_name(f"{store.name}{suffix}").unlink(missing_ok=True)
    older.rename(store)


@pytest.mark.parametrize("ways", [*WAYS, HIDING_ALL])
def test_a_store_from_before_opens_and_learns(cli: CommandLine, account: Sandbox, ways: str) -> None:
    """What it made is known at once; what the list teaches is said once."""
    show(account, ways)
    sheet = made(cli, account)
    store = cli.folder / "output" / "bulkload.sqlite3"
    make_older(store)
    planned = cli("plan", sheet, "--json")
    assert planned.json["counts"] == {"exists": len(ROWS)}
    make_older(store)
    first, rows = cli.run(sheet)
    assert (first.exit_code, statuses(rows), {row["error"] for row in rows}) == (0, ["exists"] * len(ROWS), {""})
    check_ids(account, rows)
    assert ("The account " in first.stderr) == teaches(ways)
    second: CommandResult = cli.run(sheet)[0]
    assert "The account " not in second.stderr
    with closing(sqlite3.connect(store)) as db:
        assert json.loads(db.execute("SELECT showing FROM accounts").fetchone()[0])["known"]


def teaches(ways: str) -> bool:
    """False where what is shown means the same as what was asked for, or two monitors would be needed to tell."""
    return ways not in ("decomposed", "host-ports", "default-ports", "number-texts")
