"""bulkload accepts the template, and the template explains every column."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

from bulkload.errors import UsageError
from bulkload.model import RawRow
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import map_header
from bulkload.monitors.validate import Valid, Validator
from bulkload.operations.template import write_template
from bulkload.protocols import MONITOR_TYPES


def rows_of(path: Path) -> list[tuple[str, ...]]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [tuple(row) for row in csv.reader(file)]
    sheet = load_workbook(path).worksheets[0]
    return [tuple("" if value is None else str(value) for value in row) for row in sheet.values]


@pytest.mark.parametrize("name", ["t.xlsx", "t.csv", "T.XLSX"])
def test_the_examples_are_one_valid_row_of_each_type(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_template(path)
    header, *rows = rows_of(path.rename(path.with_suffix(path.suffix.lower())))
    validator = Validator(map_header(header))
    checked = [validator.check(RawRow(number=n, cells=cells)) for n, cells in enumerate(rows, start=2)]
    types = [result.config.type for result in checked if isinstance(result, Valid) and not result.warnings]
    assert sorted(types) == sorted(MONITOR_TYPES)


def test_every_column_has_a_comment_and_every_choice_a_drop_down(tmp_path: Path) -> None:
    write_template(tmp_path / "t.xlsx")
    sheet = load_workbook(tmp_path / "t.xlsx")["monitors"]
    lists = {
        str(rule.sqref).rstrip("0123456789").split(":")[0]: rule.formula1
        for rule in sheet.data_validations.dataValidation
        if rule.type == "list"
    }
    for column, cell in enumerate(sheet[1], start=1):
        field = FIELDS[str(cell.value)]
        assert cell.comment is not None
        assert field.help in cell.comment.text
        assert field.example in cell.comment.text
        assert lists.get(f"{get_column_letter(column)}2") == (f'"{",".join(field.choices)}"' if field.choices else None)
    assert sheet.freeze_panes == "C2"


def test_the_second_worksheet_explains_every_column_and_alias(tmp_path: Path) -> None:
    write_template(tmp_path / "t.xlsx")
    sheet = load_workbook(tmp_path / "t.xlsx")["columns"]
    explained = {row[0]: row for row in sheet.iter_rows(min_row=2, values_only=True)}
    for field in FIELDS.values():
        assert explained[field.name][6] == (", ".join(field.aliases) or None)


def test_every_example_in_the_table_of_columns_is_accepted() -> None:
    for field in FIELDS.values():
        monitor_type = "imap" if "email-imap" in field.types else "round-trip"
        base = {"type": monitor_type, "name": "x", "billing_plancode": "P"}
        base |= {f.name: f.example for f in FIELDS.values() if f.required and f"email-{monitor_type}" in f.types} | {
            "type": monitor_type
        }
        base[field.name] = field.example
        result = Validator(map_header(tuple(base))).check(RawRow(number=2, cells=tuple(base.values())))
        assert isinstance(result, Valid), result


def test_an_existing_file_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "mine.xlsx"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match="already exists"):
        write_template(path)
    assert path.read_bytes() == b"mine"
    write_template(path, overwrite=True)
    assert load_workbook(path).sheetnames == ["monitors", "columns"]


@pytest.mark.parametrize("name", ["t.ods", "t", "no/such/folder/t.csv"])
def test_a_file_that_cannot_be_written_is_reported_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.$"):
        write_template(tmp_path / name)
