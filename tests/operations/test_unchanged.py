"""A run of an unchanged file, which stores no rows, is told from no other run.

Two accounts live through the same events. One gets the same file each time; the other gets it with one more line break
at its end, so that it is read and stored each time.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.database import STORE_NAME
from tests.support.command_line import CommandLine, api_request, imap

FILE = "hosts.csv"
RUN_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")
HIDDEN = ("seconds", "started", "finished", "sha256")  # differ between any two runs
ROWS = [
    imap("a", hostname="a.example.com", interval=15, note="n"),
    imap("b", hostname="b.example.com", interval=15, port=993),  # a warning about the port
    imap("bad", hostname="b.example.com", interval=15, port="99 3"),
    imap("A", hostname="a.example.com", interval=15) | {"name": "a"},  # a duplicate
    imap("c", hostname="c.example.com", interval=15, note="=1+1"),
]


@dataclass(kw_only=True)
class World:
    """An account, a folder and its file."""

    cli: CommandLine
    folder: Path
    sandbox: Sandbox
    shares: bool
    rows: list[dict[str, object]]
    line_breaks: int = 0

    def call(self, *arguments: object) -> dict[str, Any]:
        """Run a command; its exit code and its output, without what differs between any two runs."""
        self.cli.monkeypatch.chdir(self.folder)
        self.cli.use_account(self.sandbox.base_url)
        result = self.cli(*arguments)
        stdout, stderr = map(self._comparable, (result.stdout, result.stderr))
        return {"exit code": result.exit_code, "stdout": stdout, "stderr": stderr}

    def drop(self, path: Path) -> None:
        """Put the file somewhere."""
        self.line_breaks += not self.shares
        written = self.cli.write_csv(str(path), self.rows)
        with written.open("a", encoding="utf-8") as stream:
            stream.write("\n" * self.line_breaks)

    def run(self, *options: str) -> dict[str, Any]:
        """Run the file."""
        self.drop(self.folder / FILE)
        names = [f"results.{suffix}" for suffix in ("csv", "jsonl")]
        results = [word for name in names for word in ("--results", name)]
        outcome = self.call("run", FILE, "--json", *results, *options)
        return outcome | {name: self._read(name) for name in names}

    def everything(self) -> list[Any]:
        """All runs, as history and reports show them, and the account."""
        history = self.call("runs", "--json")
        reports = []
        for run_id in self.run_ids():
            self.call("report", run_id, "--results", "report.jsonl", "--results", "report.html")
            reports += [self._read("report.jsonl"), self._read("report.html")]
        return [history, reports, [dict(monitor) for monitor in self.sandbox.monitors()]]

    def run_ids(self) -> list[str]:
        with closing(sqlite3.connect(self.folder / "output" / STORE_NAME)) as db:
            return [run_id for (run_id,) in db.execute("SELECT id FROM runs ORDER BY run")]

    def shared(self) -> int:
        """The number of runs that share rows."""
        with closing(sqlite3.connect(self.folder / "output" / STORE_NAME)) as db:
            return int(db.execute("SELECT count(same_rows_as) FROM runs").fetchone()[0])

    def _read(self, name: str) -> str:
        path = self.folder / name
        return self._comparable(path.read_text("utf-8")) if path.exists() else ""

    def _comparable(self, text: str) -> str:
        for number, run_id in enumerate(self.run_ids() if RUN_ID.search(text) else ()):
            text = text.replace(run_id, f"run {number}")
        text = RUN_ID.sub("plan", text)
        text = text.replace(str(self.folder), "folder").replace(self.sandbox.base_url, "account")
        if text.startswith(("{", "[")):
            try:
                return json.dumps(_without_hidden(json.loads(text)), indent=1)
            except ValueError:  # JSON lines
                return text
        text = re.sub(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?", "then", text)
        text = re.sub(r"WARNING: .* has changed since run .*\n", "", text)  # which is so in one of the two
        return re.sub(r"[0-9a-f]{64}|\d+(\.\d+)? (seconds?|s\b)", "", text)


def _without_hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_hidden(each) for key, each in value.items() if key not in HIDDEN}
    return [_without_hidden(each) for each in value] if isinstance(value, list) else value


def _monitor(world: World, name: str) -> dict[str, Any] | None:
    return next((dict(one) for one in world.sandbox.monitors() if one["name"] == name), None)


def _delete(world: World) -> None:
    if (monitor := _monitor(world, "b")) is not None:
        api_request(world.sandbox, "DELETE", monitor)


def _edit(world: World) -> None:
    if (monitor := _monitor(world, "a")) is not None:
        api_request(world.sandbox, "PATCH", monitor, interval=int(monitor["interval"]) + 1)


def _rename(world: World) -> None:
    if (monitor := _monitor(world, "c")) is not None:
        api_request(world.sandbox, "PATCH", monitor, name="c2")


def _create(world: World, name: str) -> None:
    fields = {"name": name, "hostname": f"{name}.example.com", "billing_plancode": "UBM - A/A", "interval": 15}
    api_request(world.sandbox, "POST", {"type": "email-imap"}, **fields)


def _change_file(world: World) -> None:
    world.rows = [*world.rows, imap(f"n{len(world.rows)}", hostname="n.example.com", interval=15)]


def _shorten_file(world: World) -> None:
    world.rows = world.rows[:-1] if len(world.rows) > 1 else world.rows


def _list_fails(world: World) -> object:
    world.sandbox.set_faults(Faults(rules=(Rule(fault="wrong-role", on=("list",)),)))
    try:
        return world.run()
    finally:
        world.sandbox.set_faults(Faults())


EVENTS: dict[str, Callable[[World], object]] = {
    "run": lambda world: world.run(),
    "run again": lambda world: world.run(),
    "update": lambda world: world.run("--on-existing", "update"),
    "fail": lambda world: world.run("--on-existing", "fail"),
    "verify": lambda world: world.run("--verify"),
    "strict": lambda world: world.run("--strict"),
    "trust": lambda world: world.run("--trust-list"),
    "lookalikes": lambda world: world.run("--create-lookalikes"),
    "another default": lambda world: world.run("--set", "interval=20"),
    "the list fails": _list_fails,
    "resume": lambda world: world.call("resume", "last", "--json"),
    "resume the first": lambda world: world.call("resume", world.run_ids()[0], "--json", "--verify"),
    "undo": lambda world: world.call("undo", "last", "--yes", "--json"),
    "undo the first": lambda world: world.call("undo", world.run_ids()[0], "--yes", "--json"),
    "plan": lambda world: world.call("plan", FILE, "--json"),
    "a monitor is deleted": _delete,
    "a monitor is edited": _edit,
    "a monitor is renamed": _rename,
    "a monitor is repeated": lambda world: _create(world, "c"),
    "another monitor": lambda world: _create(world, "x"),
    "a row is added": _change_file,
    "a row is removed": _shorten_file,
}


@contextmanager
def worlds(cli: CommandLine, folder: Path) -> Iterator[list[World]]:
    cli.monkeypatch.setenv("BULKLOAD_CONCURRENCY", "1")
    with ExitStack() as stack:
        both = []
        for shares in (True, False):
            subfolder = folder / ("shares" if shares else "reads")
            subfolder.mkdir()
            world = World(
                cli=cli, folder=subfolder, sandbox=stack.enter_context(running()), shares=shares, rows=list(ROWS)
            )
            both.append(world)
        yield both


@settings(
    max_examples=60 if os.environ.get("BULKLOAD_ALL_TESTS") else 8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(["run", "run again", "undo the first", "run", "run again"])
@example(["run", "a monitor is edited", "run", "update", "run again"])
@example(["a monitor is deleted", "run", "run again", "a monitor is renamed", "run", "run again"])
@example(["a monitor is repeated", "run", "resume", "resume the first", "run again"])
@example(["the list fails", "resume", "run", "run again", "verify"])
@example(["another monitor", "lookalikes", "trust", "fail", "run", "strict", "plan", "undo"])
@given(st.lists(st.sampled_from(sorted(EVENTS)), min_size=3, max_size=7))
def test_whatever_happens_an_unchanged_file_is_reported_as_any_other(
    cli: CommandLine, tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    with worlds(cli, tmp_path_factory.mktemp("worlds")) as both:
        sharing, reading = both
        assert sharing.run() == reading.run()
        for event in events:
            assert EVENTS[event](sharing) == EVENTS[event](reading), event
        assert sharing.everything() == reading.everything()
        assert reading.shared() == 0


def test_a_run_of_an_unchanged_file_stores_no_row(cli: CommandLine, tmp_path: Path) -> None:
    with worlds(cli, tmp_path) as (sharing, _):
        for _night in range(5):
            sharing.run()
        with closing(sqlite3.connect(sharing.folder / "output" / STORE_NAME)) as db:
            assert db.execute("SELECT run, count(*) FROM rows GROUP BY run").fetchall() == [(1, len(ROWS))]
            assert db.execute("SELECT same_rows_as, all_exist FROM runs").fetchall() == [(None, 0)] + [(1, 1)] * 4
        assert sharing.sandbox.counts()["created"] == 3
