"""Parse the text of cells: numbers, switches, choices, lists and text.

In: one trimmed, non-empty cell. Out: a Python value, or a `CellError` that says what is allowed. `MonitorConfig` checks
ranges and lengths.
"""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NoReturn

from bulkload.monitors import corrections
from bulkload.monitors.fields import FIELDS, MODES
from bulkload.monitors.invisible import without_invisible
from bulkload.monitors.other_languages import SWITCHES as OTHER_SWITCHES
from bulkload.monitors.result_columns import normalise
from bulkload.monitors.spoiled_texts import is_error
from bulkload.protocols import MONITOR_TYPES, ROUND_TRIP, SCHEMES

SHOWN_CHARACTERS = 60  # of a value quoted in a message
NESTING_LIMIT = 100  # opening brackets in an api: cell

_TYPES: Mapping[str, tuple[str, int | None]] = {  # normalised spelling → API type and implied port
    **SCHEMES,
    **{normalise(name): (name, None) for name in MONITOR_TYPES},
    "imap4": ("email-imap", None),
    "emailpop3": ("email-pop", None),
    "roundtrip": (ROUND_TRIP, None),
}
SWITCH_WORDS: Mapping[str, bool] = {  # in lower case
    **dict.fromkeys(("true", "yes", "y", "on", "1", "enabled"), True),
    **dict.fromkeys(("false", "no", "n", "off", "0", "disabled"), False),
    **OTHER_SWITCHES,
}
_MODES = {normalise(mode): mode for mode in MODES} | {"sla": MODES[-1], "multipop": MODES[-1]}

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
}
_UNIT_SECONDS = {"interval": 60, "timeout": 1}

# 1.000 can also mean a thousand, so it is not read as 1
_WHOLE = re.compile(r"(?![0-9]{1,3}\.000$)([0-9]{1,18})(?:\.0{1,18})?")
# More digits than a person types or a spreadsheet program shows: a number as a program stores it
_BINARY_FRACTION = re.compile(r"(?=[0-9.]{17,25}$)[0-9]{1,9}\.[0-9]+")
_UNIT = re.compile(r"([0-9]{1,9})\s*([A-Za-z]{1,9})\.?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[,.'’\s][0-9]{3})+")
_DECIMAL = re.compile(r"[0-9]+[.,][0-9]+")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_UNPRINTABLE = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff"
_CONTROL = re.compile(f"[\t\n\r{_UNPRINTABLE}]")
_CONTROL_IN_NOTES = re.compile(f"[{_UNPRINTABLE}]")
_PLAN_WITH_COUNTS = re.compile(r"(.+?)\s*:\s*[0-9]+\s*:\s*[0-9]+")
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile(r"[\w.:/@+*#%=;,-]+")


class CellError(ValueError):
    """The text of a cell is invalid; `allowed` is the second half of the message "port is 99999; …".

    `suggestion` is a text for the cell that is probably meant; `suggestions` decides whether it is shown.
    """

    def __init__(self, reason: str, allowed: str, *, shown: str | None = None, suggestion: str = "") -> None:
        super().__init__(reason, allowed)
        self.reason = reason
        self.allowed = allowed
        self.suggestion = suggestion
        self._shown = shown  # instead of a cell text that contains a password

    def safe_text(self, text: str) -> str:
        """The text of the cell, or what may be shown of it if it contains a password."""
        return text if self._shown is None else self._shown


def show(text: str) -> str:
    """Quote a value in a message: shortened, with unprintable and invisible characters escaped."""
    cut = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    if cut.isascii() and _PLAIN.fullmatch(cut):
        return cut
    return '"' + "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in cut) + '"'


@lru_cache(maxsize=4096)
def whole_number(field: str, text: str) -> int:
    """Read a whole number in ASCII digits; 993.0 is 993."""
    if (number := _whole_number(text)) is None:
        _raise_number_error(field, text)
    return number


@lru_cache(maxsize=4096)
def identifier(field: str, text: str) -> int:
    """Read an ID: a whole number that is not 0. IDs have no leading zeros, so 007 is part of something else."""
    number = whole_number(field, text)
    if text.startswith("0"):
        raise CellError("range" if not number else "zeros", f"{FIELDS[field].rule}, and its first digit is not 0")
    return number


@lru_cache(maxsize=256)
def monitor_type(text: str) -> tuple[str, int | None]:
    """Read a type: its name in the API, and the port that the spelling implies."""
    try:
        return _TYPES[normalise(text)]
    except KeyError:
        near = corrections.monitor_type(text, FIELDS["type"].choices)
        raise CellError("unknown", FIELDS["type"].rule, suggestion=near) from None


@lru_cache(maxsize=256)
def switch(field: str, text: str) -> bool:
    """Read yes or no."""
    try:
        return SWITCH_WORDS[text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()]
    except KeyError:
        raise CellError("switch", FIELDS[field].rule, suggestion=corrections.switch(text)) from None


@lru_cache(maxsize=256)
def mode(text: str) -> str:
    """Read a monitoring mode in AlertSite's own spelling."""
    try:
        return _MODES[normalise(text)]
    except KeyError:
        raise CellError("unknown", FIELDS["mode"].rule, suggestion=corrections.mode(text, MODES)) from None


@lru_cache(maxsize=1024)
def locations(text: str) -> tuple[int, ...]:
    """Read 10;20 or 10,20."""
    rule = FIELDS["locations"].rule
    location_ids = []
    for part in _parts(text):
        number = _whole_number(part)
        if number is None or part.startswith("0"):
            raise CellError("number", rule, suggestion=corrections.locations(text))
        location_ids.append(number)
    if len(set(location_ids)) < len(location_ids):
        once = ";".join(corrections.unique(map(str, location_ids)))
        raise CellError("repeated", "list each location only once", suggestion=once)
    return tuple(location_ids)


def locations_before(text: str, *, is_number: bool) -> tuple[str, bool] | None:
    """The list that a spreadsheet program may have read as one number, and whether that is likely.

    Typed in a cell, 10,20 becomes 1020, or 10.2 where the comma separates decimals, which a CSV file shows as 10,2.
    """
    if not is_number:
        match = re.fullmatch(r"([1-9][0-9]*),([1-9])", text)
        return (f"{match[1]};{match[2]}0", False) if match else None
    if (parts := _split_ids(text)) is None or len(parts) < 2:  # a single number is no list
        return None
    return ";".join(parts), len({len(part) for part in parts}) == 1  # a private location has a number of 5 digits


@lru_cache(maxsize=1024)
def custom_properties(text: str) -> tuple[tuple[int, int], ...]:
    """Read 28=74;30=81."""
    pairs = []
    for part in _parts(text):
        match = re.fullmatch(r"([1-9][0-9]{0,17})\s*=\s*([1-9][0-9]{0,17})", part)
        if match is None:
            raise CellError("form", FIELDS["custom_properties"].rule, suggestion=corrections.custom_properties(text))
        pairs.append((int(match[1]), int(match[2])))
    if len({property_id for property_id, _ in pairs}) < len(pairs):
        once = ";".join(corrections.unique(f"{property_id}={value}" for property_id, value in pairs))
        raise CellError("repeated", "list each property only once", suggestion=once)
    return tuple(pairs)


def line(field: str, text: str) -> str:
    """Read text without control characters."""
    if _CONTROL.search(text):
        raise CellError("control", _control_character_rule(field, text), suggestion=corrections.one_line(text))
    return _not_error(text)


def lines(field: str, text: str) -> str:
    """Read text that may contain line breaks and tabs."""
    if _CONTROL_IN_NOTES.search(text):
        raise CellError("control", FIELDS[field].rule)
    return _not_error(text)


@lru_cache(maxsize=1024)
def plan_code(text: str) -> str:
    """Read a billing plan code without the counts that AlertSite displays after it."""
    if match := _PLAN_WITH_COUNTS.fullmatch(text):
        raise CellError("counts", f"write the plan code without the counts after it: {match[1]}", suggestion=match[1])
    return line("billing_plancode", text)


@lru_cache(maxsize=1024)
def ipv4(text: str) -> str:
    """Read an IPv4 address."""
    try:
        return str(ipaddress.IPv4Address(text)) if text.isascii() else _raise_ipv4_error(text)
    except ipaddress.AddressValueError:
        _raise_ipv4_error(text)


@lru_cache(maxsize=1024)
def email(text: str) -> str:
    """Read an e-mail address, without a DNS lookup."""
    from email_validator import EmailNotValidError, validate_email

    rule = FIELDS["email"].rule
    if len(text) > 254 or _CONTROL.search(text):
        raise CellError("form", rule)
    try:
        address = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        if len(re.findall(r"@", text)) > 1:
            raise CellError("several", "only one e-mail address is allowed") from None
        raise CellError("form", rule, suggestion=corrections.email(text)) from None
    return address.ascii_email or address.normalized


def json_or_text(text: str) -> object:
    """Read an api: cell: the JSON value if the text is JSON, else the text itself."""
    if text.count("[") + text.count("{") > NESTING_LIMIT:
        raise CellError("nesting", f"at most {NESTING_LIMIT} opening brackets are allowed")
    if _CONTROL_IN_NOTES.search(text):
        raise CellError("control", "control characters are not allowed")
    try:
        value = json.loads(text, parse_constant=_not_json, parse_float=_finite)
    except ValueError:
        return _not_error(text)
    if "\\u" in text and _HALF_PAIR.search(json.dumps(value, ensure_ascii=False)):
        raise CellError("surrogate", "an escape such as \\ud83d is half of a character; both halves are needed")
    return value


def _not_error(text: str) -> str:
    if is_error(text):
        raise CellError("error", "a spreadsheet program shows this error in place of a value, so enter the value")
    return text


def _whole_number(text: str) -> int | None:
    """Return a whole number; 29.999999999999996 is 30, which is how a spreadsheet program shows its stored value."""
    if match := _WHOLE.fullmatch(text):
        return int(match[1])
    if _BINARY_FRACTION.fullmatch(text) and (rounded := float(f"{float(text):.15g}")).is_integer():
        return int(rounded)
    return None


def _raise_number_error(field: str, text: str) -> NoReturn:
    rule = FIELDS[field].rule
    is_port = field == "port"
    if _SCIENTIFIC.fullmatch(text):
        raise CellError(
            "scientific",
            f"{rule}; the spreadsheet program may have rounded it, so format the column as text and enter all digits",
        )
    if _THOUSANDS.fullmatch(text):
        plain = corrections.without_thousands(text, is_port=is_port)
        raise CellError("thousands", f"{rule}, written without thousands separators", suggestion=plain)
    if _DECIMAL.fullmatch(text):
        raise CellError("decimal", f"{rule}, written without decimals")
    match = _UNIT.fullmatch(text)
    if match and field in _UNIT_SECONDS:
        amount, rest = divmod(int(match[1]) * _SECONDS.get(match[2].lower(), 0), _UNIT_SECONDS[field])
        example = str(amount) if amount and not rest else ""
        allowed = f"{rule}, written without a unit" + (f": {example}" if example else "")
        raise CellError("unit", allowed, suggestion=example)
    plain = corrections.number(text, is_port=is_port)
    if text.isdecimal() and not text.isascii():
        raise CellError("digits", f"{rule}, written with the digits 0 to 9", suggestion=plain)
    raise CellError("range" if text.isdecimal() else "number", rule, suggestion=plain)


def _is_shown(character: str) -> bool:
    return character.isprintable() and without_invisible(character) == character


def _control_character_rule(field: str, text: str) -> str:
    if "\n" in text or "\r" in text:
        return f"{FIELDS[field].rule}; remove the line break"
    return FIELDS[field].rule


def _split_ids(digits: str) -> list[str] | None:
    """Split digits into numbers of two or three digits, if none of them begins with 0."""
    if not digits:
        return []
    for length in (2, 3):
        if len(digits) >= length and digits[0] != "0" and (rest := _split_ids(digits[length:])) is not None:
            return [digits[:length], *rest]
    return None


def _parts(text: str) -> list[str]:
    parts = [part.strip() for part in re.split("[;,]", text)]
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def _raise_ipv4_error(text: str) -> NoReturn:
    raise CellError("form", FIELDS["ipv4"].rule, suggestion=corrections.ipv4(text))


def _not_json(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are not JSON; Python accepts them


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(text)
    return number
