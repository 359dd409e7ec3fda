"""Responses that would take too much memory or time are refused early, and not requested again."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterable
from typing import Any

import pytest

from bulkload.alertsite import client as module
from bulkload.alertsite.client import Api
from bulkload.alertsite.pacing import Pace
from bulkload.errors import ApiError, ApiUnreliable, InDoubt, RunStopped, UnreadableResponse
from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, fake_api, imap, list_response
from tests.support.paths import ROOT
from tests.support.raw_server import RawRequest, as_json, endless, raw_server

MOST_MEMORY = 250 * 2**20  # bytes
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\3"


def highly_compressed(mebibytes: int = 1024) -> Iterable[bytes]:
    """A response of spaces in gzip; a block can be repeated because it has no reference to earlier ones."""
    compressor = zlib.compressobj(9, wbits=-15)
    block = compressor.compress(b" " * 2**20) + compressor.flush(zlib.Z_FULL_FLUSH)
    length = len(GZIP_HEAD) + mebibytes * len(block)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n"
    )
    yield head.encode() + b"\r\n" + GZIP_HEAD
    for _ in range(mebibytes):
        yield block


def compressed(content: object, encoding: str = "gzip", cut: int = 0, appended: bytes = b"") -> list[bytes]:
    text = json.dumps(content).encode()
    data = (zlib.compress(text) if encoding == "deflate" else gzip.compress(text))[: -cut or None] + appended
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}\r\n"
    return [head.encode() + f"Content-Length: {len(data)}\r\n\r\n".encode(), data]


async def _request(api: Api, operation: str) -> object:
    if operation == "create":
        return await api.create("email-imap", b'{"name": "a"}')
    return await (api.get("7") if operation == "get" else api.list_mail_monitors())


PROGRAM = """
import asyncio, resource, sys
from bulkload.alertsite.client import Api
from bulkload.errors import ApiError, BulkloadError
from bulkload.alertsite.pacing import Pace
from tests.alertsite.test_response_limits import _request

async def main():
    async with Api(sys.argv[1], Pace(None), token="t") as api:
        try:
            await _request(api, sys.argv[2])
        except (ApiError, BulkloadError) as error:
            print(type(error).__name__)

def peak_memory():  # bytes; the value in /proc is of this process alone, while `ru_maxrss` includes its parent's
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

asyncio.run(main())
print(peak_memory())
"""


@pytest.mark.parametrize(
    ("operation", "error_name"), [("list", "ApiUnreliable"), ("get", "ApiUnreliable"), ("create", "UnreadableResponse")]
)
def test_a_small_response_that_decompresses_to_a_gigabyte_is_refused_early(operation: str, error_name: str) -> None:
    with raw_server(lambda request: highly_compressed()) as server:
        completed = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.base_url, operation],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
        )
    raised, memory = completed.stdout.split()
    assert (raised, completed.stderr) == (error_name, "")
    assert int(memory) < MOST_MEMORY
    assert len(server.requests) == 1, "it is not requested again"


@pytest.mark.parametrize("operation", ["get", "create", "login", "list"])
async def test_an_endless_response_is_refused_at_the_size_limit(
    operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LIST_BYTES", 8 * 2**20)
    with raw_server(lambda request: endless()) as server:
        login: dict[str, Any] = {"username": "u", "password": "p"} if operation == "login" else {"token": "t"}
        async with Api(server.base_url, Pace(None), **login) as api:
            with pytest.raises(
                UnreadableResponse if operation == "create" else ApiUnreliable, match=r"longer than [48] MB"
            ):
                await _request(api, operation)
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", ["[]", "{}", "0"])
async def test_a_list_of_very_many_small_items_is_refused_before_it_is_decoded(text: str) -> None:
    """Decoded, each takes many times the size of its text in memory."""
    body = b'{"results": [' + b",".join([text.encode()] * 4_000_000) + b"]}"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with raw_server(lambda request: [head, body]) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="unknown shape"):
                await api.list_mail_monitors()


async def test_the_pages_of_a_list_are_limited_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LIST_BYTES", 100_000)
    page = [{"type": "website", "note": "x" * 100} for _ in range(100)]

    def answer(request: ApiRequest) -> FakeResponse:
        first = int(request.query.get("offset", 0)) + 1
        items = [item | {"id": first + n} for n, item in enumerate(page)]
        return FakeResponse(content={"metadata": {"resultset": {"count": 10**6}}, "results": items})

    with fake_api(answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="longer than"):
                await api.list_mail_monitors()
        assert server.count("GET") < 9


@pytest.mark.parametrize(
    ("constant", "value", "message", "requests"),
    [("MAX_PAGES", 5, "after 5 pages", 5), ("MAX_LIST_SECONDS", 0.0, "within 0 minutes", 1)],
)
async def test_a_list_that_does_not_end_is_refused(
    constant: str, value: float, message: str, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, constant, value)

    def answer(request: ApiRequest) -> FakeResponse:
        item = {"id": int(request.query.get("offset", 0)) + 1, "type": "website"}
        return FakeResponse(content={"metadata": {"resultset": {"count": 10**6}}, "results": [item]})

    with fake_api(answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match=message):
                await api.list_mail_monitors()
        assert server.count("GET") == requests


async def test_pages_without_new_monitors_are_refused_at_once() -> None:
    def answer(request: ApiRequest) -> FakeResponse:
        items = [{"id": 1, "type": "website"}, {"id": 2, "type": "website"}]
        return FakeResponse(content={"metadata": {"resultset": {"count": 9}}, "results": items})

    with fake_api(answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="the same monitors on several pages"):
                await api.list_mail_monitors()
        assert server.count("GET") == 2


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP"])
async def test_a_compressed_response_is_read(encoding: str) -> None:
    """Also one that decompresses to many parts, and one whose parts have exactly the size of the buffer."""
    for length in (3, 5 * 2**20 - 68, 2**20 - 56, 2**20, 6 * 2**20):
        item = {"id": 7, "type": "website", "note": "x" * length}
        with raw_server(lambda request, item=item: compressed([item], encoding)) as server:  # type: ignore[misc]
            async with Api(server.base_url, Pace(None), token="t") as api:
                if length > 4 * 2**20:
                    with pytest.raises(ApiUnreliable, match="decompresses to more than"):
                        await api.list_mail_monitors()
                else:
                    assert await api.list_mail_monitors() == [item]


async def test_a_long_compressed_list_is_read() -> None:
    """Monitors that differ in little compress well, which does not make the list an attack."""
    items = [
        {**imap(f"monitor {n}"), "id": n + 1, "type": "email-imap", "note": "The same for all."} for n in range(50_000)
    ]
    with raw_server(lambda request: compressed(items)) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            assert len(await api.list_mail_monitors()) == len(items)


@pytest.mark.parametrize(
    ("pieces", "error_type"),
    [
        (compressed({"id": "7"}, cut=3), InDoubt),
        (compressed({"id": "7"}, appended=b"more"), UnreadableResponse),
        (compressed({"id": "7"}, appended=gzip.compress(b"more")), UnreadableResponse),
        ([compressed({"id": "7"})[0], b"no gzip" * 10], InDoubt),
        (compressed({"id": "7"}, "br"), UnreadableResponse),
        (compressed({"id": "7"}, "gzip, gzip"), UnreadableResponse),
    ],
)
async def test_a_response_that_cannot_be_decompressed_leaves_the_create_in_doubt(
    pieces: list[bytes], error_type: type[ApiError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_BACK_OFF", 0.0)
    with raw_server(lambda request: pieces) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiError) as caught:
                await api.create("email-imap", b"{}")
            assert type(caught.value) is error_type
            assert server.count("POST") == 1
            with pytest.raises(RunStopped):
                await api.get("7")


def test_a_create_with_an_endless_response_is_in_doubt(cli: CommandLine) -> None:
    cli.monkeypatch.setenv("BULKLOAD_SETTLE_AFTER", "600")

    def answer(request: RawRequest) -> Iterable[bytes]:
        if request.request_line.startswith("POST /monitors"):
            return endless()
        return as_json({"access_token": "t"} if request.request_line.startswith("POST") else list_response().content)

    with raw_server(answer) as server:
        cli.use_account(server.base_url)
        result, rows = cli.run(cli.write_csv("rows.csv", [imap("a")]))
    assert (result.exit_code, rows[0]["status"], server.count("POST /monitors")) == (1, "unknown", 1)
    assert "the response is longer than 4 MB" in rows[0]["error"]
