"""What a value of Python, NumPy or pandas means in a cell."""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bulkload as bl
from bulkload.readers.python_values import UnusableValue, value_text
from tests.python.conftest import hosts


class Port(enum.IntEnum):
    IMAPS = 993


class Kind(enum.StrEnum):
    IMAP = "imap"


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __ne__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


EMPTY = [
    *(None, float("nan"), np.nan, pd.NaT, pd.NA, np.float32("nan"), ""),
    *(decimal.Decimal("NaN"), decimal.Decimal("sNaN")),
]
SAME: list[tuple[Any, str]] = [
    ("NA", "NA"),
    ("nan", "nan"),
    ("None", "None"),
    (" x ", " x "),
    (993, "993"),
    (993.0, "993"),
    (np.int8(25), "25"),
    (np.uint64(2**63), str(2**63)),
    (np.float16(25.0), "25"),
    (29.999999999999996, "30"),
    (1.5, "1.5"),
    (decimal.Decimal("993.00"), "993"),
    (decimal.Decimal("1.50"), "1.50"),
    (True, "true"),
    (np.False_, "false"),
    (Port.IMAPS, "993"),
    (Kind.IMAP, "imap"),
    (np.str_("imap"), "imap"),
    (ipaddress.IPv4Address("192.0.2.1"), "192.0.2.1"),
    (datetime.date(2026, 3, 14), "2026-03-14"),
    (pd.Timestamp("2026-03-14 02:15"), "2026-03-14T02:15:00"),
    (pd.Timedelta(minutes=15), "0:15:00"),
    (10**20, str(10**20)),
]
REFUSED = [
    *(float("inf"), np.float64("-inf"), decimal.Decimal("Infinity"), 1e16, 999_999_999_999_999.9, 10**40, 1j),
    *(b"x", {1}, object(), Hostile(), "\ud800"),
]


@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_missing_values_are_empty(value: object) -> None:
    assert value_text(value, "name") == ""
    assert value_text(value, None) == ""


@pytest.mark.parametrize(("value", "text"), SAME, ids=repr)
def test_values_have_the_text_that_a_person_would_type(value: object, text: str) -> None:
    assert value_text(value, "note") == text
    assert value_text(value, None) == text


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_impossible_values_are_refused(value: object) -> None:
    with pytest.raises(UnusableValue):
        value_text(value, "name")


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("locations", [10, 20], "10;20"),
        ("locations", (10, "20"), "10;20"),
        ("locations", np.array([10, 20]), "10;20"),
        ("locations", [{"id": 10}, {"id": 20}], "10;20"),
        ("locations", [10.0], "10"),
        ("locations", [], ""),
        ("custom_properties", {28: 74, 30: 81}, "28=74;30=81"),
        ("custom_properties", [(28, 74), [30, 81]], "28=74;30=81"),
        ("custom_properties", [{"id": 28, "value_id": 74}], "28=74"),
        ("api:tags", ["a", 1], '["a",1]'),
        ("api:x", {"a": None}, '{"a":null}'),
    ],
)
def test_lists_have_a_meaning_for_some_fields(field: str, value: object, text: str) -> None:
    assert value_text(value, field) == text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ["x"]),
        ("port", [993]),
        ("locations", [[10]]),
        ("locations", ["10;20"]),
        ("locations", [None]),
        ("locations", [True]),
        ("locations", [{"id": 10, "name": "x"}]),
        ("locations", {10: 20}),
        ("custom_properties", [28, 74]),
        ("custom_properties", [(28,)]),
        ("api:x", [float("nan")]),
        ("api:x", [{1}]),
    ],
)
def test_other_lists_are_refused(field: str, value: object) -> None:
    with pytest.raises(UnusableValue, match="type"):
        value_text(value, field)


@given(
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.complex_numbers()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner), st.tuples(inner)),
    ),
    field=st.sampled_from([None, "name", "locations", "custom_properties", "api:x"]),
)
def test_every_value_has_a_text_or_a_reason(value: object, field: str | None) -> None:
    try:
        value_text(value, field).encode()
    except UnusableValue as error:
        error.text.encode()


def test_an_impossible_value_is_an_issue_of_its_cell() -> None:
    result = bl.check(hosts("a", "b", "c", port=[993, {"x"}, float("inf")]))
    assert result.counts == {"will create": 1, "invalid": 2}
    assert list(zip(result.issues["index"], result.issues["column"], result.issues["code"], strict=True)) == [
        ("B", "port", "cell.type"),
        ("C", "port", "cell.infinite"),
    ]
    assert "of the type set" in result.issues["message"].iloc[0]


def test_a_value_in_a_column_that_is_not_sent_may_be_anything() -> None:
    result = bl.check(hosts("a", "b", mine=[{"x"}, Hostile()]), ignore_unknown=True)
    assert result.counts == {"will create": 2}
    assert result.issues.empty


def test_a_number_that_may_have_been_a_list_is_doubted() -> None:
    """10,20 typed into a spreadsheet is 1020 in the frame that pandas reads from it."""
    result = bl.check(hosts("a", "b", locations=pd.Series([1020, [1020]], dtype=object).array))
    assert list(result.frame["status"]) == ["invalid", "will create"]
