"""The survey of a worksheet, whatever its rows are made of and wherever the blocks of its part end."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from bulkload.readers import sheet_layout, sheet_patterns

PLAIN_ROWS = (
    "",
    ' spans="1:3"',
    ' spans="1:3" s="7" customFormat="1" ht="15.75" customHeight="1" x14ac:dyDescent="0.25"',
    ' customFormat="false" ht="12.8" hidden="false" customHeight="false" outlineLevel="0" collapsed="false"',
)
SIGN_ROWS = (' hidden="1"', " hidden='true'", ' ht="0"', ' ht="0.00" customHeight="1"', ' spans="1:3" ht = "0"')
PLAIN_CELLS = (
    '<c r="A{0}" t="s"><v>12</v></c>',
    '<c r="B{0}" s="3"><v>993</v></c>',
    '<c r="C{0}" t="inlineStr"><is><t>imap.example.org</t></is></c>',
    '<c r="D{0}" s="4"/>',
)
RARE_CELLS = ('<c r="E{0}" t="b"><v>1</v></c>', '<c r="F{0}" t="str"><f>A1&amp;"x"</f><v>yx</v></c>')
UNREAD_CELLS = ('<c r="G{0}" t="e"><v>#N/A</v></c>', '<c r="H{0}"><f>A1</f></c>')
UNUSUAL_CELLS = ('<c r="I{0}"><v><![CDATA[7]]></v></c>', "<c r='J{0}'><v>7</v></c>", '<c r="K{0}"><!-- --><v>7</v></c>')


@dataclass(frozen=True)
class Row:
    """The attributes of a row, and its cells."""

    attributes: str = ""
    cells: tuple[str, ...] = PLAIN_CELLS


ROWS = st.builds(
    Row,
    attributes=st.sampled_from(PLAIN_ROWS * 5 + SIGN_ROWS),
    cells=st.lists(st.sampled_from(PLAIN_CELLS * 9 + RARE_CELLS * 3 + UNREAD_CELLS + UNUSUAL_CELLS), max_size=6).map(
        tuple
    ),
)


@given(
    rows=st.lists(ROWS, max_size=30),
    cuts=st.lists(st.integers(20, 4_000), max_size=12),
    is_merged=st.booleans(),
    prefix=st.sampled_from(["", "x:"]),
)
@example(rows=[Row()] * 30, cuts=list(range(30, 4_000, 97)), is_merged=True, prefix="")
@example(rows=[Row()] * 9 + [Row(' ht="0"')] + [Row()] * 9, cuts=list(range(30, 4_000, 11)), is_merged=False, prefix="")
def test_nothing_is_missed_wherever_the_blocks_end(
    rows: list[Row], cuts: list[int], is_merged: bool, prefix: str
) -> None:
    body = "".join(
        f'<row r="{number}"{row.attributes}>{"".join(cell.format(number) for cell in row.cells)}</row>'
        for number, row in enumerate(rows, 1)
    )
    merged = '<mergeCells count="1"><mergeCell ref="A1:B2"/></mergeCells>' if is_merged else ""
    worksheet = (
        f'<worksheet><cols><col min="1" max="2" width="9"/></cols><sheetData>{body}</sheetData>{merged}</worksheet>'
    )
    if prefix:
        worksheet = worksheet.replace("</", "</\0").replace("<", f"<{prefix}").replace(f"<{prefix}/\0", f"</{prefix}")
        worksheet = worksheet.replace(f"<{prefix}!", "<!")
    part = worksheet.encode()
    ends = sorted({cut for cut in cuts if cut < len(part)})
    signs = sheet_layout.LayoutSigns(sheet_layout.XML_SIGNS)
    survey = sheet_patterns.survey_xml(
        [part[start:end] for start, end in zip([0, *ends], [*ends, len(part)], strict=True)], look=signs.look
    )
    used = {cell for row in rows for cell in row.cells}
    assert survey.is_usual == used.isdisjoint(UNUSUAL_CELLS)
    if survey.is_usual:  # otherwise, the worksheet is parsed
        assert survey.may_have_unread_cells == (not used.isdisjoint(UNREAD_CELLS))
    assert signs.found == (is_merged or any(row.attributes in SIGN_ROWS for row in rows))


@given(numbers=st.lists(st.integers(1, 40), min_size=1, max_size=12), cut=st.integers(20, 900))
def test_rows_out_of_order_are_unusual(numbers: list[int], cut: int) -> None:
    body = "".join(f'<row r="{number}"><c r="A{number}" t="s"><v>1</v></c></row>' for number in numbers)
    part = f"<worksheet><sheetData>{body}</sheetData></worksheet>".encode()
    survey = sheet_patterns.survey_xml([part[:cut], part[cut:]])
    assert survey.is_usual == (numbers == sorted(set(numbers)))


def test_a_part_that_ends_early_is_unusual() -> None:
    part = b"<worksheet><sheetData>" + b'<row r="1"><c r="A1" t="s"><v>1</v></c></row>' + b"</sheetData></worksheet>"
    assert sheet_patterns.survey_xml([part]).is_usual
    for end in range(12, part.index(b"</sheetData")):
        assert not sheet_patterns.survey_xml([part[:end]]).is_usual
