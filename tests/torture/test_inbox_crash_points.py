"""After its process is killed before any durable step, the inbox recovers and loses no file."""

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

STRIDE = 3 if ALL else 31  # every n-th step is tested
CONCURRENCY = 4  # inboxes at a time
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
MAX_CALLS = 4  # until everything is done


def _inputs(box: Path) -> Counter[str]:
    """The number of copies of each input file in any folder of the inbox, by content."""
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
    """Two versions of the recurring file, the first with an invalid row, and a file of another format."""
    (box / "mail.csv").write_text(SECOND)
    (box / "mail-2026-11-22.csv").write_text(THIRD)
    (box / "letter.txt").write_text(LETTER)


def _kill_at(step: int, folder: Path) -> None:
    with open_workspace(folder, ENVIRONMENT) as workspace:
        box = _first_night(workspace)
        _second_night(box)
        killed = workspace.run(*CALL, on_start=CrashPoint(step=step)).was_killed
        assert _inputs(box) == {FIRST: 1, SECOND: 1, THIRD: 1, LETTER: 1}, f"step {step}"
        codes = [workspace.run(*CALL).exit_code for _ in range(MAX_CALLS)]
        assert codes[-1] == 0, f"step {step}, killed {killed}: {codes}"
        if aside := [path for path in box.rglob("*-why.txt") if "process was killed" in path.read_text("utf-8")]:
            _assert_set_aside(workspace, box, aside, codes, step)
            return
        names = sorted(str(monitor["name"]) for monitor in workspace.sandbox.monitors())
        # Prune deletes the monitors that the newest version lacks: x and d, but not b.
        assert names == ["a", "b", "c", "y"], f"step {step}: {names}"
        assert _inputs(box) == {FIRST: 1, SECOND: 1, THIRD: 1, LETTER: 1}, f"step {step}"
        files = [path for path in box.rglob("*") if path.is_file() and path.parent.name != "working"]
        assert not list((box / "working").iterdir()), f"step {step}"
        filed = {path.name for path in files if path.parent != box and path.suffix != ".txt"}
        for path in files:
            if path.read_bytes().decode("utf-8", "replace") in (FIRST, SECOND, THIRD):
                assert f"{path.stem}-results.xlsx" in filed, f"step {step}: {filed}"
        with sqlite3.connect(box / STORE_NAME) as db:
            runs = db.execute("SELECT count(*), count(DISTINCT arrival), min(read_whole) FROM runs").fetchone()
            assert runs == (3, 3, 1), f"step {step}"
            assert db.execute("SELECT count(*) FROM arrivals WHERE closed IS NULL").fetchone() == (0,)
        db.close()


def _assert_set_aside(workspace: Workspace, box: Path, reasons: list[Path], codes: list[int], step: int) -> None:
    """A file on which the process was killed while reading it is in `failed`, and everything else is done."""
    (reason,) = reasons
    (aside,) = (path for path in reason.parent.glob(reason.name.replace("-why.txt", ".*")))
    assert aside.read_text("utf-8") in (SECOND, THIRD, LETTER), f"step {step}"
    assert (codes[0], codes[1:]) == (2, [0] * (MAX_CALLS - 1)), f"step {step}: {codes}"
    assert _inputs(box) == {FIRST: 1, SECOND: 1, THIRD: 1, LETTER: 1}, f"step {step}"
    assert not list((box / "working").iterdir()), f"step {step}"
    names = sorted(str(monitor["name"]) for monitor in workspace.sandbox.monitors())
    # The second version has an invalid row, so it prunes nothing.
    left = {SECOND: ["a", "b", "c", "y"], THIRD: ["a", "b", "c", "d", "x"], LETTER: ["a", "b", "c", "y"]}
    assert names == left[aside.read_text("utf-8")], f"step {step}: {names}"


def _kill_at_all(steps: Iterable[int], folder: Path) -> None:
    def kill_and_check(step: int) -> None:
        subfolder = folder / str(step)
        subfolder.mkdir()
        _kill_at(step, subfolder)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for future in [pool.submit(kill_and_check, step) for step in steps]:
            future.result()


def test_an_inbox_killed_at_any_step_is_finished_by_the_next_call(tmp_path: Path) -> None:
    """From moving the file into `working` to filing it and its results."""
    with open_workspace(tmp_path, ENVIRONMENT) as workspace:
        _second_night(_first_night(workspace))
        workspace.run(*CALL, on_start=CrashPoint(step=0, trace=tmp_path / "trace"))
        steps = (tmp_path / "trace").read_text("utf-8").splitlines()
    assert any("os.rename" in step and "working" in step for step in steps)
    assert any("UPDATE arrivals SET place" in step for step in steps)
    assert any("fate" in step for step in steps)
    _kill_at_all(range(1, len(steps) + 2, STRIDE), tmp_path)
