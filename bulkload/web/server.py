"""Build the application, listen, and run until a signal.

In: the settings, a host and a port. Out: the server, whose address `on_ready` gets; the exit code of the process. Pages
add their routes in `create_app`.
"""

from __future__ import annotations

import asyncio
import errno
import html
import logging
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from bulkload.errors import BulkloadError, ExitCode, Interrupted, Locked, StoreError, UsageError, stop_signals
from bulkload.operations.draft_upload import UPLOADS as UPLOADS_FOLDER
from bulkload.settings import Account, Options, serve_key
from bulkload.store.lock import lock_file
from bulkload.web import static_files
from bulkload.web.access import AccessControl, Handler, needs_no_key, new_key
from bulkload.web.credentials import Credentials
from bulkload.web.multipart import BrowserLeft
from bulkload.web.origins import Origins
from bulkload.web.responses import RequestError, error_page, set_security_headers
from bulkload.web.routes import add_pages
from bulkload.web.state import ACCOUNT, CREDENTIALS, OPTIONS, STOPPING, UPLOADS
from bulkload.web.uploads import Uploads

log = logging.getLogger(__name__)

LOCK_NAME = "serve.lock"
MAX_FORM = 4 << 20  # bytes of a form without a file
LINGER = 60.0  # seconds in which the rest of a refused upload is read and dropped, or the browser shows no response
SHUTDOWN_SECONDS = 2.0  # for responses in progress when the server stops


def create_app(account: Account, options: Options, control: AccessControl) -> web.Application:
    """The application with all routes."""
    app = web.Application(middlewares=[answer_errors, control.guard], client_max_size=MAX_FORM)
    app[ACCOUNT] = account
    app[OPTIONS] = options
    app[CREDENTIALS] = Credentials()
    app[UPLOADS] = Uploads(options.output / UPLOADS_FOLDER)
    app[STOPPING] = asyncio.Event()
    app.on_response_prepare.append(_on_prepare)
    app.router.add_get("/health", health)
    app.router.add_get("/static/{name}", static_files.serve)
    add_pages(app)
    return app


@needs_no_key
async def health(request: web.Request) -> web.Response:
    """Answer at once that the server is running; it says nothing else."""
    return web.Response(text="ok\n")


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer each error with a page that says what happened; nobody sees a traceback."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        has_own_text = error.text and error.text != f"{error.status}: {error.reason}"
        kept = {name: value for name in ("Allow", "Retry-After") if (value := error.headers.get(name)) is not None}
        return error_page(error.status, error.text or "" if has_own_text else "", headers=kept)
    except RequestError as error:
        return error_page(error.status, str(error))
    except Locked as error:
        return error_page(409, str(error))
    except BulkloadError as error:
        return error_page(400, str(error))
    except (BrowserLeft, ConnectionError):
        return error_page(408, "The connection was interrupted. Load the page again, and repeat the step.")
    except Exception as error:
        log.debug("%s %s: %s", request.method, request.path, type(error).__name__, exc_info=error)
        return error_page(500)


async def _on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    set_security_headers(response)


class _Connection(web.RequestHandler):
    """One connection; what is no HTTP at all gets the security headers, too, and nothing of it is logged."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The response to a malformed request."""
        log.debug("malformed request: %s", type(exc).__name__)  # its text may contain the key
        response = error_page(status)
        set_security_headers(response)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Log an exception outside of the handlers, such as that of a browser that has left."""
        log.debug(*args, **kwargs)


class Server:
    """A server that listens; `url` is its address, with the key unless the operator has chosen it."""

    def __init__(self, account: Account, options: Options, host: str, port: int) -> None:
        """Check the settings. Raises `UsageError`."""
        chosen = serve_key(options, host)
        self._key = chosen.get_secret_value() if chosen else new_key()
        self._shows_key = chosen is None
        self._host = host.strip("[]")  # an IPv6 address may be written as in an address of the web
        self._port = port
        self._options = options
        origins = Origins(
            host=host,
            allowed_hosts=frozenset(options.allowed_host),
            user_header=options.user_header or "",
            trusted_proxies=tuple(options.trusted_proxy),
        )
        self.app = create_app(account, options, AccessControl(self._key, origins))
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen during the block. Raises `Locked`, `StoreError` or `UsageError`."""
        with _folder_lock(self._options.output):
            self.app[UPLOADS].remove_partial()
            runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
            await runner.setup()
            try:
                listener = await self._listen(runner)
                try:
                    yield
                finally:
                    listener.close()
                    self.app[STOPPING].set()
            finally:
                await runner.cleanup()  # calls `on_shutdown` and `on_cleanup` of the application

    async def _listen(self, runner: web.AppRunner) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        assert runner.server is not None
        connection = partial(
            _Connection,
            runner.server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # addresses may contain the key
            logger=log,
            lingering_time=LINGER,
            auto_decompress=False,
        )
        try:
            listener = await loop.create_server(connection, self._host, self._port)
        except OSError as error:
            raise UsageError(_cannot_listen(self._host, self._port, error)) from error
        port = listener.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{host}:{port}/" + (f"?key={quote(self._key, safe='')}" if self._shows_key else "")
        return listener


def serve(
    account: Account,
    options: Options,
    host: str,
    port: int,
    *,
    on_ready: Callable[[str], object] = lambda url: None,
    opens_browser: bool = False,
) -> int:
    """Run the server in the main thread until a signal; returns the exit code. `on_ready` gets the address."""
    server = Server(account, options, host, port)

    async def live() -> None:
        with _stop_signals() as stop:
            async with server.running():
                on_ready(server.url)
                with _opened(server.url, options.output) if opens_browser else nullcontext():
                    await stop.wait()

    try:
        asyncio.run(live())
    except asyncio.CancelledError:  # by a second signal
        raise Interrupted(ExitCode.TERMINATED) from None
    return ExitCode.DONE


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """An event that the first signal sets; the second one cancels what the shutdown waits for."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal)) for number in stop_signals()
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _folder_lock(output: Path) -> Iterator[None]:
    """Let only one server use an output folder: each would take up the jobs of the other."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The output folder {output} cannot be made: {error.strerror}.") from error
    lock = lock_file(
        output / LOCK_NAME,
        f"Another bulkload serve is using the folder {output}. Use its page, or choose another folder with --output.",
    )
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _opened(url: str, folder: Path) -> Iterator[None]:
    """Open the page in the user's browser, by way of a file: all users of a machine see the arguments of programs."""
    import webbrowser

    path = folder / f"open-{secrets.token_hex(8)}.html"
    link = html.escape(url)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(
                f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0; url={link}"><title>bulkload</title><a href="{link}">Open</a>\n'
            )
        opening = asyncio.ensure_future(asyncio.to_thread(webbrowser.open, path.resolve().as_uri()))
        opening.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # without a browser, the link is shown
    except OSError:
        log.debug("the page cannot be opened in a browser", exc_info=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use by another program. Choose another one with --port; 0 picks a free one."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs special rights. Choose one above 1023 with --port."
    return f"Port {port} of {host} cannot be used: {error.strerror or error}. Check --host and --port."
