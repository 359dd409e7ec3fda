"""Find the monitors that are no longer in a recurring file, and list them in the report and in a CSV file.

In: the monitors of earlier versions of the file, the account's list, the current version. Out: `DroppedMonitor`s in the
store, and a CSV file of them. `operations.prune` deletes them on request.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.files.atomic import atomic_write
from bulkload.files.formulas import neutralise
from bulkload.files.printable import encodable
from bulkload.store.arrivals import Arrival
from bulkload.store.dropped import DroppedMonitor, DroppedMonitors
from bulkload.store.runs import Run, Store

if TYPE_CHECKING:
    from bulkload.stages.listing import Listing

DETAIL = "no longer in the file"  # its name in the report of a run
MAX_NAMED = 20  # monitors in that detail; the CSV file has all
_COLUMNS = ("type", "name", "hostname", "port", "monitor_id", "made_here", "deleted")


def record_dropped(store: Store, dropped: DroppedMonitors, arrival: Arrival, run: Run, listing: Listing) -> None:
    """Store the monitors of the account that were in earlier versions of the file and are not in this one.

    If a part of the file is missing, none are stored: any of them may be in that part.
    """
    if store.info(run).not_whole:
        dropped.replace(run, ())
        return
    dropped.replace(run, _find(dropped, arrival, run, listing))
    if not (count := dropped.count(run)):
        return
    named = [_name(monitor) for monitor in islice(dropped.of(run), MAX_NAMED)]
    more = f" … and {count - MAX_NAMED:,} more" if count > MAX_NAMED else ""
    store.note_detail(run, DETAIL, "; ".join(named) + more)


def write_dropped(path: Path, dropped: DroppedMonitors, run: Run) -> None:
    """Write the dropped monitors as a CSV file that is safe to open in a spreadsheet program."""
    with atomic_write(path) as draft, draft.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for monitor in dropped.of(run):
            cells = (monitor.type, monitor.name, monitor.hostname, monitor.port, monitor.monitor_id)
            created_here, deleted = monitor.state != "theirs", monitor.state == "deleted"
            writer.writerow([*map(neutralise, cells), "yes" if created_here else "no", "yes" if deleted else "no"])


def _find(dropped: DroppedMonitors, arrival: Arrival, run: Run, listing: Listing) -> Iterator[DroppedMonitor]:
    matched = dropped.matched(run.number)
    for monitor_id, key, created_here in dropped.known_before(arrival, run):
        item, listed_key = listing.monitors.get(monitor_id), listing.key_of(monitor_id)
        if item is None or monitor_id in matched or dropped.is_in_run(run.number, monitor_id, (key, listed_key)):
            continue
        yield DroppedMonitor(
            monitor_id=monitor_id,
            key=listed_key,
            type=_text(item.get("type")),
            name=_text(item.get("name")),
            hostname=_text(item.get("hostname") or item.get("smtp_hostname")),
            port=_text(item.get("port")),
            state="ours" if created_here else "theirs",
        )


def _text(value: object) -> str:
    return "" if value is None else encodable(str(value))


def _name(monitor: DroppedMonitor) -> str:
    server = f"{monitor.hostname}:{monitor.port}" if monitor.port else monitor.hostname
    return f"{monitor.name} ({monitor.type} {server}, monitor {monitor.monitor_id})"
