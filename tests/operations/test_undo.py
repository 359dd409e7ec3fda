"""Undo takes back what one run created, nothing else, and can be cut short anywhere."""

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
from tests.support.command_line import Asked, Desk, Said, by_hand, imap, listed, scripted
from tests.support.waiting import PATIENCE, wait_until


def make(desk: Desk, sandbox: Sandbox, names: str, *arguments: object) -> str:
    """Create one monitor per letter, in their order, and return the run's ID."""
    desk.log_in_at(sandbox.base_url)
    sheet = desk.sheet(f"{names}.csv", [imap(name, interval=15) for name in names])
    ended = desk("run", sheet, "--results", "results.csv", "--json", "--concurrency", "1", *arguments)
    return str(ended.json["run_id"])


def names(sandbox: Sandbox) -> list[Any]:
    return sorted(str(monitor["name"]) for monitor in sandbox.monitors())


def test_only_what_the_run_created_is_deleted(desk: Desk) -> None:
    """Not what was there before, what another run created, what somebody else did, or what the run only found."""
    with running() as sandbox:
        first = make(desk, sandbox, "ab")
        second = make(desk, sandbox, "bcd")
        third = make(desk, sandbox, "e")
        ended = desk("undo", second, "--yes", "--json")
        assert (ended.exit_code, names(sandbox)) == (0, ["a", "b", "e"])
        assert (ended.json["undo"]["deleted"], ended.json["counts"]) == (2, {"exists": 1, "removed": 2})
        assert [row["status"] for row in desk.results("results.csv")] == ["exists", "removed", "removed"]
        assert {len(ended.json["undo"]["monitors"]), sandbox.counts()["delete"]} == {2}
        for run in (first, third):
            assert desk("undo", run, "--yes").exit_code == 0
        assert names(sandbox) == []


def test_undo_is_safe_to_repeat_and_the_sheet_can_be_run_again(desk: Desk) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "abc")
        results = (desk.folder / "results.csv").read_bytes()
        assert desk("undo", run, "--yes").exit_code == 0
        removed = (desk.folder / "results.csv").read_bytes()
        assert removed != results
        again = desk("undo", run, "--yes")
        assert (again.exit_code, again.stdout) == (0, f"Run {run} has no monitors left.\n")
        assert sandbox.counts()["delete"] == 3
        (desk.folder / "removed.csv").write_bytes(removed)
        kept, rows = desk.run(desk.folder / "removed.csv")
        assert ({row["status"] for row in rows}, names(sandbox)) == ({"removed"}, [])
        assert kept.exit_code == 1
        assert desk.run(desk.folder / "abc.csv")[0].exit_code == 0
        assert names(sandbox) == ["a", "b", "c"]


def test_what_was_edited_since_is_kept_and_its_fields_named(desk: Desk) -> None:
    """In the preview, in the results and in JSON; and it goes once the edit is taken back."""
    with running() as sandbox:
        run = make(desk, sandbox, "abc")
        edited = sandbox.monitors()[1]
        by_hand(sandbox, "PATCH", edited, interval=60, name="mine now")
        seen = desk("undo", run, "--dry-run")
        reason = "Edited since: name b → mine now; interval 15 → 60."
        assert f"keep    row 3: {edited['id']}  imap  b  mx1.example.com  ({reason})" in seen.stdout
        for _ in range(2):
            ended = desk("undo", run, "--yes", "--json")
            assert (ended.exit_code, names(sandbox)) == (1, ["mine now"])
            (row,) = (row for row in desk.results("results.csv") if row["status"] == "created")
            assert (row["monitor_id"], row["error"]) == (str(edited["id"]), f"Not undone. {reason}")
        kept = ended.json["undo"]["monitors"][0]
        assert kept["fields"] == {"name": {"asked": "b", "now": "mine now"}, "interval": {"asked": 15, "now": 60}}
        by_hand(sandbox, "PATCH", edited, interval=15, name="b")
        assert desk("undo", run, "--yes").exit_code == 0
        assert names(sandbox) == []
        assert {row["error"] for row in desk.results("results.csv")} == {""}


def test_what_was_edited_since_goes_on_request(desk: Desk) -> None:
    """The preview still names what was edited."""
    with running() as sandbox:
        run = make(desk, sandbox, "ab")
        by_hand(sandbox, "PATCH", sandbox.monitors()[0], interval=60)
        seen = desk("undo", run, "--include-edited", "--dry-run").stdout
        assert "delete  row 2: 100001  imap  a  mx1.example.com  (Edited since: interval 15 → 60.)" in seen
        ended = desk("undo", run, "--include-edited", "--yes")
        assert (ended.exit_code, names(sandbox)) == (0, [])


def test_an_edit_between_the_preview_and_the_deletion_is_seen(desk: Desk) -> None:
    """The list still shows what was asked for; the monitor itself does not, and is kept."""
    state: dict[str, dict[str, object]] = {}

    def answer(asked: Asked) -> Said:
        if asked.method == "POST":
            state["7"] = {**asked.body, "id": 7, "type": "email-imap"}
            return Said(content={"id": "7"})
        if asked.path == "/monitors":
            return listed(*state.values())
        return Said(content=state["7"] | {"interval": 60})

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        desk.run(desk.sheet("a.csv", [imap("a", interval=15)]))
        run = desk("runs").stdout.split()[0]
        ended = desk("undo", run, "--yes")
        assert (ended.exit_code, server.count("DELETE")) == (1, 0)
        assert "Deleted 0; gone already 0; kept 1." in ended.stdout


def test_what_is_gone_counts_as_removed(desk: Desk) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "abc")
        by_hand(sandbox, "DELETE", sandbox.monitors()[1])
        ended = desk("undo", run, "--yes", "--json")
        assert (ended.exit_code, names(sandbox)) == (0, [])
        assert (ended.json["undo"]["deleted"], ended.json["undo"]["gone"]) == (2, 1)
        assert [row["error"] != "" for row in desk.results("results.csv")] == [False, True, False]
        assert ended.json["counts"] == {"removed": 3}


def test_updated_rows_are_not_undone(desk: Desk) -> None:
    """A run that changed another run's monitor did not create it."""
    with running() as sandbox:
        make(desk, sandbox, "a")
        sheet = desk.sheet("b.csv", [imap("a", interval=5)])
        run = desk("run", sheet, "--on-existing", "update", "--json").json["run_id"]
        ended = desk("undo", run, "--yes")
        assert (ended.exit_code, names(sandbox)) == (0, ["a"])
        assert sandbox.counts().get("delete", 0) == 0


def test_another_account_is_refused(desk: Desk) -> None:
    with running() as sandbox, running(SandboxOptions(user="other@example.com")) as other:
        run = make(desk, sandbox, "ab")
        desk.log_in_at(other.base_url, "other@example.com")
        ended = desk("undo", run, "--yes")
        assert ended.exit_code == 2
        assert f"Run {run} belongs to sandbox@example.com" in ended.stderr
        assert (names(sandbox), other.counts()) == (["a", "b"], {})


def test_where_nobody_answers_nothing_is_deleted(desk: Desk) -> None:
    """It is shown all the same; machines, to which nothing is shown, have to say yes beforehand."""
    with running() as sandbox:
        run = make(desk, sandbox, "ab")
        sandbox.forget_requests()
        ended = piped(run, "")
        assert (ended.returncode, ended.stdout.count("delete  row")) == (2, 2)
        assert "Nothing was deleted, because there was no answer; add --yes" in ended.stderr
        for silent in ("--json", "--quiet"):
            ended = piped(run, "y\n", silent)
            assert (ended.returncode, ended.stdout, "--yes" in ended.stderr) == (2, "", True)
        assert desk("undo", run, "--dry-run").exit_code == 0
        assert names(sandbox) == ["a", "b"]
        assert set(sandbox.counts()) <= {"login", "list"}


@pytest.mark.parametrize(
    ("answer", "exit_code", "left"), [("y\n", 0, []), ("YES", 0, []), ("n\n", 1, ["a", "b"]), ("\ny\n", 1, ["a", "b"])]
)
@pytest.mark.parametrize("logs", ["text", "json"])
def test_a_pipe_may_answer(desk: Desk, answer: str, exit_code: int, left: list[str], logs: str) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "ab")
        ended = piped(run, answer, "--log-format", logs)
        assert (ended.returncode, names(sandbox)) == (exit_code, left)
        assert ended.stdout.count("delete  row") == 2
        (line,) = ended.stderr.splitlines()
        said = line if logs == "text" else json.loads(line)["message"]
        assert said.startswith("Delete 2 monitors? This cannot be undone.")


def piped(run: str, answer: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Undo with an answer on stdin."""
    command = [sys.executable, "-m", "bulkload", "undo", run, *arguments]
    return subprocess.run(command, input=answer, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize(("answer", "exit_code", "left"), [("n", 1, ["a", "b"]), ("y", 0, [])])
def test_a_terminal_is_asked_after_it_was_shown(desk: Desk, answer: str, exit_code: int, left: list[str]) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "ab")
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "bulkload", "undo", run]
        process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True)
        os.close(slave)
        seen = b""
        while b"cannot be undone" not in seen and select.select([master], [], [], PATIENCE)[0]:
            seen += os.read(master, 4096)
        assert seen.count(b"delete  row") == 2
        assert names(sandbox) == ["a", "b"]
        os.write(master, f"{answer}\n".encode())
        assert process.wait(PATIENCE) == exit_code
        os.close(master)
        assert names(sandbox) == left


def start(run: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bulkload", "undo", run, "--yes", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [1, 4])
def test_a_killed_undo_is_simply_done_again(desk: Desk, number: int) -> None:
    """No monitor is asked to go twice that answered, and every row is told right in the end."""
    unanswered = Rule(fault="stall-after", on=("delete",), at=tuple(range(number, 9)))
    with running(faults=Faults(rules=(unanswered,))) as sandbox:
        run = make(desk, sandbox, "abcdefgh")
        with start(run, "--concurrency", "2") as process:
            wait_until(lambda: sandbox.counts().get("delete", 0) >= number, process)
            process.kill()
        sandbox.set_faults(Faults())
        assert 0 < len(names(sandbox)) < 8
        ended = desk("undo", run, "--yes", "--json")
        assert (ended.exit_code, names(sandbox)) == (0, [])
        assert {row["status"] for row in desk.results("results.csv")} == {"removed"}
        assert ended.json["undo"]["gone"] <= 2


def test_ctrl_c_lets_what_is_in_flight_finish(desk: Desk) -> None:
    """The store and the results tell exactly what is left, and the message how to go on."""
    with running(faults=Faults(rules=(Rule(fault="slow", on=("delete",), seconds=1.0),))) as sandbox:
        run = make(desk, sandbox, "abcdefgh")
        with start(run, "--concurrency", "2") as process:
            wait_until(lambda: sandbox.counts().get("delete", 0) >= 1, process)
            process.send_signal(signal.SIGINT)
            stderr = process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 130
        assert f"To continue, run: bulkload undo {run}" in stderr
        left = names(sandbox)
        assert 0 < len(left) < 8
        rows = desk.results("results.csv")
        assert [row["name"] for row in rows if row["status"] == "created"] == left
        assert desk("undo", run, "--yes").exit_code == 0
        assert names(sandbox) == []


@pytest.mark.parametrize("fault", ["drop-after", "error-after", "token-401", "throttle", "error-before"])
def test_a_delete_is_repeated_until_it_is_answered(desk: Desk, fault: str) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "abcd")
        sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("delete",), attempts=1, seconds=0.0),)))
        ended = desk("undo", run, "--yes", "--json")
        assert (ended.exit_code, names(sandbox), ended.json["undo"]["deleted"]) == (0, [], 4)


def test_a_role_that_may_not_delete_stops_it_at_once(desk: Desk) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "abcdefgh")
        sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("delete",)),)))
        ended = desk("undo", run, "--yes", "--concurrency", "2")
        assert (ended.exit_code, len(names(sandbox)), sandbox.counts()["delete"] <= 2) == (3, 8, True)
        assert "may not delete its monitors" in ended.stderr
        assert {row["status"] for row in desk.results("results.csv")} == {"created"}


def test_what_the_api_does_not_let_go_is_kept_with_its_words(desk: Desk) -> None:
    monitors = {str(n): {"id": n, "type": "email-imap", **imap(name)} for n, name in ((1, "a"), (2, "b"))}
    for monitor in monitors.values():
        monitor["type"] = "email-imap"
    made: list[str] = []

    def answer(asked: Asked) -> Said:
        number = asked.path.rpartition("/")[2]
        if asked.method == "POST":
            made.append(str(len(made) + 1))
            return Said(content={"id": made[-1]})
        if asked.method == "GET":
            return listed(*(monitors[one] for one in made)) if number == "monitors" else Said(content=monitors[number])
        refusal = {"errors": [{"code": 400, "message": "in use by an SLA"}]}
        return Said(status=204) if number == "1" else Said(status=400, content=refusal)

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        desk.run(desk.sheet("a.csv", [imap("a"), imap("b")]))
        ended = desk("undo", desk("runs").stdout.split()[0], "--yes", "--concurrency", "1")
        assert ended.exit_code == 1
        rows = desk.results("results.csv")
        assert [row["status"] for row in rows] == ["removed", "created"]
        assert "in use by an SLA" in rows[1]["error"]


@pytest.mark.parametrize("odd", [{"id": 8}, {"type": "email-pop"}, {}, {"id": 7, "type": "email-imap"}])
def test_a_monitor_that_comes_back_as_something_else_is_not_deleted(desk: Desk, odd: dict[str, object]) -> None:
    stored = {**imap("a"), "id": 7, "type": "email-imap"}
    there: list[dict[str, object]] = []

    def answer(asked: Asked) -> Said:
        if asked.method == "POST":
            there.append(stored)
            return Said(content={"id": "7"})
        return listed(*there) if asked.path == "/monitors" else Said(content=stored | odd if len(odd) == 1 else odd)

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        desk.run(desk.sheet("a.csv", [imap("a")]))
        ended = desk("undo", desk("runs").stdout.split()[0], "--yes")
        assert (ended.exit_code, server.count("DELETE")) == (3, 0)
        assert re.search("another (monitor|ID)", ended.stderr)


@pytest.mark.parametrize("fault", ["list-empty", "list-shape", "list-repeat", "page-before", "redirect"])
def test_an_odd_list_stops_it_before_anything_is_deleted(desk: Desk, fault: str) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "ab")
        sandbox.set_faults(Faults(rules=(Rule(fault=fault, on=("list",), status=200 if "page" in fault else None),)))
        ended = desk("undo", run, "--yes")
        assert (ended.exit_code, names(sandbox)) == (3, ["a", "b"])
        assert sandbox.counts().get("delete", 0) == 0


def test_monitors_deleted_by_hand_are_undone_on_the_users_word(desk: Desk) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "ab")
        for monitor in sandbox.monitors():
            by_hand(sandbox, "DELETE", monitor)
        assert desk("undo", run, "--yes").exit_code == 3
        ended = desk("undo", run, "--yes", "--trust-list", "--json")
        assert (ended.exit_code, ended.json["counts"]) == (0, {"removed": 2})


def test_a_row_in_doubt_is_looked_up_and_then_taken_back(desk: Desk) -> None:
    """Its monitor shows only after the run has ended; undo finds it and deletes it too."""
    faults = Faults(rules=(Rule(fault="error-after", names=("b",)),), visible_after=1.0)
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "60")
    with running(faults=faults) as sandbox:
        run = make(desk, sandbox, "ab")
        assert [row["status"] for row in desk.results("results.csv")] == ["created", "unknown"]
        while desk("undo", run, "--dry-run", "--trust-list", "--json").json["undo"]["in_doubt"]:
            assert names(sandbox) == ["a", "b"]
        ended = desk("undo", run, "--yes", "--json")
        assert (ended.exit_code, ended.json["undo"]["deleted"], names(sandbox)) == (0, 2, [])


def test_a_held_store_is_left_alone(desk: Desk) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "a")
        with Store(desk.folder / "output") as store:
            store.lock()
            assert desk("undo", run, "--yes").exit_code == 5
        assert names(sandbox) == ["a"]


def test_it_keeps_inside_the_rate(desk: Desk) -> None:
    with running() as sandbox:
        run = make(desk, sandbox, "abcdefghijkl")
        sandbox.set_faults(Faults(rate_limit=18))  # fewer than the requests of the undo, more than the rate
        ended = desk("undo", run, "--yes", "--rate", "10", "--json")
        assert (ended.exit_code, ended.json["requests"]["throttled"]) == (0, 0)
        assert sandbox.counts().get("throttled", 0) == 0


@pytest.mark.parametrize("run", ["nothing", "20260314T021500-1f3a"])
def test_an_unknown_run_is_a_sentence(desk: Desk, run: str) -> None:
    with running() as sandbox:
        make(desk, sandbox, "a")
        ended = desk("undo", run, "--yes")
        assert (ended.exit_code, f"There is no run {run}." in ended.stderr) == (2, True)


@pytest.mark.parametrize("command", [("undo", "", "--yes"), ("undo", " ", "--yes"), ("report", ""), ("resume", "")])
def test_an_empty_run_id_means_no_run_although_there_is_only_one(desk: Desk, command: tuple[str, ...]) -> None:
    """A script's variable that nobody has set is no reason to delete anything."""
    with running() as sandbox:
        make(desk, sandbox, "ab")
        sandbox.forget_requests()
        ended = desk(*command)
        assert (ended.exit_code, "The run ID is empty" in ended.stderr) == (2, True)
        assert (names(sandbox), sandbox.counts()) == (["a", "b"], {})
