"""Bad neighbours: two runs at once, the same rows in another file, order or spelling, files edited in between."""

from __future__ import annotations

import csv
import json
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from tests.torture.program import Ended, Place, place
from tests.torture.scenario import HEADER, SPELLINGS, Line, Scenario

ROWS = 12
SCENARIO = Scenario(lines=tuple(Line(monitor=number) for number in range(ROWS)), concurrency=2, grace=0.4, after=1.0)


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "hosts.csv").write_text(SCENARIO.csv(), "utf-8")
    with place(tmp_path, SCENARIO.environment) as found:
        yield found


def _creates(where: Place) -> int:
    where.read_log()
    return sum(entry["operation"] == "create" for entry in where.seen)


def _counts(where: Place, file: str, *options: str, code: ExitCode = ExitCode.DONE) -> dict[str, int]:
    ended = where.run("run", file, "--json", *options)
    assert ended.exit_code == code, ended
    found: dict[str, int] = ended.json()["counts"]
    return found


def _die_in_the_middle(where: Place, *arguments: str) -> None:
    """Run until some rows are created and one is under way, then die."""
    where.sandbox.set_faults(Faults(rules=(Rule(fault="stall-after", at=(5,)),)))
    process = where.start(*arguments)
    assert process.until(lambda: any(entry["fault"] == "stall-after" for entry in where.seen))
    process.signal(signal.SIGKILL)
    assert process.end().killed
    where.sandbox.set_faults(Faults())


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# ── two at once ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("second", [("run", "hosts.csv"), ("resume",), ("plan", "hosts.csv")])
def test_a_second_process_is_refused_at_once_and_sends_nothing(second: Sequence[str], where: Place) -> None:
    where.sandbox.set_faults(Faults(rules=(Rule(fault="stall-before", on=("list",)),)))
    first = where.start("run", "hosts.csv", BULKLOAD_REQUEST_TIMEOUT="100")
    assert first.until(lambda: any(entry["fault"] == "stall-before" for entry in where.seen))
    asked = len(where.seen)
    refused = where.run(*second)
    assert refused.exit_code == ExitCode.LOCKED, refused
    assert "Another run" in refused.stderr
    assert len(where.seen) == asked
    first.signal(signal.SIGKILL)
    assert first.end().killed
    where.sandbox.set_faults(Faults())
    assert where.run("run", "hosts.csv").exit_code == ExitCode.DONE, "the dead one must block nobody"


@pytest.mark.parametrize("turn", range(3))
def test_two_that_start_together_make_everything_once(turn: int, where: Place) -> None:
    """One of them makes the store; the other is refused, or comes after it and finds all there."""
    both = [where.start("run", "hosts.csv", "--results", f"{turn}-{name}.jsonl") for name in ("a", "b")]
    codes = sorted(process.end().exit_code for process in both)
    assert codes in ([ExitCode.DONE, ExitCode.LOCKED], [ExitCode.DONE, ExitCode.DONE]), codes
    assert len(where.sandbox.monitors()) == ROWS


# ── the same rows again ───────────────────────────────────────────────────────────────────────────────────────


def test_the_same_file_under_another_name_creates_nothing(where: Place) -> None:
    assert _counts(where, "hosts.csv") == {"created": ROWS}
    (where.folder / "hosts.csv").rename(where.folder / "copy of hosts.txt")
    assert _counts(where, "copy of hosts.txt") == {"exists": ROWS}
    assert _creates(where) == ROWS


def test_the_same_file_under_another_name_after_a_crash_creates_the_rest(where: Place) -> None:
    _die_in_the_middle(where, "run", "hosts.csv")
    (where.folder / "hosts.csv").rename(where.folder / "other.csv")
    _counts(where, "other.csv")
    assert len(where.sandbox.monitors()) == ROWS


@pytest.mark.parametrize("crash", [False, True], ids=["finished", "crashed"])
def test_rows_in_another_order_create_nothing_twice_and_keep_their_ids(crash: bool, where: Place) -> None:
    if crash:
        _die_in_the_middle(where, "run", "hosts.csv")
    else:
        _counts(where, "hosts.csv")
    lines = list(SCENARIO.lines)
    random.Random(7).shuffle(lines)
    (where.folder / "hosts.csv").write_text(Scenario(lines=tuple(lines)).csv(), "utf-8")
    _counts(where, "hosts.csv", "--results", "again.jsonl")
    names = {str(monitor["id"]): monitor["name"] for monitor in where.sandbox.monitors()}
    assert len(names) == ROWS
    assert all(names[row["monitor_id"]] == row["row"]["name"] for row in _rows(where.folder / "again.jsonl"))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_monitors_in_another_spelling_create_nothing(spelling: str, where: Place) -> None:
    """Upper case, a final dot, the default port given or not, spaces around the name."""
    assert _counts(where, "hosts.csv") == {"created": ROWS}
    lines = tuple(Line(monitor=number, spelling=spelling) for number in range(ROWS))  # type: ignore[arg-type]
    (where.folder / "other.csv").write_text(Scenario(lines=lines).csv(), "utf-8")
    assert _counts(where, "other.csv") == {"exists": ROWS}
    assert _creates(where) == ROWS


def test_an_international_name_and_its_ascii_form_are_the_same_host(where: Place) -> None:
    def write(name: str, host: str) -> None:
        rows = [HEADER, ("imap", "m", host, "", "UBM - A/A", "15", "", "", "")]
        with (where.folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)

    write("one.csv", "mail.bücher.example")
    write("two.csv", "MAIL.XN--BCHER-KVA.example.")
    write("three.csv", "mail.BU\u0308CHER.example:143")
    assert _counts(where, "one.csv") == {"created": 1}
    assert _counts(where, "two.csv") == {"exists": 1}
    assert _counts(where, "three.csv") == {"exists": 1}


# ── results as input ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_results_file_handed_back_sends_only_what_is_not_done(suffix: str, where: Place) -> None:
    """Rejected and unsent rows go again; finished ones do not, and neither do bad ones."""
    lines = (*SCENARIO.lines, Line(monitor=3), Line(monitor=ROWS, bad=True))
    (where.folder / "hosts.csv").write_text(Scenario(lines=lines).csv(), "utf-8")
    where.sandbox.set_faults(Faults(rules=(Rule(fault="plan-full", names=("m4", "m9")),)))
    first = _counts(where, "hosts.csv", "--results", f"one.{suffix}", code=ExitCode.ROWS_LEFT)
    assert first == {"created": ROWS - 2, "invalid": 1, "duplicate": 1, "rejected": 2}
    before = _creates(where)
    where.sandbox.set_faults(Faults())
    second = _counts(where, f"one.{suffix}", "--results", f"two.{suffix}", code=ExitCode.ROWS_LEFT)
    assert second == {"created": 2, "exists": ROWS - 2, "invalid": 1, "duplicate": 1}
    assert _creates(where) == before + 2
    third = _counts(where, f"two.{suffix}", code=ExitCode.ROWS_LEFT)
    assert third == {"exists": ROWS, "invalid": 1, "duplicate": 1}
    assert _creates(where) == before + 2


def test_results_of_a_run_that_was_cut_short_are_a_good_input(where: Place) -> None:
    assert _counts(where, "hosts.csv", "--first", "5", "--results", "one.csv", code=ExitCode.ROWS_LEFT) == {
        "created": 5,
        "not_attempted": ROWS - 5,
    }
    assert _counts(where, "one.csv", "--output", "elsewhere") == {"exists": 5, "created": ROWS - 5}
    assert _creates(where) == ROWS


# ── files that change in between ──────────────────────────────────────────────────────────────────────────────


def _edited(where: Place) -> None:
    lines = tuple(Line(monitor=number) for number in range(100, 104))
    (where.folder / "hosts.csv").write_text(Scenario(lines=lines).csv(), "utf-8")


def _resumed(where: Place) -> Ended:
    ended = where.run("resume", "--json", "--results", "resumed.jsonl")
    assert ended.exit_code == ExitCode.DONE, ended
    rows = _rows(where.folder / "resumed.jsonl")
    assert [row["row"]["name"] for row in rows] == [f"m{number}" for number in range(ROWS)]
    names = Counter(monitor["name"] for monitor in where.sandbox.monitors())
    assert names == Counter(f"m{number}" for number in range(ROWS))
    return ended


def test_a_file_edited_between_crash_and_resume_changes_nothing_and_is_said(where: Place) -> None:
    """The run goes on with what it had read, and says that the file is another by now."""
    _die_in_the_middle(where, "run", "hosts.csv")
    _edited(where)
    ended = _resumed(where)
    assert "hosts.csv" in ended.stderr
    assert "changed" in ended.stderr


def test_a_file_that_is_gone_at_the_resume_is_not_missed(where: Place) -> None:
    _die_in_the_middle(where, "run", "hosts.csv")
    (where.folder / "hosts.csv").unlink()
    _resumed(where)


def test_a_file_that_is_as_it_was_is_not_talked_about(where: Place) -> None:
    """Also if it was saved again without a change."""
    _die_in_the_middle(where, "run", "hosts.csv")
    path = where.folder / "hosts.csv"
    path.write_bytes(path.read_bytes())
    assert "changed" not in _resumed(where).stderr


def test_an_edited_file_that_is_run_again_is_another_run_with_its_own_rows(where: Place) -> None:
    _die_in_the_middle(where, "run", "hosts.csv")
    _edited(where)
    assert _counts(where, "hosts.csv") == {"created": 4}
    _resumed_later = where.run("resume", "--json")
    assert _resumed_later.exit_code == ExitCode.DONE, _resumed_later
    names = Counter(monitor["name"] for monitor in where.sandbox.monitors())
    assert names == Counter(f"m{number}" for number in (*range(ROWS), *range(100, 104)))
