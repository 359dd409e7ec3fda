"""An inbox whose process is killed between any two of its durable steps loses, repeats and misplaces nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bulkload.store.database import STORE_NAME
from tests.torture.crash_points import CrashPoint
from tests.torture.program import Workspace, open_workspace
from tests.torture.test_crash_points import ALL

STRIDE = 2 if ALL else 23  # every n-th step is tried
AT_A_TIME = 4  # plays
HEADER = "type,name,hostname,billing_plancode,port\n"
FIRST = HEADER + "".join(f"imap,{name},{name}.example.com,UBM - A/A,143\n" for name in "abcd")
SECOND = (
    FIRST.replace("imap,b,", "imap,x,").replace("b.example", "x.example") + "imap,bad,bad.example.com,UBM - A/A,0\n"
)
THIRD = FIRST.replace("imap,d,", "imap,y,").replace("d.example", "y.example")
LETTER = "%PDF-1.7\n"
CALL = ("inbox", "box", "--prune", "--prune-limit", "100%", "--retry-for", "30", "--keep", "30")
ENVIRONMENT = {
    "BULKLOAD_UNCHANGED_FOR": "0",
    "BULKLOAD_CONCURRENCY": "1",
    "BULKLOAD_SETTLE_GRACE": "0.2",
    "BULKLOAD_SETTLE_AFTER": "0.5",
    "BULKLOAD_SETTLE_TIMEOUT": "5",
}
RECOVERIES = 4  # calls within which everything is done


def _inputs(box: Path) -> Counter[str]:
    """The inputs in the box, wherever they are, by content."""
    known = {FIRST, SECOND, THIRD, LETTER}
    texts = (path.read_bytes().decode("utf-8", "replace") for path in box.rglob("*") if path.is_file())
    return Counter(text for text in texts if text in known)


def _first_night(workspace: Workspace) -> Path:
    box = workspace.folder / "box"
    box.mkdir()
    (box / "mail.csv").write_text(FIRST)
    assert workspace.run(*CALL).exit_code == 0
    return box


def _second_night(box: Path) -> None:
    """Two versions of the sheet, the first with a bad row, and something else."""
    (box / "mail.csv").write_text(SECOND)
    (box / "mail-2026-11-22.csv").write_text(THIRD)
    (box / "letter.txt").write_text(LETTER)


def _kill_at(step: int, folder: Path) -> None:
    with open_workspace(folder, ENVIRONMENT) as workspace:
        box = _first_night(workspace)
        _second_night(box)
        killed = workspace.run(*CALL, on_start=CrashPoint(step=step)).was_killed
        assert _inputs(box) == {FIRST: 1, SECOND: 1, THIRD: 1, LETTER: 1}, f"step {step}"
        codes = [workspace.run(*CALL).exit_code for _ in range(RECOVERIES)]
        assert codes[-1] == 0, f"step {step}, killed {killed}: {codes}"
        found = sorted(str(monitor["name"]) for monitor in workspace.sandbox.monitors())
        # Only what the newest version does not have is pruned: b is back, x came and went, d went.
        assert found == ["a", "b", "c", "y"], f"step {step}: {found}"
        assert _inputs(box) == {FIRST: 1, SECOND: 1, THIRD: 1, LETTER: 1}, f"step {step}"
        left = [path for path in box.rglob("*") if path.is_file() and path.parent.name != "working"]
        assert not list((box / "working").iterdir()), f"step {step}"
        filed = {path.name for path in left if path.parent != box and path.suffix != ".txt"}
        for path in left:
            if path.read_bytes().decode("utf-8", "replace") in (FIRST, SECOND, THIRD):
                assert f"{path.stem}-results.xlsx" in filed, f"step {step}: {filed}"
        with sqlite3.connect(box / STORE_NAME) as db:
            runs = db.execute("SELECT count(*), count(DISTINCT arrival), min(read_whole) FROM runs").fetchone()
            assert runs == (3, 3, 1), f"step {step}"
            assert db.execute("SELECT count(*) FROM arrivals WHERE closed IS NULL").fetchone() == (0,)
        db.close()


def _all_of(steps: Iterable[int], folder: Path) -> None:
    def one(step: int) -> None:
        inside = folder / str(step)
        inside.mkdir()
        _kill_at(step, inside)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for done in [pool.submit(one, step) for step in steps]:
            done.result()


def test_an_inbox_killed_at_any_step_is_finished_by_the_next_call(tmp_path: Path) -> None:
    """Taking, reading, sending, reporting, pruning, filing, clearing out: before each and after each."""
    with open_workspace(tmp_path, ENVIRONMENT) as workspace:
        _second_night(_first_night(workspace))
        workspace.run(*CALL, on_start=CrashPoint(step=0, trace=tmp_path / "trace"))
        steps = (tmp_path / "trace").read_text("utf-8").splitlines()
    assert any("os.rename" in step and "working" in step for step in steps)
    assert any("UPDATE arrivals SET place" in step for step in steps)
    assert any("fate" in step for step in steps)
    _all_of(range(1, len(steps) + 2, STRIDE), tmp_path)
