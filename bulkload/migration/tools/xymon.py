"""Xymon and Big Brother: the tests behind the # of hosts.cfg become checks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from bulkload.migration.checks import Check, SkippedObject, Tls
from bulkload.migration.documents import Document, referenced_documents
from bulkload.protocols import HIGHEST_PORT, LOWEST_PORT

NAME = "xymon"
TITLE = "Xymon"

INTERVAL = 300.0  # seconds; xymonnet runs every five minutes, hosts.cfg says nothing
MAX_LINE_CHARS = 64 * 1024

# test → type, default port, TLS
_TESTS: dict[str, tuple[str, int, Tls]] = {
    "smtp": ("smtp", 25, "unknown"),
    "smtps": ("smtp", 465, "implicit"),
    "submission": ("smtp", 587, "unknown"),
    "msa": ("smtp", 587, "unknown"),
    "imap": ("imap", 143, "unknown"),
    "imap2": ("imap", 143, "unknown"),
    "imap4": ("imap", 143, "unknown"),
    "imaps": ("imap", 993, "implicit"),
    "pop": ("pop", 110, "unknown"),
    "pop3": ("pop", 110, "unknown"),
    "pop-3": ("pop", 110, "unknown"),
    "pop3s": ("pop", 995, "implicit"),
    "pops": ("pop", 995, "implicit"),
}
_OTHER_TESTS = frozenset(
    {"ssh", "ssh1", "ssh2", "ftp", "ftps", "telnet", "nntp", "nntps", "ldap", "ldaps", "rsync", "clamd", "spamd", "dns",
     "ntp", "vnc", "cupsd", "oratns", "qmtp", "qmqp", "mysql", "bbd", "dig", "rpc", "ajp13", "telnets", "amqp", "amqps"}
)  # fmt: skip
_WEB = re.compile(r"[!~?]*(?:https?:|(?:no)?(?:cont|post|type|soap)[;=]|ldaps?:|apache=)", re.IGNORECASE)
_HOST = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)\s+(\S+)(?:\s+#\s*(.*))?$")
_FIRST_HOST = re.compile(r"^\d{1,3}(?:\.\d{1,3}){3}[ \t]+\S+[ \t]+#", re.MULTILINE)
_INCLUDE = re.compile(r"(?:optional\s+)?(?:(?:disp|net)?include|directory)\s+(\S.*)$")
_LAYOUT = re.compile(
    r"(?:v?page|(?:v?sub(?:parent|page))|\w*group\S*|title|summary|ospagename|dialup)\b", re.IGNORECASE
)
_TEST = re.compile(r"([!~?]*)([A-Za-z][\w-]*)((?::[A-Za-z0-9.]+)*)(@\S+)?$")
_TEXTS = ("NAME:", "COMMENT:", "DESCR:", "NET:", "CLIENT:", "CLASS:")


def recognises(document: Document) -> bool:
    """Lines of an address, a name and # behind it."""
    return document.format == "text" and bool(_FIRST_HOST.search(document.head))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Every test of every host."""
    waiting = list(documents)
    seen = {document.path.resolve() for document in documents}
    while waiting:
        document = waiting.pop(0)
        for number, line in _lines(document.rendered):
            place = f"{document.name} line {number}"
            include = _INCLUDE.match(line)
            host = _HOST.match(line)
            if include:
                found = referenced_documents(document, include[1].strip().strip("\"'"), documents)
                if found is None and not line.startswith("optional"):
                    yield SkippedObject(
                        origin=f"{place}: {include[1]}",
                        reason="The file or folder is not at hand below this file; give it as well.",
                        error=True,
                    )
                for other in found or ():
                    if other.path.resolve() not in seen:
                        seen.add(other.path.resolve())
                        waiting.append(other)
            elif host:
                yield from _host(place, host[1], host[2], host[3] or "")
            elif not _LAYOUT.match(line):
                yield SkippedObject(
                    origin=place, reason="The line is neither a host nor a page listing_format.", error=True
                )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments and blanks, continued ones joined."""
    joined = ""
    first = 0
    for number, physical in enumerate(text.split("\n"), 1):
        first = first if joined else number
        if physical.rstrip().endswith("\\"):
            joined += physical.rstrip()[:-1] + " "
            continue
        line, joined = (joined + physical).strip(), ""
        if line and not line.startswith("#"):
            yield first, line[:MAX_LINE_CHARS]
    if joined.strip() and not joined.strip().startswith("#"):
        yield first, joined.strip()[:MAX_LINE_CHARS]


def _host(place: str, address: str, name: str, tags: str) -> Iterator[Check | SkippedObject]:
    words = _words(tags)
    texts = {key: word[len(key) :].strip() for word in words for key in _TEXTS if word.upper().startswith(key)}
    by_address = "testip" in words and address not in ("0.0.0.0", "::")
    note = "; ".join(texts[key] for key in ("COMMENT:", "DESCR:") if texts.get(key))
    for word in words:
        test = _TEST.match(word)
        if _WEB.match(word) or (test is not None and test[2].lower() in _OTHER_TESTS):
            yield SkippedObject(
                origin=f"{place}: {name} {word.partition('?')[0][:80]}", reason="It is no test of a mail port."
            )
            continue
        if test is None or test[2].lower() not in _TESTS:
            continue
        kind, port, tls = _TESTS[test[2].lower()]
        origin = f"{place}: {name} {word}"
        if "!" in test[1]:
            yield SkippedObject(origin=origin, reason="It is inverted (!): it is well when the service is down.")
            continue
        changes = [f"The interval is Xymon's usual {INTERVAL:g} s; hosts.cfg has none."]
        if "?" in test[1]:
            changes.append("It is a dialup test (?) in the source: being down is no alarm there.")
        if "~" in test[1]:
            changes.append("The test (~) runs in the source even when the host does not answer a ping.")
        for suffix in test[3].split(":")[1:]:
            if suffix.isascii() and suffix.isdigit():
                port = int(suffix)
            elif suffix != "s":
                changes.append(f"The suffix :{suffix} is not taken over.")
        if test[4]:
            changes.append(f"The source address {test[4][1:]} is not taken over.")
        if not LOWEST_PORT <= port <= HIGHEST_PORT:
            yield SkippedObject(
                origin=origin, reason=f"Its port is {port}; {LOWEST_PORT} to {HIGHEST_PORT} are allowed.", error=True
            )
            continue
        yield Check(
            origin=origin,
            type=kind,
            name=f"{texts.get('NAME:') or name} {test[2]}",
            hostname=address if by_address else name,
            port=port,
            interval_seconds=INTERVAL,
            tls=tls,
            tags=(f"net={texts['NET:']}",) if texts.get("NET:") else (),
            note=note,
            changes=tuple(changes),
        )


def _words(tags: str) -> list[str]:
    """The words behind the #; quotes hold a text together, also behind its NAME:."""
    try:
        reader = shlex.shlex(tags, posix=True, punctuation_chars=False)
        reader.whitespace_split = True
        reader.commenters = ""
        reader.escape = ""
        reader.quotes = '"'
        return list(reader)
    except ValueError:  # an open quote: Xymon takes the rest of the line
        return tags.replace('"', " ").split()
