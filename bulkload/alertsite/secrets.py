"""Which texts can be a token, where secrets may go unencrypted, and how they are removed from texts.

In: a text from outside, and the secrets that were sent there. Out: the text, safe to show and store.
"""

from __future__ import annotations

import html
import ipaddress
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "[hidden]"  # replaces a secret in a text
SHORTEST_SECRET = 5  # characters; a shorter one is part of too many words

_TOKEN = re.compile(r"[!-~]{1,8192}")  # one word of printable ASCII; servers accept headers of 8 kB
_USER_INFO = re.compile(r"((?:\\?/){2})[^/\s]+@")  # user and password of a URL, also with escaped slashes


def can_be_token(text: str) -> bool:
    """True if an `Authorization` header can carry the text; anything else would fail or change the request."""
    return _TOKEN.fullmatch(text) is not None


def is_loopback(host: str) -> bool:
    """True for this machine: only here may a secret go unencrypted, and never through a proxy."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """Remove the secrets from a text, in every encoding, and user and password from every URL in it."""
    spellings = {spelling for secret in secrets if len(secret) >= SHORTEST_SECRET for spelling in _spellings(secret)}
    if spellings:
        longest_first = sorted(spellings, key=len, reverse=True)  # or the end of a longer one would stay
        text = re.sub("|".join(map(re.escape, longest_first)), HIDDEN, text, flags=re.IGNORECASE)
    return _USER_INFO.sub(rf"\1{HIDDEN}@", text)


def _spellings(secret: str) -> Iterator[str]:
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, in_json, in_json.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret))
    yield from (plain for plain in (unquote(secret), unquote_plus(secret)) if len(plain) >= SHORTEST_SECRET)
