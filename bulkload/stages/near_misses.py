"""Near misses: monitors that a row may have meant, although they are not its own.

In: the rows that are to be created, and the account's list. Out: a warning for each row whose type and name exist on
another host, or whose type, host and port exist under another name. Nothing is held back by it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bulkload.model import Issue
from bulkload.monitors.identity import apart, monitor_key
from bulkload.monitors.values import show
from bulkload.protocols import PLAIN_PORTS
from bulkload.stages.listing import Listing
from bulkload.store.rows import Ledger
from bulkload.store.runs import ACCOUNT_ISSUE

NEAR_MISS = f"{ACCOUNT_ISSUE}near_miss"
BATCH = 500  # rows fetched from the store at a time


def near_misses(ledger: Ledger, listing: Listing) -> Iterator[tuple[int, Issue]]:
    """Give a warning with the position of its row; a monitor that this very run has made is no near miss."""
    if not listing.monitors:
        return
    by_place, by_name = _index(listing)
    after = -1
    while rows := ledger.pending(after, BATCH):
        after = rows[-1].position
        for row in rows:
            if row.monitor_id is not None:
                continue
            place, name = apart(monitor_key(row.type, json.loads(row.body)))
            there, namesakes = by_place.get(place, ()), by_name.get(name, ())
            for words, found in (
                (_on_another_host, [one for one in namesakes if one not in there]),
                (_under_another_name, [one for one in there if one not in namesakes]),
            ):
                found = [one for one in found if not ledger.is_own(one)]
                if found:
                    message = words(listing.monitors[found[0]], found)
                    yield row.position, Issue(code=NEAR_MISS, message=message, severity="warning")


def _index(listing: Listing) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
    by_place: defaultdict[str, list[str]] = defaultdict(list)
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for monitor_id, identity in listing.identities.items():
        place, name = apart(identity.key)
        by_place[place].append(monitor_id)
        by_name[name].append(monitor_id)
    return by_place, by_name


def _on_another_host(item: Mapping[str, Any], found: Sequence[str]) -> str:
    if (plain := PLAIN_PORTS.get(item["type"])) is not None:
        where = f"another host, {show(str(item.get('hostname')))} port {item.get('port') or plain}"
    else:
        servers = " and ".join(show(str(item.get(field))) for field in ("smtp_hostname", "pop3_hostname"))
        where = f"other hosts, {servers}"
    return f"Near miss: {_named(item, found)} has this type and name on {where}."


def _under_another_name(item: Mapping[str, Any], found: Sequence[str]) -> str:
    return f"Near miss: {_named(item, found)} checks the same type, host and port under another name."


def _named(item: Mapping[str, Any], found: Sequence[str]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"monitor {item['id']} {show(str(item.get('name')))}{more}"
