"""Single values of another tool's configuration: whatever stands there goes in, a checked value comes out.

Exports hold numbers as text, null for unset, and, by accident or malice, lists where a name belongs. What
cannot be read is an `UnreadableValue` with a sentence; the reader turns it into the outcome of that one object.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from bulkload.migration.checks import Tls
from bulkload.monitors.values import SWITCH_WORDS
from bulkload.protocols import HIGHEST_PORT, LOWEST_PORT, PROTOCOLS

Item = Mapping[str, object]

MAX_SHOWN = 60  # characters of a wrong value that a message repeats

# {{ var }}, ${VAR}, {$MACRO}, and the names inside them
_UNRESOLVED = re.compile(r"\{\{-?\s*(?P<braces>[^{}]*?)\s*-?\}\}|\$\{(?P<shell>[^{}]*)\}|\{\$(?P<macro>[^{}]*)\}")
_NOT_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, lone surrogate, line and paragraph separator

# What the scheme of an address says: type, port, TLS. Every other scheme is dropped.
_SCHEMES: Mapping[str, tuple[str | None, int | None, Tls]] = {
    **{scheme: (protocol.name, None, "unknown") for protocol in PROTOCOLS for scheme in protocol.schemes},
    **{
        scheme: (protocol.name, protocol.tls_port, "implicit")
        for protocol in PROTOCOLS
        for scheme in protocol.tls_schemes
    },
    "ssl": (None, None, "implicit"),
    "tls": (None, None, "implicit"),
}


class UnreadableValue(ValueError):
    """A value cannot be what its field needs; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address taken apart."""

    host: str
    port: int | None = None
    type: str | None = None  # "smtp", "imap", "pop" where the scheme says so
    tls: Tls = "unknown"
    has_login: bool = False  # the address held a user name; it is not kept


def at(item: object, *paths: str) -> object:
    """The first value that is set at one of the paths ("config.request.host"); None when none is."""
    for path in paths:
        value = item
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None  # dict: five times quicker than Mapping
        if value is not None and value != "":
            return value
    return None


def as_text(value: object, what: str) -> str:
    """The value as one line of text without control characters; empty when it is not set."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnreadableValue(f"The {what} is {_shown(value)}, but a text is needed.")
    if isinstance(value, str):
        if value.isprintable():  # nearly always, and quick to tell
            return value.strip()
        plain = "".join(" " if unicodedata.category(sign) in _NOT_TEXT else sign for sign in value)
        return plain.strip()
    return _digits(value)


def as_port(value: object, what: str = "port") -> int | None:
    """The value as a port number; None when it is not set."""
    if value is None or value == "":
        return None
    number = _number(value)
    if number is None or not number.is_integer() or not LOWEST_PORT <= number <= HIGHEST_PORT:
        raise UnreadableValue(
            f"The {what} is {_shown(value)}, but a whole number from {LOWEST_PORT} to {HIGHEST_PORT} is needed."
        )
    return int(number)


def as_seconds(value: object, what: str, *, unit: float) -> float | None:
    """The value as seconds, a `unit` of so many seconds each; None when it is not set or zero."""
    if value is None or value == "":
        return None
    number = _number(value)
    if number is None or number < 0:
        raise UnreadableValue(f"The {what} is {_shown(value)}, but a number is needed.")
    return number * unit or None


def as_bool(value: object, what: str) -> bool:
    """The value as yes or no; no when it is not set."""
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        word = _digits(value) if not isinstance(value, str) else value.strip().lower()
        if word in SWITCH_WORDS:
            return SWITCH_WORDS[word]
    raise UnreadableValue(f"The field {what} is {_shown(value)}, but true or false is needed.")


def as_labels(value: object) -> tuple[str, ...]:
    """Tags of any shape: a list of words, of {name, value}, a comma-separated text, or a mapping."""
    if isinstance(value, str):
        return tuple(word for part in value.split(",") if (word := as_text(part, "tag")))
    if isinstance(value, Mapping):
        value = [{"name": name, "value": content} for name, content in value.items()]
    if not isinstance(value, list):
        return ()
    found: dict[str, None] = {}
    for entry in value:
        name, content = (at(entry, "name"), at(entry, "value")) if isinstance(entry, Mapping) else (entry, None)
        try:
            label = "=".join(word for word in (as_text(name, "tag"), as_text(content, "tag")) if word)
        except UnreadableValue:  # a tag is a nicety: no monitor is lost over it
            continue
        if label:
            found[label] = None
    return tuple(found)


def as_address(value: object, what: str = "host name") -> Address:
    """A host, host:port or URL taken apart; the path is dropped, a login is dropped and remembered."""
    whole = as_text(value, what)
    scheme, separator, rest = whole.rpartition("://")
    said_type, said_port, tls = _SCHEMES.get(scheme.lower(), (None, None, "unknown"))
    login, at_sign, place = rest.rpartition("@")
    if not separator and ":" not in login:  # user@example.com is a mail address, for validation to explain
        login, at_sign, place = "", "", rest
    place = re.split(r"[/?#]", place, maxsplit=1)[0]
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::([^:]*))?", place)
    if bracketed:
        host, port = bracketed.group(1), bracketed.group(2)
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    else:
        host, port = place, None
    return Address(
        host=host.strip(),
        port=as_port(port) or said_port,
        type=said_type,
        tls=tls,
        has_login=bool(at_sign and login),
    )


def refuse_unresolved(value: object, what: str) -> None:
    """Raise for a variable that the other tool would have filled in, with its name."""
    found = _UNRESOLVED.search(value) if isinstance(value, str) else None
    if found:
        name = next((part for part in found.groups() if part), "").strip()
        raise UnreadableValue(
            f"The {what} holds the variable {name[:MAX_SHOWN]!r}, whose value is not in the file; "
            "put the value in its place."
        )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not re.fullmatch(r"\s*-?[0-9]{1,15}(?:\.[0-9]{1,15})?\s*", value):
        return None  # float() also takes 1_000, infinity and Arabic digits
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _digits(value: float) -> str:
    """A JSON number as people write it: 25 for 25.0."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    return str(value) if abs(value) < 10**20 else "a very long number"


def _shown(value: object) -> str:
    """A wrong value for a message: short, and without the inside of lists and objects."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = _digits(value) if isinstance(value, int | float) else as_text(str(value), "value")
    return repr(shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…")
