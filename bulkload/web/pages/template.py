"""The template to fill in, as a download.

In: nothing. Out: the workbook that `bulkload template` writes.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from bulkload.operations.template import write_template
from bulkload.web.site import download


async def show(request: web.Request) -> web.StreamResponse:
    """Send the template."""
    return await download(request, "mail-monitors.xlsx", lambda path: asyncio.to_thread(write_template, path))
