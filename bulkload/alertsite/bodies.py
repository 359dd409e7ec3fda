"""Bodies of requests and responses: the moment a request body was sent, and a limit on the size of a response body.

In: bytes to send, or a response of the HTTP client. Out: an iterator that records when its bytes were sent; the
decompressed bytes of the response, or an `UnreadableBody` as soon as they exceed the limit.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import aiohttp

from bulkload import clock

MAX_BODY_BYTES = 4 * 2**20  # of one response, decompressed; a list may be longer
CHUNK = 2**20  # bytes that are read or decompressed at a time
MAX_COMPRESSION_RATIO = 250  # decompressed to compressed size; monitors that differ only in their names reach 50


class UnreadableBody(Exception):
    """The response body is too long, or its content encoding is not supported."""


class RequestBody:
    """A request body that aiohttp reads piece by piece, so that the moment of the last read is known."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.sent_at: clock.Reading | None = None  # when all bytes had been sent
        self._unsent = [content]

    def __aiter__(self) -> RequestBody:
        return self

    async def __anext__(self) -> bytes:
        if self._unsent:
            return self._unsent.pop()
        self.sent_at = clock.Reading.now()
        raise StopAsyncIteration


async def read_body(headers: Mapping[str, str], content: aiohttp.StreamReader, max_bytes: int) -> bytes:
    """Read and decompress a response body of at most `max_bytes`.

    Raises `UnreadableBody` as soon as the body exceeds a limit, and `aiohttp.ClientPayloadError` if it is damaged.
    """
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise UnreadableBody("the response has a content encoding that was not requested")
    decompressor = None if encoding in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib
    body = bytearray()
    bytes_read = 0
    while not content.at_eof():
        chunk = await content.read(CHUNK)
        bytes_read += len(chunk)
        for part in (chunk,) if decompressor is None else _decompressed(decompressor, chunk):
            body += part
            if len(body) > max_bytes:
                raise UnreadableBody(f"the response is longer than {max_bytes / 2**20:.0f} MB")
            if len(body) > MAX_BODY_BYTES and len(body) > MAX_COMPRESSION_RATIO * bytes_read:
                raise UnreadableBody(f"the response decompresses to more than {MAX_COMPRESSION_RATIO} times its size")
    if decompressor is not None and bytes_read and not decompressor.eof:
        raise aiohttp.ClientPayloadError("the compressed response is incomplete")
    return bytes(body)


def _decompressed(decompressor: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    """The content of a compressed chunk, in parts of at most `CHUNK` bytes."""
    part = b""
    while chunk or len(part) == CHUNK:  # after a full part, the decompressor may hold more even without input
        try:
            part = decompressor.decompress(chunk, CHUNK)
        except zlib.error as error:
            raise aiohttp.ClientPayloadError(f"the response cannot be decompressed: {error}") from error
        if decompressor.unused_data:
            raise UnreadableBody("the compressed response is followed by other data")
        chunk = decompressor.unconsumed_tail
        yield part
