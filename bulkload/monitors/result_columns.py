"""The columns that a results file adds to the user's own, and how such a file is recognised.

In: a header. Out: the prefix of our columns in it, or None. `normalise` decides which two headers are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bulkload.monitors.invisible import INVISIBLE

RUN_ID_COLUMN = "run_id"  # only files written by bulkload have it
RESULT_COLUMNS = (
    "status",
    "monitor_id",
    "error",
    "error_columns",
    "next_step",
    "attempts",
    "source_row",
    RUN_ID_COLUMN,
)
RESULT_PREFIX = "bulkload_"  # of our columns if the input has a column with one of these names

_IGNORED_IN_HEADERS = re.compile(rf"[\s_\-‐-―()\[\]*:{INVISIBLE}]+")


def normalise(header: str) -> str:
    """Reduce a header to its letters and digits; case and invisible characters do not count.

    >>> normalise("  Host-Name * ")
    'hostname'
    """
    return _IGNORED_IN_HEADERS.sub("", unicodedata.normalize("NFKC", header).casefold())


def results_prefix(header: Sequence[str]) -> str | None:
    """The prefix of the result columns; None if no column is `RUN_ID_COLUMN`, so that this is not a results file."""
    names = {normalise(cell) for cell in header}
    return next((prefix for prefix in (RESULT_PREFIX, "") if normalise(prefix + RUN_ID_COLUMN) in names), None)
