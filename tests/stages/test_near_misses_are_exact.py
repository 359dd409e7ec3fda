"""Near misses are found in one pass over rows and monitors; they are those that comparing every pair finds."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkload import clock
from bulkload.model import State, Status
from bulkload.monitors.identity import apart, monitor_key
from bulkload.monitors.values import show
from bulkload.stages.context import RunContext
from bulkload.stages.listing import Listing, identify
from bulkload.stages.near_misses import near_misses
from bulkload.store.row_records import NewRow, RowChange
from bulkload.store.runs import Store
from tests.support.stores import ACCOUNT, begin_run, context_of

NAMES = st.sampled_from(["a", "A", "a  b", "A b", "c"])
HOSTS = st.sampled_from(["mx1.example.com", "MX1.example.com.", "mx2.example.com"])
PORTS = st.sampled_from([143, 143, 993])
IMAP = st.fixed_dictionaries(
    {"type": st.just("email-imap"), "name": NAMES, "hostname": HOSTS}, optional={"port": PORTS}
)
POP = st.fixed_dictionaries({"type": st.just("email-pop"), "name": NAMES, "hostname": HOSTS, "port": PORTS})
ROUND_TRIPS = st.fixed_dictionaries(
    {"type": st.just("email-round-trip"), "name": NAMES, "smtp_hostname": HOSTS, "pop3_hostname": HOSTS}
)
MONITORS = st.one_of(IMAP, IMAP, IMAP, POP, ROUND_TRIPS)
MX1 = {"type": "email-imap", "hostname": "mx1.example.com"}
FIRST_IS_LIKE_THE_ROW = [
    *({**MX1, "name": name} for name in ("a", "b", "c")),
    *({**MX1, "name": "a", "port": port} for port in (993, 1143)),
]


@given(
    rows=st.lists(MONITORS, min_size=1, max_size=8),
    listed=st.lists(st.tuples(MONITORS, st.booleans()), max_size=16),
)
@example(rows=[{**MX1, "name": "A"}], listed=[(monitor, False) for monitor in FIRST_IS_LIKE_THE_ROW])
@settings(max_examples=200)
def test_the_warnings_are_those_of_comparing_each_row_with_each_monitor(
    rows: Sequence[Mapping[str, Any]], listed: Sequence[tuple[Mapping[str, Any], bool]]
) -> None:
    """Same messages, same order, and the same monitor is named; those that the run created are left out."""
    items = [{"id": str(number), **item} for number, (item, _) in enumerate(listed, 100)]
    own = [item for item, (_, is_own) in zip(items, listed, strict=True) if is_own]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        account_id = store.account_id(*ACCOUNT)
        run = begin_run(store, account_id, [_row(number, body) for number, body in enumerate([*own, *rows])])
        context = context_of(store, run, account_id)
        context.rows.apply(
            RowChange(position=position, state=Status.CREATED, monitor_id=item["id"])
            for position, item in enumerate(own)
        )
        listing = identify(context.record, clock.moment(), items)
        found = [(position, issue.message) for position, issue in near_misses(context, listing)]
        assert found == list(_by_comparing_pairs(context, listing, {item["id"] for item in own}))


def _row(number: int, fields: Mapping[str, Any]) -> NewRow:
    body = {field: value for field, value in fields.items() if field not in ("id", "type")}
    key = monitor_key(fields["type"], body)
    return NewRow(number + 2, (), State.PENDING, type=fields["type"], key=key, body=json.dumps(body))


def _by_comparing_pairs(context: RunContext, listing: Listing, own: set[str]) -> Iterator[tuple[int, str]]:
    for row in context.rows.pending(-1, 1_000):
        place, name = apart(monitor_key(row.type, json.loads(row.body)))
        namesakes, neighbours = [], []
        for monitor_id, identity in listing.identities.items():
            if monitor_id not in own:
                its_place, its_name = apart(identity.key)
                if its_name == name and its_place != place:
                    namesakes.append(listing.monitors[monitor_id])
                elif its_place == place and its_name != name:
                    neighbours.append(listing.monitors[monitor_id])
        if namesakes:
            yield row.position, f"Near miss: {_named(namesakes)} has this type and name on {_where(namesakes[0])}."
        if neighbours:
            yield (
                row.position,
                f"Near miss: {_named(neighbours)} checks the same type, host and port under another name.",
            )


def _named(monitors: Sequence[Mapping[str, Any]]) -> str:
    more = f" (and {len(monitors) - 1} more)" if len(monitors) > 1 else ""
    return f"monitor {monitors[0]['id']} {show(monitors[0]['name'])}{more}"


def _where(monitor: Mapping[str, Any]) -> str:
    if monitor["type"] == "email-round-trip":
        return f"other hosts, {show(monitor['smtp_hostname'])} and {show(monitor['pop3_hostname'])}"
    port = monitor.get("port") or {"email-imap": 143, "email-pop": 110}[monitor["type"]]
    return f"another host, {show(monitor['hostname'])} port {port}"
