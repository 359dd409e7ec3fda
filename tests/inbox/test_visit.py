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

from bulkload.readers import isolated
from bulkload.sandbox import Faults, Rule, SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.runs import Store
from tests.support.command_line import CommandLine, api_request, imap
from tests.support.hostile_workbooks import endless
from tests.support.waiting import TIMEOUT, wait_until

DAY = 86_400.0  # seconds
GOOD = "good.csv"


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()
    return cli


def drop(cli: CommandLine, name: str, monitors: Sequence[str | dict[str, object]]) -> Path:
    """Put a file into the inbox; a string is the name of a monitor."""
    rows = [imap(row, hostname=f"{row}.example.com") if isinstance(row, str) else row for row in monitors]
    return cli.write_csv(f"box/{name}", rows or [dict.fromkeys(imap("x"), "")])


def inside(cli: CommandLine) -> dict[str, list[str]]:
    """The files of the inbox by subfolder, without the store: waiting, working, done, failed."""
    names: dict[str, list[str]] = {}
    for path in sorted((cli.folder / "box").rglob("*")):
        if path.is_file() and "sqlite3" not in path.name:
            parts = path.relative_to(cli.folder / "box").parts
            names.setdefault(parts[0] if len(parts) > 1 else "waiting", []).append(path.name)
    return names


def names(sandbox: Sandbox) -> list[str]:
    return sorted(str(monitor["name"]) for monitor in sandbox.monitors())


def statuses(cli: CommandLine, name: str) -> list[str]:
    """The status column of a results file, in whatever subfolder."""
    (path,) = (cli.folder / "box").rglob(name)
    worksheet = openpyxl.load_workbook(path).worksheets[0]
    header, *rows = worksheet.iter_rows(values_only=True)
    return [str(row[header.index("status")]) for row in rows]


def make_older(cli: CommandLine, days: float) -> None:
    """Make the files in the store older."""
    with sqlite3.connect(cli.folder / "box" / "bulkload.sqlite3") as db:
        db.execute("UPDATE arrivals SET arrived = arrived - ?1, closed = closed - ?1", (days * DAY,))
        db.execute("UPDATE unsettled SET since = since - ?", (days * DAY,))
    db.close()


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_good_files_end_in_done_and_others_in_failed_with_results_or_reason(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "good.csv", ["a", "b"])
    drop(cli, "mixed.csv", ["c", imap("d", port="99999")])
    (cli.folder / "box" / "letter.pdf").write_bytes(b"%PDF-1.7\n")
    result = cli("inbox", "box")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert inside(cli) == {
        "done": ["good-results.xlsx", "good.csv"],
        "failed": ["letter-why.txt", "letter.pdf", "mixed-results.xlsx", "mixed.csv"],
    }
    assert names(sandbox) == ["a", "b", "c"]
    assert statuses(cli, "good-results.xlsx") == ["created", "created"]
    assert statuses(cli, "mixed-results.xlsx") == ["created", "invalid"]
    (why,) = (cli.folder / "box").rglob("letter-why.txt")
    assert "PDF" in why.read_text("utf-8")


def test_the_summary_line_is_plain_and_missing_if_there_was_nothing_to_do(cli: CommandLine, sandbox: Sandbox) -> None:
    assert cli("inbox", "box") == cli("inbox", "box", "--quiet")
    drop(cli, GOOD, ["a", "b"])
    assert cli("inbox", "box").stderr == "bulkload: good.csv: 2 created.\n"
    result = cli("inbox", "box")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    drop(cli, GOOD, ["a", imap("b", port="0")])
    day = time.strftime("%Y-%m-%d")
    line = (
        "bulkload: good.csv needs attention: 1 already exists, 1 invalid; 1 monitor no longer in the file; see"
        f" failed/{day}/"
    )
    result = cli("inbox", "box", "--quiet")
    assert result.exit_code == 1
    assert result.stderr.startswith(line + "good-results.xlsx.\n  good.csv:\n  row 3, port: ")
    for name in "cdefg":
        drop(cli, f"{name}.csv", [name])
    assert cli("inbox", "box").stderr == "bulkload: 5 files: 5 done; 5 created.\n"
    drop(cli, GOOD, ["a", "b"])
    assert cli("inbox", "box", "--quiet").stderr == ""


def test_a_second_file_of_the_same_name_on_a_day_gets_a_number_and_replaces_nothing(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    for night in "abc":
        drop(cli, "mail.csv", [night])
        assert cli("inbox", "box").exit_code == 0
    assert [name for name in inside(cli)["done"] if not name.endswith("gone.csv")] == [
        "mail-2-results.xlsx",
        "mail-2.csv",
        "mail-3-results.xlsx",
        "mail-3.csv",
        "mail-results.xlsx",
        "mail.csv",
    ]
    first, third = (next((cli.folder / "box").rglob(name)).read_text("utf-8") for name in ("mail.csv", "mail-3.csv"))
    assert ["imap,a," in first, "imap,c," in third] == [True, True]


def test_results_put_back_into_the_inbox_are_run_like_any_other_file(cli: CommandLine, sandbox: Sandbox) -> None:
    """They do not collide with the results of a file of the original name."""
    drop(cli, "mail.csv", ["a", "b"])
    cli("inbox", "box")
    (results,) = (cli.folder / "box").rglob("mail-results.xlsx")
    results.rename(cli.folder / "box" / "mail-results.xlsx")
    drop(cli, "mail.csv", ["a", "b"])
    result = cli("inbox", "box", "--json")
    assert (result.exit_code, result.json["counts"]) == (0, {"exists": 4})
    assert len(names(sandbox)) == 2


def test_links_and_pipes_are_moved_to_failed_unread(cli: CommandLine, sandbox: Sandbox) -> None:
    """A link may point to any file of the machine, and reading a pipe may never end."""
    secret = cli.write_csv("outside.csv", [imap("outside")])
    (cli.folder / "box" / "link.csv").symlink_to(secret)
    (cli.folder / "box" / "broken.csv").symlink_to("nowhere")
    os.mkfifo(cli.folder / "box" / "pipe.csv")
    assert cli("inbox", "box").exit_code == 2
    assert names(sandbox) == []
    assert {path.name for path in (cli.folder / "box" / "failed").rglob("*-why.txt")} == {
        "link-why.txt",
        "broken-why.txt",
        "pipe-why.txt",
    }
    assert "waiting" not in inside(cli)
    assert secret.exists()


def test_a_file_whose_name_is_not_valid_text_is_run(cli: CommandLine, sandbox: Sandbox) -> None:
    path = drop(cli, "mail.csv", ["a"])
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/m\xe4il\n.csv"))
    result = cli("inbox", "box", "--json")
    assert (result.exit_code, [file["name"] for file in result.json["files"]]) == (0, ["m_il_.csv"])
    assert inside(cli)["done"] == ["m_il_-results.xlsx", "m_il_.csv"]


def test_a_file_whose_name_the_locale_cannot_spell_is_run(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "Почта.csv", ["a"])
    drop(cli, GOOD, ["b"])
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "bulkload", "inbox", "box", "--json"]
    result = subprocess.run(command, env=os.environ | ascii_only, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert {file["name"] for file in json.loads(result.stdout)["files"]} == {"_____.csv", GOOD}
    assert names(sandbox) == ["a", "b"]


def test_a_file_that_is_open_in_a_spreadsheet_program_is_left_with_a_word(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "open.xlsx", ["a"])
    (cli.folder / "box" / "~$open.xlsx").write_text("lock")
    result = cli("inbox", "box", "--json")
    assert (result.exit_code, result.json["still_being_written"], sandbox.counts().get("login")) == (
        0,
        ["open.xlsx"],
        None,
    )
    word = "open.xlsx is open in a spreadsheet program (its lock file is ~$open.xlsx), so it is left for the next call."
    assert result.stderr == f"bulkload: {word}\n"
    make_older(cli, 4)
    result = cli("inbox", "box")
    assert (result.exit_code, result.stderr) == (1, f"bulkload: {word} open.xlsx has been incomplete for too long.\n")
    (cli.folder / "box" / "~$open.xlsx").unlink()
    assert cli("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a"]


def test_a_file_beside_an_old_lock_file_is_run_with_a_word_and_prunes_nothing(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    """A program that crashed has left it; but what is saved may not be what its owner wants to keep."""
    drop(cli, "mail.xlsx", ["a", "b"])
    cli("inbox", "box")
    drop(cli, "mail.xlsx", ["a"])
    lock = cli.folder / "box" / ".~lock.mail.xlsx#"
    lock.write_text("lock")
    os.utime(lock, (time.time() - 3 * DAY,) * 2)
    result = cli("inbox", "box")
    assert result.exit_code == 0
    assert "Its lock file .~lock.mail.xlsx# is older than 2 days, so it was taken as closed; delete" in result.stderr
    drop(cli, "mail.xlsx", ["a"])
    result = cli("inbox", "box", "--prune", "--prune-limit", "100%")
    assert (result.exit_code, names(sandbox)) == (1, ["a", "b"])
    assert "but the lock file .~lock.mail.xlsx# says that the file is open in a spreadsheet program" in result.stderr
    lock.unlink()
    drop(cli, "mail.xlsx", ["a"])
    assert cli("inbox", "box", "--prune", "--prune-limit", "100%").exit_code == 0
    assert names(sandbox) == ["a"]


def test_files_that_arrive_during_a_visit_are_taken_too(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="slow", seconds=0.4),)))
    drop(cli, "first.csv", ["a"])

    def add_file() -> None:
        wait_until(lambda: bool(sandbox.monitors()))
        drop(cli, "second.csv", ["b"])

    thread = threading.Thread(target=add_file)
    thread.start()
    result = cli("inbox", "box", "--json")
    thread.join()
    assert [file["name"] for file in result.json["files"]] == ["first.csv", "second.csv"]
    assert names(sandbox) == ["a", "b"]


def test_without_credentials_nothing_is_touched(cli: CommandLine) -> None:
    drop(cli, GOOD, ["a"])
    cli.monkeypatch.delenv("ALERTSITE_PASSWORD", raising=False)
    result = cli("inbox", "box")
    assert result.exit_code == 2
    assert "ALERTSITE_PASSWORD" in result.stderr
    assert inside(cli) == {"waiting": [GOOD]}


def test_an_invalid_default_is_an_error_of_the_settings_not_of_the_file(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, GOOD, ["a"])
    assert cli("inbox", "box", "--set", "interval=often").exit_code == 2
    assert inside(cli) == {"working": [GOOD]}
    assert cli("inbox", "box").exit_code == 0
    assert inside(cli) == {"done": ["good-results.xlsx", GOOD]}


def test_a_missing_folder_is_an_error_and_is_not_created(cli: CommandLine) -> None:
    result = cli("inbox", "bix")
    assert (result.exit_code, result.stderr) == (2, "bulkload: There is no folder bix.\n")
    assert not (cli.folder / "bix").exists()


def test_a_call_with_nothing_to_do_sends_and_writes_nothing(cli: CommandLine, sandbox: Sandbox) -> None:
    assert cli("inbox", "box").exit_code == 0
    assert list((cli.folder / "box").iterdir()) == []
    drop(cli, GOOD, ["a"])
    cli("inbox", "box")
    sent = len(sandbox.requests())
    assert cli("inbox", "box").exit_code == 0
    assert len(sandbox.requests()) == sent


def test_with_output_folders_share_a_store_but_not_their_files(cli: CommandLine, sandbox: Sandbox) -> None:
    (cli.folder / "other").mkdir()
    for folder in ("box", "other"):
        cli.write_csv(f"{folder}/mail.csv", [imap(folder)])
        result = cli("inbox", folder, "--output", "state", "--prune", "--json")
        assert (result.exit_code, result.json["files"][0]["gone"]) == (0, 0)
    assert not (cli.folder / "box" / "bulkload.sqlite3").exists()
    assert names(sandbox) == ["box", "other"]


# ── interrupted visits ────────────────────────────────────────────────────────────────────────────────────


def test_a_run_stopped_by_the_api_is_resumed_by_the_next_call(cli: CommandLine) -> None:
    """The other file is not taken meanwhile, and the order of the files is kept."""
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", on=("login",)),)))
        drop(cli, "mail.csv", ["a", "b"])
        drop(cli, "more.csv", ["c"])
        result = cli("inbox", "box")
        assert result.exit_code == 3
        assert "mail.csv will be resumed: 2 not attempted." in result.stderr
        assert inside(cli) == {"waiting": ["more.csv"], "working": ["mail-results.xlsx", "mail.csv"]}
        assert sandbox.counts()["login"] == 1
        sandbox.set_faults(Faults())
        result = cli("inbox", "box", "--json")
        assert (result.exit_code, [file["name"] for file in result.json["files"]]) == (0, ["mail.csv", "more.csv"])
        assert names(sandbox) == ["a", "b", "c"]
        assert inside(cli) == {"done": ["mail-results.xlsx", "mail.csv", "more-results.xlsx", "more.csv"]}


def test_failed_rows_are_retried_by_later_calls_for_a_limited_time(cli: CommandLine) -> None:
    permanent = Faults(rules=(Rule(fault="error-before", names=("b",)),))
    with running(faults=permanent) as sandbox:
        cli.use_account(sandbox.base_url)
        drop(cli, "mail.csv", ["a", "b", imap("c", port="0")])
        result = cli("inbox", "box", "--retry-for", "2")
        assert result.exit_code == 1
        assert inside(cli) == {"working": ["mail-results.xlsx", "mail.csv"]}
        before = sandbox.counts()["create"]
        assert cli("inbox", "box", "--retry-for", "2").exit_code == 1
        assert sandbox.counts()["create"] > before
        assert names(sandbox) == ["a"]
        make_older(cli, 3)
        assert cli("inbox", "box", "--retry-for", "2").exit_code == 1
        assert inside(cli) == {"failed": ["mail-results.xlsx", "mail.csv"]}
        assert set(statuses(cli, "mail-results.xlsx")) - {"unknown", "failed"} == {"created", "invalid"}
        assert cli("inbox", "box").exit_code == 0


def test_a_successful_retry_moves_the_file_to_done(cli: CommandLine) -> None:
    with running(faults=Faults(rules=(Rule(fault="error-before", names=("b",), times=4),))) as sandbox:
        cli.use_account(sandbox.base_url)
        drop(cli, "mail.csv", ["a", "b"])
        codes = [cli("inbox", "box").exit_code for _ in range(8)]
        assert codes[0] == 1
        assert codes[-1] == 0
        assert names(sandbox) == ["a", "b"]
        assert inside(cli) == {"done": ["mail-results.xlsx", "mail.csv"]}
        assert statuses(cli, "mail-results.xlsx")[0] == "created"


def test_a_newer_version_of_a_recurring_file_ends_the_retries_of_the_older(cli: CommandLine) -> None:
    """Or a row that is no longer in the new version would still be created."""
    with running(faults=Faults(rules=(Rule(fault="error-before", names=("b",)),))) as sandbox:
        cli.use_account(sandbox.base_url)
        drop(cli, "mail-2026-11-01.csv", ["a", "b"])
        assert cli("inbox", "box").exit_code == 1
        drop(cli, "mail-2026-11-02.csv", ["a"])
        cli("inbox", "box")
        sandbox.set_faults(Faults())
        time.sleep(1.1)  # until no request of the first night can be in doubt, see HURRY
        assert cli("inbox", "box").exit_code in (0, 1)
        assert cli("inbox", "box").exit_code == 0
        assert names(sandbox) == ["a"]
        assert "mail-2026-11-01.csv" in inside(cli)["failed"]
        assert "mail-2026-11-02.csv" in inside(cli)["done"]
        assert "working" not in inside(cli)


@pytest.mark.parametrize(
    ("option", "code"), [(["--strict"], 1), (["--max-errors", "0"], 4), (["--on-existing", "fail"], 1)]
)
def test_rows_stopped_by_the_users_own_limits_are_not_retried(
    cli: CommandLine, sandbox: Sandbox, option: list[str], code: int
) -> None:
    drop(cli, "old.csv", ["a"])
    cli("inbox", "box")
    drop(cli, "mail.csv", ["a", "b", imap("c", port="0")])
    assert cli("inbox", "box", *option).exit_code == code
    assert "mail.csv" in inside(cli)["failed"]
    assert cli("inbox", "box", *option).exit_code == 0
    assert names(sandbox) == ["a"]


def test_another_account_does_not_resume_files_of_this_one(cli: CommandLine) -> None:
    with running(faults=Faults(rules=(Rule(fault="error-before", names=("b",)),))) as first, running() as second:
        cli.use_account(first.base_url)
        drop(cli, "mail.csv", ["a", "b"])
        assert cli("inbox", "box").exit_code == 1
        cli.use_account(second.base_url)
        result = cli("inbox", "box")
        assert result.exit_code == 1
        assert f"started as sandbox@example.com at {first.base_url}, which is not the account of this" in result.stderr
        assert inside(cli) == {"failed": ["mail-results.xlsx", "mail.csv"]}
        assert second.requests() == []


def test_a_run_with_a_wrong_address_that_sent_nothing_is_restarted(cli: CommandLine, sandbox: Sandbox) -> None:
    right = sandbox.base_url
    with running() as other:
        cli.use_account(other.base_url)
    drop(cli, "mail.csv", ["a", "b"])  # the other server has stopped
    assert cli("inbox", "box").exit_code == 3
    cli.use_account(right)
    assert cli("inbox", "box").stderr == "bulkload: mail.csv: 2 created.\n"
    assert inside(cli) == {"done": ["mail-results.xlsx", "mail.csv"]}
    assert [run["counts"] for run in cli("runs", "--output", "box", "--json").json] == [{"created": 2}]


def test_a_hostile_workbook_is_rejected_in_one_visit_and_the_files_around_it_are_run(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    cli.monkeypatch.setattr(isolated, "LIMIT_RATES", isolated.LIMIT_RATES._replace(seconds=1, seconds_per_megabyte=0))
    for name, monitor in (("a", "first"), ("z", "last")):
        drop(cli, f"{name}.csv", [monitor])
    endless(cli.folder / "box")
    assert cli("inbox", "box").exit_code == 2
    assert inside(cli) == {
        "done": ["a-results.xlsx", "a.csv", "z-results.xlsx", "z.csv"],
        "failed": ["endless-why.txt", "endless.xlsx"],
    }
    assert names(sandbox) == ["first", "last"]
    (why,) = (cli.folder / "box").rglob("endless-why.txt")
    assert "more than 1 seconds of processor time" in why.read_text("utf-8")


# ── locking ───────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def locked(cli: CommandLine) -> Iterator[subprocess.Popen[bytes]]:
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


def test_a_second_call_exits_5_silently_and_a_killed_process_leaves_no_lock(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, GOOD, ["a"])
    with locked(cli) as holder:
        result = cli("inbox", "box")
        assert (result.exit_code, result.stdout, result.stderr) == (5, "", "")
        as_json = cli("inbox", "box", "--json")
        assert (as_json.exit_code, as_json.json["exit_code"], as_json.json["files"]) == (5, 5, [])
        assert "Another run is using" in as_json.json["problem"]
        assert inside(cli) == {"waiting": [GOOD]}
        holder.kill()
        holder.wait(TIMEOUT)
        assert cli("inbox", "box").exit_code == 0
    assert names(sandbox) == ["a"]


def test_after_sigterm_the_next_call_resumes_the_file(cli: CommandLine) -> None:
    with running(faults=Faults(rules=(Rule(fault="slow", seconds=0.2),))) as sandbox:
        cli.use_account(sandbox.base_url)
        drop(cli, "mail.csv", [f"m{number:02}" for number in range(30)])
        command = [sys.executable, "-m", "bulkload", "inbox", "box", "--concurrency", "2"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=cli.folder) as process:
            wait_until(lambda: len(sandbox.monitors()) >= 5, process)
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 143
        assert b"mail.csv will be resumed" in stderr
        assert inside(cli) == {"working": ["mail-results.xlsx", "mail.csv"]}
        assert cli("inbox", "box").exit_code == 0
        assert len(names(sandbox)) == len(set(names(sandbox))) == 30


# ── recurring files and pruning ───────────────────────────────────────────────────────────────────────────


def dropped(cli: CommandLine) -> list[dict[str, str]]:
    """The rows of the newest list of dropped monitors."""
    path = max((cli.folder / "box").rglob("*-gone.csv"), key=lambda path: path.stat().st_mtime_ns)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def night(cli: CommandLine, monitors: Sequence[str | dict[str, object]], *options: str) -> tuple[int, Any]:
    """Run a version of the recurring file mail.csv; monitors are created in the order of its rows."""
    drop(cli, "mail.csv", monitors)
    result = cli("inbox", "box", "--json", "--concurrency", "1", *options)
    (file,) = result.json["files"]
    return result.exit_code, file


def test_an_unchanged_file_costs_a_login_and_one_list_request(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, list("abcdef"))
    sandbox.forget_requests()
    code, file = night(cli, list("abcdef"))
    assert (code, file["counts"]) == (0, {"exists": 6})
    assert {operation: n for operation, n in sandbox.counts().items() if n} == {"login": 1, "list": 1}


def test_new_rows_are_created_and_changed_rows_patched_on_request(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, [imap("a", interval=5), imap("b", interval=5)])
    code, file = night(cli, [imap("a", interval=9), imap("b", interval=5), "c"], "--on-existing", "update")
    assert (code, file["counts"]) == (0, {"created": 1, "updated": 1, "exists": 1})
    assert {str(monitor["name"]): monitor["interval"] for monitor in sandbox.monitors()}["a"] == 9


def test_monitors_no_longer_in_the_file_are_listed_every_night_and_kept(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, list("abc"))
    for _ in range(2):
        code, file = night(cli, ["a"])
        assert (code, file["gone"], file["deleted"]) == (0, 2, 0)
        assert [(monitor["name"], monitor["made_here"], monitor["deleted"]) for monitor in dropped(cli)] == [
            ("b", "yes", "no"),
            ("c", "yes", "no"),
        ]
    assert names(sandbox) == ["a", "b", "c"]
    (results,) = (cli.folder / "box").rglob("mail-2-results.xlsx")
    summary = openpyxl.load_workbook(results).worksheets[-1]
    text = " ".join(str(cell) for row in summary.iter_rows(values_only=True) for cell in row)
    assert "No longer in the file" in text
    assert "b (email-imap b.example.com" in text
    code, file = night(cli, list("abc"))
    assert file["gone"] == 0


def test_prune_deletes_only_monitors_created_by_runs_of_the_file_in_this_folder(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    """Not those that existed before, that another run created, or that the file only matched."""
    cli.run(cli.write_csv("elsewhere.csv", [imap("elsewhere"), imap("found", hostname="found.example.com")]))
    night(cli, ["found", *(f"m{number}" for number in range(20))])
    code, file = night(cli, [f"m{number}" for number in range(18)], "--prune")
    assert (code, file["gone"], file["deleted"]) == (0, 3, 2)
    assert names(sandbox) == sorted(["elsewhere", "found", *(f"m{number}" for number in range(18))])
    assert {monitor["name"]: monitor["deleted"] for monitor in dropped(cli)} == {
        "found": "no",
        "m18": "yes",
        "m19": "yes",
    }
    code, file = night(cli, [f"m{number}" for number in range(18)], "--prune")
    assert (code, file["gone"]) == (0, 0)


@pytest.mark.parametrize(
    ("limit", "left", "deleted"),
    [([], 18, 2), ([], 17, 0), (["--prune-limit", "3"], 17, 3), (["--prune-limit", "100%"], 1, 19),
     (["--prune-limit", "0"], 19, 0), (["--prune-limit", "9.9%"], 18, 0), (["--prune-limit", "4%"], 19, 0)],
)  # fmt: skip
def test_above_the_limit_nothing_is_deleted(
    cli: CommandLine, sandbox: Sandbox, limit: list[str], left: int, deleted: int
) -> None:
    """A file that lost its lower half must not delete half of the monitors."""
    night(cli, [f"m{number}" for number in range(20)])
    code, file = night(cli, [f"m{number}" for number in range(left)], "--prune", *limit)
    assert (code, file["deleted"], len(names(sandbox))) == (0 if deleted else 1, deleted, 20 - deleted)
    assert ("--prune-limit" in file["problem"]) == (not deleted)
    (last, *_) = cli("runs", "--output", "box", "--json").json
    assert last["calls"][0]["exit_code"] == code, "the history says what the night's call said"


def test_a_file_of_which_only_pruning_failed_needs_nothing_sent(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, [f"m{number}" for number in range(20)])
    drop(cli, "mail.csv", [f"m{number}" for number in range(5)])
    result = cli("inbox", "box", "--prune")
    assert result.exit_code == 1
    assert "Nothing is left to send" in result.stderr
    (gone,) = (cli.folder / "box").rglob("*-gone.csv")
    assert str(gone) in result.stderr


def test_a_lock_that_is_held_for_hours_is_reported(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "mail.csv", ["a"])
    with Store(cli.folder / "box") as store:
        store.lock("inbox")
        assert (cli("inbox", "box").exit_code, cli("inbox", "box").stderr) == (5, "")
        store.db.execute("UPDATE owner SET since = since - 86400")
        result = cli("inbox", "box")
        assert (result.exit_code, "It is bulkload inbox, process" in result.stderr) == (5, True)


def test_a_percentage_of_a_small_file_is_rounded_down_to_zero(cli: CommandLine, sandbox: Sandbox) -> None:
    """Or one of five monitors could be deleted every night."""
    night(cli, list("abcde"))
    code, file = night(cli, list("abcd"), "--prune")
    assert (code, file["deleted"], len(names(sandbox))) == (1, 0, 5)
    assert "1 monitor is no longer in mail.csv, but --prune-limit 10% allows 0 of 5; nothing" in file["problem"]
    assert night(cli, list("abcd"), "--prune", "--prune-limit", "20%")[1]["deleted"] == 1


def test_the_limit_is_a_percentage_of_the_monitors_that_still_exist(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, [f"m{number:02}" for number in range(40)])
    for monitor in sandbox.monitors()[-15:]:
        api_request(sandbox, "DELETE", monitor)
    code, file = night(cli, [f"m{number:02}" for number in range(22)], "--prune")
    assert (code, file["gone"], file["deleted"]) == (1, 3, 0)
    assert "allows 2 of 25" in file["problem"]


@pytest.mark.parametrize(
    "content", ["type,name,hostname,billing_plancode\n", "type,name,hostname,billing_plancode\n,,,\n"]
)
def test_a_file_without_rows_prunes_nothing_and_fails(cli: CommandLine, sandbox: Sandbox, content: str) -> None:
    night(cli, ["a"])
    (cli.folder / "box" / "mail.csv").write_text(content, "utf-8")
    result = cli("inbox", "box", "--prune", "--prune-limit", "100%")
    assert (result.exit_code, names(sandbox)) == (2, ["a"])
    first, file, _ = result.stderr.splitlines()
    assert first == "bulkload: mail.csv failed: there is no row below the header; at least one is needed."
    assert file.startswith(f"  File: {cli.folder / 'box' / 'failed'}/")
    assert inside(cli)["failed"] == ["mail-why.txt", "mail.csv"]
    assert night(cli, ["a"], "--prune")[1]["gone"] == 0


def test_nothing_is_pruned_while_a_row_is_invalid(cli: CommandLine, sandbox: Sandbox) -> None:
    """A mistake in one cell must not delete the monitor of the row."""
    night(cli, list("abcdefghijkl"))
    code, file = night(cli, [*"abcdefghijk", imap("l", hostname="l.example.com", port="99 3")], "--prune")
    assert (code, file["deleted"]) == (1, 0)
    assert "invalid" in file["problem"]
    assert len(names(sandbox)) == 12


@pytest.mark.parametrize(
    ("row", "doubt"),
    [
        (imap("a", hostname="a.example.com"), "1 of its rows is duplicate and may refer to them"),
        (imap("x", hostname="x.example.com"), "1 of its rows is rejected and may refer to them"),
    ],
)
def test_nothing_is_pruned_while_a_row_is_not_done(
    cli: CommandLine, sandbox: Sandbox, row: dict[str, object], doubt: str
) -> None:
    """A copied row that was not changed, or a monitor whose new name was refused, must not delete the old one."""
    night(cli, list("ab"))
    sandbox.set_faults(Faults(rules=(Rule(fault="plan-full", names=("x",)),)))
    code, file = night(cli, ["a", row], "--prune", "--prune-limit", "100%")
    assert (code, file["deleted"], names(sandbox)) == (1, 0, ["a", "b"])
    assert doubt in file["problem"]


def test_nothing_is_pruned_after_a_run_that_stopped(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, list("ab"))
    sandbox.set_faults(Faults(rules=(Rule(fault="plan-full"),)))
    code, file = night(cli, list("axyz"), "--prune", "--prune-limit", "100%", "--max-errors", "1")
    assert (code, file["deleted"], names(sandbox)) == (4, 0, ["a", "b"])
    assert "but its run was stopped; nothing was deleted" in file["problem"]


def test_only_the_newest_version_of_a_file_prunes(cli: CommandLine, sandbox: Sandbox) -> None:
    """Its invalid row may be the one that the older version lacks."""
    night(cli, list("ab"))
    now = time.time()
    os.utime(drop(cli, "mail-2026-11-01.csv", ["a"]), (now - 100, now - 100))
    drop(cli, "mail-2026-11-02.csv", ["a", imap("b", port="0")])
    result = cli("inbox", "box", "--prune", "--prune-limit", "100%")
    assert (result.exit_code, names(sandbox)) == (1, ["a", "b"])


def test_a_late_file_with_an_earlier_date_in_its_name_prunes_nothing(cli: CommandLine, sandbox: Sandbox) -> None:
    """As when an upload that failed last night is repeated after that of this night."""
    prune = ("inbox", "box", "--prune", "--prune-limit", "100%", "--json")
    drop(cli, "mail-2020-03-14.csv", list("abc"))
    assert cli(*prune).exit_code == 0
    drop(cli, "mail-2020-03-13.csv", list("ab"))
    result = cli(*prune)
    (file,) = result.json["files"]
    assert (result.exit_code, file["gone"], file["deleted"], names(sandbox)) == (1, 1, 0, ["a", "b", "c"])
    assert "since mail-2020-03-14.csv, which was run before, has a later date in its name" in file["problem"]
    drop(cli, "mail-2020-03-15.csv", ["a"])
    result = cli(*prune)
    assert (result.exit_code, result.json["files"][0]["deleted"], names(sandbox)) == (0, 2, ["a"])


def test_a_date_in_the_future_is_taken_for_a_mistake(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "mail-2099-03-14.csv", list("ab"))
    assert cli("inbox", "box").exit_code == 0
    drop(cli, "mail-2020-03-13.csv", ["a"])
    assert cli("inbox", "box", "--prune", "--prune-limit", "100%").exit_code == 0
    assert names(sandbox) == ["a"]


def test_a_row_that_moved_to_another_file_keeps_its_monitor(cli: CommandLine, sandbox: Sandbox) -> None:
    """Also if the other file is run later in the same call."""
    drop(cli, "a.csv", list("abc"))
    drop(cli, "b.csv", ["z"])
    cli("inbox", "box")
    now = time.time()
    os.utime(drop(cli, "a.csv", list("ab")), (now - 100, now - 100))
    drop(cli, "b.csv", list("zc"))
    before = {str(monitor["name"]): monitor["id"] for monitor in sandbox.monitors()}
    assert cli("inbox", "box", "--prune", "--prune-limit", "100%").exit_code == 0
    assert {str(monitor["name"]): monitor["id"] for monitor in sandbox.monitors()} == before


def test_an_edited_monitor_is_not_pruned(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, [imap("a", interval=5), imap("b", interval=5)])
    api_request(sandbox, "PATCH", sandbox.monitors()[1], interval=60)
    code, file = night(cli, [imap("a", interval=5)], "--prune", "--prune-limit", "1")
    assert (code, file["deleted"]) == (0, 0)
    assert "was kept. Edited since" in file["problem"]
    assert names(sandbox) == ["a", "b"]


def test_a_monitor_that_was_updated_from_the_file_is_pruned(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, [imap("a", interval=5), imap("b", interval=5)])
    night(cli, [imap("a", interval=5), imap("b", interval=7)], "--on-existing", "update")
    code, file = night(cli, [imap("a", interval=5)], "--prune", "--prune-limit", "1")
    assert (code, file["deleted"], names(sandbox)) == (0, 1, ["a"])


def test_interrupted_pruning_is_resumed(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, list("abcdefghijklmnopqrstuvwxyz"))
    sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("delete",)),)))
    code, file = night(cli, list("abcdefghijklmnopqrstuvwx"), "--prune")
    assert (code, file["fate"], file["deleted"]) == (3, "working", 0)
    sandbox.set_faults(Faults())
    result = cli("inbox", "box", "--prune", "--json")
    assert (result.exit_code, result.json["files"][0]["deleted"], len(names(sandbox))) == (0, 2, 24)


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


def test_objects_that_could_not_be_translated_are_reported_and_prevent_pruning(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    path = cli.folder / "box" / "nagios.cfg"
    path.write_text(NAGIOS % ("web.example.com", "mx"), "utf-8")
    assert cli("inbox", "box", *WITH_PLAN).stderr == "bulkload: nagios.cfg: 3 created.\n"
    path.write_text(NAGIOS % ("$UNKNOWN$", "mx"), "utf-8")
    result = cli("inbox", "box", *WITH_PLAN, "--prune", "--prune-limit", "100%", "--json")
    (file,) = result.json["files"]
    assert (result.exit_code, file["fate"], file["deleted"], len(names(sandbox))) == (1, "failed", 0, 3)
    assert file["source"] == {"objects": 4, "rows": 2, "skipped": 1, "errors": 1}
    for message in (
        "needs attention: 2 already exist",
        "1 of the source's 4 objects could not be translated",
        "may refer to them",
    ):
        assert message in result.stderr


def test_a_configuration_without_any_translated_object_fails(cli: CommandLine, sandbox: Sandbox) -> None:
    (cli.folder / "box" / "nagios.cfg").write_text((NAGIOS % ("$A$", "web")).replace("mx.ex", "$B$.ex"), "utf-8")
    result = cli("inbox", "box", *WITH_PLAN)
    assert (result.exit_code, inside(cli)["failed"]) == (2, ["nagios-why.txt", "nagios.cfg"])
    assert "nagios.cfg failed: none of its 4 objects becomes a row: 1 are skipped, 3 could not be" in result.stderr


# ── retention ─────────────────────────────────────────────────────────────────────────────────────────────


def store_size(cli: CommandLine) -> dict[str, int]:
    with sqlite3.connect(cli.folder / "box" / "bulkload.sqlite3") as db:
        counts = {
            name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("runs", "rows", "arrivals", "earlier", "gone")
        }
    db.close()
    return counts


def test_old_files_and_runs_are_deleted_and_the_store_stays_small(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, list("abcde"))
    for _ in range(6):
        night(cli, list("abcde"))
    make_older(cli, 8)
    mine = next((cli.folder / "box" / "done").iterdir()) / "mine.txt"
    mine.write_text("not a file of the inbox")
    night(cli, list("abcde"), "--keep", "7")
    assert inside(cli)["done"] == ["mail-8-results.xlsx", "mail-8.csv", "mine.txt"]
    assert store_size(cli)["runs"] == 2
    assert store_size(cli)["rows"] == 5, "the versions are the same, so they share their rows"
    for _ in range(6):
        make_older(cli, 8)
        night(cli, list("abcde"), "--keep", "7")
    assert store_size(cli) == {"runs": 2, "rows": 5, "arrivals": 2, "earlier": 0, "gone": 0}


def test_records_that_undo_and_the_next_night_need_are_kept(cli: CommandLine, sandbox: Sandbox) -> None:
    """The newest version of a recurring file, rows whose monitor can be undone, and rows in doubt."""
    _, first = night(cli, ["a", "b", imap("bad", port="0")])
    sandbox.set_faults(Faults(rules=(Rule(fault="error-before", names=("c",)),)))
    night(cli, ["a", "b", "c"], "--retry-for", "0")
    sandbox.set_faults(Faults())
    night(cli, ["a", "b"])
    make_older(cli, 100)
    _, file = night(cli, ["b"], "--keep", "30", "--prune", "--prune-limit", "1")
    assert (file["gone"], file["deleted"]) == (1, 1)
    with Store(cli.folder / "box") as store:
        info = store.info(store.run(first["run_id"]))
        assert {str(status): n for status, n in info.counts.items()}["created"] == 1
        assert "tidied" in info.details
    assert cli("undo", first["run_id"], "--yes", "--output", "box").exit_code == 0
    assert names(sandbox) == []


def test_a_failed_file_is_kept_until_there_is_a_newer_version(cli: CommandLine, sandbox: Sandbox) -> None:
    (cli.folder / "box" / "mail.csv").write_bytes(b"%PDF-1.7\n")
    (cli.folder / "box" / "once.csv").write_bytes(b"%PDF-1.7\n")
    assert cli("inbox", "box").exit_code == 2
    night(cli, ["a"])
    make_older(cli, 100)
    cli("inbox", "box", "--keep", "30")
    assert inside(cli) == {"failed": ["once-why.txt", "once.csv"]}
    make_older(cli, 100)
    cli("inbox", "box", "--keep", "forever")
    assert inside(cli) == {"failed": ["once-why.txt", "once.csv"]}


# ── output ────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_is_one_object_with_every_run(cli: CommandLine, sandbox: Sandbox) -> None:
    assert cli("inbox", "box", "--json").json["files"] == []
    drop(cli, GOOD, ["a", imap("b", port="0")])
    summary = cli("inbox", "box", "--json").json
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
    cli: CommandLine, sandbox: Sandbox, port: str, level: str, message: str
) -> None:
    cli.write_csv("box/good.csv", [imap("a", port=port)])
    result = cli("inbox", "box", "--log-format", "json")
    (line,) = map(json.loads, result.stderr.splitlines())
    assert line["level"] == level
    assert line["message"].startswith(message)


def test_the_password_is_not_in_the_logs(cli: CommandLine) -> None:
    options = SandboxOptions(password="correct-horse")
    with running(options) as sandbox:
        cli.use_account(sandbox.base_url, password=options.password)
        drop(cli, GOOD, ["a"])
        result = cli("inbox", "box", "--log-format", "json", "--log-level", "debug")
    assert len(result.stderr.splitlines()) > 2
    assert options.password not in result.stderr


# ── results written again ─────────────────────────────────────────────────────────────────────────────────


def test_results_that_are_written_again_are_no_new_input(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, GOOD, ["a"])
    assert cli("inbox", "box").exit_code == 0
    (run,) = cli("runs", "--output", "box", "--json").json
    result = cli("report", run["run_id"], "--output", "box")
    assert result.exit_code == 0
    assert inside(cli) == {"done": ["good-results.xlsx", GOOD]}
    assert cli("inbox", "box", "--json").json["files"] == []
