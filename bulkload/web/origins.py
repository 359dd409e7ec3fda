"""Decide where a request comes from: under which host name, from which site, through which proxy, for which user.

In: a request. Out: whether its Host header is one of ours (an attacker's name that resolves to this machine is not),
whether another site caused it, and what a trusted proxy says of it.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from aiohttp import web

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_USER = 100  # characters of a user's name

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class Origins:
    """What this server counts as its own address, and which proxies it trusts."""

    host: str  # that it listens on
    allowed_hosts: frozenset[str] = frozenset()  # further names, in lower case
    user_header: str = ""  # empty: users are not named
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks

    @cached_property
    def _networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        texts: Iterable[str] = self.trusted_proxies
        if not self.trusted_proxies and self.user_header:
            texts = ("127.0.0.0/8", "::1")
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)

    def is_own_host(self, request: web.BaseRequest) -> bool:
        """True if the Host header names this server, with any port: an SSH tunnel may have another."""
        host = host_of(request.headers.get("Host", ""))
        if host in self.allowed_hosts or host == self.host.lower().strip("[]"):
            return True
        # An address cannot be rebound to another one, unlike a name, so the one that was connected to is ours
        arrived_at = _address(_socket_host(request, "sockname"))
        if arrived_at is None:
            return False
        return _address(host) == arrived_at or (arrived_at.is_loopback and host in LOCAL_NAMES)

    def is_from_other_site(self, request: web.BaseRequest) -> bool:
        """True if the browser says that another site, or another port of this host, caused the request.

        Our pages send no referrer, so the browser may send "null" as the origin of their forms.
        """
        if request.headers.get("Sec-Fetch-Site", "") in ("cross-site", "same-site"):
            return True
        origin = request.headers.get("Origin", "null")
        if origin == "null":
            return False
        # The scheme may differ behind a proxy with TLS. Browsers leave out a default port in both headers
        netloc = origin.partition("://")[2].lower()
        return netloc != request.headers.get("Host", "").lower() and host_of(netloc) not in self.allowed_hosts

    def is_trusted_proxy(self, request: web.BaseRequest) -> bool:
        """True if the peer of the connection may speak for others."""
        peer = _address(_socket_host(request, "peername"))
        return peer is not None and any(peer in network for network in self._networks)

    def is_https(self, request: web.BaseRequest) -> bool:
        """True if a trusted proxy says that the browser uses TLS."""
        return self.is_trusted_proxy(request) and request.headers.get("X-Forwarded-Proto", "").strip() == "https"

    def user(self, request: web.BaseRequest) -> str:
        """The name of the user as a trusted proxy gives it; empty otherwise."""
        if not self.user_header or not self.is_trusted_proxy(request):
            return ""
        raw = request.headers.get(self.user_header, "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        shown = "".join(character for character in raw if unicodedata.category(character) not in _INVISIBLE)
        return shown.strip()[:MAX_USER]

    def client(self, request: web.BaseRequest) -> str:
        """Who guesses keys: the address of the peer, or that which a trusted proxy gives; of IPv6, the network."""
        text = _socket_host(request, "peername")
        if self.is_trusted_proxy(request):
            text = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or text
        address = _address(text)
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address or "unknown")


_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # categories of Unicode


def host_of(netloc: str) -> str:
    """The host of `host:port` in lower case, without the brackets of an IPv6 address; empty if it is malformed."""
    text = netloc.strip().lower()
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        return host if bracket and (not port or port[0] == ":") else ""
    host, _, port = text.partition(":")
    return host.removesuffix(".") if ":" not in port and "@" not in host else ""


def port_of(netloc: str) -> str:
    """The port of `host:port`; empty if there is none."""
    port = netloc.strip().rpartition("]")[2].rpartition(":")[2] if ":" in netloc.rpartition("]")[2] else ""
    return port if port.isascii() and port.isdecimal() else ""


def _socket_host(request: web.BaseRequest, which: str) -> str:
    name = request.transport.get_extra_info(which) if request.transport is not None else None
    return str(name[0]) if isinstance(name, tuple) and name else ""


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
