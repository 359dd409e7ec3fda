"""Parses the object syntax of Nagios.

In: the text of a configuration file. Out: definitions and settings. The same syntax is used by Core, XI, Naemon,
Icinga 1 and Shinken, in their `objects.cache` and in the main nagios.cfg.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bulkload.errors import InputError

# Alternative names of directives, all of which are in use.
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
_MACRO = re.compile(r"\$\w+\$\s*=")  # $USER1$= in resource.cfg; Shinken allows any name
_SETTING = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.*)$")
_LEADING_DIGITS = re.compile(r"\+?([0-9]+)")
_UNESCAPED_SEMICOLON = re.compile(r"(?<!\\);")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One `define TYPE { … }`, unresolved."""

    type: str
    directives: Mapping[str, str]
    origin: str  # "mail.cfg line 12"

    def get(self, directive: str) -> str:
        """Return the value of a directive, or ""."""
        return self.directives.get(directive, "")

    @property
    def is_registered(self) -> bool:
        """False for a template. Like Nagios, read the digits at the start of `register`."""
        value = self.get("register")
        digits = _LEADING_DIGITS.match(value)
        return not value or (digits is not None and digits[1].strip("0") != "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One `key=value` of nagios.cfg."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayLine:
    """A line outside all definitions."""

    origin: str
    text: str


def parse(name: str, text: str) -> Iterator[Definition | Setting | StrayLine]:
    """Yield the definitions, settings and stray lines of a file in order."""
    object_type = ""
    origin = ""
    directives: dict[str, str] = {}
    for number, line in _logical_lines(text):
        if not object_type:
            opening = _DEFINE.match(line)
            setting = _SETTING.match(line)
            if opening:
                object_type, origin, directives = opening[1].lower(), f"{name} line {number}", {}
                line = opening[2].strip()
            elif setting:
                yield Setting(key=setting[1], value=setting[2].strip())
                continue
            elif not _MACRO.match(line):  # the value may be a password
                yield StrayLine(origin=f"{name} line {number}", text=line)
                continue
        elif _DEFINE.match(line):
            raise InputError(f"{name} line {number} starts a definition before that of {origin} is closed.")
        closes = line.endswith("}") and (line == "}" or line.count("{") < line.count("}"))
        if closes:
            line = line[:-1].strip()
        if line:
            key, _, value = line.replace("\t", " ").partition(" ")
            directives[_canonical(object_type, key)] = value.strip()
        if closes:
            yield Definition(type=object_type, directives=directives, origin=origin)
            object_type = ""
    if object_type:
        raise InputError(f"{origin} starts a definition that is never closed (truncated file?).")


def split_list(value: str) -> list[str]:
    """Split a comma-separated list."""
    return [item.strip() for item in value.split(",") if item.strip()]


def _canonical(object_type: str, key: str) -> str:
    if key.startswith("_"):
        return key.upper()  # macros refer to custom variables in upper case
    key = key.lower()
    return _ALIASES[key] if key in _ALIASED_IN.get(object_type, ()) else key


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the logical lines with their numbers, without comments and empty lines."""
    continued = ""
    first_number = 0
    for number, physical_line in enumerate(text.split("\n"), 1):
        line = physical_line.strip()
        if not continued:
            first_number = number
        if line.endswith("\\") and not line.endswith("\\\\") and not line.startswith(("#", ";")):
            continued += line[:-1] + " "
            continue
        line, continued = continued + line, ""
        if line.startswith(("#", ";")):
            continue
        line = _UNESCAPED_SEMICOLON.split(line, maxsplit=1)[0].replace("\\;", ";").strip()
        if line:
            yield first_number, line
    if continued.strip():
        yield first_number, continued.strip()
