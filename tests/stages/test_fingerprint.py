"""A file has the same fingerprint exactly as long as what is read from it is the same."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from bulkload.model import Input
from bulkload.settings import Options
from bulkload.stages.fingerprint import fingerprint_of

ROWS = (("type", "name", "hostname"), ("imap", "mx1", "mx1.example.com"), ("pop", "mx2", "mx2.example.com"))
AT = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)


def fingerprint(path: Path) -> str | None:
    return fingerprint_of(Input.at(path), Options())


def write(path: Path, rows: tuple[tuple[str, ...], ...] = ROWS, *, created: datetime = AT) -> Path:
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    workbook.properties.created = created.replace(tzinfo=None)
    workbook.save(path)  # which also notes the time of saving
    return path


def test_a_workbook_that_is_written_again_at_another_time_is_unchanged(tmp_path: Path) -> None:
    first = write(tmp_path / "first.xlsx")
    again = write(tmp_path / "again.xlsx", created=AT.replace(day=2))
    assert first.read_bytes() != again.read_bytes()
    assert fingerprint(first) == fingerprint(again)


def test_any_other_change_of_a_workbook_is_one(tmp_path: Path) -> None:
    prints = {fingerprint(write(tmp_path / "first.xlsx"))}
    prints.add(fingerprint(write(tmp_path / "cell.xlsx", (*ROWS[:2], ("pop", "mx2", "mx3.example.com")))))
    prints.add(fingerprint(write(tmp_path / "row.xlsx", ROWS[:2])))
    hidden = load_workbook(tmp_path / "first.xlsx")
    hidden.worksheets[0].row_dimensions[2].hidden = True
    hidden.save(tmp_path / "hidden.xlsx")
    prints.add(fingerprint(tmp_path / "hidden.xlsx"))
    assert None not in prints
    assert len(prints) == 4


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04"])
def test_a_file_that_is_no_workbook_is_told_by_its_bytes(damage: bytes, tmp_path: Path) -> None:
    prints = set()
    for number in range(2):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(damage + b"type,name,hostname\nimap,mx,mx%d.example.com\n" % number)
        prints.add(fingerprint(path))
    assert None not in prints
    assert len(prints) == 2


def test_a_workbook_behind_other_bytes_does_not_hide_them(tmp_path: Path) -> None:
    write(tmp_path / "hosts.xlsx")
    prints = set()
    for number in range(2):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(b"type,name,hostname\nimap,mx,mx%d.example.com\n" % number)
        with path.open("ab") as file, (tmp_path / "hosts.xlsx").open("rb") as workbook:
            shutil.copyfileobj(workbook, file)
        prints.add(fingerprint(path))
    assert len(prints) == 2


def test_a_damaged_workbook_is_told_by_its_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "hosts.xlsx")
    content = bytearray(path.read_bytes())
    whole = fingerprint(path)
    middle = content.index(b"xl/worksheets/sheet1.xml") + 60
    content[middle] ^= 0xFF
    path.write_bytes(content)
    assert fingerprint(path) not in (whole, None)
