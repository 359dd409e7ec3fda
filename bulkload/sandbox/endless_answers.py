"""Responses of excessive size: a body that decompresses to gigabytes, an endless body, an endless list.

In: a request, and the event that is set when the server stops. Out: data until the client disconnects, generated while
it is sent to limit memory.
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
COMPRESSED_PIECE = 1024 * 1024  # bytes that are compressed at a time, in a few milliseconds
DECOMPRESSED_BYTES = 2 * 1024**3  # of the gzip body
PAGE = 100  # monitors on each page of an endless list
FIRST_FICTITIOUS_ID = 900_000_000  # far above the IDs of a real account
_GZIP = 31  # zlib's window bits for a gzip header


async def oversized_gzip(request: web.BaseRequest, status: int, stopping: asyncio.Event) -> web.StreamResponse:
    """A small gzip body that decompresses to `DECOMPRESSED_BYTES`."""
    return await _stream(request, status, {"Content-Encoding": "gzip"}, _compressed(), stopping)


async def endless(request: web.BaseRequest, status: int, stopping: asyncio.Event) -> web.StreamResponse:
    """Spaces, with which JSON may begin, until the client disconnects or the server stops."""
    return await _stream(request, status, {}, itertools.repeat(b" " * PIECE), stopping)


def endless_page(found: MonitorList, show: Show | None) -> MonitorList:
    """A full page of fictitious monitors instead of the requested one; none is on two pages."""
    offset = int(str(found.resultset["offset"]))
    monitor_ids = range(FIRST_FICTITIOUS_ID + offset, FIRST_FICTITIOUS_ID + offset + PAGE)
    return MonitorList(
        count=PAGE,
        resultset={**found.resultset, "count": PAGE, "limit": PAGE},
        batches=iter([[_fictitious_monitor(monitor_id, show) for monitor_id in monitor_ids]]),
    )


def _fictitious_monitor(monitor_id: int, show: Show | None) -> str:
    body = {
        "billing_plancode": "made-up",
        "name": f"made up {monitor_id}",
        "hostname": f"mx{monitor_id}.example.com",
    }
    fields = new_monitor("email-imap", body, SandboxOptions())
    assert isinstance(fields, dict)
    fields = {"id": monitor_id, **fields}
    return json.dumps(show(fields) if show else fields)


def _compressed() -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=_GZIP)
    for _ in range(DECOMPRESSED_BYTES // COMPRESSED_PIECE):
        yield compressor.compress(b" " * COMPRESSED_PIECE)
    yield compressor.flush()


async def _stream(
    request: web.BaseRequest, status: int, headers: dict[str, str], pieces: Iterable[bytes], stopping: asyncio.Event
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json", **headers})
    try:
        await response.prepare(request)
        for piece in pieces:
            if stopping.is_set() or request.transport is None or request.transport.is_closing():
                return wire.break_connection(request, reset=False)
            await response.write(piece)
            await asyncio.sleep(0)  # a write that does not wait would block all other tasks
        await response.write_eof()
    except (ConnectionError, ClientConnectionError):
        return wire.break_connection(request, reset=False)
    return response
