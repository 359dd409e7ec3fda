"""Send responses, intact and damaged ones.

In: the account's response, and the fault rule that applies. Out: responses for aiohttp, or a closed connection.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import sys
import time
from email.utils import formatdate

from aiohttp import web

from bulkload.sandbox.account import ApiResponse, MonitorList
from bulkload.sandbox.alterations import with_strings
from bulkload.sandbox.faults import Faults, Rule

STREAMED_FROM = 1_000  # monitors; a longer list is sent in pieces
_JSON = "application/json"
_LINGER = "hh" if sys.platform == "win32" else "ii"  # struct linger: on or off, and seconds
_PAGE = (
    "<!DOCTYPE html><html><head><title>Gateway</title></head>"
    "<body><h1>The page you asked for is not available</h1></body></html>"
)


def plain(answer: ApiResponse) -> web.Response:
    """The undamaged response."""
    if answer.status == 204:
        return web.Response(status=204)
    return web.Response(status=answer.status, body=answer.text.encode(), content_type=_JSON)


def page(status: int) -> web.Response:
    """A page of HTML, as gateways send it."""
    return web.Response(status=status, text=_PAGE, content_type="text/html")


def redirect(status: int) -> web.Response:
    """A redirect to a login page."""
    return web.Response(status=status, headers={"Location": "/login"})


def throttled(faults: Faults, seconds: float) -> web.Response:
    """429, with the `Retry-After` that the faults specify, in whole seconds from 1."""
    wait = faults.retry_after_seconds or max(1, math.ceil(seconds))
    headers = {
        "seconds": {"Retry-After": str(wait)},
        # A date has whole seconds, so it is rounded up: it must not be too early
        "date": {"Retry-After": formatdate(math.ceil(time.time() + wait), usegmt=True)},
        "none": {},
    }[faults.retry_after]
    body = json.dumps({"errors": [{"code": 429, "message": "sandbox: Too many requests."}]})
    return web.Response(status=429, headers=headers, body=body.encode(), content_type=_JSON)


def garbled(text: str, status: int) -> web.Response:
    """A success with only half of its JSON text."""
    return web.Response(status=status, body=text[: max(1, len(text) // 2)].encode(), content_type=_JSON)


def break_connection(request: web.BaseRequest, *, reset: bool) -> web.Response:
    """Close or reset the connection; the returned response satisfies aiohttp and is never sent."""
    transport = request.transport
    if transport is not None:
        if reset:
            sock: socket.socket | None = transport.get_extra_info("socket")
            if sock is not None:
                # Lingering for 0 seconds makes the kernel send RST instead of FIN.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0))
        transport.abort()
    return web.Response()


async def cut(request: web.BaseRequest, text: str) -> web.StreamResponse:
    """Announce the full length of a response, send half of it, then close the connection."""
    body = text.encode() or b"{}"
    response = web.StreamResponse(headers={"Content-Type": _JSON, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def listing(request: web.BaseRequest, found: MonitorList, rule: Rule | None) -> web.StreamResponse:
    """A list in its envelope; a long one is sent in pieces to limit memory."""
    shape = rule.fault if rule else ""
    limit = {"list-empty": 0, "list-shrunk": found.count // 2}.get(shape, found.count)
    resultset = dict(found.resultset)
    if limit < found.count or shape == "list-empty":
        resultset["count"] = limit
    if shape == "list-shape":
        head, tail = '{"data": {"items": [', "]}}"
    else:
        metadata = {"__permissions": {"acl": 7}, "resultset": resultset}
        head, tail = f'{{"metadata": {json.dumps(metadata)}, "results": [', "]}"
    if limit <= STREAMED_FROM:
        items = [item for batch in found.batches for item in _items(batch, shape)]
        # The limit counts monitors, and each is sent twice
        text = head + ", ".join(items[: limit * 2 if shape == "list-repeat" else limit]) + tail
        return web.Response(body=text.encode(), content_type=_JSON)
    response = web.StreamResponse(headers={"Content-Type": _JSON})
    await response.prepare(request)
    await response.write(head.encode())
    sent = 0
    for batch in found.batches:
        part = batch[: limit - sent]
        if not part:
            break
        await response.write(((", " if sent else "") + ", ".join(_items(part, shape))).encode())
        sent += len(part)
    await response.write(tail.encode())
    return response


def _items(batch: list[str], shape: str) -> list[str]:
    if shape == "list-repeat":
        return [item for item in batch for _ in range(2)]
    if shape == "list-strings":
        return [json.dumps(with_strings(json.loads(item))) for item in batch]
    return batch
