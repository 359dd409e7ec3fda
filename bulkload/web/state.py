"""What every handler finds in the application, by key.

In: nothing. Out: `request.app[OPTIONS]` and its like, typed.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from bulkload.settings import Account, Options
from bulkload.web.credentials import Credentials
from bulkload.web.uploads import Uploads

ACCOUNT = web.AppKey("account", Account)  # of the server's settings
OPTIONS = web.AppKey("options", Options)
CREDENTIALS = web.AppKey("credentials", Credentials)  # typed in a session
UPLOADS = web.AppKey("uploads", Uploads)
STOPPING = web.AppKey("stopping", asyncio.Event)  # set when the server begins to stop: event streams end then
