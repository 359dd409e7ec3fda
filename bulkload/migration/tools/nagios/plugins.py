"""Determines what a monitoring plugin tests.

In: a command line. Out: a probe, or the reason why the command is not supported. The name of a command is no evidence
(Debian's check_simap runs check_imap), so only the plugin is considered.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePosixPath

from bulkload.migration import mail_names
from bulkload.migration.checks import Tls
from bulkload.migration.not_covered import of_command

DEFAULT_TIMEOUT = "10"  # seconds, of every standard plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A network test of one service, as in its command line; texts may still contain macros."""

    type: str | None  # None: the port determines it
    host: str
    port: str
    timeout: str
    tls: Tls = "unknown"
    has_login: bool = False
    not_covered: tuple[str, ...] = ()  # sentences: what it also tests


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedCommand:
    """The reason why a command line cannot be imported."""

    reason: str
    error: bool = False
    is_unknown: bool = False  # nothing is known about the plugin, so the service's description may tell more


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plugin:
    type: str | None
    port: str
    tls: Tls = "unknown"
    values: str = "HpsemdDwctqrM"  # short options that take a value
    ssl_flags: frozenset[str] = frozenset({"S", "ssl", "D", "certificate"})
    starttls_flags: frozenset[str] = frozenset()
    login_flags: frozenset[str] = frozenset()
    can_refuse: bool = False  # supports -r ok: a refused connection is a success


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
    "check_nrpe": "runs on the monitored host through NRPE, not from the monitoring server",
    "check_nrpe_1arg": "runs on the monitored host through NRPE, not from the monitoring server",
    "check_by_ssh": "runs on the monitored host over SSH, not from the monitoring server",
    "check_nt": "queries an agent on the monitored host",
    "check_ncpa": "queries an agent on the monitored host",
    "check_snmp": "queries an SNMP agent",
    "check_mailq": "checks a mail queue on the host itself",
    "check_dummy": "tests nothing",
    "check_imap_login": "logs in to a mailbox, which a port monitor does not",
    "check_imap_receive": "reads a mailbox, which a port monitor does not",
    "check_imap_quota": "reads a mailbox, which a port monitor does not",
    "check_smtp_send": "sends a message, which a port monitor does not",
    "check_email_delivery": "sends a message and waits for it; create a round-trip monitor instead",
}
_ROUND_TRIP = re.compile(r"(?:mail|smtp|imap).*(?:delivery|loop|round_?trip)")
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
_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "su"})
_WRAPPERS = _SHELLS | {
    *("sudo", "doas", "env", "timeout", "nice", "ionice", "chroot", "setsid", "time", "perl", "ruby", "php", "java"),
    *("python", "python2", "python3"),
}
_SHELL_OPTION = re.compile(r"-[a-z]*c")  # -c, also as in -lc
MAX_SHELL_DEPTH = 3  # of sh -c "sh -c …"
_ADD_IT = "if it is one, add a row for it"
_QUOTING = re.compile(r"[\"'\\]")
_PLUGIN_NAME = re.compile(r"check_[\w.-]+")


def read_command_line(line: str, *, depth: int = 0) -> Probe | UnsupportedCommand:
    """Return what a command line tests, or why it is not supported."""
    try:
        words = shlex.split(line) if _QUOTING.search(line) else line.split()
    except ValueError:
        name = PurePosixPath(line.split()[0]).name
        is_other = mail_names.is_known_not_mail(name)
        return _not_mail(name) if is_other else _error("The quotes in the command line are unbalanced.")
    words = [part for word in words for part in _split_options(word)]
    if not words:
        return _error("The command line is empty.")
    position, name = _find_plugin(words)
    if any(PurePosixPath(word).name == "negate" for word in words[: position + 1]):
        return UnsupportedCommand(reason="The check is inverted (negate): it succeeds when the service is down.")
    if name in _SHELLS and depth < MAX_SHELL_DEPTH:
        for option, line_of_shell in pairwise(words[position + 1 :]):
            if _SHELL_OPTION.fullmatch(option):
                return read_command_line(line_of_shell, depth=depth + 1)
    plain_name = mail_names.plain_name(name)
    if plain_name in _INDIRECT:
        return UnsupportedCommand(reason=f"{name} {_INDIRECT[plain_name]}.")
    if _ROUND_TRIP.search(plain_name):
        return UnsupportedCommand(reason=f"{name} {_INDIRECT['check_email_delivery']}.")
    if plugin := _PLUGINS.get(plain_name):
        return _probe(plain_name, plugin, words[position + 1 :])
    return _unknown_plugin(name, words[position + 1 :])


def _unknown_plugin(name: str, arguments: Sequence[str]) -> UnsupportedCommand:
    """Return an error for a plugin that may test a mail port, by its name or by its arguments."""
    if mail_names.is_known_not_mail(name):
        return _not_mail(name)
    if mail_names.tests_a_queue(name):
        return UnsupportedCommand(reason=f"{name} checks a mail queue, not a mail port.")
    programs = [name, *(PurePosixPath(word).name for word in arguments)] if name in _WRAPPERS else [name]
    if any(mail_names.suggests_mail(program) for program in programs):
        return _error(f"The plugin {name} is not supported, but its name suggests a mail check; {_ADD_IT}.")
    if mail_names.is_given_mail_port(name, arguments):
        return _error(f"The plugin {name} is not supported, but it is given a mail port; {_ADD_IT}.")
    return UnsupportedCommand(reason=f"{name} is not one of the plugins that test a mail port.", is_unknown=True)


def _not_mail(name: str) -> UnsupportedCommand:
    return UnsupportedCommand(reason=f"{name} does not test a mail port.")


def _error(reason: str) -> UnsupportedCommand:
    return UnsupportedCommand(reason=reason, error=True)


def _find_plugin(words: Sequence[str]) -> tuple[int, str]:
    """Return the position and name of the plugin: the first word, or what follows a wrapper such as sudo."""
    first = PurePosixPath(words[0]).name
    if first in _WRAPPERS or first == "negate":
        for position, word in enumerate(words):
            name = PurePosixPath(word).name
            if _PLUGIN_NAME.fullmatch(name) or name in _SHELLS:
                return position, name
    return 0, first


def _split_options(word: str) -> list[str]:
    """Split several options in one quoted argument ('-p 993 -S')."""
    if word.startswith("-") and " " in word and "=" not in word:
        return word.split()
    return [word]


def _probe(name: str, plugin: _Plugin, words: Sequence[str]) -> Probe | UnsupportedCommand:
    options, positional = _options(words, plugin.values)
    if options.keys() & {"L", "lmtp"} and plugin.type == "smtp":
        return UnsupportedCommand(reason="The check uses LMTP, which is not SMTP.")
    if plugin.can_refuse and options.get("r", "").lower() == "ok":
        return UnsupportedCommand(
            reason="The check is inverted (-r ok): it also succeeds when the connection is refused."
        )
    mail_type, tls, port = plugin.type, plugin.tls, options.get("p", "")
    if name.startswith("check_ssl_cert"):
        protocol = options.get("P", "").lower()
        mail_type, tls = _CERTIFICATE_PROTOCOLS.get(protocol, (None, "implicit"))
        port = port or _PROTOCOL_PORTS.get(protocol, "")
    elif options.keys() & plugin.starttls_flags:
        tls = "starttls"
    elif options.keys() & plugin.ssl_flags:
        tls = "implicit"
    host = options.get("H") or options.get("I") or next((word for word in positional if word), "")
    return Probe(
        type=mail_type,
        host=host,
        port=port or plugin.port,
        timeout=options.get("t", DEFAULT_TIMEOUT).partition(":")[0],
        tls=tls,
        has_login=bool(options.keys() & plugin.login_flags),
        not_covered=of_command(name, options),
    )


def _options(words: Sequence[str], values: str) -> tuple[dict[str, str], list[str]]:
    """Parse options like getopt; return them with their values, and the positional arguments."""
    options: dict[str, str] = {}
    positional: list[str] = []
    remaining = iter(words)
    for word in remaining:
        if word in {"|", ";", "&&", "||", ">", ">>"}:
            break  # the rest is shell syntax
        if word.startswith("--") and len(word) > 2:
            key, equals, value = word[2:].partition("=")
            if not equals and key not in _BARE_LONG:
                value = next(remaining, "")
            options[_LONG.get(key, key)] = value
        elif word.startswith("-") and len(word) > 1:
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in values:
                    options[letter] = letters or next(remaining, "")
                    break
                options[letter] = ""
        else:
            positional.append(word)
    return options, positional
