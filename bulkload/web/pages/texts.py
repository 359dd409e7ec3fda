"""How times, numbers and statuses are written on the pages.

In: values. Out: short texts, and bars of a chart with their CSS classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from bulkload.model import Status
from bulkload.reports.chart import percent, spans
from bulkload.reports.palette import css_class
from bulkload.web.views import Bar


def moment(seconds: float) -> str:
    """A time in the server's time zone: "today 14:05" or "2026-03-14 14:05"."""
    at, now = datetime.fromtimestamp(seconds).astimezone(), datetime.now().astimezone()
    day = "today" if at.date() == now.date() else f"{at:%Y-%m-%d}"
    return f"{day} {at:%H:%M}"


def bars_of(counts: Mapping[str, int], link: Callable[[str], str] = lambda status: "", chosen: str = "") -> list[Bar]:
    """The bars of a chart of statuses, in their usual order."""
    order = [*map(str, Status), "ready", "left out", "not a row"]
    shown = sorted((status for status in counts if counts[status]), key=lambda status: _place(order, status))
    total = sum(counts.values())
    return [
        Bar(
            status=status.replace("_", " "),
            css=css_class(status),
            rows=f"{counts[status]:,}",
            share=percent(counts[status], total),
            x=x,
            width=width,
            next_step=Status(status).next_step if status in order[: len(Status)] else "",
            href=link(status),
            is_chosen=status == chosen,
        )
        for status, (x, width) in zip(shown, spans([counts[status] for status in shown]), strict=True)
    ]


def _place(order: list[str], status: str) -> int:
    return order.index(status) if status in order else len(order)
