"""Workbooks that make the library that reads them run forever, take all memory, or abort the process.

In: a folder. Out: the path of a small file in it. All of them have the worksheet of a good workbook as well.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

_GOOD = Path(__file__).parents[1] / "readers" / "data"
_WORKSHEET = "xl/worksheets/sheet1.xml"


def endless(folder: Path) -> Path:
    """A worksheet with blank rows only, which the workbook lists so often that reading it takes hours everywhere."""

    def change(part: str, content: bytes) -> bytes:
        if part == _WORKSHEET:
            cell = b'<row r="1"><c r="A1"/></row><row r="%d"><c r="A%d" t="str"><v> </v></c></row>' % (1 << 20, 1 << 20)
            return re.sub(
                rb"<sheetData>.*</sheetData>", b"<sheetData>" + cell + b"</sheetData>", content, flags=re.DOTALL
            )
        if part == "xl/workbook.xml":
            sheet = re.search(rb"<sheet [^>]*/>", content)
            assert sheet
            copies = (re.sub(rb'name="[^"]*"', b'name="%d"' % number, sheet[0]) for number in range(20_000))
            return content.replace(sheet[0], b"".join(copies))
        return content

    return _changed(folder, "endless.xlsx", change)


def unclosed(folder: Path) -> Path:
    """An OpenDocument worksheet that is never closed."""

    def change(part: str, content: bytes) -> bytes:
        return content[: content.index(b"</table:table>")] if part == "content.xml" else content

    return _changed(folder, "unclosed.ods", change)


def entities(folder: Path) -> Path:
    """An OpenDocument worksheet that declares entities which contain each other ten times."""
    names = "abcdefghijk"
    nested = (f'<!ENTITY {name} "{f"&{inner};" * 10}">' for name, inner in zip(names[1:], names, strict=False))
    declaration = f'<!DOCTYPE x [<!ENTITY a "x">{"".join(nested)}]>'.encode()

    def change(part: str, content: bytes) -> bytes:
        if part != "content.xml":
            return content
        return content.replace(b"?>", b"?>" + declaration, 1).replace(b"<text:p>", b"<text:p>&k;")

    return _changed(folder, "entities.ods", change)


def encoding(folder: Path, *, part: str, suffix: str) -> Path:
    """A workbook with a part in an encoding that does not exist."""

    def change(name: str, content: bytes) -> bytes:
        return re.sub(rb"(?i)utf-8", b"utf-0", content, count=1) if name == part else content

    return _changed(folder, f"encoding.{suffix}", change)


def spread(folder: Path, columns: int = 40) -> Path:
    """A worksheet of a million rows that has content in its corners only: it is allowed, and takes 32 bytes a cell."""
    return _with_row(folder, "spread.xlsx", f'<row r="1048576"><c r="{_letters(columns)}1048576"><v>1</v></c></row>')


def large_texts(folder: Path) -> Path:
    """A row of cells that all refer to the same text of 4 MB."""

    def change(part: str, content: bytes) -> bytes:
        if part == "xl/sharedStrings.xml":
            return re.sub(rb"<si>", b"<si><t>" + b"x" * (4 << 20) + b"</t></si><si>", content, count=1)
        if part == _WORKSHEET:
            cells = "".join(f'<c r="{_letters(column)}9" t="s"><v>0</v></c>' for column in range(1, 1001))
            return content.replace(b"</sheetData>", f'<row r="9">{cells}</row></sheetData>'.encode())
        return content

    return _changed(folder, "texts.xlsx", change)


def text_count(folder: Path) -> Path:
    """A workbook that declares four billion texts."""

    def change(part: str, content: bytes) -> bytes:
        return re.sub(rb'uniqueCount="\d+"', b'uniqueCount="4294967295"', content)

    return _changed(folder, "count.xlsx", change)


def circle(folder: Path, *, chain: str) -> Path:
    """An xls workbook with a chain of sectors that leads back into itself."""
    content = bytearray((_GOOD / "hosts.xls").read_bytes())

    def number(offset: int) -> int:
        return int(struct.unpack_from("<I", content, offset)[0])

    size = 1 << struct.unpack_from("<H", content, 30)[0]
    directory, small_table, table = number(48), number(60), number(76)
    stream = content.index("Workbook".encode("utf-16-le"))
    first, length = number(stream + 116), number(stream + 120)
    assert length < number(56), "the stream is in small sectors"
    if chain == "table":  # the list of the sectors that hold the table
        struct.pack_into("<II", content, 68, table, 1)
        struct.pack_into("<I", content, (table + 2) * size - 4, table)
    else:
        holder, sector = {"directory": (table, directory), "stream": (small_table, first)}[chain]
        struct.pack_into("<I", content, (holder + 1) * size + 4 * sector, sector)
    path = folder / f"{chain}.xls"
    path.write_bytes(content)
    return path


def _with_row(folder: Path, name: str, row: str) -> Path:
    def change(part: str, content: bytes) -> bytes:
        return content.replace(b"</sheetData>", row.encode() + b"</sheetData>") if part == _WORKSHEET else content

    return _changed(folder, name, change)


def _changed(folder: Path, name: str, change: Callable[[str, bytes], bytes]) -> Path:
    good = _GOOD / f"hosts{Path(name).suffix}"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, change(part, old.read(part)))
    return folder / name


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


_CELL = "<v>1</v></c>"
HOSTILE: dict[str, Callable[[Path], Path]] = {
    "endless": endless,
    "unclosed": unclosed,
    "entities": entities,
    "spread": spread,
    "large texts": large_texts,
    "text count": text_count,
    "encoding of the workbook": partial(encoding, part="xl/workbook.xml", suffix="xlsx"),
    "encoding of the content": partial(encoding, part="content.xml", suffix="ods"),
    **{f"circle of the {chain}": partial(circle, chain=chain) for chain in ("directory", "stream", "table")},
    **{
        label: partial(_with_row, name="row.xlsx", row=row)
        for label, row in {
            "reference after a line break": f'<row><c\nr="XFD1048576">{_CELL}</row>',
            "reference after blanks": f'<row><c r = "XFD1048576">{_CELL}</row>',
            "reference in small letters": f'<row><c r="xfd1048576">{_CELL}</row>',
            "reference with leading zeros": f'<row><c r="XFD00000000001048576">{_CELL}</row>',
            "reference of ten digits": f'<row><c r="A4294967295">{_CELL}</row>',
            "reference of six letters": f'<row><c r="ZZZZZZ1">{_CELL}</row>',
            "last row without references": f'<row r="1048576">{f"<c>{_CELL}" * 16_384}</row>',
            "row after the last": f'<row r="4294967295">{f"<c>{_CELL}" * 3}</row>',
        }.items()
    },
}
