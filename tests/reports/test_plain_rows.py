"""Rows that are written whole: every byte of the worksheets is as if they were written cell by cell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

from bulkload.model import Issue, ReportRow, Status
from bulkload.reports import plain_rows
from bulkload.reports.results_workbook import write_workbook
from tests.support.report_samples import TRICKY_TEXTS, one_row_per_status, row, run_info

NASTY_TEXTS = (
    *TRICKY_TEXTS,
    "",
    " ",
    " a",
    "a ",
    "a | b",
    "|",
    "\ta",
    "\N{NO-BREAK SPACE}a",
    "a\N{LINE SEPARATOR}b",
    "100 %",
    "%s %d %.0s %(a)s",
    "{} {0}",
    "_x",
    "_x000D_",
    "_x000d_ and _x005F_x000D_",
    "&<>\"'",
    "&amp;",
    "]]>",
    "half \ud83d",
    "\ufffe\uffff\ufffd",
    "\x7f\x80\x9f",
    "\U0001f469\u200d\U0001f680 \U0010ffff",
    "x" * 8_000,
    "x" * 32_767,
    "\U0001f4ec" * 20_000,
)
ANY_TEXT = st.sampled_from(NASTY_TEXTS) | st.text(max_size=20) | st.text("|_x0aF &<>%\0\n \ud800", max_size=9)
PLAIN_TEXT = st.sampled_from(
    ["", "imap", "Mail of site 7", "m.example.org", "993", "Büro", "日本", "\U0001f4ec", "'=1"]
)
WARNING = Issue(code="c", message="This is odd.", column="port", severity="warning")
WHOLE_ROW = Issue(code="c", message="The row is odd.")


@st.composite
def rows(draw: st.DrawFn) -> ReportRow:
    """Any row of results: most are plain, some have nasty texts, marks, long errors or large numbers."""
    text = draw(st.sampled_from([PLAIN_TEXT, PLAIN_TEXT, ANY_TEXT]))
    return ReportRow(
        source_row=draw(st.integers(1, 2_000_000) | st.integers(0, 10**20)),
        cells=tuple(draw(text) for _ in range(4)),
        status=draw(st.sampled_from(Status)),
        monitor_id=draw(text),
        error=draw(text | st.sampled_from(["x" * 63, "x" * 64, "日" * 40, "word " * 30])),
        error_columns=draw(st.sampled_from([(), (), ("port",), ("not there",)])),
        attempts=draw(st.integers(0, 3)),
        issues=draw(st.sampled_from([(), (), (), (WARNING,), (WHOLE_ROW,)])),
    )


def parts(path: Path) -> dict[str, bytes]:
    """The files in a workbook, without the time, and with each cell's format in place of its number.

    XlsxWriter numbers formats as they are first used. That of a worksheet's last row is used only in the end if it is
    written cell by cell.
    """
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name != "docProps/core.xml"}
    formats = cell_formats(files.pop("xl/styles.xml"))
    for name in files:
        if name.startswith("xl/worksheets/sheet"):
            files[name] = re.sub(rb' s="(\d+)"', lambda match: formats[int(match.group(1))], files[name])
    return files


def cell_formats(styles: bytes) -> list[bytes]:
    """What each cell format consists of."""
    root = ElementTree.fromstring(styles)
    kinds = {kind: root.findall(f"{{*}}{kind}s/*") for kind in ("font", "fill", "border", "cellXf")}

    def resolved(cell_format: ElementTree.Element) -> bytes:
        parts = [kinds[kind][int(cell_format.attrib.pop(f"{kind}Id"))] for kind in ("font", "fill", "border")]
        return b"".join(map(ElementTree.tostring, (cell_format, *parts)))

    return [resolved(cell_format) for cell_format in kinds["cellXf"]]


def written_both_ways(folder: Path, sample: Sequence[ReportRow], **options: Any) -> tuple[Path, Path]:
    """Two workbooks of the same rows: written whole where they are plain, and cell by cell."""
    whole, cells = folder / "whole.xlsx", folder / "cells.xlsx"
    write_workbook(whole, run_info(sample), sample, **options)
    write_workbook(cells, run_info(sample), sample, **options, cell_by_cell=True)
    return whole, cells


@given(sample=st.lists(rows(), max_size=12), sheet_rows=st.integers(2, 13))
@example(sample=[row(text, text, text, text, monitor_id=text) for text in NASTY_TEXTS], sheet_rows=20)
@example(
    sample=[row(), row(error="x" * 64), row(), row("", " ", "", ""), row(), row(issues=(WARNING,)), row()],
    sheet_rows=50,
)
@settings(deadline=None)
def test_every_part_of_the_workbook_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, sample: list[ReportRow], sheet_rows: int
) -> None:
    whole, cells = written_both_ways(tmp_path_factory.mktemp("xlsx"), sample, sheet_rows=sheet_rows)
    assert parts(whole) == parts(cells)


def cells_of(path: Path) -> list[tuple[object, ...]]:
    """What openpyxl shows of every cell: value, type, formats and comment."""
    [sheet, *_] = openpyxl.load_workbook(path).worksheets
    return [
        (cell.value, cell.data_type, cell.number_format, cell.fill.fgColor.rgb, cell.font.b, cell.alignment.vertical)
        for line in sheet.iter_rows()
        for cell in line
    ]


def test_other_programs_read_the_same_cells(tmp_path: Path) -> None:
    sample = [
        row(text, "x", "", text, status=status, source_row=n)
        for n, text in enumerate(NASTY_TEXTS[:40], 2)
        for status in (Status.CREATED, Status.FAILED)
        if text.encode("utf-8", "ignore").decode() == text
    ]
    whole, cells = written_both_ways(tmp_path, sample)
    assert cells_of(whole) == cells_of(cells)
    lines = CalamineWorkbook.from_path(whole).get_sheet_by_index(0).to_python()
    assert [line[:4] for line in lines[1:]] == [list(result.cells) for result in sample]


def test_plain_rows_are_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast way is taken: XlsxWriter is asked for the cells of the header and the other rows only."""
    rows_of_cells = set()
    write_string = Worksheet.write_string

    def noting(worksheet: Worksheet, row: int, *rest: object) -> object:
        rows_of_cells.add((worksheet.name, row))
        return write_string(worksheet, row, *rest)

    monkeypatch.setattr(Worksheet, "write_string", noting)
    write_workbook(tmp_path / "out.xlsx", run_info([]), [row(), row(), row("a ", "b", "c", "d"), row()])
    assert {number for name, number in rows_of_cells if name == "results"} == {0, 3}


def with_blanks_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """XlsxWriter as another version may be: each text says that its blanks are to be kept."""
    write = Worksheet._xml_inline_string
    monkeypatch.setattr(
        Worksheet, "_xml_inline_string", lambda own, text, _, attributes: write(own, text, True, attributes)
    )


def without_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """XlsxWriter as another version may be: a worksheet does not accept a file that is not on the disk."""

    def set_file(worksheet: Worksheet, file: object) -> None:
        if isinstance(file, StringIO):
            raise TypeError("not a file on the disk")
        vars(worksheet)["fh"] = file

    file_property = property(lambda worksheet: vars(worksheet)["fh"], set_file)
    monkeypatch.setattr(Worksheet, "fh", file_property, raising=False)


@pytest.mark.parametrize("change", [with_blanks_kept, without_other_files])
def test_with_another_xlsxwriter_all_rows_are_written_cell_by_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    assert plain_rows.is_supported()
    sample = one_row_per_status()
    plain_rows.is_supported.cache_clear()
    try:
        change(monkeypatch)
        assert not plain_rows.is_supported()
        whole, cells = written_both_ways(tmp_path, sample)
    finally:
        plain_rows.is_supported.cache_clear()
    assert parts(whole) == parts(cells)
    lines = CalamineWorkbook.from_path(whole).get_sheet_by_index(0).to_python()
    assert [line[:4] for line in lines[1:]] == [list(result.cells) for result in sample]


def test_memory_does_not_grow_with_the_ways_in_which_cells_are_empty(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        sample = (row(*["" if n >> bit & 1 else "x" for bit in range(14)]) for n in range(count))
        tracemalloc.start()
        write_workbook(tmp_path / "out.xlsx", run_info([], header=tuple("abcdefghijklmn")), sample)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(10)  # imports, which happen only once
    assert peak(8_000) < peak(1_000) + 100_000


FULL_DISK = """
import gc, os, resource, signal, sys, warnings
from pathlib import Path
from bulkload.errors import StoreError
from bulkload.files.atomic import atomic_write
from bulkload.reports.results_workbook import write_workbook
from tests.support.report_samples import one_row_per_status, row, run_info

def write():
    with atomic_write(path) as draft:
        write_workbook(draft, run_info(rows), rows, sheet_rows=60)

def open_files():
    return len(os.listdir("/proc/self/fd"))

warnings.simplefilter("error")
left_open = []
sys.unraisablehook = lambda problem: left_open.append(repr(problem.exc_value))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1]) / "out.xlsx"
rows = [row("imap", os.urandom(300).hex(), "h", "1") for n in range(300)] + one_row_per_status() * 9
write()
size = path.stat().st_size
path.unlink()
before = open_files()
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for part in range(20):  # of the size at which the disk is full: from the first row to the end of the archive
    resource.setrlimit(resource.RLIMIT_FSIZE, (size * part // 20, most))
    try:
        write()
    except StoreError as error:
        assert str(error) == f"{path} cannot be written: file too large."
    else:
        raise AssertionError("the disk was not full")
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    gc.collect()
    assert os.listdir(path.parent) == [], part
    assert left_open == [], (part, left_open)
    assert open_files() == before, part
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and limits of file sizes")
def test_a_full_disk_leaves_no_file_and_nothing_open(tmp_path: Path) -> None:
    """Whichever file cannot grow any more: that of a worksheet's rows, of a finished worksheet, or the workbook."""
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
