"""The Nagios object grammar: the text of a configuration file goes in, definitions and settings come out.

The same grammar serves Core, XI, Naemon, Icinga 1 and Shinken, their `objects.cache`, and the main nagios.cfg.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bulkload.errors import InputError

# What one object calls by several names, all of which are met in the field.
_ALIASES = {
    "host": "host_name",
    "hosts": "host_name",
    "host_names": "host_name",
    "hostgroup": "hostgroup_name",
    "hostgroups": "hostgroup_name",
    "hostgroup_names": "hostgroup_name",
    "description": "service_description",
    "service_groups": "servicegroups",
    "normal_check_interval": "check_interval",
    "host_groups": "hostgroups",
}
_ALIASED_IN = {
    "service": frozenset(_ALIASES) - {"host_groups"},
    "host": frozenset({"host_groups", "normal_check_interval"}),
}

_DEFINE = re.compile(r"define\s+([A-Za-z_]+)\s*\{(.*)$")
_USER_MACRO = re.compile(r"\$USER\d+\$\s*=")
_SETTING = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.*)$")
_UNESCAPED_SEMICOLON = re.compile(r"(?<!\\);")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One `define TYPE { … }`, as written."""

    type: str
    directives: Mapping[str, str]
    place: str  # "mail.cfg line 12"

    def get(self, directive: str) -> str:
        """The value of a directive, empty when it is not there."""
        return self.directives.get(directive, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One `key=value` of nagios.cfg."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A line that belongs to no definition."""

    place: str
    text: str


def parse(name: str, text: str) -> Iterator[Definition | Setting | Stray]:
    """Everything a file says, in its order."""
    kind = ""
    place = ""
    directives: dict[str, str] = {}
    for number, line in _logical_lines(text):
        if not kind:
            opening = _DEFINE.match(line)
            setting = _SETTING.match(line)
            if opening:
                kind, place, directives = opening[1].lower(), f"{name} line {number}", {}
                line = opening[2].strip()
            elif setting:
                yield Setting(key=setting[1], value=setting[2].strip())
                continue
            elif not _USER_MACRO.match(line):  # resource.cfg: what stands there may be a password
                yield Stray(place=f"{name} line {number}", text=line)
                continue
        elif _DEFINE.match(line):
            raise InputError(f"{name} line {number} begins a definition before the one of {place} is closed.")
        closes = line.endswith("}") and (line == "}" or line.count("{") < line.count("}"))
        if closes:
            line = line[:-1].strip()
        if line:
            key, _, value = line.replace("\t", " ").partition(" ")
            directives[_plain(kind, key)] = value.strip()
        if closes:
            yield Definition(type=kind, directives=directives, place=place)
            kind = ""
    if kind:
        raise InputError(f"{place} begins a definition that is never closed (is the file cut off?).")


def names(value: str) -> list[str]:
    """The items of a comma separated list."""
    return [item.strip() for item in value.split(",") if item.strip()]


def _plain(kind: str, key: str) -> str:
    if key.startswith("_"):
        return key.upper()  # custom variables are called in capitals
    key = key.lower()
    return _ALIASES[key] if key in _ALIASED_IN.get(kind, ()) else key


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments and blanks, continued ones joined."""
    joined = ""
    first = 0
    for number, physical in enumerate(text.split("\n"), 1):
        line = physical.strip()
        if not joined:
            first = number
        if line.endswith("\\") and not line.endswith("\\\\") and not line.startswith(("#", ";")):
            joined += line[:-1] + " "
            continue
        line, joined = joined + line, ""
        if line.startswith(("#", ";")):
            continue
        line = _UNESCAPED_SEMICOLON.split(line, maxsplit=1)[0].replace("\\;", ";").strip()
        if line:
            yield first, line
    if joined.strip():
        yield first, joined.strip()
