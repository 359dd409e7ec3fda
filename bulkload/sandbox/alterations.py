"""Ways to show monitors otherwise than they were sent.

In: the fields of a stored monitor. Out: the fields that an answer shows. What is stored stays as it is. A way is
written as its name, some with a number behind it (`cut=50`); several apply in the order in which they are given.
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
_PORTS: Mapping[str, int] = {"imap": 143, "pop": 110, "smtp": 25}  # what the types without TLS usually have
_UNSET = ("", None)
_WAY = re.compile(r"(?P<name>[a-z-]+)(?:=(?P<number>[1-9][0-9]{0,8}))?")
_EMAIL = re.compile(r"email-", re.IGNORECASE)
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_SERVER = re.compile(r"(?P<scheme>[a-z0-9+.-]+://)?(?P<host>\[[^]]*\]|[^:/]*)(?P<rest>(?:[:/].*)?)", re.I | re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayRule:
    """One way to show a monitor."""

    about: str  # one line for help texts
    show: Callable[[Fields, int], Fields]
    number: int = 0  # what it is given unless the way is written with a number; 0: it takes none


def with_strings(value: object) -> object:
    """The same JSON value with every number as a string."""
    match value:
        case bool() | None | str():
            return value
        case dict():
            return {key: with_strings(item) for key, item in value.items()}
        case list():
            return [with_strings(item) for item in value]
    return str(value)


def _text(key: str, change: Callable[[str, int], object]) -> Callable[[Fields, int], Fields]:
    """Change one field where it is a text."""

    def show(fields: Fields, number: int) -> Fields:
        text = fields.get(key)
        return {**fields, key: change(text, number)} if isinstance(text, str) else fields

    return show


def _names(change: Callable[[str], object]) -> Callable[[Fields, int], Fields]:
    return _text("name", lambda name, _: change(name))


def _hosts(change: Callable[[str], object]) -> Callable[[Fields, int], Fields]:
    """Change every host, and leave what stands around it: `smtps://HOST:465`."""

    def within(text: str) -> str:
        found = _SERVER.fullmatch(text)
        if found is None or _is_address(text):
            return str(change(text))
        return f"{found['scheme'] or ''}{change(found['host'])}{found['rest']}"

    def show(fields: Fields, _: int) -> Fields:
        hosts = {key: text for key in _HOSTS if isinstance(text := fields.get(key), str)}
        return {**fields, **{key: within(text) for key, text in hosts.items()}}

    return show


def _port(value: object) -> Callable[[Fields, int], Fields]:
    """Show every port as the same; a type without ports stays without."""
    return lambda fields, _: {**fields, "port": value} if "port" in fields else fields


def _without_hosts(fields: Fields, _: int) -> Fields:
    return {key: None if key in _HOSTS else value for key, value in fields.items()}


def _without_port(fields: Fields, _: int) -> Fields:
    return {key: value for key, value in fields.items() if key != "port"}


def _with_default_port(fields: Fields, _: int) -> Fields:
    kind = _EMAIL.sub("", str(fields.get("type"))).lower()  # a way before this one may have changed it
    if kind in _PORTS and fields.get("port") in _UNSET:
        return {**fields, "port": _PORTS[kind]}
    return fields


def _with_port_in_host(fields: Fields, _: int) -> Fields:
    host, port = fields.get("hostname"), fields.get("port")
    if not isinstance(host, str) or port in _UNSET:
        return fields
    return {**fields, "hostname": f"[{host}]:{port}" if _is_address(host) and ":" in host else f"{host}:{port}"}


def _numbers_as_strings(fields: Fields, _: int) -> Fields:
    return {key: with_strings(value) for key, value in fields.items()}


def _cut_bytes(name: str, most: int) -> str:
    # Counted by character, so that none is halved; a lone surrogate is a character here and must not fail.
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
        about="white space in names as single blanks, none at the ends",
        show=_names(lambda name: " ".join(name.split())),
    ),
    "cut": DisplayRule(
        about="names cut at N characters, 50 if it is left out",
        show=_text("name", lambda name, most: name[:most]),
        number=50,
    ),
    "cut-bytes": DisplayRule(
        about="names cut at N bytes of UTF-8, 50 if it is left out", show=_text("name", _cut_bytes), number=50
    ),
    "escapes": DisplayRule(about="& < > \" ' in names as HTML entities", show=_names(html.escape)),
    "escapes-twice": DisplayRule(
        about="the same, twice: &amp;amp;", show=_names(lambda name: html.escape(html.escape(name)))
    ),
    "upper-names": DisplayRule(about="names in capitals", show=_names(str.upper)),
    "lower-names": DisplayRule(about="names in small letters", show=_names(str.lower)),
    "no-names": DisplayRule(about="names are null", show=_names(lambda _: None)),
    "no-hosts": DisplayRule(about="host names are null", show=_without_hosts),
    "question-marks": DisplayRule(
        about="what is not ASCII in names as ?",
        show=_names(lambda name: name.encode("ascii", "replace").decode("ascii")),
    ),
    "ascii-only": DisplayRule(
        about="what is not ASCII in names left out",
        show=_names(lambda name: name.encode("ascii", "ignore").decode("ascii")),
    ),
    "bmp-only": DisplayRule(
        about="what is beyond U+FFFF in names as ?", show=_names(lambda name: _BEYOND_BMP.sub("?", name))
    ),
    "decomposed": DisplayRule(about="names in NFD", show=_names(lambda name: unicodedata.normalize("NFD", name))),
    "composed": DisplayRule(about="names in NFC", show=_names(lambda name: unicodedata.normalize("NFC", name))),
    "compatible": DisplayRule(about="names in NFKC", show=_names(lambda name: unicodedata.normalize("NFKC", name))),
    "no-ports": DisplayRule(about="the key `port` is missing", show=_without_port),
    "empty-ports": DisplayRule(about='every port is ""', show=_port("")),
    "null-ports": DisplayRule(about="every port is null", show=_port(None)),
    "default-ports": DisplayRule(about="an unset port as 143, 110 or 25", show=_with_default_port),
    "number-texts": DisplayRule(about="numbers as strings", show=_numbers_as_strings),
    "upper-types": DisplayRule(about="types in capitals: EMAIL-IMAP", show=_text("type", lambda kind, _: kind.upper())),
    "short-types": DisplayRule(
        about="types without email-: imap", show=_text("type", lambda kind, _: _EMAIL.sub("", kind, 1))
    ),
    "upper-hosts": DisplayRule(about="host names in capitals", show=_hosts(str.upper)),
    "dotted-hosts": DisplayRule(about="host names with a dot at the end", show=_hosts(_dotted)),
    "host-ports": DisplayRule(about="hostname as host:port where a port is set", show=_with_port_in_host),
}


def parse(text: str) -> tuple[DisplayRule, int]:
    """The way that a text means, and its number; ValueError says in a sentence why there is none."""
    found = _WAY.fullmatch(text)
    way = DISPLAY_RULES.get(found["name"]) if found else None
    if found is None or way is None or (found["number"] and not way.number):
        there = ", ".join(written(name) for name in DISPLAY_RULES)
        raise ValueError(f"There is no way {text!r} to show monitors; there are {there} (N from 1).")
    return way, int(found["number"] or way.number)


def written(name: str) -> str:
    """A way's name with the number that it takes, for help texts."""
    return f"{name}=N" if DISPLAY_RULES[name].number else name


def shown_by(ways: Sequence[str]) -> Show | None:
    """What shows a monitor in these ways, one after the other; None when there are none."""
    steps = [parse(way) for way in ways]

    def show(fields: Fields) -> Fields:
        for way, number in steps:
            fields = way.show(fields, number)
        return fields

    return show if steps else None
