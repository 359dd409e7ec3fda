"""Creates over aiohttp's connections without its session are the same as with it, whatever the server does."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bulkload.alertsite.client import Api
from bulkload.alertsite.direct_post import MAX_BYTES
from bulkload.alertsite.pacing import Pace
from bulkload.errors import ApiError, InDoubt, NotSent, Rejected, UnreadableResponse
from tests.support.raw_server import RawRequest, as_json, endless, raw_server
from tests.support.waiting import TIMEOUT

BODY = b'{"name": "mx1"}'


@pytest.fixture(params=["directly", "in the session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The way that creates take: the second one as if aiohttp had changed."""
    if request.param == "in the session":
        _rename_parameter(monkeypatch)
    return str(request.param)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the requests that aiohttp's session sends."""
    methods: list[str] = []
    original = aiohttp.ClientSession._request

    async def record(self: aiohttp.ClientSession, method: str, *arguments: Any, **options: Any) -> Any:
        methods.append(method)
        return await original(self, method, *arguments, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", record)
    return methods


def _rename_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = aiohttp.BaseConnector.connect

    async def changed(self: aiohttp.BaseConnector, request: Any, **options: Any) -> Any:
        return await connect(self, request, **options)

    monkeypatch.setattr(aiohttp.BaseConnector, "connect", changed)


async def _create(base_url: str, *, seconds: float = TIMEOUT, count: int = 1, body: bytes = BODY) -> list[object]:
    """The results of creates, one after the other, over one client."""
    results: list[object] = []
    async with Api(base_url, Pace(None), token="t", request_timeout=seconds) as api:
        for _ in range(count):
            try:
                results.append((await api.create("email-imap", body)).monitor_id)
            except ApiError as error:
                results.append(error)
    return results


async def test_the_request_is_the_same_in_both_ways(monkeypatch: pytest.MonkeyPatch, sessions: list[str]) -> None:
    with raw_server(lambda request: as_json({"id": "7"})) as server:
        assert await _create(server.base_url) == ["7"]
        assert sessions == []
        _rename_parameter(monkeypatch)
        assert await _create(server.base_url) == ["7"]
        assert sessions == ["POST"]
    heads = [sorted(request.head.lower().splitlines()) for request in server.requests]
    assert heads[0] == heads[1]
    assert [request.body for request in server.requests] == [BODY, BODY]


async def test_a_long_body_is_sent_in_the_session(sessions: list[str]) -> None:
    """It may not fit into the buffer of the socket."""
    body = b'{"name": "' + b"x" * MAX_BYTES + b'"}'
    with raw_server(lambda request: as_json({"id": "7"})) as server:
        assert await _create(server.base_url, body=body) == ["7"]
    assert sessions == ["POST"]
    assert server.requests[0].body == body


async def test_a_change_of_aiohttp_that_shows_late_sends_nothing_twice(
    monkeypatch: pytest.MonkeyPatch, sessions: list[str]
) -> None:
    """The parts look as expected, but connecting fails; then the session sends this request and all others."""
    connect = aiohttp.BaseConnector.connect

    @functools.wraps(connect)
    async def stricter(self: Any, req: Any, **options: Any) -> Any:
        if not sessions:
            raise AttributeError("req.something_new")
        return await connect(self, req, **options)

    monkeypatch.setattr(aiohttp.BaseConnector, "connect", stricter)
    with raw_server(lambda request: as_json({"id": "7"})) as server:
        assert await _create(server.base_url, count=2) == ["7", "7"]
    assert sessions == ["POST", "POST"]
    assert server.count("POST") == 2


@pytest.mark.parametrize("part", ["set_response_params", "read"])
async def test_a_missing_part_is_noticed_before_anything_is_sent(part: str, sessions: list[str]) -> None:
    with raw_server(lambda request: as_json({"id": "7"})) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(f"aiohttp.client_proto.ResponseHandler.{part}", None)
            api = Api(server.base_url, Pace(None), token="t")
        async with api:
            assert (await api.create("email-imap", BODY)).monitor_id == "7"
    assert sessions == ["POST"]


GZIP = gzip.compress(b'{"id": 7}', mtime=0)
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS: dict[str, list[bytes]] = {
    "chunked": [CHUNKED, b'5\r\n{"id"\r\n', b'5\r\n:"7"}\r\n', b"0\r\n\r\n"],
    "informational first": [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", *as_json({"id": "7"})],
    "gzip": [f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(GZIP)}\r\n\r\n".encode(), GZIP],
    "byte by byte": [bytes([byte]) for byte in b"".join(as_json({"id": "7"}))],
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_any_form_of_a_response_is_read_and_its_connection_used_again(way: str, answer: list[bytes]) -> None:
    with raw_server(lambda request: answer) as server:
        assert await _create(server.base_url, count=3) == ["7"] * 3


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_response_that_ends_with_its_connection_is_read(way: str, version: str) -> None:
    """Its length is unknown, and the next request takes another connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listening.accept()
                with connection:
                    _receive(connection)
                    head = f"HTTP/{version} 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"
                    connection.sendall(head.encode() + b'{"id": "7"}')

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert await _create(f"http://127.0.0.1:{listening.getsockname()[1]}", count=2) == ["7", "7"]
        thread.join(TIMEOUT)


BROKEN: dict[str, Callable[[], Iterable[bytes]]] = {
    "no response": lambda: (),
    "no HTTP": lambda: [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "half a head": lambda: [b"HTTP/1.1 200 OK\r\nContent-"],
    "half a body": lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"],
    "a wrong chunk": lambda: [CHUNKED, b"zz\r\n"],
    "an endless header": lambda: endless(b"HTTP/1.1 200 OK\r\nA: ", b"x" * 65536),
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_after_a_broken_response_the_create_is_in_doubt(way: str, broken: str) -> None:
    def answer(request: RawRequest) -> Iterator[bytes]:
        yield from BROKEN[broken]()
        raise OSError  # closes the connection

    with raw_server(answer) as server:
        began = time.monotonic()
        (error,) = await _create(server.base_url, seconds=10)
    assert isinstance(error, InDoubt), error
    assert "token" not in str(error).lower()
    assert began <= float(error.sent_at.split("|")[1])
    assert server.count("POST") == 1


async def test_a_create_whose_connection_is_closed_without_a_word_to_its_reader_ends_in_time(way: str) -> None:
    """A wrong chunk that comes after the head: aiohttp closes the connection, but whoever reads the body waits."""
    head_is_read = threading.Event()

    def answer(request: RawRequest) -> Iterator[bytes]:
        yield CHUNKED
        head_is_read.wait(TIMEOUT)
        yield b"zz\r\n"

    with raw_server(answer) as server:
        async with Api(server.base_url, Pace(None), token="t", request_timeout=1) as api:
            task = asyncio.create_task(api.create("email-imap", BODY))
            while "read_body" not in _waits_in(task):
                await asyncio.sleep(0)
            head_is_read.set()
            with pytest.raises(InDoubt):
                await task
            assert not task.cancelling()


def _waits_in(task: asyncio.Task[Any]) -> str:
    """The names of the coroutines that a task waits in."""
    names: list[str] = []
    waiting: Any = task.get_coro()
    while waiting is not None:
        names.append(getattr(waiting, "__name__", ""))
        waiting = getattr(waiting, "cr_await", None)
    return " ".join(names)


async def test_an_endless_response_is_unreadable(way: str) -> None:
    with raw_server(lambda request: endless()) as server:
        (error,) = await _create(server.base_url)
    assert isinstance(error, UnreadableResponse)


@pytest.mark.parametrize("dribbling", [False, True])
async def test_a_response_that_does_not_come_in_time_leaves_the_create_in_doubt(way: str, dribbling: bool) -> None:
    """The whole response counts, so bytes now and then do not extend the time; the next request is not disturbed."""
    released = threading.Event()

    def answer(request: RawRequest) -> Iterator[bytes]:
        if len(server.requests) > 1:
            yield from as_json({"id": "7"})
            return
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" if dribbling else b""
        while not released.wait(0.05):
            yield b" " if dribbling else b""

    with raw_server(answer) as server:
        async with Api(server.base_url, Pace(None), token="t", request_timeout=1) as api:
            with pytest.raises(InDoubt, match="timeout while waiting for the response") as caught:
                await api.create("email-imap", BODY)
            answered = time.monotonic()
            assert float(caught.value.sent_at.split("|")[1]) < answered - 0.5, "when it was sent, not when it failed"
            assert (await api.create("email-imap", BODY)).monitor_id == "7"
        released.set()


async def test_only_connections_that_wait_too_long_are_aborted(way: str) -> None:
    """Slow and quick responses to requests at the same time; one timer must not abort the wrong ones."""
    answered = threading.Event()

    def answer(request: RawRequest) -> Iterable[bytes]:
        if b"silent" in request.body:
            answered.wait(TIMEOUT)
            raise OSError
        return as_json({"id": str(json.loads(request.body)["name"])})

    with raw_server(answer) as server:
        async with Api(server.base_url, Pace(None), token="t", concurrency=20, request_timeout=1.5) as api:

            async def create(name: object) -> object:
                try:
                    return (await api.create("email-imap", json.dumps({"name": name}).encode())).monitor_id
                except InDoubt:
                    return None

            silent = [asyncio.create_task(create("silent")) for _ in range(3)]
            while not all(task.done() for task in silent):
                names = range(100, 110)
                assert await asyncio.gather(*map(create, names)) == [str(name) for name in names]
            assert [task.result() for task in silent] == [None] * 3
        answered.set()


async def test_a_refusal_closes_nothing(way: str) -> None:
    connections: set[int] = set()

    def answer(request: RawRequest) -> list[bytes]:
        connections.add(threading.get_ident())
        return as_json({"errors": [{"code": 400, "message": "no such plan"}]}, 400)

    with raw_server(answer) as server:
        results = await _create(server.base_url, count=3)
    assert [type(result) for result in results] == [Rejected] * 3
    assert len(connections) == 1


async def test_nothing_is_sent_where_no_connection_can_be_made(way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (error,) = await _create(f"http://127.0.0.1:{port}")
    assert type(error) is NotSent


async def test_a_cancelled_create_leaves_no_connection_open(way: str) -> None:
    closed = threading.Event()
    received = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(TIMEOUT)
                connection.recv(65536)
                received.set()
                if not connection.recv(1):
                    closed.set()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        async with Api(f"http://127.0.0.1:{listening.getsockname()[1]}", Pace(None), token="t") as api:
            task = asyncio.create_task(api.create("email-imap", BODY))
            await asyncio.to_thread(received.wait, TIMEOUT)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(closed.wait, TIMEOUT)
        thread.join(TIMEOUT)


def _receive(connection: socket.socket) -> bytes:
    """A request that ends with `BODY`."""
    received = b""
    while BODY not in received:
        piece = connection.recv(65536)
        assert piece, "the client has closed the connection"
        received += piece
    return received


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    options = "-x509 -newkey rsa:2048 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 2"
    command = ["openssl", "req", *options.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_a_create_over_tls(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = _certificate(tmp_path)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            plain, _ = listening.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                for _ in range(2):
                    requests.append(_receive(connection))
                    connection.sendall(b"".join(as_json({"id": "7"})))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert await _create(f"https://localhost:{listening.getsockname()[1]}", count=2) == ["7", "7"]
        thread.join(TIMEOUT)
    assert len(requests) == 2


async def test_connections_that_creates_keep_are_there_for_other_requests() -> None:
    """Together they may not have more connections than the pool allows, and none waits for one that is only kept."""
    together = threading.Barrier(4, timeout=TIMEOUT)

    def answer(request: RawRequest) -> list[bytes]:
        if request.request_line.startswith("DELETE"):
            return [b"HTTP/1.1 204 No Content\r\n\r\n"]
        together.wait()  # so that each create has a connection of its own
        return as_json({"id": "7"})

    with raw_server(answer) as server:
        async with Api(server.base_url, Pace(None), token="t", concurrency=2, request_timeout=TIMEOUT) as api:
            for _ in range(2):
                await asyncio.gather(*(api.create("email-imap", BODY) for _ in range(together.parties)))
                assert await api.delete("7")


async def test_a_kept_connection_that_the_server_has_closed_is_not_used() -> None:
    def answer_and_close(request: RawRequest) -> Iterator[bytes]:
        yield from as_json({"id": "7"})
        raise ConnectionError

    with raw_server(answer_and_close) as server:
        async with Api(server.base_url, Pace(None), token="t", request_timeout=TIMEOUT) as api:
            for _ in range(3):
                assert (await api.create("email-imap", BODY)).monitor_id == "7"
                ((connection, _),) = next(iter(api._direct_post._kept.values()))
                assert connection.protocol is not None
                while connection.protocol.is_connected():
                    await asyncio.sleep(0.001)
    assert server.count("POST") == 3


async def test_a_connection_is_not_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulkload.alertsite.direct_post.KEPT_SECONDS", 0.0)
    connections: list[object] = []
    connect = aiohttp.TCPConnector._create_connection

    async def record(self: Any, *arguments: Any, **options: Any) -> Any:
        connections.append(await connect(self, *arguments, **options))
        return connections[-1]

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", record)
    with raw_server(lambda request: as_json({"id": "7"})) as server:
        assert await _create(server.base_url, count=3) == ["7"] * 3
    assert len(connections) == 3
