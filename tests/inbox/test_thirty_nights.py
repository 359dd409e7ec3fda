"""Thirty nights with one box, and nobody watching: each night tells the truth, and the account ends as the last sheet.

The sheet is edited every day. Between good nights the API is down, the process is killed, the password is wrong, calls
overlap, files come late, break, or are never finished, and a sheet loses its lower half.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.runs import STORE_NAME
from tests.inbox.test_notifications import metrics
from tests.support.command_line import Desk, imap
from tests.support.listener import Heard, Listener
from tests.support.waiting import PATIENCE, wait_until

NIGHTS = 30
ROWS = 24  # of the first sheet
DAY = 86_400.0  # seconds
SLOW = Faults(rules=(Rule(fault="slow", seconds=0.5),))
CALL = (
    "inbox", "box", "--on-existing", "update", "--prune", "--keep", "365", "--retry-for", "3", "--concurrency", "2",
    "--metrics", "bulkload.prom",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Story:
    """The box, the account and the sheet, as they are tonight."""

    desk: Desk
    listener: Listener
    port: int
    state: Path
    stack: ExitStack
    sandbox: Sandbox
    sheet: dict[str, int]  # monitor → interval
    chance: random.Random = field(default_factory=lambda: random.Random(30))
    dropped: list[bytes] = field(default_factory=list)
    made: int = 0

    @property
    def box(self) -> Path:
        return self.desk.folder / "box"

    def edit(self) -> None:
        """What people do to the sheet by day: new rows, changed rows, and now and then one less."""
        for _ in range(self.chance.randrange(3)):
            self.made += 1
            self.sheet[f"n{self.made}"] = 5
        for name in self.chance.sample(sorted(self.sheet), 2):
            self.sheet[name] = self.chance.randrange(1, 60)
        if len(self.sheet) > ROWS:
            del self.sheet[self.chance.choice(sorted(self.sheet))]

    def drop(self, name: str = "mail.csv", monitors: dict[str, int] | None = None, **broken: object) -> None:
        """Put a sheet into the box: a new file beside it, which takes its place at once."""
        rows = [
            imap(monitor, hostname=f"{monitor}.example.com", interval=interval)
            for monitor, interval in (self.sheet if monitors is None else monitors).items()
        ]
        if (self.box / name).exists():  # nobody took yesterday's; today's takes its place
            self.dropped.remove((self.box / name).read_bytes())
        path = self.desk.sheet(f"box/.{name}", rows + ([imap("bad", **broken)] if broken else []))
        self.dropped.append(path.read_bytes())
        path.rename(self.box / name)

    def call(self) -> int:
        ended = self.desk(*CALL)
        assert ended.stdout == ""
        sys.stdout.write(ended.stderr)  # shown by pytest where a night goes wrong
        return ended.exit_code

    def process(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "bulkload", *CALL], cwd=self.desk.folder)

    def after(self, creates: int) -> None:
        """Wait until tonight's run has created that many monitors."""
        before = self.sandbox.counts().get("created", 0)
        wait_until(lambda: self.sandbox.counts().get("created", 0) >= before + creates)

    def account(self) -> dict[str, int]:
        return {str(one["name"]): int(str(one["interval"])) for one in self.sandbox.monitors()}

    def open_account(self) -> None:
        self.sandbox = self.stack.enter_context(running(state=self.state, port=self.port))
        self.port = int(self.sandbox.base_url.split(":")[2].partition("/")[0])

    def close_account(self) -> None:
        self.stack.close()

    def a_day_passes(self) -> None:
        """Let everything in the store have happened a day earlier."""
        if (self.box / STORE_NAME).exists():
            with sqlite3.connect(self.box / STORE_NAME) as db:
                db.execute("UPDATE arrivals SET arrived = arrived - ?1, closed = closed - ?1", (DAY,))
                db.execute("UPDATE unsettled SET since = since - ?", (DAY,))
            db.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a night should come to."""

    exit_code: int = 0
    settled: bool = True  # the account equals the sheet afterwards
    pings: tuple[str, ...] | None = None  # None: as the exit code says
    words: str = ""  # in the last ping's summary


Night = Callable[[Story], Told]


def good(story: Story) -> Told:
    story.drop()
    return Told(exit_code=story.call())


def quiet(story: Story) -> Told:
    assert story.call() == 0
    return Told(settled=False, words="Nothing to do.")


def api_down(story: Story) -> Told:
    story.drop()
    story.close_account()
    assert story.call() == 3
    story.open_account()
    return Told(exit_code=3, settled=False, words="mail.csv will be resumed")


def killed(story: Story) -> Told:
    story.sheet.update({f"k{number}": 5 for number in range(12)})
    story.drop()
    unanswered = Rule(fault="stall-after", on=("create",), at=tuple(range(4, 13)))
    story.sandbox.set_faults(Faults(rules=(unanswered,)))
    with story.process() as process:
        story.after(4)
        process.kill()
    story.sandbox.set_faults(Faults())
    assert process.returncode == -signal.SIGKILL
    assert 0 < sum(name.startswith("k") for name in story.account()) < 12
    return Told(exit_code=-1, settled=False, pings=("/start",))


def wrong_password(story: Story) -> Told:
    story.drop()
    story.desk.log_in_at(story.sandbox.base_url, password="wrong")
    assert story.call() == 3
    assert story.sandbox.counts()["login"] > 0
    story.desk.log_in_at(story.sandbox.base_url)
    return Told(exit_code=3, settled=False, words="refuses the login")


def overlapping(story: Story) -> Told:
    story.sheet.update({f"o{number}": 5 for number in range(6)})
    story.drop()
    story.sandbox.set_faults(SLOW)
    with story.process() as process:
        story.after(1)
        assert story.call() == 5
        assert process.wait(PATIENCE) == 0
    story.sandbox.set_faults(Faults())
    return Told()


def arriving(story: Story) -> Told:
    story.sheet.update({f"a{number}": 5 for number in range(6)})
    story.drop()
    story.sandbox.set_faults(SLOW)

    def bring() -> None:
        story.after(2)
        story.drop("more.csv", {"late": 7})

    bringer = threading.Thread(target=bring)
    bringer.start()
    code = story.call()
    bringer.join()
    story.sandbox.set_faults(Faults())
    return Told(exit_code=code, words="more.csv: 1 created.")


def broken(story: Story) -> Told:
    (story.box / "broken.xlsx").write_bytes(b"PK\x03\x04 but not much more")
    story.drop()
    assert story.call() == 2
    return Told(exit_code=2, words="broken.xlsx failed")


def never_finished(story: Story) -> Told:
    """From tonight on there is a file that somebody has open and never closes."""
    (story.box / "draft.xlsx").write_bytes(b"PK\x03\x04")
    (story.box / "~$draft.xlsx").write_bytes(b"x")
    story.drop()
    return Told(exit_code=story.call(), words="1 file is still being written.")


def overdue(story: Story) -> Told:
    story.drop()
    assert story.call() == 1
    return Told(exit_code=1, words="draft.xlsx has been incomplete for too long.")


def draft_removed(story: Story) -> Told:
    for path in story.box.glob("*draft.xlsx"):
        path.unlink()
    return good(story)


def cut_in_half(story: Story) -> Told:
    before = story.account()
    story.drop(monitors=dict(list(story.sheet.items())[: len(story.sheet) // 2]))
    assert story.call() == 1
    assert story.account().keys() == before.keys()
    return Told(exit_code=1, settled=False, words="nothing was deleted")


def bad_row(story: Story) -> Told:
    story.drop(port="993 or 143")
    assert story.call() == 1
    return Told(exit_code=1, settled=False, words="1 invalid")


SPECIAL: dict[int, Night] = {
    3: quiet,
    4: api_down,
    7: killed,
    10: wrong_password,
    11: wrong_password,
    13: overlapping,
    15: arriving,
    17: quiet,
    18: broken,
    20: never_finished,
    23: overdue,
    24: overdue,
    25: draft_removed,
    26: cut_in_half,
    28: bad_row,
}


def check(story: Story, night: int, told: Told, heard: list[Heard]) -> None:
    """The night told the truth, and did what it told."""
    pings = [one for one in heard if not one.path.startswith("/hook")]
    hooks = [one.json for one in heard if one.path.startswith("/hook")]
    expected = told.pings or ("/start", "/fail" if told.exit_code else "")
    assert tuple(one.path.removeprefix("/ping") for one in pings) == expected, night
    assert told.words in pings[-1].body, night
    if told.exit_code >= 0:
        found = metrics(story.desk.folder / "bulkload.prom")
        assert found["exit_code"] == told.exit_code, night
        assert (found["last_success_timestamp_seconds"] == found["last_run_timestamp_seconds"]) == (
            told.exit_code == 0
        ), night
        assert [hook["exit_code"] for hook in hooks] == ([told.exit_code] if hooks else []), night
        assert bool(hooks) == (told.words != "Nothing to do."), night
    if told.settled:
        wanted = dict(story.sheet) | ({"late": 7} if night >= 15 else {})
        assert story.account() == wanted, night
    assert len(story.account()) == len(story.sandbox.monitors()), f"night {night}: a monitor was made twice"


def test_thirty_nights(desk: Desk, listener: Listener) -> None:
    """At the end the account equals the last sheet, the history is complete, and no night lied."""
    desk.environment.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    desk.environment.setenv("BULKLOAD_SETTLE_TIMEOUT", "60")
    desk.environment.setenv("BULKLOAD_PING", f"{listener.address}/ping")
    desk.environment.setenv("BULKLOAD_WEBHOOK", f"{listener.address}/hook")
    (desk.folder / "box").mkdir()
    with ExitStack() as stack:
        sandbox = stack.enter_context(running(state=desk.folder / "account.sqlite3"))
        story = Story(
            desk=desk,
            listener=listener,
            port=int(sandbox.base_url.split(":")[2].partition("/")[0]),
            state=desk.folder / "account.sqlite3",
            stack=stack,
            sandbox=sandbox,
            sheet={f"m{number}": 15 for number in range(ROWS)},
        )
        desk.log_in_at(sandbox.base_url)
        for night in range(NIGHTS):
            told = SPECIAL.get(night, good)(story)
            assert told.exit_code in (0, 1, 2, 3, -1)
            assert told.exit_code == 0 or night in SPECIAL, f"night {night}"
            check(story, night, told, listener.taken())
            story.edit()
            story.a_day_passes()
        story.drop()
        assert story.call() == 0
        assert story.account() == story.sheet | {"late": 7}
        check_history(story)


def check_history(story: Story) -> None:
    """Every sheet is filed exactly once with its results, and every one has its run, finished and whole."""
    filed: list[Path] = [path for fate in ("done", "failed") for path in (story.box / fate).rglob("*.csv")]
    inputs = [path for path in filed if not path.name.endswith("-gone.csv")]
    assert sorted(path.read_bytes() for path in inputs) == sorted(story.dropped)
    for path in inputs:
        assert path.with_name(f"{path.stem}-results.xlsx").is_file()
    assert sorted(os.listdir(story.box / "working")) == []  # noqa: PTH208
    (why,) = story.box.rglob("*-why.txt")
    assert why.name == "broken-why.txt"
    history: Any = story.desk("runs", "--output", "box", "--json").json
    assert len(history) == len(story.dropped)
    assert all(run["exit_code"] in (0, 1) for run in history), [run["exit_code"] for run in history]
    assert all(run["rows"] > 0 for run in history)
