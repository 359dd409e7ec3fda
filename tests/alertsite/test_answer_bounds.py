"""No answer takes more memory or time than a true one could need, and none that does is asked for again."""

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
from tests.support.command_line import Asked, Desk, Said, imap, listed, scripted
from tests.support.paths import ROOT
from tests.support.raw_server import Heard, as_json, endless, raw_server

MOST_MEMORY = 250 * 2**20  # bytes
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\3"


def bomb(mebibytes: int = 1024) -> Iterable[bytes]:
    """An answer that unpacks to so much; each block of blanks can be repeated since it refers to none before it."""
    pack = zlib.compressobj(9, wbits=-15)
    block = pack.compress(b" " * 2**20) + pack.flush(zlib.Z_FULL_FLUSH)
    length = len(GZIP_HEAD) + mebibytes * len(block)
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n"
    )
    yield head.encode() + b"\r\n" + GZIP_HEAD
    for _ in range(mebibytes):
        yield block


def packed(content: object, encoding: str = "gzip", cut: int = 0, behind: bytes = b"") -> list[bytes]:
    text = json.dumps(content).encode()
    data = (zlib.compress(text) if encoding == "deflate" else gzip.compress(text))[: -cut or None] + behind
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}\r\n"
    return [head.encode() + f"Content-Length: {len(data)}\r\n\r\n".encode(), data]


async def ready() -> None:
    return None


async def _ask(api: Api, what: str) -> object:
    if what == "create":
        return await api.create("email-imap", b'{"name": "a"}', ready)
    return await (api.get("7") if what == "get" else api.list_mail_monitors())


PROGRAM = """
import asyncio, resource, sys
from bulkload.alertsite.client import Api
from bulkload.errors import ApiError, BulkloadError
from bulkload.alertsite.pacing import Pace
from tests.alertsite.test_answer_bounds import _ask

async def main():
    async with Api(sys.argv[1], Pace(None), token="t") as api:
        try:
            await _ask(api, sys.argv[2])
        except (ApiError, BulkloadError) as error:
            print(type(error).__name__)

def peak():  # what the kernel tells of a process counts from its own start, where `ru_maxrss` knows its parent's
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

asyncio.run(main())
print(peak())
"""


@pytest.mark.parametrize(
    ("what", "meaning"), [("list", "ApiUnreliable"), ("get", "ApiUnreliable"), ("create", "UnreadableResponse")]
)
def test_a_small_answer_that_unpacks_to_a_gigabyte_is_refused_early(what: str, meaning: str) -> None:
    with raw_server(lambda heard: bomb()) as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.base_url, what],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=ROOT,
        )
    found, memory = done.stdout.split()
    assert (found, done.stderr) == (meaning, "")
    assert int(memory) < MOST_MEMORY
    assert len(server.heard) == 1, "it is not asked for again"


@pytest.mark.parametrize("what", ["get", "create", "login", "list"])
async def test_an_answer_without_an_end_is_refused_at_a_bound(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_LIST", 8 * 2**20)
    with raw_server(lambda heard: endless()) as server:
        login: dict[str, Any] = {"username": "u", "password": "p"} if what == "login" else {"token": "t"}
        async with Api(server.base_url, Pace(None), **login) as api:
            with pytest.raises(UnreadableResponse if what == "create" else ApiUnreliable, match=r"more than [48] MB"):
                await _ask(api, what)
    assert len(server.heard) == 1


@pytest.mark.parametrize("text", ["[]", "{}", "0"])
async def test_a_list_of_very_many_small_things_is_refused_before_it_is_taken_apart(text: str) -> None:
    """Each takes many times its text in memory."""
    body = b'{"results": [' + b",".join([text.encode()] * 4_000_000) + b"]}"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with raw_server(lambda heard: [head, body]) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="unknown shape"):
                await api.list_mail_monitors()


async def test_the_pages_of_a_list_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_LIST", 100_000)
    page = [{"type": "website", "note": "x" * 100} for _ in range(100)]

    def answer(asked: Asked) -> Said:
        first = int(asked.query.get("offset", 0)) + 1
        items = [item | {"id": first + n} for n, item in enumerate(page)]
        return Said(content={"metadata": {"resultset": {"count": 10**6}}, "results": items})

    with scripted(answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="which no true answer has"):
                await api.list_mail_monitors()
        assert server.count("GET") < 9


@pytest.mark.parametrize(
    ("constant", "value", "words", "most"),
    [("MOST_PAGES", 5, "more than 5 pages", 5), ("LONGEST_READING", 0.0, "more than 0 minutes", 1)],
)
async def test_a_list_that_goes_on_and_on_is_refused(
    constant: str, value: float, words: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, constant, value)

    def answer(asked: Asked) -> Said:
        item = {"id": int(asked.query.get("offset", 0)) + 1, "type": "website"}
        return Said(content={"metadata": {"resultset": {"count": 10**6}}, "results": [item]})

    with scripted(answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match=words):
                await api.list_mail_monitors()
        assert server.count("GET") == most


async def test_pages_that_show_nothing_new_are_refused_at_once() -> None:
    def answer(asked: Asked) -> Said:
        items = [{"id": 1, "type": "website"}, {"id": 2, "type": "website"}]
        return Said(content={"metadata": {"resultset": {"count": 9}}, "results": items})

    with scripted(answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiUnreliable, match="the same monitors on several pages"):
                await api.list_mail_monitors()
        assert server.count("GET") == 2


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "GZIP"])
async def test_a_packed_answer_is_read(encoding: str) -> None:
    """Also one that unpacks to many parts, and one whose parts fill the room for them exactly."""
    for length in (3, 5 * 2**20 - 68, 2**20 - 56, 2**20, 6 * 2**20):
        item = {"id": 7, "type": "website", "note": "x" * length}
        with raw_server(lambda heard, item=item: packed([item], encoding)) as server:  # type: ignore[misc]
            async with Api(server.base_url, Pace(None), token="t") as api:
                if length > 4 * 2**20:
                    with pytest.raises(ApiUnreliable, match="grows without end"):
                        await api.list_mail_monitors()
                else:
                    assert await api.list_mail_monitors() == [item]


async def test_a_long_list_is_read_packed() -> None:
    """Monitors that differ in little are packed well, and are no attack."""
    items = [
        {**imap(f"monitor {n}"), "id": n, "type": "email-imap", "note": "The same for all."} for n in range(50_000)
    ]
    with raw_server(lambda heard: packed(items)) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            assert len(await api.list_mail_monitors()) == len(items)


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (packed({"id": "7"}, cut=3), InDoubt),
        (packed({"id": "7"}, behind=b"more"), UnreadableResponse),
        (packed({"id": "7"}, behind=gzip.compress(b"more")), UnreadableResponse),
        ([packed({"id": "7"})[0], b"no gzip" * 10], InDoubt),
        (packed({"id": "7"}, "br"), UnreadableResponse),
        (packed({"id": "7"}, "gzip, gzip"), UnreadableResponse),
    ],
)
async def test_a_packed_answer_that_cannot_be_unpacked_proves_nothing(
    answer: list[bytes], meaning: type[ApiError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAFE_BACK_OFF", 0.0)
    with raw_server(lambda heard: answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            with pytest.raises(ApiError) as caught:
                await api.create("email-imap", b"{}", ready)
            assert type(caught.value) is meaning
            assert server.count("POST") == 1
            with pytest.raises(RunStopped):
                await api.get("7")


def test_a_create_that_is_answered_without_an_end_is_in_doubt(desk: Desk) -> None:
    desk.environment.setenv("BULKLOAD_SETTLE_AFTER", "600")

    def answer(heard: Heard) -> Iterable[bytes]:
        if heard.line.startswith("POST /monitors"):
            return endless()
        return as_json({"access_token": "t"} if heard.line.startswith("POST") else listed().content)

    with raw_server(answer) as server:
        desk.log_in_at(server.base_url)
        ended, rows = desk.run(desk.sheet("rows.csv", [imap("a")]))
    assert (ended.exit_code, rows[0]["status"], server.count("POST /monitors")) == (1, "unknown", 1)
    assert "more than 4 MB came back" in rows[0]["error"]
