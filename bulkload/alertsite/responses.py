"""What an answer of the API proves, and what can be read in it.

In: an answer, or the failure of the HTTP client. Out: the monitors of a list, or an `ApiError`. All statuses and all
aiohttp errors are translated here and nowhere else. What is shown of an answer or a failure never holds a secret, and
every text is one that can be stored: half a character, as JSON can spell it, is replaced.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import aiohttp

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

SNIPPET = 200  # characters of an unexpected answer that are shown
MOST_PARTS = 2_000_000  # lists and objects in one answer; a monitor has about six
LOOKED_AT = 100 * SNIPPET  # bytes of it that are looked at for these
MAX_MESSAGE_CHARS = 2_000  # characters of the API's own words that are kept; every row may have some

MONITOR_ID = re.compile(r"[0-9]{1,18}")
REFUSED_TOKEN = re.compile(r"(invalid_request - )?User authentication failed\.?")  # a 400 with this, say the docs

_HALF = re.compile("[\ud800-\udfff]")  # half of a character beyond the first 65,536; no encoding can hold it
_SIGNS_OF_HALVES = (rb"\ud", rb"\uD", b"\xed", b"\0")  # escaped, in UTF-8, in UTF-16: without these there is no half
_TYPES = {"pop3": "email-pop", "roundtrip": "email-round-trip"} | {
    name.removeprefix("email-"): name for name in MONITOR_TYPES
}


class Answer(NamedTuple):
    """A whole answer, undecoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    secrets: tuple[str, ...] = ()  # what it must not be shown with


class Page(NamedTuple):
    """One page of the account's list."""

    items: Sequence[dict[str, Any]]
    total: int  # how many monitors there are, on this page or in all; 0: not said
    limit: int  # the most that a page holds; 0: not said
    spellings: frozenset[str]  # of types, where they are not the documented ones


def raise_for_status(answer: Answer, sent_at: str) -> None:
    """Raise what a status other than 2xx means; `sent_at` is the latest moment at which its request can have been sent.

    A refused token is told by 401, or by the documented words as a message of their own. The same words inside a
    longer text may be a part of the refused row, and in a 5xx they say nothing about what was done before.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    words = words_of(answer)
    if status == 429:
        raise Throttled(words, retry_after(answer.headers))
    if status == 401 or (status in (400, 403) and not is_page(answer) and _refuses_token(answer)):
        raise AuthFailed(words)
    if status >= 500 or status == 408:  # 408: somebody gave up waiting, but maybe not the server behind
        raise InDoubt(words, sent_at=sent_at)
    if status < 400 or status == 407 or is_page(answer):  # 407: the proxy wants a password
        raise WrongAddress(words)
    if status == 403:
        raise Forbidden(words)
    if status == 404:
        raise NotFound(words)
    raise Rejected(words)


def client_failure(error: Exception, sent_at: str, secrets: tuple[str, ...] = ()) -> ApiError:
    """What a failure of the HTTP client means for the request that met it."""
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    words = hide(whole(words), secrets)
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | aiohttp.ClientHttpProxyError():
            return WrongAddress(words)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return NotSent(words)  # no name, no route, nobody listening, no TLS: the request itself never left
        case TimeoutError():
            return InDoubt("no answer in time", sent_at=sent_at)
        case _:
            return InDoubt(f"the connection broke after sending ({words})", sent_at=sent_at)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait according to `Retry-After`, in either form; None if absent or unreadable."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        return float(text)
    try:
        then = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, then - (time.time() if now is None else now))


def read_list(answer: Answer) -> Page:
    """One page of the list, with the documented spelling of each mail monitor's type.

    The envelope `{"metadata": {"resultset": {"count": …, "limit": …}}, "results": […]}` is inferred from the API's
    other lists. `count` may be the page's or the whole list's, so only a count above what was seen means more.
    """
    found = decode(answer.body)
    items = found.get("results") if isinstance(found, dict) else found
    if not isinstance(items, list) or not all(map(_is_monitor, items)):
        raise ApiUnreliable(
            f"The account's list of monitors has an unknown shape: {snippet(answer)}. Nothing was created."
        )
    metadata = found.get("metadata") if isinstance(found, dict) else None
    resultset = metadata.get("resultset") if isinstance(metadata, dict) else None
    facts = resultset if isinstance(resultset, dict) else {}
    spellings = frozenset(shown for item in items if (shown := spell_type(item)) is not None)
    return Page(items, _number(facts.get("count")), _number(facts.get("limit")), spellings)


def mail_type(value: object) -> str | None:
    """The documented spelling of a mail monitor's type, however it is spelled; None if it is no such type."""
    if value in MONITOR_TYPES:
        return str(value)
    if not isinstance(value, str):
        return None
    return _TYPES.get(re.sub(r"[-_\s]+", "-", value.strip().lower()).removeprefix("email-"))


def spell_type(item: dict[str, Any]) -> str | None:
    """Give an item of a mail monitor the documented spelling of its type; returns the other one that it had."""
    shown = item.get("type")
    known = mail_type(shown)
    if known is None or known == shown:
        return None
    item["type"] = known
    return str(shown)


def _is_monitor(item: object) -> bool:
    """True for an item that says which monitor it is; one that does not would make rows look new."""
    if not isinstance(item, dict) or isinstance(item.get("id"), bool) or not isinstance(item.get("type"), str):
        return False
    kind = mail_type(item["type"])
    host = "smtp_hostname" if kind == "email-round-trip" else "hostname"
    known = kind is None or ("name" in item and host in item)
    return known and MONITOR_ID.fullmatch(str(item.get("id"))) is not None


def _number(found: object) -> int:
    return int(str(found)) if re.fullmatch(r"[0-9]{1,9}", str(found)) else 0


def words_of(answer: Answer) -> str:
    """The API's own words, as one line; its error shape is `{"errors": [{"code": 400, "message": "…"}]}`."""
    if messages := _messages(answer):
        return " ".join(hide("; ".join(messages), answer.secrets).split())[:MAX_MESSAGE_CHARS]
    text = snippet(answer)
    return f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"


def snippet(answer: Answer) -> str:
    """The beginning of an answer, as one line."""
    text = hide(answer.body[:LOOKED_AT].decode("utf-8", "replace"), answer.secrets)
    return " ".join(text.split())[:SNIPPET]


def _refuses_token(answer: Answer) -> bool:
    return any(map(REFUSED_TOKEN.fullmatch, _messages(answer)))


def _messages(answer: Answer) -> list[str]:
    found = decode(answer.body)
    errors = found.get("errors") if isinstance(found, dict) else None
    if not isinstance(errors, list):
        return []
    return [str(error["message"]).strip() for error in errors if isinstance(error, dict) and error.get("message")]


def decode(body: bytes) -> Any:
    """The value of a JSON text, None if it is not one. Every text in it can be stored.

    One with very many lists and objects takes many times its size in memory, and no true answer has as many.
    """
    if body.count(b"[") + body.count(b"{") > MOST_PARTS:
        return None
    try:
        found = json.loads(body)
        return _whole(found) if any(sign in body for sign in _SIGNS_OF_HALVES) else found
    except (ValueError, RecursionError):
        return None


def whole(text: str) -> str:
    """The text, with a replacement character for each half of a character, which no encoding could hold."""
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def _whole(value: Any) -> Any:
    match value:
        case str():
            return whole(value)
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {whole(key): _whole(item) for key, item in value.items()}
    return value


def is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("Content-Type", "").lower() or answer.body.lstrip()[:1] == b"<"
