"""Accounts that display monitors differently from how they were sent, combined with lost responses and kills.

There is always one monitor per row, and a row has the ID of its own monitor; if that is ambiguous, the row says so.
"""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.alterations import DISPLAY_RULES
from tests.torture.program import Workspace, open_workspace
from tests.torture.scenario import HEADER, PLAN

NAMES = (  # with text that accounts are known to alter
    "plain",
    "two  blanks",
    "Fish & Chips <a> \"b\" 'c'",
    "Ünïcödé 🟢 mail",
    "東京 メール 🔴",
    "a very long name of a monitor that goes on beyond fifty characters, one",
    "a very long name of a monitor that goes on beyond fifty characters, two",
    "UPPER lower",
    "Café",
    "long & " + "x" * 60,
    "ﬁne ligature",
    "round trip",
)
ALL = bool(os.environ.get("BULKLOAD_ALL_TESTS"))
SEVERAL = (
    "cut+escapes",
    "escapes+cut",
    "upper-names+blanks+cut=40",
    "question-marks+no-ports+short-types",
    "no-names+no-hosts",
    "no-names+empty-ports+upper-types",
)
FEW = ("blanks", "cut", "escapes", "empty-ports", "no-names", "no-hosts", "upper-types", "question-marks", *SEVERAL[:1])
EVERY = (*DISPLAY_RULES, *SEVERAL) if ALL else FEW
FEWER = ("blanks", "empty-ports", "cut+escapes")
LOST = EVERY if ALL else (*FEWER, "no-names", "upper-types")
AMBIGUOUS = {"no-names+no-hosts"}  # only the types remain, which are not enough for a new folder
TIMES = {"BULKLOAD_SETTLE_GRACE": "0.2", "BULKLOAD_SETTLE_AFTER": "0.6", "BULKLOAD_SETTLE_TIMEOUT": "1"}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with (tmp_path / "hosts.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, HEADER, restval="")
        writer.writeheader()
        writer.writerows(map(_row, range(len(NAMES))))
    with open_workspace(
        tmp_path, TIMES | {"BULKLOAD_CONCURRENCY": "3", "BULKLOAD_REQUEST_TIMEOUT": "2"}
    ) as opened_workspace:
        yield opened_workspace


def _row(number: int) -> dict[str, object]:
    row: dict[str, object] = {"name": NAMES[number], "billing_plancode": PLAN, "interval": 15}
    if NAMES[number] == "round trip":
        round_trip = {"smtp_hostname": "smtps://smtp.example.com:465", "pop3_hostname": "pop3.example.com"}
        return row | round_trip | {"type": "round-trip", "email": "a@example.com"}
    monitor_type = ("imap", "pop", "smtp")[number % 3]
    return row | {"type": monitor_type, "hostname": f"mx{number // 2}.example.com", "port": 2993 if number % 2 else ""}


def _shown(way: str, *rules: Rule) -> Faults:
    return Faults(shows=tuple(way.split("+")), rules=rules)


def _run(workspace: Workspace, *options: str) -> dict[str, int]:
    """Run the file; no monitor exists twice, and each row has the ID of its own monitor."""
    result = workspace.run("run", "hosts.csv", "--json", "--results", "results.jsonl", *options)
    assert "Traceback" not in result.stderr
    assert result.exit_code in (0, 1, 3), result
    monitors = {str(monitor["id"]): str(monitor["name"]) for monitor in workspace.sandbox.monitors()}
    assert len(set(monitors.values())) == len(monitors), "created twice"
    for row in _results(workspace):
        if row["monitor_id"]:
            assert monitors[row["monitor_id"]] == row["row"]["name"]
    counts: dict[str, int] = result.json()["counts"]
    return counts


def _results(workspace: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workspace.folder / "results.jsonl").read_text("utf-8").splitlines()]


def _check_end(workspace: Workspace, way: str) -> None:
    """Run again in this folder, with an update, and in a new folder."""
    assert _run(workspace) == {"exists": len(NAMES)}
    assert len(workspace.sandbox.monitors()) == len(NAMES)
    counts = _run(workspace, "--output", "new")
    assert len(workspace.sandbox.monitors()) == len(NAMES)
    assert counts == {"exists": len(NAMES)} or (way in AMBIGUOUS and counts["unknown"] + counts["exists"] == len(NAMES))
    assert _run(workspace, "--on-existing", "update") == {"exists": len(NAMES)}, "a display difference is not an edit"
    runs = json.loads(workspace.run("runs", "--json").stdout)
    undo = workspace.run("undo", runs[-1]["run_id"], "--dry-run", "--json").json()["undo"]
    assert (undo["edited"], undo["gone"]) == (0, 0), "no monitor was edited"


@pytest.mark.parametrize("way", EVERY)
def test_a_second_run_in_the_same_and_in_a_new_folder(way: str, workspace: Workspace) -> None:
    workspace.sandbox.set_faults(_shown(way))
    assert _run(workspace) == {"created": len(NAMES)}
    assert _run(workspace) == {"exists": len(NAMES)}
    _check_end(workspace, way)


@pytest.mark.parametrize("way", EVERY)
def test_a_run_after_a_kill(way: str, workspace: Workspace) -> None:
    workspace.sandbox.set_faults(_shown(way, Rule(fault="stall-after", at=(6, 7, 8))))
    process = workspace.start("run", "hosts.csv")
    assert process.wait_until(lambda: sum(entry["fault"] == "stall-after" for entry in workspace.requests) == 3)
    process.send_signal(signal.SIGKILL)
    assert process.wait().was_killed
    workspace.sandbox.set_faults(_shown(way))
    for _ in range(4):
        if _run(workspace).get("unknown", 0) == 0:
            break
    _check_settled(workspace, way)


@pytest.mark.parametrize(
    ("way", "fault"), [*((way, "drop-after") for way in LOST), *((way, "error-auth-after") for way in FEWER)]
)
def test_a_run_after_all_responses_were_lost(way: str, fault: str, workspace: Workspace) -> None:
    workspace.sandbox.set_faults(_shown(way, Rule(fault=fault)))
    _run(workspace, "--concurrency", str(len(NAMES)))  # otherwise, each lost response slows down the next
    workspace.sandbox.set_faults(_shown(way))
    for _ in range(4):
        if _run(workspace).get("unknown", 0) == 0:
            break
    _check_settled(workspace, way)


def _check_settled(workspace: Workspace, way: str) -> None:
    """All monitors exist, or rows whose monitor is ambiguous are unknown."""
    rows = _results(workspace)
    assert {row["status"] for row in rows} <= {"created", "exists", "unknown"}
    if unknown := [row for row in rows if row["status"] == "unknown"]:
        assert "no-names" in way or "no-hosts" in way, unknown  # too little is displayed to assign a monitor to a row
        assert all(row["error"] for row in unknown)
    else:
        assert len(workspace.sandbox.monitors()) == len(NAMES)
        _check_end(workspace, way)
