"""Survey the worksheets of xlsx packages quickly, and find their unread cells if calamine reads the others right.

In: the blocks of a worksheet's part. Out: its survey; its unread cells. Patterns recognise cells in the forms that
spreadsheet programs write, and calamine reads exactly those. Whatever they do not recognise (a value inside CDATA or
around a comment, a cell without a reference, other elements inside a cell) makes the worksheet unusual: `sheet_xml`
parses it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property

from bulkload.readers.sheet_scan import MAX_ROWS, UnreadCell, WorksheetSurvey, column_index

# In these patterns, ~ stands for the prefix of all tags, which most programs leave out and some write as x:
_ANY_REFERENCE = r' r="[A-Z]{1,3}+[1-9][0-9]{0,6}+"'
_NEAR_REFERENCE = r' r="[A-Z][1-9][0-9]{0,4}+"'  # up to column Z and row 99,999
_ATTRIBUTES = r'(?: (?:s|cm|vm|ph)="[0-9]{1,9}+")*+'
_FORMULA = r"<~f(?:>[^<]*+</~f>| [^<>]*+(?:(?<=/)>|(?<!/)>[^<]*+</~f>)|/>)"
_MAYBE_FORMULA = rf"{_ATTRIBUTES}>(?:{_FORMULA})?+"
_EMPTY_VALUE = r"(?:<~v></~v>|<~v ?/>)"
# The ways of writing a cell that calamine reads right: those of most cells, then all
_FREQUENT_FORMS = (
    rf' t="s"{_ATTRIBUTES}><~v>[0-9]++</~v></~c>',
    r"><~v>[0-9.Ee+-]++</~v></~c>",
    r' t="inlineStr"><~is><~t>[^<]*+</~t></~is></~c>',
    rf'(?: t="(?!e")[a-zA-Z]++")?+{_ATTRIBUTES}(?: ?/>|></~c>)',
)
_USUAL_FORMS = (
    *_FREQUENT_FORMS,
    rf'(?: t="n")?+{_MAYBE_FORMULA}<~v>[0-9.Ee+-]++</~v></~c>',
    rf' t="inlineStr"{_ATTRIBUTES}><~is>(?:[^<]++|<(?!/~is>|[!?]))*+</~is></~c>',
    rf' t="str"{_MAYBE_FORMULA}(?:<~v(?: xml:space="preserve")?+>[^<]*+</~v>|<~v ?/>)</~c>',
    rf' t="b"{_MAYBE_FORMULA}<~v>[01]</~v></~c>',
    rf' t="d"{_MAYBE_FORMULA}<~v>[0-9][0-9TZ:.+-]*+</~v></~c>',
    rf'(?: t="[nsbd]")?+{_ATTRIBUTES}>{_EMPTY_VALUE}</~c>',
)
# The attributes of rows that hide nothing
_ROW_ATTRIBUTES = (
    r'(?: (?:spans="[0-9: ]++"|s="[0-9]{1,9}+"|ht="[1-9][0-9.]*+"|x14ac:dyDescent="[0-9.]++"|outlineLevel="[0-9]"'
    r'|(?:customFormat|customHeight|collapsed)="(?:[01]|true|false)"|hidden="(?:0|false)"))*+'
)
# The ways of writing an error, or a formula without a stored value; calamine reads them as empty
_UNREAD_FORMS = (
    rf' t="e"{_MAYBE_FORMULA}<~v>(#[^<&]{{1,20}}+)</~v></~c>',
    rf'(?: t="[nsbd]")?+{_ATTRIBUTES}>{_FORMULA}{_EMPTY_VALUE}?+</~c>',
    rf' t="(?:str|inlineStr)"{_ATTRIBUTES}>{_FORMULA}</~c>',
)
# A formula that some programs write with 0 in place of its value, which they do not calculate
_ZERO_FORM = rf'(?: t="n")?+{_ATTRIBUTES}>{_FORMULA}<~v>0</~v></~c>'

_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml\s[^>]*\?>\s*)?<((?:[A-Za-z][\w.-]*:)?)worksheet\b")
_OTHER_ENCODING = re.compile(rb'\sencoding=(?!["\']utf-8["\'])', re.IGNORECASE)
_FAR_REFERENCE = re.compile(rb' r="(?:[A-Z]{2}|[A-Z]\d{6})')  # beyond column Z or row 99,999
_COLUMN = re.compile(rb' r="([A-Z]{1,4})')
_HIGH_ROW = re.compile(rb' r="[A-Z]{1,4}(\d{6,9})')
_ASSUMED_ROWS = 99_999  # the most rows that a worksheet without six-digit row numbers can have
_LONGEST_SPLIT = 1 << 20  # bytes of a cell that a block boundary splits


def survey_xml(
    blocks: Iterable[bytes], *, look: Callable[[bytes], object] = len, is_uncalculated: bool = False
) -> WorksheetSurvey:
    """Survey a worksheet; `cells` is an upper bound if the worksheet is usual.

    `look` gets the whole part but for rows that have nothing but plain cells. In an uncalculated workbook, the 0 of a
    formula may stand for a value that was never calculated.
    """
    columns, rows, last_row, may_have_unread_cells = {b"Z"}, 0, 0, False
    stream = iter(blocks)
    first = next(stream, b"")
    start = _START.match(first)
    is_usual = start is not None and not _OTHER_ENCODING.search(start[0])
    patterns = _patterns(start[1].decode() if start else "", is_uncalculated)
    for text, cut in patterns.whole_cells(first, stream):
        if not patterns.plain_rows.fullmatch(text, 0, cut):
            look(text[:cut])
            if patterns.not_frequent.search(text, 0, cut):
                if _FAR_REFERENCE.search(text, 0, cut):
                    columns.update(_COLUMN.findall(text, 0, cut))
                    if high_rows := _HIGH_ROW.findall(text, 0, cut):
                        rows = max(rows, *map(int, high_rows))
                may_have_unread_cells = may_have_unread_cells or patterns.not_usual.search(text, 0, cut) is not None
                if may_have_unread_cells and patterns.not_known.search(text, 0, cut):
                    is_usual = False
            if rows > MAX_ROWS or any(pattern.search(text) for pattern in patterns.unusual_elsewhere):
                is_usual = False
        numbers = [last_row, *map(int, patterns.row_number.findall(text, 0, cut))]
        if any(map(operator.ge, numbers, numbers[1:])):
            is_usual = False  # calamine would keep only the last of two rows with the same number
        last_row = numbers[-1]
        if not is_usual:
            break
    look(text[cut:])
    for block in stream:  # reading to the end proves the checksum of the part
        look(block)
    width = max(column_index(letters.decode()) + 1 for letters in columns)
    is_complete = patterns.end in text
    return WorksheetSurvey(width * (rows or _ASSUMED_ROWS), may_have_unread_cells, is_usual and is_complete)


def unread_cells_usual(blocks: Iterable[bytes], *, is_uncalculated: bool = False) -> Iterator[UnreadCell]:
    """Yield the errors, and the formulas without a stored value, of a usual worksheet."""
    stream = iter(blocks)
    first = next(stream, b"")
    start = _START.match(first)
    patterns = _patterns(start[1].decode() if start else "", is_uncalculated)
    for text, cut in patterns.whole_cells(first, stream):
        for cell in patterns.unread.finditer(text, 0, cut):
            error = (cell[3] or b"").decode("utf-8", "replace")
            row, column = int(cell[2]) - 1, column_index(cell[1].decode())
            yield UnreadCell(row, column, error, "error" if error else "formula")


class _Patterns:
    """The patterns for worksheets whose tags have this prefix; the rarer ones are compiled when they are needed."""

    def __init__(self, prefix: str, is_uncalculated: bool) -> None:
        self._prefix = prefix
        self._usual: tuple[str, ...] = _USUAL_FORMS
        self._unread: tuple[str, ...] = _UNREAD_FORMS
        if is_uncalculated:
            self._usual = tuple(f"(?!{_ZERO_FORM}){form}" for form in _USUAL_FORMS)
            self._unread = (*_UNREAD_FORMS, _ZERO_FORM)
        self._cuts = (f"<{prefix}c".encode(), f"</{prefix}row>".encode())
        self.end = f"</{prefix}sheetData".encode()
        self.row_number = self._compiled('<~row(?: [^<>]*?)?? r="([0-9]{1,7})"')
        frequent_cell = rf"<~c{_NEAR_REFERENCE}{_ATTRIBUTES}(?:{'|'.join(_FREQUENT_FORMS)})"
        plain_row = rf'<~row r="[1-9][0-9]{{0,6}}+"{_ROW_ATTRIBUTES} ?/?>'
        self.plain_rows = self._compiled(rf"(?:{frequent_cell}|</~row>|{plain_row})*+")  # or parts of them
        self.not_frequent = self._other_cell(_NEAR_REFERENCE, _FREQUENT_FORMS)
        other_prefix = rf"(?<![</]{prefix[:-1]}):c[\s/>]|<c[\s/>]" if prefix else r":c[\s/>]"
        # a comment or CDATA, a cell with another prefix, an impossible row; three patterns are faster than one
        self.unusual_elsewhere = tuple(map(self._compiled, ("<!", other_prefix, '<~row r="[0-9]{8}')))

    @cached_property
    def not_usual(self) -> re.Pattern[bytes]:
        return self._other_cell(_ANY_REFERENCE, self._usual)

    @cached_property
    def not_known(self) -> re.Pattern[bytes]:
        return self._other_cell(_ANY_REFERENCE, self._usual + self._unread)

    @cached_property
    def unread(self) -> re.Pattern[bytes]:
        """An unread cell: its column, its row, and its error unless it is a formula."""
        return self._compiled(rf'<~c r="([A-Z]++)([0-9]++)"{_ATTRIBUTES}(?:{"|".join(self._unread)})')

    def whole_cells(self, first: bytes, blocks: Iterator[bytes]) -> Iterator[tuple[bytes, int]]:
        """Yield the worksheet up to the end of its cells, in parts with the place where the last whole cell ends."""
        text = block = first
        while block and self.end not in text:
            # what is after the cut, a cell that the end of the block splits, comes again with the next block
            cut = max(0, len(text) - _LONGEST_SPLIT, *map(text.rfind, self._cuts))
            yield text, cut
            block = next(blocks, b"")
            text = text[cut:] + block
        yield text, len(text)

    def _other_cell(self, reference: str, forms: tuple[str, ...]) -> re.Pattern[bytes]:
        """Return a pattern that finds the first cell in none of these forms."""
        return self._compiled(rf"<~c(?![A-Za-z])(?!{reference}{_ATTRIBUTES}(?:{'|'.join(forms)}))")

    def _compiled(self, pattern: str) -> re.Pattern[bytes]:
        return re.compile(pattern.replace("~", re.escape(self._prefix)).encode())


_patterns = cache(_Patterns)
