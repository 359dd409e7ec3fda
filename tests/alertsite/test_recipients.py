"""Alert recipients and groups are read as documented, and nothing secret about them is kept."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from bulkload.alertsite import client
from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.recipients import Recipient
from bulkload.errors import ApiError, ApiUnreliable, Forbidden, NotFound, RunStopped
from tests.support.command_line import ApiRequest, FakeApi, FakeResponse, fake_api

HOOK = "https://hooks.example.com/services/T1/secret"


def recipient(recipient_id: object = 1, **fields: object) -> dict[str, object]:
    """A recipient as documented, by e-mail unless the fields say otherwise."""
    usual = {"name": "Mail team", "method_id": 12, "method_description": "E-mail (HTML format)"}
    return {"id": recipient_id, **usual, "recipient": "mail@example.com", "availability_alert": True, **fields}


def envelope(*items: Mapping[str, object], **resultset: object) -> FakeResponse:
    """A list as documented."""
    counts = {"count": len(items), "limit": None, "offset": None, **resultset}
    return FakeResponse(content={"metadata": {"__permissions": {"acl": 7}, "resultset": counts}, "results": items})


async def _recipients(server: FakeApi, token: str = "t") -> list[Recipient]:
    async with Api(server.base_url, Pace(None), token=token) as api:
        return await api.recipients()


async def _shown(**fields: object) -> str:
    with fake_api(lambda request: envelope(recipient(**fields))) as server:
        return (await _recipients(server))[0].shown


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, "Mail team (mail@example.com)"),
        ({"name": ""}, "mail@example.com"),
        ({"name": None}, "mail@example.com"),
        ({"name": "mail@example.com"}, "mail@example.com"),
        ({"method_id": "1"}, "Mail team (mail@example.com)"),
        ({"method_id": 16, "recipient": HOOK, "method_description": "POST JSON"}, "Mail team (POST JSON)"),
        ({"method_id": 16, "recipient": HOOK, "method_description": None}, "Mail team"),
        ({"method_id": 16, "recipient": HOOK, "method_description": None, "name": HOOK}, "recipient 1"),
        ({"method_id": 6, "recipient": "+15551234", "method_description": "SMS message"}, "Mail team (SMS message)"),
        ({"method_id": 14, "recipient": "key@pager", "method_description": "PagerDuty"}, "Mail team (PagerDuty)"),
        ({"recipient": HOOK, "method_description": None}, "Mail team"),
        ({"recipient": ["mail@example.com"], "name": {"a": 1}, "method_description": 7}, "recipient 1"),
        ({"name": "two\nlines\x1b[31m"}, "two lines\ufffd[31m (mail@example.com)"),
        ({"name": "x" * 300}, f"{'x' * 128} (mail@example.com)"),
    ],
)
async def test_a_recipient_is_shown_by_name_and_address_but_never_by_a_secret_destination(
    fields: dict[str, object], shown: str
) -> None:
    text = await _shown(username="operator", password="pa55w0rd", **fields)
    assert text == shown
    assert not any(secret in text for secret in ("operator", "pa55w0rd", "secret", "+1555", "key@pager"))


async def test_the_token_is_hidden_even_if_the_api_repeats_it() -> None:
    with fake_api(lambda request: envelope(recipient(name="token-123456"))) as server:
        assert "token-123456" not in (await _recipients(server, "token-123456"))[0].shown


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), (False, False), (0, False), ("0", False), (None, True), ([], True)]
)
async def test_availability_alerts_are_on_unless_the_api_says_otherwise(value: object, expected: bool) -> None:
    with fake_api(lambda request: envelope(recipient(availability_alert=value))) as server:
        assert (await _recipients(server))[0].gets_availability_alerts is expected


@pytest.mark.parametrize("counts_all", [True, False])
async def test_all_pages_are_read_as_limit_and_offset_say(counts_all: bool) -> None:
    items = [recipient(number) for number in range(1, 6)]

    def answer(request: ApiRequest) -> FakeResponse:
        first = int(request.query.get("offset", 0))
        page = items[first : first + 2]
        return envelope(*page, **({"count": len(items)} if counts_all else {"limit": 2}))

    with fake_api(answer) as server:
        assert [found.recipient_id for found in await _recipients(server)] == ["1", "2", "3", "4", "5"]
        assert [request.query for request in server.requests] == [
            {},
            {"limit": "2", "offset": "2"},
            {"limit": "2", "offset": "4"},
        ]


async def test_a_last_page_that_is_full_is_followed_by_an_empty_one() -> None:
    pages = {"0": [recipient(1)], "1": []}
    with fake_api(lambda request: envelope(*pages[request.query.get("offset", "0")], limit=1)) as server:
        assert len(await _recipients(server)) == 1
        assert server.count("GET") == 2


async def test_a_list_that_lacks_items_is_an_error_and_not_a_shorter_list() -> None:
    with fake_api(lambda request: envelope(count=3)) as server:
        with pytest.raises(ApiUnreliable, match="gives a count of 3, but contains 0"):
            await _recipients(server)
        assert server.count("GET") == 1


async def test_pages_that_repeat_or_never_end_do_not_hold_up_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_api(lambda request: envelope(recipient(1), count=100)) as server:
        with pytest.raises(ApiUnreliable, match="gives a count of 100, but contains 1"):
            await _recipients(server)
        assert server.count("GET") == 2
    monkeypatch.setattr(client, "MAX_RECIPIENT_PAGES", 3)
    with fake_api(lambda request: envelope(recipient(1 + int(request.query.get("offset", 0))), count=100)) as server:
        with pytest.raises(ApiUnreliable, match="did not end after 3 pages"):
            await _recipients(server)
        assert server.count("GET") == 3


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (FakeResponse(content={"errors": [{"code": 403, "message": "No."}]}, status=403), Forbidden),
        (FakeResponse(content={"errors": [{"code": 404, "message": "Record not found"}]}, status=404), NotFound),
        (FakeResponse(content="<html>login</html>", content_type="text/html"), ApiUnreliable),
        (FakeResponse(content=f'[{{"recipient": "{HOOK}"'), ApiUnreliable),
        (FakeResponse(content=[recipient()]), ApiUnreliable),
        (FakeResponse(content={"results": None}), ApiUnreliable),
        (FakeResponse(content={"results": [recipient(), {"recipient": HOOK}]}), ApiUnreliable),
        (FakeResponse(content={"results": [recipient(True, recipient=HOOK)]}), ApiUnreliable),
        (FakeResponse(content={"results": [recipient("x", recipient=HOOK)]}), ApiUnreliable),
        (FakeResponse(content={"results": [{"id": 5, "name": "a monitor", "type": "ping"}]}), ApiUnreliable),
    ],
)
async def test_another_answer_is_an_error_that_shows_no_destination(
    response: FakeResponse, error: type[ApiError | RunStopped]
) -> None:
    with fake_api(lambda request: response) as server:
        with pytest.raises(error) as raised:
            await _recipients(server)
        assert "secret" not in str(raised.value)
        assert server.count("GET") == 1


async def test_a_group_names_its_recipients_without_their_destinations() -> None:
    members = [
        {"id": 1, "name": "Mail team", "recipient": "mail@example.com"},
        {"id": 2, "name": "Chat", "recipient": HOOK},
    ]
    group = {"id": 7, "name": "Mail", "is_default": True, "recipients": members, "monitors": [], "errortypes": []}
    narrow = {**group, "id": 8, "is_default": False, "errortypes": [{"id": 1}]}
    with fake_api(lambda request: envelope(group, narrow)) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            first, second = await api.recipient_groups()
    assert [member.shown for member in first.recipients] == ["Mail team (mail@example.com)", "Chat"]
    assert (first.name, first.is_default, first.only_some_errors) == ("Mail", True, False)
    assert (second.is_default, second.only_some_errors) == (False, True)


@pytest.mark.parametrize("members", [None, "all", [1], [{"name": "no ID"}]])
async def test_a_group_without_readable_recipients_is_an_error(members: object) -> None:
    with fake_api(lambda request: envelope({"id": 7, "name": "Mail", "recipients": members})) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable):
                await api.recipient_groups()
