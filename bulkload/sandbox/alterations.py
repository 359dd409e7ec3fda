"""Display rules: monitors are displayed differently from what was sent.

In: the fields of a stored monitor. Out: the fields in a response; the stored ones are not changed. A rule is written as
its name, for some with a number (`cut=50`); several rules apply in the given order.
"""

from __future__ import annotations

import html
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

Fields = dict[str, object]
Show = Callable[[Fields], Fields]

_HOSTS = ("hostname", "smtp_hostname", "pop3_hostname")
_PORTS: Mapping[str, int] = {"imap": 143, "pop": 110, "smtp": 25}  # default ports of the types
_UNSET = ("", None)
_RULE = re.compile(r"(?P<name>[a-z-]+)(?:=(?P<number>[1-9][0-9]{0,8}))?")
_EMAIL = re.compile(r"email-", re.IGNORECASE)
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_SERVER = re.compile(r"(?P<scheme>[a-z0-9+.-]+://)?(?P<host>\[[^]]*\]|[^:/]*)(?P<rest>(?:[:/].*)?)", re.I | re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayRule:
    """A rule that changes how a monitor is displayed."""

    about: str  # one line for help texts
    show: Callable[[Fields, int], Fields]
    number: int = 0  # default of its number; 0: it has none


def with_strings(value: object) -> object:
    """A JSON value with all its numbers as strings."""
    match value:
        case bool() | None | str():
            return value
        case dict():
            return {key: with_strings(item) for key, item in value.items()}
        case list():
            return [with_strings(item) for item in value]
    return str(value)


def _text(key: str, change: Callable[[str, int], object]) -> Callable[[Fields, int], Fields]:
    """Change one field if it is a text."""

    def show(fields: Fields, number: int) -> Fields:
        text = fields.get(key)
        return {**fields, key: change(text, number)} if isinstance(text, str) else fields

    return show


def _names(change: Callable[[str], object]) -> Callable[[Fields, int], Fields]:
    return _text("name", lambda name, _: change(name))


def _hosts(change: Callable[[str], object]) -> Callable[[Fields, int], Fields]:
    """Change every host, but not scheme and port around it: `smtps://HOST:465`."""

    def within(text: str) -> str:
        match = _SERVER.fullmatch(text)
        if match is None or _is_address(text):
            return str(change(text))
        return f"{match['scheme'] or ''}{change(match['host'])}{match['rest']}"

    def show(fields: Fields, _: int) -> Fields:
        hosts = {key: text for key in _HOSTS if isinstance(text := fields.get(key), str)}
        return {**fields, **{key: within(text) for key, text in hosts.items()}}

    return show


def _port(value: object) -> Callable[[Fields, int], Fields]:
    """Display the same value for every port; types without ports are not changed."""
    return lambda fields, _: {**fields, "port": value} if "port" in fields else fields


def _without_hosts(fields: Fields, _: int) -> Fields:
    return {key: None if key in _HOSTS else value for key, value in fields.items()}


def _without_port(fields: Fields, _: int) -> Fields:
    return {key: value for key, value in fields.items() if key != "port"}


def _with_default_port(fields: Fields, _: int) -> Fields:
    protocol = _EMAIL.sub("", str(fields.get("type"))).lower()  # an earlier rule may have changed the type
    if protocol in _PORTS and fields.get("port") in _UNSET:
        return {**fields, "port": _PORTS[protocol]}
    return fields


def _with_port_in_host(fields: Fields, _: int) -> Fields:
    host, port = fields.get("hostname"), fields.get("port")
    if not isinstance(host, str) or port in _UNSET:
        return fields
    return {**fields, "hostname": f"[{host}]:{port}" if _is_address(host) and ":" in host else f"{host}:{port}"}


def _numbers_as_strings(fields: Fields, _: int) -> Fields:
    return {key: with_strings(value) for key, value in fields.items()}


def _cut_bytes(name: str, most: int) -> str:
    # Counted by character, so that none is split; a lone surrogate counts as a character and must not fail
    sizes = accumulate(len(character.encode("utf-8", "surrogatepass")) for character in name)
    return name[: sum(size <= most for size in sizes)]


def _dotted(host: str) -> str:
    return host if _is_address(host) or host.endswith(".") else f"{host}."


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


DISPLAY_RULES: Mapping[str, DisplayRule] = {
    "blanks": DisplayRule(
        about="white space in names as single spaces, none at the ends",
        show=_names(lambda name: " ".join(name.split())),
    ),
    "cut": DisplayRule(
        about="names cut after N characters (default: 50)",
        show=_text("name", lambda name, most: name[:most]),
        number=50,
    ),
    "cut-bytes": DisplayRule(
        about="names cut after N bytes of UTF-8 (default: 50)", show=_text("name", _cut_bytes), number=50
    ),
    "escapes": DisplayRule(about="& < > \" ' in names as HTML entities", show=_names(html.escape)),
    "escapes-twice": DisplayRule(
        about="the same, twice: &amp;amp;", show=_names(lambda name: html.escape(html.escape(name)))
    ),
    "upper-names": DisplayRule(about="names in upper case", show=_names(str.upper)),
    "lower-names": DisplayRule(about="names in lower case", show=_names(str.lower)),
    "no-names": DisplayRule(about="names are null", show=_names(lambda _: None)),
    "no-hosts": DisplayRule(about="host names are null", show=_without_hosts),
    "question-marks": DisplayRule(
        about="non-ASCII characters in names as ?",
        show=_names(lambda name: name.encode("ascii", "replace").decode("ascii")),
    ),
    "ascii-only": DisplayRule(
        about="names without non-ASCII characters",
        show=_names(lambda name: name.encode("ascii", "ignore").decode("ascii")),
    ),
    "bmp-only": DisplayRule(
        about="characters beyond U+FFFF in names as ?", show=_names(lambda name: _BEYOND_BMP.sub("?", name))
    ),
    "decomposed": DisplayRule(about="names in NFD", show=_names(lambda name: unicodedata.normalize("NFD", name))),
    "composed": DisplayRule(about="names in NFC", show=_names(lambda name: unicodedata.normalize("NFC", name))),
    "compatible": DisplayRule(about="names in NFKC", show=_names(lambda name: unicodedata.normalize("NFKC", name))),
    "no-ports": DisplayRule(about="the key `port` is missing", show=_without_port),
    "empty-ports": DisplayRule(about='every port is ""', show=_port("")),
    "null-ports": DisplayRule(about="every port is null", show=_port(None)),
    "default-ports": DisplayRule(about="an unset port as 143, 110 or 25", show=_with_default_port),
    "number-texts": DisplayRule(about="numbers as strings", show=_numbers_as_strings),
    "upper-types": DisplayRule(
        about="types in upper case: EMAIL-IMAP", show=_text("type", lambda text, _: text.upper())
    ),
    "short-types": DisplayRule(
        about="types without email-: imap", show=_text("type", lambda text, _: _EMAIL.sub("", text, 1))
    ),
    "upper-hosts": DisplayRule(about="host names in upper case", show=_hosts(str.upper)),
    "dotted-hosts": DisplayRule(about="host names with a dot at the end", show=_hosts(_dotted)),
    "host-ports": DisplayRule(about="hostname as host:port where a port is set", show=_with_port_in_host),
}


def parse(text: str) -> tuple[DisplayRule, int]:
    """The display rule that a text names, and its number. Raises a `ValueError` whose message is one sentence."""
    match = _RULE.fullmatch(text)
    rule = DISPLAY_RULES.get(match["name"]) if match else None
    if match is None or rule is None or (match["number"] and not rule.number):
        allowed = ", ".join(written(name) for name in DISPLAY_RULES)
        raise ValueError(f"Unknown display rule {text!r}; allowed are {allowed} (N from 1).")
    return rule, int(match["number"] or rule.number)


def written(name: str) -> str:
    """The name of a rule, with N if it has a number, for help texts."""
    return f"{name}=N" if DISPLAY_RULES[name].number else name


def shown_by(rules: Sequence[str]) -> Show | None:
    """A function that applies these rules one after the other; None if there are none."""
    steps = [parse(text) for text in rules]

    def show(fields: Fields) -> Fields:
        for rule, number in steps:
            fields = rule.show(fields, number)
        return fields

    return show if steps else None
