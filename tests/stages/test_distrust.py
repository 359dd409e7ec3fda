"""Answers that cannot be true stop the run: nothing is created, and the store and the results tell the truth."""

from __future__ import annotations

from typing import Any

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, api_request, fake_api, imap, list_response


@pytest.fixture
def cli(cli: CommandLine) -> CommandLine:
    for name in ("GRACE", "AFTER"):
        cli.monkeypatch.setenv(f"BULKLOAD_SETTLE_{name}", "0")  # every monitor is old enough to be listed
    return cli


OLD = [imap(f"old {n}") for n in range(24)]
NEW = [imap("new 1"), imap("new 2", hostname="mx2.example.com")]


def fill(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.use_account(sandbox.base_url)
    assert cli.run(cli.write_csv("old.csv", OLD))[0].exit_code == 0
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
    cli: CommandLine, fault: str, more: dict[str, Any], words: str, rows: list[dict[str, object]]
) -> None:
    """No request but logins and GETs; every row not attempted; and when the list is right again, all goes well."""
    with running() as sandbox:
        fill(cli, sandbox)
        before = sandbox.monitors()
        sandbox.set_faults(struck(fault, **more))
        sheet = cli.write_csv("rows.csv", rows)
        for command in ("plan", "run"):
            result = cli(command, sheet, "--results", "results.csv")
            assert (result.exit_code, words in result.stdout) == (3, True), result
            assert set(sandbox.counts()) <= {"login", "list", "get"}
        assert {row["status"] for row in cli.read_results("results.csv")} <= {"not_attempted", "exists"}
        assert cli.read_results("results.csv")[-1]["status"] == "not_attempted"
        assert list(sandbox.monitors()) == list(before)
        sandbox.set_faults(Faults())
        again = cli("resume", "--json")
        assert (again.exit_code, again.json["counts"].get("created")) == (0, 2)
        assert len(sandbox.monitors()) == 26


@pytest.mark.parametrize("fault", ["list-shrunk", "list-empty"])
def test_a_list_that_gets_odd_during_the_run_makes_no_second_monitor(cli: CommandLine, fault: str) -> None:
    """A row in doubt is looked up in a list that lacks it; whatever is concluded, it is not two monitors."""
    with running() as sandbox:
        fill(cli, sandbox)
        cli.monkeypatch.setenv("BULKLOAD_SETTLE_GRACE", "0.1")
        cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "60")
        doubt = Rule(fault="error-after", on=("create",), names=("new 1",), attempts=1)
        odd = Rule(fault=fault, on=("list",), at=(2, 3, 4, 5))
        sandbox.set_faults(Faults(rules=(doubt, odd)))
        result, rows = cli.run(cli.write_csv("rows.csv", NEW))
        sandbox.set_faults(Faults())
        assert cli("run", "rows.csv").exit_code == 0
        assert [monitor["name"] for monitor in sandbox.monitors()].count("new 1") == 1, (result, rows)


def test_a_list_that_is_not_whole_proves_no_absence(cli: CommandLine) -> None:
    """A row in doubt is not sent again on the word of a list that leaves out half of the account."""
    with running() as sandbox:
        fill(cli, sandbox)
        sandbox.set_faults(Faults(rules=(Rule(fault="error-after", names=("new 1",)),), visible_after=3600.0))
        cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "3600")
        result, rows = cli.run(cli.write_csv("rows.csv", NEW[:1]))
        assert rows[0]["status"] == "unknown", result
        cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "0")
        sandbox.set_faults(struck("list-shrunk"))
        for command in (["resume"], ["run", "rows.csv"]):
            result = cli(*command)
            assert (result.exit_code, "does not contain monitor 1000" in result.stdout) == (3, True)
        assert len(sandbox.monitors()) == 25


def test_monitors_deleted_by_hand_one_by_one_are_made_again(cli: CommandLine) -> None:
    """Fewer than half are missing and each is really gone: that is no reason for distrust."""
    with running() as sandbox:
        fill(cli, sandbox)
        for monitor in sandbox.monitors()[:5]:
            api_request(sandbox, "DELETE", monitor)
        result, rows = cli.run(cli.folder / "old.csv")
        assert (result.exit_code, [row["status"] for row in rows].count("created")) == (0, 5)
        assert len(sandbox.monitors()) == 24


def test_the_user_can_vouch_for_a_list(cli: CommandLine) -> None:
    with running() as sandbox:
        fill(cli, sandbox)
        for monitor in sandbox.monitors():
            api_request(sandbox, "DELETE", monitor)
        assert cli.run(cli.folder / "old.csv")[0].exit_code == 3
        assert len(sandbox.monitors()) == 0
        for _ in range(2):  # once vouched for, it is not asked again
            assert cli.run(cli.folder / "old.csv", "--trust-list")[0].exit_code == 0
        assert cli.run(cli.folder / "old.csv")[0].exit_code == 0
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
def test_a_list_in_an_unknown_shape_is_no_empty_account(cli: CommandLine, content: object) -> None:
    """A list from which no identity can be read must not look like an account without monitors."""

    def answer(request: ApiRequest) -> FakeResponse:
        return FakeResponse(content=content) if request.method == "GET" else FakeResponse(content={"id": "9"})

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", NEW))
        assert (result.exit_code, server.count("POST")) == (3, 0), result
        assert "Nothing was created." in result.stdout
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
def test_a_list_that_can_be_read_is_believed(cli: CommandLine, items: list[dict[str, object]]) -> None:
    made = iter(range(100, 200))

    def answer(request: ApiRequest) -> FakeResponse:
        return list_response(*items) if request.method == "GET" else FakeResponse(content={"id": str(next(made))})

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", NEW))
        assert (result.exit_code, {row["status"] for row in rows}) == (0, {"created"})


@pytest.mark.parametrize(
    "response",
    [
        FakeResponse(content="<html><body>Please log in</body></html>", content_type="text/html"),
        FakeResponse(content="\n <!DOCTYPE html><html></html>", content_type="application/json"),
        FakeResponse(status=302, headers={"Location": "https://login.example.com/"}),
        FakeResponse(status=301, headers={"Location": "/api/v4/monitors"}),
        FakeResponse(status=307, headers={"Location": "/api/v3/monitors/email-imap"}),
        FakeResponse(status=404, content="<html>not found</html>", content_type="text/html"),
        FakeResponse(status=403, content="<html>blocked by the firewall</html>", content_type="text/html"),
    ],
    ids=lambda response: f"{response.status} {response.content_type}",
)
@pytest.mark.parametrize("where", ["/monitors", "/monitors/email-imap"])
def test_a_page_or_a_redirect_ends_the_run_at_the_first_one(
    cli: CommandLine, response: FakeResponse, where: str
) -> None:
    """Instead of the list, and instead of the answer to the first create."""

    def answer(request: ApiRequest) -> FakeResponse:
        return response if request.path == where else list_response()

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", OLD))
        assert result.exit_code == 3
        assert server.count("POST") == (where != "/monitors")
        assert {row["status"] for row in rows[1:]} == {"not_attempted"}
        in_doubt = where != "/monitors" and response.status == 200
        assert rows[0]["status"] == ("unknown" if in_doubt else "not_attempted")


@pytest.mark.parametrize("odd_id", ["5", "1001"], ids=["an ID from before the run", "one ID for all"])
def test_an_id_that_is_taken_stops_the_run(cli: CommandLine, odd_id: str) -> None:
    """The row is in doubt, never another row's monitor; the next run finds the right one and makes none twice."""
    stored: list[dict[str, object]] = [MONITOR]
    odd = [True]

    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "GET":
            return list_response(*stored)
        stored.append({**request.body, "id": 1000 + len(stored), "type": request.path.rpartition("/")[2]})
        return FakeResponse(content={"id": odd_id if odd[0] else str(stored[-1]["id"])})

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", OLD), "--concurrency", "1")
        assert result.exit_code == 3
        assert f"the API answered with the ID {odd_id}, which belongs to another monitor" in result.stdout
        assert server.count("POST") <= 3  # one more may have left when the answer is recorded
        ids = {str(one["name"]): str(one["id"]) for one in stored}
        claimed = {row["name"]: row["monitor_id"] for row in rows if row["monitor_id"]}
        assert claimed.items() <= ids.items()
        assert [row["status"] for row in rows].count("unknown") == len(stored) - 1 - len(claimed)
        odd[0] = False
        again = cli("resume", "--results", "results.csv")
        assert again.exit_code == 0, again
        ids = {str(one["name"]): str(one["id"]) for one in stored}
        assert len(ids) == len(stored) == len(OLD) + 1
        found = {row["name"]: row["monitor_id"] for row in cli.read_results("results.csv")}
        assert found | {"there": "5"} == ids


@pytest.mark.parametrize(
    ("fault", "words"),
    [("wrong-role", "(role or permissions): "), ("redirect", "is not the AlertSite API: HTTP 302")],
)
def test_the_row_that_met_the_answer_which_stopped_the_run_tells_it(cli: CommandLine, fault: str, words: str) -> None:
    with running(faults=Faults(rules=(Rule(fault=fault, on=("create",)),))) as sandbox:
        cli.use_account(sandbox.base_url)
        sheet = cli.write_csv("new.csv", NEW)
        result, rows = cli.run(sheet)
        assert (result.exit_code, [row["status"] for row in rows]) == (3, ["not_attempted"] * 2)
        assert [words in row["error"] for row in rows] == [True, False]
        sandbox.set_faults(Faults())
        result = cli("resume", "--results", "results.csv")
        assert (result.exit_code, [row["error"] for row in cli.read_results("results.csv")]) == (0, ["", ""])
