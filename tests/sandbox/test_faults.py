"""Every fault does what its name says to the answer, and nothing else to the account."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from bulkload.sandbox import KINDS, Faults, Rule, SandboxOptions, endless_answers
from bulkload.sandbox.server import Sandbox
from tests.support.sandbox_client import IMAP, USER, SandboxClient, run_sandbox

AUTH_TEXT = "invalid_request - User authentication failed."


def always(fault: str, **more: Any) -> Faults:
    """Strike every request that the fault is about."""
    return Faults(rules=(Rule(fault=fault, **more),))


ANSWERED = {
    # fault: (status, monitors made by one create)
    "throttle": (429, 0),
    "request-timeout": (408, 0),
    "error-before": (500, 0),
    "error-after": (500, 1),
    "error-auth-before": (500, 0),
    "error-auth-after": (500, 1),
    "timeout-after": (408, 1),
    "create-twice": (200, 2),
    "echo-refusal": (400, 0),
    "surrogate": (400, 0),
    "page-before": (502, 0),
    "page-after": (502, 1),
    "redirect": (302, 0),
    "no-id": (200, 1),
    "lag": (200, 1),
    "slow": (200, 1),
    "token-401": (401, 0),
    "token-400": (400, 0),
    "plan-full": (400, 0),
    "wrong-role": (403, 0),
}
UNANSWERED = {
    "drop-before": 0,
    "drop-after": 1,
    "reset-before": 0,
    "reset-after": 1,
    "cut": 1,
    "stall-before": 0,
    "stall-after": 1,
}
WITHOUT_END = ("gzip-bomb", "endless", "endless-list")  # see test_endless_answers


@pytest.mark.parametrize("fault", ANSWERED)
async def test_a_fault_with_an_answer_leaves_the_account_as_it_says(fault: str) -> None:
    status, made = ANSWERED[fault]
    async with run_sandbox(faults=always(fault, seconds=0.05)) as client:
        got, _ = await client.create()
        assert got == status
        assert len(client.sandbox.monitors()) == made
        entry = client.sandbox.requests()[-1]
        assert (entry.fault, entry.status, entry.committed) == (fault, status, bool(made))


@pytest.mark.parametrize("fault", UNANSWERED)
async def test_a_fault_without_an_answer_leaves_the_account_as_it_says(fault: str) -> None:
    made = UNANSWERED[fault]
    async with run_sandbox(faults=always(fault)) as client:
        with pytest.raises((aiohttp.ClientError, TimeoutError)):
            await _unless_stalled(client, client.create())
        assert len(client.sandbox.monitors()) == made
        entry = client.sandbox.requests()[-1]
        assert (entry.fault, entry.committed) == (fault, bool(made))


async def _unless_stalled(client: SandboxClient, call: Coroutine[Any, Any, Any]) -> None:
    """Wait for an answer, or until the server holds it back or does not stop giving it."""
    seen = len(client.sandbox.requests())
    task = asyncio.create_task(call)
    while not task.done():
        await asyncio.wait([task], timeout=0.01)
        if any(entry.fault.startswith(("stall", "endless")) for entry in client.sandbox.requests()[seen:]):
            task.cancel()
            raise TimeoutError
    await task


def test_every_fault_is_tried_in_this_file() -> None:
    tried = {*ANSWERED, *UNANSWERED, *WITHOUT_END, "late", "garbled", "login-refused", "page-gap"}
    assert set(KINDS) - tried == {fault for fault in KINDS if fault.startswith("list-")}


@pytest.mark.parametrize("fault", ["reset-before", "reset-after", "drop-before", "drop-after"])
async def test_reset_is_a_reset_and_drop_is_an_end(fault: str) -> None:
    async with run_sandbox(faults=always(fault)) as client:
        host, port = client.sandbox.base_url.split("/")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        body = b'{"billing_plancode": "p", "name": "n", "hostname": "h.example.com"}'
        writer.write(
            f"POST /api/v3/monitors/email-imap HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        if fault.startswith("reset"):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        else:
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("status", [200, 404, 502])
async def test_a_gateways_page_is_html_with_the_status_asked_for(status: int) -> None:
    async with run_sandbox(faults=always("page-before", status=status)) as client:
        got, page = await client.create()
        assert got == status
        assert page.startswith("<!DOCTYPE html>")


async def test_a_redirect_says_where_to() -> None:
    async with run_sandbox(faults=always("redirect", status=307)) as client:
        url = client.sandbox.base_url + "/monitors/email-imap"
        async with client.session.post(url, json=IMAP, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (307, "/login")


@pytest.mark.parametrize("call", ["create", "list", "login"])
async def test_a_garbled_answer_is_a_success_whose_json_breaks_off(call: str) -> None:
    async with run_sandbox(faults=Faults(rules=(Rule(fault="garbled", on=("create", "list", "login")),))) as client:
        method, path = {"create": ("POST", "/monitors/email-imap"), "list": ("GET", "/monitors")}.get(
            call, ("POST", "/access-tokens")
        )
        body = {"create": IMAP, "login": USER}.get(call)
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            await client.request(method, path, body)
        assert client.sandbox.requests()[-1].status == 200
        assert len(client.sandbox.monitors()) == (call == "create")


@pytest.mark.parametrize(
    "fault", ["garbled", "no-id", "error-after", "timeout-after", "drop-after", "late", "create-twice", "gzip-bomb"]
)
async def test_a_fault_never_makes_a_monitor_of_a_bad_body(fault: str) -> None:
    async with run_sandbox(faults=always(fault, seconds=0.0)) as client:
        try:
            status, _ = await client.create(port=0)
        except aiohttp.ClientError:
            status = 0
        assert status == {"error-after": 500, "timeout-after": 408, "drop-after": 0}.get(fault, 400)
        assert client.sandbox.commit_late() == 0
        assert client.sandbox.monitors() == []
        assert not client.sandbox.requests()[-1].committed


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("fault", ["error-auth-before", "error-auth-after"])
async def test_a_broken_server_can_use_the_words_of_a_refused_login(fault: str, status: int) -> None:
    async with run_sandbox(faults=always(fault, status=status)) as client:
        got, answer = await client.create()
        assert (got, answer) == (status, {"errors": [{"code": status, "message": AUTH_TEXT}]})


@pytest.mark.parametrize("name", ["mx1 <IMAP>", "User authentication failed.", "\ud83d"])
async def test_a_refusal_can_repeat_the_name_sent(name: str) -> None:
    async with run_sandbox(faults=always("echo-refusal")) as client:
        status, answer = await client.create(name)
        assert (status, answer["errors"][0]["message"]) == (400, f"sandbox: The name {name} is not allowed.")


async def test_a_refusal_can_hold_half_a_character() -> None:
    async with run_sandbox(faults=always("surrogate")) as client:
        url = client.sandbox.base_url + "/monitors/email-imap"
        async with client.session.post(url, json=IMAP) as response:
            assert (response.status, response.content_type) == (400, "application/json")
            assert b"\\ud83d." in await response.read()


async def test_a_create_can_be_repeated_on_the_way_and_the_second_answers() -> None:
    async with run_sandbox(faults=always("create-twice", times=1)) as client:
        assert await client.create("twin") == (200, {"id": "100002"})
        assert await client.create("single") == (200, {"id": "100003"})
        assert await client.list_names() == ["twin", "twin", "single"]
        creates = [entry for entry in client.sandbox.requests() if "create" in entry.operation]
        assert [(entry.operation, entry.id) for entry in creates] == [
            ("lost-create", 100_001),
            ("create", 100_002),
            ("create", 100_003),
        ]
        counts = client.sandbox.counts()
        assert (counts["create"], counts["created"]) == (2, 3)


@pytest.mark.parametrize(
    "options", [SandboxOptions(unique_names=True), SandboxOptions(capacity={IMAP["billing_plancode"]: 1})]
)
async def test_where_the_repeated_create_is_refused_its_answer_hides_that_the_first_was_not(
    options: SandboxOptions,
) -> None:
    async with run_sandbox(options, faults=always("create-twice")) as client:
        assert (await client.create())[0] == 400
        assert await client.list_names() == [IMAP["name"]]
        assert client.sandbox.counts()["created"] == 1


@pytest.mark.parametrize("in_all", [False, True])
async def test_a_page_after_the_first_can_leave_a_monitor_out(in_all: bool) -> None:
    async with run_sandbox(SandboxOptions(page_size=3, count_is_total=in_all)) as client:
        for number in range(8):
            await client.create(f"mx{number}")
        client.sandbox.set_faults(always("page-gap"))
        pages = [(await client.request("GET", f"/monitors?offset={offset}"))[1] for offset in (0, 3, 6, 9)]
        names = [[monitor["name"] for monitor in page["results"]] for page in pages]
        assert names == [["mx0", "mx1", "mx2"], ["mx4", "mx5", "mx6"], ["mx7"], []]
        found = [page["metadata"]["resultset"] for page in pages]
        assert [each["offset"] for each in found] == ["0", "3", "6", "9"]
        assert [each["count"] for each in found] == ([8, 7, 7, 7] if in_all else [3, 3, 1, 0])


async def test_a_late_create_is_answered_504_and_happens_after_its_seconds() -> None:
    async with run_sandbox(faults=always("late", seconds=0.1)) as client:
        assert (await client.create())[0] == 504
        assert client.sandbox.monitors() == []
        async with asyncio.timeout(60):
            while not client.sandbox.monitors():
                await asyncio.sleep(0.01)
        late = client.sandbox.requests()[-1]
        assert (late.operation, late.committed, late.name) == ("late-commit", True, IMAP["name"])
        assert late.at - client.sandbox.requests()[-2].at >= 0.1


async def test_a_late_create_happens_even_when_the_client_has_gone_and_can_be_hurried() -> None:
    async with run_sandbox(faults=always("late", seconds=3600)) as client:
        assert (await client.create())[0] == 504
        await client.session.close()
        async with aiohttp.ClientSession() as other:
            client.session = other
            assert await client.control("POST", "commit-late") == {"committed": 1}
        assert len(client.sandbox.monitors()) == 1


async def test_new_monitors_become_visible_after_a_time_and_in_order() -> None:
    """The second is not delayed itself, and still waits for the first."""
    now = [1_000_000.0]
    async with run_sandbox(clock=lambda: now[0], faults=Faults(visible_after=30)) as client:
        await client.create("first")
        client.sandbox.set_faults(Faults())
        await client.create("second")
        assert await client.list_names() == []
        assert (await client.request("GET", "/monitors/100001"))[0] == 200
        now[0] += 29.9
        assert await client.list_names() == []
        assert len(client.sandbox.monitors()) == 2
        now[0] += 0.1
        assert await client.list_names() == ["first", "second"]


async def test_an_invisible_monitor_can_be_hidden_from_get_by_id_too() -> None:
    now = [1_000_000.0]
    async with run_sandbox(clock=lambda: now[0], faults=Faults(visible_after=30, hide_single=True)) as client:
        await client.create()
        assert (await client.request("GET", "/monitors/100001"))[0] == 404
        now[0] += 30
        assert (await client.request("GET", "/monitors/100001"))[0] == 200


async def test_lag_hides_one_monitor_and_those_after_it() -> None:
    now = [1_000_000.0]
    async with run_sandbox(clock=lambda: now[0], faults=always("lag", at=(2,), seconds=5)) as client:
        for name in ("a", "b", "c"):
            await client.create(name)
        assert await client.list_names() == ["a"]
        now[0] += 5
        assert await client.list_names() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("list-empty", []),
        ("list-shrunk", ["mx0", "mx1"]),
        ("list-repeat", ["mx0", "mx0", "mx1", "mx1", "mx2", "mx2", "mx3", "mx3"]),
        ("list-strings", ["mx0", "mx1", "mx2", "mx3"]),
    ],
)
async def test_a_list_can_be_false(fault: str, names: list[str]) -> None:
    async with run_sandbox() as client:
        for number in range(4):
            await client.create(f"mx{number}", port=993)
        client.sandbox.set_faults(always(fault))
        assert await client.list_names() == names
        _, answer = await client.request("GET", "/monitors")
        if fault == "list-strings":
            first = answer["results"][0]
            assert (first["id"], first["port"], first["enabled"]) == ("100001", "993", True)
            assert first["locations"][0]["id"] == "10"
        client.sandbox.set_faults(Faults())
        assert await client.list_names() == ["mx0", "mx1", "mx2", "mx3"]


async def test_a_list_can_have_an_unknown_shape_or_fail() -> None:
    async with run_sandbox() as client:
        await client.create()
        client.sandbox.set_faults(always("list-shape"))
        _, answer = await client.request("GET", "/monitors")
        assert "results" not in answer
        client.sandbox.set_faults(always("error-before", on=("list",)))
        assert (await client.request("GET", "/monitors"))[0] == 500
        assert (await client.create())[0] == 200


@pytest.mark.parametrize(("fault", "status"), [("token-401", 401), ("token-400", 400)])
async def test_an_expired_token_stays_expired_until_the_next_login(fault: str, status: int) -> None:
    async with run_sandbox(faults=always(fault, every=3)) as client:
        statuses = [(await client.create())[0] for _ in range(5)]
        assert statuses == [200, 200, status, status, status]
        _, answer = await client.create()
        assert (answer["errors"][0]["message"] == AUTH_TEXT) == (status == 400)
        await client.login()
        assert (await client.create())[0] == 200


@pytest.mark.parametrize(("query", "status"), [("", 401), ("?status=400", 400)])
async def test_all_tokens_expire_on_request(query: str, status: int) -> None:
    async with run_sandbox() as client:
        await client.control("POST", "expire-tokens" + query)
        assert (await client.create())[0] == status
        await client.login()
        assert (await client.create())[0] == 200


async def test_a_right_login_can_be_refused() -> None:
    async with run_sandbox(faults=always("login-refused", at=(1,)), login=False) as client:
        status, answer = await client.request("POST", "/access-tokens", USER)
        assert (status, answer["errors"][0]["message"]) == (400, AUTH_TEXT)
        await client.login()


async def test_an_exact_fault_strikes_the_seventh_create_and_no_other() -> None:
    async with run_sandbox(faults=always("error-after", at=(7,))) as client:
        for _ in range(3):
            await client.request("GET", "/monitors")
        assert [(await client.create())[0] for _ in range(8)] == [200] * 6 + [500, 200]
        assert len(client.sandbox.monitors()) == 8


async def test_a_fault_for_one_name_strikes_its_first_attempts_only() -> None:
    async with run_sandbox(faults=always("error-before", names=("mx7",), attempts=2)) as client:
        assert [(await client.create(name))[0] for name in ("mx1", "mx7", "mx7", "mx7")] == [200, 500, 500, 200]


@pytest.mark.parametrize("seed", [1, 2])
async def test_one_seed_gives_each_monitor_the_same_fate_in_any_order(seed: int) -> None:
    faults = Faults(
        seed=seed, rules=(Rule(fault="error-before", probability=0.4), Rule(fault="no-id", probability=0.3))
    )
    names = [f"mx{number}" for number in range(60)]
    fates = []
    for order in (names, list(reversed(names))):
        async with run_sandbox(faults=faults) as client:
            await asyncio.gather(*(client.create(name) for name in order))
            fates.append({entry.name: entry.fault for entry in client.sandbox.requests() if entry.name})
    assert fates[0] == fates[1]
    assert set(fates[0].values()) == {"", "error-before", "no-id"}


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
async def test_the_rate_limit_counts_logins_too_and_says_when_to_come_back(form: Any) -> None:
    faults = Faults(rate_limit=2, rate_window=60, retry_after=form)
    async with run_sandbox(faults=faults, login=False) as client:
        await client.login()
        assert (await client.create())[0] == 200
        url = client.sandbox.base_url + "/access-tokens"
        async with client.session.post(url, json=USER) as response:
            assert response.status == 429
            assert (await response.json())["errors"][0]["code"] == 429
            again = response.headers.get("Retry-After")
        if form == "seconds":
            assert again is not None
            assert 59 <= int(again) <= 60
        elif form == "date":
            assert again is not None
            assert parsedate_to_datetime(again).tzinfo is not None
        else:
            assert again is None
        assert (await client.create())[0] == 429
        assert len(client.sandbox.monitors()) == 1
        assert client.sandbox.counts()["throttled"] == 2
        assert await client.control("GET", "counts") == client.sandbox.counts()


async def test_in_no_window_are_more_requests_admitted_than_the_limit_allows() -> None:
    async with run_sandbox(faults=Faults(rate_limit=10, rate_window=0.2)) as client:
        async with asyncio.timeout(10):
            while client.sandbox.counts().get("created", 0) < 40:
                await asyncio.gather(*(client.create() for _ in range(8)))
        entries = [entry for entry in client.sandbox.requests() if entry.operation == "create"]
        assert any(entry.fault == "rate-limit" for entry in entries)
        admitted = sorted(entry.at for entry in entries if entry.status == 200)
        assert all(later - earlier >= 0.2 for earlier, later in zip(admitted, admitted[10:], strict=False))


async def test_a_client_that_goes_in_the_middle_of_its_body_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    async with run_sandbox() as client:
        host, port = client.sandbox.base_url.split("/")[2].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /api/v3/monitors/email-imap HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        async with asyncio.timeout(60):
            while len(client.sandbox.requests()) < 2:
                await asyncio.sleep(0.01)
        assert client.sandbox.requests()[-1].status == 0
        assert (await client.create())[0] == 200
    assert caplog.records == []


async def test_stop_ends_stalled_and_slow_answers() -> None:
    faults = Faults(rules=(Rule(fault="stall-after", names=("stalls",)), Rule(fault="slow", seconds=3600)))
    sandbox = Sandbox()
    await sandbox.start()
    async with aiohttp.ClientSession() as session:
        async with session.post(sandbox.base_url + "/access-tokens", json=USER) as response:
            token = (await response.json())["access_token"]
        sandbox.set_faults(faults)

        async def create(name: str) -> int:
            async with session.post(
                sandbox.base_url + "/monitors/email-imap",
                json={**IMAP, "name": name},
                headers={"Authorization": f"Bearer {token}"},
            ) as response:
                return response.status

        calls = [asyncio.create_task(create(name)) for name in ["stalls"] * 5 + ["slow"] * 5]
        async with asyncio.timeout(60):
            while sandbox.counts().get("create", 0) < 5 or len(sandbox.monitors()) < 10:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(60):  # the answers are an hour away
            await sandbox.stop()
        done, waiting = await asyncio.wait(calls, timeout=60)
        assert not waiting
        assert sum(isinstance(task.exception(), aiohttp.ClientError) for task in done) >= 5


@pytest.mark.parametrize("fault", KINDS)
async def test_every_fault_strikes_every_operation_it_fits_without_an_error_of_the_server(
    fault: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endless_answers, "DECOMPRESSED_BYTES", endless_answers.COMPRESSED_PIECE)
    calls: dict[str, tuple[str, str, object]] = {
        "login": ("POST", "/access-tokens", USER),
        "create": ("POST", "/monitors/email-imap", IMAP),
        "list": ("GET", "/monitors", None),
        "get": ("GET", "/monitors/100001", None),
        "patch": ("PATCH", "/monitors/email-imap/100001", {"port": 993}),
        "delete": ("DELETE", "/monitors/100001", None),
        "recipients": ("GET", "/recipients", None),
        "groups": ("GET", "/notifier-groups/1", None),
    }
    async with run_sandbox() as client:
        await client.create()
        for operation in KINDS[fault].fits:
            client.sandbox.set_faults(always(fault, on=(operation,), seconds=0.01))
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                await _unless_stalled(client, client.request(*calls[operation]))
            entry = next(e for e in reversed(client.sandbox.requests()) if e.operation == operation)
            assert (entry.operation, entry.fault) == (operation, fault)
            client.sandbox.set_faults(Faults())
            await client.login()
    assert caplog.records == []
