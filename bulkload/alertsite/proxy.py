"""The proxy that the environment sets, and the secrets in its address.

In: the base URL of the API. Out: the proxy's URL, or None, and the texts that no message may show.
"""

from __future__ import annotations

import base64
import urllib.request
from urllib.parse import urlsplit

from yarl import URL

from bulkload.alertsite.secrets import is_loopback
from bulkload.errors import UsageError


def proxy_for(base_url: str) -> tuple[URL | None, tuple[str, ...]]:
    """The proxy that the environment sets for this URL (`HTTPS_PROXY`, `NO_PROXY`, …), and its secrets.

    None for this machine: plain HTTP is allowed there, and a proxy elsewhere would see the password.
    Not left to aiohttp's `trust_env`, which would also let a `.netrc` replace the token. Raises `UsageError`.
    """
    parts = urlsplit(base_url)
    if not parts.hostname or is_loopback(parts.hostname) or urllib.request.proxy_bypass(parts.hostname):
        return None, ()
    address = urllib.request.getproxies().get(parts.scheme)
    if not address:
        return None, ()
    try:
        proxy = URL(address if "://" in address else f"http://{address}")
        user, password = proxy.user or "", proxy.password or ""
        if proxy.scheme not in ("http", "https") or not proxy.host or not proxy.port or ":" in user:
            raise ValueError
        basic_auth = base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()  # as aiohttp sends it
    except ValueError:
        raise UsageError(
            f"The proxy in the environment for {parts.scheme} URLs is invalid. Write it like"
            " http://proxy.example.com:3128, and characters like # in its password as %23."
        ) from None
    if not user and not password:
        return proxy, ()
    credentials = address.rpartition("@")[0]
    credentials = credentials.partition("://")[2] or credentials
    pairs = (credentials, f"{user}:{password}", f"{proxy.raw_user or ''}:{proxy.raw_password or ''}")
    return proxy, (*pairs, *(pair.partition(":")[2] for pair in pairs), basic_auth)
