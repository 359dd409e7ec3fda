"""Cells that could be read as formulas are protected in CSV files, whatever delimiter a program splits them at."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.files.formulas import neutralise, neutralise_all, restore

START = "=+-@\t\r＝＋－＠"
BLANKS_AND_QUOTES = " \"'\u00a0\x0b"
SEPARATORS = ",;\t|\r\n"
TEXT = st.text() | st.text(st.sampled_from(START + BLANKS_AND_QUOTES + SEPARATORS + "a1"), max_size=12)


def written(rows: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([*map(neutralise, row), "run-1"] for row in rows)
    return text.getvalue()


@given(TEXT)
def test_every_text_is_restored(text: str) -> None:
    assert restore(neutralise(text)) == text


@given(st.lists(TEXT, max_size=4))
def test_a_row_is_protected_like_its_cells(cells: list[str]) -> None:
    assert list(neutralise_all(cells)) == [neutralise(cell) for cell in cells]


@given(TEXT)
def test_protected_text_never_starts_like_a_formula(text: str) -> None:
    assert not neutralise(text).startswith(tuple(START))


@given(st.text(st.characters(exclude_characters=START)))
def test_text_without_a_character_that_starts_formulas_is_never_changed(text: str) -> None:
    assert neutralise(text) == text == restore(text)


@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=3), st.sampled_from(",;\t|"))
def test_no_cell_is_a_formula_at_any_delimiter(rows: list[list[str]], delimiter: str) -> None:
    text = written(rows)
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting):
            assert not [cell for cell in row if cell.lstrip(' "\u00a0\x0b').startswith(tuple(START))]


@given(st.lists(st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=3))
def test_rows_survive_writing_and_reading(rows: list[list[str]]) -> None:
    # Python 3.11 quotes a line break only if it is the file's line terminator
    rows = [[cell.replace("\r", "\r\n") for cell in row] for row in rows]
    read = csv.reader(io.StringIO(written(rows), newline=""))
    assert [[restore(cell) for cell in row[:-1]] for row in read] == rows


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("-5", "'-5"),
        ("+49 30 123", "'+49 30 123"),
        ("@user", "'@user"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("＝1", "'＝1"),
        ("'=1", "''=1"),
        ("''-", "'''-"),
        (" =1", "' =1"),
        ('"=1"', '\'"=1"'),
        ("x;=1+1;y", "x;'=1+1;y"),
        ("x; '=1", "x;' '=1"),
        ("a\tb|-c,@d", "a\tb|'-c,'@d"),
        ("\n=1+1", "\n'=1+1"),
        ("x\r\n- y\r\n\r\n- z", "x\r\n'- y\r\n\r\n'- z"),
        ("'quoted'", "'quoted'"),
        ("", ""),
        ("'", "'"),
        ("a=1", "a=1"),
        ("one, two; three", "one, two; three"),
        ("mx-1.example.com", "mx-1.example.com"),
    ],
)
def test_the_mark_is_one_apostrophe_where_a_cell_could_begin(text: str, written: str) -> None:
    assert neutralise(text) == written
    assert restore(written) == text
