"""What happens to monitors that are there already: left, changed field by field, or a reason to stop."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import (
    PLAN,
    ApiRequest,
    CommandLine,
    FakeResponse,
    api_request,
    fake_api,
    imap,
    list_response,
)
from tests.support.waiting import wait_until

STORED: dict[str, object] = {
    **{"id": 7, "type": "email-imap", "name": "mx1 IMAP", "hostname": "mx1.example.com", "port": ""},
    **{"billing_plancode": "UBM - A/A", "interval": 15, "timeout": 30, "enabled": True, "note": "", "ipv4": None},
    **{"locations": [{"id": 10, "name": "Fort Lauderdale (FL)", "region": 1}, {"id": 20, "name": "B", "region": 1}]},
    **{"home_location": 10, "mode": "Global Verify", "custom_properties": [], "smart": {"deep": [1, "2"], "x": None}},
}


def account(stored: dict[str, object]) -> Callable[[ApiRequest], FakeResponse]:
    """An account with one monitor."""

    def answer(request: ApiRequest) -> FakeResponse:
        return list_response(stored) if request.method == "GET" else FakeResponse(content={"id": "7"})

    return answer


@pytest.mark.parametrize(
    ("stored", "row", "patch", "words"),
    [
        ({}, {}, None, ""),
        ({}, {"interval": "5"}, {"interval": 5}, "interval 15 → 5"),
        ({}, {"interval": "5", "note": "x y"}, {"interval": 5, "note": "x y"}, "interval 15 → 5; note (empty) → x y"),
        ({"interval": "15", "enabled": "true"}, {"interval": "15", "enabled": "yes"}, None, ""),
        ({"interval": "15"}, {"interval": "16"}, {"interval": 16}, "interval 15 → 16"),
        ({"port": ""}, {"port": "143"}, None, ""),
        ({"port": "143"}, {}, None, ""),
        ({"hostname": "imaps://mx1.example.com:993"}, {"port": "993"}, None, ""),
        ({"enabled": False}, {"enabled": "yes"}, {"enabled": True}, "enabled false → true"),
        ({}, {"locations": "20;10"}, None, ""),
        ({"locations": ["10", "20"]}, {"locations": "10;20"}, None, ""),
        ({}, {"locations": "10;30"}, {"locations": [{"id": 10}, {"id": 30}]}, None),
        (
            {},
            {"locations": "10;30", "home_location": "10"},
            {"locations": [{"id": 10}, {"id": 30}], "home_location": 10},
            None,
        ),
        ({"hostname": "MX1.Example.com."}, {}, None, ""),
        ({"name": " mx1 IMAP "}, {}, None, ""),
        ({}, {"mode": "global verify"}, None, ""),
        ({"custom_properties": [{"id": "28", "name": "App", "value": "A", "value_id": 74}]}, {}, None, ""),
        (
            {"custom_properties": [{"id": 28, "name": "App", "value": "A", "value_id": "74"}]},
            {"custom_properties": "28=74"},
            None,
            "",
        ),
        ({}, {"custom_properties": "28=74"}, {"custom_properties": [{"id": 28, "value_id": 74}]}, None),
        ({}, {"api:smart": '{"deep": [1, 2]}'}, None, ""),
        ({}, {"api:smart": '{"deep": [1, 3]}'}, {"smart": {"deep": [1, 3]}}, None),
        ({}, {"api:unlisted": "1"}, None, ""),
        ({"note": "a\r\nb"}, {"note": "a\nb"}, None, ""),
    ],
)
def test_a_patch_holds_the_differing_fields_and_no_others(
    cli: CommandLine,
    stored: dict[str, object],
    row: dict[str, object],
    patch: dict[str, object] | None,
    words: str | None,
) -> None:
    sheet = cli.write_csv("a.csv", [imap("mx1 IMAP", **row)])
    with fake_api(account(STORED | stored)) as server:
        cli.use_account(server.base_url)
        planned = cli("plan", sheet, "--on-existing", "update", "--json")
        assert (server.count("PATCH"), server.count("POST")) == (0, 0)
        result, rows = cli.run(sheet, "--on-existing", "update")
    sent = [request.body for request in server.requests if request.method == "PATCH"]
    assert (sent, server.count("POST")) == ([patch] if patch else [], 0)
    assert (result.exit_code, planned.exit_code) == (0, 0)
    assert planned.json["counts"] == {"will update" if patch else "exists": 1}
    assert (rows[0]["status"], rows[0]["monitor_id"]) == ("updated" if patch else "exists", "7")
    assert words is None or rows[0]["error"] == words


def test_plan_shows_old_and_new(cli: CommandLine) -> None:
    with fake_api(account(STORED)) as server:
        cli.use_account(server.base_url)
        shown = cli("plan", cli.write_csv("a.csv", [imap("mx1 IMAP", interval=5)]), "--on-existing", "update").stdout
    assert "will update  row 2" in shown
    assert "interval 15 → 5" in shown


@pytest.mark.parametrize("how", ["skip", "update", "fail"])
def test_a_type_cannot_change(cli: CommandLine, how: str) -> None:
    """A row that names a monitor of another type is invalid, and nothing is sent for it."""
    sheet = cli.write_csv("a.csv", [imap("mx1 IMAP", monitor_id=7)])
    with fake_api(account(STORED | {"type": "email-smtp"})) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(sheet, "--on-existing", how)
    assert result.exit_code == 1
    assert rows[0]["status"] == "invalid"
    assert rows[0]["error"] == "Monitor 7 is of type email-smtp; a monitor cannot change its type."
    assert server.count("PATCH") == server.count("POST") == 0


def made(cli: CommandLine, sandbox: Sandbox, rows: list[dict[str, object]]) -> list[dict[str, Any]]:
    """Create rows in their order, and give the account as it is then."""
    cli.use_account(sandbox.base_url)
    result, _ = cli.run(cli.write_csv("made.csv", rows), "--concurrency", "1")
    assert result.exit_code == 0, result
    return list(sandbox.monitors())


def test_a_monitor_is_renamed_by_its_id(cli: CommandLine) -> None:
    """Two rows swap their names; each monitor gets exactly one PATCH of exactly its name."""
    with running() as sandbox:
        before = made(cli, sandbox, [imap("a"), imap("b")])
        rows = [imap("b", monitor_id=before[0]["id"]), imap("a", monitor_id=before[1]["id"])]
        result, result_rows = cli.run(cli.write_csv("b.csv", rows), "--on-existing", "update")
        assert result.exit_code == 0
        assert [row["error"] for row in result_rows] == ["name a → b", "name b → a"]
        assert list(sandbox.monitors()) == [before[0] | {"name": "b"}, before[1] | {"name": "a"}]
        assert sandbox.counts()["patch"] == 2
        again, result_rows = cli.run(cli.write_csv("b.csv", rows), "--on-existing", "update")
        assert {row["status"] for row in result_rows} == {"exists"}
        assert (again.exit_code, sandbox.counts()["patch"]) == (0, 2)


def test_without_update_differences_are_named_and_left(cli: CommandLine) -> None:
    with running() as sandbox:
        before = made(cli, sandbox, [imap("a", interval=15)])
        result, rows = cli.run(cli.write_csv("b.csv", [imap("a", interval=5)]))
        assert (result.exit_code, rows[0]["error"]) == (0, "Not changed: interval 15 → 5.")
        assert list(sandbox.monitors()) == before


def test_fail_stops_before_the_first_create(cli: CommandLine) -> None:
    with running() as sandbox:
        before = made(cli, sandbox, [imap("a")])
        result, rows = cli.run(cli.write_csv("b.csv", [imap("new"), imap("a"), imap("newer")]), "--on-existing", "fail")
        assert result.exit_code == 1
        assert [row["status"] for row in rows] == ["not_attempted", "exists", "not_attempted"]
        assert "--on-existing is fail" in result.stdout
        assert list(sandbox.monitors()) == before
        planned = cli("plan", cli.folder / "b.csv", "--on-existing", "fail")
        assert planned.exit_code == 1


def test_locations_take_the_home_location_along(cli: CommandLine) -> None:
    """Exactly what the row says is in the account afterwards, also where a new list resets its home."""
    with running() as sandbox:
        made(cli, sandbox, [imap("a", locations="10;20", home_location=20)])
        sheet = cli.write_csv("b.csv", [imap("a", locations="10;20;30", home_location=20)])
        result, rows = cli.run(sheet, "--on-existing", "update")
        assert (result.exit_code, rows[0]["status"]) == (0, "updated")
        (monitor,) = sandbox.monitors()
        assert monitor["home_location"] == 20
        assert [place["id"] for place in monitor["locations"]] == [10, 20, 30]  # type: ignore[attr-defined]


def test_an_update_cut_short_is_still_told_as_an_update(cli: CommandLine) -> None:
    """The patch lands and its answers are lost until the run gives up; the next session says what was changed."""
    with running() as sandbox:
        made(cli, sandbox, [imap("a", interval=15)])
        sandbox.set_faults(Faults(rules=(Rule(fault="error-after", on=("patch",)),)))
        sheet = cli.write_csv("b.csv", [imap("a", interval=5)])
        result, rows = cli.run(sheet, "--on-existing", "update")
        assert (result.exit_code, rows[0]["status"]) == (3, "not_attempted")
        assert sandbox.monitors()[0]["interval"] == 5
        sandbox.set_faults(Faults())
        patches = sandbox.counts()["patch"]
        again = cli("resume", "--on-existing", "update", "--results", "results.csv", "--json")
        assert (again.exit_code, again.json["counts"]) == (0, {"updated": 1})
        assert cli.read_results("results.csv")[0]["error"] == "interval 15 → 5"
        assert sandbox.counts()["patch"] == patches


@pytest.mark.parametrize("number", [1, 5])
def test_a_run_killed_among_its_updates_tells_all_of_them_in_the_end(cli: CommandLine, number: int) -> None:
    """Those recorded, those sent and not recorded, and those never sent."""
    names = "abcdefgh"
    with running() as sandbox:
        made(cli, sandbox, [imap(name, interval=15) for name in names])
        unanswered = Rule(fault="stall-after", on=("patch",), at=tuple(range(number, 9)))
        sandbox.set_faults(Faults(rules=(unanswered,)))
        sheet = cli.write_csv("b.csv", [imap(name, interval=5) for name in names])
        command = [sys.executable, "-m", "bulkload", "run", str(sheet), "--on-existing", "update"]
        with subprocess.Popen([*command, "--concurrency", "2"], stderr=subprocess.DEVNULL) as process:
            wait_until(lambda: sandbox.counts().get("patch", 0) >= number, process)
            process.kill()
        sandbox.set_faults(Faults())
        assert {monitor["interval"] for monitor in sandbox.monitors()} == {5, 15}
        again = cli("resume", "--on-existing", "update", "--results", "results.csv", "--json")
        assert (again.exit_code, again.json["counts"]) == (0, {"updated": len(names)})
        assert {row["error"] for row in cli.read_results("results.csv")} == {"interval 15 → 5"}
        assert {monitor["interval"] for monitor in sandbox.monitors()} == {5}


@pytest.mark.parametrize("how", ["skip", "update"])
def test_a_resumed_update_whose_monitor_is_gone_creates_it_whole(cli: CommandLine, how: str) -> None:
    """What is created then is the whole row, not the fields that were to be patched."""
    with running() as sandbox:
        (before,) = made(cli, sandbox, [imap("a", interval=15, note="keep me")])
        sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("patch",)),)))
        sheet = cli.write_csv("b.csv", [imap("a", interval=5, note="keep me")])
        assert cli.run(sheet, "--on-existing", "update")[0].exit_code == 3
        sandbox.set_faults(Faults())
        api_request(sandbox, "DELETE", before)
        again = cli("resume", "--on-existing", how, "--results", "results.csv", "--trust-list", "--json")
        assert again.json["counts"] == {"created": 1}
        (after,) = sandbox.monitors()
        assert (after["interval"], after["note"], after["hostname"]) == (5, "keep me", "mx1.example.com")


def test_a_monitor_that_goes_away_during_the_run_is_no_success(cli: CommandLine) -> None:
    with fake_api(
        lambda request: list_response(STORED) if request.method == "GET" else FakeResponse(status=404, content={})
    ) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", [imap("mx1 IMAP", interval=5)]), "--on-existing", "update")
    assert (result.exit_code, rows[0]["status"], rows[0]["next_step"]) == (1, "failed", "run again")
    assert "Monitor 7 was deleted" in rows[0]["error"]


def test_what_the_api_refuses_is_told_in_its_words(cli: CommandLine) -> None:
    refusal = FakeResponse(status=400, content={"errors": [{"code": 400, "message": "no such interval"}]})
    with fake_api(lambda request: list_response(STORED) if request.method == "GET" else refusal) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", [imap("mx1 IMAP", interval=5)]), "--on-existing", "update")
    assert (result.exit_code, rows[0]["status"], rows[0]["error"]) == (1, "rejected", "no such interval")


@pytest.mark.parametrize("edited", ["a", "ab"])
def test_a_results_file_that_was_edited_patches_its_monitors(cli: CommandLine, edited: str) -> None:
    """One row, or every row: none of the monitors is gone."""
    with running() as sandbox:
        made(cli, sandbox, [imap(name, interval=15) for name in "ab"])
        before = cli.read_results("results.csv")
        rows = [row | {"interval": 5 if row["name"] in edited else 15} for row in before]
        result, result_rows = cli.run(cli.write_csv("edited.csv", rows), "--on-existing", "update")
        assert result.exit_code == 0, result
        expected = {"a": "updated", "b": "updated" if "b" in edited else "exists"}
        assert {row["name"]: row["status"] for row in result_rows} == expected
        stored = {monitor["name"]: monitor["interval"] for monitor in sandbox.monitors()}
        assert stored == {row["name"]: row["interval"] for row in rows}


def test_results_keep_the_monitors_that_an_export_names_whatever_becomes_of_its_rows(cli: CommandLine) -> None:
    """Renamed and mistyped, then corrected in the results and handed back: no second monitor."""
    with running() as sandbox:
        made(cli, sandbox, [imap("a"), imap("b")])
        assert cli("export", "export.csv").exit_code == 0
        export = cli.read_results("export.csv")
        sheet = cli.write_csv("edited.csv", [export[0] | {"name": "renamed", "interval": "15 min"}, export[1]])
        cli.use_account(sandbox.base_url, password="wrong")
        result, stopped = cli.run(sheet, "--on-existing", "update")
        assert (result.exit_code, [row["status"] for row in stopped]) == (3, ["invalid", "not_attempted"])
        assert [row["monitor_id"] for row in stopped] == [row["monitor_id"] for row in export]
        cli.use_account(sandbox.base_url)
        result, rows = cli.run(cli.write_csv("again.csv", stopped), "--on-existing", "update")
        assert [row["status"] for row in rows] == ["invalid", "exists"]
        corrected = cli.write_csv("corrected.csv", [rows[0] | {"interval": "15"}, rows[1]])
        result, rows = cli.run(corrected, "--on-existing", "update")
        assert [row["status"] for row in rows] == ["updated", "exists"]
        assert {monitor["name"] for monitor in sandbox.monitors()} == {"renamed", "b"}


def test_a_round_trip_whose_mailbox_changes_stays_the_same_monitor(cli: CommandLine) -> None:
    """As a second one it would cost money; the mailbox is patched like any other field."""
    servers = {"smtp_hostname": "smtp.example.com", "pop3_hostname": "pop.example.com"}
    row: dict[str, object] = {
        "type": "round-trip",
        "name": "bounce",
        "billing_plancode": PLAN,
        "email": "a@example.com",
        **servers,
    }
    with running() as sandbox:
        made(cli, sandbox, [row])
        changed = cli.write_csv("b.csv", [row | {"email": "b@example.com"}])
        _, rows = cli.run(changed)
        assert (rows[0]["status"], rows[0]["error"]) == (
            "exists", "Not changed: email a@example.com → b@example.com."
        )  # fmt: skip
        assert cli.run(changed, "--on-existing", "update")[0].exit_code == 0
        assert [monitor["email"] for monitor in sandbox.monitors()] == ["b@example.com"]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_results_beside_a_users_own_column_of_that_name_are_a_good_input(cli: CommandLine, suffix: str) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        file, found = cli.write_csv("hosts.csv", [imap(name, error="once\tcut off") for name in ("=a", "b")]), []
        for turn in range(3):
            results = cli.folder / f"results-{turn}{suffix}"
            command = ("run", file, "--ignore-unknown", "--results", results, "--results", "seen.csv")
            assert cli(*command).exit_code == 0
            found.append([{**row, "run_id": "", "bulkload_run_id": ""} for row in cli.read_results("seen.csv")])
            file = results
        assert sorted(str(monitor["name"]) for monitor in sandbox.monitors()) == ["=a", "b"]
    assert [row["bulkload_status"] for row in found[1]] == ["exists", "exists"]
    assert [row["name"] for row in found[1]] == ["'=a", "b"]
    assert found[1] == found[2]
