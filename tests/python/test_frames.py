"""A result has the caller's frame unchanged: index, columns, dtypes and order, whatever they are."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bulkload as bl
from bulkload.monitors.result_columns import RESULT_COLUMNS
from tests.python.conftest import hosts

DTYPES: dict[str, Any] = {  # name → values of a column of this dtype
    "object": lambda n: pd.Series([[1], {"a": 1}, None, "x", 1.5, b"y"][:n] + [object()] * max(0, n - 6), dtype=object),
    "str": lambda n: pd.Series(["NA", "", "x"] * n)[:n],
    "string": lambda n: pd.Series(["NA", None, "x"] * n, dtype="string")[:n],
    "string[pyarrow]": lambda n: pd.Series(["NA", None, "x"] * n, dtype="string[pyarrow]")[:n],
    "bool": lambda n: pd.Series([True, False] * n)[:n],
    "boolean": lambda n: pd.Series([True, None] * n, dtype="boolean")[:n],
    **{
        dtype: lambda n, dtype=dtype: pd.Series([1, 2] * n, dtype=dtype)[:n]
        for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
    },
    **{
        dtype: lambda n, dtype=dtype: pd.Series([1, None] * n, dtype=dtype)[:n]
        for dtype in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt64", "Float32", "Float64", "int64[pyarrow]")
    },
    "nan": lambda n: pd.Series([float("nan"), 1e300, float("inf")] * n)[:n],
    "complex": lambda n: pd.Series([1 + 2j] * n),
    "datetime": lambda n: pd.Series(pd.date_range("2026-03-14", periods=n)),
    "datetime UTC": lambda n: pd.Series([pd.NaT, pd.Timestamp("2026-03-14", tz="UTC")] * n)[:n],
    "timedelta": lambda n: pd.Series(pd.to_timedelta(list(range(n)), unit="h")),
    "period": lambda n: pd.Series(pd.period_range("2026-03", periods=n, freq="M")),
    "interval": lambda n: pd.Series(pd.interval_range(0, n)) if n else pd.Series([], dtype="interval[int64]"),
    "category": lambda n: pd.Series(pd.Categorical(["a", None] * n, categories=["b", "a"], ordered=True)[:n]),
    "sparse": lambda n: pd.Series(pd.arrays.SparseArray([0.0, 1.0] * n)[:n]),
    "date[pyarrow]": lambda n: pd.Series(["2026-03-14"] * n, dtype="datetime64[ns]").astype("date32[pyarrow]"),
}
INDEXES: dict[str, Any] = {
    "range": lambda n: pd.RangeIndex(5, 5 + 2 * n, 2),
    "text": lambda n: pd.Index(list(string.ascii_letters[:n]), name="key"),
    "repeated": lambda n: pd.Index(["x"] * n),
    "nan": lambda n: pd.Index([float("nan")] * n),
    "datetime": lambda n: pd.date_range("2026-03-14", periods=n, tz="Europe/Berlin"),
    "levels": lambda n: pd.MultiIndex.from_arrays([list(range(n)), ["x"] * n], names=["number", None]),
    "category": lambda n: pd.CategoricalIndex(["a"] * n),
    "numbers": lambda n: pd.Index(np.arange(n, dtype="uint8")[::-1]),
}


@settings(max_examples=60)
@given(
    columns=st.lists(st.tuples(st.sampled_from(sorted(DTYPES)), st.text("xyz ", min_size=1, max_size=3)), max_size=5),
    index=st.sampled_from(sorted(INDEXES)),
    rows=st.integers(0, 7),
    first=st.booleans(),
)
def test_columns_index_dtypes_and_order_are_kept(
    columns: list[tuple[str, str]], index: str, rows: int, first: bool
) -> None:
    own = hosts(*string.ascii_lowercase[:rows]).reset_index(drop=True)
    extra = [DTYPES[dtype](rows).reset_index(drop=True).rename(f"{dtype} {name}") for dtype, name in columns]
    frame = pd.concat([*extra, own] if first else [own, *extra], axis=1)
    frame.index = INDEXES[index](rows)
    frame.attrs["source"] = "somewhere"
    before = frame.copy()
    result = bl.check(frame, ignore_unknown=True)
    pd.testing.assert_frame_equal(frame, before)
    width = frame.shape[1]
    pd.testing.assert_frame_equal(result.frame.iloc[:, :width], frame)
    assert list(result.frame.columns[width:]) == list(RESULT_COLUMNS)
    assert result.counts == ({"will create": rows} if rows else {})
    assert result.frame["status"].dtype == "category"
    assert result.frame["monitor_id"].dtype == "string"
    assert result.frame["attempts"].dtype == "Int64"


@settings(max_examples=30)
@given(dtype=st.sampled_from(sorted(DTYPES)), column=st.sampled_from(["port", "note", "enabled", "locations", "api:x"]))
def test_a_field_of_any_dtype_is_read_or_refused(dtype: str, column: str) -> None:
    """Every row has a status, and an error is that of its cell."""
    frame = hosts("a", "b", "c", **{column: DTYPES[dtype](3).array})
    result = bl.check(frame)
    assert sum(result.counts.values()) == 3
    errors = result.issues[result.issues["severity"] == "error"]
    assert set(errors["index"]) == set(result.failed.index)
    assert set(errors["column"]) <= {column, "port"}


@pytest.mark.parametrize("name", ["status", "Monitor ID", "run-id"])
def test_our_columns_have_a_prefix_if_the_caller_has_one_of_their_names(name: str) -> None:
    frame = hosts("a").assign(**{name: "own"}, bulkload_status="mine")
    if name == "run-id":  # then it is a results file
        frame = frame.drop(columns="bulkload_status").assign(status="will create")
        assert list(bl.check(frame).frame.columns)[-8:] == list(RESULT_COLUMNS)
        return
    if name == "Monitor ID":
        frame[name] = None  # it is a field, and empty
    result = bl.check(frame, ignore_unknown=True)
    assert list(result.frame.columns)[-8:] == [f"bulkload_{column}" for column in RESULT_COLUMNS]
    assert list(result.frame["bulkload_status"].iloc[0]) == ["mine", "will create"]


def test_a_frame_may_be_changed_after_the_call() -> None:
    frame = hosts("a", "b")
    result = bl.check(frame)
    frame.loc["A", "name"] = "changed"
    del frame["port"]
    assert list(result.frame["name"]) == ["a", "b"]
    assert "port" in result.frame
    for mine in (result.frame, result.failed, result.issues):  # and the other way round
        mine["name"] = "mine"
    assert list(result.frame["name"]) == ["a", "b"]
    assert list(frame["name"]) == ["changed", "b"]


def test_names_of_columns_that_are_no_texts() -> None:
    frame = hosts("a")
    frame[0] = 1
    frame[None] = 2
    result = bl.check(frame, ignore_unknown=True)
    assert list(result.frame.columns[:7]) == list(frame.columns)
    with pytest.raises(bl.InputError, match='Column F "0" is unknown'):
        bl.check(frame)


def test_repeated_names_of_columns() -> None:
    frame = pd.concat([hosts("a"), hosts("a")[["name"]]], axis=1)
    with pytest.raises(bl.InputError, match="both mean name"):
        bl.check(frame)
    frame.columns = pd.Index([*frame.columns[:-1], "x"])
    frame = pd.concat([frame, frame[["x"]]], axis=1)
    assert list(bl.check(frame, ignore_unknown=True).frame.columns[-10:-8]) == ["x", "x"]


def test_columns_of_several_levels_are_refused() -> None:
    frame = hosts("a")
    frame.columns = pd.MultiIndex.from_product([["x"], frame.columns])
    with pytest.raises(bl.InputError, match="columns of 2 levels"):
        bl.check(frame)


def test_a_field_in_the_index_is_named() -> None:
    frame = hosts("a").set_index("name")
    with pytest.raises(bl.InputError, match="The index has the name name, but only columns are read"):
        bl.check(frame)


def test_one_problem_of_the_header_lists_all() -> None:
    with pytest.raises(bl.InputError) as error:
        bl.check(pd.DataFrame({"hots": ["x"], "tpye": ["imap"]}))
    assert "hots" in str(error.value)
    assert "tpye" in str(error.value)


def test_a_frame_that_allows_no_repeated_labels() -> None:
    frame = hosts("a", "b").set_flags(allows_duplicate_labels=False)
    assert not bl.check(frame).frame.flags.allows_duplicate_labels
    taken = frame.assign(status="mine", bulkload_status="mine too")
    assert list(bl.check(taken, ignore_unknown=True).frame.columns).count("bulkload_status") == 2
