"""Cell text to plain values: numbers, switches, choices, lists and text.

in: one trimmed, non-empty cell    out: a native value, or a `CellError` that says what is allowed

Ranges and lengths are not looked at here; they are declared once, in `MonitorConfig`.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NoReturn

from bulkload.monitors.fields import FIELDS, MODES
from bulkload.monitors.result_columns import normalise
from bulkload.protocols import MONITOR_TYPES, ROUND_TRIP, SCHEMES

SHOWN_CHARACTERS = 60  # of a found value in a message
NESTING_LIMIT = 100  # brackets in an api: cell

_TYPES: Mapping[str, tuple[str, int | None]] = {  # normalised spelling → API type and the port that the word implies
    **SCHEMES,
    **{normalise(name): (name, None) for name in MONITOR_TYPES},
    "imap4": ("email-imap", None),
    "emailpop3": ("email-pop", None),
    "roundtrip": (ROUND_TRIP, None),
}
SWITCH_WORDS: Mapping[str, bool] = {  # in lower case
    **dict.fromkeys(("true", "yes", "y", "on", "1", "enabled"), True),
    **dict.fromkeys(("false", "no", "n", "off", "0", "disabled"), False),
}
_MODES = {normalise(mode): mode for mode in MODES} | {"sla": MODES[-1], "multipop": MODES[-1]}

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
}
_UNIT_SECONDS = {"interval": 60, "timeout": 1}

# three decimal zeros would as well be a thousand, so 1.000 is not taken for 1
_WHOLE = re.compile(r"(?![0-9]{1,3}\.000$)([0-9]{1,18})(?:\.0{1,18})?")
_UNIT = re.compile(r"([0-9]{1,9})\s*([A-Za-z]{1,9})\.?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[,.'’\s][0-9]{3})+")
_DECIMAL = re.compile(r"[0-9]+[.,][0-9]+")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_UNPRINTABLE = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff"
_CONTROL = re.compile(f"[\t\n\r{_UNPRINTABLE}]")
_CONTROL_IN_NOTES = re.compile(f"[{_UNPRINTABLE}]")
_PLAN_WITH_COUNTS = re.compile(r"(.+?)\s*:\s*[0-9]+\s*:\s*[0-9]+")
_PLAIN = re.compile(r"[\w.:/@+*#%=;,-]+")


class CellError(ValueError):
    """A cell is wrong; `allowed` completes the sentence "port is 99999; …"."""

    def __init__(self, reason: str, allowed: str, *, shown: str | None = None) -> None:
        super().__init__(reason, allowed)
        self.reason = reason
        self.allowed = allowed
        self._instead = shown  # of the cell, when that must not be repeated

    def found(self, text: str) -> str:
        """Return the part of the cell that may be repeated to people and machines."""
        return text if self._instead is None else self._instead


def show(text: str) -> str:
    """Put a found value in a form that is safe and short enough for a sentence."""
    cut = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    if cut.isascii() and _PLAIN.fullmatch(cut):
        return cut
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + '"'


@lru_cache(maxsize=4096)
def whole_number(field: str, text: str) -> int:
    """Read a whole number in ASCII digits; 993.0 is 993."""
    found = _WHOLE.fullmatch(text)
    if found is None:
        _explain_number(field, text)
    return int(found[1])


@lru_cache(maxsize=256)
def monitor_type(text: str) -> tuple[str, int | None]:
    """Read a type as the API names it, with the port that the word implies."""
    try:
        return _TYPES[normalise(text)]
    except KeyError:
        raise CellError("unknown", FIELDS["type"].rule) from None


@lru_cache(maxsize=256)
def switch(field: str, text: str) -> bool:
    """Read yes or no."""
    try:
        return SWITCH_WORDS[text.casefold()]
    except KeyError:
        raise CellError("switch", FIELDS[field].rule) from None


@lru_cache(maxsize=256)
def mode(text: str) -> str:
    """Read a monitoring mode in AlertSite's own spelling."""
    try:
        return _MODES[normalise(text)]
    except KeyError:
        raise CellError("unknown", FIELDS["mode"].rule) from None


@lru_cache(maxsize=1024)
def locations(text: str) -> tuple[int, ...]:
    """Read 10;20 or 10,20."""
    rule = FIELDS["locations"].rule
    found = []
    for part in _parts(text):
        number = _WHOLE.fullmatch(part)
        if number is None or number[1].startswith("0"):
            raise CellError("number", rule)
        found.append(int(number[1]))
    if len(set(found)) < len(found):
        raise CellError("repeated", "each location is named once")
    return tuple(found)


@lru_cache(maxsize=1024)
def custom_properties(text: str) -> tuple[tuple[int, int], ...]:
    """Read 28=74;30=81."""
    pairs = []
    for part in _parts(text):
        found = re.fullmatch(r"([1-9][0-9]{0,17})\s*=\s*([1-9][0-9]{0,17})", part)
        if found is None:
            raise CellError("form", FIELDS["custom_properties"].rule)
        pairs.append((int(found[1]), int(found[2])))
    if len({number for number, _ in pairs}) < len(pairs):
        raise CellError("repeated", "each property is given one value")
    return tuple(pairs)


def line(field: str, text: str) -> str:
    """Read text without control characters."""
    if _CONTROL.search(text):
        raise CellError("control", _without_control(field, text))
    return text


def lines(field: str, text: str) -> str:
    """Read text that may have several lines."""
    if _CONTROL_IN_NOTES.search(text):
        raise CellError("control", FIELDS[field].rule)
    return text


@lru_cache(maxsize=1024)
def plan_code(text: str) -> str:
    """Read a billing plan code without the counts that AlertSite shows behind it."""
    if found := _PLAN_WITH_COUNTS.fullmatch(text):
        raise CellError("counts", f"a plan code comes without the counts behind it, here {found[1]}")
    return line("billing_plancode", text)


@lru_cache(maxsize=1024)
def ipv4(text: str) -> str:
    """Read an IPv4 address."""
    try:
        return str(ipaddress.IPv4Address(text)) if text.isascii() else _no_ipv4()
    except ValueError:
        _no_ipv4()


@lru_cache(maxsize=1024)
def email(text: str) -> str:
    """Read an e-mail address, without asking the DNS."""
    from email_validator import EmailNotValidError, validate_email

    rule = FIELDS["email"].rule
    if len(text) > 254 or _CONTROL.search(text):
        raise CellError("form", rule)
    try:
        found = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        if len(re.findall(r"@", text)) > 1:
            raise CellError("several", "one mailbox per row is allowed") from None
        raise CellError("form", rule) from None
    return found.ascii_email or found.normalized


def json_or_text(text: str) -> object:
    """Read a pass-through cell: JSON if it parses as JSON, else the text itself."""
    if text.count("[") + text.count("{") > NESTING_LIMIT:
        raise CellError("nesting", f"at most {NESTING_LIMIT} brackets are allowed")
    if _CONTROL_IN_NOTES.search(text):
        raise CellError("control", "control characters are not allowed")
    try:
        return json.loads(text, parse_constant=_not_json, parse_float=_finite)
    except ValueError:
        return text


def _explain_number(field: str, text: str) -> NoReturn:
    rule = FIELDS[field].rule
    if _SCIENTIFIC.fullmatch(text):
        raise CellError(
            "scientific",
            f"{rule}; the spreadsheet program has rounded it, so format the column as text and enter all digits",
        )
    if _THOUSANDS.fullmatch(text):
        raise CellError("thousands", f"{rule}, written without thousands separators")
    if _DECIMAL.fullmatch(text):
        raise CellError("decimal", f"{rule}, written without decimals")
    found = _UNIT.fullmatch(text)
    if found and field in _UNIT_SECONDS:
        meant, rest = divmod(int(found[1]) * _SECONDS.get(found[2].lower(), 0), _UNIT_SECONDS[field])
        here = f", here {meant}" if meant and not rest else ""
        raise CellError("unit", f"{rule}, written without a unit{here}")
    if text.isdecimal() and not text.isascii():
        raise CellError("digits", f"{rule}, in the digits 0 to 9")
    raise CellError("range" if text.isdecimal() else "number", rule)


def _without_control(field: str, text: str) -> str:
    if "\n" in text or "\r" in text:
        return f"{FIELDS[field].rule}; here is a line break"
    return FIELDS[field].rule


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in re.split("[;,]", text)]
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def _no_ipv4() -> NoReturn:
    raise CellError("form", FIELDS["ipv4"].rule)


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are Python's, not JSON's


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number
