"""Rows that differ in nothing but name, host and note: a quick way past `validate`.

In: a `RawRow`. Out: the `NewRow` that the long way would make of it, or None if it has to go the long way.

Most sheets say the same in all rows but for those three cells. What was made of a row that is good without a word of
warning serves as the mould for every later row with the same other cells, as long as its own three are of the plainest
kind, about which no rule has anything to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bulkload.model import RawRow, State
from bulkload.monitors.fields import LONGEST_NAME, LONGEST_NOTE
from bulkload.monitors.header import Layout
from bulkload.monitors.hosts import is_plain_public_name
from bulkload.monitors.validate import Valid
from bulkload.store.runs import NewRow, to_json

MOST_MOULDS = 1_000  # kept at a time
_OWN = "\n"  # stands for a row's own cell; no cell that is trimmed is that


def _plain(longest: int) -> Callable[[str], object]:
    """ASCII that JSON takes as it is, without blanks around it."""
    return re.compile(rf"[!#-\[\]-~](?:[ !#-\[\]-~]{{0,{longest - 2}}}[!#-\[\]-~])?").fullmatch


_IS_PLAIN: dict[str, Callable[[str], object]] = {
    "name": _plain(LONGEST_NAME),
    "hostname": is_plain_public_name,
    "note": _plain(LONGEST_NOTE),
}


@dataclass(frozen=True, slots=True)
class _Mould:
    type: str
    key: str  # the identity and the JSON body, with a %s for each own cell
    key_cells: tuple[int, ...]
    body: str
    body_cells: tuple[int, ...]


class Moulds:
    """The moulds of one file."""

    def __init__(self, layout: Layout) -> None:
        self._columns = {field: index for index, field in enumerate(layout.fields) if field in _IS_PLAIN}
        self._own = tuple((index, _IS_PLAIN[field]) for field, index in self._columns.items())
        self._moulds: dict[tuple[str, ...], _Mould | None] = {}  # None: seen once; a kind of its own needs no mould

    def cast(self, row: RawRow, cells: tuple[str, ...]) -> NewRow | None:
        """Make a row quickly; `cells` are what the user wrote."""
        kind = self._kind(row)
        mould = self._moulds.get(kind) if kind is not None else None
        if mould is None:
            return None
        texts = row.cells
        return NewRow(
            source_row=row.number,
            cells=cells,
            state=State.PENDING,
            type=mould.type,
            key=mould.key % tuple([texts[index] for index in mould.key_cells]),
            body=mould.body % tuple([texts[index] for index in mould.body_cells]),
        )

    def learn(self, valid: Valid) -> None:
        """Take a row that went the long way as the mould for others."""
        if valid.warnings or valid.monitor_id or (kind := self._kind(valid.row)) is None:
            return
        known = kind in self._moulds
        if not known and len(self._moulds) >= MOST_MOULDS:
            self._moulds.clear()
        self._moulds[kind] = self._mould(valid) if known else None

    def _kind(self, row: RawRow) -> tuple[str, ...] | None:
        """What a row shares with others of its kind; None if one of its own cells is not plain."""
        if row.issues:
            return None
        cells = list(row.cells)
        for index, is_plain in self._own:
            if text := cells[index]:
                if not is_plain(text):
                    return None
                cells[index] = _OWN
        return tuple(cells)

    def _mould(self, valid: Valid) -> _Mould:
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
        return _Mould(
            type=valid.config.type,
            key="\t".join(parts),
            key_cells=tuple(own[field] for field in ("hostname", "name") if field in own),
            body="{" + ",".join(members) + "}",
            body_cells=tuple(own[field] for field in body if field in own),
        )


def _fixed(text: str) -> str:
    return text.replace("%", "%%")
