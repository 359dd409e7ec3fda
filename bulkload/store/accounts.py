"""When two ways to write an account mean the same one.

In: a base URL and a user name as the user wrote them. Out: a form that is equal exactly when the account is; it is used
for comparing only.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
THIS_MACHINE = ("127.0.0.1", "::1")


def canonical(base_url: str, username: str) -> tuple[str, str]:
    """The account that an address and a user name mean."""
    return _address(base_url.strip()), _folded(username)


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFC", text.strip()).casefold()
    return unicodedata.normalize("NFC", text)  # folding may take characters apart


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:  # no address; 1.0 has let a port of letters pass
        return text
    scheme = parts.scheme.lower()
    if not host:
        return text
    shown_port = "" if port is None or port == DEFAULT_PORTS.get(scheme) else f":{port}"
    path = re.sub("/+", "/", parts.path).rstrip("/")
    return f"{scheme}://{host}{shown_port}{path}"


def _host(name: str) -> str:
    name = name.lower().rstrip(".")
    if name == "localhost":
        return "localhost"
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _a_labels(name)
    return "localhost" if str(address) in THIS_MACHINE else str(address)


def _a_labels(name: str) -> str:
    if name.isascii():
        return name
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii").rstrip(".")
    except UnicodeError:  # idna's own errors are of this kind
        return name
