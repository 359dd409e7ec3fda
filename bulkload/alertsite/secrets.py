"""What can be a token, and texts without the secrets that somebody may have said back in them.

In: a text from outside, and the secrets that were sent there. Out: the text, fit to be shown and stored.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

HIDDEN = "[hidden]"  # stands where a text held a secret
SHORTEST_SECRET = 5  # characters; a shorter one is part of too many words

_TOKEN = re.compile(r"[!-~]{1,8192}")  # what a header can carry as one word; servers take headers of 8 kB
_IN_ADDRESS = re.compile(r"((?:\\?/){2})[^/\s]+@")  # user and password of an address, also with escaped slashes


def can_be_token(text: str) -> bool:
    """True for what an `Authorization` header can carry; anything else would end the program or change the request."""
    return _TOKEN.fullmatch(text) is not None


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """Take secrets out of a text, however they are spelled in it, and user and password out of every address."""
    spellings = {one for secret in secrets if len(secret) >= SHORTEST_SECRET for one in _spellings(secret)}
    if spellings:
        longest_first = sorted(spellings, key=len, reverse=True)  # or a rest of the longer one would stay
        text = re.sub("|".join(map(re.escape, longest_first)), HIDDEN, text, flags=re.IGNORECASE)
    return _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)


def _spellings(secret: str) -> Iterator[str]:
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, in_json, in_json.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret))
    yield from (other for other in (unquote(secret), unquote_plus(secret)) if len(other) >= SHORTEST_SECRET)
