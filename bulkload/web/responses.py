"""Make responses: the security headers of all of them, names of downloads, and plain pages for errors.

In: a response before it is sent, or what an error page says. Out: the headers set, or a page of HTML without any
template, so that it can be shown whatever went wrong.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.web.rendering import render
from bulkload.web.views import Frame

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the start link contains the key
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Server": "bulkload",  # in place of the names and versions of the libraries
}
MAX_DOWNLOAD_NAME = 200  # characters
_UNSAFE_IN_NAME = re.compile(r'[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069/\\:*?"<>|]')

_TITLES = {
    400: "That did not work",
    403: "Not allowed",
    404: "Page not found",
    408: "The connection was too slow",
    409: "In use at the moment",
    413: "Too large",
    500: "Something went wrong",
    507: "No room left",
}
_SENTENCES = {
    400: "The browser sent a request that cannot be understood.",
    404: "There is no page at this address. It may have been deleted, or the link is not complete.",
    405: "This address cannot be opened like this. Go back, and use the buttons of the page.",
    413: "That is more than this page accepts.",
    500: "This is a bug in bulkload, not in your file. To see what was done, open the list of runs.",
    503: "The server is stopping. Load the page again when it has been started.",
}


class RequestError(UsageError):
    """A request that cannot be served; the message is for the user, `status` for the browser."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def set_security_headers(response: web.StreamResponse) -> None:
    """Add the headers that every response has; only static files set a `Cache-Control` of their own."""
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def content_disposition(name: str) -> str:
    """The value of `Content-Disposition` that downloads a file under a name of any characters (RFC 6266)."""
    safe = _UNSAFE_IN_NAME.sub("_", name.encode("utf-8", "replace").decode()).strip(" .")
    if len(safe) > MAX_DOWNLOAD_NAME:
        stem, dot, suffix = safe.rpartition(".")
        suffix = f"{dot}{suffix}" if stem and len(suffix) <= 10 else ""
        safe = safe[: MAX_DOWNLOAD_NAME - len(suffix)] + suffix
    safe = safe or "download"
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", safe)
    extended = "" if plain == safe else f"; filename*=UTF-8''{quote(safe, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def going_page(address: str, *, status: int = 200) -> web.Response:
    """A page that loads another address of this server at once, as a navigation that begins on this site."""
    link = html.escape(address)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Opening the page… · bulkload</title>'
        '<link rel="icon" href="data:,">'  # without it, browsers ask for /favicon.ico
        '<link rel="icon" href="data:,">'
        f'<meta http-equiv="refresh" content="0; url={link}"></head><body><p><a href="{link}">Continue</a></p></body>'
        "</html>\n"
    )
    return web.Response(text=text, status=status, content_type="text/html")


def error_page(status: int, message: str = "", *, headers: Mapping[str, str] | None = None) -> web.Response:
    """The page of an error; without a message, it has a sentence of its own for the status."""
    title = _TITLES.get(status) or (HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error")
    sentence = printable(message) or _SENTENCES.get(status, "This request cannot be served.")
    text = render(
        "error.html", frame=Frame(title=title), heading=title, sentence=sentence, back_href="/", back_label="Start page"
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
