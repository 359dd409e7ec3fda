"""When a request was sent: the earliest moment for a created monitor, the latest for a create in doubt."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import pytest

from bulkload import clock
from bulkload.alertsite.client import Api, CreatedMonitor
from bulkload.alertsite.pacing import Pace
from bulkload.errors import ApiError, InDoubt, Rejected, UnreadableResponse
from tests.support.raw_server import RawRequest, as_json, endless, raw_server
from tests.support.waiting import TIMEOUT

SLOW = 0.4  # seconds until the server responds
BODY = json.dumps({"name": "mx1", "hostname": "mx1.example.com", "note": "ü" * 3000}).encode()


def seconds(moment: str) -> float:
    """A moment in seconds of the monotonic clock."""
    assert moment.split("|")[0] == clock.moment().split("|")[0]
    return float(moment.split("|")[1])


async def _create(api: Api) -> CreatedMonitor | ApiError:
    try:
        return await api.create("email-imap", BODY)
    except ApiError as error:
        return error


@pytest.mark.parametrize("status", [200, 500])
async def test_a_request_that_waits_for_a_connection_is_sent_when_it_gets_one(status: int) -> None:
    """There are three connections for four requests, so the last one is sent after the first response."""
    answered: list[float] = []
    monitor_ids = iter(range(100, 200))
    all_connections = threading.Barrier(3)

    def answer(request: RawRequest) -> list[bytes]:
        if not answered:
            all_connections.wait(TIMEOUT)
        answered.append(time.monotonic())
        return as_json({"id": str(next(monitor_ids))}, status)

    with raw_server(answer) as server:
        async with Api(server.base_url, Pace(None), token="t", concurrency=1) as api:
            results = await asyncio.gather(*(_create(api) for _ in range(4)))
    moments = sorted(seconds(result.sent_at) for result in results if isinstance(result, CreatedMonitor | InDoubt))
    assert len(moments) == 4
    last_arrived = max(request.received_at for request in server.requests)
    assert last_arrived >= min(answered)
    if status == 200:
        assert moments[-1] <= last_arrived, "the earliest moment"
        assert moments[-1] < answered[0]
    else:
        assert moments[-1] >= min(answered), "the latest moment"
        assert moments[0] < min(answered), "those that did not wait were sent at once"


async def test_without_a_recorded_moment_a_request_was_sent_when_it_failed() -> None:
    """What the server did before it closed the connection is not known."""

    def answer(request: RawRequest) -> list[bytes]:
        time.sleep(SLOW)
        raise OSError  # closes the connection

    with raw_server(answer) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            began = time.monotonic()
            error = await _create(api)
    assert isinstance(error, InDoubt)
    assert began <= seconds(error.sent_at) <= time.monotonic()


async def test_a_create_is_sent_completely_and_with_its_length() -> None:
    with raw_server(lambda request: as_json({"id": "7"})) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            for _ in range(2):  # the second one reuses the connection
                assert await api.create("email-imap", BODY)
    for request in server.requests:
        assert request.request_line == "POST /monitors/email-imap"
        assert request.body == BODY
        assert f"Content-Length: {len(BODY)}" in request.head
        assert "Transfer-Encoding" not in request.head
        assert "Content-Type: application/json" in request.head


async def test_a_response_before_the_whole_body_is_sent_counts() -> None:
    """The server rejects the request after reading its head; the body is longer than the socket buffers."""
    received = threading.Event()
    body = b'{"name": "' + b"x" * 8_000_000 + b'"}'
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                for piece in as_json({"errors": [{"code": 413, "message": "too long"}]}, 413):
                    connection.sendall(piece)
                received.wait(TIMEOUT)  # closing earlier could destroy the response, because the body was not read

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            async with Api(base_url, Pace(None), token="t", request_timeout=TIMEOUT) as api:
                with pytest.raises(Rejected, match="too long"):
                    await api.create("email-imap", body)
        finally:
            received.set()
            thread.join(TIMEOUT)


async def test_an_endless_response_leaves_the_create_in_doubt_since_it_was_sent() -> None:
    with raw_server(lambda request: endless()) as server:
        async with Api(server.base_url, Pace(None), token="t") as api:
            began = time.monotonic()
            with pytest.raises(UnreadableResponse) as caught:
                await api.create("email-imap", BODY)
    assert began <= seconds(caught.value.sent_at) <= time.monotonic()
    assert server.count("POST") == 1
