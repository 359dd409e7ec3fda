"""The account's list in pages is whole or it is not believed, and a type is known however it is spelled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.alertsite.client import READINGS, Api
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.responses import mail_type
from bulkload.errors import ApiUnreliable
from bulkload.protocols import MONITOR_TYPES
from tests.support.command_line import Asked, Desk, Said, Scripted, imap, listed, scripted

SIZE = 2  # monitors on a page


class Account:
    """Monitors in pages; `change` is called with the number of each request before it is answered."""

    def __init__(self, ids: list[int], change: Callable[[int, list[int]], None], *, counts: bool = True) -> None:
        self.ids = ids
        self._change = change
        self._counts = counts
        self._asked = 0

    def __call__(self, asked: Asked) -> Said:
        self._asked += 1
        self._change(self._asked, self.ids)
        first = int(asked.query.get("offset", 0))
        page = self.ids[first : first + SIZE]
        resultset = {"count": len(self.ids)} if self._counts else {"count": len(page), "limit": SIZE}
        items = [{**imap(f"m{one}"), "id": one, "type": "email-imap"} for one in page]
        return Said(content={"metadata": {"resultset": resultset}, "results": items})


async def _ids(server: Scripted) -> list[int]:
    async with Api(server.base_url, Pace(None), token="t") as api:
        return [item["id"] for item in await api.list_mail_monitors()]


@pytest.mark.parametrize("counts", [True, False])
async def test_a_list_that_came_in_one_page_is_read_once(counts: bool) -> None:
    with scripted(Account([1], lambda n, ids: None, counts=counts)) as server:
        assert await _ids(server) == [1]
        assert server.count("GET") == 1


@pytest.mark.parametrize("counts", [True, False])
async def test_a_list_in_pages_is_read_until_two_readings_agree(counts: bool) -> None:
    with scripted(Account([1, 2, 3, 4, 5], lambda n, ids: None, counts=counts)) as server:
        assert await _ids(server) == [1, 2, 3, 4, 5]
        assert server.count("GET") == 6


@pytest.mark.parametrize("counts", [True, False])
async def test_a_monitor_that_goes_while_pages_are_read_hides_no_other(counts: bool) -> None:
    """Monitor 1 goes after the first page, and so monitor 3 slips onto that page, which was read already."""

    def change(number: int, ids: list[int]) -> None:
        if number == 2:
            ids.remove(1)

    with scripted(Account([1, 2, 3, 4, 5, 6], change, counts=counts)) as server:
        assert await _ids(server) == [2, 3, 4, 5, 6]


async def test_monitors_made_since_the_first_reading_do_not_make_a_third_one_needed() -> None:
    def change(number: int, ids: list[int]) -> None:
        if number == 3:
            ids.append(10)

    with scripted(Account([1, 2, 9], change)) as server:
        assert await _ids(server) == [1, 2, 9, 10]
        assert server.count("GET") == 4


async def test_a_monitor_that_was_passed_over_is_told_from_one_that_was_made() -> None:
    """Its ID is not higher than all that were seen, also as a number; so a third reading decides."""

    def change(number: int, ids: list[int]) -> None:
        if number == 3:
            ids.insert(0, 9)

    with scripted(Account([1, 2, 10], change)) as server:
        assert await _ids(server) == [9, 1, 2, 10]
        assert server.count("GET") == 6


async def test_a_monitor_on_two_pages_is_a_reason_to_read_again() -> None:
    """The newest come first here, and one is made after the first page."""

    def change(number: int, ids: list[int]) -> None:
        if number == 2:
            ids.insert(0, 10)

    with scripted(Account([5, 4, 3, 2, 1], change)) as server:
        assert await _ids(server) == [10, 5, 4, 3, 2, 1]


async def test_a_list_that_never_keeps_still_is_not_believed() -> None:
    def change(number: int, ids: list[int]) -> None:
        if number % 3 == 1:
            ids.pop(0)

    with scripted(Account(list(range(1, 14)), change)) as server:
        with pytest.raises(ApiUnreliable, match=r"changes while it is read.*Run again"):
            await _ids(server)
        assert server.count("GET") <= READINGS * 7


def test_a_row_whose_monitor_would_be_passed_over_is_not_made_twice(desk: Desk) -> None:
    def change(number: int, ids: list[int]) -> None:
        if number == 2:
            ids.remove(1)

    account = Account([1, 2, 3, 4, 5], change)

    def answer(asked: Asked) -> Said:
        return Said(content={"id": "99"}) if asked.method == "POST" else account(asked)

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", [imap("m3")]))
        assert (ended.exit_code, rows[0]["status"], rows[0]["monitor_id"]) == (0, "exists", "3")
        assert server.count("POST") == 0


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────

SPELLINGS = {
    "email-imap": ["EMAIL-IMAP", "imap", "Imap", "email_imap", "email imap", " imap "],
    "email-pop": ["pop", "pop3", "email-pop3", "POP3", "EMAIL_POP"],
    "email-smtp": ["smtp", "Email-Smtp", "email_smtp"],
    "email-round-trip": ["round-trip", "roundtrip", "ROUND_TRIP", "email round trip", "email-roundtrip"],
}


def test_a_type_is_known_however_it_is_spelled() -> None:
    for known, spellings in SPELLINGS.items():
        assert [mail_type(one) for one in (known, *spellings)] == [known] * (len(spellings) + 1)
    for other in ("website", "", "email-", "email", "tcp", "website-ssl", "email-ftp", None, 3, ["imap"], "imap pop"):
        assert mail_type(other) is None


@given(st.text() | st.none() | st.integers() | st.lists(st.text()))
def test_whatever_is_shown_as_a_type_is_no_error(value: object) -> None:
    assert mail_type(value) in (None, *MONITOR_TYPES)


@pytest.mark.parametrize(("known", "shown"), [(known, one) for known, those in SPELLINGS.items() for one in those])
async def test_a_listed_type_is_given_its_documented_spelling(known: str, shown: str) -> None:
    item = {"id": 7, "type": shown, "name": "a", "hostname": "b.example.com", "smtp_hostname": "c.example.com"}
    with scripted(lambda asked: listed(item) if asked.path == "/monitors" else Said(content=item)) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            assert api.type_spellings == set()
            assert await api.list_mail_monitors() == [item | {"type": known}]
            assert api.type_spellings == {shown}
            api.type_spellings.clear()
            assert await api.get("7") == item | {"type": known}
            assert api.type_spellings == {shown}


async def test_the_documented_spelling_and_other_types_are_nothing_to_remember() -> None:
    items = [{**imap("a"), "id": 5, "type": "email-imap"}, {"id": 6, "type": "WEBSITE"}]
    with scripted(lambda asked: listed(*items)) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            assert await api.list_mail_monitors() == items
            assert api.type_spellings == set()


@pytest.mark.parametrize("shown", ["imap", "EMAIL_ROUND_TRIP"])
async def test_a_mail_monitor_of_another_spelling_must_show_name_and_host_too(shown: str) -> None:
    with scripted(lambda asked: listed({"id": 7, "type": shown, "name": "a"})) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="unknown shape"):
                await api.list_mail_monitors()


def test_a_row_whose_monitor_is_shown_with_another_spelling_is_there(desk: Desk) -> None:
    item = {**imap("a"), "id": 7, "type": "IMAP"}
    with scripted(lambda asked: listed(item) if asked.method == "GET" else Said(content={"id": "9"})) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", [imap("a")]))
        assert (ended.exit_code, rows[0]["status"], server.count("POST")) == (0, "exists", 0)


@pytest.mark.parametrize(("shown", "good"), [(7, True), ("7", True), (8, False), ("07", False), (None, False)])
async def test_a_monitor_that_comes_back_with_another_id_is_not_believed(shown: object, good: bool) -> None:
    with scripted(lambda asked: Said(content={"id": shown, "type": "email-imap"})) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            if good:
                assert await api.get("7") == {"id": shown, "type": "email-imap"}
            else:
                with pytest.raises(ApiUnreliable, match="Monitor 7 came back as something else"):
                    await api.get("7")
