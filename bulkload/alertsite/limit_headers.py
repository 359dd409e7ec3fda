"""The rate limit headers of a response.

In: the headers of a response. Out: those about limits, by name. None is documented for AlertSite, so every name that
other APIs are known to use is recorded.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

_LIMIT_NAME = re.compile(r"rate-?limit|request-?limit|retry-after|quota|throttl", re.IGNORECASE)


def select_limit_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Select the headers about limits: `X-RateLimit-Remaining`, `RateLimit-Policy`, `Retry-After`, …"""
    names = _about_limits(tuple(headers))
    return {name: value for name, value in headers.items() if name in names} if names else {}


@functools.lru_cache(maxsize=256)  # called for every response, and most have the same headers
def _about_limits(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(filter(_LIMIT_NAME.search, names))
