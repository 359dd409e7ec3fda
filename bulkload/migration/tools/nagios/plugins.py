"""What a monitoring plugin tests: its command line goes in, a probe comes out, or the reason why there is none.

The name of a command proves nothing (Debian's check_simap runs check_imap), so only the plugin is looked at.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from bulkload.migration.checks import Tls

DEFAULT_TIMEOUT = "10"  # seconds, of every standard plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A network test of one service, as its command line has it; texts may still hold macros."""

    type: str | None  # None: the port decides
    host: str
    port: str
    timeout: str
    tls: Tls = "unknown"
    has_login: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoProbe:
    """Why a command line is no test that could be moved."""

    reason: str
    error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plugin:
    type: str | None
    port: str
    tls: Tls = "unknown"
    values: str = "HpsemdDwctqrM"  # short options that take a value
    ssl_flags: frozenset[str] = frozenset({"S", "ssl", "D", "certificate"})
    starttls_flags: frozenset[str] = frozenset()
    login_flags: frozenset[str] = frozenset()
    can_refuse: bool = False  # knows -r ok: a refused connection is what is wanted


_TCP = _Plugin(type=None, port="", can_refuse=True)
_SMTP = _Plugin(
    type="smtp",
    port="25",
    values="HptfecwCRDFAUPr",
    ssl_flags=frozenset({"s", "ssl", "tls"}),
    starttls_flags=frozenset({"S", "starttls", "D", "certificate"}),
    login_flags=frozenset({"A", "U", "P", "authtype", "authuser", "authpass"}),
)
_PLUGINS: Mapping[str, _Plugin] = {
    "check_smtp": _SMTP,
    "check_ssmtp": replace(_SMTP, port="465", tls="implicit"),
    "check_imap": replace(_TCP, type="imap", port="143"),
    "check_simap": replace(_TCP, type="imap", port="993", tls="implicit"),
    "check_pop": replace(_TCP, type="pop", port="110"),
    "check_spop": replace(_TCP, type="pop", port="995", tls="implicit"),
    "check_tcp": _TCP,
    "check_http": _Plugin(type=None, port="80", values="HIpuwctdseRrPaAblkTmJKUMN"),
    "check_ssl_cert": _Plugin(type=None, port="443", tls="implicit", values="HpPnNcwtfriosuCKLSOA"),
}
_INDIRECT: Mapping[str, str] = {
    "check_nrpe": "runs on the monitored host through NRPE, not from outside",
    "check_nrpe_1arg": "runs on the monitored host through NRPE, not from outside",
    "check_by_ssh": "runs on the monitored host over SSH, not from outside",
    "check_nt": "asks an agent on the monitored host",
    "check_ncpa.py": "asks an agent on the monitored host",
    "check_snmp": "asks an SNMP agent",
    "check_mailq": "looks at a mail queue from the inside",
    "check_dummy": "tests nothing",
    "check_imap_login": "logs in to a mailbox, which a port monitor does not",
    "check_imap_receive": "reads a mailbox, which a port monitor does not",
    "check_imap_quota": "reads a mailbox, which a port monitor does not",
    "check_smtp_send": "sends a message, which a port monitor does not",
    "check_email_delivery": "sends a message and waits for it, which is a round trip to be set up anew",
}
_CERTIFICATE_PROTOCOLS: Mapping[str, tuple[str | None, Tls]] = {
    "smtp": ("smtp", "starttls"),
    "smtps": ("smtp", "implicit"),
    "imap": ("imap", "starttls"),
    "imaps": ("imap", "implicit"),
    "pop3": ("pop", "starttls"),
    "pop3s": ("pop", "implicit"),
}
_PROTOCOL_PORTS = {"smtp": "25", "smtps": "465", "imap": "143", "imaps": "993", "pop3": "110", "pop3s": "995"}
_LONG = {"hostname": "H", "host": "H", "port": "p", "timeout": "t", "protocol": "P", "refuse": "r", "IP-address": "I"}
_BARE_LONG = frozenset({"ssl", "tls", "starttls", "lmtp", "all", "verbose", "use-ipv4", "use-ipv6", "escape", "jail"})
_WRAPPERS = frozenset({"sudo", "env", "timeout", "nice", "ionice", "sh", "bash", "perl", "python3"})
_QUOTED = re.compile(r"[\"'\\]")
_PLUGIN_NAME = re.compile(r"check_[\w.-]+")


def read_command_line(line: str) -> Probe | NoProbe:
    """Find out what a command line tests."""
    try:
        words = shlex.split(line) if _QUOTED.search(line) else line.split()
    except ValueError:
        return NoProbe(reason="The quotes of its command line do not match.", error=True)
    words = [part for word in words for part in _free_options(word)]
    if not words:
        return NoProbe(reason="Its command line is empty.", error=True)
    if PurePosixPath(words[0]).name == "negate":
        return NoProbe(reason="It is inverted (negate): it is well when the service is down.")
    at, name = _plugin_in(words)
    if name in _INDIRECT:
        return NoProbe(reason=f"{name} {_INDIRECT[name]}.")
    plugin = _PLUGINS.get(name.removesuffix(".pl").removesuffix(".exe"))
    if plugin is None:
        return NoProbe(reason=f"{name} is no test of a mail port.")
    return _probe(name, plugin, words[at + 1 :])


def _plugin_in(words: Sequence[str]) -> tuple[int, str]:
    """Where the plugin stands: the first word, or behind a wrapper such as sudo."""
    first = PurePosixPath(words[0]).name
    if first in _WRAPPERS:
        for at, word in enumerate(words):
            name = PurePosixPath(word).name
            if _PLUGIN_NAME.fullmatch(name):
                return at, name
    return 0, first


def _free_options(word: str) -> list[str]:
    """Options that a quoted argument carries in one word ('-p 993 -S'), one by one."""
    if word.startswith("-") and " " in word and "=" not in word:
        return word.split()
    return [word]


def _probe(name: str, plugin: _Plugin, words: Sequence[str]) -> Probe | NoProbe:
    options, rest = _options(words, plugin.values)
    if options.keys() & {"L", "lmtp"} and plugin.type == "smtp":
        return NoProbe(reason="It tests LMTP, which is not SMTP.")
    if plugin.can_refuse and options.get("r", "").lower() == "ok":
        return NoProbe(reason="It is inverted (-r ok): a refused connection counts as well.")
    kind, tls, port = plugin.type, plugin.tls, options.get("p", "")
    if name.startswith("check_ssl_cert"):
        protocol = options.get("P", "").lower()
        kind, tls = _CERTIFICATE_PROTOCOLS.get(protocol, (None, "implicit"))
        port = port or _PROTOCOL_PORTS.get(protocol, "")
    elif options.keys() & plugin.starttls_flags:
        tls = "starttls"
    elif options.keys() & plugin.ssl_flags:
        tls = "implicit"
    host = options.get("H") or options.get("I") or next((word for word in rest if word), "")
    return Probe(
        type=kind,
        host=host,
        port=port or plugin.port,
        timeout=options.get("t", DEFAULT_TIMEOUT).partition(":")[0],
        tls=tls,
        has_login=bool(options.keys() & plugin.login_flags),
    )


def _options(words: Sequence[str], values: str) -> tuple[dict[str, str], list[str]]:
    """Options with their values, as getopt reads them, and the words that are left."""
    options: dict[str, str] = {}
    rest: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word in {"|", ";", "&&", "||", ">", ">>"}:
            break  # the shell's part of the line
        if word.startswith("--") and len(word) > 2:
            key, equals, value = word[2:].partition("=")
            if not equals and key not in _BARE_LONG:
                value = next(waiting, "")
            options[_LONG.get(key, key)] = value
        elif word.startswith("-") and len(word) > 1:
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in values:
                    options[letter] = letters or next(waiting, "")
                    break
                options[letter] = ""
        else:
            rest.append(word)
    return options, rest
