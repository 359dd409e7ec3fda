"""Whose a monitor is, where an account gives little to go by: nothing is made twice, and no row gets another's.

The account here is a scripted one that shows its monitors in ways of its own.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, fake_api, imap, list_response

Monitor = dict[str, Any]
LOST = FakeResponse(status=504, content="<html>the gateway gave up</html>", content_type="text/html")


class Account:
    """Monitors as they were sent, and how they are shown."""

    def __init__(self) -> None:
        self.monitors: list[Monitor] = []
        self.show: Callable[[Monitor], Monitor | None] = lambda monitor: monitor
        self.show_one: Callable[[Monitor], Monitor | None] = lambda monitor: monitor
        self.lost: set[str] = set()  # names whose answer is lost
        self.unmade: set[str] = set()  # of these, whose monitor is not made
        self.refuses = False  # nobody may create monitors
        self.on_request: Callable[[ApiRequest], None] = lambda request: None
        self._ids = itertools.count(101)

    def __call__(self, request: ApiRequest) -> FakeResponse:
        self.on_request(request)
        if request.method == "POST":
            return self._make(request.path.rpartition("/")[2], request.body)
        if request.path == "/monitors":
            return list_response(
                *(shown for monitor in self.monitors if (shown := self.show(dict(monitor))) is not None)
            )
        for monitor in self.monitors:
            if request.path.endswith(f"/{monitor['id']}"):
                if request.method == "PATCH":
                    monitor.update(request.body)
                    return FakeResponse(content={"id": str(monitor["id"])})
                if (shown := self.show_one(dict(monitor))) is not None:
                    return FakeResponse(content=shown)
        return FakeResponse(status=404, content={"errors": [{"code": 404, "message": "Record not found"}]})

    def _make(self, kind: str, body: Monitor) -> FakeResponse:
        name = body["name"]
        if self.refuses:
            return FakeResponse(status=403, content={"errors": [{"code": 403, "message": "Not permitted"}]})
        if name not in self.unmade:
            self.monitors.append({"port": "", **body, "id": next(self._ids), "type": kind})
        return LOST if name in self.lost else FakeResponse(content={"id": str(self.monitors[-1]["id"])})

    def twice(self) -> list[str]:
        """Names that there is more than one monitor of."""
        return [name for name, number in Counter(one["name"] for one in self.monitors).items() if number > 1]

    def name_of(self, monitor_id: str) -> str:
        return next(str(one["name"]) for one in self.monitors if str(one["id"]) == monitor_id)


@pytest.fixture
def account(cli: CommandLine) -> Iterator[Account]:
    found = Account()
    with logged_in(cli, found):
        yield found


@contextmanager
def logged_in(cli: CommandLine, account: Account) -> Iterator[None]:
    cli.monkeypatch.setenv("BULKLOAD_CONCURRENCY", "1")
    with fake_api(account) as server:
        cli.use_account(server.base_url)
        yield


def hosts(*names: str) -> list[dict[str, object]]:
    return [imap(name, hostname=f"{name.lower().replace(' ', '')[:6]}{n}.example.com") for n, name in enumerate(names)]


def statuses(rows: list[dict[str, str]]) -> list[str]:
    return [row["status"] for row in rows]


# ── what is shown is not understood ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("spelling", ["Email (IMAP)", "email-imap-ssl", "17", ""])
def test_a_type_in_an_unknown_spelling_does_not_make_ours_unknown(
    cli: CommandLine, account: Account, spelling: str
) -> None:
    account.show = lambda monitor: monitor | {"type": spelling}
    sheet = cli.write_csv("a.csv", hosts("one", "two", "three"))
    assert statuses(cli.run(sheet)[1]) == ["created"] * 3
    for options in ([], ["--on-existing", "update"]):
        result, rows = cli.run(sheet, *options)
        assert (result.exit_code, statuses(rows), len(account.monitors)) == (0, ["exists"] * 3, 3)
    result, rows = cli.run(sheet, "--output", "new")
    assert (result.exit_code, statuses(rows), len(account.monitors)) == (0, ["exists"] * 3, 3)
    assert "its type is not displayed as documented" in rows[0]["error"]


DISGUISES: dict[str, Callable[[Monitor], Monitor]] = {
    "tags are taken out": lambda one: one | {"name": one["name"].replace("<prod> ", "")},
    "another sign for a dash": lambda one: one | {"name": one["name"].replace("-", "\N{EN DASH}")},
    "a prefix": lambda one: one | {"name": f"[Mail] {one['name']}"},
    "another port": lambda one: one | {"port": 143},
    "another way to write a host": lambda one: one | {"hostname": f"ssl://{one['hostname']}"},
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_row_in_doubt_is_not_sent_again_while_its_monitor_may_be_there_in_disguise(
    cli: CommandLine, account: Account, disguise: str
) -> None:
    """The other rows are shown as they were sent; this one's answer is lost, each time."""
    name = "Exchange <prod> Berlin - 1"
    account.show = lambda one: DISGUISES[disguise](one) if one["name"] == name else one
    account.lost = {name}
    rows = [*hosts("one", "two"), imap(name, hostname="ex.example.com", port=993), *hosts("three")]
    sheet = cli.write_csv("a.csv", rows)
    for command in (["run", sheet], ["resume"], ["run", sheet]):
        cli(*command, "--results", "results.csv")
        assert not account.twice()
    row = next(row for row in cli.read_results("results.csv") if row["name"] == name)
    assert row["status"] in ("unknown", "exists")
    assert row["error"]


def test_a_row_in_doubt_stays_so_when_its_run_goes_on_in_an_account_that_was_empty(
    cli: CommandLine, account: Account
) -> None:
    """What the account held before the first create is nothing, and that is not the same as not known."""
    account.show = lambda one: one | {"name": f"[Mail] {one['name']}"}
    account.lost = {"two"}
    cli.run(cli.write_csv("a.csv", hosts("one", "two", "three")))
    account.lost = set()
    for _ in range(2):
        assert cli("resume").exit_code == 1
        assert not account.twice()


def test_a_list_that_leaves_out_monitors_of_ours_proves_no_absence(cli: CommandLine, account: Account) -> None:
    """It hides disabled monitors, which GET shows."""
    account.show = lambda one: None if one.get("enabled") is False else one
    account.lost = {"off doubt"}
    rows = [row | {"enabled": "no" if "off" in str(row["name"]) else "yes"} for row in hosts("a", "off 1", "off doubt")]
    sheet = cli.write_csv("a.csv", rows)
    for _ in range(2):
        cli.run(sheet)
        assert not account.twice()


def test_a_first_monitor_that_is_not_recognised_stops_a_run_that_may_mean_what_is_there(
    cli: CommandLine, account: Account
) -> None:
    """From a folder that knows nothing: one monitor too many at most, and the user is told."""
    account.show = lambda one: one | {"name": f"[Mail] {one['name']}"}
    sheet = cli.write_csv("a.csv", hosts("one", "two", "three"))
    assert cli.run(sheet)[0].exit_code == 0
    result, rows = cli.run(sheet, "--output", "new")
    assert (result.exit_code, statuses(rows)) == (3, ["created", "not_attempted", "not_attempted"])
    assert "is not recognised" in result.stdout
    assert len(account.monitors) == 4
    result, rows = cli.run(sheet, "--output", "new", "--create-lookalikes")
    assert (result.exit_code, statuses(rows)) == (0, ["exists", "created", "created"])


# ── whose it is ───────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_just_found_for_a_row_in_doubt_is_not_given_to_another_row(cli: CommandLine, account: Account) -> None:
    """The account cuts names, so the monitor may be either's; the next sheet has the other row."""
    long = "a monitor with a name that is long, "
    account.show = lambda one: one | {"name": one["name"][:30]}
    assert cli.run(cli.write_csv("warm.csv", hosts("one", "two")))[0].exit_code == 0
    account.lost = {f"{long}2"}
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_TIMEOUT", "0")
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "600")
    kept = account.show
    account.show = lambda one: None if one["name"] == f"{long}2" else kept(one)
    assert statuses(cli.run(cli.write_csv("a.csv", [imap(f"{long}2")]))[1]) == ["unknown"]
    account.show, account.lost = kept, set()
    _, rows = cli.run(cli.write_csv("a.csv", [imap(f"{long}1")]), "--on-existing", "update")
    assert account.monitors[2]["name"] == f"{long}2", "nobody has changed it"
    if rows[0]["monitor_id"]:
        assert account.name_of(rows[0]["monitor_id"]) == f"{long}1"


@pytest.mark.parametrize("made", ["Mail A", "Mail  A"])
def test_a_monitor_that_two_rows_in_doubt_may_have_made_is_neithers(
    cli: CommandLine, account: Account, made: str
) -> None:
    """Only one of them was made, and blanks are collapsed."""
    account.show = lambda one: one | {"name": " ".join(one["name"].split())}
    assert cli.run(cli.write_csv("warm.csv", hosts("one", "two")))[0].exit_code == 0
    names = ["Mail A", "Mail  A"]
    account.lost, account.unmade = set(names), set(names) - {made}
    sheet = cli.write_csv("a.csv", [imap(name) for name in names])
    cli.run(sheet)
    account.lost = account.unmade = set()
    for _ in range(2):
        _, rows = cli.run(sheet)
        assert not account.twice()
        assert all(account.name_of(row["monitor_id"]) == row["name"] for row in rows if row["monitor_id"])


def test_one_row_that_fits_two_monitors_is_neither_ones(cli: CommandLine, account: Account) -> None:
    """Names are cut, so that both look the same; the first one would be the wrong one."""
    long = "a monitor with a name that is long, "
    account.show = lambda one: one | {"name": one["name"][:30]}
    both = [imap(f"{long}{number}") for number in (1, 2)]
    assert cli.run(cli.write_csv("both.csv", both))[0].exit_code == 0
    result, (row,) = cli.run(cli.write_csv("second.csv", both[1:]), "--output", "new", "--on-existing", "update")
    assert (result.exit_code, row["status"]) == (1, "unknown")
    assert "Monitors 101, 102 may be this row's" in row["error"]
    assert [one["name"] for one in account.monitors] == [f"{long}1", f"{long}2"]


def test_a_monitor_that_was_made_and_is_not_shown_yet_is_not_made_again(cli: CommandLine, account: Account) -> None:
    """Neither the list nor GET shows it within the time that late creates take, but it is known by its ID."""
    assert cli.run(cli.write_csv("warm.csv", hosts("one")))[0].exit_code == 0
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "600")
    hidden = {"two", "three"}
    account.show = account.show_one = lambda one: None if one["name"] in hidden else one
    sheet = cli.write_csv("a.csv", hosts("one", "two", "three"))
    assert statuses(cli.run(sheet)[1]) == ["exists", "created", "created"]
    result, rows = cli.run(sheet)
    assert (result.exit_code, statuses(rows), len(account.monitors)) == (1, ["exists", "unknown", "unknown"], 3)
    assert "the account does not list it yet" in rows[1]["error"]
    hidden.clear()
    assert statuses(cli.run(sheet)[1]) == ["exists"] * 3


# ── who is logged in ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_that_knows_an_account_by_its_user_is_not_used_with_a_token_alone(
    cli: CommandLine, account: Account
) -> None:
    sheet = cli.write_csv("a.csv", hosts("one", "two"))
    assert cli.run(sheet)[0].exit_code == 0
    cli.monkeypatch.setenv("ALERTSITE_TOKEN", "t")
    cli.monkeypatch.delenv("ALERTSITE_PASSWORD")
    cli.monkeypatch.delenv("ALERTSITE_USERNAME")
    refused = cli("run", sheet)
    assert refused.exit_code == 2
    assert "ALERTSITE_USERNAME" in refused.stderr
    assert len(account.monitors) == 2
    cli.monkeypatch.setenv("ALERTSITE_USERNAME", "sandbox@example.com")
    assert statuses(cli.run(sheet)[1]) == ["exists"] * 2


# ── what existed before ───────────────────────────────────────────────────────────────────────────────────────


def test_what_existed_is_on_disk_before_the_first_create_and_only_where_there_is_one(
    cli: CommandLine, account: Account
) -> None:
    """An updated or an unchanged row can be mistaken for no other: nothing is recorded for it."""
    recorded: list[tuple[str, list[str]]] = []

    def note(method: str) -> None:
        with closing(sqlite3.connect(cli.folder / "output" / "bulkload.sqlite3")) as db:
            earlier = db.execute("SELECT monitor_id FROM earlier WHERE run = (SELECT max(run) FROM runs)").fetchall()
            recorded.append((method, [monitor_id for (monitor_id,) in earlier]))

    account.monitors = [imap("other", id=7) | {"type": "email-imap", "port": ""}]
    sheet = cli.write_csv("a.csv", [row | {"interval": "15"} for row in hosts("one", "two")])
    account.on_request = lambda request: note(request.method) if request.method in ("POST", "PATCH") else None
    assert statuses(cli.run(sheet)[1]) == ["created"] * 2
    assert recorded == [("POST", ["7"])] * 2
    recorded.clear()
    assert statuses(cli.run(sheet)[1]) == ["exists"] * 2
    changed = cli.write_csv("a.csv", [row | {"interval": "5"} for row in hosts("one", "two")])
    assert statuses(cli.run(changed, "--on-existing", "update")[1]) == ["updated"] * 2
    assert recorded == [("PATCH", [])] * 2


def test_a_monitor_of_another_person_is_not_taken_for_one_of_an_interrupted_run(
    cli: CommandLine, account: Account
) -> None:
    """The API refused the first row of a run in an empty account; somebody else makes its monitor before it resumes."""
    account.refuses = True
    row = imap("one")
    result, rows = cli.run(cli.write_csv("a.csv", [row]))
    assert (result.exit_code, statuses(rows), rows[0]["attempts"]) == (3, ["not_attempted"], "1")
    account.monitors.append(row | {"id": 99, "type": "email-imap", "port": ""})
    cli("resume", "--results", "results.csv")
    rows = cli.read_results("results.csv")
    assert (statuses(rows), rows[0]["monitor_id"]) == (["exists"], "99")
