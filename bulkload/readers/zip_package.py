"""The zip package of a workbook, looked at before anything expands it.

In: a path. Out: which kind of workbook it is and where its sheets are; or an `InputError` for a package that is
something else, is damaged, or would expand to more than is allowed.
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
MAX_RATIO = 250  # expanded to packed; the longest sheets of equal rows reach about 100
RATIO_FREE = 64 << 20  # bytes that may expand at any ratio, for small sheets that are nearly all alike
MAX_PARTS = 10_000  # files in the package
_MAX_SMALL_PART = 8 << 20  # bytes of a part that lists other parts
_BLOCK = 1 << 18  # bytes read at a time

_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
_BUNDLE_SHEET = 156  # the xlsb record that names a sheet
# What people send by mistake, by a part that only such a file has
_FOREIGN = (
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a PowerPoint presentation"),
    ("Index/Document.iwa", "a Numbers or Pages document; export it as Excel or CSV"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a package while the context lasts. The file is closed with it, even if a part is still being read."""
    with path.open("rb") as file:
        with damage_translated():
            package = zipfile.ZipFile(file)
        with package:
            yield package


@contextmanager
def damage_translated() -> Iterator[None]:
    """Say in our words what zipfile and the XML parser raise about a damaged package."""
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:  # how zipfile says: strange compression, encrypted
        raise InputError(f"the package cannot be unpacked ({error}); save the workbook without protection.") from error
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        struct.error,
        ElementTree.ParseError,
        EOFError,
        KeyError,
        ValueError,
    ) as error:
        raise InputError(f"the workbook is damaged or cut off ({error}); save or send it again.") from error


def kind_of(package: zipfile.ZipFile) -> str:
    """Return xlsx, xlsm, xlsb or ods; what is none of them is refused by the name people know it by."""
    names = {info.filename for info in package.infolist()}
    if "mimetype" in names and "content.xml" in names:
        return _open_document_kind(package, names)
    folded = {name.lower().replace("\\", "/") for name in names}
    if "[content_types].xml" in folded:
        if "xl/workbook.bin" in folded:
            return "xlsb"
        if "xl/workbook.xml" in folded:
            return "xlsm" if "xl/vbaproject.bin" in folded else "xlsx"
    for part, what in _FOREIGN:
        if part in names:
            raise InputError(f"it is {what}, not a spreadsheet.")
    raise InputError("it is a zip archive, not a workbook; unpack it and give the file inside.")


def guard(package: zipfile.ZipFile, path: Path) -> None:
    """Refuse a package that says it expands to more than is allowed."""
    parts = package.infolist()
    if len(parts) > MAX_PARTS:
        raise InputError(f"the workbook has {len(parts):,} parts; {MAX_PARTS:,} are allowed.")
    expanded = sum(part.file_size for part in parts)
    if expanded > MAX_EXPANDED:
        raise InputError(f"the workbook expands to {expanded:,} bytes; {MAX_EXPANDED:,} are allowed.")
    packed = max(path.stat().st_size, 1)
    if expanded > RATIO_FREE and expanded > MAX_RATIO * packed:
        raise InputError(
            f"the workbook expands to {expanded // packed:,} times its size; {MAX_RATIO} times is allowed."
        )


def blocks(package: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Yield the bytes of a part; its true size and check sum are held against what the package says."""
    with damage_translated():
        file = package.open(part)
    with file:
        while True:
            with damage_translated():
                block = file.read(_BLOCK)
            if not block:
                return
            yield block


def sheet_parts(package: zipfile.ZipFile, kind: str) -> dict[str, str]:
    """Return the part in which every sheet of an Excel package is, by the sheet's name."""
    by_folded_name = {name.lower().replace("\\", "/"): name for name in package.namelist()}
    extension = "bin" if kind == "xlsb" else "xml"
    book = _small_part(package, by_folded_name, f"xl/workbook.{extension}")
    relations = _small_part(package, by_folded_name, f"xl/_rels/workbook.{extension}.rels")
    targets = {
        element.get("Id", ""): _resolve(element.get("Target", "")) for element in ElementTree.fromstring(relations)
    }
    ids = _binary_sheet_ids(book) if kind == "xlsb" else _xml_sheet_ids(book)
    return {
        name: by_folded_name[targets[identifier].lower()]
        for name, identifier in ids
        if targets.get(identifier, "").lower() in by_folded_name
    }


def _open_document_kind(package: zipfile.ZipFile, names: set[str]) -> str:
    if package.getinfo("mimetype").file_size > _BLOCK or not package.read("mimetype").startswith(_ODS):
        raise InputError("it is an OpenDocument file, but not a spreadsheet.")
    if "META-INF/manifest.xml" in names:
        manifest = _small_part(package, {"manifest": "META-INF/manifest.xml"}, "manifest")
        if b"encryption-data" in manifest:
            raise InputError("the workbook is protected by a password; save it without one.")
    return "ods"


def _small_part(package: zipfile.ZipFile, names: dict[str, str], part: str) -> bytes:
    if part not in names:
        raise InputError(f"the workbook is damaged: it has no part {part}.")
    if package.getinfo(names[part]).file_size > _MAX_SMALL_PART:
        raise InputError(f"the workbook is damaged: its part {part} is larger than {_MAX_SMALL_PART:,} bytes.")
    content = package.read(names[part])
    if b"<!DOCTYPE" in content:
        raise InputError("the workbook has a document type declaration, which no spreadsheet program writes.")
    return content


def _resolve(target: str) -> str:
    target = target.replace("\\", "/")
    return target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join("xl", target))


def _xml_sheet_ids(book: bytes) -> Iterator[tuple[str, str]]:
    for element in ElementTree.fromstring(book).iter():
        if element.tag.rpartition("}")[2] == "sheet":
            identifier = element.get(_RELATION) or element.get(_STRICT_RELATION) or ""
            yield element.get("name", ""), identifier


def _binary_sheet_ids(book: bytes) -> Iterator[tuple[str, str]]:
    for kind, data in records([book]):
        if kind == _BUNDLE_SHEET:
            identifier, rest = _binary_text(data, 8)
            name, _ = _binary_text(data, rest)
            yield name, identifier


def _binary_text(data: bytes, start: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, start)
    end = start + 4 + 2 * length
    return data[start + 4 : end].decode("utf-16-le", "replace"), end


def records(stream: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a binary part: a number of one or two bytes, a length of up to four, the data."""
    data, position = b"", 0
    for block in stream:
        data, position = data[position:] + block, 0
        while True:
            kind, start = _varint(data, position, 2)
            length, start = _varint(data, start, 4) if start else (0, 0)
            if not start or start + length > len(data):
                break
            position = start + length
            yield kind, data[start:position]
    if position < len(data):
        raise InputError("the workbook is damaged or cut off: a record is not complete.")


def _varint(data: bytes, position: int, most: int) -> tuple[int, int]:
    """Return a number and where it ends; the end is 0 when the data stop before it."""
    value = 0
    for index in range(most):
        if position + index >= len(data):
            return 0, 0
        byte = data[position + index]
        # the two bytes of a record number are kept as they are in the specification: low seven bits first
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    return value, position + most
