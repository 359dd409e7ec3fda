"""Undo deletes the monitors that one run created and no others, and can be interrupted at any time."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule, SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.runs import Store
from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, api_request, fake_api, imap, list_response
from tests.support.waiting import TIMEOUT, wait_until


def run_rows(cli: CommandLine, sandbox: Sandbox, names: str, *arguments: object) -> str:
    """Create one monitor per letter, in this order, and return the run's ID."""
    cli.use_account(sandbox.base_url)
    sheet = cli.write_csv(f"{names}.csv", [imap(name, interval=15) for name in names])
    result = cli("run", sheet, "--results", "results.csv", "--json", "--concurrency", "1", *arguments)
    return str(result.json["run_id"])


def names(sandbox: Sandbox) -> list[Any]:
    return sorted(str(monitor["name"]) for monitor in sandbox.monitors())


def test_only_monitors_that_the_run_created_are_deleted(cli: CommandLine) -> None:
    """Monitors that existed before, and those of other runs, are kept."""
    with running() as sandbox:
        first = run_rows(cli, sandbox, "ab")
        second = run_rows(cli, sandbox, "bcd")
        third = run_rows(cli, sandbox, "e")
        result = cli("undo", second, "--yes", "--json")
        assert (result.exit_code, names(sandbox)) == (0, ["a", "b", "e"])
        assert (result.json["undo"]["deleted"], result.json["counts"]) == (2, {"exists": 1, "removed": 2})
        assert [row["status"] for row in cli.read_results("results.csv")] == ["exists", "removed", "removed"]
        assert {len(result.json["undo"]["monitors"]), sandbox.counts()["delete"]} == {2}
        for run in (first, third):
            assert cli("undo", run, "--yes").exit_code == 0
        assert names(sandbox) == []


def test_undo_is_safe_to_repeat_and_the_file_can_be_run_again(cli: CommandLine) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "abc")
        results = (cli.folder / "results.csv").read_bytes()
        assert cli("undo", run, "--yes").exit_code == 0
        removed = (cli.folder / "results.csv").read_bytes()
        assert removed != results
        again = cli("undo", run, "--yes")
        assert (again.exit_code, again.stdout) == (0, f"Run {run} has no monitors left.\n")
        assert sandbox.counts()["delete"] == 3
        (cli.folder / "removed.csv").write_bytes(removed)
        kept, rows = cli.run(cli.folder / "removed.csv")
        assert ({row["status"] for row in rows}, names(sandbox)) == ({"removed"}, [])
        assert kept.exit_code == 1
        assert cli.run(cli.folder / "abc.csv")[0].exit_code == 0
        assert names(sandbox) == ["a", "b", "c"]


def test_an_edited_monitor_is_kept_and_its_edited_fields_are_reported(cli: CommandLine) -> None:
    """In the preview, in the results and in JSON; once the edit is reverted, the monitor is deleted."""
    with running() as sandbox:
        run = run_rows(cli, sandbox, "abc")
        edited = sandbox.monitors()[1]
        api_request(sandbox, "PATCH", edited, interval=60, name="mine now")
        preview = cli("undo", run, "--dry-run")
        reason = "Edited since: name b → mine now; interval 15 → 60."
        assert f"keep    row 3: {edited['id']}  imap  b  mx1.example.com  ({reason})" in preview.stdout
        for _ in range(2):
            result = cli("undo", run, "--yes", "--json")
            assert (result.exit_code, names(sandbox)) == (1, ["mine now"])
            (row,) = (row for row in cli.read_results("results.csv") if row["status"] == "created")
            assert (row["monitor_id"], row["error"]) == (str(edited["id"]), f"Not undone. {reason}")
        kept = result.json["undo"]["monitors"][0]
        assert kept["fields"] == {"name": {"asked": "b", "now": "mine now"}, "interval": {"asked": 15, "now": 60}}
        api_request(sandbox, "PATCH", edited, interval=15, name="b")
        assert cli("undo", run, "--yes").exit_code == 0
        assert names(sandbox) == []
        again = "Deleted by undo. To create it again, empty this row's monitor_id and run this file."
        assert {row["error"] for row in cli.read_results("results.csv")} == {again}


def test_an_edited_monitor_is_deleted_with_include_edited(cli: CommandLine) -> None:
    """The preview still reports the edited fields."""
    with running() as sandbox:
        run = run_rows(cli, sandbox, "ab")
        api_request(sandbox, "PATCH", sandbox.monitors()[0], interval=60)
        preview = cli("undo", run, "--include-edited", "--dry-run").stdout
        assert "delete  row 2: 100001  imap  a  mx1.example.com  (Edited since: interval 15 → 60.)" in preview
        result = cli("undo", run, "--include-edited", "--yes")
        assert (result.exit_code, names(sandbox)) == (0, [])


def test_a_monitor_that_is_edited_after_the_preview_is_kept(cli: CommandLine) -> None:
    """The list still displays it as requested; the monitor that GET returns is edited."""
    state: dict[str, dict[str, object]] = {}

    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "POST":
            state["7"] = {**request.body, "id": 7, "type": "email-imap"}
            return FakeResponse(content={"id": "7"})
        if request.path == "/monitors":
            return list_response(*state.values())
        return FakeResponse(content=state["7"] | {"interval": 60})

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        cli.run(cli.write_csv("a.csv", [imap("a", interval=15)]))
        run = cli("runs", "--json").json[0]["run_id"]
        result = cli("undo", run, "--yes")
        assert (result.exit_code, server.count("DELETE")) == (1, 0)
        assert "0 deleted, 0 already gone, 1 kept." in result.stdout


def test_a_monitor_that_no_longer_exists_counts_as_removed(cli: CommandLine) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "abc")
        api_request(sandbox, "DELETE", sandbox.monitors()[1])
        result = cli("undo", run, "--yes", "--json")
        assert (result.exit_code, names(sandbox)) == (0, [])
        assert (result.json["undo"]["deleted"], result.json["undo"]["gone"]) == (2, 1)
        assert ["already deleted" in row["error"] for row in cli.read_results("results.csv")] == [False, True, False]
        assert result.json["counts"] == {"removed": 3}


def test_the_monitors_of_updated_rows_are_kept(cli: CommandLine) -> None:
    """The run did not create them."""
    with running() as sandbox:
        run_rows(cli, sandbox, "a")
        sheet = cli.write_csv("b.csv", [imap("a", interval=5)])
        run = cli("run", sheet, "--on-existing", "update", "--json").json["run_id"]
        result = cli("undo", run, "--yes")
        assert (result.exit_code, names(sandbox)) == (0, ["a"])
        assert sandbox.counts().get("delete", 0) == 0


def test_undo_of_a_run_of_another_account_is_refused(cli: CommandLine) -> None:
    with running() as sandbox, running(SandboxOptions(user="other@example.com")) as other:
        run = run_rows(cli, sandbox, "ab")
        cli.use_account(other.base_url, "other@example.com")
        result = cli("undo", run, "--yes")
        assert result.exit_code == 2
        assert f"Run {run} belongs to sandbox@example.com" in result.stderr
        assert (names(sandbox), other.counts()) == (["a", "b"], {})


def test_without_an_answer_nothing_is_deleted(cli: CommandLine) -> None:
    """The preview is printed nevertheless; with --json or --quiet, which print none, --yes is required."""
    with running() as sandbox:
        run = run_rows(cli, sandbox, "ab")
        sandbox.forget_requests()
        result = piped(run, "")
        assert (result.returncode, result.stdout.count("delete  row")) == (2, 2)
        assert "Nothing was deleted, because the question was not answered; add --yes" in result.stderr
        for silent in ("--json", "--quiet"):
            result = piped(run, "y\n", silent)
            assert (result.returncode, result.stdout, "--yes" in result.stderr) == (2, "", True)
        assert cli("undo", run, "--dry-run").exit_code == 0
        assert names(sandbox) == ["a", "b"]
        assert set(sandbox.counts()) <= {"login", "list"}


@pytest.mark.parametrize(
    ("answer", "exit_code", "left"), [("y\n", 0, []), ("YES", 0, []), ("n\n", 1, ["a", "b"]), ("\ny\n", 1, ["a", "b"])]
)
@pytest.mark.parametrize("logs", ["text", "json"])
def test_the_answer_can_come_from_a_pipe(
    cli: CommandLine, answer: str, exit_code: int, left: list[str], logs: str
) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "ab")
        result = piped(run, answer, "--log-format", logs)
        assert (result.returncode, names(sandbox)) == (exit_code, left)
        assert result.stdout.count("delete  row") == 2
        (line,) = result.stderr.splitlines()
        message = line if logs == "text" else json.loads(line)["message"]
        assert message.startswith(
            f"Delete 2 monitors of sandbox@example.com at {sandbox.base_url}? This cannot be undone."
        )


def piped(run: str, answer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Undo with an answer on stdin."""
    command = [sys.executable, "-m", "bulkload", "undo", run, *arguments]
    return subprocess.run(command, input=answer, capture_output=True, text=True, timeout=TIMEOUT, check=False)


@pytest.mark.parametrize(("answer", "exit_code", "left"), [("n", 1, ["a", "b"]), ("y", 0, [])])
def test_on_a_terminal_the_question_follows_the_preview(
    cli: CommandLine, answer: str, exit_code: int, left: list[str]
) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "ab")
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "bulkload", "undo", run]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True)
        os.close(slave)
        output = b""
        while b"cannot be undone" not in output and select.select([master], [], [], TIMEOUT)[0]:
            output += os.read(master, 4096)
        assert output.count(b"delete  row") == 2
        assert names(sandbox) == ["a", "b"]
        os.write(master, f"{answer}\n".encode())
        assert process.wait(TIMEOUT) == exit_code
        os.close(master)
        assert names(sandbox) == left


def start(run: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bulkload", "undo", run, "--yes", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [1, 4])
def test_a_killed_undo_can_be_repeated(cli: CommandLine, number: int) -> None:
    """In the end, all monitors are deleted, and every row is reported as removed."""
    no_response = Rule(fault="stall-after", on=("delete",), at=tuple(range(number, 9)))
    with running(faults=Faults(rules=(no_response,))) as sandbox:
        run = run_rows(cli, sandbox, "abcdefgh")
        with start(run, "--concurrency", "2") as process:
            wait_until(lambda: sandbox.counts().get("delete", 0) >= number, process)
            process.kill()
        sandbox.set_faults(Faults())
        assert 0 < len(names(sandbox)) < 8
        result = cli("undo", run, "--yes", "--json")
        assert (result.exit_code, names(sandbox)) == (0, [])
        assert {row["status"] for row in cli.read_results("results.csv")} == {"removed"}
        assert result.json["undo"]["gone"] <= 2


def test_ctrl_c_lets_requests_in_flight_finish(cli: CommandLine) -> None:
    """The store and the results contain exactly the remaining monitors, and the message says how to continue."""
    with running(faults=Faults(rules=(Rule(fault="slow", on=("delete",), seconds=1.0),))) as sandbox:
        run = run_rows(cli, sandbox, "abcdefgh")
        with start(run, "--concurrency", "2") as process:
            wait_until(lambda: sandbox.counts().get("delete", 0) >= 1, process)
            process.send_signal(signal.SIGINT)
            stderr = process.communicate(timeout=TIMEOUT)[1]
        assert process.returncode == 130
        assert f"To continue, run: bulkload undo {run}" in stderr
        left = names(sandbox)
        assert 0 < len(left) < 8
        rows = cli.read_results("results.csv")
        assert [row["name"] for row in rows if row["status"] == "created"] == left
        assert cli("undo", run, "--yes").exit_code == 0
        assert names(sandbox) == []


@pytest.mark.parametrize("fault", ["drop-after", "error-after", "token-401", "throttle", "error-before"])
def test_a_delete_is_repeated_until_it_succeeds(cli: CommandLine, fault: str) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "abcd")
        sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("delete",), attempts=1, seconds=0.0),)))
        result = cli("undo", run, "--yes", "--json")
        assert (result.exit_code, names(sandbox), result.json["undo"]["deleted"]) == (0, [], 4)


def test_a_role_that_may_not_delete_stops_undo_at_once(cli: CommandLine) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "abcdefgh")
        sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("delete",)),)))
        result = cli("undo", run, "--yes", "--concurrency", "2")
        assert (result.exit_code, len(names(sandbox)), sandbox.counts()["delete"] <= 2) == (3, 8, True)
        assert "may not delete its monitors" in result.stderr
        assert {row["status"] for row in cli.read_results("results.csv")} == {"created"}


def test_a_monitor_that_the_api_refuses_to_delete_is_kept_with_the_apis_message(cli: CommandLine) -> None:
    monitors = {str(n): {"id": n, "type": "email-imap", **imap(name)} for n, name in ((1, "a"), (2, "b"))}
    for monitor in monitors.values():
        monitor["type"] = "email-imap"
    created_ids: list[str] = []

    def answer(request: ApiRequest) -> FakeResponse:
        last_part = request.path.rpartition("/")[2]
        if request.method == "POST":
            created_ids.append(str(len(created_ids) + 1))
            return FakeResponse(content={"id": created_ids[-1]})
        if request.method == "GET":
            return (
                list_response(*(monitors[monitor_id] for monitor_id in created_ids))
                if last_part == "monitors"
                else FakeResponse(content=monitors[last_part])
            )
        refusal = {"errors": [{"code": 400, "message": "in use by an SLA"}]}
        return FakeResponse(status=204) if last_part == "1" else FakeResponse(status=400, content=refusal)

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        cli.run(cli.write_csv("a.csv", [imap("a"), imap("b")]))
        result = cli("undo", cli("runs", "--json").json[0]["run_id"], "--yes", "--concurrency", "1")
        assert result.exit_code == 1
        rows = cli.read_results("results.csv")
        assert [row["status"] for row in rows] == ["removed", "created"]
        assert "in use by an SLA" in rows[1]["error"]


@pytest.mark.parametrize("odd", [{"id": 8}, {"type": "email-pop"}, {}, {"id": 7, "type": "email-imap"}])
def test_nothing_is_deleted_if_get_returns_another_monitor(cli: CommandLine, odd: dict[str, object]) -> None:
    stored = {**imap("a"), "id": 7, "type": "email-imap"}
    existing: list[dict[str, object]] = []

    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "POST":
            existing.append(stored)
            return FakeResponse(content={"id": "7"})
        return (
            list_response(*existing)
            if request.path == "/monitors"
            else FakeResponse(content=stored | odd if len(odd) == 1 else odd)
        )

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        cli.run(cli.write_csv("a.csv", [imap("a")]))
        result = cli("undo", cli("runs", "--json").json[0]["run_id"], "--yes")
        assert (result.exit_code, server.count("DELETE")) == (3, 0)
        assert re.search("another (monitor|ID)", result.stderr)


@pytest.mark.parametrize("fault", ["list-empty", "list-shape", "list-repeat", "page-before", "redirect"])
def test_an_unreliable_list_stops_undo_before_anything_is_deleted(cli: CommandLine, fault: str) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "ab")
        sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("list",), status=200 if "page" in fault else None),)))
        result = cli("undo", run, "--yes")
        assert (result.exit_code, names(sandbox)) == (3, ["a", "b"])
        assert sandbox.counts().get("delete", 0) == 0


def test_monitors_that_were_deleted_by_hand_count_as_removed_with_trust_list(cli: CommandLine) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "ab")
        for monitor in sandbox.monitors():
            api_request(sandbox, "DELETE", monitor)
        assert cli("undo", run, "--yes").exit_code == 3
        result = cli("undo", run, "--yes", "--trust-list", "--json")
        assert (result.exit_code, result.json["counts"]) == (0, {"removed": 2})


def test_the_monitor_of_a_row_in_doubt_is_looked_up_and_deleted(cli: CommandLine) -> None:
    """It is listed only after the run has ended."""
    faults = Faults(rules=(Rule(fault="error-after", names=("b",)),), visible_after=1.0)
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "60")
    with running(faults=faults) as sandbox:
        run = run_rows(cli, sandbox, "ab")
        assert [row["status"] for row in cli.read_results("results.csv")] == ["created", "unknown"]
        while cli("undo", run, "--dry-run", "--trust-list", "--json").json["undo"]["in_doubt"]:
            assert names(sandbox) == ["a", "b"]
        result = cli("undo", run, "--yes", "--json")
        assert (result.exit_code, result.json["undo"]["deleted"], names(sandbox)) == (0, 2, [])


def test_undo_stops_if_the_store_is_locked(cli: CommandLine) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "a")
        with Store(cli.folder / "output") as store:
            store.lock()
            assert cli("undo", run, "--yes").exit_code == 5
        assert names(sandbox) == ["a"]


def test_undo_respects_the_rate(cli: CommandLine) -> None:
    with running() as sandbox:
        run = run_rows(cli, sandbox, "abcdefghijkl")
        sandbox.set_faults(Faults(rate_limit=18))  # fewer than the requests of the undo, more than the rate
        result = cli("undo", run, "--yes", "--rate", "10", "--json")
        assert (result.exit_code, result.json["requests"]["throttled"]) == (0, 0)
        assert sandbox.counts().get("throttled", 0) == 0


@pytest.mark.parametrize("run", ["nothing", "20260314T021500-1f3a"])
def test_an_unknown_run_is_reported_in_a_sentence(cli: CommandLine, run: str) -> None:
    with running() as sandbox:
        run_rows(cli, sandbox, "a")
        result = cli("undo", run, "--yes")
        assert (result.exit_code, f"There is no run {run}." in result.stderr) == (2, True)


@pytest.mark.parametrize("command", [("undo", "", "--yes"), ("undo", " ", "--yes"), ("report", ""), ("resume", "")])
def test_an_empty_run_id_is_refused_even_if_there_is_only_one_run(cli: CommandLine, command: tuple[str, ...]) -> None:
    """It may be an unset variable of a script."""
    with running() as sandbox:
        run_rows(cli, sandbox, "ab")
        sandbox.forget_requests()
        result = cli(*command)
        assert (result.exit_code, "The run ID is empty" in result.stderr) == (2, True)
        assert (names(sandbox), sandbox.counts()) == (["a", "b"], {})
