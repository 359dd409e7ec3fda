"""Protect CSV cells from being read as formulas, reversibly.

In: the text of one cell. Out: the text to write (`neutralise`), or the original text (`restore`).

A cell is dangerous if it starts with one of ``= + - @``, a tab or a carriage return. It gets a leading apostrophe. A
cell that starts with apostrophes before one of these characters gets one more, so that removing one always restores
the original.
"""

from __future__ import annotations

import re

_DANGEROUS = re.compile(r"'*[=+\-@\t\r]")
_MARKED = re.compile(r"'+[=+\-@\t\r]")


def neutralise(text: str) -> str:
    """Add a leading apostrophe to a text that a spreadsheet program could read as a formula."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def restore(text: str) -> str:
    """Undo `neutralise`: `restore(neutralise(text)) == text` for every text."""
    return text[1:] if _MARKED.match(text) else text
