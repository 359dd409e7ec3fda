"""A list in pages is complete or treated as unreliable, and every spelling of a monitor type is recognised."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.alertsite.client import MAX_LIST_READINGS, Api
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.responses import mail_type
from bulkload.errors import ApiUnreliable
from bulkload.protocols import MONITOR_TYPES
from tests.support.command_line import ApiRequest, CommandLine, FakeApi, FakeResponse, fake_api, imap, list_response

PAGE_SIZE = 2  # monitors on a page


class PagedAccount:
    """Serves monitors in pages; `change` is called before each response, with the request's number and the IDs."""

    def __init__(self, ids: list[int], change: Callable[[int, list[int]], None], *, counts: bool = True) -> None:
        self.ids = ids
        self._change = change
        self._counts = counts
        self._requests = 0

    def __call__(self, request: ApiRequest) -> FakeResponse:
        self._requests += 1
        self._change(self._requests, self.ids)
        first = int(request.query.get("offset", 0))
        page = self.ids[first : first + PAGE_SIZE]
        resultset = {"count": len(self.ids)} if self._counts else {"count": len(page), "limit": PAGE_SIZE}
        items = [{**imap(f"m{monitor_id}"), "id": monitor_id, "type": "email-imap"} for monitor_id in page]
        return FakeResponse(content={"metadata": {"resultset": resultset}, "results": items})


async def _ids(server: FakeApi) -> list[int]:
    async with Api(server.base_url, Pace(None), token="t") as api:
        return [item["id"] for item in await api.list_mail_monitors()]


@pytest.mark.parametrize("counts", [True, False])
async def test_a_list_on_one_page_is_read_once(counts: bool) -> None:
    with fake_api(PagedAccount([1], lambda n, ids: None, counts=counts)) as server:
        assert await _ids(server) == [1]
        assert server.count("GET") == 1


@pytest.mark.parametrize("counts", [True, False])
async def test_a_list_on_several_pages_is_read_until_two_readings_agree(counts: bool) -> None:
    with fake_api(PagedAccount([1, 2, 3, 4, 5], lambda n, ids: None, counts=counts)) as server:
        assert await _ids(server) == [1, 2, 3, 4, 5]
        assert server.count("GET") == 6


@pytest.mark.parametrize("counts", [True, False])
async def test_a_monitor_deleted_between_two_pages_hides_no_other(counts: bool) -> None:
    """Monitor 1 is deleted after the first page is read, so monitor 3 moves to that page."""

    def change(request_number: int, ids: list[int]) -> None:
        if request_number == 2:
            ids.remove(1)

    with fake_api(PagedAccount([1, 2, 3, 4, 5, 6], change, counts=counts)) as server:
        assert await _ids(server) == [2, 3, 4, 5, 6]


async def test_monitors_created_after_the_first_reading_do_not_require_a_third() -> None:
    def change(request_number: int, ids: list[int]) -> None:
        if request_number == 3:
            ids.append(10)

    with fake_api(PagedAccount([1, 2, 9], change)) as server:
        assert await _ids(server) == [1, 2, 9, 10]
        assert server.count("GET") == 4


async def test_a_monitor_that_was_missed_is_distinguished_from_a_new_one() -> None:
    """Its ID, compared as a number, is not higher than all IDs of the first reading, so a third reading decides."""

    def change(request_number: int, ids: list[int]) -> None:
        if request_number == 3:
            ids.insert(0, 9)

    with fake_api(PagedAccount([1, 2, 10], change)) as server:
        assert await _ids(server) == [9, 1, 2, 10]
        assert server.count("GET") == 6


async def test_the_list_is_read_again_if_a_monitor_is_on_two_pages() -> None:
    """The newest monitors are listed first here, and one is created after the first page is read."""

    def change(request_number: int, ids: list[int]) -> None:
        if request_number == 2:
            ids.insert(0, 10)

    with fake_api(PagedAccount([5, 4, 3, 2, 1], change)) as server:
        assert await _ids(server) == [10, 5, 4, 3, 2, 1]


async def test_a_list_that_keeps_changing_is_unreliable() -> None:
    def change(request_number: int, ids: list[int]) -> None:
        if request_number % 3 == 1:
            ids.pop(0)

    with fake_api(PagedAccount(list(range(1, 14)), change)) as server:
        with pytest.raises(ApiUnreliable, match=r"changes while it is read.*Run again"):
            await _ids(server)
        assert server.count("GET") <= MAX_LIST_READINGS * 7


def test_a_monitor_that_one_reading_misses_is_not_created_twice(cli: CommandLine) -> None:
    def change(request_number: int, ids: list[int]) -> None:
        if request_number == 2:
            ids.remove(1)

    account = PagedAccount([1, 2, 3, 4, 5], change)

    def answer(request: ApiRequest) -> FakeResponse:
        return FakeResponse(content={"id": "99"}) if request.method == "POST" else account(request)

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("m3")]))
        assert (result.exit_code, rows[0]["status"], rows[0]["monitor_id"]) == (0, "exists", "3")
        assert server.count("POST") == 0


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────

SPELLINGS = {
    "email-imap": ["EMAIL-IMAP", "imap", "Imap", "email_imap", "email imap", " imap "],
    "email-pop": ["pop", "pop3", "email-pop3", "POP3", "EMAIL_POP"],
    "email-smtp": ["smtp", "Email-Smtp", "email_smtp"],
    "email-round-trip": ["round-trip", "roundtrip", "ROUND_TRIP", "email round trip", "email-roundtrip"],
}


def test_every_spelling_of_a_type_is_recognised() -> None:
    for known, spellings in SPELLINGS.items():
        assert [mail_type(spelling) for spelling in (known, *spellings)] == [known] * (len(spellings) + 1)
    for value in ("website", "", "email-", "email", "tcp", "website-ssl", "email-ftp", None, 3, ["imap"], "imap pop"):
        assert mail_type(value) is None


@given(st.text() | st.none() | st.integers() | st.lists(st.text()))
def test_no_value_of_a_type_is_an_error(value: object) -> None:
    assert mail_type(value) in (None, *MONITOR_TYPES)


@pytest.mark.parametrize(
    ("known", "shown"), [(known, shown) for known, spellings in SPELLINGS.items() for shown in spellings]
)
async def test_a_listed_type_is_changed_to_its_documented_spelling(known: str, shown: str) -> None:
    item = {"id": 7, "type": shown, "name": "a", "hostname": "b.example.com", "smtp_hostname": "c.example.com"}
    with fake_api(
        lambda request: list_response(item) if request.path == "/monitors" else FakeResponse(content=item)
    ) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            assert api.type_spellings == set()
            assert await api.list_mail_monitors() == [item | {"type": known}]
            assert api.type_spellings == {shown}
            api.type_spellings.clear()
            assert await api.get("7") == item | {"type": known}
            assert api.type_spellings == {shown}


async def test_documented_spellings_and_other_types_are_not_recorded() -> None:
    items = [{**imap("a"), "id": 5, "type": "email-imap"}, {"id": 6, "type": "WEBSITE"}]
    with fake_api(lambda request: list_response(*items)) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            assert await api.list_mail_monitors() == items
            assert api.type_spellings == set()


@pytest.mark.parametrize("shown", ["imap", "EMAIL_ROUND_TRIP"])
async def test_a_mail_monitor_with_another_spelling_must_have_name_and_host_too(shown: str) -> None:
    with fake_api(lambda request: list_response({"id": 7, "type": shown, "name": "a"})) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="unknown shape"):
                await api.list_mail_monitors()


def test_a_row_exists_if_its_monitor_is_shown_with_another_spelling(cli: CommandLine) -> None:
    item = {**imap("a"), "id": 7, "type": "IMAP"}
    with fake_api(
        lambda request: list_response(item) if request.method == "GET" else FakeResponse(content={"id": "9"})
    ) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("a")]))
        assert (result.exit_code, rows[0]["status"], server.count("POST")) == (0, "exists", 0)


@pytest.mark.parametrize(("shown", "is_same"), [(7, True), ("7", True), (8, False), ("07", False), (None, False)])
async def test_a_monitor_with_another_id_than_requested_is_unreliable(shown: object, is_same: bool) -> None:
    with fake_api(lambda request: FakeResponse(content={"id": shown, "type": "email-imap"})) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            if is_same:
                assert await api.get("7") == {"id": shown, "type": "email-imap"}
            else:
                with pytest.raises(ApiUnreliable, match="Monitor 7 came back as something else"):
                    await api.get("7")
