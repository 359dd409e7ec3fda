"""Reads the tests after the # of each host in hosts.cfg of Xymon and Big Brother."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from bulkload.migration import mail_names, not_covered
from bulkload.migration.checks import Check, SkippedObject, Tls
from bulkload.migration.documents import Document, referenced_documents
from bulkload.protocols import HIGHEST_PORT, LOWEST_PORT

NAME = "xymon"
TITLE = "Xymon"

INTERVAL = 300.0  # seconds; xymonnet runs every five minutes, hosts.cfg has no intervals
MAX_PORT_DIGITS = 9
MAX_LINE_CHARS = 64 * 1024

# test → type, default port, TLS mode
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
_THRESHOLD = "bad"  # badimap:2:4:6 is no test, but tells when a failing imap becomes an alarm
_ADD_IT = "add a row"
_TEXTS = ("NAME:", "COMMENT:", "DESCR:", "NET:", "CLIENT:", "CLASS:")


def recognises(document: Document) -> bool:
    """Whether the document has a line with an address, a name and a #."""
    return document.format == "text" and bool(_FIRST_HOST.search(document.head))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every network test of every host."""
    queue = list(documents)
    seen = {document.path.resolve() for document in documents}
    while queue:
        document = queue.pop(0)
        for number, line in _lines(document.rendered):
            line_origin = f"{document.name} line {number}"
            include = _INCLUDE.match(line)
            host = _HOST.match(line)
            if include:
                included = referenced_documents(document, include[1].strip().strip("\"'"), documents)
                if included is None and not line.startswith("optional"):
                    yield SkippedObject(
                        origin=f"{line_origin}: {include[1]}",
                        reason="The file or folder was not found in the folder of this file; add it to the input.",
                        error=True,
                    )
                for included_document in included or ():
                    if included_document.path.resolve() not in seen:
                        seen.add(included_document.path.resolve())
                        queue.append(included_document)
            elif host:
                yield from _host(line_origin, host[1], host[2], host[3] or "")
            elif not _LAYOUT.match(line):
                yield SkippedObject(
                    origin=line_origin, reason="The line is neither a host nor a page layout directive.", error=True
                )


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the logical lines with their numbers, without comments and empty lines."""
    continued = ""
    first_number = 0
    for number, physical_line in enumerate(text.split("\n"), 1):
        first_number = first_number if continued else number
        if physical_line.rstrip().endswith("\\"):
            continued += physical_line.rstrip()[:-1] + " "
            continue
        line, continued = (continued + physical_line).strip(), ""
        if line and not line.startswith("#"):
            yield first_number, line[:MAX_LINE_CHARS]
    if continued.strip() and not continued.strip().startswith("#"):
        yield first_number, continued.strip()[:MAX_LINE_CHARS]


def _host(line_origin: str, address: str, name: str, tags: str) -> Iterator[Check | SkippedObject]:
    words = _words(tags)
    texts = {key: word[len(key) :].strip() for word in words for key in _TEXTS if word.upper().startswith(key)}
    uses_address = "testip" in words and address not in ("0.0.0.0", "::")
    note = "; ".join(texts[key] for key in ("COMMENT:", "DESCR:") if texts.get(key))
    for word in words:
        test = _TEST.match(word)
        if _WEB.match(word) or (test is not None and test[2].lower() in _OTHER_TESTS):
            yield SkippedObject(
                origin=f"{line_origin}: {name} {word.partition('?')[0][:80]}",
                reason="It does not test a mail port.",
            )
            continue
        if test is None:
            continue
        if test[2].lower() not in _TESTS:
            if mail_names.describes_mail(test[2]) and not test[2].lower().startswith(_THRESHOLD):
                yield SkippedObject(
                    origin=f"{line_origin}: {name} {word[:80]}",
                    reason=f"The test {test[2]} is not one of Xymon's own, but its name suggests mail; {_ADD_IT}.",
                    error=True,
                )
            continue
        mail_type, port, tls = _TESTS[test[2].lower()]
        origin = f"{line_origin}: {name} {word}"
        if name == ".default.":
            yield SkippedObject(
                origin=origin, reason=f"The test applies to all hosts below; {_ADD_IT} for each of them.", error=True
            )
            continue
        if "!" in test[1]:
            yield SkippedObject(origin=origin, reason="The test is inverted (!): it succeeds when the service is down.")
            continue
        changes = [f"Xymon's default interval of {INTERVAL:g} s is used; hosts.cfg has no intervals."]
        if "?" in test[1]:
            changes.append("The test is a dialup test (?): in the source, a failure raises no alarm.")
        if "~" in test[1]:
            changes.append("The test has the flag ~: in the source, it runs even if the host does not answer a ping.")
        for suffix in test[3].split(":")[1:]:
            if suffix.isascii() and suffix.isdigit():
                port = int(suffix) if len(suffix) <= MAX_PORT_DIGITS else HIGHEST_PORT + 1
            elif suffix != "s":
                changes.append(f"The suffix :{suffix} is not imported.")
        if test[4]:
            changes.append(f"The source address {test[4][1:]} is not imported.")
        if not LOWEST_PORT <= port <= HIGHEST_PORT:
            yield SkippedObject(
                origin=origin,
                reason=f"The port must be from {LOWEST_PORT} to {HIGHEST_PORT}.",
                error=True,
            )
            continue
        yield Check(
            origin=origin,
            type=mail_type,
            name=f"{texts.get('NAME:') or name} {test[2]}",
            hostname=address if uses_address else name,
            port=port,
            interval_seconds=INTERVAL,
            tls=tls,
            tags=(f"net={texts['NET:']}",) if texts.get("NET:") else (),
            note=note,
            changes=tuple(changes),
            not_covered=_not_covered(words, test[2].lower()),
        )


def _not_covered(words: Sequence[str], test: str) -> tuple[str, ...]:
    """What the settings of a host do to one of its tests that a monitor does not do."""
    names = [word.casefold() for word in words]

    def has(*beginnings: str) -> bool:
        return any(name.startswith(beginnings) for name in names)

    return not_covered.named(
        (not_covered.RETRIES, has(f"{_THRESHOLD}{test}:", "delayred=", "delayyellow=")),
        (not_covered.DEPENDENCIES, has("depends=", "route:")),
        (not_covered.MAINTENANCE, has("downtime=")),
        (not_covered.PERIOD, has("nktime=")),
        (not_covered.CERTIFICATE, has("ssldays=", "sslbits=")),
    )


def _words(tags: str) -> list[str]:
    """Split the text after the # into words. Quoted text is one word, also after a key such as NAME:."""
    try:
        reader = shlex.shlex(tags, posix=True, punctuation_chars=False)
        reader.whitespace_split = True
        reader.commenters = ""
        reader.escape = ""
        reader.quotes = '"'
        return list(reader)
    except ValueError:  # unbalanced quotes: Xymon uses the rest of the line
        return tags.replace('"', " ").split()
