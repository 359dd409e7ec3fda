"""Shortened names fit into file systems, and stay different and stable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.files.names import shorten


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(min_value=16, max_value=64))
def test_a_shortened_name_has_at_most_so_many_bytes_and_whole_characters(stem: str, most: int) -> None:
    short = shorten(stem, most)
    assert len(short.encode()) <= most
    assert short == shorten(stem, most) == shorten(short, most)
    assert short == stem or stem.startswith(short[:-9])


@pytest.mark.parametrize("character", ["x", "é", "郵", "📮"])
def test_different_names_stay_different(character: str) -> None:
    stems = [100 * character + end for end in ("", "a", "b")]
    assert len({shorten(stem, 100) for stem in stems}) == 3
    assert shorten(stems[0][:20], 100) == stems[0][:20]
