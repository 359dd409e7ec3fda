"""Monit: the connection tests of its control file become checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bulkload.migration.checks import Check, SkippedObject, Tls
from bulkload.migration.documents import Document, referenced_documents

NAME = "monit"
TITLE = "Monit"

DEFAULT_TIMEOUT = 5.0  # seconds, of a connection test

_KINDS = frozenset(
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
        """The keyword this may be; a quoted text is none."""
        return "" if self.quoted else self.text.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    document: Document
    tokens: Sequence[_Token]

    @property
    def words(self) -> list[str]:
        return [token.word for token in self.tokens]


def recognises(document: Document) -> bool:
    """A check of a host or process, or the length of a cycle."""
    return document.format == "text" and bool(_CHECK.search(document.head) or _MAIN.search(document.head))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Every test of a connection."""
    checks: list[_Statement] = []
    cycle: float | None = None
    waiting = list(documents)
    seen = {document.path.resolve() for document in documents}
    while waiting:
        document = waiting.pop(0)
        for statement in _statements(document):
            words = statement.words
            if words[0] == "check":
                checks.append(statement)
            elif words[:2] == ["set", "daemon"] and len(words) > 2 and words[2].isdecimal():
                cycle = float(words[2][:9])
            elif words[0] == "include" and len(statement.tokens) > 1:
                reference = statement.tokens[1].text
                found = referenced_documents(document, reference, documents)
                if found is None:
                    yield SkippedObject(
                        origin=f"{document.name} line {statement.tokens[0].line}: include {reference}",
                        reason="No such file is at hand below this file; give it as well.",
                        error=True,
                    )
                for other in found or ():
                    if other.path.resolve() not in seen:
                        seen.add(other.path.resolve())
                        waiting.append(other)
    for statement in checks:
        yield from _tests(statement, cycle)


def _tests(statement: _Statement, cycle: float | None) -> Iterator[Check | SkippedObject]:
    """The connection tests of one check."""
    tokens, words = statement.tokens, statement.words
    kind, name = words[1], tokens[2].text if len(tokens) > 2 else ""
    where = f"{statement.document.name} line {tokens[0].line}: check {kind} {name}"
    address = _after(tokens, words, "address") if kind == "host" else "localhost"
    interval, changes = _interval(words, tokens, cycle)
    groups = tuple(text for at, word in enumerate(words[:-1]) if word == "group" and (text := tokens[at + 1].text))
    found = False
    for start, word in enumerate(words):
        if word != "if":
            continue
        end = next((at for at in range(start, len(words)) if words[at] == "then"), len(words))
        test, test_words = tokens[start + 1 : end], words[start + 1 : end]
        if "port" not in test_words:
            continue
        found = True
        origin = f"{where}, line {tokens[start].line}"
        if test_words[0] == "succeeded":
            yield SkippedObject(
                origin=origin, reason="It is inverted (if succeeded): it is well when the port is closed."
            )
        else:
            one = _Test(tokens=test, words=test_words)
            yield _test(origin, name, address, one, _Setting(interval=interval, tags=groups, changes=changes))
    if not found:
        yield SkippedObject(origin=where, reason="It tests no port.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    tokens: Sequence[_Token]
    words: Sequence[str]

    def after(self, *keywords: str) -> str:
        """What stands behind the first of the keywords; empty when none is there."""
        return next((text for key in keywords if (text := _after(self.tokens, self.words, key))), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """What all tests of one check share."""

    interval: float | None
    tags: tuple[str, ...]
    changes: tuple[str, ...]


def _test(origin: str, name: str, address: str, test: _Test, shared: _Setting) -> Check | SkippedObject:
    host = test.after("host") or address
    port = test.after("port")
    protocol = test.after("protocol", "proto").lower()
    if "udp" in test.words:
        return SkippedObject(origin=origin, reason="It tests UDP.")
    if protocol and protocol not in _PROTOCOLS:
        return SkippedObject(origin=origin, reason=f"The protocol {protocol} is not mail.")
    if not host:
        return SkippedObject(origin=origin, reason="It names no address to test.", error=True)
    if host.lower() in _LOCAL:
        return SkippedObject(origin=origin, reason=f"It tests {host}, which cannot be reached from outside.")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5):
        return SkippedObject(origin=origin, reason=f"Its port {port!r} is not a number.", error=True)
    kind, tls = _PROTOCOLS.get(protocol, (None, "unknown"))
    if test.after("type").lower() in _TLS_TYPES or {"ssl", "tls"} & set(test.words):
        tls = "implicit"
    seconds = test.after("timeout")
    return Check(
        origin=origin,
        type=kind,
        name=f"{name} {protocol or port}",
        hostname=host,
        port=int(port),
        interval_seconds=shared.interval,
        timeout_seconds=float(seconds) if seconds.isascii() and seconds.isdecimal() else DEFAULT_TIMEOUT,
        tls=tls,
        tags=shared.tags,
        has_login="username" in test.words or "password" in test.words,
        changes=shared.changes,
    )


def _interval(
    words: Sequence[str], tokens: Sequence[_Token], cycle: float | None
) -> tuple[float | None, tuple[str, ...]]:
    """Seconds between two tests: the cycle, as often as `every` says."""
    if "every" not in words:
        return cycle, ()
    at = words.index("every")
    number = words[at + 1] if at + 1 < len(words) else ""
    if number.isdecimal() and number.isascii() and len(number) < 7:
        return (None if cycle is None else cycle * int(number)), ()
    schedule = tokens[at + 1].text if at + 1 < len(tokens) else ""
    return cycle, (f"The schedule {schedule!r} is not taken over; the length of a cycle is.",)


def _after(tokens: Sequence[_Token], words: Sequence[str], keyword: str) -> str:
    """The value behind a keyword; empty when there is none."""
    for at, word in enumerate(words[:-1]):
        if word == keyword:
            return tokens[at + 1].text
    return ""


def _statements(document: Document) -> Iterator[_Statement]:
    """The file, cut before every `check`, `set` and `include`."""
    tokens = list(_tokens(document.rendered))
    starts = [at for at, token in enumerate(tokens) if _begins(tokens, at, token)]
    for start, end in pairwise([*starts, len(tokens)]):
        yield _Statement(document=document, tokens=tokens[start:end])


def _begins(tokens: Sequence[_Token], at: int, token: _Token) -> bool:
    if token.word == "check":
        return at + 1 < len(tokens) and tokens[at + 1].word in _KINDS
    return token.word in ("set", "include") and (at == 0 or tokens[at - 1].line < token.line)


def _tokens(text: str) -> Iterator[_Token]:
    line, before = 1, 0
    for found in _TOKEN.finditer(text):
        line += text.count("\n", before, found.start())
        before = found.start()
        word = found[0]
        if word.startswith("#"):
            continue
        if word[0] in "\"'":
            yield _Token(text=word[1:-1], line=line, quoted=True)
        else:
            yield _Token(text=word, line=line)
