"""Run the server of the upload page in a thread, and send it requests as a browser or an attacker would."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from bulkload.sandbox.server import in_thread
from bulkload.settings import Account, Options
from bulkload.web.access import access_of, checks_token_itself
from bulkload.web.server import Server
from bulkload.web.state import UPLOADS
from tests.support.waiting import TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete response."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def goes_to(self) -> str:
        """The address that the page loads by itself; empty if it does not."""
        match = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', self.text)
        return match[1].replace("&amp;", "&") if match else ""

    @property
    def cookie(self) -> str:
        """The cookie that it sets, as the browser sends it; empty if it sets none."""
        return (self.headers["Set-Cookie"] or "").partition(";")[0]


@dataclass(slots=True, kw_only=True)
class UploadPage:
    """A running server. `cookie` and `token` are those of a browser that has entered."""

    url: str
    output: Path
    key: str
    cookie: str = ""
    token: str = ""
    seen: list[Any] = field(default_factory=list)  # what the handlers of the test have noted

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return urlsplit(self.url).port or 0

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, str] | None = None,
        *,
        cookie: str | None = None,
        peer: str = "127.0.0.1",
        **headers: str,
    ) -> Answer:
        """Send a request; by default with the cookie. A mapping is sent as a form; `_` in header names is `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        cookie = self.cookie if cookie is None else cookie
        if cookie:
            sent["Cookie"] = cookie
        if isinstance(body, Mapping):
            body = urlencode(body).encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT, source_address=(peer, 0))
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(status=response.status, headers=response.headers, text=response.read().decode())
        finally:
            connection.close()

    def upload(self, *parts: tuple[str, str | None, bytes], token: str | None = None, **headers: str) -> Answer:
        """Send a multipart form to the test's upload handler, the token first; `token` replaces the right one."""
        form = multipart(("token", None, (self.token if token is None else token).encode()), *parts)
        return self.ask("POST", "/test-upload", form, Content_Type=MULTIPART, **headers)

    def files(self) -> list[Path]:
        """The files in the folder of the uploads."""
        folder = self.output / "uploads"
        return sorted(folder.iterdir()) if folder.is_dir() else []


BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def multipart(*parts: tuple[str, str | None, bytes]) -> bytes:
    """A multipart form as browsers send it, of names, file names and contents."""
    return b"".join(part_head(name, filename) + content for name, filename, content in parts) + (
        f"\r\n--{BOUNDARY}--\r\n".encode()
    )


def part_head(name: str, filename: str | None) -> bytes:
    """The beginning of a part."""
    quoted = "" if filename is None else filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    file = "" if filename is None else f'; filename="{quoted}"\r\nContent-Type: application/octet-stream'
    return f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode(
        "utf-8", "surrogateescape"
    )


@contextmanager
def upload_page(
    output: Path,
    *,
    host: str = "127.0.0.1",
    add: Callable[[UploadPage, web.Application], None] | None = None,
    **settings: Any,
) -> Iterator[UploadPage]:
    """Run the server during the block, with handlers of the test's own; a browser has entered with the key."""
    server = Server(Account(), Options(output=output, **settings), host, 0)
    page = UploadPage(url="", output=output, key="")
    _add_test_handlers(page, server.app)
    if add is not None:
        add(page, server.app)
    with in_thread(server.running(), "upload page", TIMEOUT):
        page.url = server.url
        _, shows_key, key = server.url.rpartition("?key=")
        page.key = key if shows_key else settings["serve_key_file"].read_text()
        entered = page.ask("GET", f"/?{urlencode({'key': page.key})}", Host=page_host(page, host))
        page.cookie = entered.cookie
        page.token = page.ask("GET", "/test-token", Host=page_host(page, host)).text
        yield page


def page_host(page: UploadPage, host: str) -> str:
    """The Host header of a request to the page."""
    return f"{host}:{page.port}"


def _add_test_handlers(page: UploadPage, app: web.Application) -> None:
    async def token(request: web.Request) -> web.Response:
        return web.Response(text=access_of(request).form_token)

    async def user(request: web.Request) -> web.Response:
        return web.Response(text=access_of(request).user)

    async def action(request: web.Request) -> web.Response:
        page.seen.append("action")
        return web.Response(text="done")

    @checks_token_itself
    async def upload(request: web.Request) -> web.Response:
        async with request.app[UPLOADS].receive(request) as upload:
            page.seen.append((upload, upload.path.read_bytes()))
        return web.Response(text=upload.name)

    app.router.add_get("/test-token", token)
    app.router.add_get("/test-user", user)
    app.router.add_post("/test-action", action)
    app.router.add_post("/test-upload", upload)
