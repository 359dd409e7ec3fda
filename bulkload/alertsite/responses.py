"""What a response of the API means, and the monitors in it.

In: a response, or an exception of the HTTP client. Out: the monitors of a list, or an `ApiError`. All statuses and all
aiohttp exceptions are translated here and nowhere else. No message made from a response or an exception contains a
secret or a control character, and every text can be stored: lone surrogates, which JSON can spell, are replaced.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import aiohttp

from bulkload.alertsite.connection_problems import connection_problem
from bulkload.alertsite.secrets import hide
from bulkload.errors import (
    ApiError,
    ApiUnreliable,
    AuthFailed,
    Forbidden,
    InDoubt,
    NotFound,
    NotSent,
    Rejected,
    Throttled,
    WrongAddress,
)
from bulkload.protocols import MONITOR_TYPES

SNIPPET_CHARS = 200  # of an unexpected response that are shown
SNIPPET_BYTES = 100 * SNIPPET_CHARS  # of its body that are decoded for these
MAX_CONTAINERS = 2_000_000  # arrays and objects in one response; a monitor has about six
MAX_MESSAGE_CHARS = 2_000  # of the API's message that are kept; every row may have one

MONITOR_ID = re.compile(r"[1-9][0-9]{0,17}")
REFUSED_TOKEN = re.compile(r"(invalid_request - )?User authentication failed\.?")  # documented with status 400

_SURROGATE = re.compile("[\ud800-\udfff]")  # no encoding can represent a lone one
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_MAY_HAVE_SURROGATE = re.compile(rb"\\u[dD]|[\xed\0]")  # escaped, in UTF-8, in UTF-16: without these there is none
_TYPES = {"pop3": "email-pop", "roundtrip": "email-round-trip"} | {
    name.removeprefix("email-"): name for name in MONITOR_TYPES
}


class Response(NamedTuple):
    """A complete response with its body undecoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    secrets: tuple[str, ...] = ()  # that no message about it may contain

    @property
    def is_success(self) -> bool:
        """True for a status of 2xx."""
        return 200 <= self.status < 300


class Page(NamedTuple):
    """One page of the account's list."""

    items: Sequence[dict[str, Any]]
    total: int  # number of monitors, on this page or in the whole list; 0: unknown
    limit: int  # maximum number of monitors on a page; 0: unknown
    spellings: frozenset[str]  # undocumented spellings of types on this page


def raise_for_status(response: Response, sent_at: str) -> None:
    """Raise the `ApiError` of a status other than 2xx; `sent_at` is the latest possible moment its request was sent.

    A token was refused if the status is 401, or if a message is exactly the documented one. The same words inside a
    longer message may come from the rejected row, and in a 5xx they do not show what was done before.
    """
    status = response.status
    if response.is_success:
        return
    message = error_message(response)
    if status == 429:
        raise Throttled(message, retry_after(response.headers))
    if status == 401 or (status in (400, 403) and not is_html(response) and _refuses_token(response)):
        raise AuthFailed(message)
    if status >= 500 or status == 408:  # 408: a gateway may have timed out while the server behind it continued
        raise InDoubt(message, sent_at=sent_at)
    if status < 400 or status == 407 or is_html(response):  # 407: the proxy requires a password
        raise WrongAddress(message)
    if status == 403:
        raise Forbidden(message)
    if status == 404:
        raise NotFound(message)
    raise Rejected(message)


def translate_client_error(error: Exception, sent_at: str, secrets: tuple[str, ...] = ()) -> ApiError:
    """The `ApiError` for an exception of the HTTP client."""
    message = one_line(replace_surrogates(connection_problem(error)), secrets)
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | aiohttp.ClientHttpProxyError():
            return WrongAddress(message)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return NotSent(message)  # DNS, routing, refused connection or TLS: the request itself was never sent
        case TimeoutError():
            return InDoubt("timeout while waiting for the response", sent_at=sent_at)
        case _:
            return InDoubt(f"the connection was lost after sending ({message})", sent_at=sent_at)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait according to `Retry-After`, as a number or a date; None if it is missing or invalid.

    `now` is in seconds since 1970.
    """
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        return float(text)
    try:
        date = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, date - (time.time() if now is None else now))


def read_list(response: Response) -> Page:
    """One page of the list, with the type of each mail monitor in its documented spelling.

    The envelope `{"metadata": {"resultset": {"count": …, "limit": …}}, "results": […]}` is inferred from the API's
    other lists. `count` may be of the page or of the whole list, so only a count above the items read shows that there
    are more. Raises `ApiUnreliable` if the response is not such a list.
    """
    content = decode(response.body)
    items = content.get("results") if isinstance(content, dict) else content
    if not isinstance(items, list) or not all(map(_is_monitor, items)):
        raise ApiUnreliable(
            f"The account's list of monitors has an unknown shape: {snippet(response)}. Nothing was created."
        )
    metadata = content.get("metadata") if isinstance(content, dict) else None
    resultset = metadata.get("resultset") if isinstance(metadata, dict) else None
    counts = resultset if isinstance(resultset, dict) else {}
    spellings = frozenset(spelling for item in items if (spelling := normalize_type(item)) is not None)
    return Page(items, count_in(counts.get("count")), count_in(counts.get("limit")), spellings)


def mail_type(value: object) -> str | None:
    """The documented spelling of a mail monitor's type; None for any other value."""
    if value in MONITOR_TYPES:
        return str(value)
    if not isinstance(value, str):
        return None
    return _TYPES.get(re.sub(r"[-_\s]+", "-", value.strip().lower()).removeprefix("email-"))


def normalize_type(item: dict[str, Any]) -> str | None:
    """Change a mail monitor's type to its documented spelling; returns the previous one if it was different."""
    spelling = item.get("type")
    monitor_type = mail_type(spelling)
    if monitor_type is None or monitor_type == spelling:
        return None
    item["type"] = monitor_type
    return str(spelling)


def _is_monitor(item: object) -> bool:
    """True for an item that identifies a monitor; without an identity, existing rows would look new."""
    if not isinstance(item, dict) or isinstance(item.get("id"), bool) or not isinstance(item.get("type"), str):
        return False
    monitor_type = mail_type(item["type"])
    host_field = "smtp_hostname" if monitor_type == "email-round-trip" else "hostname"
    is_complete = monitor_type is None or ("name" in item and host_field in item)
    return is_complete and MONITOR_ID.fullmatch(str(item.get("id"))) is not None


def count_in(value: object) -> int:
    """The number that a list gives as its count or limit; 0 if it gives none."""
    return int(str(value)) if re.fullmatch(r"[0-9]{1,9}", str(value)) else 0


def error_message(response: Response) -> str:
    """The API's messages as one line, from `{"errors": [{"code": 400, "message": "…"}]}`, or status and body."""
    if messages := _messages(response):
        return one_line("; ".join(messages), response.secrets)[:MAX_MESSAGE_CHARS]
    text = snippet(response)
    return f"HTTP {response.status}: {text}" if text else f"HTTP {response.status}"


def snippet(response: Response) -> str:
    """The beginning of the body, as one line."""
    return one_line(response.body[:SNIPPET_BYTES].decode("utf-8", "replace"), response.secrets)[:SNIPPET_CHARS]


def one_line(text: str, secrets: tuple[str, ...]) -> str:
    """The text on one line, without secrets, and without characters that would control a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(hide(text, secrets).split()))


def _refuses_token(response: Response) -> bool:
    return any(map(REFUSED_TOKEN.fullmatch, _messages(response)))


def _messages(response: Response) -> list[str]:
    content = decode(response.body)
    errors = content.get("errors") if isinstance(content, dict) else None
    if not isinstance(errors, list):
        return []
    return [str(error["message"]).strip() for error in errors if isinstance(error, dict) and error.get("message")]


def decode(body: bytes) -> Any:
    """The value of a JSON text, with texts that can be stored; None if it is not JSON.

    A text with more than `MAX_CONTAINERS` arrays and objects gives None too: decoded, it would take many times its
    size in memory.
    """
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        return None
    try:
        value = json.loads(body)
        return _without_surrogates(value) if _MAY_HAVE_SURROGATE.search(body) else value
    except (ValueError, RecursionError):
        return None


def replace_surrogates(text: str) -> str:
    """The text, with each lone surrogate replaced by a replacement character."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return replace_surrogates(value)
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {replace_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def is_html(response: Response) -> bool:
    """True for a web page, by its content type or by the first character of its body."""
    return "html" in response.headers.get("Content-Type", "").lower() or response.body.lstrip()[:1] == b"<"
