"""The summary of a run as a table, a JSON object and facts."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.model import RunInfo, Status
from bulkload.reports.summary import duration, headline, moment, run_json, sections, summary_table
from tests.support.report_samples import TEXT, run_info

COUNTS = {Status.CREATED: 1200, Status.EXISTS: 3, Status.INVALID: 4, Status.FAILED: 5, Status.UPDATED: 0}


def run(**changes: object) -> RunInfo:
    return replace(run_info([]), counts=COUNTS, **changes)  # type: ignore[arg-type]  # mypy sees one type for all fields


def test_the_table_has_each_status_with_its_next_step_and_then_the_run() -> None:
    assert summary_table(run(), [Path("output/hosts-results.xlsx"), Path("b.csv")]).splitlines() == [
        "created  1,200",
        "exists       3",
        "invalid      4  fix the row",
        "failed       5  run again",
        "──────────────",
        "rows     1,212  in 12 s, 1,047 requests (2 throttled)",
        "",
        "Results: output/hosts-results.xlsx",
        "Results: b.csv",
    ]


def test_the_table_says_in_one_line_why_a_run_stopped() -> None:
    assert (
        "Stopped early: First line. Second line."
        in summary_table(run(stopped="First line.\nSecond line.")).splitlines()
    )


def test_an_empty_run_has_a_table_too() -> None:
    assert summary_table(RunInfo(run_id="r", input="a", header=())) == "rows  0  in 0.0 s"


@given(text=TEXT)
def test_the_table_contains_no_control_characters(text: str) -> None:
    table = summary_table(run(stopped=f"\x1b[2J{text}\x9b"), [Path(f"a\x1b]0;{text.replace(chr(0), '')}\x07.csv")])
    assert [character for character in table if unicodedata.category(character) == "Cc" and character != "\n"] == []
    assert len(table.splitlines()) == 10


def test_the_json_object_has_the_documented_keys() -> None:
    summary = run_json(run(), results=[Path("output/a.xlsx")], exit_code=1)
    assert json.loads(json.dumps(summary)) == {
        "run_id": "r1",
        "input": "hosts.csv",
        "results": [str(Path("output/a.xlsx"))],
        "counts": {"created": 1200, "exists": 3, "invalid": 4, "failed": 5},
        "rows": 1212,
        "seconds": 12.34,
        "requests": {"sent": 1047, "throttled": 2, "retried": 0},
        "exit_code": 1,
        "stopped": None,
        "read_as": {"encoding": "UTF-8"},
    }
    assert run_json(run(stopped="The login is refused."))["stopped"] == "The login is refused."


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({}, "The input has no rows."),
        ({Status.CREATED: 1}, "The only row is done."),
        ({Status.CREATED: 1200, Status.EXISTS: 34}, "All 1,234 rows are done."),
        ({Status.UNKNOWN: 1}, "Of 1 row: 1 to run again."),
        (COUNTS, "Of 1,212 rows: 1,203 done, 4 to fix, 5 to run again."),
        ({Status.REMOVED: 2, Status.CREATED: 1}, "Of 3 rows: 1 done, 2 removed."),
        (
            {Status.WILL_CREATE: 5, Status.WILL_UPDATE: 1, Status.EXISTS: 2, Status.DUPLICATE: 1},
            "Of 9 rows: 6 to be sent, 2 already done, 1 to fix.",
        ),
    ],
)
def test_the_headline(counts: dict[Status, int], sentence: str) -> None:
    assert headline(replace(run_info([]), counts=counts)) == sentence


@given(st.dictionaries(st.sampled_from(list(Status)), st.integers(0, 10**7)))
def test_the_parts_of_the_headline_add_up_to_the_rows(counts: dict[Status, int]) -> None:
    sentence = headline(replace(run_info([]), counts=counts))
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", sentence)]
    if sentence.startswith("Of "):
        assert numbers[0] == sum(numbers[1:]) == sum(counts.values())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.6, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (360_000, "100 h 0 min"),
    ],
)
def test_a_duration_as_text(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("2026-11-22T11:00:30.123456+00:00", "2026-11-22 11:00:30 UTC"),
        ("2026-11-22T11:00:30Z", "2026-11-22 11:00:30 UTC"),
        ("2026-11-22T11:00:30", "2026-11-22 11:00:30 UTC"),
        ("2026-11-22T01:00:30+02:00", "2026-11-21 23:00:30 UTC"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_a_moment_is_formatted_in_utc_and_other_text_is_not_changed(text: str, formatted: str) -> None:
    assert moment(text) == formatted


def test_empty_facts_are_omitted() -> None:
    [only] = sections(RunInfo(run_id="r", input="a", header=()))
    assert only.facts == (("Run", "r"), ("Input", "a"), ("Rows", "0"))
