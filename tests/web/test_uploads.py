"""An upload is stored under a name of our own, within limits, completely or not at all."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bulkload.errors import InputError
from bulkload.operations.pasted import prepare_pasted
from bulkload.web import uploads
from bulkload.web.access import checks_token_itself
from bulkload.web.state import UPLOADS
from bulkload.web.uploads import MAX_NAME, Upload, shown_name
from tests.support.upload_page import BOUNDARY, MULTIPART, UploadPage, multipart, part_head, upload_page
from tests.support.waiting import TIMEOUT, wait_until

MEGABYTE = 1 << 20


def _only(page: UploadPage) -> tuple[Upload, bytes]:
    """The one upload that the handler has seen."""
    ((upload, content),) = page.seen
    assert page.files() == [upload.path]
    return upload, content


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a",
        b"\r\n",
        b"\r\n--",
        f"\r\n--{BOUNDARY[:-1]}".encode() * 3,
        b"\x00\xff\r\n\r\n--\n" * 1000,
        os.urandom(3 * MEGABYTE + 1),
    ],
    ids=["empty", "one byte", "line break", "dashes", "almost a boundary", "binary", "3 MB"],
)
def test_a_file_is_stored_as_it_is(page: UploadPage, content: bytes) -> None:
    answer = page.upload(("file", "Hosts.XLSX", content), ("no_header", None, b"1"))
    assert (answer.status, answer.text) == (200, "Hosts.XLSX")
    upload, stored = _only(page)
    assert stored == content
    assert upload.path.read_bytes() == content
    assert (upload.path.suffix, upload.no_header, upload.is_host_list) == (".xlsx", True, False)
    assert stat.S_IMODE(upload.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(upload.path.parent.stat().st_mode) == 0o700


def test_a_form_may_arrive_byte_by_byte(page: UploadPage) -> None:
    form = multipart(("token", None, page.token.encode()), ("file", "a.csv", b"\r\n-\r\n--x"), ("text", None, b""))
    with _connected(page, f"Content-Length: {len(form)}") as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in form:
            connection.sendall(bytes([byte]))
        assert _status(connection) == 200
    assert _only(page)[1] == b"\r\n-\r\n--x"


@pytest.mark.parametrize(
    ("given", "shown", "suffix"),
    [
        ("../../etc/passwd", "passwd", ""),
        ("C:\\x", "x", ""),
        ("C:\\Users\\ann\\hosts.csv", "hosts.csv", ".csv"),
        ("/etc/cron.d/hosts.CSV", "hosts.CSV", ".csv"),
        ("a\x00.csv\x00", "a.csv", ".csv"),
        ("a\r\nSet-Cookie: x.csv", "aSet-Cookie: x.csv", ".csv"),
        ("x" * 300 + ".csv", "x" * (MAX_NAME - 4) + ".csv", ".csv"),
        ("hosts\u202excod.exe", "hostsxcod.exe", ""),
        ("a\u2066b\u2069\u200f.ods", "ab.ods", ".ods"),
        ('say "hi".csv', 'say "hi".csv', ".csv"),
        ("=cmd|' /C calc'!A0.csv", "C calc'!A0.csv", ".csv"),
        ("<b>.csv", "<b>.csv", ".csv"),
        ("M\u00fcller \u682a\u5f0f.csv", "M\u00fcller \u682a\u5f0f.csv", ".csv"),
        ("hosts.php", "hosts.php", ""),
        ("hosts.csv/", "upload", ""),
        ("..", "upload", ""),
        (".", "upload", ""),
        ("\u202e", "upload", ""),
        ("a.csv\udcff", "a.csv\ufffd", ""),
    ],
)
def test_a_name_is_only_a_text(page: UploadPage, given: str, shown: str, suffix: str) -> None:
    before = {path for path in page.output.parent.rglob("*") if "uploads" not in path.parts}
    assert page.upload(("file", given, b"a")).status == 200
    upload, _ = _only(page)
    assert (upload.name, upload.path.suffix) == (shown, suffix)
    assert upload.path.parent == page.output / "uploads"
    assert upload.path.stem.isalnum()
    assert len(upload.path.stem) == 32
    assert {path for path in page.output.parent.rglob("*") if "uploads" not in path.parts} == before
    assert upload.renamed(f"{upload.path.name}: it is damaged.") == f"{shown}: it is damaged."


def test_a_name_that_is_too_long_is_cut() -> None:
    assert shown_name("x" * 1000) == "x" * MAX_NAME


# ── text ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pasted_rows_are_stored_as_they_are(page: UploadPage) -> None:
    rows = 'name\thostname\r\n"two\nlines ""x"""\tmail.example.com\r\n\r\n#1\tb, c\r\n'
    assert page.upload(("file", "", b""), ("text", None, rows.encode())).status == 200
    upload, content = _only(page)
    assert content == rows.encode()
    assert (upload.name, upload.path.suffix, upload.is_host_list, upload.no_header) == (
        "Pasted rows", ".tsv", False, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a.example\r\n\r\n# old ones\r\n b.example:993 \n", "a.example\ta.example\nb.example:993\tb.example:993\n"),
        ("\ufeffimaps://m\u00fcller.example", "imaps://m\u00fcller.example\timaps://m\u00fcller.example\n"),
        ("a.example\ra.example", "a.example\ta.example\n" * 2),
    ],
)
def test_a_list_of_hosts_gets_names(page: UploadPage, text: str, stored: str) -> None:
    assert page.upload(("text", None, text.encode())).status == 200
    upload, content = _only(page)
    assert content.decode() == f"name\thostname\n{stored}"
    assert upload.is_host_list


@pytest.mark.parametrize(
    "text",
    [
        "hostname\na.example",
        "Mail Server\na.example",
        "SERVER\na.example",
        "a.example\nb.example c",
        "a.example\tb",
        "a.example,b",
        "a.example;b",
        "a.example|b",
        '"a.example"',
        "define service{\n}",
        "key=value",
        "# only a comment",
        "",
    ],
)
def test_other_text_is_no_list_of_hosts(text: str) -> None:
    pasted = prepare_pasted(text)
    assert (pasted.text, pasted.is_host_list) == (text + "\n", False)  # else its last cell would count as cut off


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([], "Choose a file, or paste rows, first."),
        ([("file", "", b""), ("text", None, b" \r\n ")], "Choose a file, or paste rows, first."),
        ([("file", "a.csv", b"a"), ("text", None, b"b")], "Choose a file or paste rows, but not both."),
        ([("file", "a.csv", b"a"), ("file", "b.csv", b"b")], "Choose one file at a time."),
        ([("text", None, b"\xff")], "not valid UTF-8"),
        ([("text", None, b"a" * (5 * MEGABYTE + 1))], "at most 5 MB"),
        ([("no_header", None, b"1" * 5000)], "too long"),
        ([(f"other{number}", None, b"") for number in range(30)], "too many fields"),
    ],
)
def test_a_form_that_cannot_be_used_leaves_nothing(
    page: UploadPage, parts: list[tuple[str, str | None, bytes]], sentence: str
) -> None:
    answer = page.upload(*parts)
    assert answer.status in (400, 413)
    assert sentence in answer.text
    assert (page.seen, page.files()) == ([], [])


# ── the token ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_token_comes_before_the_file_or_as_a_header(page: UploadPage) -> None:
    file = ("file", "a.csv", b"a")
    late = multipart(file, ("token", None, page.token.encode()))
    assert page.ask("POST", "/test-upload", late, Content_Type=MULTIPART).status == 403
    assert page.ask("POST", "/test-upload", multipart(file), Content_Type=MULTIPART).status == 403
    assert page.upload(file, token="wrong").status == 403
    assert (page.seen, page.files()) == ([], [])
    by_header = page.ask("POST", "/test-upload", multipart(file), Content_Type=MULTIPART, X_Form_Token=page.token)
    assert by_header.status == 200


def test_a_form_of_another_handler_is_checked_before_it(page: UploadPage) -> None:
    form = multipart(("other", None, b"x"), ("token", None, b"wrong"))
    assert page.ask("POST", "/test-action", form, Content_Type=MULTIPART).status == 403
    form = multipart(("other", None, b"x"), ("token", None, page.token.encode()))
    assert page.ask("POST", "/test-action", form, Content_Type=MULTIPART).status == 200
    assert page.seen == ["action"]


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _connected(page: UploadPage, *headers: str) -> socket.socket:
    """A connection on which the head of an upload has been sent."""
    connection = socket.create_connection(("127.0.0.1", page.port), timeout=TIMEOUT)
    head = [
        "POST /test-upload HTTP/1.1",
        f"Host: 127.0.0.1:{page.port}",
        f"Cookie: {page.cookie}",
        f"Content-Type: {MULTIPART}",
        *headers,
    ]
    connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
    return connection


def _status(connection: socket.socket) -> int:
    """The status of the response, read until its body is complete."""
    data = b""
    while b"\r\n\r\n" not in data or b"</html>" not in data.partition(b"\r\n\r\n")[2]:
        received = connection.recv(65536)
        data += received
        if not received or data.startswith(b"HTTP/1.1 200"):
            break
    return int(data.split()[1])


def _sending(connection: socket.socket, pieces: Iterable[bytes]) -> threading.Thread:
    """Send in a thread until the server closes the connection."""

    def send() -> None:
        with suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def _form_of(page: UploadPage, size: int) -> Iterable[bytes]:
    yield multipart(("token", None, page.token.encode())).removesuffix(f"\r\n--{BOUNDARY}--\r\n".encode())
    yield part_head("file", "a.csv")
    for _ in range(size >> 20):
        yield b"x" * MEGABYTE
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def test_200_megabytes_are_refused_with_a_page_that_arrives_after_all_was_sent(page: UploadPage) -> None:
    """A browser shows the response only once it has sent everything; the connection must last so long."""
    form = list(_form_of(page, 200 * MEGABYTE))
    with _connected(page, f"Content-Length: {sum(map(len, form))}") as connection:
        for piece in form:
            connection.sendall(piece)  # raises if the server resets the connection
        assert _status(connection) == 413
    assert page.files() == []


def test_a_file_a_little_too_large_is_refused(page: UploadPage) -> None:
    answer = page.upload(("file", "a.csv", b"x" * (uploads.MAX_UPLOAD + 1)))
    assert answer.status == 413
    assert "at most 50 MB are allowed" in answer.text
    assert page.files() == []
    assert page.upload(("file", "a.csv", b"x" * uploads.MAX_UPLOAD)).status == 200


@pytest.mark.parametrize("start", ["file", "nothing", "preamble", "head"])
def test_an_endless_upload_is_cut(page: UploadPage, start: str) -> None:
    token = multipart(("token", None, page.token.encode())).removesuffix(f"\r\n--{BOUNDARY}--\r\n".encode())
    first = {
        "file": token + part_head("file", "a.csv"),
        "nothing": b"x",
        "preamble": b"\r\n",
        "head": f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=".encode(),
    }[start]

    def chunks() -> Iterable[bytes]:
        yield b"%x\r\n%s\r\n" % (len(first), first)
        while True:
            yield b"%x\r\n%s\r\n" % (65536, b"x" * 65536)

    connection = _connected(page, "Transfer-Encoding: chunked")
    thread = _sending(connection, chunks())
    assert _status(connection) == (413 if start == "file" else 400)
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    thread.join(TIMEOUT)
    assert page.files() == []
    assert page.ask("GET", "/health").status == 200


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_browser_that_leaves_midway_leaves_nothing(page: UploadPage, is_reset: bool) -> None:
    form = b"".join(_form_of(page, 3 * MEGABYTE))
    connection = _connected(page, f"Content-Length: {len(form)}")
    connection.sendall(form[: 2 * MEGABYTE])
    wait_until(lambda: [path.suffix for path in page.files()] == [".part"])
    if is_reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()
    wait_until(lambda: page.files() == [])
    assert page.seen == []


def test_a_form_that_ends_too_early_leaves_nothing(page: UploadPage) -> None:
    form = multipart(("token", None, page.token.encode()), ("file", "a.csv", b"a"))
    answer = page.ask("POST", "/test-upload", form.removesuffix(b"--\r\n"), Content_Type=MULTIPART)
    assert (answer.status, page.files(), page.seen) == (400, [], [])


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/mixed; boundary=a", "multipart/form-data; boundary=" + "a" * 99]
)
def test_a_form_without_a_usable_boundary_is_refused(page: UploadPage, content_type: str) -> None:
    assert page.ask("POST", "/test-upload", b"a", Content_Type=content_type, X_Form_Token=page.token).status == 400


def test_a_full_folder_is_a_sentence(page: UploadPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FILES", 1)
    assert page.upload(("file", "a.csv", b"a")).status == 200
    answer = page.upload(("file", "b.csv", b"b"))
    assert (answer.status, len(page.files())) == (507, 1)
    assert "Delete drafts" in answer.text
    monkeypatch.setattr(uploads, "MAX_FILES", 10)
    monkeypatch.setattr(uploads, "MAX_FOLDER", uploads.MAX_UPLOAD)
    assert page.upload(("text", None, b"a")).status == 507


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_a_sentence(page: UploadPage, monkeypatch: pytest.MonkeyPatch) -> None:
    real_open = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, *rest: real_open(*(("/dev/full", os.O_WRONLY) if "uploads" in str(path) else (path, *rest))),
    )
    answer = page.upload(("file", "a.csv", b"a" * 3 * MEGABYTE))
    assert (answer.status, page.files()) == (507, [])
    assert "disk of the server is full" in answer.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_sentence(page: UploadPage) -> None:
    page.output.chmod(0o500)
    answer = page.upload(("file", "a.csv", b"a"))
    assert (answer.status, "cannot be stored" in answer.text) == (400, True)


def test_a_file_in_place_of_the_folder_is_a_sentence(page: UploadPage) -> None:
    (page.output / "uploads").write_text("")
    answer = page.upload(("file", "a.csv", b"a"))
    assert (answer.status, "cannot be stored" in answer.text) == (400, True)


def _reading(started: threading.Semaphore, go_on: threading.Event) -> Callable[[UploadPage, web.Application], None]:
    """A handler that reads its upload until `go_on`."""
    import asyncio

    def add(page: UploadPage, app: web.Application) -> None:
        @checks_token_itself
        async def handler(request: web.Request) -> web.Response:
            async with request.app[UPLOADS].receive(request):
                started.release()
                await asyncio.to_thread(go_on.wait, TIMEOUT)
            return web.Response(text="read")

        app.router.add_post("/slow", handler)

    return add


def test_few_uploads_are_read_at_once_and_others_wait(tmp_path: Path) -> None:
    started, go_on = threading.Semaphore(0), threading.Event()
    with upload_page(tmp_path / "output", add=_reading(started, go_on)) as page:
        form = multipart(("file", "a.csv", b"a"))
        statuses: list[int] = []

        def send() -> None:
            answer = page.ask("POST", "/slow", form, Content_Type=MULTIPART, X_Form_Token=page.token)
            statuses.append(answer.status)

        threads = [threading.Thread(target=send) for _ in range(uploads.MAX_AT_ONCE + 1)]
        for thread in threads:
            thread.start()
        for _ in range(uploads.MAX_AT_ONCE):
            assert started.acquire(timeout=TIMEOUT)
        assert page.ask("GET", "/health").status == 200
        assert not started.acquire(timeout=0.1)
        go_on.set()
        for thread in threads:
            thread.join(TIMEOUT)
        assert statuses == [200] * (uploads.MAX_AT_ONCE + 1)


def test_a_file_that_its_handler_cannot_use_is_removed(tmp_path: Path) -> None:
    def add(page: UploadPage, app: web.Application) -> None:
        @checks_token_itself
        async def handler(request: web.Request) -> web.Response:
            async with request.app[UPLOADS].receive(request) as upload:
                raise InputError(upload.renamed(f"{upload.path.name}: it is damaged."))

        app.router.add_post("/damaged", handler)

    with upload_page(tmp_path / "output", add=add) as page:
        form = multipart(("file", "hosts.xlsx", b"a"))
        answer = page.ask("POST", "/damaged", form, Content_Type=MULTIPART, X_Form_Token=page.token)
        assert (answer.status, page.files()) == (400, [])
        assert "hosts.xlsx: it is damaged." in answer.text


def test_what_a_killed_server_had_not_received_completely_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "output" / "uploads"
    folder.mkdir(parents=True)
    kept: list[Any] = []
    for name in ("a.csv.part", "b.csv"):
        (folder / name).write_text("x")
    with upload_page(tmp_path / "output") as page:
        kept = [path.name for path in page.files()]
    assert kept == ["b.csv"]
