"""Search the cells of rows, which the store keeps as JSON lists of texts.

In: what a person typed. Out: a condition of SQL for the column `cells`, which is true if one of the cells contains that
text. Upper and lower case are the same in all scripts; `LIKE` of SQLite alone knows that of ASCII only.
"""

from __future__ import annotations

import json
import sqlite3

_FUNCTION = "has_text"


def search_condition(text: str) -> tuple[str, list[object]]:
    """The condition, and the values of its parameters."""
    condition, values = f"{_FUNCTION}(cells, ?)", list[object]([text.casefold()])
    if not text.isascii():
        return condition, values
    pattern = _in_json(text)  # far quicker, and right but for what separates the cells
    for character in "\\%_":
        pattern = pattern.replace(character, f"\\{character}")
    return f"(cells LIKE ? ESCAPE '\\' AND {condition})", [f"%{pattern}%", *values]


def register(database: sqlite3.Connection) -> None:
    """Define the function that the condition calls."""
    database.create_function(_FUNCTION, 2, _has_text, deterministic=True)


def _has_text(cells: str, text: str) -> bool:
    if _in_json(text) not in cells.casefold():
        return False
    return any(text in cell.casefold() for cell in json.loads(cells))


def _in_json(text: str) -> str:
    """The text as it stands inside of a JSON string of the store."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
