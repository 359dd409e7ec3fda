"""The stand-in answers as the public pages of the API say."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest

from bulkload.sandbox import Location, SandboxOptions
from tests.support.sandbox_client import IMAP, ROUND_TRIP, USER, run_sandbox

AUTH_FAILED = {"errors": [{"code": 400, "message": "invalid_request - User authentication failed."}]}
NOT_FOUND = (404, {"errors": [{"code": 404, "message": "Record not found"}]})
BODIES = {"email-imap": IMAP, "email-pop": IMAP, "email-smtp": IMAP, "email-round-trip": ROUND_TRIP}


class Clock:
    """A clock that tests move by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def said(answer: Any) -> str:
    """All messages of an errors list in its documented shape."""
    assert set(answer) == {"errors"}
    assert all(set(error) == {"code", "message"} and type(error["code"]) is int for error in answer["errors"])
    return " ".join(error["message"] for error in answer["errors"])


@pytest.mark.parametrize(
    "body",
    [
        {**USER, "password": "wrong"},
        {**USER, "username": "somebody@example.com"},
        {"username": USER["username"]},
        {"username": None, "password": 7},
        {"username": "\ud800", "password": "sandbox"},
        {},
    ],
)
async def test_a_login_is_refused_in_the_published_words(body: object) -> None:
    async with run_sandbox(login=False) as client:
        assert await client.request("POST", "/access-tokens", body) == (400, AUTH_FAILED)


async def test_two_logins_give_two_tokens_that_both_work() -> None:
    async with run_sandbox() as client:
        first = client.token
        await client.login()
        assert client.token != first
        assert (await client.request("GET", "/monitors"))[0] == 200
        client.token = first
        assert (await client.request("GET", "/monitors"))[0] == 200


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/monitors"),
        ("GET", "/monitors/1"),
        ("POST", "/monitors/email-pop"),
        ("PATCH", "/monitors/email-pop/1"),
        ("DELETE", "/monitors/1"),
    ],
)
async def test_every_call_needs_a_token(token: str, method: str, path: str) -> None:
    async with run_sandbox(login=False) as client:
        client.token = token
        status, answer = await client.request(method, path, {} if method in ("POST", "PATCH") else None)
        assert status == answer["errors"][0]["code"] == 401


async def test_a_token_lives_3600_seconds_from_its_issue_however_much_it_is_used() -> None:
    clock = Clock()
    async with run_sandbox(clock=clock) as client:
        clock.now += 3599
        assert (await client.request("GET", "/monitors"))[0] == 200
        clock.now += 1
        assert (await client.request("GET", "/monitors"))[0] == 401
        await client.login()
        assert (await client.request("GET", "/monitors"))[0] == 200


@pytest.mark.parametrize("role", ["admin", "co-admin", "power-user", "read-only", "report-only"])
async def test_only_the_three_writing_roles_may_write_and_all_may_read(role: Any) -> None:
    may = role in ("admin", "co-admin", "power-user")
    async with run_sandbox(SandboxOptions(role=role)) as client:
        assert (await client.create())[0] == (200 if may else 403)
        assert (await client.request("PATCH", "/monitors/email-imap/100001", {"port": 993}))[0] == (200 if may else 403)
        assert (await client.request("GET", "/monitors"))[0] == 200
        assert (await client.request("DELETE", "/monitors/100001"))[0] == (204 if may else 403)
        assert len(client.sandbox.monitors()) == 0


@pytest.mark.parametrize("kind", BODIES)
async def test_a_monitor_is_created_read_changed_and_deleted(kind: str) -> None:
    """The id is a string when written and an integer when read; an edit changes what was sent and nothing else."""
    async with run_sandbox() as client:
        status, made = await client.request("POST", f"/monitors/{kind}", {**BODIES[kind], "interval": 5})
        assert (status, made) == (200, {"id": "100001"})
        _, before = await client.request("GET", "/monitors/100001")
        assert before["id"] == 100001
        assert before["type"] == kind
        assert before["interval"] == 5
        assert {key: before[key] for key in BODIES[kind]} == BODIES[kind]

        status, made = await client.request("PATCH", f"/monitors/{kind}/100001", {"timeout": 45, "note": "moved"})
        assert (status, made) == (200, {"id": "100001"})
        _, after = await client.request("GET", "/monitors/100001")
        assert after == {**before, "timeout": 45, "note": "moved"}

        assert await client.request("DELETE", "/monitors/100001") == (204, "")
        assert await client.request("GET", "/monitors/100001") == NOT_FOUND
        assert await client.request("DELETE", "/monitors/100001") == NOT_FOUND
        assert await client.request("PATCH", f"/monitors/{kind}/100001", {}) == NOT_FOUND


async def test_what_is_left_out_comes_from_the_account() -> None:
    options = SandboxOptions(defaults={"interval": 60, "locations": [{"id": 20}, {"id": 77}], "mode": "Global Verify"})
    async with run_sandbox(options) as client:
        await client.create(port=None)
        _, monitor = await client.request("GET", "/monitors/100001")
    assert monitor["interval"] == 60
    assert monitor["mode"] == "Global Verify"
    assert monitor["home_location"] == 20
    assert monitor["locations"] == [
        {"id": 20, "name": "Atlanta, GA", "region": 1},
        {"id": 77, "name": "Location 77", "region": 1},
    ]
    assert monitor["allow_internal_testing"] is True
    assert monitor["port"] == ""
    assert monitor["ipv4"] == ""
    assert monitor["sla_id"] is None


async def test_an_alert_note_is_cut_at_1000_characters_without_a_word() -> None:
    async with run_sandbox() as client:
        assert (await client.create(alert_note="é" * 1001))[0] == 200
        _, monitor = await client.request("GET", "/monitors/100001")
        assert monitor["alert_note"] == "é" * 1000


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, body in BODIES.items() for field in body])
async def test_a_required_field_is_missed_and_named(kind: str, field: str) -> None:
    body = {key: value for key, value in BODIES[kind].items() if key != field}
    async with run_sandbox() as client:
        for without in (body, {**body, field: None}, {**body, field: ""}):
            status, answer = await client.request("POST", f"/monitors/{kind}", without)
            assert status == 400
            assert field in said(answer)
        assert client.sandbox.monitors() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 7),
        ("name", "x" * 256),
        ("name", "\ud800"),
        ("hostname", "two words"),
        ("port", "993"),
        ("port", 993.0),
        ("port", 0),
        ("port", 65536),
        ("port", True),
        ("interval", 0),
        ("interval", 1441),
        ("interval", "15"),
        ("timeout", 301),
        ("enabled", "y"),
        ("enabled", 1),
        ("mode", "global verify"),
        ("ipv4", "1.2.3"),
        ("note", "x" * 256),
        ("locations", []),
        ("locations", [10]),
        ("locations", [{"id": "10"}]),
        ("home_location", 20),
        ("monitor_location_count", 2),
        ("custom_properties", {"id": 28}),
    ],
)
async def test_a_wrong_value_is_refused_in_words_that_are_not_alertsites(field: str, value: Any) -> None:
    async with run_sandbox() as client:
        status, answer = await client.create(**{field: value})
        assert status == 400
        assert field in said(answer)
        assert said(answer).startswith("sandbox: ")
        assert "instance of" not in said(answer)
        assert (await client.create())[0] == 200
        status, answer = await client.request("PATCH", "/monitors/email-imap/100001", {field: value})
        assert status == 400
        assert field in said(answer)


async def test_all_wrong_fields_are_named_at_once() -> None:
    async with run_sandbox() as client:
        _, answer = await client.create(port=0, interval=0, mode="")
        assert sorted(error["message"].split(":")[1].strip() for error in answer["errors"]) == [
            "interval",
            "mode",
            "port",
        ]


async def test_a_round_trips_interval_is_longer_than_its_timeout() -> None:
    async with run_sandbox() as client:
        path = "/monitors/email-round-trip"
        assert (await client.request("POST", path, {**ROUND_TRIP, "interval": 5, "timeout": 300}))[0] == 400
        assert (await client.request("POST", path, {**ROUND_TRIP, "interval": 6, "timeout": 300}))[0] == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"port": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b" " * 2_000_000, "application/json", 413),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(body: bytes, content_type: str, status: int) -> None:
    async with run_sandbox() as client:
        headers = {"Authorization": f"Bearer {client.token}", "Content-Type": content_type}
        got, answer = await client.request("POST", "/monitors/email-imap", data=io.BytesIO(body), headers=headers)
        assert (got, answer["errors"][0]["code"]) == (status, status)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/monitors/website", 404),
        ("GET", "/monitors/abc", 404),
        ("GET", "/monitors/" + "9" * 18, 404),
        ("GET", "/monitors/" + "9" * 30, 404),
        ("POST", "/monitors", 405),
        ("PUT", "/monitors/email-imap/1", 405),
        ("GET", "/monitors/email-imap", 405),
        ("GET", "/access-tokens", 405),
    ],
)
async def test_other_paths_and_methods_are_refused(method: str, path: str, status: int) -> None:
    async with run_sandbox() as client:
        assert (await client.request(method, path))[0] == status


async def test_an_edit_under_the_path_of_another_type_finds_nothing() -> None:
    async with run_sandbox() as client:
        await client.create()
        assert await client.request("PATCH", "/monitors/email-pop/100001", {"port": 110}) == NOT_FOUND


async def test_locations_in_an_edit_replace_the_list_and_take_home_along() -> None:
    async with run_sandbox() as client:
        await client.create(locations=[{"id": 10}, {"id": 20}], home_location=20)
        await client.request("PATCH", "/monitors/email-imap/100001", {"locations": [{"id": 30}]})
        _, monitor = await client.request("GET", "/monitors/100001")
        assert [place["id"] for place in monitor["locations"]] == [30]
        assert monitor["home_location"] == 30


async def test_the_list_has_the_documented_envelope_and_filters_by_type() -> None:
    async with run_sandbox() as client:
        status, empty = await client.request("GET", "/monitors")
        assert status == 200
        assert empty == {
            "metadata": {"__permissions": {"acl": 7}, "resultset": {"count": 0, "limit": None, "offset": "0"}},
            "results": [],
        }
        for kind, body in BODIES.items():
            await client.request("POST", f"/monitors/{kind}", body)
        for wanted in ("email-imap", "email-pop,email-smtp", "website", "", ",".join(BODIES)):
            _, answer = await client.request("GET", f"/monitors?type={wanted}&show_scripts=false")
            expected = [kind for kind in BODIES if not wanted or kind in wanted.split(",")]
            assert [monitor["type"] for monitor in answer["results"]] == expected
            assert answer["metadata"]["resultset"]["count"] == len(expected)
        _, answer = await client.request("GET", "/monitors")
        assert all(type(monitor["id"]) is int for monitor in answer["results"])


@pytest.mark.parametrize(
    ("query", "page_size", "expected"),
    [
        ("", None, "01234"),
        ("?limit=2", None, "01"),
        ("?limit=2&offset=3", None, "34"),
        ("?offset=4", None, "4"),
        ("?offset=9", None, ""),
        ("?limit=0", None, ""),
        ("", 2, "01"),
        ("?offset=4", 2, "4"),
        ("?limit=3", 2, "01"),
    ],
)
async def test_a_list_can_be_read_in_pages(query: str, page_size: int | None, expected: str) -> None:
    async with run_sandbox(SandboxOptions(page_size=page_size)) as client:
        for number in range(5):
            await client.create(str(number))
        _, answer = await client.request("GET", "/monitors" + query)
        assert "".join(monitor["name"] for monitor in answer["results"]) == expected


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=1.5", "offset=٣"])
async def test_a_nonsensical_page_is_refused(query: str) -> None:
    async with run_sandbox() as client:
        assert (await client.request("GET", "/monitors?" + query))[0] == 400


async def test_the_count_can_be_that_of_all_pages() -> None:
    async with run_sandbox(SandboxOptions(page_size=2, count_is_total=True)) as client:
        for number in range(3):
            await client.create(str(number))
        _, answer = await client.request("GET", "/monitors?offset=2")
        assert answer["metadata"]["resultset"] == {"count": 3, "limit": 2, "offset": "2"}
        assert len(answer["results"]) == 1


@pytest.mark.parametrize(
    ("query", "fields"), [("select=id,name", {"id", "name"}), ("select=Name,id", {"id"}), ("select=", set())]
)
async def test_select_picks_known_fields_and_an_empty_one_picks_none(query: str, fields: set[str]) -> None:
    async with run_sandbox() as client:
        await client.create()
        assert set((await client.request("GET", f"/monitors/100001?{query}"))[1]) == fields
        assert set((await client.request("GET", f"/monitors?{query}"))[1]["results"][0]) == fields


async def test_a_long_list_arrives_whole_and_in_order(tmp_path: Path) -> None:
    """Longer than one batch and longer than what is sent in one piece."""
    async with run_sandbox(state=tmp_path / "state.sqlite3") as client:
        numbers = iter(range(2_300))

        async def work() -> None:
            for number in numbers:
                assert (await client.create(str(number)))[0] == 200

        await asyncio.gather(*(work() for _ in range(20)))
        for query, expected in (("", 2_300), ("?limit=1700&offset=100", 1_700)):
            _, answer = await client.request("GET", "/monitors" + query)
            ids = [monitor["id"] for monitor in answer["results"]]
            assert ids == sorted(set(ids))
            assert len(ids) == answer["metadata"]["resultset"]["count"] == expected


async def test_parallel_creates_get_distinct_ids() -> None:
    async with run_sandbox() as client:
        answers = await asyncio.gather(*(client.create(f"mx{number}") for number in range(200)))
        assert {status for status, _ in answers} == {200}
        assert len({answer["id"] for _, answer in answers}) == 200
        assert len(await client.list_names()) == 200


async def test_the_same_body_twice_makes_two_monitors() -> None:
    """There is no idempotency key, so the stand-in must not be kinder than the API."""
    async with run_sandbox() as client:
        ids = {(await client.create())[1]["id"] for _ in range(2)}
        assert len(ids) == 2


async def test_names_are_unique_within_a_type_on_request() -> None:
    async with run_sandbox(SandboxOptions(unique_names=True)) as client:
        assert (await client.create("a"))[0] == 200
        assert (await client.create("a"))[0] == 400
        assert (await client.request("POST", "/monitors/email-pop", {**IMAP, "name": "a"}))[0] == 200
        assert (await client.create("b"))[1] == {"id": "100003"}
        assert (await client.request("PATCH", "/monitors/email-imap/100003", {"name": "a"}))[0] == 400
        assert (await client.request("PATCH", "/monitors/email-imap/100003", {"name": "b", "port": 143}))[0] == 200


async def test_unknown_and_read_only_fields_are_ignored_or_refused() -> None:
    extra: dict[str, Any] = {"colour": "blue", "id": 5, "smtp_hostname": "x"}
    async with run_sandbox() as client:
        assert (await client.create(**extra))[1] == {"id": "100001"}
        assert not {"colour", "smtp_hostname"} & set(client.sandbox.monitors()[0])
    async with run_sandbox(SandboxOptions(strict_fields=True)) as client:
        status, answer = await client.create(**extra)
        assert status == 400
        assert len(answer["errors"]) == 3


async def test_only_the_plans_and_locations_of_the_account_are_known() -> None:
    options = SandboxOptions(plans=("UBM - A/A",), locations=(Location(id=10, name="Here", region=1),))
    async with run_sandbox(options) as client:
        assert (await client.create())[0] == 200
        assert "plan" in said((await client.create(billing_plancode="UBM - A/A:1:50"))[1])
        assert "20" in said((await client.create(locations=[{"id": 20}]))[1])


@pytest.mark.parametrize("status", [400, 403])
async def test_a_plan_takes_no_more_than_its_capacity_and_a_delete_frees_a_place(status: Any) -> None:
    async with run_sandbox(SandboxOptions(capacity={"UBM - A/A": 3}, plan_full_status=status)) as client:
        answers = await asyncio.gather(*(client.create(f"mx{number}") for number in range(10)))
        assert sorted(got for got, _ in answers) == [200] * 3 + [status] * 7
        assert (await client.create(billing_plancode="OTHER"))[0] == 200
        await client.request("DELETE", "/monitors/100001")
        assert (await client.create("again"))[0] == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"mode": "Round Robin"}, 400),
        ({"mode": "SLA (MultiPOP)", "locations": [{"id": 10}, {"id": 20}]}, 200),
        ({"mode": "Primary", "rotate_locations": True}, 400),
    ],
)
async def test_modes_are_checked_against_locations_on_request(fields: dict[str, Any], status: int) -> None:
    async with run_sandbox(SandboxOptions(check_modes=True)) as client:
        assert (await client.create(**fields))[0] == status
    async with run_sandbox() as client:
        assert (await client.create(**fields))[0] == 200
