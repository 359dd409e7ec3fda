"""Inspect the zip package of a workbook before it is decompressed.

In: a path. Out: the workbook's format and the parts of its worksheets; or an `InputError` for a package that is not a
workbook, is damaged, or would expand to more than is allowed.
"""

from __future__ import annotations

import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from bulkload.errors import InputError

MAX_EXPANDED = 2 << 30  # bytes of all parts together
MAX_RATIO = 250  # expanded to packed; the longest worksheets of equal rows reach about 100
RATIO_EXEMPT = 64 << 20  # bytes that may expand at any ratio, for small worksheets of nearly equal rows
MAX_PARTS = 10_000  # files in the package
_MAX_SMALL_PART = 8 << 20  # bytes of a part that only lists other parts
_BLOCK = 1 << 18  # bytes read at a time

_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_RELATION_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION_ID = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_BUNDLE_SHEET = 156  # the xlsb record that names a worksheet
# Files sent by mistake, recognised by a part that only they have
_FOREIGN_PARTS = (
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a PowerPoint presentation"),
    ("Index/Document.iwa", "a Numbers or Pages document; export it as Excel or CSV"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)


@contextmanager
def open_package(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a package. Leaving the context closes the file, even if a part is still being read."""
    with path.open("rb") as file:
        with translate_damage():
            package = zipfile.ZipFile(file)
        with package:
            yield package


@contextmanager
def translate_damage() -> Iterator[None]:
    """Translate the exceptions of zipfile and the XML parser for a damaged package into `InputError`."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:  # zipfile: unknown compression, encrypted
        raise InputError(f"the package cannot be unpacked ({error}); save the workbook without protection.") from error
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        struct.error,
        ElementTree.ParseError,
        EOFError,
        LookupError,  # a missing part, an unknown encoding
        ValueError,
    ) as error:
        raise InputError(f"the workbook is damaged or cut off ({error}); save or send it again.") from error


def workbook_format(package: zipfile.ZipFile) -> str:
    """Return xlsx, xlsm, xlsb or ods. Raises `InputError` that names any other type of file."""
    names = {info.filename for info in package.infolist()}
    if "mimetype" in names and "content.xml" in names:
        return _open_document_format(package, names)
    folded = {name.lower().replace("\\", "/") for name in names}
    if "[content_types].xml" in folded:
        if "xl/workbook.bin" in folded:
            return "xlsb"
        if "xl/workbook.xml" in folded:
            return "xlsm" if "xl/vbaproject.bin" in folded else "xlsx"
    for part, description in _FOREIGN_PARTS:
        if part in names:
            raise InputError(f"it is {description}, not a spreadsheet.")
    raise InputError("it is a zip archive, not a workbook; unpack it and use the file inside.")


def check_size(package: zipfile.ZipFile, path: Path) -> None:
    """Raise `InputError` if the declared sizes of the parts exceed a limit."""
    parts = package.infolist()
    if len(parts) > MAX_PARTS:
        raise InputError(f"the workbook has {len(parts):,} parts; {MAX_PARTS:,} are allowed.")
    expanded = sum(part.file_size for part in parts)
    if expanded > MAX_EXPANDED:
        raise InputError(f"the workbook expands to {expanded:,} bytes; {MAX_EXPANDED:,} are allowed.")
    packed = max(path.stat().st_size, 1)
    if expanded > RATIO_EXEMPT and expanded > MAX_RATIO * packed:
        raise InputError(
            f"the workbook expands to {expanded // packed:,} times its size; {MAX_RATIO} times are allowed."
        )


def read_blocks(package: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Yield the bytes of a part; raise `InputError` if its size or checksum differs from what the package declares."""
    with translate_damage():
        file = package.open(part)
    with file:
        while True:
            with translate_damage():
                block = file.read(_BLOCK)
            if not block:
                return
            yield block


def worksheet_parts(package: zipfile.ZipFile, file_format: str) -> dict[str, str]:
    """Map the name of each worksheet of an Excel package to its part."""
    by_folded_name = {name.lower().replace("\\", "/"): name for name in package.namelist()}
    extension = "bin" if file_format == "xlsb" else "xml"
    workbook = _small_part(package, by_folded_name, f"xl/workbook.{extension}")
    relations = _small_part(package, by_folded_name, f"xl/_rels/workbook.{extension}.rels")
    targets = {
        element.get("Id", ""): _resolve_target(element.get("Target", ""))
        for element in ElementTree.fromstring(relations)
    }
    ids = _binary_worksheet_ids(workbook) if file_format == "xlsb" else _xml_worksheet_ids(workbook)
    return {
        name: by_folded_name[targets[relation_id].lower()]
        for name, relation_id in ids
        if targets.get(relation_id, "").lower() in by_folded_name
    }


def _open_document_format(package: zipfile.ZipFile, names: set[str]) -> str:
    if package.getinfo("mimetype").file_size > _BLOCK or not package.read("mimetype").startswith(_ODS):
        raise InputError("it is an OpenDocument file, but not a spreadsheet.")
    if "META-INF/manifest.xml" in names:
        manifest = _small_part(package, {"manifest": "META-INF/manifest.xml"}, "manifest")
        if b"encryption-data" in manifest:
            raise InputError("the workbook is protected by a password; save it without one.")
    return "ods"


def _small_part(package: zipfile.ZipFile, names: dict[str, str], part: str) -> bytes:
    if part not in names:
        raise InputError(f"the workbook is damaged: the part {part} is missing.")
    if package.getinfo(names[part]).file_size > _MAX_SMALL_PART:
        raise InputError(f"the workbook is damaged: the part {part} is larger than {_MAX_SMALL_PART:,} bytes.")
    content = package.read(names[part])
    if b"<!DOCTYPE" in content:
        raise InputError("the workbook has a document type declaration, which no spreadsheet program writes.")
    return content


def _resolve_target(target: str) -> str:
    target = target.replace("\\", "/")
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join("xl", target))


def _xml_worksheet_ids(workbook: bytes) -> Iterator[tuple[str, str]]:
    for element in ElementTree.fromstring(workbook).iter():
        if element.tag.rpartition("}")[2] == "sheet":
            relation_id = element.get(_RELATION_ID) or element.get(_STRICT_RELATION_ID) or ""
            yield element.get("name", ""), relation_id


def _binary_worksheet_ids(workbook: bytes) -> Iterator[tuple[str, str]]:
    for record_type, data in binary_records([workbook]):
        if record_type == _BUNDLE_SHEET:
            relation_id, end = _binary_text(data, 8)
            name, _ = _binary_text(data, end)
            yield name, relation_id


def _binary_text(data: bytes, start: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, start)
    end = start + 4 + 2 * length
    return data[start + 4 : end].decode("utf-16-le", "replace"), end


def binary_records(stream: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the type and data of each record of an xlsb part: type (1 or 2 bytes), length (1 to 4 bytes), data."""
    data, position = b"", 0
    for block in stream:
        data, position = data[position:] + block, 0
        while True:
            record_type, start = _varint(data, position, 2)
            length, start = _varint(data, start, 4) if start else (0, 0)
            if not start or start + length > len(data):
                break
            position = start + length
            yield record_type, data[start:position]
    if position < len(data):
        raise InputError("the workbook is damaged or cut off: a record is incomplete.")


def _varint(data: bytes, position: int, max_bytes: int) -> tuple[int, int]:
    """Return a number and the position after it; the position is 0 if the data end too early."""
    value = 0
    for index in range(max_bytes):
        if position + index >= len(data):
            return 0, 0
        byte = data[position + index]
        # record types are decoded like lengths: low seven bits first
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    return value, position + max_bytes
