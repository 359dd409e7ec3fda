"""German, French and Spanish words: each means one thing, in every spelling, and nothing is guessed."""

from __future__ import annotations

import unicodedata

import pytest

from bulkload.monitors.fields import ALIASES, ENGLISH_ALIASES, FIELDS
from bulkload.monitors.header import field_named, map_header
from bulkload.monitors.other_languages import HEADERS, PUBLISHED_SWITCHES, spellings
from bulkload.monitors.result_columns import normalise
from bulkload.monitors.values import CellError, switch

WORDS = [(word, name) for name, words in HEADERS.items() for word in words]


def test_no_word_names_two_fields() -> None:
    fields: dict[str, set[str]] = {}
    for word, name in WORDS:
        for spelling in spellings(word):
            fields.setdefault(normalise(spelling), set()).add(name)
    for name in (*ENGLISH_ALIASES,):
        fields.setdefault(name, set()).add(ENGLISH_ALIASES[name])
    assert {word: names for word, names in fields.items() if len(names) > 1} == {}
    assert set(HEADERS) <= set(FIELDS)
    assert ALIASES.keys() == fields.keys()


@pytest.mark.parametrize(("word", "name"), WORDS)
def test_case_accents_and_spaces_do_not_matter(word: str, name: str) -> None:
    plain = "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    for text in (word, word.upper(), unicodedata.normalize("NFD", word), plain, f" {word.replace(' ', '_')} "):
        assert field_named(text) == name


def test_no_word_means_both_yes_and_no() -> None:
    yes, no = ({spelling for word in words for spelling in spellings(word)} for words in PUBLISHED_SWITCHES)
    assert not yes & no
    for words, value in ((yes, True), (no, False)):
        for word in words:
            assert switch("enabled", word) is value
            assert switch("enabled", unicodedata.normalize("NFD", word.title())) is value


@pytest.mark.parametrize("text", ["jaja", "ne", "sim", "o", "nee", "aktivv"])
def test_a_similar_word_is_not_a_yes_or_no(text: str) -> None:
    with pytest.raises(CellError):
        switch("enabled", text)


def test_a_header_in_german_is_mapped() -> None:
    header = ("Bezeichnung", "Servername", "Typ", "Abrechnungsplan", "Intervall (Minuten)", "Aktiviert", "Bemerkung")
    expected = ("name", "hostname", "type", "billing_plancode", "interval", "enabled", "note")
    assert map_header(header).fields == expected
