"""Text from outside, made fit to be looked at.

In: any text, also with control characters and halves of surrogate pairs. Out: text that a terminal, a page and
an XML file can carry, with a visible sign where something could not be shown.
"""

from __future__ import annotations

import re
import unicodedata

_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CONTROL_PICTURES = 0x2400  # U+2400 shows NUL, U+2401 shows SOH, and so on
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Replace what cannot be shown by a sign for it; line breaks and tabs stay."""
    return _UNSHOWABLE.sub(_sign, text)


def one_line(text: str) -> str:
    """Make text printable and put it on a single line."""
    return " ".join(printable(text).split())


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs, the only characters that UTF-8 cannot carry; all else stays."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def display_width(text: str) -> int:
    """Count how many columns the longest line of a text takes; a Chinese or Japanese character takes two."""
    longest = max(text.splitlines(), key=len, default="")
    if longest.isascii():
        return len(longest)
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in longest)


def _sign(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else _REPLACEMENT
