"""Find the parts of an Excel package: the workbook, its worksheets, its styles and its shared strings.

In: a zip package. Out: an `ExcelPackage`. A part may have any name: the relationships of the package name the workbook,
and the relationships of the workbook name the rest. Only these decide, as in Excel.
"""

from __future__ import annotations

import posixpath
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree

from bulkload.errors import InputError
from bulkload.readers.zip_package import binary_records, small_part

_ROOT_RELATIONS = "_rels/.rels"
_RELATION_ID = re.compile(r"\{http://(?:schemas\.openxmlformats\.org|purl\.oclc\.org)/[^}]*/relationships\}id")
_CALCULATE_ON_LOAD = re.compile(rb"""<(?:\w+:)?calcPr\s[^>]*\bfullCalcOnLoad\s*=\s*["'](?:1|true)["']""")
_BUNDLE_SHEET = 156  # the xlsb record that names a worksheet
_WORKBOOK_PROPERTIES = 153  # the xlsb record whose first bit selects dates from 1904


class Worksheet(NamedTuple):
    """One worksheet of a workbook."""

    name: str
    part: str | None  # None if the package does not have the part
    is_visible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcelPackage:
    """What an Excel package contains; the parts have the names that the zip archive uses."""

    format: str  # xlsx, xlsm or xlsb
    workbook: str
    worksheets: tuple[Worksheet, ...]
    styles: str | None
    strings: str | None
    has_1904_dates: bool
    is_uncalculated: bool = False  # its formulas are to be calculated when it is opened; until then, they may be 0

    @property
    def has_usual_names(self) -> bool:
        """True if the parts have the names that Excel gives them, the only ones that calamine finds."""
        suffix = "bin" if self.format == "xlsb" else "xml"
        usual = (("workbook", self.workbook), ("styles", self.styles), ("sharedStrings", self.strings))
        return all(part is None or _folded(part) == f"xl/{name}.{suffix}".lower() for name, part in usual)


class _Relation(NamedTuple):
    kind: str  # the last word of the type
    part: str | None


def find_workbook_part(package: zipfile.ZipFile) -> str | None:
    """Return the part that holds the workbook; None if the package is not one of Excel."""
    names = _by_folded_name(package)
    if "[content_types].xml" not in names:
        return None
    targets: list[str | None] = ["xl/workbook.xml", "xl/workbook.bin"]
    if _ROOT_RELATIONS in names:
        relations = _relations(package, names, _ROOT_RELATIONS, "").values()
        targets = [each.part for each in relations if each.kind == "officeDocument"] + targets
    for target in targets:
        if target is not None and target in names.values() | names.keys():
            part = names.get(_folded(target), target)
            if _is_workbook(package, part):
                return part
    return None


def read_excel_package(package: zipfile.ZipFile, workbook: str) -> ExcelPackage:
    """Read which worksheets the workbook has, and in which parts they are."""
    names = _by_folded_name(package)
    folder, _, file = workbook.replace("\\", "/").rpartition("/")
    relations = _relations(package, names, posixpath.join(folder, "_rels", f"{file}.rels"), folder)
    content = small_part(package, workbook)
    is_binary = _is_binary(content)
    listed, has_1904_dates = _read_binary_workbook(content) if is_binary else _read_xml_workbook(content)
    is_uncalculated = not is_binary and _CALCULATE_ON_LOAD.search(content) is not None
    worksheets = []
    for name, relation_id, is_visible in listed:
        relation = relations.get(relation_id, _Relation("worksheet", None))
        if relation.kind == "worksheet":
            worksheets.append(Worksheet(name, relation.part, is_visible))

    def part_of_kind(kind: str) -> str | None:
        """Return the part of this kind; without a relationship, calamine finds it by its usual name."""
        related = [each.part for each in relations.values() if each.kind == kind and each.part is not None]
        return related[0] if related else names.get(f"xl/{kind}.{'bin' if is_binary else 'xml'}".lower())

    has_macros = any(each.kind == "vbaProject" for each in relations.values()) or "xl/vbaproject.bin" in names
    return ExcelPackage(
        format="xlsb" if is_binary else "xlsm" if has_macros else "xlsx",
        workbook=workbook,
        worksheets=tuple(worksheets),
        styles=part_of_kind("styles"),
        strings=part_of_kind("sharedStrings"),
        has_1904_dates=has_1904_dates,
        is_uncalculated=is_uncalculated,
    )


def _relations(package: zipfile.ZipFile, names: Mapping[str, str], part: str, folder: str) -> dict[str, _Relation]:
    """Read a part with relationships; their targets count from the folder unless they begin with a slash."""
    if _folded(part) not in names:
        raise InputError(f"the workbook is damaged: the part {part} is missing.")
    relations = {}
    for element in ElementTree.fromstring(small_part(package, names[_folded(part)])):
        kind = element.get("Type", "").rpartition("/")[2]
        target = element.get("Target", "").replace("\\", "/")
        path = posixpath.normpath(posixpath.join(folder, target)).lstrip("/")
        relations[element.get("Id", "")] = _Relation(kind, names.get(_folded(path)))
    return relations


def _read_xml_workbook(content: bytes) -> tuple[list[tuple[str, str, bool]], bool]:
    """Return the name, relationship ID and visibility of each worksheet, and whether dates count from 1904."""
    worksheets, has_1904_dates = [], False
    for element in ElementTree.fromstring(content).iter():
        tag = element.tag.rpartition("}")[2]
        if tag == "sheet":
            relation_id = next((value for key, value in element.items() if _RELATION_ID.fullmatch(key)), "")
            worksheets.append((element.get("name", ""), relation_id, element.get("state", "visible") == "visible"))
        elif tag == "workbookPr":
            has_1904_dates = element.get("date1904", "").lower() in ("1", "true", "on")
    return worksheets, has_1904_dates


def _read_binary_workbook(content: bytes) -> tuple[list[tuple[str, str, bool]], bool]:
    worksheets, has_1904_dates = [], False
    for record_type, data in binary_records([content]):
        if record_type == _BUNDLE_SHEET:
            relation_id, end = _binary_text(data, 8)
            name, _ = _binary_text(data, end)
            worksheets.append((name, relation_id, data[0] == 0))
        elif record_type == _WORKBOOK_PROPERTIES:
            has_1904_dates = bool(data[0] & 1)
    return worksheets, has_1904_dates


def _binary_text(data: bytes, start: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<I", data, start)
    end = start + 4 + 2 * length
    return data[start + 4 : end].decode("utf-16-le", "replace"), end


def _is_workbook(package: zipfile.ZipFile, part: str) -> bool:
    """True for the main part of a workbook; a Word document names its main part in the same way."""
    content = small_part(package, part)
    if _is_binary(content):
        return True
    tag: str = ElementTree.fromstring(content).tag
    return tag.rpartition("}")[2] == "workbook"


def _is_binary(content: bytes) -> bool:
    return content[:2] == b"\x83\x01"  # the record that begins a workbook


def _by_folded_name(package: zipfile.ZipFile) -> dict[str, str]:
    return {_folded(name): name for name in package.namelist()}


def _folded(name: str) -> str:
    return name.lower().replace("\\", "/").lstrip("/")
