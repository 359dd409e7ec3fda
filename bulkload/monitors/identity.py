"""Which monitors are the same, and what differs between a request and a listed monitor.

in: a request body, or an item of GET /monitors    out: a key that equal monitors share, or the differing fields

Items come from outside and may hold anything: nothing here raises on odd content.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeGuard

from bulkload.monitors.hosts import parse_endpoint, parse_host
from bulkload.monitors.values import SWITCH_WORDS, CellError
from bulkload.protocols import MONITOR_TYPES, OTHER_TYPES, PLAIN_PORTS, PROTOCOLS, ROUND_TRIP, usual_scheme

_ENDPOINT_DEFAULTS = {  # field of a round trip → scheme → port of a server that names none
    field: {protocol.schemes[0]: protocol.plain_port, protocol.tls_schemes[0]: protocol.tls_port}
    for field, name in (("smtp_hostname", "smtp"), ("pop3_hostname", "pop"))
    for protocol in PROTOCOLS
    if protocol.name == name
}
_LONGEST_SHOWN = 60  # characters of a value that a sentence quotes
_LONGEST_NUMBER = 18  # characters
_LARGEST_NUMBER = 10**_LONGEST_NUMBER  # Python does not spell out integers of any length
_SEPARATOR = "\t"  # no field of a good monitor holds one; the name comes last all the same


class Identity(NamedTuple):
    """What makes a monitor itself, taken apart."""

    type: str  # empty: shown in a spelling that is not known
    servers: tuple[str | None, ...]  # the host, or a round trip's two servers; None: not shown
    port: int | float | None  # the effective port, 0 for a round trip; None: not shown
    name: str | None  # None: not shown

    @property
    def key(self) -> str:
        """The text that equal monitors share; a port that is not shown counts as the type's own."""
        servers = (server or "" for server in self.servers)
        if len(self.servers) == 1:
            port = self.port or PLAIN_PORTS.get(self.type, 0)
            return _SEPARATOR.join((self.type, *servers, str(port), self.name or ""))
        return _SEPARATOR.join((self.type, *servers, self.name or ""))


def identity_of(monitor_type: str, fields: Mapping[str, object]) -> Identity:
    """Take apart what a listed monitor shows, or a body asks for."""
    name = None if fields.get("name") is None else _name(fields["name"])
    if monitor_type in PLAIN_PORTS:
        host, port = _host_and_port(fields.get("hostname"))
        return Identity(monitor_type, (host or None,), _number(fields.get("port")) or port, name)
    servers = (_endpoint(field, fields[field]) if fields.get(field) else None for field in _ENDPOINT_DEFAULTS)
    return Identity(monitor_type, tuple(servers), 0, name)


def asked_identity(monitor_type: str, body: Mapping[str, object]) -> Identity:
    """Take apart what a body asks for; a port that it leaves out is the type's own."""
    found = identity_of(monitor_type, body)
    return found._replace(port=found.port or PLAIN_PORTS.get(monitor_type, 0))


def identity_in(monitor_type: str, body: str) -> Identity:
    """Take apart what a body asks for that is JSON, as the store keeps it."""
    return asked_identity(monitor_type, json.loads(body))


def monitor_key(monitor_type: str, fields: Mapping[str, object]) -> str:
    """Name what makes a monitor itself: type, host and effective port (a round trip's two servers), trimmed name."""
    return identity_of(monitor_type, fields).key


def listed_identity(item: Mapping[str, object]) -> Identity | None:
    """Take a listed monitor apart; None if it is surely no mail monitor."""
    found = item.get("type") if isinstance(item, Mapping) else None
    if not isinstance(found, str) or found.strip().lower() in OTHER_TYPES:
        return None
    if found in MONITOR_TYPES:
        return identity_of(found, item)
    is_round_trip = any(item.get(field) for field in _ENDPOINT_DEFAULTS)
    kind = ROUND_TRIP if is_round_trip else MONITOR_TYPES[0]
    return identity_of(kind, item)._replace(type="")


def may_be_of_type(item: Mapping[str, object], monitor_type: str) -> bool:
    """True if a monitor is of a type, or is shown with one in a spelling that is not known."""
    if item.get("type") == monitor_type:
        return monitor_type in MONITOR_TYPES
    found = listed_identity(item)
    return found is not None and found.type in (monitor_type, "")


def listed_key(item: Mapping[str, object]) -> str | None:
    """Return the key of a listed monitor; None if it is no mail monitor."""
    found = listed_identity(item)
    return found.key if found is not None and found.type else None


def apart(key: str) -> tuple[str, str]:
    """Split a key into where the monitor looks (type and servers) and what it is called (type and name, loosely)."""
    kind = key.partition(_SEPARATOR)[0]
    *place, name = key.split(_SEPARATOR, 3)  # behind the type there are two parts: host and port, or two servers
    return _SEPARATOR.join(place), _SEPARATOR.join((kind, " ".join(name.casefold().split())))


def differences(body: Mapping[str, object], item: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Name the fields that the body asks for and the listed monitor has otherwise: field → (old, new).

    A field that the list does not contain cannot be compared and is no difference.
    """
    monitor_type = item.get("type")
    plain_port = PLAIN_PORTS.get(monitor_type) if isinstance(monitor_type, str) else None
    unset_port = _host_and_port(item.get("hostname"))[1] or plain_port
    found = {}
    for field, new in body.items():
        if field not in item or field in ("id", "type"):
            continue
        old = item[field]
        if type(new) is type(old) and type(new) in (str, int, bool) and new == old:
            continue  # most fields
        if not _agree(field, new, old, unset_port):
            found[field] = (old, new)
    return found


def spelled_out(found: Mapping[str, tuple[object, object]]) -> str:
    """Say what differs: "interval 15 → 5; note (empty) → moved"."""
    return "; ".join(f"{field} {_shown(old)} → {_shown(new)}" for field, (old, new) in found.items())


def _shown(value: object) -> str:
    if value in (None, "", []):
        return "(empty)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text):,} characters)"


def _agree(field: str, new: object, old: object, unset_port: int | None) -> bool:
    match field:
        case "hostname":
            return _host_and_port(new)[0] == _host_and_port(old)[0]
        case "port":
            return (_number(new) or unset_port) == (_number(old) or unset_port)
        case "smtp_hostname" | "pop3_hostname":
            return _endpoint(field, new) == _endpoint(field, old)
        case "email" | "mode":
            return " ".join(_text(new).casefold().split()) == " ".join(_text(old).casefold().split())
        case "name":
            return _name(new) == _name(old)
        case "locations":
            return _ids(new) == _ids(old)
        case "custom_properties":
            return _properties(new) <= _properties(old)
        case _:
            return _same(new, old)


def _same(new: object, old: object) -> bool:
    """Compare values, not spellings: "30" is 30, "" is null, and what the API adds to an object does not count."""
    if isinstance(new, bool) or isinstance(old, bool):
        return _switch(new) == _switch(old)
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return all(key in old and _same(value, old[key]) for key, value in new.items())
    if _is_list(new) and _is_list(old):
        return len(new) == len(old) and all(_same(a, b) for a, b in zip(new, old, strict=True))
    numbers = _number(new), _number(old)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] == numbers[1]
    return _text(new) == _text(old)


def _host_and_port(value: object) -> tuple[str, int | None]:
    text = _text(value)
    try:
        host = parse_host(text)
    except CellError:
        return text.lower(), None
    return host.name, host.port


def _endpoint(field: str, value: object) -> str:
    text = _text(value)
    defaults = _ENDPOINT_DEFAULTS[field]
    plain = next(iter(defaults))
    try:
        host = parse_endpoint(field, text)
    except CellError:
        return text.lower()
    scheme = usual_scheme(host.scheme or plain)
    return f"{scheme}://{host.name}:{host.port or defaults[scheme]}"


def _name(value: object) -> str:
    text = _text(value)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value.strip().replace("\r\n", "\n")
    if value is None:
        return ""
    number = _number(value)
    return f"<{type(value).__name__}>" if number is None and not isinstance(value, bool) else str(value)


def _number(value: object) -> int | float | None:
    """Read a number however it is written, a whole one as int; None for anything else."""
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii() or len(text) > _LONGEST_NUMBER:
            return None
        try:
            value = int(text) if text.isdigit() else float(text)
        except ValueError:
            return None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _LARGEST_NUMBER else value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_NUMBER:
        return value
    return None


def _switch(value: object) -> object:
    text = _text(value).casefold()
    return SWITCH_WORDS.get(text, text)


def _ids(value: object) -> frozenset[object]:
    """Read location numbers from objects or bare numbers; names, regions and order do not count."""
    return frozenset(_identifier(entry.get("id") if isinstance(entry, Mapping) else entry) for entry in _entries(value))


def _properties(value: object) -> frozenset[tuple[object, object]]:
    return frozenset(
        (_identifier(entry.get("id")), _identifier(entry.get("value_id")))
        for entry in _entries(value)
        if isinstance(entry, Mapping)
    )


def _identifier(value: object) -> object:
    number = _number(value)
    return _text(value) if number is None else number


def _entries(value: object) -> Sequence[object]:
    return value if _is_list(value) else ()


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
