"""Parses durations in the notations of other tools.

In: text. Out: seconds, or None if the text is not a valid duration. The notations differ: Prometheus has no bare
numbers, Go has no days, Zabbix reads a bare number as seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_PROMETHEUS = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_PROMETHEUS_UNITS = (365 * 86400.0, 7 * 86400.0, 86400.0, 3600.0, 60.0, 1.0, 0.001)  # seconds, in that order

_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_ONE_UNIT = re.compile(r"(\d+)([smhdw]?)")
_UNITS: Mapping[str, float] = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

MAX_CHARS = 40  # of a duration; longer text is invalid


def prometheus_seconds(text: str) -> float | None:
    """Parse `1m`, `1h30m` or `500ms`; the units must be in descending order."""
    text = text.strip()
    match = _PROMETHEUS.fullmatch(text) if text.isascii() and 0 < len(text) <= MAX_CHARS else None
    if match is None:
        return 0.0 if text == "0" else None
    return sum(int(part) * unit for part, unit in zip(match.groups(), _PROMETHEUS_UNITS, strict=True) if part)


def go_seconds(text: str) -> float | None:
    """Parse a Go duration such as `1h30m` or `1.5s`."""
    text = text.strip()
    if text == "0":
        return 0.0
    if not 0 < len(text) <= MAX_CHARS or not re.fullmatch(rf"(?a:(?:{_GO_PART.pattern})+)", text):
        return None
    return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(text))


def zabbix_seconds(text: str) -> float | None:
    """Parse a Zabbix delay: `90`, `30s`, `1m`, or `30s;wd1-5,9:00-18:00/5m`, of which the first part is used."""
    return suffixed_seconds(text.partition(";")[0])


def suffixed_seconds(text: str) -> float | None:
    """Parse one number with one unit; a bare number is in seconds."""
    text = text.strip()
    match = _ONE_UNIT.fullmatch(text) if text.isascii() and len(text) <= MAX_CHARS else None
    return int(match[1]) * _UNITS[match[2]] if match else None
