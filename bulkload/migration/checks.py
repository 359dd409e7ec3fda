"""Defines what a reader of another tool's configuration returns: a check or a skipped object for every source object.

A reader is a module in `migration.tools` with a `NAME` (for `--from`), a `TITLE` (for messages) and two functions:

    recognises(document: Document) -> bool                              by content, never by suffix
    translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]

Readers only translate. Rounding, port defaults, private hosts, duplicates and unique names are the same for every
tool; `migration.rules` handles them afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bulkload.protocols import HIGHEST_PORT, LOWEST_PORT, PROTOCOLS, UNOFFICIAL_PORTS, USUAL_PORTS

# The protocol that a plain TCP check on a port tests
NAME_OF_PORT: Mapping[int, str] = UNOFFICIAL_PORTS | {
    port: protocol.name for protocol in PROTOCOLS for port in USUAL_PORTS[protocol.type]
}

Tls = Literal["none", "starttls", "implicit", "unknown"]


def is_other_port(port: int | None) -> bool:
    """Whether a plain TCP check of this port certainly tests something other than mail."""
    return port is not None and port not in NAME_OF_PORT and LOWEST_PORT <= port <= HIGHEST_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One mail check as the other tool defines it."""

    origin: str  # its place in the source: "mail.cfg line 12: service mail01 / IMAP"
    type: (
        str | None
    )  # "imap", "pop", "smtp", "round-trip"; None: a plain TCP or TLS check, its port determines the type
    name: str
    hostname: str  # empty only for a round-trip check, whose two hosts are in `extra`
    port: int | None = None  # None: the default port of the type
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    enabled: bool = True
    tls: Tls = "unknown"
    tags: tuple[str, ...] = ()
    note: str = ""
    has_login: bool = False  # the source check logs in; credentials are never copied
    changes: tuple[str, ...] = ()  # sentences: what the reader assumed or could not import
    not_covered: tuple[str, ...] = ()  # sentences: what the source's check did that a plain monitor does not do
    # Cells of additional input columns ("billing_plancode", "locations", …). Only monitors of AlertSite itself have
    # them; each becomes a row of its own and is never merged with another on the same host and port.
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedObject:
    """One object of the source that does not become a row."""

    origin: str
    reason: str  # a sentence
    error: bool = False  # True: it should have become a row, so the user must look at it
    is_rest: bool = False  # True: it stands for all objects that a list has on pages that are not in the input
