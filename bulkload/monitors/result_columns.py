"""The columns that a results file adds to the user's own, and how such a file is recognised.

In: a header. Out: the prefix of our columns in it, or None. `normalise` decides which two headers are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

RESULT_COLUMNS = (
    "status",
    "monitor_id",
    "error",
    "error_columns",
    "next_step",
    "attempts",
    "source_row",
    "run_id",
)
RESULT_PREFIX = "bulkload_"  # of our columns if the input has a column with one of these names

_IGNORED_IN_HEADERS = re.compile(r"[\s_\-‐-―()\[\]*:]+")


def normalise(header: str) -> str:
    """Reduce a header to what counts: case, spaces, dashes, underscores, brackets and asterisks do not.

    >>> normalise("  Host-Name * ")
    'hostname'
    """
    return _IGNORED_IN_HEADERS.sub("", unicodedata.normalize("NFKC", header).casefold())


def results_prefix(header: Sequence[str]) -> str | None:
    """Give the prefix of our columns in a results file; None if it is none, because only those have a `run_id`."""
    names = {normalise(cell) for cell in header}
    return next((prefix for prefix in (RESULT_PREFIX, "") if normalise(prefix + "run_id") in names), None)
