"""Invisible characters, which come into a sheet with copied text: zero-width spaces, byte order marks, direction marks.

In: a text. Out: the text without them, or their names. They are the characters that Unicode lets programs ignore where
they cannot be displayed (Default_Ignorable_Code_Point).
"""

from __future__ import annotations

import re
import unicodedata

INVISIBLE = (  # for a regular expression, between brackets
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_VISIBLE = re.compile(f"[^\\s{INVISIBLE}]")
_UNUSUAL_BLANK = re.compile("[\u00a0\u2000-\u200a\u202f\u205f]")  # displayed like a space, and copied from web pages
_JOINERS = "\u200c\u200d"  # some languages cannot be written without them, so they may be part of a host name
_INVISIBLE_IN_HOSTS = re.compile(f"(?![{_JOINERS}])[{INVISIBLE}]")
_EMOJI_STYLE = re.compile("(?<=[^\x00-\x7f])[\ufe0e\ufe0f]|(?<=[0-9#*])\ufe0f(?=\u20e3)")  # ☎️ and 1️⃣


def has_visible(text: str) -> bool:
    """True if a text has more than white space and invisible characters."""
    return _VISIBLE.search(text) is not None


def without_invisible(text: str) -> str:
    """Remove all invisible characters."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def without_stray(text: str) -> str:
    """Remove invisible characters that cannot belong to an international host name or address."""
    cleaned = without_invisible(text)
    return cleaned if cleaned.isascii() else _INVISIBLE_IN_HOSTS.sub("", text)


def has_joiners(text: str) -> bool:
    """True if a text has invisible characters that may belong there: in some languages, and in emoji."""
    return any(joiner in text for joiner in _JOINERS)


def names_of_invisible(text: str) -> list[str]:
    """Name each invisible character of a text once: "U+200B ZERO WIDTH SPACE"."""
    if text.isascii():
        return []
    return _named(_INVISIBLE.findall(_EMOJI_STYLE.sub("", text)))


def names_of_unusual_spaces(text: str) -> list[str]:
    """Name each blank of a text that looks like a space and is none: "U+00A0 NO-BREAK SPACE"."""
    return [] if text.isascii() else _named(_UNUSUAL_BLANK.findall(text))


def with_usual_spaces(text: str) -> str:
    """Replace each blank that looks like a space by a space."""
    return _UNUSUAL_BLANK.sub(" ", text)


def _named(found: list[str]) -> list[str]:
    return [f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip() for character in sorted(set(found))]
