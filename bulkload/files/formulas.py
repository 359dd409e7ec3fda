"""Protect CSV cells from being read as formulas, reversibly.

In: the text of one cell. Out: the text to write (`neutralise`), or the original text (`restore`).

A program that splits the file at another delimiter sees cells of its own, also inside one of ours and inside its
quotes. So a cell may begin at the start of the text and after each ``, ; tab |`` or line break in it. It is dangerous
if it starts with one of ``= + - @``, their full-width forms, a tab or a carriage return, also after spaces, quotes or
apostrophes. It gets a leading apostrophe, whether or not it has some already, so that removing one always restores the
original.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_TRIGGERS = "=+\\-@＝＋－＠"
_SEPARATORS = "[,;|\t\r\n]"
_BEFORE = r"(?:[^\S\t\r\n]|[\"'])*"  # spaces, quotes and apostrophes
# A line break of two characters begins no cell, but a text may start with one
_START = rf"{_BEFORE}[{_TRIGGERS}\t\r]"
_INNER = rf"{_BEFORE}(?:[{_TRIGGERS}\t]|\r(?!\n))"
_DANGEROUS = re.compile(rf"\A(?={_START})|(?<={_SEPARATORS})(?={_INNER})")
_MARKED = re.compile(rf"\A'(?={_START})|(?<={_SEPARATORS})'(?={_INNER})")

# The same in quick tests, for the many cells that are harmless
_has_trigger = re.compile(rf"[{_TRIGGERS}\t\r]").search
_starts_dangerously = re.compile(_START).match
_has_dangerous_part = re.compile(_SEPARATORS + _INNER).search
_may_be_dangerous = re.compile(_SEPARATORS + _START).search  # begins with a set, so it is twice as fast as with \A


def neutralise(text: str) -> str:
    """Mark each place in a text that a spreadsheet program could read as the start of a formula."""
    if _has_trigger(text) and (_starts_dangerously(text) or _has_dangerous_part(text)):
        return _DANGEROUS.sub("'", text)
    return text


def neutralise_all(cells: Sequence[str]) -> Sequence[str]:
    """`neutralise` all cells of a row."""
    return [neutralise(cell) for cell in cells] if _may_be_dangerous("\n".join(["", *cells])) else cells


def restore(text: str) -> str:
    """Undo `neutralise`: `restore(neutralise(text)) == text` for every text."""
    return _MARKED.sub("", text) if "'" in text else text
