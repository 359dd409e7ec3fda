"""What is written into a file late is never lost: the file waits, is read again, or is taken back from `done`."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bulkload.inbox.open_files import open_for_writing
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from bulkload.store.runs import Store
from tests.inbox.test_visit import drop, inside, make_older, names, night
from tests.support.command_line import PLAN, CommandLine

ALL = ("--prune", "--prune-limit", "100%")


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    (cli.folder / "box").mkdir()
    return cli


def append(path: Path, *monitors: str) -> None:
    """Write more rows into a file, in place."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"imap,{name},{name}.example.com,{PLAN}\r\n" for name in monitors)


def find(cli: CommandLine, name: str) -> Path:
    (path,) = (cli.folder / "box").rglob(name)
    return path


def during(cli: CommandLine, event: str, action: Callable[[], None]) -> None:
    """Do something once, right before a step of the next visit."""
    from bulkload.store.arrivals import Arrivals

    step = getattr(Arrivals, event)

    def with_action(self: Arrivals, *arguments: object) -> object:
        cli.monkeypatch.setattr(Arrivals, event, step)
        action()
        return step(self, *arguments)

    cli.monkeypatch.setattr(Arrivals, event, with_action)


def created_once(sandbox: Sandbox, expected: str) -> bool:
    return names(sandbox) == sorted(expected)


# ── still open ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_a_program_has_open_for_writing_waits_however_long_it_pauses(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    path = drop(cli, "mail.csv", ["a"])
    drop(cli, "other.csv", ["z"])
    with path.open("a", encoding="utf-8") as writer:
        os.utime(path, (1_700_000_000, 1_700_000_000))
        result = cli("inbox", "box", "--json")
        assert (result.exit_code, result.json["still_being_written"]) == (0, ["mail.csv"])
        assert created_once(sandbox, "z")
        writer.write(f"imap,b,b.example.com,{PLAN}\r\n")
    assert cli("inbox", "box").exit_code == 0
    assert created_once(sandbox, "abz")


def test_a_file_that_a_program_reads_is_not_held_back(cli: CommandLine, sandbox: Sandbox) -> None:
    path = drop(cli, "mail.csv", ["a"])
    with path.open(encoding="utf-8"):
        assert cli("inbox", "box").exit_code == 0
    assert created_once(sandbox, "a")


@pytest.mark.parametrize(("mode", "is_written"), [("r", False), ("a", True), ("r+", True), ("w", True)])
def test_files_open_for_writing_are_found_by_file_not_by_name(tmp_path: Path, mode: str, is_written: bool) -> None:
    path, other = tmp_path / "a.csv", tmp_path / "other" / "a.csv"
    other.parent.mkdir()
    for each in (path, other):
        each.write_text("x")
    with path.open(mode):
        moved = path.rename(tmp_path / "b.csv")
        assert open_for_writing([moved, other, tmp_path / "missing"]) == ({moved} if is_written else set())
    assert open_for_writing([moved]) == set()


# ── changed while it is run ───────────────────────────────────────────────────────────────────────────────


def test_a_file_that_changes_between_the_scan_and_its_turn_waits(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "first.csv", ["z"])
    os.utime(cli.folder / "box" / "first.csv", (1_700_000_000, 1_700_000_000))
    path = drop(cli, "mail.csv", ["a"])
    during(cli, "end_sending", lambda: append(path, "b"))
    result = cli("inbox", "box", "--json")
    assert (result.exit_code, result.json["still_being_written"]) == (0, ["mail.csv"])
    assert created_once(sandbox, "z")
    assert inside(cli)["waiting"] == ["mail.csv"]
    assert cli("inbox", "box").exit_code == 0
    assert created_once(sandbox, "abz")


@pytest.mark.parametrize("event", ["end_reading", "end_sending", "set_destination"])
def test_a_file_that_changes_while_it_is_run_is_read_again(cli: CommandLine, sandbox: Sandbox, event: str) -> None:
    """While it is read, while it is sent, and after the last look at it: never is a row lost or created twice."""
    drop(cli, "mail.csv", ["a"])
    during(cli, event, lambda: append(find(cli, "mail.csv"), "b"))
    result = cli("inbox", "box")
    if event == "set_destination":
        assert (result.exit_code, inside(cli)["done"]) == (0, ["mail-results.xlsx", "mail.csv"])
    else:
        assert result.exit_code == 1
        assert "It changed after it was read, so the next call reads it again." in result.stderr
        assert "mail.csv" in inside(cli)["working"]
    assert created_once(sandbox, "" if event == "end_reading" else "a")
    result = cli("inbox", "box")
    assert (result.exit_code, created_once(sandbox, "ab")) == (0, True)
    assert "working" not in inside(cli)
    assert cli("inbox", "box").stderr == ""


def test_a_broken_file_that_changes_while_it_is_read_is_not_failed(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "mail.csv", ["a"])
    path = cli.folder / "box" / "mail.csv"
    whole = path.read_text("utf-8")
    path.write_text(whole[:7], "utf-8")

    def complete() -> None:
        find(cli, "mail.csv").write_text(whole, "utf-8")

    during(cli, "end_reading", complete)
    assert cli("inbox", "box").exit_code == 1
    assert inside(cli) == {"working": ["mail.csv"]}
    assert cli("inbox", "box").exit_code == 0
    assert created_once(sandbox, "a")


def test_a_file_that_changes_while_it_waits_to_be_resumed_is_read_again(cli: CommandLine, sandbox: Sandbox) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault="login-refused", on=("login",), times=1),)))
    drop(cli, "mail.csv", ["a"])
    assert cli("inbox", "box").exit_code == 3
    append(find(cli, "mail.csv"), "b")
    result = cli("inbox", "box")
    assert (result.exit_code, created_once(sandbox, "ab")) == (0, True)
    assert "It changed after an earlier call had read it." in result.stderr


def test_nothing_is_pruned_from_a_file_that_changed_meanwhile(cli: CommandLine, sandbox: Sandbox) -> None:
    night(cli, ["a", "b"])
    drop(cli, "mail.csv", ["a"])
    during(cli, "end_sending", lambda: append(find(cli, "working/mail.csv"), "b"))
    assert cli("inbox", "box", *ALL).exit_code == 1
    assert created_once(sandbox, "ab")
    assert cli("inbox", "box", *ALL).exit_code == 0
    assert created_once(sandbox, "ab")


# ── written in `done` ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("subfolder", ["done", "failed"])
def test_a_file_that_grows_after_it_was_moved_is_run_again_under_its_name(
    cli: CommandLine, sandbox: Sandbox, subfolder: str
) -> None:
    drop(cli, "mail.csv", ["a"])
    if subfolder == "failed":
        with (cli.folder / "box" / "mail.csv").open("a", encoding="utf-8") as writer:
            writer.write("imap,b,b.exam")  # half a row
    cli("inbox", "box")
    moved = next((cli.folder / "box" / subfolder).rglob("mail.csv"))
    if subfolder == "failed":
        with moved.open("a", encoding="utf-8") as writer:
            writer.write(f"ple.com,{PLAN}\r\n")
    append(moved, "c")
    result = cli("inbox", "box", "--json")
    (file,) = result.json["files"]
    assert (file["name"], result.exit_code) == ("mail.csv", 0)
    assert created_once(sandbox, "ac" if subfolder == "done" else "abc")
    assert f"It was written after it had been moved to {moved.parent.relative_to(cli.folder / 'box')}" in result.stderr
    assert cli("inbox", "box").stderr == ""


def test_a_growing_file_never_replaces_a_newer_file_of_its_name_and_is_run_before_it(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    """So that the newer version decides what is pruned."""
    drop(cli, "mail.csv", ["a", "b"])
    cli("inbox", "box")
    append(find(cli, "mail.csv"), "c")
    drop(cli, "mail.csv", ["a", "d"])
    result = cli("inbox", "box", *ALL, "--json")
    assert [file["counts"] for file in result.json["files"]] == [
        {"created": 1, "exists": 2},
        {"created": 1, "exists": 1},
    ]
    assert (result.exit_code, created_once(sandbox, "ad")) == (0, True)


def test_a_file_of_which_a_newer_version_was_run_is_only_reported(cli: CommandLine, sandbox: Sandbox) -> None:
    """It must not become the current version, or monitors of the newer one would count as no longer wanted."""
    drop(cli, "mail-2026-11-01.csv", ["a"])
    cli("inbox", "box")
    drop(cli, "mail-2026-11-02.csv", ["a", "b"])
    cli("inbox", "box")
    append(find(cli, "mail-2026-11-01.csv"), "c")
    result = cli("inbox", "box", *ALL)
    assert (result.exit_code, created_once(sandbox, "ab")) == (1, True)
    assert "mail-2026-11-01.csv: It was written after it had been moved to done/" in result.stderr
    assert "a newer version was run since" in result.stderr
    assert cli("inbox", "box").stderr == ""


def test_a_file_that_is_still_being_written_in_done_stays_there(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "mail.csv", ["a"])
    cli("inbox", "box")
    moved = find(cli, "mail.csv")
    with moved.open("a", encoding="utf-8") as writer:
        writer.write(f"imap,b,b.example.com,{PLAN}\r\n")
        writer.flush()
        result = cli("inbox", "box", "--json")
        assert (result.exit_code, result.json["still_being_written"], moved.exists()) == (0, ["mail.csv"], True)
    assert cli("inbox", "box").exit_code == 0
    assert created_once(sandbox, "ab")


@pytest.mark.parametrize("change", ["older time", "replaced", "deleted", "a week later"])
def test_a_moved_file_that_a_person_changes_stays_where_it_is(cli: CommandLine, sandbox: Sandbox, change: str) -> None:
    drop(cli, "mail.csv", ["a"])
    cli("inbox", "box")
    moved = find(cli, "mail.csv")
    if change == "older time":
        os.utime(moved, (1_600_000_000, 1_600_000_000))
    elif change == "replaced":
        new = shutil.copyfile(moved, moved.with_name("copy"))
        append(new, "b")
        new.replace(moved)
    elif change == "deleted":
        moved.unlink()
    else:
        make_older(cli, 8)
        append(moved, "b")
    result = cli("inbox", "box")
    assert (result.exit_code, result.stderr, created_once(sandbox, "a")) == (0, "", True)


def test_a_visit_killed_while_taking_a_file_back_loses_nothing(cli: CommandLine, sandbox: Sandbox) -> None:
    drop(cli, "mail.csv", ["a"])
    cli("inbox", "box")
    moved = find(cli, "mail.csv")
    append(moved, "b")
    (cli.folder / "box" / "working").mkdir(exist_ok=True)
    moved.rename(cli.folder / "box" / "working" / "mail.csv")  # and the process is killed before it records this
    assert cli("inbox", "box").exit_code == 0
    assert created_once(sandbox, "ab")
    with Store(cli.folder / "box") as store:
        assert store.db.execute("SELECT count(*) FROM arrivals WHERE closed IS NULL").fetchone()[0] == 0
    assert time.time() - find(cli, "mail-2.csv").stat().st_mtime < 600
