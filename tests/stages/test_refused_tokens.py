"""A token that is refused: for all rows it ends the run, for one row it is that row's fault."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, fake_api, imap, list_response

REFUSAL = {"errors": [{"code": 400, "message": "invalid_request - User authentication failed."}]}
ROWS = [f"m{number}" for number in range(8)]


class Account:
    """Makes every monitor but those with some names, for which it refuses each token."""

    def __init__(self, refused: set[str], status: int, *, reads: bool = True) -> None:
        self.made: list[dict[str, object]] = []
        self.tries: Counter[str] = Counter()
        self._refused = refused
        self._status = status
        self._reads = reads
        self._ids = itertools.count(100)

    def __call__(self, request: ApiRequest) -> FakeResponse:
        if request.method == "GET":
            return (
                list_response(*self.made)
                if self._reads or not self.tries
                else FakeResponse(content=REFUSAL, status=401)
            )
        name = request.body["name"]
        self.tries[name] += 1
        if name in self._refused:
            return FakeResponse(content=REFUSAL, status=self._status)
        self.made.append({**request.body, "id": next(self._ids), "type": "email-imap", "port": ""})
        return FakeResponse(content={"id": str(self.made[-1]["id"])})


@pytest.mark.parametrize("status", [401, 400, 403])
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("bad", ["m0", "m3", "m7"], ids=["the first", "one among others", "the last"])
def test_a_row_whose_token_is_refused_while_others_go_through_is_rejected(
    cli: CommandLine, bad: str, concurrency: int, status: int
) -> None:
    account = Account({bad}, status)
    with fake_api(account) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", [imap(name) for name in ROWS]), "--concurrency", concurrency)
    assert result.exit_code == 1, result
    assert {row["name"]: row["status"] for row in rows} == {
        name: "rejected" if name == bad else "created" for name in ROWS
    }
    assert "User authentication failed" in rows[ROWS.index(bad)]["error"]
    assert account.tries[bad] == 2, "once more with a fresh token, and no more"
    assert len(account.made) == len(ROWS) - 1


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("names", [ROWS, ROWS[:1]], ids=["all rows", "the only row"])
def test_a_token_that_is_refused_for_all_rows_ends_the_run(
    cli: CommandLine, names: list[str], concurrency: int
) -> None:
    account = Account(set(names), 401)
    with fake_api(account) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", [imap(name) for name in names]), "--concurrency", concurrency)
    assert result.exit_code == 3, result
    assert "refuses the token" in result.stdout
    assert {row["status"] for row in rows} == {"not_attempted"}
    assert len(account.tries) <= 2 + concurrency
    assert not account.made


def test_a_token_that_nothing_goes_through_with_any_more_ends_the_run(cli: CommandLine) -> None:
    """Some rows were made; then even the list is refused."""
    account = Account({"m7"}, 401, reads=False)
    with fake_api(account) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("a.csv", [imap(name) for name in ROWS]), "--concurrency", "1")
    assert result.exit_code == 3, result
    assert [row["status"] for row in rows] == ["created"] * 7 + ["not_attempted"]


def test_a_refused_row_that_speaks_of_authentication_is_its_own_fault(cli: CommandLine) -> None:
    """The API repeats the name in its refusal; nothing else is stopped by that."""
    name = "User authentication failed."
    message = {"errors": [{"code": 400, "message": f"The name {name} is not allowed"}]}
    made = Account(set(), 400)

    def answer(request: ApiRequest) -> FakeResponse:
        return (
            FakeResponse(content=message, status=400)
            if request.body and request.body["name"] == name
            else made(request)
        )

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        rows = [imap(one) for one in (*ROWS[:3], name, *ROWS[3:])]
        result, result_rows = cli.run(cli.write_csv("a.csv", rows))
    assert result.exit_code == 1, result
    assert [row["status"] for row in result_rows].count("rejected") == 1
    assert len(made.made) == len(ROWS)
