"""Browsers that leave in the middle: the server goes on, and keeps no file, connection or memory for them."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.served import Serve, Served
from tests.support.waiting import TIMEOUT, wait_until
from tests.support.web_client import Visitor, csv_of, multipart

STREAMS = 300
MAX_GROWTH = 60 << 20  # bytes of memory


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def server(serve: Serve, temporary: Path) -> Served:
    return serve(BULKLOAD_CONCURRENCY="1", TMPDIR=str(temporary))


@pytest.fixture
def visitor(server: Served) -> Visitor:
    return Visitor(server.address)


@contextmanager
def request(visitor: Visitor, method: str, path: str, headers: str = "", body: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which a request was sent; at the end, it is reset, as by a browser that is closed."""
    connection = socket.create_connection((visitor.host, visitor.port), timeout=TIMEOUT)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {visitor.host}:{visitor.port}\r\nCookie: {visitor.cookie}\r\n{headers}\r\n"
    )
    connection.sendall(head.encode() + body)
    try:
        yield connection
    finally:
        connection.close()


def open_files(server: Served) -> int:
    """How many files and connections the server has open, without the store: SQLite closes it when it sees fit."""
    links = Path(f"/proc/{server.process.pid}/fd").iterdir()
    return sum("bulkload.sqlite3" not in str(_target(link)) for link in links)


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:  # closed in the meantime
        return None


def memory(server: Served) -> int:
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) << 10


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_an_upload_that_is_left_leaves_no_file(server: Served, visitor: Visitor, share: float) -> None:
    visitor.draft(csv_of(1))
    uploads = server.folder / "output" / "uploads"
    kept, before = set(uploads.iterdir()), open_files(server)
    body, content_type = multipart([("token", None, visitor.token.encode()), ("file", "left.csv", csv_of(50_000))])
    headers = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    with request(visitor, "POST", "/drafts", headers, body[: int(len(body) * share)]):
        if share:
            wait_until(lambda: set(uploads.iterdir()) > kept)
    wait_until(lambda: set(uploads.iterdir()) == kept and open_files(server) <= before)
    assert server.is_healthy()
    assert "left.csv" not in visitor.get("/").text


def test_a_file_is_read_to_its_end_although_its_browser_left(server: Served, visitor: Visitor) -> None:
    body, content_type = multipart([("token", None, visitor.token.encode()), ("file", "large.csv", csv_of(60_000))])
    with request(visitor, "POST", "/drafts", f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n", body):
        page = visitor.until("/", lambda answer: "large.csv" in answer.text)
    draft = next(link for link in page.html.links() if link.startswith("/drafts/"))
    assert "60,000 rows are ready" in visitor.until(draft, lambda answer: "Reading the file" not in answer.text).shown


def test_a_download_that_is_left_leaves_no_file(server: Served, visitor: Visitor, temporary: Path) -> None:
    draft = visitor.draft(csv_of(20_000))
    before = open_files(server)
    for _ in range(3):
        with request(visitor, "GET", f"{draft}/marked.xlsx") as connection:
            wait_until(lambda: any(temporary.iterdir()))
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    wait_until(lambda: not any(temporary.iterdir()) and open_files(server) <= before)
    with request(visitor, "GET", f"{draft}/marked.xlsx"):
        wait_until(lambda: any(temporary.iterdir()))
    wait_until(lambda: not any(temporary.iterdir()) and open_files(server) <= before)
    assert server.is_healthy()


def test_event_streams_that_are_dropped_are_forgotten(server: Served, visitor: Visitor, account: Sandbox) -> None:
    draft = visitor.draft(csv_of(400))
    form = visitor.compared(draft).html.form("/start")
    account.set_faults(Faults(rules=(Rule(fault="slow", seconds=0.5),)))
    job = visitor.press(form, ("first", "all")).location
    visitor.until(job, lambda answer: "Creating monitors" in answer.text)
    events = f"{job}/events"
    with request(visitor, "GET", events) as first:
        assert b"event: progress" in received(first, b"event: progress")
        before, files = memory(server), open_files(server)

        def opens() -> bool:
            """Whether a stream was begun; otherwise the server has yet to notice that others left."""
            with request(visitor, "GET", events) as stream:
                return stream.recv(20).startswith(b"HTTP/1.1 200")

        for _ in range(STREAMS):
            wait_until(opens)
        wait_until(lambda: open_files(server) <= files)
        assert memory(server) < before + MAX_GROWTH

        def shows_progress() -> bool:
            with request(visitor, "GET", events, "Connection: close\r\n") as stream:
                return b"event: progress" in received(stream, b"event: progress")

        wait_until(shows_progress)
        assert server.is_healthy()
        visitor.post(f"{job}/stop")
        visitor.post(f"{job}/stop")
        assert b"event: ended" in received(first, b"event: ended")


def test_pages_that_nobody_waits_for_do_not_stop_the_server(server: Served, visitor: Visitor) -> None:
    draft = visitor.draft(csv_of(2_000))
    before = open_files(server)
    for path in ("/", draft, f"{draft}/columns", f"{draft}?q=example", "/runs", "/template.xlsx"):
        for _ in range(10):
            with request(visitor, "GET", path):
                pass
    wait_until(lambda: open_files(server) <= before)
    assert visitor.get(draft).status == 200


def received(connection: socket.socket, until: bytes) -> bytes:
    """What arrives up to these bytes, or to the end."""
    content = b""
    while until not in content and (piece := connection.recv(1 << 16)):
        content = content[-len(until) :] + piece
    return content
