"""Determines what a module of the blackbox exporter tests.

In: the name and body of a module. Out: its type, TLS mode, timeout and login.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bulkload.migration import not_covered
from bulkload.migration.checks import Tls
from bulkload.migration.durations import prometheus_seconds
from bulkload.migration.parsing import SourceObject, lookup

_MAIL_NAME = re.compile(r"(?:^|[^a-z])(smtp|submission|imap|pop)", re.IGNORECASE)
_OTHER_NAME = re.compile(r"^(?:https?|icmp|ping|dns|grpc|ssh)(?:$|[^a-z])", re.IGNORECASE)
_BANNERS = (
    ("smtp", re.compile(r"220")),
    ("pop", re.compile(r"\+OK")),
    ("imap", re.compile(r"\* ?OK|\\\* ?OK|IMAP", re.IGNORECASE)),
)
_LOGIN = re.compile(r"\b(?:AUTH|LOGIN|AUTHENTICATE|USER|PASS)\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """The settings of a module that matter for a check."""

    type: str | None = None  # None: the port determines it
    tls: Tls = "unknown"
    timeout: float | None = None  # seconds
    has_login: bool = False
    not_mail: str = ""  # a sentence if the module tests something else
    is_defined: bool = True  # False: only its name is known
    not_covered: tuple[str, ...] = ()  # sentences: what it tests that a monitor does not test


def module_named(name: str, body: SourceObject | None) -> Module:
    """Read a module; without a body, only its name is used."""
    match = _MAIL_NAME.search(name)
    mail_type = {"submission": "smtp"}.get(match[1].lower(), match[1].lower()) if match else None
    if body is None:
        not_mail = f"The module {name} does not test a mail port." if _OTHER_NAME.match(name) else ""
        return Module(type=mail_type, not_mail=not_mail, is_defined=False)
    prober = body.get("prober")
    if prober != "tcp":
        return Module(not_mail=f"The module {name} uses the prober {prober}, not tcp.")
    steps = list(_steps(body))
    if mail_type is None:
        expected = next((text for step in steps if isinstance(text := step.get("expect"), str)), "")
        mail_type = next((banner_type for banner_type, pattern in _BANNERS if pattern.search(expected)), None)
    tls: Tls = "unknown"
    if any(step.get("starttls") is True for step in steps):
        tls = "starttls"
    elif lookup(body, "tcp.tls") is True:
        tls = "implicit"
    timeout = body.get("timeout")
    return Module(
        type=mail_type,
        tls=tls,
        timeout=prometheus_seconds(timeout) if isinstance(timeout, str) else None,
        has_login=any(isinstance(text := step.get("send"), str) and _LOGIN.search(text) for step in steps),
        not_covered=not_covered.named(
            (not_covered.EXPECTED, any(step.get("expect") for step in steps)),
            (not_covered.SENT, any(step.get("send") for step in steps)),
        ),
    )


def _steps(body: SourceObject) -> Iterator[SourceObject]:
    steps = lookup(body, "tcp.query_response")
    if isinstance(steps, list):
        yield from (step for step in steps if isinstance(step, dict))
