"""Find merged cells, hidden rows and hidden columns in an OpenDocument package.

In: the blocks of the part that holds all worksheets. Out: the `SheetLayout` of one. A row or column is hidden by
itself, by a filter, by a collapsed group, or by a style without height or width.
"""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.readers.sheet_layout import Area, LayoutCollector, SheetLayout, is_zero, number
from bulkload.readers.sheet_scan import feed, xml_parser

_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0 "
_STYLE = "urn:oasis:names:tc:opendocument:xmlns:style:1.0 "
_PARAGRAPH_TAG = "urn:oasis:names:tc:opendocument:xmlns:text:1.0 p"
_VALUE_TYPE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0 value-type"
_CELL_TAGS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_GROUP_TAGS = (f"{_TABLE}table-row-group", f"{_TABLE}table-column-group")


def layout_open_document(blocks: Iterable[bytes], worksheet: str) -> SheetLayout:
    """Return the layout of the worksheet of that name in an OpenDocument package."""
    reader = _OpenDocumentReader(worksheet)
    parser = xml_parser(reader.start, reader.end, namespaces=True)
    for block in blocks:
        feed(parser, block)
    return reader.layout.complete()


class _OpenDocumentReader:
    """Handles the elements of an OpenDocument package; only one worksheet counts."""

    def __init__(self, worksheet: str) -> None:
        self.layout = LayoutCollector()
        self._worksheet = worksheet
        self._is_inside = False
        self._style = ("", "")  # family and name
        self._zero_styles: set[tuple[str, str]] = set()  # of rows without height and columns without width
        self._groups: list[bool] = []  # whether each open group of rows or columns is collapsed
        self._row, self._rows, self._column, self._columns = 0, 1, 0, 1  # where, and how often it is repeated
        self._is_hidden, self._by_filter = False, False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == f"{_TABLE}table":
            self._is_inside = attributes.get(f"{_TABLE}name") == self._worksheet
            self._row = self._column = 0
        elif tag == f"{_STYLE}style":
            self._style = (attributes.get(f"{_STYLE}family", ""), attributes.get(f"{_STYLE}name", ""))
        elif tag in (f"{_STYLE}table-row-properties", f"{_STYLE}table-column-properties"):
            if is_zero(attributes.get(f"{_STYLE}row-height") or attributes.get(f"{_STYLE}column-width")):
                self._zero_styles.add(self._style)
        elif self._is_inside:
            self._start_inside(tag, attributes)

    def _start_inside(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in _CELL_TAGS:
            self._start_cell(attributes)
        elif tag == _PARAGRAPH_TAG:
            self._note_content()
        elif tag == f"{_TABLE}table-row":
            self._rows = number(attributes.get(f"{_TABLE}number-rows-repeated"), 1)
            self._column = 0
            self._is_hidden = self._hides("table-row", attributes)
            self._by_filter = attributes.get(f"{_TABLE}visibility") == "filter"
        elif tag == f"{_TABLE}table-column":
            repeated = number(attributes.get(f"{_TABLE}number-columns-repeated"), 1)
            if self._hides("table-column", attributes):
                self.layout.hide_columns(self._column, self._column + repeated - 1)
            self._column += repeated
        elif tag in _GROUP_TAGS:
            self._groups.append(attributes.get(f"{_TABLE}display") == "false")

    def _note_content(self) -> None:
        """Note that the row has content, if it is hidden."""
        if self._is_hidden:
            self.layout.hide_rows(self._row, self._row + self._rows - 1)
            self.layout.is_filtered = self.layout.is_filtered or self._by_filter
            self._is_hidden = False

    def _start_cell(self, attributes: dict[str, str]) -> None:
        if _VALUE_TYPE in attributes:
            self._note_content()
        self._columns = number(attributes.get(f"{_TABLE}number-columns-repeated"), 1)
        width = number(attributes.get(f"{_TABLE}number-columns-spanned"), 1)
        height = number(attributes.get(f"{_TABLE}number-rows-spanned"), 1)
        if width > 1 or height > 1:
            # a repeated row or cell repeats its merged cells; as all have one value, one area stands for them
            bottom = self._row + self._rows - 1 + height - 1
            for left in range(self._column, self._column + (self._columns if width == 1 else 1)):
                self.layout.merge(Area(self._row, left, bottom, left + width - 1))

    def end(self, tag: str) -> None:
        if not self._is_inside:
            return
        if tag in _CELL_TAGS:
            self._column += self._columns
        elif tag == f"{_TABLE}table-row":
            self._row += self._rows
            self._is_hidden = False
        elif tag in _GROUP_TAGS:
            self._groups.pop()
        elif tag == f"{_TABLE}table":
            self._is_inside = False

    def _hides(self, family: str, attributes: dict[str, str]) -> bool:
        return (
            attributes.get(f"{_TABLE}visibility") in ("collapse", "filter")
            or (family, attributes.get(f"{_TABLE}style-name", "")) in self._zero_styles
            or any(self._groups)
        )
