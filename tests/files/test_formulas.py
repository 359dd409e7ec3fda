"""Cells that could be read as formulas are protected in CSV files; all others stay unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.files.formulas import neutralise, restore

START = "=+-@\t\r"
TEXT = st.text() | st.from_regex(r"\A'{0,3}[=+\-@\t\r'a ]{0,3}.{0,5}\Z")


@given(TEXT)
def test_every_text_is_restored(text: str) -> None:
    assert restore(neutralise(text)) == text


@given(TEXT)
def test_protected_text_never_starts_like_a_formula(text: str) -> None:
    assert not neutralise(text).startswith(tuple(START))


@given(TEXT.filter(lambda text: not text.lstrip("'").startswith(tuple(START))))
def test_harmless_text_is_never_changed(text: str) -> None:
    assert neutralise(text) == text == restore(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("-5", "'-5"),
        ("+49 30 123", "'+49 30 123"),
        ("@user", "'@user"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("'=1", "''=1"),
        ("''-", "'''-"),
        ("'quoted'", "'quoted'"),
        ("", ""),
        ("'", "'"),
        ("a=1", "a=1"),
    ],
)
def test_the_mark_is_one_leading_apostrophe(text: str, written: str) -> None:
    assert neutralise(text) == written
    assert restore(written) == text
