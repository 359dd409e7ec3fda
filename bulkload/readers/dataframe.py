"""Read a pandas DataFrame.

In: a frame. Out: a `Source`, one row per row of the frame, whatever its index and its dtypes are. The values are
converted in blocks, so that a frame of a million rows does not take its size again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bulkload.errors import InputError
from bulkload.model import Source
from bulkload.monitors.header import field_named
from bulkload.readers.records import NO_ROWS, records_source

if TYPE_CHECKING:
    import pandas

BLOCK = 5_000  # rows
RESULT_MARK = "bulkload"  # in `attrs` of the frame of a result, which was never in a file


def frame_source(frame: pandas.DataFrame, *, name: str, mapping: Mapping[str, str]) -> Source:
    """The rows of a frame. Raises `InputError`, which does not name it, for columns of several levels."""
    if frame.columns.nlevels > 1:
        raise InputError(
            f"it has columns of {frame.columns.nlevels} levels; one is allowed, so join their names first."
        )
    return records_source(
        list(frame.columns) if any(frame.shape) else NO_ROWS,
        frame_rows(frame),
        name=name,
        source_format="DataFrame",
        mapping=mapping,
        notes=_names_in_index(frame),
        may_be_protected=RESULT_MARK not in frame.attrs,
    )


def frame_rows(frame: pandas.DataFrame) -> Iterator[Sequence[Any]]:
    """The values of each row, as Python objects."""
    width = frame.shape[1]
    for start in range(0, len(frame), BLOCK):
        block = frame.iloc[start : start + BLOCK]
        yield from zip(*(block.iloc[:, index].tolist() for index in range(width)), strict=True)


def _names_in_index(frame: pandas.DataFrame) -> Sequence[str]:
    """A hint if the index has the name of a field that no column has: only columns are read."""
    known = {field_named(str(name)) for name in frame.columns}
    names = [str(name) for name in frame.index.names if name is not None]
    unread = [name for name in names if (field := field_named(name)) is not None and field not in known]
    if not unread:
        return ()
    return (f"The index has the name {' and '.join(unread)}, but only columns are read; use reset_index().",)
