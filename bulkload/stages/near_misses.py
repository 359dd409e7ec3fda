"""Near misses: monitors that a row may have meant, although they are not its own.

In: the rows that are to be created, and the account's list. Out: a warning for each row whose type and name exist on
another host, or whose type, host and port exist under another name. The rows are created all the same.
"""

from __future__ import annotations

import json
from collections import Counter
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
    index = _index(context, listing)
    after = -1
    while rows := context.rows.pending(after, BATCH):
        after = rows[-1].position
        for row in rows:
            if row.monitor_id is not None:
                continue
            place, name = apart(monitor_key(row.type, json.loads(row.body)))
            for message, (monitor_id, count) in (
                (_on_another_host, index.elsewhere(place, name)),
                (_under_another_name, index.otherwise_named(place, name)),
            ):
                if monitor_id is not None:
                    text = message(listing.monitors[monitor_id], count)
                    yield row.position, Issue(code=NEAR_MISS, message=text, severity="warning")


class _Index:
    """Finds the monitors at a place that have another name, or with a name that are elsewhere.

    Of these, the first in the list and their number are known without looking at each of them.
    """

    def __init__(self) -> None:
        self._at_place: dict[str, _Group] = {}
        self._with_name: dict[str, _Group] = {}
        self._with_both: Counter[tuple[str, str]] = Counter()

    def add(self, monitor_id: str, place: str, name: str) -> None:
        """Add the next monitor of the list."""
        self._at_place.setdefault(place, _Group(monitor_id, name)).add(monitor_id, name)
        self._with_name.setdefault(name, _Group(monitor_id, place)).add(monitor_id, place)
        self._with_both[place, name] += 1

    def elsewhere(self, place: str, name: str) -> tuple[str | None, int]:
        """The first monitor with this name at another place, None without any, and the number of them."""
        return self._others(self._with_name.get(name), place, self._with_both[place, name])

    def otherwise_named(self, place: str, name: str) -> tuple[str | None, int]:
        """The first monitor at this place with another name, None without any, and the number of them."""
        return self._others(self._at_place.get(place), name, self._with_both[place, name])

    def _others(self, group: _Group | None, trait: str, with_trait: int) -> tuple[str | None, int]:
        return (None, 0) if group is None else (group.first_without(trait), group.size - with_trait)


class _Group:
    """The size of a group of monitors, the first of them, and the first that differs from it in a trait."""

    __slots__ = ("_first", "_other", "_trait", "size")

    def __init__(self, first: str, trait: str) -> None:
        self.size = 0
        self._first, self._trait = first, trait
        self._other: str | None = None

    def add(self, monitor_id: str, trait: str) -> None:
        """Add the next monitor, also the first."""
        self.size += 1
        if self._other is None and trait != self._trait:
            self._other = monitor_id

    def first_without(self, trait: str) -> str | None:
        """The first monitor with another trait."""
        return self._other if trait == self._trait else self._first


def _index(context: RunContext, listing: Listing) -> _Index:
    """The monitors of the list, without those that this run created."""
    own = _created_by_run(context)
    index = _Index()
    for monitor_id, identity in listing.identities.items():
        if monitor_id not in own:
            index.add(monitor_id, *apart(identity.key))
    return index


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
