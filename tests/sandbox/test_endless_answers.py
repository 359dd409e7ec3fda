"""Answers without an end cost the stand-in nothing, and end when the client goes away or the server stops."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bulkload.sandbox import KINDS, Faults, Rule, SandboxOptions, endless_answers
from tests.support.sandbox_client import IMAP, TIMEOUT, SandboxClient, run_sandbox

POURS = ("gzip-bomb", "endless")
CALLS: dict[str, tuple[str, str, object]] = {
    "create": ("POST", "/monitors/email-imap", IMAP),
    "list": ("GET", "/monitors", None),
    "get": ("GET", "/monitors/100001", None),
}


def always(fault: str, operation: str = "") -> Faults:
    """Strike every request of one operation."""
    return Faults(rules=(Rule(fault=fault, on=tuple(each for each in KINDS[fault].fits if each == operation)),))


@asynccontextmanager
async def pouring(client: SandboxClient, operation: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask, and take the answer as it comes, packed."""
    method, path, body = CALLS[operation]
    headers = {"Authorization": f"Bearer {client.token}"}
    timeout = aiohttp.ClientTimeout(TIMEOUT)
    async with (
        aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session,
        session.request(method, client.sandbox.base_url + path, json=body, headers=headers) as response,
    ):
        yield response


async def until(met: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(TIMEOUT):
        while not met():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("operation", CALLS)
async def test_a_gzip_bomb_is_small_until_it_is_unpacked(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless_answers, "DECOMPRESSED_BYTES", 20 * endless_answers.COMPRESSED_PIECE)
    async with run_sandbox() as client:
        await client.create("there")
        client.sandbox.set_faults(always("gzip-bomb", operation))
        async with pouring(client, operation) as response:
            assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
            packed = await response.read()
        assert len(packed) < 100_000
        unpacker = zlib.decompressobj(wbits=31)
        unpacked = unpacker.decompress(packed)
        assert unpacker.eof
        assert len(unpacked) == 20 * endless_answers.COMPRESSED_PIECE
        assert not unpacked.strip()
        assert len(client.sandbox.monitors()) == (2 if operation == "create" else 1)


@pytest.mark.parametrize("operation", CALLS)
async def test_an_endless_body_goes_on_and_changes_nothing(operation: str) -> None:
    async with run_sandbox() as client:
        await client.create("there")
        client.sandbox.set_faults(always("endless", operation))
        async with pouring(client, operation) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            taken = await response.content.readexactly(8_000_000)
            assert not taken.strip()
        assert len(client.sandbox.monitors()) == 1


@pytest.mark.parametrize("fault", POURS)
async def test_it_stops_when_the_client_goes_away(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []
    stream = endless_answers._stream

    async def watched(*given: object) -> object:
        try:
            return await stream(*given)  # type: ignore[arg-type]
        finally:
            ended.append(fault)

    monkeypatch.setattr(endless_answers, "_stream", watched)
    async with run_sandbox() as client:
        client.sandbox.set_faults(always(fault, "create"))
        async with pouring(client, "create") as response:
            await response.content.readexactly(1_000)
            assert ended == []
        await until(lambda: ended == [fault])
        client.sandbox.set_faults(Faults())
        assert (await client.create())[0] == 200
    assert caplog.records == []


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("fault", POURS)
async def test_it_stops_when_the_server_stops(fault: str, reads: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Also for a client that holds the connection and takes nothing."""
    async with run_sandbox() as client:
        client.sandbox.set_faults(always(fault, "create"))
        async with pouring(client, "create") as response:

            async def take() -> None:
                with contextlib.suppress(aiohttp.ClientError):
                    async for _ in response.content.iter_any():
                        pass

            task = asyncio.create_task(take() if reads else asyncio.sleep(0))
            await asyncio.sleep(0.1)
            async with asyncio.timeout(TIMEOUT):
                await client.sandbox.stop()
                await task
        await client.sandbox.start()  # for the end of the block
    assert caplog.records == []


async def test_an_endless_list_has_a_full_page_at_every_offset_and_no_monitor_twice() -> None:
    async with run_sandbox(SandboxOptions(page_size=3)) as client:
        await client.create("there")
        client.sandbox.set_faults(Faults(rules=(Rule(fault="endless-list"),), shows=("upper-names",)))
        seen: list[int] = []
        for offset in (0, 100, 200, 10**12):
            _, answer = await client.request("GET", f"/monitors?offset={offset}")
            assert answer["metadata"]["resultset"] == {"count": 100, "limit": 100, "offset": str(offset)}
            assert len(answer["results"]) == 100
            assert {monitor["type"] for monitor in answer["results"]} == {"email-imap"}
            assert all(monitor["name"] == f"MADE UP {monitor['id']}" for monitor in answer["results"])
            seen += [monitor["id"] for monitor in answer["results"]]
        assert seen == sorted(set(seen))
        assert [monitor["name"] for monitor in client.sandbox.monitors()] == ["there"]
        assert (await client.request("GET", "/monitors?offset=x"))[0] == 400
