"""What an answer of the API proves, and what can be read in it.

In: an answer, or the failure of the HTTP client. Out: the monitors of a list, or an `ApiError`. All statuses and all
aiohttp errors are translated here and nowhere else. What is shown of an answer never holds the secret that its request
carried.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import aiohttp

from bulkload.errors import (
    ApiError,
    AuthFailed,
    Distrusted,
    Forbidden,
    InDoubt,
    NotFound,
    NotSent,
    Rejected,
    Throttled,
    WrongAddress,
)
from bulkload.model import MONITOR_TYPES

SNIPPET = 200  # characters of an unexpected answer that are shown
LOOKED_AT = 100 * SNIPPET  # bytes of it that are looked at for these
HIDDEN = "[hidden]"  # stands where an answer said a secret back
SHORTEST_SECRET = 5  # characters; a shorter one is part of too many words

MONITOR_ID = re.compile(r"[0-9]{1,18}")
AUTH_TEXT = re.compile(r"authentication failed", re.IGNORECASE)  # the docs show a refused token as 400 with this


class Answer(NamedTuple):
    """A whole answer, undecoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    secret: str = ""  # the password or token that the request carried


def raise_for_status(answer: Answer, left: str) -> None:
    """Raise what a status other than 2xx means; `left` is when its request left."""
    status = answer.status
    if 200 <= status < 300:
        return
    words = words_of(answer)
    if status in (408, 429):
        raise Throttled(words, retry_after(answer.headers))
    if status == 401 or (status >= 400 and not is_page(answer) and AUTH_TEXT.search(words)):
        raise AuthFailed(words)  # a gateway's page with these words proves nothing
    if status >= 500:
        raise InDoubt(words, left=left)
    if status < 400 or is_page(answer):
        raise WrongAddress(words)
    if status == 403:
        raise Forbidden(words)
    if status == 404:
        raise NotFound(words)
    raise Rejected(words)


def client_failure(error: Exception, left: str) -> ApiError:
    """What a failure of the HTTP client means for the request that met it."""
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    match error:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | aiohttp.ClientHttpProxyError():
            return WrongAddress(words)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return NotSent(words)  # no name, no route, nobody listening, no TLS: the request itself never left
        case TimeoutError():
            return InDoubt("no answer in time", left=left)
        case _:
            return InDoubt(f"the connection broke after sending ({words})", left=left)


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


def read_list(answer: Answer) -> tuple[Sequence[dict[str, Any]], int, int]:
    """The monitors of one page of the list, how many there are in all, and the most a page holds (0: not said).

    The envelope `{"metadata": {"resultset": {"count": …, "limit": …}}, "results": […]}` is inferred from the API's
    other lists. `count` may be the page's or the whole list's, so only a count above what was seen means more.
    """
    found = decode(answer.body)
    page = found.get("results") if isinstance(found, dict) else found
    if not isinstance(page, list) or not all(map(_is_monitor, page)):
        raise Distrusted(
            f"The account's list of monitors has an unknown shape: {snippet(answer)}. Nothing was created."
        )
    metadata = found.get("metadata") if isinstance(found, dict) else None
    resultset = metadata.get("resultset") if isinstance(metadata, dict) else None
    facts = resultset if isinstance(resultset, dict) else {}
    return page, _number(facts.get("count")), _number(facts.get("limit"))


def _is_monitor(item: object) -> bool:
    """True for an item that says which monitor it is; one that does not would make rows look new."""
    if not isinstance(item, dict) or isinstance(item.get("id"), bool) or not isinstance(item.get("type"), str):
        return False
    host = "smtp_hostname" if item["type"] == "email-round-trip" else "hostname"
    known = item["type"] not in MONITOR_TYPES or ("name" in item and host in item)
    return known and MONITOR_ID.fullmatch(str(item.get("id"))) is not None


def _number(found: object) -> int:
    return int(str(found)) if re.fullmatch(r"[0-9]{1,9}", str(found)) else 0


def words_of(answer: Answer) -> str:
    """The API's own words, as one line; its error shape is `{"errors": [{"code": 400, "message": "…"}]}`."""
    found = decode(answer.body)
    errors = found.get("errors") if isinstance(found, dict) else None
    if isinstance(errors, list):
        messages = [str(e["message"]).strip() for e in errors if isinstance(e, dict) and e.get("message")]
        if messages:
            return _legible("; ".join(messages), answer)
    text = snippet(answer)
    return f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"


def snippet(answer: Answer) -> str:
    """The beginning of an answer, as one line."""
    text = _legible(answer.body[:LOOKED_AT].decode("utf-8", "replace"), answer)
    return " ".join(text.split())[:SNIPPET]


def _legible(text: str, answer: Answer) -> str:
    """A text that the API said, without the secret that it may have said back."""
    if len(answer.secret) >= SHORTEST_SECRET:
        for secret in (answer.secret, json.dumps(answer.secret)[1:-1]):
            text = text.replace(secret, HIDDEN)
    return text


def decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def is_page(answer: Answer) -> bool:
    return "html" in answer.headers.get("Content-Type", "").lower() or answer.body.lstrip()[:1] == b"<"
