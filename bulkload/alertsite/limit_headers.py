"""What an answer says about limits.

In: the headers of an answer. Out: those that speak of limits, by name. None is documented for AlertSite, so any that
other APIs are known to send is taken note of.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

_OF_LIMITS = re.compile(r"rate-?limit|request-?limit|retry-after|quota|throttl", re.IGNORECASE)


def limits_told(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the headers that speak of limits: `X-RateLimit-Remaining`, `RateLimit-Policy`, `Retry-After`, …"""
    return {name: value for name, value in headers.items() if _is_of_limits(name)}


@functools.lru_cache(maxsize=256)  # every answer passes here, and most have the same headers
def _is_of_limits(name: str) -> bool:
    return _OF_LIMITS.search(name) is not None
