"""What all pages share: the settings of the server, its store, its jobs, and how a page is answered.

In: a request. Out: a rendered page, or a redirect with a message for the next page.
"""

from __future__ import annotations

import asyncio
import mimetypes
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote
from weakref import WeakValueDictionary

from aiohttp import web

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.settings import Account, Options
from bulkload.store.drafts import Draft, Drafts
from bulkload.store.runs import Run, Store
from bulkload.web.access import access_of
from bulkload.web.jobs import Jobs
from bulkload.web.rendering import render
from bulkload.web.responses import RequestError, content_disposition
from bulkload.web.state import ACCOUNT, CREDENTIALS, OPTIONS
from bulkload.web.views import Frame, Message

P = ParamSpec("P")
T = TypeVar("T")

_MOST_MESSAGES = 1_000  # that wait for their page
_IN_ADDRESS = "/?&=%:+~"  # characters that stay as they are; links are encoded already
_BLOCK = 1 << 16  # bytes of a download
_MAX_WRITE = 60.0  # seconds that a browser may take to accept them
_READ_AT_ONCE = 2  # uploads


class StoreThread:
    """Uses the store in one thread of its own, so that a slow disk does not hold up the event loop."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._readers = ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="reading")
        self._store: Store | None = None

    async def __call__(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something short with the store."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(self._opened(), *args, **kwargs))

    async def long(self, work: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something with the store that may take long: with a connection and a thread of its own."""
        return await asyncio.to_thread(self._with_own_store, lambda store: work(store, *args, **kwargs))

    async def read(self, work: Callable[[Store], T]) -> T:
        """Read an upload: as `long`, but only a few at a time, so that they leave threads for everything else."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._with_own_store, work)

    async def close(self) -> None:
        """Close the store, after what is being done with it."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
        self._executor.shutdown()

    def _with_own_store(self, work: Callable[[Store], T]) -> T:
        with Store(self._options.output) as store:
            return work(store)

    def _opened(self) -> Store:
        """The open store; a new one if the file in the folder is another one by now."""
        if self._store is not None and self._store.is_replaced:
            self._close()
        if self._store is None:
            self._store = Store(self._options.output)
        return self._store

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            store.db.close()


class DraftLocks:
    """A lock for each draft, by its ID, as long as somebody uses it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __getitem__(self, draft_id: str) -> asyncio.Lock:
        return self._locks.setdefault(draft_id, asyncio.Lock())

    def __len__(self) -> int:
        return len(self._locks)


@dataclass(kw_only=True)
class Site:
    """The parts of a running server."""

    store: StoreThread
    jobs: Jobs
    read_patience: float = 5.0  # seconds that the answer to an upload waits for its check
    reading: set[asyncio.Task[None]] = field(default_factory=set)  # uploads that are being read
    rows_read: dict[str, str] = field(default_factory=dict)  # how far they are, by draft: "12,000 rows are read."
    ends_reading: threading.Event = field(default_factory=threading.Event)  # the server stops
    draft_locks: DraftLocks = field(default_factory=DraftLocks)
    messages: OrderedDict[str, Message] = field(default_factory=OrderedDict)  # by session

    def account_of(self, request: web.Request) -> Account:
        """The account that a session logs in to: its own credentials, or else those of the server."""
        return request.app[CREDENTIALS].get(access_of(request).nonce) or request.app[ACCOUNT]


SITE = web.AppKey("site", Site)


def site_of(request: web.Request) -> Site:
    """The site that a request is for."""
    return request.app[SITE]


def page(request: web.Request, template: str, frame: Frame, *, status: int = 200, **context: Any) -> web.Response:
    """Answer with a rendered page."""
    return web.Response(text=render(template, frame=frame, **context), content_type="text/html", status=status)


def frame_of(
    request: web.Request,
    title: str,
    *,
    section: str = "",
    is_rehearsal: bool = False,
    refresh_seconds: int | None = None,
) -> Frame:
    """What a page has around its content; takes the message that the last action left for it."""
    site, access = site_of(request), access_of(request)
    account, only_sandbox = site.account_of(request), request.app[OPTIONS].sandbox
    return Frame(
        title=title,
        token=access.form_token,
        user=access.user,
        section=section,
        account=account.username or ("access token" if account.token.get_secret_value() else ""),
        is_rehearsal=is_rehearsal or only_sandbox,
        only_sandbox=only_sandbox,
        message=site.messages.pop(access.nonce, None),
        refresh_seconds=refresh_seconds,
    )


def go_to(request: web.Request, address: str, message: str = "", *, is_problem: bool = False) -> web.Response:
    """Send the browser to another page, with a message at its top."""
    if message:
        messages = site_of(request).messages
        messages[access_of(request).nonce] = Message(text=printable(message), is_problem=is_problem)
        while len(messages) > _MOST_MESSAGES:
            messages.popitem(last=False)
    location = quote(address, safe=_IN_ADDRESS)  # an ID that somebody typed may contain any character
    return web.Response(status=303, headers={"Location": location})


async def download(request: web.Request, name: str, write: Callable[[Path], Awaitable[None]]) -> web.StreamResponse:
    """Send a file that is written for this request, under a name for the user."""
    with tempfile.TemporaryDirectory(prefix="bulkload-") as folder:
        path = Path(folder) / f"file{Path(name).suffix}"
        await write(path)
        with path.open("rb") as file:
            response = web.StreamResponse(headers={"Content-Disposition": content_disposition(name)})
            response.content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            response.content_length = path.stat().st_size
            await response.prepare(request)
            try:
                while block := file.read(_BLOCK):
                    async with asyncio.timeout(_MAX_WRITE):
                        await response.write(block)
            except (ConnectionError, TimeoutError):
                if request.transport is not None:
                    request.transport.abort()  # the browser has left, or takes nothing any more
    return response


async def draft_of(request: web.Request) -> Draft:
    """The draft that the address names."""
    try:
        return await site_of(request).store(lambda store: Drafts(store).get(request.match_info["draft"]))
    except UsageError as error:
        raise RequestError(str(error), 404) from None


def run_named(store: Store, run_id: str) -> Run:
    """The run with this whole ID, as in an address."""
    try:
        run = store.run(run_id)
    except UsageError:
        run = None
    if run is None or run.id != run_id:
        raise RequestError("There is no such run in this folder.", 404)
    return run
