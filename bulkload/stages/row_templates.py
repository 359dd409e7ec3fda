"""Row templates: a quick way past validation for rows that differ only in name, host and note.

In: a `RawRow`. Out: the `NewRow` that validation would make of it, or None if it has to be validated.

Most files have the same values in all rows but for those three cells. A row that is valid without a warning becomes the
template for every later row with the same other cells, as long as its own three cells are plain text to which no rule
applies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from bulkload.model import NumberText, RawRow, State
from bulkload.monitors.fields import LONGEST_NAME, LONGEST_NOTE
from bulkload.monitors.header import ColumnMapping
from bulkload.monitors.hosts import is_plain_public_name
from bulkload.monitors.spoiled_texts import doubt_of, is_error
from bulkload.monitors.validate import Valid
from bulkload.store.row_records import NewRow
from bulkload.store.stored_rows import to_json

MOST_TEMPLATES = 1_000  # kept at a time
_OWN = "\n"  # replaces a row's own cells; no trimmed cell equals it


def _is_plain(text: str) -> bool:
    """True for ASCII that JSON needs not escape, without spaces around it, to which no rule but a length applies."""
    return (
        text.isascii()
        and text.isprintable()
        and not ('"' in text or "\\" in text or text[0] == " " or text[-1] == " ")
        and not (is_error(text) or doubt_of(text))
    )


_is_plain_note = lru_cache(maxsize=1024)(_is_plain)  # unlike names, notes are often the same in many rows

_IS_PLAIN: dict[str, Callable[[str], object]] = {
    "name": lambda text: len(text) <= LONGEST_NAME and _is_plain(text),
    "hostname": is_plain_public_name,
    "note": lambda text: len(text) <= LONGEST_NOTE and _is_plain_note(text),
}


@dataclass(frozen=True, slots=True)
class _Template:
    type: str
    key: str  # the identity and the JSON body, with a %s for each own cell
    key_cells: Callable[[Sequence[str]], tuple[str, ...]]  # the own cells of a row for them
    body: str
    body_cells: Callable[[Sequence[str]], tuple[str, ...]]


class RowTemplates:
    """The templates of one file."""

    def __init__(self, layout: ColumnMapping, *, with_bodies: bool = True) -> None:
        self._with_bodies = with_bodies
        self._is_results = layout.is_results
        self._locations = layout.fields.index("locations") if "locations" in layout.fields else None
        self._columns = {field: index for index, field in enumerate(layout.fields) if field in _IS_PLAIN}
        self._own = tuple((index, _IS_PLAIN[field]) for field, index in self._columns.items())
        self._templates: dict[
            tuple[str, ...], _Template | None
        ] = {}  # None: seen once; a row like no other needs no template

    def apply(self, row: RawRow, cells: tuple[str, ...]) -> NewRow | None:
        """Make a row quickly; `cells` are what the user wrote."""
        shared = self._shared_cells(row)
        template = self._templates.get(shared) if shared is not None else None
        if template is None:
            return None
        key = template.key % template.key_cells(row.cells)
        body = template.body % template.body_cells(row.cells) if self._with_bodies else None
        return NewRow(row.number, cells, State.PENDING, template.type, key, body)

    def remember(self, valid: Valid) -> None:
        """Make a valid row the template for others like it."""
        if valid.warnings or valid.monitor_id or (shared := self._shared_cells(valid.row)) is None:
            return
        known = shared in self._templates
        if not known and len(self._templates) >= MOST_TEMPLATES:
            self._templates.clear()
        self._templates[shared] = self._template(valid) if known else None

    def _shared_cells(self, row: RawRow) -> tuple[str, ...] | None:
        """The cells that a row may share with others; None if one of its own cells is not plain."""
        if row.issues or (row.ends_at is not None and self._is_results):
            return None
        if self._locations is not None and type(row.cells[self._locations]) is NumberText:
            return None
        cells = list(row.cells)
        for index, is_plain in self._own:
            if text := cells[index]:
                if not is_plain(text):
                    return None
                cells[index] = _OWN
        return tuple(cells)

    def _template(self, valid: Valid) -> _Template:
        own = {field: index for field, index in self._columns.items() if valid.row.cells[index]}
        body = valid.config.body()
        members = [
            _fixed(to_json(field)) + ":" + ('"%s"' if field in own else _fixed(to_json(value)))
            for field, value in body.items()
        ]
        parts = [_fixed(part) for part in valid.config.key.split("\t")]  # type, host, port, name
        for field, at in (("hostname", 1), ("name", -1)):
            if field in own:
                parts[at] = "%s"
        return _Template(
            type=valid.config.type,
            key="\t".join(parts),
            key_cells=_cells([own[field] for field in ("hostname", "name") if field in own]),
            body="{" + ",".join(members) + "}",
            body_cells=_cells([own[field] for field in body if field in own]),
        )


def _cells(indexes: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """A function that takes these cells of a row; for two or more, `itemgetter` is the quickest."""
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda cells: tuple([cells[index] for index in indexes])


def _fixed(text: str) -> str:
    return text.replace("%", "%%")
