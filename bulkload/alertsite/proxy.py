"""The proxy that the environment names, and what of it no text may show."""

from __future__ import annotations

import base64
import urllib.request
from urllib.parse import urlsplit

from yarl import URL

from bulkload.errors import UsageError


def proxy_for(base_url: str) -> tuple[URL | None, tuple[str, ...]]:
    """The proxy that the environment names for this address (`HTTPS_PROXY`, `NO_PROXY`, …), and its secrets.

    Not left to aiohttp's `trust_env`, which would also let a `.netrc` replace the token. Raises `UsageError`.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None, ()
    named = urllib.request.getproxies().get(parts.scheme)
    if not named:
        return None, ()
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
        user, password = proxy.user or "", proxy.password or ""
        if proxy.scheme not in ("http", "https") or not proxy.host or not proxy.port or ":" in user:
            raise ValueError
        header = base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()  # as aiohttp sends it
    except ValueError:
        raise UsageError(
            f"The proxy that the environment names for {parts.scheme} addresses is not of the form"
            " http://proxy.example.com:3128; signs like # in its password are written as %23."
        ) from None
    if not user and not password:
        return proxy, ()
    given = named.rpartition("@")[0]
    given = given.partition("://")[2] or given
    pairs = (given, f"{user}:{password}", f"{proxy.raw_user or ''}:{proxy.raw_password or ''}")
    return proxy, (*pairs, *(pair.partition(":")[2] for pair in pairs), header)
