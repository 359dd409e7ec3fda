"""Write a repaired copy of a workbook whose parts or cells calamine does not read, although spreadsheet programs do.

In: the package of the workbook. Out: a temporary file with the usual names of parts and cells in the plain way, for
calamine to read instead. The copy is written block by block, so that the memory needed does not depend on the workbook;
it disappears with the process.
"""

from __future__ import annotations

import codecs
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from bulkload.readers import open_document, sheet_xml
from bulkload.readers.zip_package import read_blocks

if TYPE_CHECKING:
    from bulkload.readers.excel_package import ExcelPackage
    from bulkload.readers.sheet_scan import WorksheetSurvey

ODS = "application/vnd.oasis.opendocument.spreadsheet"
WORKSHEET_NAME = "Sheet1"  # of the only worksheet in the copy of an Excel package

_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@contextmanager
def repaired_worksheet(
    package: zipfile.ZipFile, parts: ExcelPackage, part: str, *, check: Callable[[WorksheetSurvey], None]
) -> Iterator[IO[bytes]]:
    """Write a copy of an Excel package with one worksheet; `check` receives what was found in it."""
    is_binary = parts.format == "xlsb"
    suffix = "bin" if is_binary else "xml"
    copied = (("styles", parts.styles), ("sharedStrings", parts.strings))
    with _new_package() as (file, copy):
        copy.writestr("[Content_Types].xml", _content_types(suffix))
        copy.writestr("_rels/.rels", _relations([("rId1", "officeDocument", f"xl/workbook.{suffix}")]))
        relations = [("rId1", "worksheet", f"worksheets/sheet1.{suffix}")]
        for name, original in copied:
            if original is not None:
                relations.append((f"rId{len(relations) + 1}", name, f"{name}.{suffix}"))
                _copy_part(package, original, copy, f"xl/{name}.{suffix}")
        copy.writestr(f"xl/_rels/workbook.{suffix}.rels", _relations(relations))
        copy.writestr(f"xl/workbook.{suffix}", _binary_workbook(parts) if is_binary else _xml_workbook(parts))
        if is_binary:
            _copy_part(package, part, copy, f"xl/worksheets/sheet1.{suffix}")
        else:
            with copy.open(f"xl/worksheets/sheet1.{suffix}", "w", force_zip64=True) as stream:
                survey = sheet_xml.write_plain_worksheet(read_blocks(package, part), stream.write)
            check(survey)
        copy.close()
        file.seek(0)
        yield file


@contextmanager
def repaired_open_document(package: zipfile.ZipFile, content: str) -> Iterator[IO[bytes]]:
    """Write a copy of an OpenDocument spreadsheet with all of its worksheets."""
    with _new_package() as (file, copy):
        copy.writestr("mimetype", ODS, zipfile.ZIP_STORED)
        copy.writestr("META-INF/manifest.xml", "<manifest/>")
        with copy.open("content.xml", "w", force_zip64=True) as stream:
            open_document.write_plain_content(read_blocks(package, content), stream.write)
        copy.close()
        file.seek(0)
        yield file


@contextmanager
def _new_package() -> Iterator[tuple[IO[bytes], zipfile.ZipFile]]:
    with (
        tempfile.TemporaryFile(prefix="bulkload-") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy,
    ):
        yield file, copy


def _copy_part(package: zipfile.ZipFile, original: str, copy: zipfile.ZipFile, name: str) -> None:
    with copy.open(name, "w", force_zip64=True) as stream:
        for block in _as_utf8(read_blocks(package, original)):
            stream.write(block)


def _as_utf8(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield XML in UTF-8, the only encoding that calamine reads."""
    decoder: codecs.IncrementalDecoder | None = None
    for number, block in enumerate(blocks):
        if number == 0 and block.startswith(_UTF_16_MARKS):
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
        yield block if decoder is None else decoder.decode(block).encode("utf-8", "replace")


def _content_types(suffix: str) -> str:
    main = "sheet.main+xml" if suffix == "xml" else "sheet.binary.main"
    return (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="{suffix}" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.{suffix}" ContentType="application/vnd.ms-excel.{main}"/></Types>'
    )


def _relations(relations: Iterable[tuple[str, str, str]]) -> str:
    elements = "".join(
        f'<Relationship Id="{relation_id}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for relation_id, kind, target in relations
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{elements}</Relationships>'


def _xml_workbook(parts: ExcelPackage) -> str:
    return (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><workbookPr date1904="{int(parts.has_1904_dates)}"/>'
        f'<sheets><sheet name="{WORKSHEET_NAME}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )


def _binary_workbook(parts: ExcelPackage) -> bytes:
    """Return the records of a workbook: begin, properties, the list with its one worksheet, end."""

    def text(value: str) -> bytes:
        return len(value).to_bytes(4, "little") + value.encode("utf-16-le")

    worksheet = bytes(4) + (1).to_bytes(4, "little") + text("rId1") + text(WORKSHEET_NAME)
    records = (
        (b"\x83\x01", b""),
        (b"\x99\x01", int(parts.has_1904_dates).to_bytes(4, "little") + bytes(8)),
        (b"\x8f\x01", b""),
        (b"\x9c\x01", worksheet),
        (b"\x90\x01", b""),
        (b"\x84\x01", b""),
    )
    return b"".join(record_type + bytes([len(data)]) + data for record_type, data in records)
