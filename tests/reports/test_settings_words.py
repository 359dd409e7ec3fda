"""Settings are words, and never stop a report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.reports.settings_words import settings_in_words


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("rate", "5.0", ("Rate", "5 requests per second")),
        ("rate", "0.5", ("Rate", "30 requests per minute")),
        ("rate", "1.0", ("Rate", "1 request per second")),
        ("set", '{"interval":"15","port":"993"}', ("Set", "interval = 15, port = 993")),
        ("map", '{"Kind":"type"}', ("Map", "Kind = type")),
        ("on_existing", "update", ("On existing", "update: what differs is updated in monitors that exist")),
        ("request_timeout", "30.0", ("Request timeout", "30 s")),
        ("started by", "ann", ("Started by", "ann")),
    ],
)
def test_a_setting_in_words(name: str, text: str, shown: tuple[str, str]) -> None:
    assert settings_in_words({name: text}) == [shown]


def test_what_means_nothing_to_a_reader_is_left_out() -> None:
    assert settings_in_words({"sha256": "0" * 64, "results": "a.csv"}) == []


@given(st.sampled_from(["rate", "set", "map", "first", "concurrency", "request_timeout", "on_existing"]), st.text())
def test_any_text_is_shown(name: str, text: str) -> None:
    ((_, shown),) = settings_in_words({name: text})
    assert isinstance(shown, str)
