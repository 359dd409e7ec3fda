"""Recognise host names that are reserved for examples and tests, which no real monitor has (RFC 2606, RFC 6761).

In: a host name, or the identity key of a checked row. Out: whether the host is reserved; the reserved host, or None.
"""

from __future__ import annotations

EXAMPLE_MARK = "EXAMPLE"  # how the names of the template's example rows begin

_DOMAINS = ("example.com", "example.net", "example.org", "example", "invalid", "test")
_SUFFIXES = tuple(f".{domain}" for domain in _DOMAINS)


def is_reserved(host: str) -> bool:
    """True if no real server has this name."""
    host = host.rstrip(".").casefold()
    return host.endswith(_SUFFIXES) or host in _DOMAINS


def reserved_host(key: str) -> str | None:
    """The first server of a monitor's identity key whose name is reserved; None if there is none."""
    for server in key.split("\t")[1:-1]:
        host = server.rpartition("://")[2].partition(":")[0]
        if is_reserved(host):
            return host
    return None


def is_marked(key: str) -> bool:
    """True if the name in an identity key is that of one of the template's example rows."""
    return key.rpartition("\t")[2].startswith(EXAMPLE_MARK)
