"""The bodies of requests and answers: when the one has left, and how much of the other is taken.

In: bytes to send, or an answer of the HTTP client. Out: an iterator that notes when its bytes have left; the bytes of
the answer, unpacked, or an `UnreadableBody` as soon as they are more than any true answer has.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import aiohttp

from bulkload import clock

LARGEST_ANSWER = 4 * 2**20  # bytes of one answer, unpacked, that is no list
CHUNK = 2**20  # bytes of an answer taken or unpacked at a time
MOST_UNPACKED = 250  # times its packed size; monitors that differ only in their names come to 50


class UnreadableBody(Exception):
    """An answer must not be read to its end."""


class Outgoing:
    """The body of a request, as something that aiohttp takes piece by piece, so that it tells when it took the last."""

    def __init__(self, body: bytes) -> None:
        self.sent_at = ""  # a moment at which all bytes had left
        self._rest = [body]

    def __aiter__(self) -> Outgoing:
        return self

    async def __anext__(self) -> bytes:
        if self._rest:
            return self._rest.pop()
        self.sent_at = clock.moment()
        raise StopAsyncIteration


async def body_of(response: aiohttp.ClientResponse, most: int) -> bytes:
    """An answer's bytes, unpacked. Raises `UnreadableBody` as soon as they are more than any true answer has."""
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise UnreadableBody("the answer is packed in a way that nobody asked for")
    unpacker = None if packing in ("", "identity") else zlib.decompressobj(zlib.MAX_WBITS | 32)  # either kind
    body = bytearray()
    taken = 0
    while chunk := await response.content.read(CHUNK):
        taken += len(chunk)
        for part in _unpacked(unpacker, chunk):
            body += part
            if len(body) > most:
                raise UnreadableBody(f"more than {most / 2**20:.0f} MB came back, which no true answer has")
            if len(body) > LARGEST_ANSWER and len(body) > MOST_UNPACKED * taken:
                raise UnreadableBody("the answer grows without end when it is unpacked")
    if unpacker is not None and taken and not unpacker.eof:
        raise aiohttp.ClientPayloadError("the packed answer breaks off")
    return bytes(body)


def _unpacked(unpacker: zlib._Decompress | None, chunk: bytes) -> Iterator[bytes]:
    """What a chunk holds, in parts of at most `CHUNK` bytes if it is packed."""
    if unpacker is None:
        yield chunk
        return
    part = b""
    while chunk or len(part) == CHUNK:  # behind a full part there may be more, also without a chunk
        try:
            part = unpacker.decompress(chunk, CHUNK)
        except zlib.error as error:
            raise aiohttp.ClientPayloadError(f"the answer cannot be unpacked: {error}") from error
        if unpacker.unused_data:
            raise UnreadableBody("something follows behind the end of the packed answer")
        chunk = unpacker.unconsumed_tail
        yield part
