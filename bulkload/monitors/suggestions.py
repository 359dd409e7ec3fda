"""Decide whether a text may be suggested for a cell.

In: a field, and what was probably meant. Out: the text, if the field accepts it; "" otherwise, because a suggestion
that leads to the next error helps nobody.
"""

from __future__ import annotations

from functools import lru_cache

from bulkload.monitors.config import accepts
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.parsers import parser_of, remove_invisible
from bulkload.monitors.spoiled_texts import doubt_of
from bulkload.monitors.values import CellError


@lru_cache(maxsize=4096)
def suggestion_for(field: str, meant: str) -> str:
    """The text for the cell of a field, if it is valid there on its own."""
    text = remove_invisible(field, meant.strip()) if field in FIELDS else ""
    if not text:
        return ""
    try:
        value = parser_of(field)(text)
    except CellError:
        return ""
    if field in ("name", "billing_plancode") and doubt_of(text):
        return ""
    if field in ("type", "hostname", "monitor_id"):  # their parsers give something else than the value that is sent
        return text
    return text if accepts(field, value) else ""
