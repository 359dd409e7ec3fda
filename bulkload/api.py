"""The AlertSite Management API v3: login, list, read, create, patch, delete.

In: a monitor type and a body, or an ID. Out: what the API answered, or an `ApiError` that says what the answer
proves; `answers` works that out. API facts are from the public pages under
https://support.smartbear.com/alertsite/docs/api/v3/; what those do not say is marked as an assumption.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from bulkload import __version__, clock
from bulkload.answers import (
    MONITOR_ID,
    Answer,
    client_failure,
    decode,
    is_page,
    raise_for_status,
    read_list,
    snippet,
)
from bulkload.errors import (
    ApiDown,
    ApiError,
    AuthFailed,
    Distrusted,
    Forbidden,
    InDoubt,
    LoginRefused,
    NotFound,
    NotSent,
    OddPage,
    Rejected,
    RunStopped,
    Throttled,
    WrongAddress,
)
from bulkload.limits import limits_told
from bulkload.model import MONITOR_TYPES
from bulkload.pace import Pace

CONNECT_TIMEOUT = 10.0  # seconds to open a connection
TOKEN_LIFE = 55 * 60.0  # seconds; tokens live 1 hour, and 5 minutes are left for requests under way
SAFE_TRIES = 5  # attempts at a request that may be repeated without harm
SAFE_BACK_OFF = 0.5  # seconds before the second attempt, doubled each time
MOST_THROTTLES = 20  # 429s in a row after which a request that may be repeated is given up
LARGEST_ANSWER = 256 * 2**20  # bytes
CHUNK = 2**20  # bytes of an answer taken at a time

log = logging.getLogger(__name__)


class Created(NamedTuple):
    """A new monitor."""

    monitor_id: str
    left: str  # the moment its request left, see `clock`


class Api:
    """A client for one account; one token for all workers, every request at the pace."""

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
        self.sent = 0  # requests that left, logins included
        self.retried = 0  # of those, how many repeated an earlier one
        self.pages: list[tuple[int, int, int]] = []  # of the last list: monitors, `count` and `limit` (0: not said)
        self.limit_headers: dict[str, str] = {}  # the last of each that came
        self._base_url = base_url.rstrip("/")
        self._proxy = _proxy_for(base_url)
        self._username = username
        self._password = password
        self._token = token
        self._generation = 1 if token else 0
        self._proven = 0  # newest generation that was accepted at least once
        self._token_since = time.monotonic()
        self._login_lock = asyncio.Lock()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=concurrency + 2),
            timeout=aiohttp.ClientTimeout(total=request_timeout, sock_connect=CONNECT_TIMEOUT),
            headers={"User-Agent": f"bulkload/{__version__}", "Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def create(self, monitor_type: str, body: bytes, get_ready: Callable[[], Awaitable[None]]) -> Created:
        """Create one monitor, in exactly one request (`POST /monitors/<type>`, HTTP 200 with `{"id": "123456"}`).

        `get_ready` is awaited right before the request leaves. Raises any `ApiError`, whose class says what is proven.
        """
        token, generation = await self._current_token()
        try:
            answer, left = await self._send(
                "POST", f"/monitors/{monitor_type}", body=body, token=token, get_ready=get_ready
            )
        except AuthFailed as error:
            error.generation = generation
            raise
        except NotFound as error:
            raise WrongAddress(f"{self._base_url} has no monitors to create: {error}") from error
        self._proven = max(self._proven, generation)
        if is_page(answer):
            raise OddPage(f"a web page came back instead of an answer: {snippet(answer)}", left=left)
        created = decode(answer.body)
        monitor_id = created.get("id") if isinstance(created, dict) else None
        if isinstance(monitor_id, bool) or not MONITOR_ID.fullmatch(str(monitor_id)):
            raise InDoubt(f"HTTP {answer.status} without a monitor ID: {snippet(answer)}", left=left)
        return Created(str(monitor_id), left)

    async def list_mail_monitors(self) -> list[dict[str, Any]]:
        """All mail monitors of the account, as the API shows them (`GET /monitors?type=…`).

        Paging is not documented for monitors, so it is followed where the answer says that there is more. An answer
        of any other shape raises `Distrusted`: a list that cannot be read must not look like an empty account.
        """
        monitors: dict[str, dict[str, Any]] = {}
        self.pages = []
        params = {"type": ",".join(MONITOR_TYPES)}
        while True:
            page, total, limit = read_list(await self._safely("GET", "/monitors", params=params))
            self.pages.append((len(page), total, limit))
            fresh = {str(item["id"]): item for item in page if str(item["id"]) not in monitors}
            if len(fresh) < len(page):
                raise Distrusted("The account's list of monitors shows a monitor twice. Nothing was created.")
            monitors |= fresh
            if len(monitors) >= total and (not limit or len(page) < limit):
                return list(monitors.values())
            if not page and "offset" in params:
                raise Distrusted(
                    f"The account's list of monitors speaks of {total}, but shows only {len(monitors)}."
                    " Nothing was created."
                )
            params |= {"limit": str(max(len(page), 1)), "offset": str(len(monitors))}

    async def get(self, monitor_id: str) -> dict[str, Any] | None:
        """One monitor, or None if it is gone (`GET /monitors/{id}`)."""
        try:
            item = decode((await self._safely("GET", f"/monitors/{monitor_id}")).body)
        except NotFound:
            return None
        if not isinstance(item, dict):
            raise Distrusted(f"Monitor {monitor_id} came back in an unknown shape.")
        return item

    async def patch(self, monitor_type: str, monitor_id: str, body: bytes) -> None:
        """Change the fields in `body`, no others (`PATCH /monitors/<type>/{id}`). Safe to repeat."""
        await self._safely("PATCH", f"/monitors/{monitor_type}/{monitor_id}", body=body)

    async def delete(self, monitor_id: str) -> bool:
        """Delete a monitor; False if it was gone already (`DELETE /monitors/{id}`, 204 or 404). Safe to repeat."""
        try:
            await self._safely("DELETE", f"/monitors/{monitor_id}")
        except NotFound:
            return False
        return True

    async def renew(self, refused: AuthFailed) -> None:
        """Get a new token after a refusal, once for all callers; a second refusal in a row ends the run."""
        async with self._login_lock:
            if refused.generation < self._generation:
                return
            if not self._password or (refused.generation > 1 and self._proven < refused.generation):
                raise LoginRefused(f"The API refuses the token: {refused}")
            await self._login()

    async def _current_token(self) -> tuple[str, int]:
        if not self._token or (self._password and time.monotonic() - self._token_since > TOKEN_LIFE):
            async with self._login_lock:
                if not self._token or time.monotonic() - self._token_since > TOKEN_LIFE:
                    await self._login()
        return self._token, self._generation

    async def _login(self) -> None:
        credentials = json.dumps({"username": self._username, "password": self._password}).encode()
        try:
            answer = await self._repeat("POST", "/access-tokens", body=credentials, with_token=False)
        except (AuthFailed, Rejected, Forbidden) as error:
            raise LoginRefused(f"The API refuses the login of {self._username}: {error}") from error
        except NotFound as error:
            raise RunStopped(f"{self._base_url} is not the AlertSite API: it has no login ({error}).") from error
        token = found.get("access_token") if isinstance(found := decode(answer.body), dict) else None
        if not isinstance(token, str) or not token:
            raise Distrusted(f"The login at {self._base_url} was answered without a token.")
        self._token = token
        self._token_since = time.monotonic()
        self._generation += 1
        log.info("logged in as %s", self._username)

    async def _safely(
        self, method: str, path: str, *, body: bytes | None = None, params: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request that may be repeated without harm, until it is answered."""
        try:
            return await self._repeat(method, path, body=body, params=params)
        except AuthFailed as error:
            raise LoginRefused(f"The API refuses the token: {error}") from error
        except (NotFound, Forbidden, Rejected) as error:
            if path == "/monitors":
                raise RunStopped(f"{self._base_url} does not list the account's monitors: {error}") from error
            raise

    async def _repeat(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        with_token: bool = True,
    ) -> Answer:
        tries = throttles = 0
        while True:
            token, generation = await self._current_token() if with_token else ("", 0)
            try:
                answer, left = await self._send(method, path, body=body, params=params, token=token)
                if is_page(answer):
                    raise OddPage(f"a web page came back: {snippet(answer)}", left=left)
            except AuthFailed as error:
                if not with_token:
                    raise
                error.generation = generation
                await self.renew(error)
            except Throttled as error:
                throttles += 1
                if throttles >= MOST_THROTTLES:
                    raise ApiDown(f"The API keeps asking for fewer requests: {error}") from error
            except (OddPage, WrongAddress) as error:
                raise Distrusted(f"{self._base_url} does not answer like the AlertSite API: {error}") from error
            except (NotSent, InDoubt) as error:
                tries += 1
                if tries >= SAFE_TRIES:
                    raise ApiDown(f"The API at {self._base_url} does not answer: {error}") from error
                log.warning("%s %s: %s; trying again", method, path, error)
                await asyncio.sleep(SAFE_BACK_OFF * 2 ** (tries - 1))
            else:
                if with_token:
                    self._proven = max(self._proven, generation)
                return answer
            self.retried += 1

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        token: str = "",
        get_ready: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[Answer, str]:
        """One request at the pace. Returns a 2xx answer and when the request left; raises the meaning of any other."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        started = await self.pace.start(get_ready)
        left = clock.moment()
        self.sent += 1
        try:
            async with self._session.request(
                method,
                self._base_url + path,
                data=body,
                params=params,
                headers=headers,
                allow_redirects=False,  # a redirected POST would be sent on as a GET
                proxy=self._proxy,
            ) as response:
                answer = Answer(response.status, response.headers, await _body(response), token or self._password)
                self.limit_headers |= limits_told(answer.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = client_failure(error, left)
            log.debug("%s %s: %s", method, path, failure)
            raise failure from error
        log.debug("%s %s: HTTP %d", method, path, answer.status)
        try:
            raise_for_status(answer, left)
        except Throttled as error:
            self.pace.slow_down(started, error.retry_after)
            raise
        except ApiError:
            self.pace.taken(started)
            raise
        self.pace.taken(started)
        return answer, left


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while chunk := await response.content.read(CHUNK):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {LARGEST_ANSWER} bytes")
    return bytes(body)


def _proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names for this address (`HTTPS_PROXY`, `NO_PROXY`, …).

    Not left to aiohttp's `trust_env`, which would also let a `.netrc` replace the token.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
