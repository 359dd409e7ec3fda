"""The moment that `--since` names.

In: a date, a date with a time, or an age such as 3d. Out: seconds since 1970.
"""

from __future__ import annotations

import re
import time
from datetime import datetime

from bulkload.errors import UsageError

_UNITS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}  # seconds
_AGE = re.compile(r"([0-9]{1,6})([mhdw])")


def moment_of(text: str) -> float:
    """The moment, in local time if it has no zone. Raises `UsageError`."""
    text = text.strip()
    if age := _AGE.fullmatch(text.lower()):
        return time.time() - int(age[1]) * _UNITS[age[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since {text} is not a moment; use a date (2026-03-14), a date with a time (2026-03-14T02:00) or an age"
            " (3d, 12h)."
        ) from None
