"""Texts that a program put in the place of what was meant are named; ordinary names are not."""

from __future__ import annotations

import pytest

from bulkload.model import RawRow
from bulkload.monitors.header import map_header
from bulkload.monitors.validate import Valid, Validator
from bulkload.stages.intake import check_rows

ROW = {
    "type": "imap",
    "name": "mx1",
    "hostname": "mx1.example.com",
    "billing_plancode": "UBM - A/A",
    "note": "",
    "alert_note": "",
    "api:group": "",
}
VALIDATOR = Validator(map_header(tuple(ROW)))


def codes_of(**cells: str) -> list[tuple[str, str]]:
    result = VALIDATOR.check(RawRow(number=2, cells=tuple({**ROW, **cells}.values())))
    found = result.warnings if isinstance(result, Valid) else result.issues
    return [(issue.code, issue.severity) for issue in found]


@pytest.mark.parametrize("field", ["name", "billing_plancode", "note", "alert_note", "api:group"])
@pytest.mark.parametrize(
    "text", ["#N/A", "#REF!", "#DIV/0!", "#NAME?", "#BEZUG!", "#¡REF!", "#¿NOMBRE?", "####", "Err:502"]
)
def test_an_error_that_a_spreadsheet_program_saved_as_text_is_no_value(field: str, text: str) -> None:
    [(code, severity)] = codes_of(**{field: text})
    assert (code.rpartition(".")[2], severity) == ("error", "error")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("=A2", "formula"),
        ("=$B$2&C2", "formula"),
        ('=CONCATENATE(A2;" IMAP")', "formula"),
        ('="mx"&A1', "formula"),
        ("='Other sheet'!A1", "formula"),
        ("2024-01-02", "date"),
        ("2024-01-02T00:00:00", "date"),
        ("2-Jan", "date"),
        ("Jan-24", "date"),
        ("0:15:00", "date"),
        ("1.2E+04", "rounded"),
        ("1,2E+04", "rounded"),
        ("NaN", "empty"),
        ("NULL", "empty"),
        ("(blank)", "empty"),
        ("\\N", "empty"),
        ("M?nchen", "damaged"),
        ("?????", "damaged"),
        ("BÃ¼ro MÃ¼nchen", "damaged"),
        ("mx\u00a01", "blank"),
        ("mx\u202f1", "blank"),
    ],
)
def test_a_name_that_is_probably_not_what_was_meant_has_a_warning(name: str, reason: str) -> None:
    assert codes_of(name=name) == [(f"name.{reason}", "warning")]


@pytest.mark.parametrize(
    "name",
    [
        *("mx 1", "#1", "#SALES", "# mail", "Error 502", "mx=1", "=", "=>", "= mail =", "-", "+49 30 123", "@home"),
        *("12-03 Mail", "2024-01-02 migration", "Jan", "May-mail", "5E3", "None of these", "nullmx", "Is it up?"),
        *("https://a.example/?b=c", "Büro München", "Ärzte", "メール", "naïve Ã", "Почта", "C# mail", "10:15 shuttle"),
        *("mail (blank)", "Null Island", "1.5", "42", "TRUE"),
    ],
)
def test_an_ordinary_name_has_no_doubt(name: str) -> None:
    assert codes_of(name=name) == []


@pytest.mark.parametrize("name", ["=A2", "NaN", "2024-01-02", "M?nchen", "#N/A"])
def test_rows_like_earlier_ones_are_doubted_as_well(name: str) -> None:
    layout = map_header(tuple(ROW))
    names = ("mx1", "mx2", "mx3", name, "mx4")
    rows = (RawRow(number=n, cells=tuple({**ROW, "name": text}.values())) for n, text in enumerate(names, start=2))
    checked = list(check_rows(rows, layout))
    assert [bool(row.issues) for row in checked] == [False, False, False, True, False]


@pytest.mark.parametrize("plan", ["UBM \u2013 A/A", "UBM-A/A", "UBM\u00a0- A/A", "UBM \u2212 A / A"])
def test_a_plan_code_with_another_dash_or_blank_has_a_warning(plan: str) -> None:
    assert codes_of(billing_plancode=plan) == [("billing_plancode.spelling", "warning")]
