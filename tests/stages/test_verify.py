"""--verify tells what the account stores otherwise than it was asked to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest

from bulkload.sandbox import Faults, SandboxOptions
from bulkload.sandbox.server import running
from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, api_request, fake_api, imap, list_response

Change = Callable[[dict[str, Any]], object]


def account(change: Change, *, shown_one_by_one: bool = True) -> Callable[[ApiRequest], FakeResponse]:
    """An account that stores something else than it was asked to; a change to None is a monitor that is not listed."""
    stored: dict[str, dict[str, Any]] = {}

    def answer(request: ApiRequest) -> FakeResponse:
        number = request.path.rpartition("/")[2]
        if request.method == "POST":
            monitor = {**request.body, "id": len(stored) + 1, "type": number}
            stored[str(monitor["id"])] = monitor
            change(monitor)
            return FakeResponse(content={"id": str(monitor["id"])})
        if request.method == "PATCH":
            stored[number] |= request.body
            change(stored[number])
            return FakeResponse(content={"id": number})
        if request.path == "/monitors":
            return list_response(*(one for one in stored.values() if not one.get("hidden")))
        one = stored.get(number)
        if one is None or (one.get("hidden") and not shown_one_by_one):
            return FakeResponse(status=404, content={"errors": [{"code": 404, "message": "Record not found"}]})
        return FakeResponse(content=one)

    return answer


def only(name: str, **fields: object) -> Change:
    return lambda monitor: monitor.update(fields) if monitor["name"] == name else None


ROWS = [imap("a", interval=5, note="n"), imap("b", interval=5, note="n"), imap("c", interval=5, note="n")]


def test_what_is_stored_as_asked_is_said_once(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", ROWS), "--verify")
        assert result.exit_code == 0
        assert "Verified: All 3 monitors are stored as requested.\n" in result.stdout
        assert {(row["status"], row["error"]) for row in rows} == {("created", "")}
        assert sandbox.counts()["list"] == 3  # the plan, the first monitor read back, the comparison
        again = cli("run", "a.csv", "--verify")
        assert (again.exit_code, "created and updated nothing. There was nothing to compare." in again.stdout) == (
            0,
            True,
        )


@pytest.mark.parametrize(
    ("fields", "columns", "words"),
    [
        ({"interval": 15}, "interval", "Stored differently: interval 5 → 15."),
        (
            {"interval": 15, "note": None},
            "interval; note",
            "Stored differently: interval 5 → 15. Stored differently: note n → (empty).",
        ),
        ({"interval": "5", "enabled": True, "port": ""}, "", ""),
        (
            {"billing_plancode": "OTHER"},
            "billing_plancode",
            "Stored differently: billing_plancode UBM - A/A → OTHER.",
        ),
    ],
)
def test_a_silent_change_is_named_by_row_and_field(
    cli: CommandLine, fields: dict[str, object], columns: str, words: str
) -> None:
    """The row stays created, the run is not a full success, and a look at the sheet shows the cell."""
    with fake_api(account(only("b", **fields))) as server:
        cli.use_account(server.base_url)
        result = cli(
            "run", cli.write_csv("a.csv", ROWS), "--verify", "--results", "r.csv", "--results", "r.xlsx", "--json"
        )
        assert result.exit_code == (1 if words else 0)
        assert result.json["verify"] == {"compared": 3, "otherwise": int(bool(words)), "missing": 0, "unseen": {}}
    rows = cli.read_results("r.csv")
    assert {row["status"] for row in rows} == {"created"}
    assert [row["error"] for row in rows] == ["", words, ""]
    assert [row["error_columns"] for row in rows] == ["", columns, ""]
    sheet = openpyxl.load_workbook(cli.folder / "r.xlsx").worksheets[0]
    titles = [str(sheet.cell(1, number).value) for number, cell in enumerate(sheet[3], 1) if cell.comment]
    assert sorted(titles) == sorted(columns.split("; ") if columns else [])


def test_what_an_update_did_not_achieve_is_named(cli: CommandLine) -> None:
    """The whole row is compared, not only what was patched; what was changed is still told."""
    with fake_api(account(lambda monitor: monitor.update(note="stuck"))) as server:
        cli.use_account(server.base_url)
        sheet = cli.write_csv("a.csv", [imap("a", interval=5)])
        cli.run(sheet)
        sheet = cli.write_csv("b.csv", [imap("a", interval=7, note="moved")])
        result, (row,) = cli.run(sheet, "--on-existing", "update", "--verify")
        assert (result.exit_code, row["status"]) == (1, "updated")
        assert row["error"] == ("interval 5 → 7; note stuck → moved. Stored differently: note moved → stuck.")


def test_a_text_cut_short_is_told_by_its_length(cli: CommandLine) -> None:
    with fake_api(account(lambda monitor: monitor.update(note=monitor["note"][:100]))) as server:
        cli.use_account(server.base_url)
        result, (row,) = cli.run(cli.write_csv("a.csv", [imap("a", note="x" * 200)]), "--verify")
        assert result.exit_code == 1
        assert "(200 characters) → " in row["error"]
        assert "(100 characters)." in row["error"]


@pytest.mark.parametrize(("shown", "exit_code"), [(True, 0), (False, 1)])
def test_a_monitor_that_the_list_lacks_is_asked_for(cli: CommandLine, shown: bool, exit_code: int) -> None:
    with fake_api(account(only("b", hidden=True), shown_one_by_one=shown)) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", ROWS), "--verify")
        assert (result.exit_code, {row["status"] for row in rows}) == (exit_code, {"created"})
        assert rows[1]["error"] == ("" if shown else f"Monitor {rows[1]['monitor_id']} is not in the account.")
        assert ("1 of 3 monitors are stored differently from the request (1 not found)." in result.stdout) is not shown


def test_a_list_that_lags_is_no_silent_change(cli: CommandLine) -> None:
    with running(faults=Faults(visible_after=0.1, hide_single=True)) as sandbox:
        cli.use_account(sandbox.base_url)
        result, _ = cli.run(cli.write_csv("a.csv", ROWS), "--verify")
        assert (result.exit_code, "All 3 monitors are stored as requested." in result.stdout) == (0, True)


def test_resume_verifies_again_and_replaces_what_was_said(cli: CommandLine) -> None:
    """Any run can be verified later, as often as wanted."""
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        run = cli("run", cli.write_csv("a.csv", ROWS), "--results", "results.csv", "--json").json["run_id"]
        (_, second, _) = sandbox.monitors()
        for interval, exit_code in ((60, 1), (70, 1), (5, 0)):
            api_request(sandbox, "PATCH", second, interval=interval)
            result = cli("resume", run, "--verify", "--json")
            assert (result.exit_code, result.json["verify"]["otherwise"]) == (exit_code, exit_code)
            words = f"Stored differently: interval 5 → {interval}." if exit_code else ""
            assert [row["error"] for row in cli.read_results("results.csv")] == ["", words, ""]
        assert len(sandbox.monitors()) == 3


def test_fields_that_are_not_shown_are_named_and_prove_nothing(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        result, _ = cli.run(cli.write_csv("a.csv", [imap("a", **{"api:timout": 5})]), "--verify")
        assert result.exit_code == 0
        assert "The one monitor is stored as requested. The account does not display timout." in result.stdout


def test_what_was_not_asked_for_is_no_change(cli: CommandLine) -> None:
    """The account's own defaults fill what the row leaves open; what --set says was asked for."""
    with running(SandboxOptions(defaults={"interval": 60})) as sandbox:
        cli.use_account(sandbox.base_url)
        result, _ = cli.run(cli.write_csv("a.csv", [imap("a")]), "--verify", "--set", f"alert_note={'x' * 1000}")
        assert result.exit_code == 0


def test_a_list_that_cannot_be_believed_is_not_compared_with(cli: CommandLine) -> None:
    """The rows are created and say so; the run says that they were not verified."""
    answer = account(lambda monitor: None)
    lists: list[ApiRequest] = []

    def forgetful(request: ApiRequest) -> FakeResponse:
        if request.method == "GET" and request.path == "/monitors":
            lists.append(request)
            return list_response() if len(lists) > 1 else answer(request)
        return answer(request)

    with fake_api(forgetful) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", ROWS), "--verify")
        assert (result.exit_code, {row["status"] for row in rows}) == (3, {"created"})
        assert "contains none of the 3 monitors that bulkload created" in result.stdout


def test_the_environment_can_ask_for_it(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        cli.monkeypatch.setenv("BULKLOAD_VERIFY", "yes")
        assert "Verified: All 3 monitors" in cli.run(cli.write_csv("a.csv", ROWS))[0].stdout


def test_monitors_that_the_list_omits_are_requested_several_at_a_time(cli: CommandLine) -> None:
    """No request for one monitor is answered before another two wait, too."""
    hide: Change = lambda monitor: monitor.update(hidden=monitor["name"] != "first")  # noqa: E731
    answer = account(hide)
    barrier = threading.Barrier(3)

    def together(request: ApiRequest) -> FakeResponse:
        if request.method == "GET" and request.path != "/monitors":
            barrier.wait(timeout=60)
        return answer(request)

    with fake_api(together) as server:
        cli.use_account(server.base_url)
        rows = [imap(name, interval=5, hostname=f"{name}.example.com") for name in ("first", *"abcdef")]
        result, rows_ = cli.run(cli.write_csv("a.csv", rows), "--verify", "--concurrency", "3")
        assert "Verified: All 7 monitors are stored as requested.\n" in result.stdout
        assert [row["status"] for row in rows_] == ["created"] * 7
