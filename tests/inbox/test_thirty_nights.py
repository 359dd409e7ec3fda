"""Thirty nights of an unattended inbox: each visit is reported correctly, and the account ends equal to the last file.

The recurring file is edited every day. Between good nights the API is down, the process is killed, the password is
wrong, calls overlap, files arrive late, are broken or never completed, and the file loses its lower half.
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
from bulkload.store.database import STORE_NAME
from tests.inbox.test_notifications import metrics
from tests.support.command_line import CommandLine, imap
from tests.support.listener import Listener, ReceivedRequest
from tests.support.waiting import TIMEOUT, wait_until

NIGHTS = 30
ROWS = 24  # in the first version of the file
DAY = 86_400.0  # seconds
SLOW = Faults(rules=(Rule(fault="slow", seconds=0.5),))
CALL = (
    "inbox", "box", "--on-existing", "update", "--prune", "--keep", "365", "--retry-for", "3", "--concurrency", "2",
    "--metrics", "bulkload.prom",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Simulation:
    """The inbox, the account and the recurring file of one night."""

    cli: CommandLine
    listener: Listener
    port: int
    state: Path
    stack: ExitStack
    sandbox: Sandbox
    intervals: dict[str, int]  # monitor → interval
    generator: random.Random = field(default_factory=lambda: random.Random(30))
    dropped: list[bytes] = field(default_factory=list)
    added: int = 0

    @property
    def box(self) -> Path:
        return self.cli.folder / "box"

    def edit(self) -> None:
        """Edit the file as people do by day: add rows, change rows, and sometimes delete one."""
        for _ in range(self.generator.randrange(3)):
            self.added += 1
            self.intervals[f"n{self.added}"] = 5
        for name in self.generator.sample(sorted(self.intervals), 2):
            self.intervals[name] = self.generator.randrange(1, 60)
        if len(self.intervals) > ROWS:
            del self.intervals[self.generator.choice(sorted(self.intervals))]

    def drop(self, name: str = "mail.csv", monitors: dict[str, int] | None = None, **broken: object) -> None:
        """Put a version of the file into the inbox: it is written under a hidden name, then renamed."""
        rows = [
            imap(monitor, hostname=f"{monitor}.example.com", interval=interval)
            for monitor, interval in (self.intervals if monitors is None else monitors).items()
        ]
        if (self.box / name).exists():  # yesterday's was not taken; today's replaces it
            self.dropped.remove((self.box / name).read_bytes())
        path = self.cli.write_csv(f"box/.{name}", rows + ([imap("bad", **broken)] if broken else []))
        self.dropped.append(path.read_bytes())
        path.rename(self.box / name)

    def call(self) -> int:
        result = self.cli(*CALL)
        assert result.stdout == ""
        sys.stdout.write(result.stderr)  # shown by pytest if the test fails
        return result.exit_code

    def process(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "bulkload", *CALL], cwd=self.cli.folder)

    def wait_for(self, creates: int) -> None:
        """Wait until the run of this night has created this many monitors."""
        before = self.sandbox.counts().get("created", 0)
        wait_until(lambda: self.sandbox.counts().get("created", 0) >= before + creates)

    def account(self) -> dict[str, int]:
        return {str(monitor["name"]): int(str(monitor["interval"])) for monitor in self.sandbox.monitors()}

    def open_account(self) -> None:
        self.sandbox = self.stack.enter_context(running(state=self.state, port=self.port))
        self.port = int(self.sandbox.base_url.split(":")[2].partition("/")[0])

    def close_account(self) -> None:
        self.stack.close()

    def pass_day(self) -> None:
        """Make everything in the store one day older."""
        if (self.box / STORE_NAME).exists():
            with sqlite3.connect(self.box / STORE_NAME) as db:
                db.execute("UPDATE arrivals SET arrived = arrived - ?1, closed = closed - ?1", (DAY,))
                db.execute("UPDATE unsettled SET since = since - ?", (DAY,))
            db.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected result of a night."""

    exit_code: int = 0
    is_settled: bool = True  # the account equals the file afterwards
    pings: tuple[str, ...] | None = None  # None: as for the exit code
    summary: str = ""  # part of the last ping's body


Night = Callable[[Simulation], Expected]


def good(simulation: Simulation) -> Expected:
    simulation.drop()
    return Expected(exit_code=simulation.call())


def quiet(simulation: Simulation) -> Expected:
    assert simulation.call() == 0
    return Expected(is_settled=False, summary="Nothing to do.")


def api_down(simulation: Simulation) -> Expected:
    simulation.drop()
    simulation.close_account()
    assert simulation.call() == 3
    simulation.open_account()
    return Expected(exit_code=3, is_settled=False, summary="mail.csv will be resumed")


def killed(simulation: Simulation) -> Expected:
    simulation.intervals.update({f"k{number}": 5 for number in range(12)})
    simulation.drop()
    unanswered = Rule(fault="stall-after", on=("create",), at=tuple(range(4, 13)))
    simulation.sandbox.set_faults(Faults(rules=(unanswered,)))
    with simulation.process() as process:
        simulation.wait_for(4)
        process.kill()
    simulation.sandbox.set_faults(Faults())
    assert process.returncode == -signal.SIGKILL
    assert 0 < sum(name.startswith("k") for name in simulation.account()) < 12
    return Expected(exit_code=-1, is_settled=False, pings=("/start",))


def wrong_password(simulation: Simulation) -> Expected:
    simulation.drop()
    simulation.cli.use_account(simulation.sandbox.base_url, password="wrong")
    assert simulation.call() == 3
    assert simulation.sandbox.counts()["login"] > 0
    simulation.cli.use_account(simulation.sandbox.base_url)
    return Expected(exit_code=3, is_settled=False, summary="refuses the login")


def overlapping(simulation: Simulation) -> Expected:
    simulation.intervals.update({f"o{number}": 5 for number in range(6)})
    simulation.drop()
    simulation.sandbox.set_faults(SLOW)
    with simulation.process() as process:
        simulation.wait_for(1)
        assert simulation.call() == 5
        assert process.wait(TIMEOUT) == 0
    simulation.sandbox.set_faults(Faults())
    return Expected()


def arriving(simulation: Simulation) -> Expected:
    simulation.intervals.update({f"a{number}": 5 for number in range(6)})
    simulation.drop()
    simulation.sandbox.set_faults(SLOW)

    def add_file() -> None:
        simulation.wait_for(2)
        simulation.drop("more.csv", {"late": 7})

    thread = threading.Thread(target=add_file)
    thread.start()
    exit_code = simulation.call()
    thread.join()
    simulation.sandbox.set_faults(Faults())
    return Expected(exit_code=exit_code, summary="more.csv: 1 created.")


def broken(simulation: Simulation) -> Expected:
    (simulation.box / "broken.xlsx").write_bytes(b"PK\x03\x04 but not much more")
    simulation.drop()
    assert simulation.call() == 2
    return Expected(exit_code=2, summary="broken.xlsx failed")


def never_finished(simulation: Simulation) -> Expected:
    """From this night on there is a file that is open in a spreadsheet program."""
    (simulation.box / "draft.xlsx").write_bytes(b"PK\x03\x04")
    (simulation.box / "~$draft.xlsx").write_bytes(b"x")
    simulation.drop()
    return Expected(exit_code=simulation.call(), summary="draft.xlsx is open in a spreadsheet")


def overdue(simulation: Simulation) -> Expected:
    simulation.drop()
    assert simulation.call() == 1
    return Expected(exit_code=1, summary="draft.xlsx has been incomplete for too long.")


def draft_removed(simulation: Simulation) -> Expected:
    for path in simulation.box.glob("*draft.xlsx"):
        path.unlink()
    return good(simulation)


def cut_in_half(simulation: Simulation) -> Expected:
    before = simulation.account()
    simulation.drop(monitors=dict(list(simulation.intervals.items())[: len(simulation.intervals) // 2]))
    assert simulation.call() == 1
    assert simulation.account().keys() == before.keys()
    return Expected(exit_code=1, is_settled=False, summary="nothing was deleted")


def bad_row(simulation: Simulation) -> Expected:
    simulation.drop(port="993 or 143")
    assert simulation.call() == 1
    return Expected(exit_code=1, is_settled=False, summary="1 invalid")


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


def check_night(simulation: Simulation, night: int, expected: Expected, requests: list[ReceivedRequest]) -> None:
    """Check that the night had the expected result and reported it."""
    pings = [request for request in requests if not request.path.startswith("/hook")]
    hooks = [request.json for request in requests if request.path.startswith("/hook")]
    expected_pings = expected.pings or ("/start", "/fail" if expected.exit_code else "")
    assert tuple(request.path.removeprefix("/ping") for request in pings) == expected_pings, night
    assert expected.summary in pings[-1].body, night
    if expected.exit_code >= 0:
        samples = metrics(simulation.cli.folder / "bulkload.prom")
        assert samples["exit_code"] == expected.exit_code, night
        assert (samples["last_success_timestamp_seconds"] == samples["last_run_timestamp_seconds"]) == (
            expected.exit_code == 0
        ), night
        assert [hook["exit_code"] for hook in hooks] == ([expected.exit_code] if hooks else []), night
        assert bool(hooks) == (expected.summary != "Nothing to do."), night
    if expected.is_settled:
        monitors = dict(simulation.intervals) | ({"late": 7} if night >= 15 else {})
        assert simulation.account() == monitors, night
    assert len(simulation.account()) == len(simulation.sandbox.monitors()), (
        f"night {night}: a monitor was created twice"
    )


def test_thirty_nights(cli: CommandLine, listener: Listener) -> None:
    """At the end the account equals the last version of the file, and the history is complete."""
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_TIMEOUT", "60")
    cli.monkeypatch.setenv("BULKLOAD_PING", f"{listener.address}/ping")
    cli.monkeypatch.setenv("BULKLOAD_WEBHOOK", f"{listener.address}/hook")
    (cli.folder / "box").mkdir()
    with ExitStack() as stack:
        sandbox = stack.enter_context(running(state=cli.folder / "account.sqlite3"))
        simulation = Simulation(
            cli=cli,
            listener=listener,
            port=int(sandbox.base_url.split(":")[2].partition("/")[0]),
            state=cli.folder / "account.sqlite3",
            stack=stack,
            sandbox=sandbox,
            intervals={f"m{number}": 15 for number in range(ROWS)},
        )
        cli.use_account(sandbox.base_url)
        for night in range(NIGHTS):
            expected = SPECIAL.get(night, good)(simulation)
            assert expected.exit_code in (0, 1, 2, 3, -1)
            assert expected.exit_code == 0 or night in SPECIAL, f"night {night}"
            check_night(simulation, night, expected, listener.take_requests())
            simulation.edit()
            simulation.pass_day()
        simulation.drop()
        assert simulation.call() == 0
        assert simulation.account() == simulation.intervals | {"late": 7}
        check_history(simulation)


def check_history(simulation: Simulation) -> None:
    """Every version of the file was moved exactly once, with its results, and has a finished run."""
    moved: list[Path] = [
        path for subfolder in ("done", "failed") for path in (simulation.box / subfolder).rglob("*.csv")
    ]
    inputs = [path for path in moved if not path.name.endswith("-gone.csv")]
    assert sorted(path.read_bytes() for path in inputs) == sorted(simulation.dropped)
    for path in inputs:
        assert path.with_name(f"{path.stem}-results.xlsx").is_file()
    assert sorted(os.listdir(simulation.box / "working")) == []  # noqa: PTH208
    (reason,) = simulation.box.rglob("*-why.txt")
    assert reason.name == "broken-why.txt"
    history: Any = simulation.cli("runs", "--output", "box", "--json").json
    assert len(history) == len(simulation.dropped)
    assert all(run["exit_code"] in (0, 1) for run in history), [run["exit_code"] for run in history]
    assert all(run["rows"] > 0 for run in history)
