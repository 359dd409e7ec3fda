"""Serve the style sheet and the script, from memory.

In: a request for one of the files of `rendering`. Out: its response, which a browser may keep for as long as the file
stays the same.
"""

from __future__ import annotations

from aiohttp import web

from bulkload.web.access import needs_no_key
from bulkload.web.rendering import static_files


@needs_no_key
async def serve(request: web.Request) -> web.Response:
    """The handler of `/static/{name}`."""
    file = static_files().get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    is_current = request.query_string == file.digest
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if is_current else "no-cache",
        "ETag": f'"{file.digest}"',
    }
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.content_type, charset="utf-8", headers=headers)
