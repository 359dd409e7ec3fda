"""The inbox runs every waiting file once, resumes unfinished files, and reports the outcome of each."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from bulkload.sandbox import Faults, Rule, SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.runs import Store
from tests.support.command_line import Desk, by_hand, imap
from tests.support.waiting import PATIENCE, wait_until

DAY = 86_400.0  # seconds
GOOD = "good.csv"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.environment.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (desk.folder / "box").mkdir()
    return desk


def drop(desk: Desk, name: str, monitors: Sequence[str | dict[str, object]]) -> Path:
    """Put a file into the inbox; a string is the name of a monitor."""
    rows = [imap(row, hostname=f"{row}.example.com") if isinstance(row, str) else row for row in monitors]
    return desk.sheet(f"box/{name}", rows or [dict.fromkeys(imap("x"), "")])


def inside(desk: Desk) -> dict[str, list[str]]:
    """The files of the inbox by subfolder, without the store: waiting, working, done, failed."""
    names: dict[str, list[str]] = {}
    for path in sorted((desk.folder / "box").rglob("*")):
        if path.is_file() and "sqlite3" not in path.name:
            parts = path.relative_to(desk.folder / "box").parts
            names.setdefault(parts[0] if len(parts) > 1 else "waiting", []).append(path.name)
    return names


def names(sandbox: Sandbox) -> list[str]:
    return sorted(str(monitor["name"]) for monitor in sandbox.monitors())


def statuses(desk: Desk, name: str) -> list[str]:
    """The status column of a results file, in whatever subfolder."""
    (path,) = (desk.folder / "box").rglob(name)
    worksheet = openpyxl.load_workbook(path).worksheets[0]
    header, *rows = worksheet.iter_rows(values_only=True)
    return [str(row[header.index("status")]) for row in rows]


def make_older(desk: Desk, days: float) -> None:
    """Make the files in the store older."""
    with sqlite3.connect(desk.folder / "box" / "bulkload.sqlite3") as db:
        db.execute("UPDATE arrivals SET arrived = arrived - ?1, closed = closed - ?1", (days * DAY,))
        db.execute("UPDATE unsettled SET since = since - ?", (days * DAY,))
    db.close()


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_good_files_end_in_done_and_others_in_failed_with_results_or_reason(desk: Desk, sandbox: Sandbox) -> None:
    drop(desk, "good.csv", ["a", "b"])
    drop(desk, "mixed.csv", ["c", imap("d", port="99999")])
    (desk.folder / "box" / "letter.pdf").write_bytes(b"%PDF-1.7\n")
    ended = desk("inbox", "box")
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert inside(desk) == {
        "done": ["good-results.xlsx", "good.csv"],
        "failed": ["letter-why.txt", "letter.pdf", "mixed-results.xlsx", "mixed.csv"],
    }
    assert names(sandbox) == ["a", "b", "c"]
    assert statuses(desk, "good-results.xlsx") == ["created", "created"]
    assert statuses(desk, "mixed-results.xlsx") == ["created", "invalid"]
    (why,) = (desk.folder / "box").rglob("letter-why.txt")
    assert "PDF" in why.read_text("utf-8")


def test_the_summary_line_is_plain_and_missing_if_there_was_nothing_to_do(desk: Desk, sandbox: Sandbox) -> None:
    assert desk("inbox", "box") == desk("inbox", "box", "--quiet")
    drop(desk, GOOD, ["a", "b"])
    assert desk("inbox", "box").stderr == "bulkload: good.csv: 2 created.\n"
    ended = desk("inbox", "box")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")
    drop(desk, GOOD, ["a", imap("b", port="0")])
    day = time.strftime("%Y-%m-%d")
    line = (
        "bulkload: good.csv needs attention: 1 already exists, 1 invalid; 1 monitor no longer in the file; see"
        f" failed/{day}/"
    )
    ended = desk("inbox", "box", "--quiet")
    assert (ended.exit_code, ended.stderr) == (1, line + "good-results.xlsx.\n")
    for name in "cdefg":
        drop(desk, f"{name}.csv", [name])
    assert desk("inbox", "box").stderr == "bulkload: 5 files: 5 done; 5 created.\n"
    drop(desk, GOOD, ["a", "b"])
    assert desk("inbox", "box", "--quiet").stderr == ""


def test_a_second_file_of_the_same_name_on_a_day_gets_a_number_and_replaces_nothing(
    desk: Desk, sandbox: Sandbox
) -> None:
    for night in "abc":
        drop(desk, "mail.csv", [night])
        assert desk("inbox", "box").exit_code == 0
    assert [name for name in inside(desk)["done"] if not name.endswith("gone.csv")] == [
        "mail-2-results.xlsx",
        "mail-2.csv",
        "mail-3-results.xlsx",
        "mail-3.csv",
        "mail-results.xlsx",
        "mail.csv",
    ]
    first, third = (next((desk.folder / "box").rglob(name)).read_text("utf-8") for name in ("mail.csv", "mail-3.csv"))
    assert ["imap,a," in first, "imap,c," in third] == [True, True]


def test_results_put_back_into_the_inbox_are_run_like_any_other_file(desk: Desk, sandbox: Sandbox) -> None:
    """They do not collide with the results of a file of the original name."""
    drop(desk, "mail.csv", ["a", "b"])
    desk("inbox", "box")
    (results,) = (desk.folder / "box").rglob("mail-results.xlsx")
    results.rename(desk.folder / "box" / "mail-results.xlsx")
    drop(desk, "mail.csv", ["a", "b"])
    ended = desk("inbox", "box", "--json")
    assert (ended.exit_code, ended.json["counts"]) == (0, {"exists": 4})
    assert len(names(sandbox)) == 2


def test_links_and_pipes_are_moved_to_failed_unread(desk: Desk, sandbox: Sandbox) -> None:
    """A link may point to any file of the machine, and reading a pipe may never end."""
    secret = desk.sheet("outside.csv", [imap("outside")])
    (desk.folder / "box" / "link.csv").symlink_to(secret)
    (desk.folder / "box" / "broken.csv").symlink_to("nowhere")
    os.mkfifo(desk.folder / "box" / "pipe.csv")
    assert desk("inbox", "box").exit_code == 2
    assert names(sandbox) == []
    assert {path.name for path in (desk.folder / "box" / "failed").rglob("*-why.txt")} == {
        "link-why.txt",
        "broken-why.txt",
        "pipe-why.txt",
    }
    assert "waiting" not in inside(desk)
    assert secret.exists()


def test_a_file_whose_name_is_not_valid_text_is_run(desk: Desk, sandbox: Sandbox) -> None:
    path = drop(desk, "mail.csv", ["a"])
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/m\xe4il\n.csv"))
    ended = desk("inbox", "box", "--json")
    assert (ended.exit_code, [file["name"] for file in ended.json["files"]]) == (0, ["m_il_.csv"])
    assert inside(desk)["done"] == ["m_il_-results.xlsx", "m_il_.csv"]


def test_a_file_that_is_still_being_written_is_left_and_reported(desk: Desk, sandbox: Sandbox) -> None:
    drop(desk, "open.xlsx", ["a"])
    (desk.folder / "box" / "~$open.xlsx").write_text("lock")
    ended = desk("inbox", "box", "--json")
    assert (ended.exit_code, ended.json["still_being_written"], sandbox.counts().get("login")) == (
        0,
        ["open.xlsx"],
        None,
    )
    assert ended.stderr == ""
    make_older(desk, 4)
    ended = desk("inbox", "box")
    assert (ended.exit_code, ended.stderr) == (1, "bulkload: open.xlsx has been incomplete for too long.\n")
    (desk.folder / "box" / "~$open.xlsx").unlink()
    assert desk("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a"]


def test_files_that_arrive_during_a_visit_are_taken_too(desk: Desk, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="slow", seconds=0.4),)))
    drop(desk, "first.csv", ["a"])

    def add_file() -> None:
        wait_until(lambda: bool(sandbox.monitors()))
        drop(desk, "second.csv", ["b"])

    thread = threading.Thread(target=add_file)
    thread.start()
    ended = desk("inbox", "box", "--json")
    thread.join()
    assert [file["name"] for file in ended.json["files"]] == ["first.csv", "second.csv"]
    assert names(sandbox) == ["a", "b"]


def test_without_credentials_nothing_is_touched(desk: Desk) -> None:
    drop(desk, GOOD, ["a"])
    desk.environment.delenv("ALERTSITE_PASSWORD", raising=False)
    ended = desk("inbox", "box")
    assert ended.exit_code == 2
    assert "ALERTSITE_PASSWORD" in ended.stderr
    assert inside(desk) == {"waiting": [GOOD]}


def test_an_invalid_default_is_an_error_of_the_settings_not_of_the_file(desk: Desk, sandbox: Sandbox) -> None:
    drop(desk, GOOD, ["a"])
    assert desk("inbox", "box", "--set", "interval=often").exit_code == 2
    assert inside(desk) == {"working": [GOOD]}
    assert desk("inbox", "box").exit_code == 0
    assert inside(desk) == {"done": ["good-results.xlsx", GOOD]}


def test_a_missing_folder_is_an_error_and_is_not_created(desk: Desk) -> None:
    ended = desk("inbox", "bix")
    assert (ended.exit_code, ended.stderr) == (2, "bulkload: There is no folder bix.\n")
    assert not (desk.folder / "bix").exists()


def test_a_call_with_nothing_to_do_sends_and_writes_nothing(desk: Desk, sandbox: Sandbox) -> None:
    assert desk("inbox", "box").exit_code == 0
    assert list((desk.folder / "box").iterdir()) == []
    drop(desk, GOOD, ["a"])
    desk("inbox", "box")
    sent = len(sandbox.requests())
    assert desk("inbox", "box").exit_code == 0
    assert len(sandbox.requests()) == sent


def test_with_output_folders_share_a_store_but_not_their_files(desk: Desk, sandbox: Sandbox) -> None:
    (desk.folder / "other").mkdir()
    for folder in ("box", "other"):
        desk.sheet(f"{folder}/mail.csv", [imap(folder)])
        ended = desk("inbox", folder, "--output", "state", "--prune", "--json")
        assert (ended.exit_code, ended.json["files"][0]["gone"]) == (0, 0)
    assert not (desk.folder / "box" / "bulkload.sqlite3").exists()
    assert names(sandbox) == ["box", "other"]


# ── interrupted visits ────────────────────────────────────────────────────────────────────────────────────


def test_a_run_stopped_by_the_api_is_resumed_by_the_next_call(desk: Desk) -> None:
    """The other file is not taken meanwhile, and the order of the files is kept."""
    with running() as sandbox:
        desk.log_in_at(sandbox.base_url)
        sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", on=("login",)),)))
        drop(desk, "mail.csv", ["a", "b"])
        drop(desk, "more.csv", ["c"])
        ended = desk("inbox", "box")
        assert ended.exit_code == 3
        assert "mail.csv will be resumed: 2 not attempted." in ended.stderr
        assert inside(desk) == {"waiting": ["more.csv"], "working": ["mail-results.xlsx", "mail.csv"]}
        assert sandbox.counts()["login"] == 1
        sandbox.set_faults(Faults())
        ended = desk("inbox", "box", "--json")
        assert (ended.exit_code, [file["name"] for file in ended.json["files"]]) == (0, ["mail.csv", "more.csv"])
        assert names(sandbox) == ["a", "b", "c"]
        assert inside(desk) == {"done": ["mail-results.xlsx", "mail.csv", "more-results.xlsx", "more.csv"]}


def test_failed_rows_are_retried_by_later_calls_for_a_limited_time(desk: Desk) -> None:
    permanent = Faults(rules=(Rule(fault="error-before", names=("b",)),))
    with running(faults=permanent) as sandbox:
        desk.log_in_at(sandbox.base_url)
        drop(desk, "mail.csv", ["a", "b", imap("c", port="0")])
        ended = desk("inbox", "box", "--retry-for", "2")
        assert ended.exit_code == 1
        assert inside(desk) == {"working": ["mail-results.xlsx", "mail.csv"]}
        before = sandbox.counts()["create"]
        assert desk("inbox", "box", "--retry-for", "2").exit_code == 1
        assert sandbox.counts()["create"] > before
        assert names(sandbox) == ["a"]
        make_older(desk, 3)
        assert desk("inbox", "box", "--retry-for", "2").exit_code == 1
        assert inside(desk) == {"failed": ["mail-results.xlsx", "mail.csv"]}
        assert set(statuses(desk, "mail-results.xlsx")) - {"unknown", "failed"} == {"created", "invalid"}
        assert desk("inbox", "box").exit_code == 0


def test_a_successful_retry_moves_the_file_to_done(desk: Desk) -> None:
    with running(faults=Faults(rules=(Rule(fault="error-before", names=("b",), times=4),))) as sandbox:
        desk.log_in_at(sandbox.base_url)
        drop(desk, "mail.csv", ["a", "b"])
        codes = [desk("inbox", "box").exit_code for _ in range(8)]
        assert codes[0] == 1
        assert codes[-1] == 0
        assert names(sandbox) == ["a", "b"]
        assert inside(desk) == {"done": ["mail-results.xlsx", "mail.csv"]}
        assert statuses(desk, "mail-results.xlsx")[0] == "created"


def test_a_newer_version_of_a_recurring_file_ends_the_retries_of_the_older(desk: Desk) -> None:
    """Or a row that is no longer in the new version would still be created."""
    with running(faults=Faults(rules=(Rule(fault="error-before", names=("b",)),))) as sandbox:
        desk.log_in_at(sandbox.base_url)
        drop(desk, "mail-2026-11-01.csv", ["a", "b"])
        assert desk("inbox", "box").exit_code == 1
        drop(desk, "mail-2026-11-02.csv", ["a"])
        desk("inbox", "box")
        sandbox.set_faults(Faults())
        time.sleep(1.1)  # until no request of the first night can be in doubt, see HURRY
        assert desk("inbox", "box").exit_code in (0, 1)
        assert desk("inbox", "box").exit_code == 0
        assert names(sandbox) == ["a"]
        assert "mail-2026-11-01.csv" in inside(desk)["failed"]
        assert "mail-2026-11-02.csv" in inside(desk)["done"]
        assert "working" not in inside(desk)


@pytest.mark.parametrize(
    ("option", "code"), [(["--strict"], 1), (["--max-errors", "0"], 4), (["--on-existing", "fail"], 1)]
)
def test_rows_stopped_by_the_users_own_limits_are_not_retried(
    desk: Desk, sandbox: Sandbox, option: list[str], code: int
) -> None:
    drop(desk, "old.csv", ["a"])
    desk("inbox", "box")
    drop(desk, "mail.csv", ["a", "b", imap("c", port="0")])
    assert desk("inbox", "box", *option).exit_code == code
    assert "mail.csv" in inside(desk)["failed"]
    assert desk("inbox", "box", *option).exit_code == 0
    assert names(sandbox) == ["a"]


def test_another_account_does_not_resume_files_of_this_one(desk: Desk) -> None:
    with running(faults=Faults(rules=(Rule(fault="error-before", names=("b",)),))) as first, running() as second:
        desk.log_in_at(first.base_url)
        drop(desk, "mail.csv", ["a", "b"])
        assert desk("inbox", "box").exit_code == 1
        desk.log_in_at(second.base_url)
        ended = desk("inbox", "box")
        assert ended.exit_code == 1
        assert f"started as sandbox@example.com at {first.base_url}, which is not the account of this" in ended.stderr
        assert inside(desk) == {"failed": ["mail-results.xlsx", "mail.csv"]}
        assert second.requests() == []


def test_a_run_with_a_wrong_address_that_sent_nothing_is_restarted(desk: Desk, sandbox: Sandbox) -> None:
    right = sandbox.base_url
    with running() as other:
        desk.log_in_at(other.base_url)
    drop(desk, "mail.csv", ["a", "b"])  # the other server has stopped
    assert desk("inbox", "box").exit_code == 3
    desk.log_in_at(right)
    assert desk("inbox", "box").stderr == "bulkload: mail.csv: 2 created.\n"
    assert inside(desk) == {"done": ["mail-results.xlsx", "mail.csv"]}
    assert [run["counts"] for run in desk("runs", "--output", "box", "--json").json] == [{"created": 2}]


def test_a_file_that_kills_the_process_while_it_is_read_is_moved_to_failed(desk: Desk, sandbox: Sandbox) -> None:
    """Otherwise it would kill the process every night."""
    drop(desk, "crash.csv", ["a"])
    drop(desk, GOOD, ["b"])
    now = time.time()
    os.utime(desk.folder / "box" / "crash.csv", (now - 100, now - 100))
    code = (
        "import os, sys, bulkload.stages.intake\n"
        "import bulkload.readers.delimited as reader\n"
        "bulkload.stages.intake.open_source = lambda *a, **k: os._exit(9)\n"
        "from bulkload.cli.main import main\n"
        "sys.exit(main(['inbox', 'box']))\n"
    )
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE, check=False).returncode == 9
    assert inside(desk) == {"waiting": [GOOD], "working": ["crash.csv"]}
    assert desk("inbox", "box").exit_code == 2
    assert inside(desk) == {"done": ["good-results.xlsx", GOOD], "failed": ["crash-why.txt", "crash.csv"]}
    assert names(sandbox) == ["b"]


# ── locking ───────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def locked(desk: Desk) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the store's lock."""
    code = (
        "import sys, time; from pathlib import Path; from bulkload.store.runs import Store\n"
        "store = Store(Path('box')); store.lock(); print('locked', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_call_exits_5_silently_and_a_killed_process_leaves_no_lock(desk: Desk, sandbox: Sandbox) -> None:
    drop(desk, GOOD, ["a"])
    with locked(desk) as holder:
        ended = desk("inbox", "box")
        assert (ended.exit_code, ended.stdout, ended.stderr) == (5, "", "")
        assert inside(desk) == {"waiting": [GOOD]}
        holder.kill()
        holder.wait(PATIENCE)
        assert desk("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a"]


def test_after_sigterm_the_next_call_resumes_the_file(desk: Desk) -> None:
    with running(faults=Faults(rules=(Rule(fault="slow", seconds=0.2),))) as sandbox:
        desk.log_in_at(sandbox.base_url)
        drop(desk, "mail.csv", [f"m{number:02}" for number in range(30)])
        command = [sys.executable, "-m", "bulkload", "inbox", "box", "--concurrency", "2"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=desk.folder) as process:
            wait_until(lambda: len(sandbox.monitors()) >= 5, process)
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == 143
        assert b"mail.csv will be resumed" in stderr
        assert inside(desk) == {"working": ["mail-results.xlsx", "mail.csv"]}
        assert desk("inbox", "box").exit_code == 0
        assert len(names(sandbox)) == len(set(names(sandbox))) == 30


# ── recurring files and pruning ───────────────────────────────────────────────────────────────────────────


def dropped(desk: Desk) -> list[dict[str, str]]:
    """The rows of the newest list of dropped monitors."""
    path = max((desk.folder / "box").rglob("*-gone.csv"), key=lambda path: path.stat().st_mtime_ns)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def night(desk: Desk, monitors: Sequence[str | dict[str, object]], *options: str) -> tuple[int, Any]:
    """Run a version of the recurring file mail.csv; monitors are created in the order of its rows."""
    drop(desk, "mail.csv", monitors)
    ended = desk("inbox", "box", "--json", "--concurrency", "1", *options)
    (file,) = ended.json["files"]
    return ended.exit_code, file


def test_an_unchanged_file_costs_a_login_and_one_list_request(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, list("abcdef"))
    sandbox.forget_requests()
    code, file = night(desk, list("abcdef"))
    assert (code, file["counts"]) == (0, {"exists": 6})
    assert {operation: n for operation, n in sandbox.counts().items() if n} == {"login": 1, "list": 1}


def test_new_rows_are_created_and_changed_rows_patched_on_request(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, [imap("a", interval=5), imap("b", interval=5)])
    code, file = night(desk, [imap("a", interval=9), imap("b", interval=5), "c"], "--on-existing", "update")
    assert (code, file["counts"]) == (0, {"created": 1, "updated": 1, "exists": 1})
    assert {str(monitor["name"]): monitor["interval"] for monitor in sandbox.monitors()}["a"] == 9


def test_monitors_no_longer_in_the_file_are_listed_every_night_and_kept(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, list("abc"))
    for _ in range(2):
        code, file = night(desk, ["a"])
        assert (code, file["gone"], file["deleted"]) == (0, 2, 0)
        assert [(monitor["name"], monitor["made_here"], monitor["deleted"]) for monitor in dropped(desk)] == [
            ("b", "yes", "no"),
            ("c", "yes", "no"),
        ]
    assert names(sandbox) == ["a", "b", "c"]
    (results,) = (desk.folder / "box").rglob("mail-2-results.xlsx")
    summary = openpyxl.load_workbook(results).worksheets[-1]
    text = " ".join(str(cell) for row in summary.iter_rows(values_only=True) for cell in row)
    assert "No longer in the file" in text
    assert "b (email-imap b.example.com" in text
    code, file = night(desk, list("abc"))
    assert file["gone"] == 0


def test_prune_deletes_only_monitors_created_by_runs_of_the_file_in_this_folder(desk: Desk, sandbox: Sandbox) -> None:
    """Not those that existed before, that another run created, or that the file only matched."""
    desk.run(desk.sheet("elsewhere.csv", [imap("elsewhere"), imap("found", hostname="found.example.com")]))
    night(desk, ["found", *(f"m{number}" for number in range(20))])
    code, file = night(desk, [f"m{number}" for number in range(18)], "--prune")
    assert (code, file["gone"], file["deleted"]) == (0, 3, 2)
    assert names(sandbox) == sorted(["elsewhere", "found", *(f"m{number}" for number in range(18))])
    assert {monitor["name"]: monitor["deleted"] for monitor in dropped(desk)} == {
        "found": "no",
        "m18": "yes",
        "m19": "yes",
    }
    code, file = night(desk, [f"m{number}" for number in range(18)], "--prune")
    assert (code, file["gone"]) == (0, 0)


@pytest.mark.parametrize(
    ("limit", "left", "deleted"),
    [([], 18, 2), ([], 17, 0), (["--prune-limit", "3"], 17, 3), (["--prune-limit", "100%"], 1, 19),
     (["--prune-limit", "0"], 19, 0), (["--prune-limit", "9.9%"], 18, 0), (["--prune-limit", "4%"], 19, 0)],
)  # fmt: skip
def test_above_the_limit_nothing_is_deleted(
    desk: Desk, sandbox: Sandbox, limit: list[str], left: int, deleted: int
) -> None:
    """A file that lost its lower half must not delete half of the monitors."""
    night(desk, [f"m{number}" for number in range(20)])
    code, file = night(desk, [f"m{number}" for number in range(left)], "--prune", *limit)
    assert (code, file["deleted"], len(names(sandbox))) == (0 if deleted else 1, deleted, 20 - deleted)
    assert ("--prune-limit" in file["problem"]) == (not deleted)


def test_a_percentage_of_a_small_file_is_rounded_down_to_zero(desk: Desk, sandbox: Sandbox) -> None:
    """Or one of five monitors could be deleted every night."""
    night(desk, list("abcde"))
    code, file = night(desk, list("abcd"), "--prune")
    assert (code, file["deleted"], len(names(sandbox))) == (1, 0, 5)
    assert "1 monitor is no longer in mail.csv, but --prune-limit 10% allows 0 of 5; nothing" in file["problem"]
    assert night(desk, list("abcd"), "--prune", "--prune-limit", "20%")[1]["deleted"] == 1


def test_the_limit_is_a_percentage_of_the_monitors_that_still_exist(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, [f"m{number:02}" for number in range(40)])
    for monitor in sandbox.monitors()[-15:]:
        by_hand(sandbox, "DELETE", monitor)
    code, file = night(desk, [f"m{number:02}" for number in range(22)], "--prune")
    assert (code, file["gone"], file["deleted"]) == (1, 3, 0)
    assert "allows 2 of 25" in file["problem"]


@pytest.mark.parametrize(
    "content", ["type,name,hostname,billing_plancode\n", "type,name,hostname,billing_plancode\n,,,\n"]
)
def test_a_file_without_rows_prunes_nothing_and_fails(desk: Desk, sandbox: Sandbox, content: str) -> None:
    night(desk, ["a"])
    (desk.folder / "box" / "mail.csv").write_text(content, "utf-8")
    ended = desk("inbox", "box", "--prune", "--prune-limit", "100%")
    assert (ended.exit_code, names(sandbox)) == (2, ["a"])
    assert ended.stderr == "bulkload: mail.csv failed: there is no row below the header; at least one is needed.\n"
    assert inside(desk)["failed"] == ["mail-why.txt", "mail.csv"]
    assert night(desk, ["a"], "--prune")[1]["gone"] == 0


def test_nothing_is_pruned_while_a_row_is_invalid(desk: Desk, sandbox: Sandbox) -> None:
    """A mistake in one cell must not delete the monitor of the row."""
    night(desk, list("abcdefghijkl"))
    code, file = night(desk, [*"abcdefghijk", imap("l", hostname="l.example.com", port="99 3")], "--prune")
    assert (code, file["deleted"]) == (1, 0)
    assert "invalid" in file["problem"]
    assert len(names(sandbox)) == 12


def test_a_row_that_moved_to_another_file_keeps_its_monitor(desk: Desk, sandbox: Sandbox) -> None:
    """Also if the other file is run later in the same call."""
    drop(desk, "a.csv", list("abc"))
    drop(desk, "b.csv", ["z"])
    desk("inbox", "box")
    now = time.time()
    os.utime(drop(desk, "a.csv", list("ab")), (now - 100, now - 100))
    drop(desk, "b.csv", list("zc"))
    before = {str(monitor["name"]): monitor["id"] for monitor in sandbox.monitors()}
    assert desk("inbox", "box", "--prune", "--prune-limit", "100%").exit_code == 0
    assert {str(monitor["name"]): monitor["id"] for monitor in sandbox.monitors()} == before


def test_an_edited_monitor_is_not_pruned(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, [imap("a", interval=5), imap("b", interval=5)])
    by_hand(sandbox, "PATCH", sandbox.monitors()[1], interval=60)
    code, file = night(desk, [imap("a", interval=5)], "--prune", "--prune-limit", "1")
    assert (code, file["deleted"]) == (0, 0)
    assert "was kept. Edited since" in file["problem"]
    assert names(sandbox) == ["a", "b"]


def test_a_monitor_that_was_updated_from_the_file_is_pruned(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, [imap("a", interval=5), imap("b", interval=5)])
    night(desk, [imap("a", interval=5), imap("b", interval=7)], "--on-existing", "update")
    code, file = night(desk, [imap("a", interval=5)], "--prune", "--prune-limit", "1")
    assert (code, file["deleted"], names(sandbox)) == (0, 1, ["a"])


def test_interrupted_pruning_is_resumed(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, list("abcdefghijklmnopqrstuvwxyz"))
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("delete",)),)))
    code, file = night(desk, list("abcdefghijklmnopqrstuvwx"), "--prune")
    assert (code, file["fate"], file["deleted"]) == (3, "working", 0)
    sandbox.set_faults(Faults())
    ended = desk("inbox", "box", "--prune", "--json")
    assert (ended.exit_code, ended.json["files"][0]["deleted"], len(names(sandbox))) == (0, 2, 24)


# ── another tool's configuration ──────────────────────────────────────────────────────────────────────────

NAGIOS = """
define host {
    host_name  mx
    address    mx.example.com
}
define host {
    host_name  web
    address    %s
}
define service {
    host_name            mx,web
    service_description  IMAPS
    check_command        check_simap
}
define service {
    host_name            %s
    service_description  SMTP
    check_command        check_smtp
}
define service {
    host_name            mx
    service_description  HTTP
    check_command        check_http
}
"""
WITH_PLAN = ("--set", "billing_plancode=UBM - A/A")


def test_objects_that_could_not_be_translated_are_reported_and_prevent_pruning(desk: Desk, sandbox: Sandbox) -> None:
    path = desk.folder / "box" / "nagios.cfg"
    path.write_text(NAGIOS % ("web.example.com", "mx"), "utf-8")
    assert desk("inbox", "box", *WITH_PLAN).stderr == "bulkload: nagios.cfg: 3 created.\n"
    path.write_text(NAGIOS % ("$UNKNOWN$", "mx"), "utf-8")
    ended = desk("inbox", "box", *WITH_PLAN, "--prune", "--prune-limit", "100%", "--json")
    (file,) = ended.json["files"]
    assert (ended.exit_code, file["fate"], file["deleted"], len(names(sandbox))) == (1, "failed", 0, 3)
    assert file["source"] == {"objects": 4, "rows": 2, "skipped": 1, "errors": 1}
    for message in (
        "needs attention: 2 already exist",
        "1 of the source's 4 objects could not be translated",
        "may refer to them",
    ):
        assert message in ended.stderr


def test_a_configuration_without_any_translated_object_fails(desk: Desk, sandbox: Sandbox) -> None:
    (desk.folder / "box" / "nagios.cfg").write_text((NAGIOS % ("$A$", "web")).replace("mx.ex", "$B$.ex"), "utf-8")
    ended = desk("inbox", "box", *WITH_PLAN)
    assert (ended.exit_code, inside(desk)["failed"]) == (2, ["nagios-why.txt", "nagios.cfg"])
    assert "nagios.cfg failed: none of its 4 objects becomes a row: 1 are skipped, 3 could not be" in ended.stderr


# ── retention ─────────────────────────────────────────────────────────────────────────────────────────────


def store_size(desk: Desk) -> dict[str, int]:
    with sqlite3.connect(desk.folder / "box" / "bulkload.sqlite3") as db:
        counts = {
            name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("runs", "rows", "arrivals", "earlier", "gone")
        }
    db.close()
    return counts


def test_old_files_and_runs_are_deleted_and_the_store_stays_small(desk: Desk, sandbox: Sandbox) -> None:
    night(desk, list("abcde"))
    for _ in range(6):
        night(desk, list("abcde"))
    make_older(desk, 8)
    mine = next((desk.folder / "box" / "done").iterdir()) / "mine.txt"
    mine.write_text("not a file of the inbox")
    night(desk, list("abcde"), "--keep", "7")
    assert inside(desk)["done"] == ["mail-8-results.xlsx", "mail-8.csv", "mine.txt"]
    assert store_size(desk)["runs"] == 2
    assert store_size(desk)["rows"] == 10
    for _ in range(6):
        make_older(desk, 8)
        night(desk, list("abcde"), "--keep", "7")
    assert store_size(desk) == {"runs": 2, "rows": 10, "arrivals": 2, "earlier": 0, "gone": 0}


def test_records_that_undo_and_the_next_night_need_are_kept(desk: Desk, sandbox: Sandbox) -> None:
    """The newest version of a recurring file, rows whose monitor can be undone, and rows in doubt."""
    _, first = night(desk, ["a", "b", imap("bad", port="0")])
    sandbox.set_faults(Faults(rules=(Rule(fault="error-before", names=("c",)),)))
    night(desk, ["a", "b", "c"], "--retry-for", "0")
    sandbox.set_faults(Faults())
    night(desk, ["a", "b"])
    make_older(desk, 100)
    _, file = night(desk, ["b"], "--keep", "30", "--prune", "--prune-limit", "1")
    assert (file["gone"], file["deleted"]) == (1, 1)
    with Store(desk.folder / "box") as store:
        info = store.info(store.run(first["run_id"]))
        assert {str(status): n for status, n in info.counts.items()}["created"] == 1
        assert "tidied" in info.details
    assert desk("undo", first["run_id"], "--yes", "--output", "box").exit_code == 0
    assert names(sandbox) == []


def test_a_failed_file_is_kept_until_there_is_a_newer_version(desk: Desk, sandbox: Sandbox) -> None:
    (desk.folder / "box" / "mail.csv").write_bytes(b"%PDF-1.7\n")
    (desk.folder / "box" / "once.csv").write_bytes(b"%PDF-1.7\n")
    assert desk("inbox", "box").exit_code == 2
    night(desk, ["a"])
    make_older(desk, 100)
    desk("inbox", "box", "--keep", "30")
    assert inside(desk) == {"failed": ["once-why.txt", "once.csv"]}
    make_older(desk, 100)
    desk("inbox", "box", "--keep", "forever")
    assert inside(desk) == {"failed": ["once-why.txt", "once.csv"]}


# ── output ────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_is_one_object_with_every_run(desk: Desk, sandbox: Sandbox) -> None:
    assert desk("inbox", "box", "--json").json["files"] == []
    drop(desk, GOOD, ["a", imap("b", port="0")])
    summary = desk("inbox", "box", "--json").json
    assert summary["exit_code"] == 1
    assert summary["counts"] == {"created": 1, "invalid": 1}
    assert summary["rows"] == 2
    assert summary["requests"]["sent"] == len(sandbox.requests())
    (file,) = summary["files"]
    assert Path(file["file"]).is_file()
    assert Path(file["results"][0]).is_file()
    assert file["input"] == GOOD
    json.dumps(summary)


@pytest.mark.parametrize(
    ("port", "level", "message"),
    [("143", "info", "good.csv: 1 created."), ("0", "error", "good.csv needs attention: 1 invalid; ")],
)
def test_with_log_format_json_the_summary_line_is_json_too(
    desk: Desk, sandbox: Sandbox, port: str, level: str, message: str
) -> None:
    desk.sheet("box/good.csv", [imap("a", port=port)])
    ended = desk("inbox", "box", "--log-format", "json")
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert line["level"] == level
    assert line["message"].startswith(message)


def test_the_password_is_not_in_the_logs(desk: Desk) -> None:
    options = SandboxOptions(password="correct-horse")
    with running(options) as sandbox:
        desk.log_in_at(sandbox.base_url, password=options.password)
        drop(desk, GOOD, ["a"])
        ended = desk("inbox", "box", "--log-format", "json", "--log-level", "debug")
    assert len(ended.stderr.splitlines()) > 2
    assert options.password not in ended.stderr
