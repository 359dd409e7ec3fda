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
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

import aiohttp

from bulkload import __version__, clock
from bulkload.alertsite.bodies import LARGEST_ANSWER, Outgoing, UnreadableBody, body_of
from bulkload.alertsite.limit_headers import limits_told
from bulkload.alertsite.pacing import Pace
from bulkload.alertsite.proxy import proxy_for
from bulkload.alertsite.responses import (
    MONITOR_ID,
    Answer,
    client_failure,
    decode,
    is_page,
    raise_for_status,
    read_list,
    snippet,
    spell_type,
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
TOKEN_LIFE = 55 * 60.0  # seconds; tokens live 1 hour, and 5 minutes are left for requests under way
SAFE_TRIES = 5  # attempts at a request that may be repeated without harm
SAFE_BACK_OFF = 0.5  # seconds before the second attempt, doubled each time
MOST_REFUSALS = 5  # of tokens that others are served with, before a request that may be repeated is given up
MOST_THROTTLES = 20  # 429s in a row after which a request that may be repeated is given up
LARGEST_LIST = 256 * 2**20  # bytes of all pages of a list, unpacked
MOST_PAGES = 2_000  # of a list
LONGEST_READING = 15 * 60.0  # seconds that reading all pages of a list once may take
READINGS = 4  # times that a list in pages is read in all, until two readings agree
COMMON_PASSWORD = 8  # characters; a shorter password may be a word that an answer says on its own

log = logging.getLogger(__name__)


class Created(NamedTuple):
    """A new monitor."""

    monitor_id: str
    sent_at: str  # the earliest possible moment, see `clock`


class _Sent(NamedTuple):
    """A 2xx answer, and between which two moments its request left."""

    answer: Answer
    earliest: str
    latest: str


class _Reading(NamedTuple):
    """All pages of the account's list, read once."""

    monitors: dict[str, dict[str, Any]]  # by ID
    pages: int

    def agrees_with(self, before: _Reading) -> bool:
        """True if both show the same monitors, this one maybe with some that were made since: their IDs are higher."""
        made = self.monitors.keys() - before.monitors.keys()
        newest = max(map(int, before.monitors), default=0)
        return before.monitors.keys() <= self.monitors.keys() and all(int(one) > newest for one in made)


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
        self.type_spellings: set[str] = set()  # of types of mail monitors that were shown otherwise than documented
        self.pages: list[tuple[int, int, int]] = []  # of the last list: monitors, `count` and `limit` (0: not said)
        self.limit_headers: dict[str, str] = {}  # the last of each that came
        self._base_url = base_url.rstrip("/")
        self._proxy, self._proxy_secrets = proxy_for(base_url)
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
            headers={
                "User-Agent": f"bulkload/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # `body_of` does it, up to a bound
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
            answer, earliest, latest = await self._send(
                "POST", f"/monitors/{monitor_type}", body=body, token=token, get_ready=get_ready
            )
        except AuthFailed as error:
            error.generation = generation
            raise
        except NotFound as error:
            raise WrongAddress(f"{self._base_url} has no monitors to create: {error}") from error
        self._proven = max(self._proven, generation)
        if is_page(answer):
            raise UnexpectedPage(f"a web page came back instead of an answer: {snippet(answer)}", sent_at=latest)
        created = decode(answer.body)
        monitor_id = created.get("id") if isinstance(created, dict) else None
        if isinstance(monitor_id, bool) or not MONITOR_ID.fullmatch(str(monitor_id)):
            raise InDoubt(f"HTTP {answer.status} without a monitor ID: {snippet(answer)}", sent_at=latest)
        return Created(str(monitor_id), earliest)

    async def list_mail_monitors(self) -> list[dict[str, Any]]:
        """All mail monitors of the account, as the API shows them (`GET /monitors?type=…`).

        Paging is not documented for monitors, so it is followed where the answer says that there is more. A monitor
        that goes while pages are read moves the others, and one of them may be passed over; so a list in several
        pages counts only when two readings in a row agree.
        """
        before: _Reading | None = None
        for _ in range(READINGS):
            reading = await self._read_list()
            if reading is not None and (reading.pages == 1 or (before is not None and reading.agrees_with(before))):
                return list(reading.monitors.values())
            before = reading
        raise ApiUnreliable(
            f"The account's list of monitors changes while it is read: {READINGS} readings do not agree."
            " Run again when nobody else makes or deletes monitors."
        )

    async def _read_list(self) -> _Reading | None:
        """Read all pages once; None if they contradict each other, because monitors came or went meanwhile.

        Raises `ApiUnreliable` if the list cannot be read or does not end: it must not look like an empty account.
        """
        began = time.monotonic()
        monitors: dict[str, dict[str, Any]] = {}
        self.pages = []
        params = {"type": ",".join(MONITOR_TYPES)}
        room = LARGEST_LIST
        counts_all = False  # the count is of the whole list, not of a page
        for pages in range(1, MOST_PAGES + 1):
            answer = await self._safely("GET", "/monitors", params=params, most=room)
            room -= len(answer.body)
            page = read_list(answer)
            self.pages.append((len(page.items), page.total, page.limit))
            self.type_spellings |= page.spellings
            found = {str(item["id"]): item for item in page.items}
            if len(found) < len(page.items):
                raise ApiUnreliable("The account's list of monitors shows a monitor twice. Nothing was created.")
            repeated = found.keys() & monitors.keys()
            if repeated and len(repeated) == len(found):
                raise ApiUnreliable(
                    "The account's list of monitors shows the same monitors on several pages. Nothing was created."
                )
            if repeated:
                return None
            monitors |= found
            counts_all = counts_all or page.total > len(found)
            if len(monitors) >= page.total and (not page.limit or len(found) < page.limit):
                return _Reading(monitors, pages) if not counts_all or len(monitors) == page.total else None
            if not found and pages > 1:
                raise ApiUnreliable(
                    f"The account's list of monitors speaks of {page.total}, but shows only {len(monitors)}."
                    " Nothing was created."
                )
            if time.monotonic() - began > LONGEST_READING:
                raise ApiUnreliable(
                    f"The account's list of monitors was read for more than {LONGEST_READING / 60:.0f} minutes"
                    " and did not end. Nothing was created."
                )
            params |= {"limit": str(max(len(found), 1)), "offset": str(len(monitors))}
        raise ApiUnreliable(
            f"The account's list of monitors has more than {MOST_PAGES:,} pages and does not end. Nothing was created."
        )

    async def get(self, monitor_id: str) -> dict[str, Any] | None:
        """One monitor, or None if it is gone (`GET /monitors/{id}`)."""
        try:
            item = decode((await self._safely("GET", f"/monitors/{monitor_id}")).body)
        except NotFound:
            return None
        if not isinstance(item, dict):
            raise ApiUnreliable(f"Monitor {monitor_id} came back in an unknown shape.")
        if str(item.get("id", monitor_id)) != monitor_id:
            raise ApiUnreliable(f"Monitor {monitor_id} came back as something else, with another ID.")
        if (shown := spell_type(item)) is not None:
            self.type_spellings.add(shown)
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
        """Get a new token after a refusal, once for all callers. Raises `LoginRefused` if there is no password."""
        async with self._login_lock:
            if refused.generation < self._generation:
                return
            if not self._password:
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
        if not isinstance(token, str):
            raise ApiUnreliable(f"The login at {self._base_url} was answered without a token.")
        if not can_be_token(token):
            raise LoginRefused(
                f"The login of {self._username} at {self._base_url} was answered with a token that cannot be used:"
                " it is empty or too long, or holds signs that no header can carry."
            )
        self._token = token
        self._token_since = time.monotonic()
        self._generation += 1
        log.info("logged in as %s", self._username)

    async def _safely(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        most: int = LARGEST_ANSWER,
    ) -> Answer:
        """Send a request that may be repeated without harm, until it is answered; `most` bytes may come back."""
        try:
            return await self._repeat(method, path, body=body, params=params, most=most)
        except AuthFailed as error:
            if method in ("PATCH", "DELETE") and self._proven >= error.generation:
                raise Rejected(str(error)) from error  # other requests go through with this token
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
        most: int = LARGEST_ANSWER,
        with_token: bool = True,
    ) -> Answer:
        tries = throttles = refusals = 0
        while True:
            token, generation = await self._current_token() if with_token else ("", 0)
            try:
                answer, _, sent_at = await self._send(method, path, body=body, params=params, token=token, most=most)
                if is_page(answer):
                    raise UnexpectedPage(f"a web page came back: {snippet(answer)}", sent_at=sent_at)
            except AuthFailed as error:
                refusals += 1
                error.generation = generation
                if not with_token or (refusals > 1 and self._proven < generation) or refusals > MOST_REFUSALS:
                    raise  # a fresh token does not help
                await self.renew(error)
            except Throttled as error:
                throttles += 1
                if throttles >= MOST_THROTTLES:
                    raise ApiDown(f"The API keeps asking for fewer requests: {error}") from error
            except (UnexpectedPage, UnreadableResponse, WrongAddress) as error:
                raise ApiUnreliable(f"{self._base_url} does not answer like the AlertSite API: {error}") from error
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
        most: int = LARGEST_ANSWER,
        get_ready: Callable[[], Awaitable[None]] | None = None,
    ) -> _Sent:
        """One request at the pace. Returns a 2xx answer; raises the meaning of any other, and of any failure.

        With a `get_ready`, that is for a create, it is noted when the bytes had left.
        """
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        outgoing = None
        if body is not None and get_ready is not None:
            outgoing = Outgoing(body)
            headers["Content-Length"] = str(len(body))  # or it would go out in chunks
        secrets = self._secrets(token or self._password)

        def latest() -> str:
            return (outgoing is not None and outgoing.sent_at) or clock.moment()

        started = await self.pace.start(get_ready)
        earliest = clock.moment()
        self.sent += 1
        failure: ApiError | None = None
        try:
            async with self._session.request(
                method,
                self._base_url + path,
                data=outgoing or body,
                params=params,
                headers=headers,
                allow_redirects=False,  # a redirected POST would be sent on as a GET
                proxy=self._proxy,
            ) as response:
                answer = Answer(response.status, response.headers, await body_of(response, most), secrets)
                self.limit_headers |= limits_told(answer.headers)
        except UnreadableBody as error:
            failure = UnreadableResponse(str(error), sent_at=latest())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = client_failure(error, latest(), secrets)
        if failure is not None:  # raised here, so that the client's own error, which may hold a secret, is left behind
            log.debug("%s %s: %s", method, path, failure)
            raise failure
        log.debug("%s %s: HTTP %d", method, path, answer.status)
        try:
            raise_for_status(answer, latest())
        except Throttled as error:
            self.pace.slow_down(started, error.retry_after)
            raise
        except ApiError:
            self.pace.taken(started)
            raise
        self.pace.taken(started)
        return _Sent(answer, earliest, latest())

    def _secrets(self, sent: str) -> tuple[str, ...]:
        """What no text about a request may show; `sent` is what the request itself carries."""
        password = self._password if len(self._password) >= COMMON_PASSWORD else ""
        return (sent, self._token, password, *self._proxy_secrets)
