"""Text cells that no spreadsheet program takes for a formula: a reversible mark for CSV files.

In: the text of one cell. Out: the text to write (`neutralise`), or the text that was meant (`restore`).

A cell is dangerous when it starts with one of ``= + - @``, a tab or a carriage return. Such a cell gets a leading
apostrophe. A cell that starts with apostrophes before such a character gets one more, so that taking one away
always gives back what was there.
"""

from __future__ import annotations

import re

_DANGEROUS = re.compile(r"'*[=+\-@\t\r]")
_MARKED = re.compile(r"'+[=+\-@\t\r]")


def neutralise(text: str) -> str:
    """Return the text with a leading apostrophe if a spreadsheet program could take it for a formula."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def restore(text: str) -> str:
    """Undo `neutralise`: `restore(neutralise(text)) == text` for every text."""
    return text[1:] if _MARKED.match(text) else text
