"""Recognise texts that a program put in the place of what a person typed or meant.

In: the text of a cell. Out: why it is doubtful; None for most texts. A spreadsheet program saves errors as text, and
formulas if it shows them; it makes dates and rounded numbers of names; other programs write a word for an empty cell.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_LETTERS = "A-Z\u00c0-\u00de"
_ERROR = re.compile(
    rf"#[¡¿]?[{_LETTERS}][{_LETTERS}0-9/_]*[!?]"  # of any language: #REF!, #BEZUG!, #¿NOMBRE?
    r"|#(?:N/A|N/D|NV)"
    r"|#{3,}"  # the column is too narrow for the value
    r"|Err:[0-9]{3}"
)
_KINDS = (
    (
        "formula",
        r"""=[-+(\s]*(?:\$?[A-Za-z]{1,3}\$?[0-9]+\b|[A-Za-z][A-Za-z0-9.]*\(|"|'[^']+'!)(?s:.*)""",
        "this is a formula, not its value; hide the formulas in the spreadsheet program and save again",
    ),
    (
        "date",
        (
            r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2})?|[0-9]{1,3}:[0-9]{2}(?::[0-9]{2})?"
            rf"|[0-9]{{1,2}}-{_MONTH}(?:-[0-9]{{2}}(?:[0-9]{{2}})?)?|{_MONTH}-[0-9]{{2}}"
        ),
        "a spreadsheet program may have made this date or time of another text, such as 1-2",
    ),
    (
        "rounded",
        r"[0-9](?:[.,][0-9]+)?E[+-][0-9]+",
        "a spreadsheet program may have made this rounded number of another text, such as 12E3",
    ),
    (
        "empty",
        r"(?i:null|nan|none|n/a|<na>|nat|undefined|\(null\)|\(blank\)|\\N)",
        "some programs write this for an empty cell",
    ),
)
_kind = re.compile("|".join(f"({pattern})" for _, pattern, _ in _KINDS)).fullmatch  # the group that matches is the kind
_lost_character = re.compile(r"[^\W\d_]\?+[^\W\d_]|\?{3}").search


class Doubt(NamedTuple):
    """Why a text is doubtful: a word for codes, a part of a sentence, and what was probably meant."""

    reason: str
    explanation: str
    meant: str = ""


def is_error(text: str) -> bool:
    """True for an error that a spreadsheet program shows in the place of a value, such as #N/A."""
    return text[:1] in ("#", "E") and _ERROR.fullmatch(text) is not None


def doubt_of(text: str) -> Doubt | None:
    """Return why a short text, such as a name, is probably not what was meant; None if nothing speaks against it."""
    if (match := _kind(text)) and match.lastindex:
        reason, _, explanation = _KINDS[match.lastindex - 1]
        return Doubt(reason, explanation)
    if "?" in text and "://" not in text and _lost_character(text):
        return Doubt("damaged", "a conversion may have put ? in the place of another character")
    if not text.isascii() and (meant := _decoded_again(text)):
        explanation = f'it looks like UTF-8 that was read in another encoding; perhaps "{meant}" is meant'
        return Doubt("damaged", explanation, meant)
    return None


def _decoded_again(text: str) -> str:
    """Return what a text was before UTF-8 was read as Windows-1252; empty if it was not."""
    try:
        # Python's codec has no character for the bytes that Windows-1252 leaves out
        encoded = b"".join(
            character.encode("latin-1" if "\x80" <= character <= "\x9f" else "cp1252") for character in text
        )
        return encoded.decode("utf-8")
    except UnicodeError:
        return ""
