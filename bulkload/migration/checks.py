"""What a reader of another tool's configuration hands on: every object of the source, as check or left out.

A reader is a module in `readers.tools` with a `NAME` (for `--from`), a `TITLE` (for people), two functions:

    recognises(document: Document) -> bool                              by content, never by suffix
    translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]

Readers translate and no more: rounding, port defaults by type, private hosts, duplicates and unique names are
the same for every tool and happen once, after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Tls = Literal["none", "starttls", "implicit", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One mail check as the other tool had it."""

    origin: str  # where it stands in the source: "mail.cfg line 12: service mail01 / IMAP"
    type: str | None  # "imap", "pop", "smtp", "round-trip"; None: a plain TCP or TLS check, its port decides
    name: str
    hostname: str  # empty only for a round-trip, whose two hosts are in `extra`
    port: int | None = None  # None: the type's plain port
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    enabled: bool = True
    tls: Tls = "unknown"
    tags: tuple[str, ...] = ()
    note: str = ""
    has_login: bool = False  # the source logs in; the secret itself is never copied
    changes: tuple[str, ...] = ()  # sentences: what this reader had to assume
    # Cells of further input columns ("billing_plancode", "locations", …). A check that has any is a monitor
    # of AlertSite itself: it becomes a row of its own, never merged with another on the same host and port.
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedObject:
    """One object of the source that becomes no row."""

    origin: str
    reason: str  # a sentence
    error: bool = False  # True: it should have become a row, and somebody has to look
