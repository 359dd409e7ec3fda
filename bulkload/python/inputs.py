"""What a caller gives as data: a DataFrame, rows as mappings, or a path.

In: the data. Out: `Given`, with an `Input` for the pipeline, and the caller's own rows for the result.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from bulkload.errors import InputError, UsageError
from bulkload.files.printable import printable_line
from bulkload.model import Input, RawRow, Source
from bulkload.python.background import Watch
from bulkload.readers.dataframe import frame_rows, frame_source
from bulkload.readers.records import NO_ROWS, columns_of_objects, header_of, records_source, text_rows, values_of

if TYPE_CHECKING:
    import pandas

    Data = pandas.DataFrame | Iterable[Mapping[Any, Any]] | str | PathLike[str]

_HINTS = {  # attribute → what to do with data that has it
    "to_frame": "; give a frame of all columns",  # a column of pandas
    "to_pandas": "; give what its to_pandas() returns",
    "read": "; give the path of the file, or read it with pandas",
    "raise_for_rows": "; give its frame, or what is failed of it",
}
MAX_LABEL = 200  # characters
CHECK_EVERY = 1_000  # rows between two looks at whether the caller wants to stop


@dataclass(frozen=True, kw_only=True)
class CallerRows:
    """Rows that the caller gave as Python values: a frame, or mappings."""

    frame: pandas.DataFrame | None = None
    records: Sequence[Mapping[Any, Any]] = ()
    mapping: Mapping[str, str] = field(default_factory=dict)  # --map

    def __len__(self) -> int:
        return len(self.frame) if self.frame is not None else len(self.records)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, as a header has them."""
        return header_of(columns_of_objects(self.records) if self.frame is None else self.frame.columns)

    def source(self, name: str) -> Source:
        """The rows as a source for the pipeline. Raises `InputError`."""
        if self.frame is not None:
            return frame_source(self.frame, name=name, mapping=self.mapping)
        columns = columns_of_objects(self.records)
        return records_source(
            columns if self.records else NO_ROWS,
            values_of(self.records, columns),
            name=name,
            source_format="Python objects",
            mapping=self.mapping,
            may_be_protected=True,
        )

    def as_frame(self) -> pandas.DataFrame:
        """The rows as a frame, with their index and their types."""
        import pandas

        if self.frame is not None:
            return self.frame
        columns = columns_of_objects(self.records)
        values = list(values_of(self.records, columns))
        frame = pandas.DataFrame(values, columns=pandas.Index(columns, dtype=object), dtype=object)
        try:
            return frame.infer_objects()
        except UnicodeEncodeError:  # half of a surrogate pair, which no other dtype can hold
            return frame

    def label(self, position: int) -> object:
        """The caller's index of the row at a position."""
        return position if self.frame is None else self.frame.index[position]

    def as_texts(self) -> Iterator[RawRow]:
        """All rows as text, also the empty ones."""
        if self.frame is not None:
            return text_rows(self.columns, frame_rows(self.frame), self.mapping)
        return text_rows(self.columns, values_of(self.records, columns_of_objects(self.records)), self.mapping)


@dataclass(frozen=True, kw_only=True)
class Given:
    """The data of one call."""

    input: Input
    rows: CallerRows | None = None  # None: they are in a file


def given(data: object, mapping: Mapping[str, str], watch: Watch, label: str | None = None) -> Given:
    """Prepare the data. Raises `UsageError` for data of another type.

    A frame may be changed afterwards: the rows of this moment count.
    """
    if label is not None and (not isinstance(label, str) or not label.strip() or len(label) > MAX_LABEL):
        raise UsageError(f"label is {label!r}; a text of 1 to {MAX_LABEL} characters is allowed.")
    name = printable_line(label) if label is not None else None
    if isinstance(data, str | PathLike):
        path = Path(data)
        return Given(input=replace(Input.at(path), name=name or str(path)))
    if is_frame(data):
        rows = CallerRows(frame=independent_copy(data), mapping=mapping)
        name = name or "DataFrame"
    else:
        rows = CallerRows(records=_records(data), mapping=mapping)
        name = name or "rows"
    return Given(input=_input(name, rows, watch), rows=rows)


def is_frame(data: object) -> TypeGuard[pandas.DataFrame]:
    """True for a pandas DataFrame; without importing pandas, since nobody who has a frame has not."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def independent_copy(frame: pandas.DataFrame) -> pandas.DataFrame:
    """A copy of a frame that changes of either do not reach; it takes no memory where pandas copies on write."""
    import pandas

    copies_on_write = int(pandas.__version__.partition(".")[0]) >= 3
    return frame.copy(deep=not copies_on_write)


def _records(data: object) -> list[Mapping[Any, Any]]:
    allowed = "a DataFrame, a list of mappings (one per row) or a path is allowed"
    hint = next((text for name, text in _HINTS.items() if hasattr(data, name)), "")
    if isinstance(data, Mapping) or not isinstance(data, Iterable) or hint:
        raise UsageError(f"The data is of the type {type(data).__name__}; {allowed}{hint}.")
    records: list[Mapping[Any, Any]] = []
    for index, item in enumerate(data):
        if not isinstance(item, Mapping):
            raise UsageError(f"Row {index} of the data is of the type {type(item).__name__}; {allowed}.")
        records.append(dict(item))
    return records


def _input(name: str, rows: CallerRows, watch: Watch) -> Input:
    @contextmanager
    def open_rows() -> Iterator[Source]:
        try:
            source = rows.source(name)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        yield replace(source, rows=_until_stopped(source.rows, watch))

    return Input(path=Path(name), name=name, open=open_rows)


def _until_stopped(rows: Iterable[RawRow], watch: Watch) -> Iterator[RawRow]:
    for count, row in enumerate(rows):
        if count % CHECK_EVERY == 0:
            watch.check()
        yield row
