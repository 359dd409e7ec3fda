"""Near misses: monitors that a row may have meant, although they are not its own.

In: the rows that are to be created, and the account's list. Out: a warning for each row whose type and name exist on
another host, or whose type, host and port exist under another name. The rows are created all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bulkload.model import ACCOUNT_ISSUE, Issue
from bulkload.monitors.identity import apart, monitor_key
from bulkload.monitors.values import show
from bulkload.protocols import PLAIN_PORTS
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Listing

NEAR_MISS = f"{ACCOUNT_ISSUE}near_miss"
BATCH = 500  # rows fetched from the store at a time


def near_misses(context: RunContext, listing: Listing) -> Iterator[tuple[int, Issue]]:
    """Yield a warning with the position of its row; a monitor that this run created is no near miss."""
    if not listing.monitors:
        return
    by_place, by_name = _index(context, listing)
    after = -1
    while rows := context.rows.pending(after, BATCH):
        after = rows[-1].position
        for row in rows:
            if row.monitor_id is not None:
                continue
            place, name = apart(monitor_key(row.type, json.loads(row.body)))
            for message, monitors, but in (
                (_on_another_host, by_name.get(name), place),
                (_under_another_name, by_place.get(place), name),
            ):
                if monitors is not None and (count := monitors.count(but)):
                    text = message(listing.monitors[monitors.first(but)], count)
                    yield row.position, Issue(code=NEAR_MISS, message=text, severity="warning")


class _Alike:
    """The monitors that share a place, grouped by their names, or those that share a name, by their places.

    Both questions take the same time however many monitors there are.
    """

    __slots__ = ("_counts", "_firsts", "_total")

    def __init__(self) -> None:
        self._total = 0
        self._counts: dict[str, int] = {}
        self._firsts: dict[str, str] = {}  # of the first two groups, in the order of the list

    def add(self, group: str, monitor_id: str) -> None:
        """Add a monitor."""
        self._total += 1
        self._counts[group] = self._counts.get(group, 0) + 1
        if len(self._firsts) < 2:
            self._firsts.setdefault(group, monitor_id)

    def count(self, but: str) -> int:
        """The number of monitors outside of a group."""
        return self._total - self._counts.get(but, 0)

    def first(self, but: str) -> str:
        """The first monitor outside of a group that has not all of them."""
        return next(monitor_id for group, monitor_id in self._firsts.items() if group != but)


def _index(context: RunContext, listing: Listing) -> tuple[Mapping[str, _Alike], Mapping[str, _Alike]]:
    """The monitors by place and by name, without those that this run created."""
    own = _created_by_run(context)
    by_place: dict[str, _Alike] = {}
    by_name: dict[str, _Alike] = {}
    for monitor_id, identity in listing.identities.items():
        if monitor_id not in own:
            place, name = apart(identity.key)
            by_place.setdefault(place, _Alike()).add(name, monitor_id)
            by_name.setdefault(name, _Alike()).add(place, monitor_id)
    return by_place, by_name


def _created_by_run(context: RunContext) -> set[str]:
    own: set[str] = set()
    after = -1
    while monitors := context.record.created_by(context.run.number, after, BATCH):
        after = monitors[-1].position
        own.update(monitor.monitor_id for monitor in monitors)
    return own


def _on_another_host(item: Mapping[str, Any], count: int) -> str:
    if (plain_port := PLAIN_PORTS.get(item["type"])) is not None:
        where = f"another host, {show(str(item.get('hostname')))} port {item.get('port') or plain_port}"
    else:
        servers = " and ".join(show(str(item.get(field))) for field in ("smtp_hostname", "pop3_hostname"))
        where = f"other hosts, {servers}"
    return f"Near miss: {_name(item, count)} has this type and name on {where}."


def _under_another_name(item: Mapping[str, Any], count: int) -> str:
    return f"Near miss: {_name(item, count)} checks the same type, host and port under another name."


def _name(item: Mapping[str, Any], count: int) -> str:
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"monitor {item['id']} {show(str(item.get('name')))}{more}"
