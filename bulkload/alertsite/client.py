"""The AlertSite Management API v3: login, list, read, create, patch, delete.

In: a monitor type and a body, or an ID. Out: the content of the response, or an `ApiError` whose class says what the
response means; `responses` decides that. API facts are from the public pages under
https://support.smartbear.com/alertsite/docs/api/v3/; everything else is marked as an assumption.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import aiohttp

from bulkload import __version__, clock
from bulkload.alertsite.bodies import MAX_BODY_BYTES, RequestBody, UnreadableBody, read_body
from bulkload.alertsite.direct_post import DirectPost
from bulkload.alertsite.limit_headers import select_limit_headers
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.proxy import proxy_for
from bulkload.alertsite.recipients import Recipient, RecipientGroup, read_group, read_page, read_recipient
from bulkload.alertsite.responses import (
    MONITOR_ID,
    Response,
    decode,
    is_html,
    normalize_type,
    raise_for_status,
    read_list,
    snippet,
    translate_client_error,
)
from bulkload.alertsite.secrets import can_be_token
from bulkload.errors import (
    ApiDown,
    ApiError,
    ApiUnreliable,
    AuthFailed,
    Forbidden,
    InDoubt,
    LoginRefused,
    NotFound,
    NotSent,
    Rejected,
    RunStopped,
    Throttled,
    UnexpectedPage,
    UnreadableResponse,
    WrongAddress,
)
from bulkload.protocols import MONITOR_TYPES

CONNECT_TIMEOUT = 10.0  # seconds to open a connection
TOKEN_LIFETIME = 55 * 60.0  # seconds; tokens are valid for 1 hour, and requests under way get 5 minutes
FRESH_TOKEN = 1.0  # seconds after its login in which no token can have expired
MAX_ATTEMPTS = 5  # at a request that is safe to repeat
FIRST_BACK_OFF = 0.5  # seconds before the second attempt, doubled each time
MAX_TOKEN_REFUSALS = 5  # of a request that is safe to repeat, while the same tokens are accepted for others
MAX_THROTTLES = 20  # consecutive 429s of a request that is safe to repeat
MAX_LIST_BYTES = 256 * 2**20  # of all pages of a list, decompressed
MAX_PAGES = 2_000  # of a list
MAX_LIST_SECONDS = 15 * 60.0  # to read all pages of a list once
MAX_RECIPIENT_BYTES = 32 * 2**20  # of all recipients, or all recipient groups with the names of their monitors
MAX_RECIPIENT_PAGES = 50
MAX_LIST_READINGS = 4  # of a list with several pages, until two in a row agree
MIN_HIDDEN_PASSWORD = 8  # characters; a shorter password may be a word that a response contains anyway

log = logging.getLogger(__name__)

T = TypeVar("T")


class CreatedMonitor(NamedTuple):
    """A new monitor."""

    monitor_id: str
    sent_at: str  # the earliest possible moment its request was sent, see `clock`


class _Exchange(NamedTuple):
    """A 2xx response, the earliest possible moment at which its request was sent, and its body if it was a create."""

    response: Response
    earliest: clock.Reading
    body: RequestBody | None

    @property
    def latest(self) -> str:
        """The latest possible moment at which the request was sent."""
        return _latest(self.body)


class _ListReading(NamedTuple):
    """All pages of the account's list, read once."""

    monitors: dict[str, dict[str, Any]]  # by ID
    pages: int

    def agrees_with(self, before: _ListReading) -> bool:
        """True if both have the same monitors, or this one also has newer ones: they have higher IDs."""
        added = self.monitors.keys() - before.monitors.keys()
        newest = max(map(int, before.monitors), default=0)
        return before.monitors.keys() <= self.monitors.keys() and all(int(added_id) > newest for added_id in added)


class Api:
    """A client for one account: one token for all workers, and all requests paced together."""

    def __init__(
        self,
        base_url: str,
        pace: Pace,
        *,
        username: str = "",
        password: str = "",
        token: str = "",
        concurrency: int = 10,
        request_timeout: float = 30.0,
    ) -> None:
        self.pace = pace
        self.sent = 0  # requests, including logins
        self.retried = 0  # requests that repeated an earlier one
        self.type_spellings: set[str] = set()  # undocumented spellings of mail monitor types in responses
        self.pages: list[tuple[int, int, int]] = []  # of the last list: monitors, `count` and `limit` (0: unknown)
        self.limit_headers: dict[str, str] = {}  # by name, the latest value of each
        self._base_url = base_url.rstrip("/")
        self._proxy, self._proxy_secrets = proxy_for(base_url)
        self._username = username
        self._password = password
        self._token = token
        self._generation = 1 if token else 0
        self._accepted_generation = 0  # the newest that was accepted at least once
        self._token_since = time.monotonic()
        self._accepted_age = 0.0  # seconds; the highest age at which a token was accepted
        self._login_lock = asyncio.Lock()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=concurrency + 2),
            timeout=aiohttp.ClientTimeout(total=request_timeout, sock_connect=CONNECT_TIMEOUT),
            headers={
                "User-Agent": f"bulkload/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # `read_body` does it, within limits
        )
        self._direct_post = DirectPost(self._session, request_timeout, uses_proxy=self._proxy is not None)

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._direct_post.give_back()
        await self._session.close()

    @property
    def is_logged_in(self) -> bool:
        """True if there is a token; it may have expired."""
        return bool(self._token)

    async def near_create(self) -> float:
        """Wait until a create may be sent within moments, with a valid token; returns how many may, at least 1.

        Raises `NotSent` if the run is stopping, or a `RunStopped`.
        """
        await self._ensure_token()
        count = await self.pace.near_start()
        if await self._ensure_token():  # the wait was long, and the login was a request as well
            count = await self.pace.near_start()
        return count

    async def create(self, monitor_type: str, body: bytes) -> CreatedMonitor:
        """Create one monitor with exactly one request (`POST /monitors/<type>`, HTTP 200 with `{"id": "123456"}`).

        Raises an `ApiError` whose class says what is known, or a `RunStopped`.
        """
        try:
            exchange = await self._send("POST", f"/monitors/{monitor_type}", body=body, is_create=True)
        except NotFound as error:
            raise WrongAddress(f"{self._base_url} is not an endpoint that creates monitors: {error}") from error
        response = exchange.response
        if is_html(response):
            raise UnexpectedPage(f"a web page came back: {snippet(response)}", sent_at=exchange.latest)
        content = decode(response.body)
        monitor_id = content.get("id") if isinstance(content, dict) else None
        if isinstance(monitor_id, bool) or not MONITOR_ID.fullmatch(str(monitor_id)):
            raise InDoubt(f"HTTP {response.status} without a monitor ID: {snippet(response)}", sent_at=exchange.latest)
        return CreatedMonitor(str(monitor_id), str(exchange.earliest))

    async def list_mail_monitors(self) -> list[dict[str, Any]]:
        """All mail monitors of the account, as the API shows them (`GET /monitors?type=…`).

        Paging is not documented for monitors, so further pages are read if a response shows that there are more. A
        monitor that is deleted meanwhile moves the others up, so that one of them may be missed; therefore a list with
        several pages is accepted only if two readings in a row agree. Raises `ApiUnreliable` otherwise.
        """
        before: _ListReading | None = None
        for _ in range(MAX_LIST_READINGS):
            reading = await self._read_list()
            if reading is not None and (reading.pages == 1 or (before is not None and reading.agrees_with(before))):
                return list(reading.monitors.values())
            before = reading
        raise ApiUnreliable(
            f"The account's list of monitors changes while it is read: no two of {MAX_LIST_READINGS} readings agree."
            " Run again when nothing else creates or deletes monitors."
        )

    async def _read_list(self) -> _ListReading | None:
        """Read all pages once; None if they contradict each other because monitors were created or deleted meanwhile.

        Raises `ApiUnreliable` if the list cannot be read or does not end: it must not look like an empty account.
        """
        began = time.monotonic()
        monitors: dict[str, dict[str, Any]] = {}
        self.pages = []
        params = {"type": ",".join(MONITOR_TYPES)}
        bytes_allowed = MAX_LIST_BYTES
        has_total = False  # `count` is of the whole list, not of a page
        for pages in range(1, MAX_PAGES + 1):
            response = await self._send_safely("GET", "/monitors", params=params, max_bytes=bytes_allowed)
            bytes_allowed -= len(response.body)
            page = read_list(response)
            self.pages.append((len(page.items), page.total, page.limit))
            self.type_spellings |= page.spellings
            on_page = {str(item["id"]): item for item in page.items}
            if len(on_page) < len(page.items):
                raise ApiUnreliable("The account's list of monitors shows a monitor twice. Nothing was created.")
            repeated = on_page.keys() & monitors.keys()
            if repeated and len(repeated) == len(on_page):
                raise ApiUnreliable(
                    "The account's list of monitors shows the same monitors on several pages. Nothing was created."
                )
            if repeated:
                return None
            monitors |= on_page
            has_total = has_total or page.total > len(on_page)
            if len(monitors) >= page.total and (not page.limit or len(on_page) < page.limit):
                return _ListReading(monitors, pages) if not has_total or len(monitors) == page.total else None
            if not on_page and pages > 1:
                raise ApiUnreliable(
                    f"The account's list of monitors gives a count of {page.total}, but contains {len(monitors)}."
                    " Nothing was created."
                )
            if time.monotonic() - began > MAX_LIST_SECONDS:
                raise ApiUnreliable(
                    f"The account's list of monitors did not end within {MAX_LIST_SECONDS / 60:.0f} minutes."
                    " Nothing was created."
                )
            params |= {"limit": str(max(len(on_page), 1)), "offset": str(len(monitors))}
        raise ApiUnreliable(
            f"The account's list of monitors did not end after {MAX_PAGES:,} pages. Nothing was created."
        )

    async def get(self, monitor_id: str) -> dict[str, Any] | None:
        """One monitor, or None if it does not exist (`GET /monitors/{id}`)."""
        try:
            item = decode((await self._send_safely("GET", f"/monitors/{monitor_id}")).body)
        except NotFound:
            return None
        if not isinstance(item, dict):
            raise ApiUnreliable(f"The response for monitor {monitor_id} has an unknown shape.")
        if str(item.get("id", monitor_id)) != monitor_id:
            raise ApiUnreliable(f"Monitor {monitor_id} came back as something else, with another ID.")
        if (spelling := normalize_type(item)) is not None:
            self.type_spellings.add(spelling)
        return item

    async def recipients(self) -> list[Recipient]:
        """All alert recipients of the account (`GET /recipients`).

        Raises an `ApiError` or a `RunStopped` if they cannot be read; a request without a response is repeated once.
        """
        return await self._read_all("/recipients", read_recipient)

    async def recipient_groups(self) -> list[RecipientGroup]:
        """All recipient groups of the account (`GET /notifier-groups`). Raises as `recipients` does."""
        return await self._read_all("/notifier-groups", read_group)

    async def _read_all(self, path: str, read: Callable[[Mapping[str, Any], tuple[str, ...]], T]) -> list[T]:
        """All items of a list that `limit` and `offset` divide into pages, as documented for these two.

        A list that changes while it is read may lack an item; these lists are only shown.
        """
        items: dict[str, T] = {}
        params: dict[str, str] = {}
        bytes_allowed = MAX_RECIPIENT_BYTES
        for _ in range(MAX_RECIPIENT_PAGES):
            response = await self._send_safely("GET", path, params=params, max_bytes=bytes_allowed, max_attempts=2)
            bytes_allowed -= len(response.body)
            page = read_page(response)
            known = len(items)
            items |= {str(item["id"]): read(item, response.secrets) for item in page.items}
            is_last = len(items) >= page.total and (not page.limit or len(page.items) < page.limit)
            if is_last or (len(items) == known >= page.total):
                return list(items.values())
            if len(items) == known:
                raise ApiUnreliable(f"the list gives a count of {page.total:,}, but contains {known:,}")
            params = {"limit": str(len(page.items)), "offset": str(len(items))}
        raise ApiUnreliable(f"the list did not end after {MAX_RECIPIENT_PAGES} pages")

    async def patch(self, monitor_type: str, monitor_id: str, body: bytes) -> None:
        """Change only the fields in `body` (`PATCH /monitors/<type>/{id}`). Safe to repeat."""
        await self._send_safely("PATCH", f"/monitors/{monitor_type}/{monitor_id}", body=body)

    async def delete(self, monitor_id: str) -> bool:
        """Delete a monitor; False if it did not exist (`DELETE /monitors/{id}`, 204 or 404). Safe to repeat."""
        try:
            await self._send_safely("DELETE", f"/monitors/{monitor_id}")
        except NotFound:
            return False
        return True

    async def renew(self, error: AuthFailed) -> None:
        """Get a new token after a refusal, once for all callers. Raises `LoginRefused` if there is no password."""
        async with self._login_lock:
            if error.generation < self._generation:
                return
            if not self._password:
                raise LoginRefused(f"The API refuses the token: {error}")
            await self._login()

    async def _start(self, *, with_token: bool, is_create: bool) -> float:
        """Wait until one request may start; with a token, one that is valid by then, however long the wait was."""
        if with_token:
            await self._ensure_token()
        if (at_once := self.pace.start_at_once()) is not None:
            return at_once
        started = await self.pace.start(unless_halted=is_create)
        if with_token and await self._ensure_token():
            started = await self.pace.start(unless_halted=is_create)  # the login took place meanwhile
        return started

    async def _ensure_token(self) -> bool:
        """Wait for a login under way, or log in if there is no valid token; true if the caller had to wait."""
        if not self._needs_login() and not self._login_lock.locked():
            return False
        async with self._login_lock:
            if self._needs_login():
                await self._login()
        return True

    def _needs_login(self) -> bool:
        age = time.monotonic() - self._token_since
        return not self._token or (bool(self._password) and age > TOKEN_LIFETIME)

    async def _login(self) -> None:
        credentials = json.dumps({"username": self._username, "password": self._password}).encode()
        try:
            response = await self._send_until_answered("POST", "/access-tokens", body=credentials, with_token=False)
        except (AuthFailed, Rejected, Forbidden) as error:
            raise LoginRefused(f"The API refuses the login of {self._username}: {error}") from error
        except NotFound as error:
            raise RunStopped(f"{self._base_url} is not the AlertSite API: it has no login ({error}).") from error
        token = content.get("access_token") if isinstance(content := decode(response.body), dict) else None
        if not isinstance(token, str):
            raise ApiUnreliable(f"The login at {self._base_url} returned no token.")
        if not can_be_token(token):
            raise LoginRefused(
                f"The login of {self._username} at {self._base_url} returned an invalid token:"
                " it is empty, too long, or contains characters that a header cannot carry."
            )
        self._token = token
        self._token_since = time.monotonic()
        self._generation += 1
        log.info("logged in as %s", self._username)

    async def _send_safely(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BODY_BYTES,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> Response:
        """Send a request that is safe to repeat, until it gets a response of at most `max_bytes`."""
        try:
            return await self._send_until_answered(
                method, path, body=body, params=params, max_bytes=max_bytes, max_attempts=max_attempts
            )
        except AuthFailed as error:
            if method in ("PATCH", "DELETE") and self._accepted_generation >= error.generation:
                raise Rejected(str(error)) from error  # this token was accepted for other requests
            raise LoginRefused(f"The API refuses the token: {error}") from error
        except (NotFound, Forbidden, Rejected) as error:
            if path == "/monitors":
                raise RunStopped(f"{self._base_url} does not list the account's monitors: {error}") from error
            raise

    async def _send_until_answered(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BODY_BYTES,
        max_attempts: int = MAX_ATTEMPTS,
        with_token: bool = True,
    ) -> Response:
        attempts = throttles = refusals = 0
        while True:
            try:
                exchange = await self._send(
                    method, path, body=body, params=params, max_bytes=max_bytes, with_token=with_token
                )
                response = exchange.response
                if is_html(response):
                    raise UnexpectedPage(f"a web page came back: {snippet(response)}", sent_at=exchange.latest)
            except AuthFailed as error:
                refusals += 1
                is_new = error.was_fresh and self._accepted_generation < error.generation
                if not with_token or (refusals > 1 and is_new) or refusals > MAX_TOKEN_REFUSALS:
                    raise  # another token does not help
                await self.renew(error)
            except Throttled as error:
                throttles += 1
                if throttles >= MAX_THROTTLES:
                    raise ApiDown(f"The API refused {throttles} requests in a row as too many: {error}") from error
            except (UnexpectedPage, UnreadableResponse, WrongAddress) as error:
                raise ApiUnreliable(f"{self._base_url} does not answer like the AlertSite API: {error}") from error
            except (NotSent, InDoubt) as error:
                attempts += 1
                if attempts >= max_attempts:
                    raise ApiDown(f"The API at {self._base_url} does not respond: {error}") from error
                log.warning("%s %s: %s; retrying", method, path, error)
                await asyncio.sleep(FIRST_BACK_OFF * 2 ** (attempts - 1))
            else:
                return response
            self.retried += 1

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BODY_BYTES,
        with_token: bool = True,
        is_create: bool = False,
    ) -> _Exchange:
        """Send one paced request. Returns a 2xx response; raises an `ApiError` for any other, and for any failure.

        Of a create, the moment when its body was sent is recorded.
        """
        started = await self._start(with_token=with_token, is_create=is_create)
        token, generation = (self._token, self._generation) if with_token else ("", 0)
        age = started - self._token_since  # seconds, both monotonic
        secrets = self._secrets(token or self._password)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if with_token:
            headers["Authorization"] = f"Bearer {token}"
        request_body = RequestBody(body) if body is not None and is_create else None
        earliest = clock.Reading.now()
        self.sent += 1
        failure: ApiError | None = None
        try:
            received = None
            if request_body is not None:
                received = await self._direct_post.send(self._base_url + path, headers, request_body, max_bytes)
            if received is None:
                received = await self._send_in_session(method, path, headers, request_body or body, params, max_bytes)
        except UnreadableBody as error:
            failure = UnreadableResponse(str(error), sent_at=_latest(request_body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = translate_client_error(error, _latest(request_body), secrets)
        if failure is not None:  # raised here, so that it has no reference to the client's error with its secrets
            log.debug("%s %s: %s", method, path, failure)
            raise failure
        assert received is not None
        response = Response(*received, secrets)
        self.limit_headers |= select_limit_headers(response.headers)
        log.debug("%s %s: HTTP %d", method, path, response.status)
        try:
            if not response.is_success:
                raise_for_status(response, _latest(request_body))
        except Throttled as error:
            self.pace.slow_down(started, error.retry_after)
            raise
        except ApiError as error:
            self.pace.record_accepted(started)
            if isinstance(error, AuthFailed):
                error.generation = generation
                error.was_fresh = age <= max(FRESH_TOKEN, self._accepted_age)
            raise
        self.pace.record_accepted(started)
        if with_token and not is_html(response):
            self._accepted_generation = max(self._accepted_generation, generation)
            self._accepted_age = max(self._accepted_age, age)
        return _Exchange(response, earliest, request_body)

    async def _send_in_session(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: RequestBody | bytes | None,
        params: Mapping[str, str] | None,
        max_bytes: int,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request in aiohttp's session; returns status, headers and body of the response."""
        self._direct_post.give_back()  # or the request might wait for a connection that is only kept
        if isinstance(body, RequestBody):
            headers["Content-Length"] = str(len(body.content))  # otherwise aiohttp would use chunked transfer encoding
        async with self._session.request(
            method,
            self._base_url + path,
            data=body,
            params=params,
            headers=headers,
            allow_redirects=False,  # a redirected POST would be repeated as a GET
            proxy=self._proxy,
        ) as response:
            return response.status, response.headers, await read_body(response.headers, response.content, max_bytes)

    def _secrets(self, credential: str) -> tuple[str, ...]:
        """Everything that no message may contain; `credential` is the token or password of the request."""
        password = self._password if len(self._password) >= MIN_HIDDEN_PASSWORD else ""
        return (credential, self._token, password, *self._proxy_secrets)


def _latest(body: RequestBody | None) -> str:
    """The latest possible moment at which a request was sent: when its body was, if that was recorded, or now."""
    return str(body.sent_at if body is not None and body.sent_at is not None else clock.Reading.now())
