"""The chart of outcomes, a bar that is divided among the statuses, as every page draws it.

In: numbers of rows by status. Out: widths in SVG user units, and shares in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

CHART_WIDTH = 1000  # SVG user units
_NARROWEST_BAR = 6.0  # SVG user units, so that one row in a million is visible


def spans(counts: Sequence[int]) -> list[tuple[float, float]]:
    """Divide the width of the chart among the counts: where each bar begins, and its width.

    The smallest ones get a minimum width.
    """
    total = sum(counts)
    raw = [max(count / total * CHART_WIDTH, _NARROWEST_BAR) for count in counts]
    scale = CHART_WIDTH / sum(raw) if raw else 0.0
    starts = accumulate(raw, initial=0.0)
    return [(round(x * scale, 2), round(width * scale, 2)) for x, width in zip(starts, raw, strict=False)]


def percent(count: int, total: int) -> str:
    """Format a share; a few rows are never 0 %, and nearly all rows never 100 %."""
    share = 100 * count / total
    if share < 0.1:
        return "< 0.1 %"
    if count < total and share > 99.9:
        return "> 99.9 %"
    return f"{share:.1f} %".replace(".0 %", " %")
