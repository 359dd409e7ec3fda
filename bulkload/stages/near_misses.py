"""Near misses: monitors that a row may have meant, although they are not its own.

In: the rows that are to be created, and the account's list. Out: a warning for each row whose type and name exist on
another host, or whose type, host and port exist under another name. The rows are created all the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
    ids_by_place, ids_by_name = _index(listing)
    after = -1
    while rows := context.rows.pending(after, BATCH):
        after = rows[-1].position
        for row in rows:
            if row.monitor_id is not None:
                continue
            place, name = apart(monitor_key(row.type, json.loads(row.body)))
            same_place, same_name = ids_by_place.get(place, ()), ids_by_name.get(name, ())
            for message, monitor_ids in (
                (_on_another_host, [monitor_id for monitor_id in same_name if monitor_id not in same_place]),
                (_under_another_name, [monitor_id for monitor_id in same_place if monitor_id not in same_name]),
            ):
                others = [
                    monitor_id
                    for monitor_id in monitor_ids
                    if not context.record.was_created_by(context.run.number, monitor_id)
                ]
                if others:
                    text = message(listing.monitors[others[0]], others)
                    yield row.position, Issue(code=NEAR_MISS, message=text, severity="warning")


def _index(listing: Listing) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
    ids_by_place: defaultdict[str, list[str]] = defaultdict(list)
    ids_by_name: defaultdict[str, list[str]] = defaultdict(list)
    for monitor_id, identity in listing.identities.items():
        place, name = apart(identity.key)
        ids_by_place[place].append(monitor_id)
        ids_by_name[name].append(monitor_id)
    return ids_by_place, ids_by_name


def _on_another_host(item: Mapping[str, Any], monitor_ids: Sequence[str]) -> str:
    if (plain_port := PLAIN_PORTS.get(item["type"])) is not None:
        where = f"another host, {show(str(item.get('hostname')))} port {item.get('port') or plain_port}"
    else:
        servers = " and ".join(show(str(item.get(field))) for field in ("smtp_hostname", "pop3_hostname"))
        where = f"other hosts, {servers}"
    return f"Near miss: {_name(item, monitor_ids)} has this type and name on {where}."


def _under_another_name(item: Mapping[str, Any], monitor_ids: Sequence[str]) -> str:
    return f"Near miss: {_name(item, monitor_ids)} checks the same type, host and port under another name."


def _name(item: Mapping[str, Any], monitor_ids: Sequence[str]) -> str:
    more = f" (and {len(monitor_ids) - 1} more)" if len(monitor_ids) > 1 else ""
    return f"monitor {item['id']} {show(str(item.get('name')))}{more}"
