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

from bulkload.operations.draft_of_run import draft_of_run
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from bulkload.store.database import STORE_NAME
from bulkload.store.draft_rows import DraftRows
from bulkload.store.run_pages import RunPages
from bulkload.store.runs import Store
from tests.support.command_line import CommandLine, api_request, imap

FILE = "hosts.csv"
RUN_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")
HIDDEN = ("seconds", "started", "finished", "sha256", "began", "ended", "base_url")  # differ between any two runs
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
    for name in ("GRACE", "AFTER"):  # whether a monitor is new enough to be looked for again must not depend on time
        cli.monkeypatch.setenv(f"BULKLOAD_SETTLE_{name}", "0")
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
    max_examples=30 if os.environ.get("BULKLOAD_ALL_TESTS") else 5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(["run", "run again", "undo the first", "run", "run again"])
@example(["run", "a monitor is edited", "run", "run again", "run", "undo the first", "update", "run again"])
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


def _night(world: World, *options: str) -> dict[str, Any]:
    """Put the file into an inbox, and run it; its output and the monitors that are no longer in it."""
    box = world.folder / "box"
    box.mkdir(exist_ok=True)
    world.drop(box / FILE)
    outcome = world.call("inbox", "box", "--output", "output", "--json", "--retry-for", "0", *options)
    lists = sorted(path.relative_to(box) for path in box.rglob("*-gone.csv"))
    names = sorted(str(path.relative_to(box)) for path in box.rglob("*") if path.is_file())
    return outcome | {"lists": [(str(path), (box / path).read_text("utf-8-sig")) for path in lists], "files": names}


NIGHTS: dict[str, Callable[[World], object]] = {
    "night": _night,
    "night again": _night,
    "pruning": lambda world: _night(world, "--prune", "--prune-limit", "100%"),
    "updating": lambda world: _night(world, "--on-existing", "update"),
    "undo the first": EVENTS["undo the first"],
    **{name: EVENTS[name] for name in EVENTS if name.startswith(("a monitor", "another monitor", "a row"))},
}


@settings(
    max_examples=30 if os.environ.get("BULKLOAD_ALL_TESTS") else 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(["night", "a row is removed", "a row is removed", "pruning", "night", "night again", "pruning"])
@example(["night", "a monitor is edited", "night", "a row is removed", "updating", "pruning", "night"])
@given(st.lists(st.sampled_from(sorted(NIGHTS)), min_size=3, max_size=7))
def test_an_unchanged_file_of_an_inbox_is_reported_and_pruned_as_any_other(
    cli: CommandLine, tmp_path_factory: pytest.TempPathFactory, events: list[str]
) -> None:
    cli.monkeypatch.setenv("BULKLOAD_UNCHANGED_FOR", "0")
    with worlds(cli, tmp_path_factory.mktemp("worlds")) as both:
        sharing, reading = both
        assert _night(sharing) == _night(reading)
        for event in events:
            assert NIGHTS[event](sharing) == NIGHTS[event](reading), event
        assert sharing.everything() == reading.everything()
        assert reading.shared() == 0


def test_pages_and_drafts_of_a_run_that_shares_rows_show_them(cli: CommandLine, tmp_path: Path) -> None:
    with worlds(cli, tmp_path) as both:
        shown = []
        for world in both:
            world.run()
            world.run()
            with Store(world.folder / "output") as store:
                store.lock()
                run = store.run()
                filters = [("", ""), ("exists", ""), ("", "b.example"), ("not_attempted", ""), ("invalid", "b")]
                pages = [RunPages(store=store, run=run, status=status, search=text) for status, text in filters]
                draft = draft_of_run(store, run, "me")
                rows = [row.cells for row in DraftRows(store, draft).raw()]
                shown.append(([(page.counts(), page.count(), page.page(0, 9)) for page in pages], rows))
        assert both[0].shared() == 1
        assert shown[0] == shown[1]
        assert shown[0][0][1][1] == 3


@pytest.mark.parametrize("is_matched", [True, False])
def test_if_a_run_is_deleted_those_that_share_its_rows_keep_them(
    cli: CommandLine, tmp_path: Path, is_matched: bool
) -> None:
    """`is_matched`: all of them were compared with the account; otherwise, the last two were stopped before."""
    with worlds(cli, tmp_path) as (world, _):
        world.run()
        world.run()
        for _run in range(2):
            world.run() if is_matched else _list_fails(world)
        with Store(world.folder / "output") as store:
            store.lock()
            *newer, first = store.runs()
            before = [list(store.report_rows(run)) for run in newer]
            assert world.shared() == 3
            store.forget(first)
            assert [list(store.report_rows(run)) for run in newer] == before
            assert len(before[0]) == len(ROWS)
            store.forget(newer.pop())
            assert [list(store.report_rows(run)) for run in newer] == before[:2]


@pytest.mark.parametrize(
    "options", [["--set", "note=x"], ["--map", "note=alert_note"], ["--ignore-unknown"], ["--encoding", "latin-1"]]
)
def test_a_file_is_read_again_if_an_option_changes_how_it_is_read(
    cli: CommandLine, tmp_path: Path, options: list[str]
) -> None:
    with worlds(cli, tmp_path) as (world, _):
        world.run()
        world.run(*options)
        assert world.shared() == 0
        world.run(*options)
        assert world.shared() == 1
        world.run("--concurrency", "2", "--request-timeout", "9")
        assert world.shared() == 2


def test_rows_of_another_account_are_not_shared(cli: CommandLine, tmp_path: Path) -> None:
    with worlds(cli, tmp_path) as (world, other):
        world.run()
        world.sandbox = other.sandbox
        world.run()
        assert world.shared() == 0
        assert len(other.sandbox.monitors()) == 3


def test_a_run_of_an_unchanged_file_stores_no_row(cli: CommandLine, tmp_path: Path) -> None:
    with worlds(cli, tmp_path) as (sharing, _):
        for _night in range(5):
            sharing.run()
        with closing(sqlite3.connect(sharing.folder / "output" / STORE_NAME)) as db:
            assert db.execute("SELECT run, count(*) FROM rows GROUP BY run").fetchall() == [(1, len(ROWS))]
            assert db.execute("SELECT same_rows_as, all_exist FROM runs").fetchall() == [(None, 0)] + [(1, 1)] * 4
        assert sharing.sandbox.counts()["created"] == 3


def test_rows_that_differ_from_their_monitors_are_shared_as_long_as_they_differ_alike(
    cli: CommandLine, tmp_path: Path
) -> None:
    with worlds(cli, tmp_path) as (world, _):
        world.run()
        _edit(world)
        results = []
        for _night in range(3):
            results.append([row["error"] for row in _rows(world)])
        assert results[0] == results[1] == results[2]
        assert "interval 16 → 15" in results[0][0]
        assert world.shared() == 2
        _edit(world)
        assert "interval 17 → 15" in _rows(world)[0]["error"]
        assert world.shared() == 2


def _rows(world: World) -> list[dict[str, Any]]:
    """Run the file, and return the rows of its results."""
    lines: str = world.run()["results.jsonl"]
    return [json.loads(line) for line in lines.splitlines()]
