"""Answers that are far too much: a body that unpacks to gigabytes, one that has no end, a list that has none.

In: a request, and the event that says that the server stops. Out: as much as the client takes, made while it is sent,
so that memory stays flat.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator

from aiohttp import ClientConnectionError, web

from bulkload.sandbox import wire
from bulkload.sandbox.account import MonitorList
from bulkload.sandbox.account_options import SandboxOptions
from bulkload.sandbox.alterations import Show
from bulkload.sandbox.monitor_bodies import new_monitor

PIECE = 64 * 1024  # bytes of an endless body in one write
BOMB_PIECE = 1024 * 1024  # bytes that are packed in one go; a few milliseconds of work
BOMB_BYTES = 2 * 1024**3  # when unpacked
PAGE = 100  # monitors on each page of an endless list
FIRST_MADE_UP = 900_000_000  # far above the ids of any real account
_GZIP = 31  # zlib's window bits for a gzip header


async def compressed_bomb(request: web.BaseRequest, status: int, stopping: asyncio.Event) -> web.StreamResponse:
    """A small body that says that it is gzip, and becomes very large when it is unpacked."""
    return await _pour(request, status, {"Content-Encoding": "gzip"}, _packed(), stopping)


async def endless(request: web.BaseRequest, status: int, stopping: asyncio.Event) -> web.StreamResponse:
    """Blanks, which JSON may begin with, until the client goes away or the server stops."""
    return await _pour(request, status, {}, itertools.repeat(b" " * PIECE), stopping)


def endless_page(found: MonitorList, show: Show | None) -> MonitorList:
    """A full page of made-up monitors instead of the one found, whatever its offset; none comes on two pages."""
    offset = int(str(found.resultset["offset"]))
    numbers = range(FIRST_MADE_UP + offset, FIRST_MADE_UP + offset + PAGE)
    return MonitorList(
        count=PAGE,
        resultset={**found.resultset, "count": PAGE, "limit": PAGE},
        batches=iter([[_made_up(number, show) for number in numbers]]),
    )


def _made_up(number: int, show: Show | None) -> str:
    body = {"billing_plancode": "made-up", "name": f"made up {number}", "hostname": f"mx{number}.example.com"}
    fields = new_monitor("email-imap", body, SandboxOptions())
    assert isinstance(fields, dict)
    fields = {"id": number, **fields}
    return json.dumps(show(fields) if show else fields)


def _packed() -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=_GZIP)
    for _ in range(BOMB_BYTES // BOMB_PIECE):
        yield packer.compress(b" " * BOMB_PIECE)
    yield packer.flush()


async def _pour(
    request: web.BaseRequest, status: int, headers: dict[str, str], pieces: Iterable[bytes], stopping: asyncio.Event
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json", **headers})
    try:
        await response.prepare(request)
        for piece in pieces:
            if stopping.is_set() or request.transport is None or request.transport.is_closing():
                return wire.break_connection(request, reset=False)
            await response.write(piece)
            await asyncio.sleep(0)  # a write that needs no wait lets nobody else do anything
        await response.write_eof()
    except (ConnectionError, ClientConnectionError):
        return wire.break_connection(request, reset=False)
    return response
