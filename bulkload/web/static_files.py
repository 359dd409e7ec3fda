"""Serve the style sheet and the script, from memory.

In: the files of `web/static`. Out: their responses; `url(name)` has a hash of the content, so that browsers keep a file
for as long as it stays the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from bulkload.web.access import needs_no_key

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}


class _File(NamedTuple):
    content: bytes
    content_type: str
    version: str  # of the content


class StaticFiles:
    """All files of the folder whose type is known; a request can name no others."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        contents = {path.name: path.read_bytes() for path in paths if path.suffix in TYPES}
        self._files = {
            name: _File(content, TYPES[Path(name).suffix], hashlib.sha256(content).hexdigest()[:16])
            for name, content in contents.items()
        }

    def url(self, name: str) -> str:
        """The address of a file, for templates."""
        return f"/static/{name}?v={self._files[name].version}"

    @needs_no_key
    async def serve(self, request: web.Request) -> web.Response:
        """The handler of `/static/{name}`."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        is_current = request.query.get("v") == file.version
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if is_current else "no-cache",
            "ETag": f'"{file.version}"',
        }
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        charset = "utf-8" if file.content_type.startswith("text/") else None
        return web.Response(body=file.content, content_type=file.content_type, charset=charset, headers=headers)
