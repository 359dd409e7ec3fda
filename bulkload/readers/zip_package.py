"""Inspect the zip package of a workbook before it is decompressed.

In: a path. Out: the open package and the bytes of its parts; or an `InputError` for a package that is not a workbook,
is damaged, or would expand to more than is allowed.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

from bulkload.errors import InputError

MAX_EXPANDED = 2 << 30  # bytes of all parts together
MAX_RATIO = 250  # expanded to packed; the longest worksheets of equal rows reach about 100
RATIO_EXEMPT = 64 << 20  # bytes that may expand at any ratio, for small worksheets of nearly equal rows
MAX_PARTS = 10_000  # files in the package
_MAX_SMALL_PART = 8 << 20  # bytes of a part that only lists other parts
_BLOCK = 1 << 18  # bytes read at a time

_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_MANIFEST = "META-INF/manifest.xml"
_CONTENT_TYPES = "[Content_Types].xml"
_WIDE_DOCTYPE = "<!DOCTYPE".encode("utf-16-le").strip(b"\0")  # in both byte orders of UTF-16
# Files sent by mistake, recognised by a part that only they have
_FOREIGN_PARTS = (
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a PowerPoint presentation"),
    ("Index/Document.iwa", "a Numbers or Pages document; export it as Excel or CSV"),
    ("Index.zip", "a Numbers or Pages document; export it as Excel or CSV"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)
_FOREIGN_CONTENT_TYPES = (  # of the parts of other Office files, which may have any name
    (b"wordprocessingml", "a Word document"),
    (b"presentationml", "a PowerPoint presentation"),
    (b"ms-visio", "a Visio drawing"),
)


@contextmanager
def open_package(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a package. Leaving the context closes the file, even if a part is still being read."""
    with path.open("rb") as file:
        with translate_damage():
            package = zipfile.ZipFile(file)
        with package:
            _reject_two_versions(package)
            yield package


def _reject_two_versions(package: zipfile.ZipFile) -> None:
    """Raise `InputError` if the package has a part twice with different content, because either may be meant."""
    checksums: dict[str, tuple[int, int]] = {}
    for part in package.infolist():
        checksum = (part.CRC, part.file_size)
        if checksums.setdefault(part.filename, checksum) != checksum:
            raise InputError(
                f"the workbook is damaged: it has the part {part.filename} twice with different content; "
                "open it in a spreadsheet program, check it, and save it again."
            )


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
        reason = "" if isinstance(error, zipfile.BadZipFile) else f" ({error})"
        raise InputError(f"the workbook is damaged or cut off{reason}; save or send it again.") from error


def is_open_document(package: zipfile.ZipFile) -> bool:
    """True for an OpenDocument spreadsheet. Raises `InputError` for other OpenDocument files and protected ones."""
    names = set(package.namelist())
    if "content.xml" not in names or not {"mimetype", _MANIFEST} & names:
        return False
    manifest = small_part(package, _MANIFEST) if _MANIFEST in names else b""
    # a package that was unpacked and packed again by hand may have lost the part `mimetype`
    if _ODS not in (small_part(package, "mimetype") if "mimetype" in names else manifest):
        raise InputError("it is an OpenDocument file, but not a spreadsheet.")
    if b"encryption-data" in manifest:
        raise InputError("the workbook is protected by a password; save it without one.")
    return True


def reject_other_archive(package: zipfile.ZipFile) -> NoReturn:
    """Raise an `InputError` that names the type of a zip archive that is not a workbook."""
    names = set(package.namelist())
    for part, description in _FOREIGN_PARTS:
        if part in names:
            raise InputError(f"it is {description}, not a spreadsheet.")
    content_types = small_part(package, _CONTENT_TYPES) if _CONTENT_TYPES in names else b""
    for content_type, description in _FOREIGN_CONTENT_TYPES:
        if content_type in content_types:
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


def small_part(package: zipfile.ZipFile, part: str) -> bytes:
    """Return the bytes of a part that only lists other parts."""
    if part not in package.namelist():
        raise InputError(f"the workbook is damaged: the part {part} is missing.")
    if package.getinfo(part).file_size > _MAX_SMALL_PART:
        raise InputError(f"the workbook is damaged: the part {part} is larger than {_MAX_SMALL_PART:,} bytes.")
    content = package.read(part)
    if b"<!DOCTYPE" in content or _WIDE_DOCTYPE in content:
        raise InputError("the workbook has a document type declaration, which no spreadsheet program writes.")
    return content


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
