"""The sample files are valid, or have the errors that they demonstrate."""

from __future__ import annotations

import csv
import tomllib

from openpyxl import load_workbook

from bulkload.model import RawRow
from bulkload.monitors.header import map_header
from bulkload.monitors.validate import Invalid, Valid, Validator
from tests.support.paths import SAMPLES


def checked(name: str) -> list[Valid | Invalid]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    validator = Validator(map_header(header))
    return [validator.check(RawRow(number=n, cells=tuple(cells))) for n, cells in enumerate(rows, start=2)]


def test_the_mail_hosts_are_valid_and_have_no_duplicates() -> None:
    results = checked("mail-hosts.csv")
    keys = [result.config.key for result in results if isinstance(result, Valid) and not result.warnings]
    assert len(set(keys)) == len(results) >= 40


def test_both_files_of_mail_hosts_have_the_same_rows() -> None:
    sheet = load_workbook(SAMPLES / "mail-hosts.xlsx").worksheets[0]
    with (SAMPLES / "mail-hosts.csv").open(encoding="utf-8", newline="") as file:
        assert [[str(value) for value in row] for row in sheet.values] == list(csv.reader(file))


def test_the_mistakes_are_of_many_kinds_and_only_the_first_row_is_valid() -> None:
    results = checked("mistakes.csv")
    codes = {issue.code for result in results if isinstance(result, Invalid) for issue in result.issues}
    assert [isinstance(result, Valid) for result in results] == [True] + [False] * (len(results) - 1)
    assert len(codes) >= 35


def test_the_defaults_in_the_settings_are_valid() -> None:
    settings = tomllib.loads((SAMPLES / "bulkload.toml").read_text(encoding="utf-8"))
    Validator(map_header(("type", "name", "host"), given=settings["defaults"]), defaults=settings["defaults"])
    assert settings["rate"] == "5/s"
    assert "output" not in settings  # or the store of an inbox would not be in its folder
