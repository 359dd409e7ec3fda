"""Read a multipart form as a stream, part by part, with limits on everything.

In: the body of a request. Out: its parts, each with a name and its content in pieces. Only what browsers send is
accepted (RFC 7578): no nested parts, no transfer encodings.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import unquote

from aiohttp import web

from bulkload.web.responses import RequestError

MAX_HEAD = 8 << 10  # bytes of the headers of one part
MAX_PREAMBLE = 1 << 10  # bytes before the first part
SILENCE = 60.0  # seconds without a byte after which a browser is given up

_PARAMETER = {name: re.compile(rf';\s*{re.escape(name)}="([^"\r\n]*)"', re.IGNORECASE) for name in ("name", "filename")}
_EXTENDED_NAME = re.compile(r";\s*filename\*=utf-8''([^;\s]*)", re.IGNORECASE)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")


class BrowserLeft(Exception):
    """The browser closed the connection, or sent nothing for too long."""


class Part:
    """One part of a form; its content can be read once, before the next part is asked for."""

    def __init__(self, reader: FormReader, name: str, filename: str | None) -> None:
        self.name = name
        self.filename = filename  # as the browser gives it; None: this is no file
        self._reader = reader

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content, in pieces."""
        while piece := await self._reader.read_content():
            yield piece

    async def text(self, limit: int, too_long: str) -> str:
        """The content as text of at most `limit` bytes. Raises `RequestError` with this message if it is longer."""
        content = bytearray()
        async for piece in self.pieces():
            content += piece
            if len(content) > limit:
                raise RequestError(too_long, 413)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise RequestError("The text of the form is not valid UTF-8. Load the page again.") from None


class FormReader:
    """The parts of a form, in their order."""

    def __init__(self, request: web.Request, limit: int, too_long: str) -> None:
        """Read at most `limit` bytes; above that, `RequestError` with the message `too_long`."""
        boundary = _boundary(request.headers.get("Content-Type", ""))
        self._content = request.content
        self._delimiter = b"\r\n--" + boundary
        self._buffer = bytearray(b"\r\n")  # as if a line ended before the body: the first delimiter may begin it
        self._left = limit
        self._too_long = too_long
        self._in_part = True  # what precedes the first delimiter is read like a part
        self._is_first = True

    async def next_part(self) -> Part | None:
        """The next part; None after the last one. Raises `RequestError` and `BrowserLeft`."""
        skipped = 0
        while piece := await self.read_content():
            skipped += len(piece)
            if self._is_first and skipped > MAX_PREAMBLE:
                raise _malformed()
        self._is_first = False
        while len(self._buffer) < 2:
            await self._fill()
        if self._buffer.startswith(b"--"):
            return None
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise _malformed()
            await self._fill()
        head = bytes(self._buffer[:end]).decode("utf-8", "replace")
        del self._buffer[: end + 4]
        self._in_part = True
        disposition = next((line for line in head.split("\r\n") if line.lower().startswith("content-disposition:")), "")
        name = _PARAMETER["name"].search(disposition)
        if name is None:
            raise _malformed()
        return Part(self, name[1], _filename(disposition))

    async def read_content(self) -> bytes:
        """The next piece of the current part; empty at its end."""
        while self._in_part:
            if (end := self._buffer.find(self._delimiter)) >= 0:
                piece = bytes(self._buffer[:end])
                del self._buffer[: end + len(self._delimiter)]
                self._in_part = False
                return piece
            safe = len(self._buffer) - len(self._delimiter)  # the rest may be the beginning of a delimiter
            if safe > 0:
                piece = bytes(self._buffer[:safe])
                del self._buffer[:safe]
                return piece
            await self._fill()
        return b""

    async def _fill(self) -> None:
        try:
            async with asyncio.timeout(SILENCE):
                data = await self._content.readany()
        except (OSError, web.RequestPayloadError) as error:  # TimeoutError is an OSError
            raise BrowserLeft from error
        if not data:
            raise _malformed()
        self._left -= len(data)
        if self._left < 0:
            raise RequestError(self._too_long, 413)
        self._buffer += data


def _boundary(content_type: str) -> bytes:
    kind, _, parameters = content_type.partition(";")
    match = re.search(r'(?:^|;)\s*boundary=(?:"([^"]*)"|([^;\s]*))', parameters, re.IGNORECASE)
    boundary = (match[1] or match[2] or "") if match else ""
    if kind.strip().lower() != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise _malformed()
    return boundary.encode()


def _filename(disposition: str) -> str | None:
    if (extended := _EXTENDED_NAME.search(disposition)) is not None:
        return unquote(extended[1], errors="replace")
    plain = _PARAMETER["filename"].search(disposition)
    return None if plain is None else _unescaped(plain[1])


def _unescaped(name: str) -> str:
    """Undo what browsers escape in a file name: quotes and line breaks."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _malformed() -> RequestError:
    return RequestError("The browser sent a form that cannot be read, or not the whole of it. Load the page again.")
