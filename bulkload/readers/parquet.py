"""Read Parquet files, in the child process of `isolated`.

In: a path. Out: a `Source`, read in batches, so that memory does not grow with the file. Needs pyarrow, which is not a
dependency of bulkload: `pip install "bulkload[parquet]"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkload.errors import InputError
from bulkload.model import Source
from bulkload.readers.records import records_source
from bulkload.readers.table import IsHeader

_BATCH = 1_000  # rows
_UNNAMED_INDEX = "__index_level_"  # prefix of the columns in which pandas keeps an index without a name


@contextmanager
def open_parquet(
    path: Path,
    *,
    sheet: str | None,
    is_header: IsHeader,
    headerless: bool = False,
    skip_hidden: bool = False,
    encoding: str | None = None,
    header_row: int | None = None,
) -> Iterator[Source]:
    """Open a Parquet file as a source; its rows can be read until the context ends."""
    if header_row is not None:
        raise InputError(f"--header-row names row {header_row} as the header, but a Parquet file has no header row.")
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            'it is a Parquet file, and reading it needs pyarrow: pip install "bulkload[parquet]". Or save it as .csv.'
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if not name.startswith(_UNNAMED_INDEX)]
            source = records_source(names, _rows(file, names), name=path.name, source_format="parquet", mapping={})
            yield replace(source, path=path)
    except (pyarrow.ArrowException, ArithmeticError, UnicodeDecodeError) as error:  # also while rows are read
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the Parquet file is damaged, or of a kind that is not supported: {reason}") from error


def _rows(file: Any, names: Sequence[str]) -> Iterator[Sequence[Any]]:
    for batch in file.iter_batches(batch_size=_BATCH, columns=list(names), use_threads=False):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
