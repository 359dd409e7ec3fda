"""Modules of the blackbox exporter: a module's name and body go in, what it tests comes out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bulkload.migration.checks import Tls
from bulkload.migration.durations import prometheus_seconds
from bulkload.migration.parsing import SourceObject, lookup

_NAMES_MAIL = re.compile(r"(?:^|[^a-z])(smtp|submission|imap|pop)", re.IGNORECASE)
_NAMES_OTHER = re.compile(r"^(?:https?|icmp|ping|dns|grpc|ssh)(?:$|[^a-z])", re.IGNORECASE)
_BANNERS = (
    ("smtp", re.compile(r"220")),
    ("pop", re.compile(r"\+OK")),
    ("imap", re.compile(r"\* ?OK|\\\* ?OK|IMAP", re.IGNORECASE)),
)
_LOGIN = re.compile(r"\b(?:AUTH|LOGIN|AUTHENTICATE|USER|PASS)\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """What is known of a module."""

    type: str | None = None  # None: the port decides
    tls: Tls = "unknown"
    timeout: float | None = None  # seconds
    has_login: bool = False
    not_mail: str = ""  # a sentence, for modules that test something else
    known: bool = True  # False: only its name is


def module_named(name: str, body: SourceObject | None) -> Module:
    """Read a module; without its body, its name has to do."""
    named = _NAMES_MAIL.search(name)
    kind = {"submission": "smtp"}.get(named[1].lower(), named[1].lower()) if named else None
    if body is None:
        other = f"The module {name} is no test of a mail port." if _NAMES_OTHER.match(name) else ""
        return Module(type=kind, not_mail=other, known=False)
    prober = body.get("prober")
    if prober != "tcp":
        return Module(not_mail=f"The module {name} tests with {prober}, not with a TCP connection.")
    steps = list(_steps(body))
    if kind is None:
        expected = next((text for step in steps if isinstance(text := step.get("expect"), str)), "")
        kind = next((banner for banner, sign in _BANNERS if sign.search(expected)), None)
    tls: Tls = "unknown"
    if any(step.get("starttls") is True for step in steps):
        tls = "starttls"
    elif lookup(body, "tcp.tls") is True:
        tls = "implicit"
    timeout = body.get("timeout")
    return Module(
        type=kind,
        tls=tls,
        timeout=prometheus_seconds(timeout) if isinstance(timeout, str) else None,
        has_login=any(isinstance(text := step.get("send"), str) and _LOGIN.search(text) for step in steps),
    )


def _steps(body: SourceObject) -> Iterator[SourceObject]:
    steps = lookup(body, "tcp.query_response")
    if isinstance(steps, list):
        yield from (step for step in steps if isinstance(step, dict))
