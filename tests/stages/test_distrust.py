"""Answers that cannot be true stop the run: nothing is created, and the store and the results tell the truth."""

from __future__ import annotations

from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import Asked, Desk, Said, by_hand, imap, listed, scripted


@pytest.fixture
def desk(desk: Desk) -> Desk:
    for name in ("GRACE", "AFTER"):
        desk.environment.setenv(f"BULKLOAD_SETTLE_{name}", "0")  # every monitor is old enough to be listed
    return desk


OLD = [imap(f"old {n}") for n in range(24)]
NEW = [imap("new 1"), imap("new 2", hostname="mx2.example.com")]


def fill(desk: Desk, sandbox: Sandbox) -> None:
    desk.log_in_at(sandbox.base_url)
    assert desk.run(desk.sheet("old.csv", OLD))[0].exit_code == 0
    sandbox.forget_requests()


def struck(fault: str, **more: Any) -> Faults:
    return Faults(rules=(Rule(fault=fault, on=("list",), **more),))


ODD_LISTS = [
    ("list-empty", {}, "contains none of the 24 monitors that bulkload created"),
    ("list-shrunk", {}, "does not contain monitor 1000"),
    ("list-shape", {}, "has an unknown shape"),
    ("list-repeat", {}, "shows a monitor twice"),
    ("page-before", {"status": 200}, "does not answer like the AlertSite API: a web page came back"),
    ("page-after", {"status": 200}, "does not answer like the AlertSite API: a web page came back"),
    ("redirect", {}, "does not answer like the AlertSite API"),
    ("garbled", {}, "has an unknown shape"),
]


@pytest.mark.parametrize(("fault", "more", "words"), ODD_LISTS, ids=[fault for fault, _, _ in ODD_LISTS])
@pytest.mark.parametrize("rows", [NEW, OLD + NEW], ids=["new rows", "old and new rows"])
def test_an_odd_list_creates_nothing(
    desk: Desk, fault: str, more: dict[str, Any], words: str, rows: list[dict[str, object]]
) -> None:
    """No request but logins and GETs; every row not attempted; and when the list is right again, all goes well."""
    with running() as sandbox:
        fill(desk, sandbox)
        before = sandbox.monitors()
        sandbox.set_faults(struck(fault, **more))
        sheet = desk.sheet("rows.csv", rows)
        for command in ("plan", "run"):
            ended = desk(command, sheet, "--results", "results.csv")
            assert (ended.exit_code, words in ended.stdout) == (3, True), ended
            assert set(sandbox.counts()) <= {"login", "list", "get"}
        assert {row["status"] for row in desk.results("results.csv")} <= {"not_attempted", "exists"}
        assert desk.results("results.csv")[-1]["status"] == "not_attempted"
        assert list(sandbox.monitors()) == list(before)
        sandbox.set_faults(Faults())
        again = desk("resume", "--json")
        assert (again.exit_code, again.json["counts"].get("created")) == (0, 2)
        assert len(sandbox.monitors()) == 26


@pytest.mark.parametrize("fault", ["list-shrunk", "list-empty"])
def test_a_list_that_gets_odd_during_the_run_makes_no_second_monitor(desk: Desk, fault: str) -> None:
    """A row in doubt is looked up in a list that lacks it; whatever is concluded, it is not two monitors."""
    with running() as sandbox:
        fill(desk, sandbox)
        desk.environment.setenv("BULKLOAD_SETTLE_GRACE", "0.1")
        desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "60")
        doubt = Rule(fault="error-after", on=("create",), names=("new 1",), attempts=1)
        odd = Rule(fault=fault, on=("list",), at=(2, 3, 4, 5))
        sandbox.set_faults(Faults(rules=(doubt, odd)))
        ended, rows = desk.run(desk.sheet("rows.csv", NEW))
        sandbox.set_faults(Faults())
        assert desk("run", "rows.csv").exit_code == 0
        assert [monitor["name"] for monitor in sandbox.monitors()].count("new 1") == 1, (ended, rows)


def test_a_list_that_is_not_whole_proves_no_absence(desk: Desk) -> None:
    """A row in doubt is not sent again on the word of a list that leaves out half of the account."""
    with running() as sandbox:
        fill(desk, sandbox)
        sandbox.set_faults(Faults(rules=(Rule(fault="error-after", names=("new 1",)),), visible_after=3600.0))
        desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "3600")
        ended, rows = desk.run(desk.sheet("rows.csv", NEW[:1]))
        assert rows[0]["status"] == "unknown", ended
        desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "0")
        sandbox.set_faults(struck("list-shrunk"))
        for command in (["resume"], ["run", "rows.csv"]):
            ended = desk(*command)
            assert (ended.exit_code, "does not contain monitor 1000" in ended.stdout) == (3, True)
        assert len(sandbox.monitors()) == 25


def test_monitors_deleted_by_hand_one_by_one_are_made_again(desk: Desk) -> None:
    """Fewer than half are missing and each is really gone: that is no reason for distrust."""
    with running() as sandbox:
        fill(desk, sandbox)
        for monitor in sandbox.monitors()[:5]:
            by_hand(sandbox, "DELETE", monitor)
        ended, rows = desk.run(desk.folder / "old.csv")
        assert (ended.exit_code, [row["status"] for row in rows].count("created")) == (0, 5)
        assert len(sandbox.monitors()) == 24


def test_the_user_can_vouch_for_a_list(desk: Desk) -> None:
    with running() as sandbox:
        fill(desk, sandbox)
        for monitor in sandbox.monitors():
            by_hand(sandbox, "DELETE", monitor)
        assert desk.run(desk.folder / "old.csv")[0].exit_code == 3
        assert len(sandbox.monitors()) == 0
        for _ in range(2):  # once vouched for, it is not asked again
            assert desk.run(desk.folder / "old.csv", "--trust-list")[0].exit_code == 0
        assert desk.run(desk.folder / "old.csv")[0].exit_code == 0
        assert len(sandbox.monitors()) == 24


MONITOR = {**imap("there"), "id": 5, "type": "email-imap"}
ODD_SHAPES: list[tuple[str, object]] = [
    ("an object", {}),
    ("null", None),
    ("a text", '"monitors"'),
    ("results is an object", {"results": {"5": MONITOR}}),
    ("another name of the list", {"monitors": [MONITOR]}),
    ("a list of numbers", {"results": [5, 6]}),
    ("without IDs", {"results": [{"type": "email-imap", "name": "a", "hostname": "b.example.com"}]}),
    ("an ID that is a number with decimals", {"results": [MONITOR | {"id": 5.5}]}),
    ("an ID that is an object", {"results": [MONITOR | {"id": {"$oid": "5"}}]}),
    ("an ID that is true", {"results": [MONITOR | {"id": True}]}),
    ("without types", {"results": [{"id": 5, "name": "a", "hostname": "b.example.com"}]}),
    ("a type that is a number", {"results": [MONITOR | {"type": 3}]}),
    ("without names", {"results": [{"id": 5, "type": "email-imap", "hostname": "b.example.com"}]}),
    ("without hosts", {"results": [{"id": 5, "type": "email-imap", "name": "a"}]}),
    ("wrapped items", {"results": [{"id": 5, "monitor": MONITOR}]}),
    ("half of JSON", '{"results": ['),
    ("nothing", ""),
    ("an error with status 200", {"errors": [{"code": 400, "message": "no"}]}),
    ("count above what is shown", {"metadata": {"resultset": {"count": 7}}, "results": [MONITOR]}),
    ("deep", "[" * 100_000),
]


@pytest.mark.parametrize("content", [content for _, content in ODD_SHAPES], ids=[name for name, _ in ODD_SHAPES])
def test_a_list_in_an_unknown_shape_is_no_empty_account(desk: Desk, content: object) -> None:
    """A list from which no identity can be read must not look like an account without monitors."""

    def answer(asked: Asked) -> Said:
        return Said(content=content) if asked.method == "GET" else Said(content={"id": "9"})

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", NEW))
        assert (ended.exit_code, server.count("POST")) == (3, 0), ended
        assert "Nothing was created." in ended.stdout
        assert {row["status"] for row in rows} == {"not_attempted"}


@pytest.mark.parametrize(
    "items",
    [
        [],
        [MONITOR | {"id": "5"}],
        [MONITOR, {"id": 6, "type": "website", "name": "a web page"}],
        [MONITOR | {"hostname": None, "name": ""}],
        [{"id": 7, "type": "email-round-trip", "name": "b", "smtp_hostname": "a.example.com", "hostname": ""}],
    ],
)
def test_a_list_that_can_be_read_is_believed(desk: Desk, items: list[dict[str, object]]) -> None:
    made = iter(range(100, 200))

    def answer(asked: Asked) -> Said:
        return listed(*items) if asked.method == "GET" else Said(content={"id": str(next(made))})

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", NEW))
        assert (ended.exit_code, {row["status"] for row in rows}) == (0, {"created"})


@pytest.mark.parametrize(
    "said",
    [
        Said(content="<html><body>Please log in</body></html>", kind="text/html"),
        Said(content="\n <!DOCTYPE html><html></html>", kind="application/json"),
        Said(status=302, headers={"Location": "https://login.example.com/"}),
        Said(status=301, headers={"Location": "/api/v4/monitors"}),
        Said(status=307, headers={"Location": "/api/v3/monitors/email-imap"}),
        Said(status=404, content="<html>not found</html>", kind="text/html"),
        Said(status=403, content="<html>blocked by the firewall</html>", kind="text/html"),
    ],
    ids=lambda said: f"{said.status} {said.kind}",
)
@pytest.mark.parametrize("where", ["/monitors", "/monitors/email-imap"])
def test_a_page_or_a_redirect_ends_the_run_at_the_first_one(desk: Desk, said: Said, where: str) -> None:
    """Instead of the list, and instead of the answer to the first create."""

    def answer(asked: Asked) -> Said:
        return said if asked.path == where else listed()

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", OLD))
        assert ended.exit_code == 3
        assert server.count("POST") == (where != "/monitors")
        assert {row["status"] for row in rows[1:]} == {"not_attempted"}
        in_doubt = where != "/monitors" and said.status == 200
        assert rows[0]["status"] == ("unknown" if in_doubt else "not_attempted")


@pytest.mark.parametrize("odd_id", ["5", "1001"], ids=["an ID from before the run", "one ID for all"])
def test_an_id_that_is_taken_stops_the_run(desk: Desk, odd_id: str) -> None:
    """The row is in doubt, never another row's monitor; the next run finds the right one and makes none twice."""
    stored: list[dict[str, object]] = [MONITOR]
    odd = [True]

    def answer(asked: Asked) -> Said:
        if asked.method == "GET":
            return listed(*stored)
        stored.append({**asked.body, "id": 1000 + len(stored), "type": asked.path.rpartition("/")[2]})
        return Said(content={"id": odd_id if odd[0] else str(stored[-1]["id"])})

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", OLD), "--concurrency", "1")
        assert ended.exit_code == 3
        assert f"the API answered with the ID {odd_id}, which belongs to another monitor" in ended.stdout
        assert server.count("POST") <= 3  # one more may have left when the answer is recorded
        ids = {str(one["name"]): str(one["id"]) for one in stored}
        claimed = {row["name"]: row["monitor_id"] for row in rows if row["monitor_id"]}
        assert claimed.items() <= ids.items()
        assert [row["status"] for row in rows].count("unknown") == len(stored) - 1 - len(claimed)
        odd[0] = False
        again = desk("resume", "--results", "results.csv")
        assert again.exit_code == 0, again
        ids = {str(one["name"]): str(one["id"]) for one in stored}
        assert len(ids) == len(stored) == len(OLD) + 1
        found = {row["name"]: row["monitor_id"] for row in desk.results("results.csv")}
        assert found | {"there": "5"} == ids


@pytest.mark.parametrize(
    ("fault", "words"),
    [("wrong-role", "(role or permissions): "), ("redirect", "is not the AlertSite API: HTTP 302")],
)
def test_the_row_that_met_the_answer_which_stopped_the_run_tells_it(desk: Desk, fault: str, words: str) -> None:
    with running(faults=Faults(rules=(Rule(fault=fault, on=("create",)),))) as sandbox:
        desk.log_in_at(sandbox.base_url)
        sheet = desk.sheet("new.csv", NEW)
        ended, rows = desk.run(sheet)
        assert (ended.exit_code, [row["status"] for row in rows]) == (3, ["not_attempted"] * 2)
        assert [words in row["error"] for row in rows] == [True, False]
        sandbox.set_faults(Faults())
        ended = desk("resume", "--results", "results.csv")
        assert (ended.exit_code, [row["error"] for row in desk.results("results.csv")]) == (0, ["", ""])
