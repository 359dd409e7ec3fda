"""The sandbox shows alert recipients and recipient groups as the public pages do, and only shows them."""

from __future__ import annotations

import pytest

from bulkload.sandbox import AlertRecipient, RecipientGroup, SandboxOptions
from tests.support.sandbox_client import run_sandbox

RECIPIENT_FIELDS = {
    *("attach_screen_capture", "attach_server_response", "availability_alert", "blackout_ids", "id"),
    *("method_description", "method_id", "name", "notifier_groups", "notify_on_clear", "password"),
    *("performance_alert", "performance_alert_type", "recipient", "repeat_performance_alerts"),
    *("start_threshold", "stop_threshold", "username"),
}
THREE = SandboxOptions(
    recipients=(
        AlertRecipient(id=1, name="a", recipient="a@example.com"),
        AlertRecipient(id=2, name="b", recipient="b@example.com", method_id=1, availability_alert=False),
        AlertRecipient(id=3, name="c", recipient="c@example.com"),
    ),
    groups=(
        RecipientGroup(id=7, name="Mail", recipients=(1, 3), is_default=True, errortypes=(1,)),
        RecipientGroup(id=8, name="Night", recipients=(2,), monitors=(100_001,)),
    ),
)


async def test_recipients_have_the_documented_envelope_and_fields() -> None:
    async with run_sandbox() as client:
        status, answer = await client.request("GET", "/recipients")
        assert status == 200
        assert answer["metadata"] == {
            "__permissions": {"acl": 7},
            "resultset": {"count": 2, "limit": None, "offset": "0"},
        }
        assert [set(item) for item in answer["results"]] == [RECIPIENT_FIELDS] * 2
        one = answer["results"][0]
        assert await client.request("GET", f"/recipients/{one['id']}") == (200, one)
        assert (await client.request("GET", "/recipients/1"))[0] == 404
        assert (await client.request("GET", "/notifier-groups"))[1]["results"] == []


async def test_groups_and_their_recipients_name_each_other() -> None:
    async with run_sandbox(THREE) as client:
        _, groups = await client.request("GET", "/notifier-groups")
        assert [(group["name"], group["is_default"]) for group in groups["results"]] == [
            ("Mail", True),
            ("Night", False),
        ]
        assert [member["id"] for member in groups["results"][0]["recipients"]] == [1, 3]
        assert groups["results"][0]["errortypes"] == [{"description": "Error 1", "id": 1}]
        assert (await client.request("GET", "/recipients/1"))[1]["notifier_groups"] == ["7"]
        assert await client.request("GET", "/notifier-groups/8") == (200, groups["results"][1])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/recipients?limit=2", [1, 2]),
        ("/recipients?limit=2&offset=2", [3]),
        ("/recipients?offset=9", []),
        ("/recipients?type=Availability", [1, 3]),
        ("/recipients?type=Performance", []),
        ("/recipients?method_id=1", [2]),
        ("/notifier-groups?recipient_id=2", [8]),
        ("/notifier-groups?monidor_id=100001", [8]),
        ("/notifier-groups?monidor_id=5", []),
        ("/notifier-groups?limit=1&offset=1", [8]),
    ],
)
async def test_lists_can_be_paged_and_filtered(path: str, expected: list[int]) -> None:
    async with run_sandbox(THREE) as client:
        _, answer = await client.request("GET", path)
        assert [item["id"] for item in answer["results"]] == expected
        assert answer["metadata"]["resultset"]["count"] == len(expected)


@pytest.mark.parametrize("path", ["/recipients", "/recipients/90626", "/notifier-groups", "/notifier-groups/1"])
async def test_they_need_a_token_and_cannot_be_changed(path: str) -> None:
    async with run_sandbox() as client:
        for method in ("POST", "PATCH", "DELETE"):
            assert (await client.request(method, path, {} if method != "DELETE" else None))[0] == 405
        client.token = "wrong"
        assert (await client.request("GET", path))[0] == 401
        assert client.sandbox.counts().get("created") is None


async def test_a_bad_limit_is_refused_and_unknown_paths_are_not_found() -> None:
    async with run_sandbox() as client:
        assert (await client.request("GET", "/recipients?limit=-1"))[0] == 400
        for path in ("/recipients/x", "/recipients/1/2", "/notifier-groups/999"):
            assert (await client.request("GET", path))[0] == 404
