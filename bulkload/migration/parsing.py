"""Parses single values of another tool's configuration.

In: a value of any type. Out: a validated value. Exports contain numbers as text, null for unset fields and, by
accident or malice, lists in place of names. An invalid value raises `UnreadableValue` with a sentence; the reader
turns it into a skipped object.
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

SourceObject = Mapping[str, object]

MAX_SHOWN_CHARS = 60  # characters of a wrong value that a message repeats

# {{ var }}, ${VAR}, {$MACRO}, each with its name as a group
_UNRESOLVED = re.compile(r"\{\{-?\s*(?P<braces>[^{}]*?)\s*-?\}\}|\$\{(?P<shell>[^{}]*)\}|\{\$(?P<macro>[^{}]*)\}")
_NOT_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, lone surrogate, line and paragraph separator

# Type, port and TLS mode that the scheme of an address stands for. All other schemes are ignored.
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
    """A value is not valid for its field. The message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The parts of an address."""

    host: str
    port: int | None = None
    type: str | None = None  # "smtp", "imap" or "pop" if the scheme is one of theirs
    tls: Tls = "unknown"
    has_login: bool = False  # the address contained a user name, which is dropped


def lookup(item: object, *paths: str) -> object:
    """Return the first value that is set at one of the paths (such as "config.request.host"), or None."""
    for path in paths:
        value = item
        for key in path.split("."):
            value = (
                value.get(key) if isinstance(value, dict) else None
            )  # isinstance with dict is five times faster than with Mapping
        if value is not None and value != "":
            return value
    return None


def as_text(value: object, field_name: str) -> str:
    """Return the value as one line without control characters, or "" if it is not set."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnreadableValue(f"The {field_name} is {_shown(value)}; text is required.")
    if isinstance(value, str):
        if value.isprintable():  # the usual case, and fast to check
            return value.strip()
        cleaned = "".join(" " if unicodedata.category(char) in _NOT_TEXT else char for char in value)
        return cleaned.strip()
    return _format_number(value)


def as_port(value: object, field_name: str = "port") -> int | None:
    """Return the value as a port number, or None if it is not set."""
    if value is None or value == "":
        return None
    number = _number(value)
    if number is None or not number.is_integer() or not LOWEST_PORT <= number <= HIGHEST_PORT:
        raise UnreadableValue(
            f"The {field_name} is {_shown(value)}; a whole number from {LOWEST_PORT} to {HIGHEST_PORT} is required."
        )
    return int(number)


def as_seconds(value: object, field_name: str, *, unit: float) -> float | None:
    """Return the value times `unit` (the seconds of one unit), or None if it is not set or zero."""
    if value is None or value == "":
        return None
    number = _number(value)
    if number is None or number < 0:
        raise UnreadableValue(f"The {field_name} is {_shown(value)}; a number is required.")
    return number * unit or None


def as_bool(value: object, field_name: str) -> bool:
    """Return the value as a boolean; False if it is not set."""
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        text = _format_number(value) if not isinstance(value, str) else value.strip().lower()
        if text in SWITCH_WORDS:
            return SWITCH_WORDS[text]
    raise UnreadableValue(f"The field {field_name} is {_shown(value)}; true or false is required.")


def as_labels(value: object) -> tuple[str, ...]:
    """Return the tags of a list of texts or of {name, value} objects, a comma-separated text, or a mapping."""
    if isinstance(value, str):
        return tuple(label for part in value.split(",") if (label := as_text(part, "tag")))
    if isinstance(value, Mapping):
        value = [{"name": name, "value": content} for name, content in value.items()]
    if not isinstance(value, list):
        return ()
    labels: dict[str, None] = {}
    for entry in value:
        name, content = (lookup(entry, "name"), lookup(entry, "value")) if isinstance(entry, Mapping) else (entry, None)
        try:
            label = "=".join(part for part in (as_text(name, "tag"), as_text(content, "tag")) if part)
        except UnreadableValue:  # an invalid tag is no reason to skip the monitor
            continue
        if label:
            labels[label] = None
    return tuple(labels)


def as_address(value: object, field_name: str = "host name") -> Address:
    """Split a host, host:port or URL into its parts. The path is dropped; a login is dropped, but noted."""
    text = as_text(value, field_name)
    scheme, separator, rest = text.rpartition("://")
    scheme_type, scheme_port, tls = _SCHEMES.get(scheme.lower(), (None, None, "unknown"))
    login, at_sign, location = rest.rpartition("@")
    if not separator and ":" not in login:  # user@example.com is a mail address; validation reports it
        login, at_sign, location = "", "", rest
    location = re.split(r"[/?#]", location, maxsplit=1)[0]
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::([^:]*))?", location)
    if bracketed:
        host, port = bracketed.group(1), bracketed.group(2)
    elif location.count(":") == 1:
        host, _, port = location.partition(":")
    else:
        host, port = location, None
    return Address(
        host=host.strip(),
        port=as_port(port) or scheme_port,
        type=scheme_type,
        tls=tls,
        has_login=bool(at_sign and login),
    )


def refuse_unresolved(value: object, field_name: str) -> None:
    """Raise `UnreadableValue` if the value contains a variable of the other tool."""
    match = _UNRESOLVED.search(value) if isinstance(value, str) else None
    if match:
        name = next((part for part in match.groups() if part), "").strip()
        raise UnreadableValue(
            f"The {field_name} contains the variable {name[:MAX_SHOWN_CHARS]!r}, whose value is not in the file; "
            "replace it with the value."
        )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not re.fullmatch(r"[ \t\r\n]*-?[0-9]{1,15}(?:\.[0-9]{1,15})?[ \t\r\n]*", value):
        return None  # float() also accepts 1_000, infinity and Arabic digits, and \s matches control characters
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _format_number(value: float) -> str:
    """A JSON number without a trailing ".0"."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
    return str(value) if abs(value) < 10**20 else "a very long number"


def _shown(value: object) -> str:
    """An invalid value for a message: shortened, without the content of lists and objects."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = _format_number(value) if isinstance(value, int | float) else str(value).strip(" \t\r\n")
    return repr(shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[:MAX_SHOWN_CHARS]}…")
