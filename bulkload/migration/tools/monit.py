"""Reads the connection tests in a control file of Monit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from bulkload.migration import mail_names, not_covered
from bulkload.migration.checks import Check, SkippedObject, Tls, is_other_port
from bulkload.migration.documents import Document, referenced_documents

NAME = "monit"
TITLE = "Monit"

MAX_PORT_DIGITS = 5
DEFAULT_TIMEOUT = 5.0  # seconds, for a connection test

_CHECK_TYPES = frozenset(
    {"host", "process", "file", "fifo", "filesystem", "directory", "system", "program", "network", "device"}
)
_CHECK = re.compile(r"^[ \t]*check\s+(?:host|process)\s+\S+", re.MULTILINE | re.IGNORECASE)
_MAIN = re.compile(r"^[ \t]*set\s+daemon\s+\d+", re.MULTILINE | re.IGNORECASE)
_TOKEN = re.compile(r'"[^"]*"|\'[^\']*\'|#[^\n]*|[{}()]|[^\s"\'#{}(),;]+')
_PROTOCOLS: dict[str, tuple[str | None, Tls]] = {
    "smtp": ("smtp", "unknown"),
    "smtps": ("smtp", "implicit"),
    "imap": ("imap", "unknown"),
    "imaps": ("imap", "implicit"),
    "pop": ("pop", "unknown"),
    "pops": ("pop", "implicit"),
    "default": (None, "unknown"),
    "generic": (None, "unknown"),
}
_TLS_TYPES = ("tcpssl", "ssl", "tls", "tlsv1", "tlsv11", "tlsv12", "tlsv13")
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    text: str
    line: int
    quoted: bool = False

    @property
    def word(self) -> str:
        """The token as a lower-case keyword; "" for quoted text."""
        return "" if self.quoted else self.text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    document: Document
    tokens: Sequence[_Token]

    @property
    def words(self) -> list[str]:
        return [token.word for token in self.tokens]


def recognises(document: Document) -> bool:
    """Whether the document contains a check of a host or process, or sets the length of a cycle."""
    return document.format == "text" and bool(_CHECK.search(document.head) or _MAIN.search(document.head))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every connection test."""
    checks: list[_Statement] = []
    cycle: float | None = None
    queue = list(documents)
    seen = {document.path.resolve() for document in documents}
    while queue:
        document = queue.pop(0)
        for statement in _statements(document):
            words = statement.words
            if words[0] == "check":
                checks.append(statement)
            elif words[:2] == ["set", "daemon"] and len(words) > 2 and words[2].isdecimal():
                cycle = float(words[2][:9])
            elif words[0] == "include" and len(statement.tokens) > 1:
                reference = statement.tokens[1].text
                included = referenced_documents(document, reference, documents)
                if included is None:
                    yield SkippedObject(
                        origin=f"{document.name} line {statement.tokens[0].line}: include {reference}",
                        reason="The file was not found in the folder of this file; add it to the input.",
                        error=True,
                    )
                for included_document in included or ():
                    if included_document.path.resolve() not in seen:
                        seen.add(included_document.path.resolve())
                        queue.append(included_document)
    for statement in checks:
        yield from _tests(statement, cycle)


def _tests(statement: _Statement, cycle: float | None) -> Iterator[Check | SkippedObject]:
    """Yield the connection tests of one check."""
    tokens, words = statement.tokens, statement.words
    object_type, name = words[1], tokens[2].text if len(tokens) > 2 else ""
    check_origin = f"{statement.document.name} line {tokens[0].line}: check {object_type} {name}"
    address = _after(tokens, words, "address") if object_type == "host" else "localhost"
    interval, changes = _interval(words, tokens, cycle)
    groups = tuple(
        text for index, word in enumerate(words[:-1]) if word == "group" and (text := tokens[index + 1].text)
    )
    has_port_test = False
    for_all = not_covered.named(
        (not_covered.DEPENDENCIES, "depends" in words), (not_covered.NOTIFICATIONS, _has_alert(tokens, words))
    )
    for start, word in enumerate(words):
        if word != "if":
            continue
        end = next((index for index in range(start, len(words)) if words[index] == "then"), len(words))
        test, test_words = tokens[start + 1 : end], words[start + 1 : end]
        if "port" not in test_words:
            continue
        has_port_test = True
        origin = f"{check_origin}, line {tokens[start].line}"
        if test_words[0] == "succeeded":
            yield SkippedObject(
                origin=origin, reason="The test is inverted (if succeeded): it succeeds when the port is closed."
            )
        else:
            port_test = _Test(tokens=test, words=test_words)
            next_test = next((index for index in range(end, len(words)) if words[index] == "if"), len(words))
            sentences = (*for_all, *_not_covered(test_words, words[end:next_test]))
            settings = _CheckSettings(interval=interval, tags=groups, changes=changes, not_covered=sentences)
            yield _test(origin, name, address, port_test, settings)
    program = PurePosixPath((_after(tokens, words, "path").split() or [""])[0]).name
    if object_type == "program" and (mail_names.suggests_mail(program) or mail_names.describes_mail(name)):
        reason = "The check runs a program, which may test a mail port; if it does, add a row for it."
        yield SkippedObject(origin=check_origin, reason=reason, error=True)
    elif not has_port_test:
        yield SkippedObject(origin=check_origin, reason="The check does not test a port.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    tokens: Sequence[_Token]
    words: Sequence[str]

    def after(self, *keywords: str) -> str:
        """The value after the first of the keywords that has one, or ""."""
        return next((text for key in keywords if (text := _after(self.tokens, self.words, key))), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _CheckSettings:
    """Settings that apply to all tests of one check."""

    interval: float | None
    tags: tuple[str, ...]
    changes: tuple[str, ...]
    not_covered: tuple[str, ...]


def _has_alert(tokens: Sequence[_Token], words: Sequence[str]) -> bool:
    """True if the check has a recipient of its own: `alert ops@example.com`."""
    return any(word == "alert" and "@" in token.text for word, token in zip(words, tokens[1:], strict=False))


def _not_covered(test: Sequence[str], actions: Sequence[str]) -> tuple[str, ...]:
    """What a test and its actions do that a monitor does not do."""
    return not_covered.named(
        (not_covered.CERTIFICATE, "certificate" in test),
        (not_covered.EXPECTED, "expect" in test),
        (not_covered.SENT, "send" in test),
        (not_covered.THRESHOLDS, "responsetime" in test),
        (not_covered.RETRIES, not {"cycle", "cycles"}.isdisjoint(test)),
        (not_covered.ACTIONS, not {"exec", "restart", "start", "stop", "unmonitor"}.isdisjoint(actions)),
    )


def _test(origin: str, name: str, address: str, test: _Test, settings: _CheckSettings) -> Check | SkippedObject:
    host = test.after("host") or address
    port = test.after("port")
    protocol = test.after("protocol", "proto").lower()
    if "udp" in test.words:
        return SkippedObject(origin=origin, reason="The test uses UDP.")
    if protocol and protocol not in _PROTOCOLS:
        return SkippedObject(origin=origin, reason=f"The protocol {protocol} is not a mail protocol.")
    is_number = port.isascii() and port.isdecimal() and len(port) <= MAX_PORT_DIGITS
    mail_type, tls = _PROTOCOLS.get(protocol, (None, "unknown"))
    if mail_type is None and is_number and is_other_port(int(port)):
        return SkippedObject(origin=origin, reason=f"Port {port} is not a port of IMAP, POP3 or SMTP.")
    if not host:
        return SkippedObject(origin=origin, reason="The test has no address.", error=True)
    if host.lower() in _LOCAL:
        return SkippedObject(
            origin=origin, reason=f"The test uses {host}, which is not reachable from public locations."
        )
    if not is_number:
        return SkippedObject(origin=origin, reason=f"The port {port!r} is not a number.", error=True)
    if test.after("type").lower() in _TLS_TYPES or {"ssl", "tls"} & set(test.words):
        tls = "implicit"
    timeout = test.after("timeout")
    return Check(
        origin=origin,
        type=mail_type,
        name=f"{name} {protocol or port}",
        hostname=host,
        port=int(port),
        interval_seconds=settings.interval,
        timeout_seconds=float(timeout) if timeout.isascii() and timeout.isdecimal() else DEFAULT_TIMEOUT,
        tls=tls,
        tags=settings.tags,
        has_login="username" in test.words or "password" in test.words,
        changes=settings.changes,
        not_covered=settings.not_covered,
    )


def _interval(
    words: Sequence[str], tokens: Sequence[_Token], cycle: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """Return the seconds between two tests: the cycle, multiplied by the number after `every`."""
    if "every" not in words:
        return cycle, ()
    position = words.index("every") + 1
    number = words[position] if position < len(words) else ""
    if number.isdecimal() and number.isascii() and len(number) < 7:
        return (None if cycle is None else cycle * int(number)), ()
    schedule = tokens[position].text if position < len(tokens) else ""
    return cycle, (f"The schedule {schedule!r} is not imported; the length of a cycle is used.",)


def _after(tokens: Sequence[_Token], words: Sequence[str], keyword: str) -> str:
    """The value after a keyword, or ""."""
    for index, word in enumerate(words[:-1]):
        if word == keyword:
            return tokens[index + 1].text
    return ""


def _statements(document: Document) -> Iterator[_Statement]:
    """Split the file before every `check`, `set` and `include`."""
    tokens = list(_tokens(document.rendered))
    starts = [index for index, token in enumerate(tokens) if _starts_statement(tokens, index)]
    for start, end in pairwise([*starts, len(tokens)]):
        yield _Statement(document=document, tokens=tokens[start:end])


def _starts_statement(tokens: Sequence[_Token], index: int) -> bool:
    token = tokens[index]
    if token.word == "check":
        return index + 1 < len(tokens) and tokens[index + 1].word in _CHECK_TYPES
    return token.word in ("set", "include") and (index == 0 or tokens[index - 1].line < token.line)


def _tokens(text: str) -> Iterator[_Token]:
    line, position = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        word = match[0]
        if word.startswith("#"):
            continue
        if word[0] in "\"'":
            yield _Token(text=word[1:-1], line=line, quoted=True)
        else:
            yield _Token(text=word, line=line)
