"""Different spellings of an address and a user name identify the same account."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from bulkload.model import State
from bulkload.sandbox import Faults, Rule
from bulkload.store.account_record import AccountRecord
from bulkload.store.accounts import canonical_account
from bulkload.store.database import STORE_NAME
from bulkload.store.runs import Store
from tests.support.stores import begin_run, context_of, new_row
from tests.torture.program import Workspace, open_workspace
from tests.torture.scenario import Scenario, ScenarioRow

API = "https://api.example.com/api/v3"
SCENARIO = Scenario(rows=tuple(ScenarioRow(monitor=number) for number in range(4)), concurrency=1, grace=0.4, after=1.0)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (API, "HTTPS://API.Example.COM/api/v3"),
        (API, "https://api.example.com./api/v3"),
        (API, "https://api.example.com:443/api/v3"),
        (API, "https://api.example.com:/api/v3"),
        (API, " https://api.example.com//api///v3// "),
        ("http://localhost:80/api", "http://127.0.0.1/api"),
        ("http://localhost:8080/api", "http://[::1]:8080/api"),
        ("http://localhost.:8080/api", "http://[0:0:0:0:0:0:0:1]:8080/api"),
        ("https://bücher.example/v3", "https://XN--BCHER-KVA.example/v3"),
        ("https://bu\u0308cher.example/v3", "https://BÜCHER.example./v3"),
        ("https://api.example.com", "https://api.example.com/"),
        ("sandbox", "sandbox"),
    ],
)
def test_spellings_of_the_same_address(first: str, second: str) -> None:
    assert canonical_account(first, "x") == canonical_account(second, "x")


@pytest.mark.parametrize(
    "address",
    [
        "http://api.example.com/api/v3",
        "https://api.example.com:8443/api/v3",
        "https://api.example.com/API/v3",
        "https://api.example.com/api/v3/x",
        "https://api2.example.com/api/v3",
        "https://api.example.com:port/api/v3",
        "https://[api/v3",
        "",
    ],
)
def test_different_addresses(address: str) -> None:
    assert canonical_account(API, "x") != canonical_account(address, "x")


@pytest.mark.parametrize(
    "username", ["Probe@Example.com", " probe@example.com\t", "PROBE@EXAMPLE.COM", "probe@example.com"]
)
def test_spellings_of_the_same_user_name(username: str) -> None:
    assert canonical_account(API, "probe@example.com") == canonical_account(API, username)


def test_unicode_forms_are_the_same_user_name_and_accents_are_not() -> None:
    assert canonical_account(API, "jo\u0308rg@example.com") == canonical_account(API, "J\u00d6RG@example.com")
    assert canonical_account(API, "jorg@example.com") != canonical_account(API, "j\u00f6rg@example.com")


def test_the_store_keeps_the_spelling_that_came_first(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        account_id = store.account_id("http://localhost:8080/api/v3", "Probe@example.com")
        assert store.account_id("HTTP://127.0.0.1:8080/api/v3/", "probe@EXAMPLE.com") == account_id
        assert store.account_id("http://127.0.0.1:8081/api/v3/", "probe@EXAMPLE.com") != account_id
        run = begin_run(store, account_id, [new_row(0)])
        assert (run.base_url, run.username) == ("http://localhost:8080/api/v3", "Probe@example.com")


def _store_spellings(folder: Path) -> None:
    """Store one account in three spellings, as an older version did, and another account."""
    with closing(sqlite3.connect(folder / STORE_NAME)) as database, database:
        database.executescript(
            """
            INSERT INTO accounts (id, base_url, username) VALUES
                (1, 'https://other.example.com', 'a'), (2, 'https://API.example.com', 'a'),
                (3, 'https://api.example.com/', 'a'), (4, 'https://api.example.com', 'A');
            INSERT INTO runs (run, id, account, command, input, header, details, settings, started, read_whole)
            SELECT id, 'run-' || id, id, 'run', 'hosts.csv', '["name","host"]', '{}', '{}', 1.0, 1 FROM accounts;
            INSERT INTO rows (run, position, source_row, cells, state, key, type, body, at)
            SELECT run, 0, 2, '["m","h"]', 'doubt', x'00', 'email-imap', '{}', 'boot|5.0|5.0' FROM runs;
            INSERT INTO monitors (account, monitor_id, key, run, position, at) VALUES
                (1, '70', x'01', 1, 0, NULL), (2, '70', x'01', 2, 0, NULL), (3, '70', x'01', 3, 0, NULL),
                (3, '71', x'02', 3, 1, NULL), (4, '72', x'03', 4, 0, NULL);
            """
        )


def test_accounts_that_an_older_version_stored_several_times_are_merged(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    _store_spellings(tmp_path)
    with Store(tmp_path) as store:
        store.lock()
        assert store.account_id("https://api.example.com:443", "a ") == 2
        assert [tuple(account) for account in store.db.execute("SELECT id, base_url FROM accounts ORDER BY id")] == [
            (1, "https://other.example.com"),
            (2, "https://API.example.com"),
        ]
        assert {run.number: run.account_id for run in store.runs()} == {1: 1, 2: 2, 3: 2, 4: 2}
        monitors = store.db.execute("SELECT account, monitor_id, run FROM monitors ORDER BY account, monitor_id")
        assert [tuple(monitor) for monitor in monitors] == [(1, "70", 1), (2, "70", 2), (2, "71", 3), (2, "72", 4)]
        assert [doubt.run for doubt in AccountRecord(store, 2).rows_in_doubt()] == [2, 3, 4]
        assert store.db.execute("PRAGMA foreign_key_check").fetchall() == []


def test_every_table_with_an_account_column_has_a_foreign_key(tmp_path: Path) -> None:
    """Or it would be left out when accounts are merged."""
    with Store(tmp_path) as store:
        columns = {
            (table, column[1])
            for (table,) in store.db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            for column in store.db.execute(f"PRAGMA table_info({table})").fetchall()
            if column[1] == "account"
        }
        foreign_keys = {
            (table, key["from"])
            for table, _ in columns
            for key in store.db.execute(f"PRAGMA foreign_key_list({table})").fetchall()
            if key["table"] == "accounts"
        }
        assert columns == foreign_keys


# ── the program ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "hosts.csv").write_text(SCENARIO.csv(), "utf-8")
    with open_workspace(tmp_path, SCENARIO.environment) as opened_workspace:
        yield opened_workspace


def _other_spelling(workspace: Workspace) -> dict[str, str]:
    address, user = workspace.environment["ALERTSITE_BASE_URL"], workspace.environment["ALERTSITE_USERNAME"]
    other = (
        address.replace("127.0.0.1", "LOCALHOST") if "127.0.0.1" in address else address.replace("localhost", "[::1]")
    )
    return {"ALERTSITE_BASE_URL": other.replace("http:", "HTTP:") + "/", "ALERTSITE_USERNAME": user}


def test_a_row_in_doubt_is_known_by_another_spelling_of_the_account(workspace: Workspace) -> None:
    """The create takes effect late, so a run that does not know the row in doubt would send it again."""
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="late", names=("m0",), seconds=0.3),)))
    first = workspace.run("run", "hosts.csv", "--first", "1", BULKLOAD_SETTLE_TIMEOUT="0")
    assert first.exit_code == ExitCode.ROWS_LEFT, first
    second = workspace.run("run", "hosts.csv", on_start=None, **_other_spelling(workspace))
    assert second.exit_code == ExitCode.DONE, second
    names = [monitor["name"] for monitor in workspace.sandbox.monitors()]
    assert sorted(map(str, names)) == [f"m{number}" for number in range(4)]


def test_resume_and_undo_know_the_account_by_another_spelling(workspace: Workspace) -> None:
    assert workspace.run("run", "hosts.csv", "--first", "2").exit_code == ExitCode.ROWS_LEFT
    resumed = workspace.run("resume", on_start=None, **_other_spelling(workspace))
    assert resumed.exit_code == ExitCode.DONE, resumed
    with Store(workspace.folder / "output") as store:
        run = store.run()
        assert context_of(store, run, 1).rows.count(State.PENDING) == 0
    undone = workspace.run("undo", run.id, "--yes", on_start=None, **_other_spelling(workspace))
    assert undone.exit_code == ExitCode.DONE, undone
    assert workspace.sandbox.monitors() == []


def test_a_file_of_an_inbox_is_resumed_by_another_spelling(workspace: Workspace) -> None:
    box = workspace.folder / "box"
    box.mkdir()
    (workspace.folder / "hosts.csv").rename(box / "hosts.csv")
    workspace.sandbox.set_faults(Faults(rules=(Rule(fault="error-before", names=("m1",)),)))
    first = workspace.run("inbox", "box", BULKLOAD_SETTLE_TIMEOUT="0", BULKLOAD_UNCHANGED_FOR="0")
    assert first.exit_code == ExitCode.ROWS_LEFT, first
    workspace.sandbox.set_faults(Faults())
    with Store(box) as store:
        before = store.run().id
    again = workspace.run("inbox", "box", on_start=None, BULKLOAD_UNCHANGED_FOR="0", **_other_spelling(workspace))
    assert again.exit_code == ExitCode.DONE, again
    with Store(box) as store:
        assert [run.id for run in store.runs()] == [before]
    assert len(workspace.sandbox.monitors()) == 4
