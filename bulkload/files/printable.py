"""Make text from outside safe to display.

In: any text, including control characters and lone surrogates. Out: text that a terminal, an HTML page and an XML file
can hold, with a visible character in place of each one that cannot be displayed.
"""

from __future__ import annotations

import re
import unicodedata

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTROL_PICTURES = 0x2400  # U+2400 is the picture of NUL, U+2401 of SOH, and so on
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Replace characters that cannot be displayed by visible ones; line feeds and tabs stay."""
    return _UNPRINTABLE.sub(_visible, text)


def one_line(text: str) -> str:
    """Make text printable and put it on a single line."""
    return " ".join(printable(text).split())


def printable_line(text: str) -> str:
    """Make text printable with a space in place of each line break; other spaces stay, unlike with `one_line`."""
    return " ".join(printable(text).splitlines())


def encodable(text: str) -> str:
    """Replace lone surrogates, the only characters that UTF-8 cannot encode."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def display_width(text: str) -> int:
    """Return the width of a text's longest line in columns; a Chinese or Japanese character takes two."""
    longest = max(text.splitlines(), key=len, default="")
    if longest.isascii():
        return len(longest)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in longest)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else _REPLACEMENT
