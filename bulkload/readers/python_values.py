"""Turn a value of Python, pandas or NumPy into the text of a cell, as a person would type it.

In: one value, and the field that its column is sent as. Out: a text, or an `UnusableValue` that says what is wrong.
`None`, NaN, NaT and `<NA>` are empty cells; a text is never a missing value, whatever it says. pandas and NumPy are not
imported: their values are recognised by what they are.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

from bulkload.files.printable import encodable
from bulkload.model import NumberText
from bulkload.monitors.header import API_PREFIX
from bulkload.readers.cell_texts import GROUPED_FROM, cell_text, is_inexact
from bulkload.readers.table import shorten

LARGEST = 10**30
_LISTS = {"locations": "a list of locations", "custom_properties": "pairs of property and value"}  # field → what it is


class UnusableValue(Exception):
    """A value that no cell can hold: `reason` is the second part of an issue's code, `text` what can be shown of it."""

    def __init__(self, reason: str, message: str, text: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.text = text


def value_text(value: Any, field: str | None) -> str:
    """The text of a value. Without a field, the column is not sent, so every value has some text.

    Raises `UnusableValue`.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _encodable(value)
    if kind is int:
        return _whole_text(value)
    if kind is bool or kind is datetime.date or kind is datetime.datetime:
        return cell_text(value)
    if kind is float:
        return _float_text(value)
    if is_missing(value):
        return ""
    try:
        return _rare_text(value, field or "")
    except UnusableValue as error:
        if field is None and error.reason == "type":
            return _unsent_text(value)
        raise


def is_missing(value: object) -> bool:
    """True for `None`, NaN, NaT and `<NA>`."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except Exception:  # an array; a signalling NaN
        return isinstance(value, Decimal)


def _rare_text(value: Any, field: str) -> str:
    """The text of a value that is none of Python's usual types."""
    if isinstance(value, str):
        return value_text(str.__str__(value), field)
    if isinstance(value, bool | int | float):  # of a subclass
        base = next(base for base in (bool, int, float) if isinstance(value, base))
        return value_text(base(value), field)
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):  # pandas has subclasses of them
        return cell_text(value)
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address | uuid.UUID):
        return str(value)
    if is_numpy(value) and type(plain := value.tolist()) is not type(value):  # a scalar or an array
        return value_text(plain, field)
    if field.startswith(API_PREFIX) and isinstance(value, list | tuple | Mapping):
        return _json_text(value)
    if field == "locations" and isinstance(value, list | tuple):
        return ";".join(_location(entry, value) for entry in value)
    if field == "custom_properties" and isinstance(value, list | tuple | Mapping):
        pairs = value.items() if isinstance(value, Mapping) else value
        return ";".join("=".join(_pair(entry, value)) for entry in pairs)
    raise _refused(value)


def _whole_text(value: int) -> str:
    if abs(value) > LARGEST:
        raise UnusableValue("range", "The number has more than 30 digits.", "a very large number")
    return str(value) if value < GROUPED_FROM else NumberText(value)


def _float_text(value: float) -> str:
    if value != value:
        return ""
    if value in (float("inf"), float("-inf")):
        raise UnusableValue("infinite", f"The number is {value}; only finite numbers are allowed.", str(value))
    text = cell_text(value)
    if is_inexact(value):
        message = (
            f"The number {text} has more digits than a float keeps (15), so some may be lost; give it as a whole number"
            " or as text."
        )
        raise UnusableValue("precision", message, text)
    return text


def _decimal_text(value: Decimal) -> str:
    if value.is_nan():
        return ""
    if not value.is_finite():
        raise UnusableValue("infinite", f"The number is {value}; only finite numbers are allowed.", str(value))
    return _whole_text(int(value)) if value == value.to_integral_value() else str(value)


def _location(entry: Any, whole: object) -> str:
    """The number of a location, also as the API writes it: {"id": 10}."""
    if isinstance(entry, Mapping):
        if entry.keys() != {"id"}:
            raise _refused(whole)
        entry = entry["id"]
    return _part(entry, whole)


def _pair(entry: Any, whole: object) -> tuple[str, str]:
    """The numbers of a property and its value, also as the API writes them: {"id": 28, "value_id": 74}."""
    if isinstance(entry, Mapping):
        parts: Sequence[Any] = (entry["id"], entry["value_id"]) if entry.keys() == {"id", "value_id"} else ()
    else:
        parts = entry if isinstance(entry, list | tuple) else ()
    if len(parts) != 2:
        raise _refused(whole)
    return _part(parts[0], whole), _part(parts[1], whole)


def _part(entry: Any, whole: object) -> str:
    """A number in a list; a text in it must not bring separators of its own."""
    if is_numpy(entry):
        entry = entry.tolist()
    if isinstance(entry, bool) or not isinstance(entry, int | float | str):
        raise _refused(whole)
    text = value_text(entry, "").strip()
    if not text or any(separator in text for separator in ";,="):
        raise _refused(whole)
    return text


def _json_text(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise _refused(value) from None
    return _encodable(text)


def _encodable(text: str) -> str:
    """A text without half surrogate pairs, which neither a file nor a request can contain."""
    try:
        text.encode()
    except UnicodeEncodeError:
        message = "The text contains half of a surrogate pair, which is no character; enter the text again."
        raise UnusableValue("surrogate", message, encodable(text)) from None
    return text


def _unsent_text(value: object) -> str:
    """What can be shown of a value whose column is not sent, or not yet: a person may still say what the column is."""
    if isinstance(value, list | tuple):
        with suppress(UnusableValue):
            return ";".join(_location(entry, value) for entry in value)
    if isinstance(value, list | tuple | Mapping):
        with suppress(UnusableValue):
            return _json_text(value)
    return shown_text(value)


def shown_text(value: object) -> str:
    """A text for any value, whatever its own method does."""
    try:
        return encodable(str(value))
    except Exception:  # of a class that nobody knows
        return f"<{type(value).__name__}>"


def _refused(value: object) -> UnusableValue:
    allowed = ", ".join(f"for {field} {what}" for field, what in _LISTS.items())
    message = (
        f"The value is of the type {type(value).__name__}, which is not allowed here; give a text, a number, True or"
        f" False ({allowed})."
    )
    return UnusableValue("type", message, shorten(shown_text(value)))


def is_numpy(value: object) -> bool:
    """True for a number or an array of NumPy."""
    return type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist")
