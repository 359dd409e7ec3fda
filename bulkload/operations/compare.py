"""Compare two inputs, or an input with the account, monitor by monitor and field by field.

In: an old and a new input. Out: a `Comparison`: which monitors are new, gone or changed. Monitors are the same by the
ID that both give, else by type, name, hostname and port, as for a run. Rows that cannot be sent are compared as well,
by what their cells say. A field that the new input has no column for is not compared: it says nothing about it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bulkload.model import Input, ReportRow, Status
from bulkload.monitors.display_profile import without_display_differences
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import API_PREFIX, field_named, field_of, renamed_by
from bulkload.monitors.identity import asked_identity, differences
from bulkload.monitors.parsers import parser_of, remove_invisible
from bulkload.monitors.values import CellError
from bulkload.operations.comparison import Change, ChangeKind, Comparison, FieldChange, Unclear
from bulkload.operations.export_cells import field_text
from bulkload.operations.pipeline import begin, locked_store, observe
from bulkload.settings import Account, Options
from bulkload.stages.intake import open_input
from bulkload.stages.observer import NOBODY, Observer
from bulkload.store.row_records import NewRow

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.operations.session import StopRequest
    from bulkload.stages.listing import Listing

_NO_PLAN = "(no plan code)"  # fills empty cells of billing_plancode, and is never shown
_TAKEN_AS_TEXT = ("list", "host")  # types of cells whose parsed value is not what the API lists


@dataclass(frozen=True, kw_only=True, eq=False)  # no slots: cached_property stores values in the instance
class _Monitor:
    """One row, as a monitor. Equal only to itself, so it can be a key."""

    row: int | None
    monitor_id: str
    key: str
    item: Mapping[str, Any]  # as the API lists it
    is_valid: bool = True  # it can be sent
    repeats: str = ""  # which row it repeats: a sentence

    @property
    def name(self) -> str:
        """The name, by which a row is known that cannot be sent."""
        return str(self.item.get("name", "")).strip()

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """Field → text as in an export; a field without a value is not there."""
        names = [*FIELDS, *(API_PREFIX + name for name in self.item if name not in FIELDS and name != "id")]
        texts = ((name, field_text(name, self.item)) for name in names if name != "monitor_id")
        return {name: text for name, text in texts if text}


def compare_inputs(old: Input, new: Input, options: Options) -> Comparison:
    """Compare two inputs. A row that repeats another is unclear. Raises `InputError` if one cannot be read."""
    options = _without_required_plan(options)
    (before, _), (after, fields) = _read(old, options), _read(new, options)
    unclear = [
        Unclear(row=monitor.row, is_old=side is before, reason=monitor.repeats)
        for side in (before, after)
        for monitor in side
        if monitor.repeats
    ]
    old_monitors, new_monitors = ([monitor for monitor in side if not monitor.repeats] for side in (before, after))
    known = fields.union({"type", "port"}, *(monitor.item for monitor in new_monitors))
    silent = frozenset().union(*(monitor.item for monitor in old_monitors)) - known
    changes, same = _compare(old_monitors, new_monitors, silent)
    return Comparison(changes=changes, same=same, unclear=unclear, silent_fields=sorted(silent))


def _compare(old: Sequence[_Monitor], new: Sequence[_Monitor], silent: Collection[str]) -> tuple[Sequence[Change], int]:
    """The changes, and the number of monitors without one."""
    partners = _partners(old, new)
    changes, same = [], 0
    for monitor in new:
        before = partners.get(monitor)
        if before is None:
            changes.append(_change("new", monitor, _field_changes({}, monitor.texts)))
        elif before.item != monitor.item and (fields := _changes_between(before, monitor, silent)):
            changes.append(_change("changed", monitor, fields))
        else:
            same += 1
    matched = frozenset(partners.values())
    gone = (monitor for monitor in old if monitor not in matched)
    changes += [_change("gone", monitor, _field_changes(monitor.texts, {})) for monitor in gone]
    return changes, same


def _partners(old: Sequence[_Monitor], new: Sequence[_Monitor]) -> dict[_Monitor, _Monitor]:
    """New monitor → its old one: by ID, by identity, or by name if one of the two is not valid."""
    partners: dict[_Monitor, _Monitor] = {}
    _pair(partners, old, new, lambda monitor: monitor.monitor_id)
    _pair(partners, old, new, lambda monitor: monitor.key)
    _pair(partners, [monitor for monitor in old if not monitor.is_valid], new, lambda monitor: monitor.name)
    _pair(partners, old, [monitor for monitor in new if not monitor.is_valid], lambda monitor: monitor.name)
    return partners


def _pair(
    partners: dict[_Monitor, _Monitor],
    old: Sequence[_Monitor],
    new: Sequence[_Monitor],
    label: Callable[[_Monitor], str],
) -> None:
    """Pair those that have no partner yet and share a label, in order; not two that give different IDs."""
    taken = frozenset(partners.values())
    free: defaultdict[str, list[_Monitor]] = defaultdict(list)
    for monitor in old:
        if monitor not in taken:
            free[label(monitor)].append(monitor)
    for monitor in new:
        if monitor in partners or not label(monitor):
            continue
        candidates = free.get(label(monitor), [])
        partner = next((each for each in candidates if not _are_different(each, monitor)), None)
        if partner is not None:
            partners[monitor] = partner
            candidates.remove(partner)


def _are_different(old: _Monitor, new: _Monitor) -> bool:
    """True if both give an ID, and not the same."""
    return bool(old.monitor_id and new.monitor_id) and old.monitor_id != new.monitor_id


def _changes_between(old: _Monitor, new: _Monitor, silent: Collection[str]) -> tuple[FieldChange, ...]:
    """The fields that differ; a port that only one of the two gives, but that the type implies, is no difference."""
    is_implied = old.is_valid and new.is_valid and old.key == new.key
    ignored = {"port"} if is_implied and ("port" in old.texts) != ("port" in new.texts) else set()
    changes = _field_changes(old.texts, new.texts)
    return tuple(each for each in changes if each.field.removeprefix(API_PREFIX) not in ignored.union(silent))


def _field_changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[FieldChange, ...]:
    fields = [*FIELDS, *(name for name in {**old, **new} if name not in FIELDS)]
    texts = ((name, old.get(name, ""), new.get(name, "")) for name in fields if name != "monitor_id")
    return tuple(FieldChange(field=name, old=before, new=after) for name, before, after in texts if before != after)


def _change(kind: ChangeKind, monitor: _Monitor, fields: tuple[FieldChange, ...]) -> Change:
    texts = monitor.texts
    return Change(
        kind=kind,
        row=monitor.row,
        monitor_id=monitor.monitor_id,
        type=texts.get("type", ""),
        name=texts.get("name", ""),
        host=texts.get("hostname") or texts.get("smtp_hostname", ""),
        port=texts.get("port", ""),
        fields=fields,
    )


def _without_required_plan(options: Options) -> Options:
    """Options with which a row without a plan code, which every new monitor needs, can be compared."""
    return options.model_copy(update={"set": {"billing_plancode": _NO_PLAN} | options.set})


# ── rows as monitors ───────────────────────────────────────────────────────────────────────────────────────────────


def _read(source: Input, options: Options) -> tuple[list[_Monitor], frozenset[str]]:
    """The rows of an input, and its fields."""
    with open_input(source, options, map_if_present=True) as opened:
        defaults = _defaults(options)
        monitors = [_monitor(row, opened.fields, defaults) for row in opened.rows]
        names = (name for name in (*opened.fields, *defaults) if name is not None)
        return monitors, frozenset(name.removeprefix(API_PREFIX) for name in names)


def _defaults(options: Options) -> dict[str, str]:
    """The values of --set by field."""
    return {name: text for spelling, text in options.set.items() if (name := field_named(spelling))}


def _monitor(row: NewRow, fields: Sequence[str | None], defaults: Mapping[str, str]) -> _Monitor:
    """A row as a monitor. One that cannot be sent counts with what can be read of it."""
    item = _item(row, fields, defaults)
    return _Monitor(
        row=row.source_row,
        monitor_id=row.given_monitor_id or "",
        key=asked_identity(str(item.get("type", "")), item).key,
        item=item,
        is_valid=row.body is not None,
        repeats=row.error if row.state is Status.DUPLICATE else "",
    )


def _item(row: NewRow, fields: Sequence[str | None], defaults: Mapping[str, str]) -> dict[str, Any]:
    """A row as the API would list it; of a row that cannot be sent, with the text of each cell that is not valid."""
    if row.body is not None:
        item = {"type": row.type, **json.loads(row.body)}
    else:
        texts = {**defaults}
        for name, cell in zip(fields, row.cells, strict=True):
            if name is not None and (text := remove_invisible(name, cell.strip())):
                texts[name] = text
        item = {}
        for name, text in texts.items():
            value = _value(name, text)
            if name == "type" and isinstance(value, tuple):
                value, port = value
                if port is not None:
                    item.setdefault("port", port)
            item[name.removeprefix(API_PREFIX)] = value
    return {name: value for name, value in item.items() if value != _NO_PLAN and name != "monitor_id"}


def _value(name: str, text: str) -> Any:
    """What a cell that is valid on its own means, or its text."""
    if name in FIELDS and FIELDS[name].cell_type in _TAKEN_AS_TEXT:
        return text
    try:
        return parser_of(name)(text)
    except CellError:
        return text


# ── with the account ───────────────────────────────────────────────────────────────────────────────────────────────


def compare_with_account(new: Input, account: Account, options: Options, *, observer: Observer = NOBODY) -> Comparison:
    """Compare the account, as the old side, with an input; an empty cell is no difference, as for a run.

    Rows are matched to monitors as `plan` does it. Sends a login and GET requests only. Raises what stops it.
    """
    from bulkload.operations.session import run_session, unless_stopped
    from bulkload.stages.plan import plan

    listings: list[Listing] = []
    options = _without_required_plan(options).model_copy(update={"on_existing": "skip"})
    with locked_store(options, "compare") as store:
        context = begin(store, new, account, options, command="plan", observer=observer)

        async def work(api: Api, stop: StopRequest) -> None:
            observe(observer, api, stop)
            listings.append(await unless_stopped(plan(context, api), stop))

        try:
            session = run_session(account, options, work)
            if session.stopped is not None:
                raise session.stopped
            rows = list(store.report_rows(context.run))
            renamed = renamed_by(options.map)
            fields = [field_of(name, renamed) for name in context.run.header]
            monitors = [_monitor(row, fields, _defaults(options)) for row in context.rows.as_read()]
        finally:
            store.forget(context.run)
    return _compare_listed(monitors, rows, listings[0])


def _compare_listed(monitors: Sequence[_Monitor], rows: Sequence[ReportRow], listing: Listing) -> Comparison:
    changes: list[Change] = []
    unclear: list[Unclear] = []
    same = 0
    meant: set[str] = set()  # IDs and identity keys that rows mean
    unclear_names: set[str] = set()  # of rows that could not be compared; "": it may be any
    for monitor, row in zip(monitors, rows, strict=True):
        meant |= {monitor.monitor_id, monitor.key, row.monitor_id}
        item = listing.monitors.get(row.monitor_id)
        if row.status in (Status.NOT_ATTEMPTED, Status.REMOVED):
            changes.append(_change("new", monitor, _field_changes({}, monitor.texts)))
        elif row.status not in (Status.EXISTS, Status.CREATED) or item is None:
            unclear.append(Unclear(row=row.source_row, is_old=False, reason=row.error or row.status.value))
            if row.status is not Status.DUPLICATE:
                unclear_names.add("" if row.status is Status.UNKNOWN else monitor.name)
        elif fields := _listed_changes(monitor.item, item, listing):
            changes.append(_change("changed", replace(monitor, monitor_id=row.monitor_id), fields))
        else:
            same += 1
    for monitor_id, identity in listing.identities.items():
        if monitor_id in meant or identity.key in meant:
            continue
        if not {"", identity.name}.isdisjoint(unclear_names):
            reason = "It may be the monitor of a row that could not be compared."
            unclear.append(Unclear(row=None, is_old=True, reason=reason, monitor_id=monitor_id))
            continue
        gone = _Monitor(row=None, monitor_id=monitor_id, key=identity.key, item=listing.monitors[monitor_id])
        changes.append(_change("gone", gone, _field_changes(gone.texts, {})))
    return Comparison(changes=changes, same=same, unclear=unclear)


def _listed_changes(asked: Mapping[str, Any], item: Mapping[str, Any], listing: Listing) -> tuple[FieldChange, ...]:
    """The fields that a row asks for and its monitor has otherwise."""
    body = {name: value for name, value in asked.items() if name != "type"}
    changed = without_display_differences(differences(body, item), body, item, listing.profile)
    names = [name if name in FIELDS else API_PREFIX + name for name in changed]
    return tuple(FieldChange(field=name, old=field_text(name, item), new=field_text(name, asked)) for name in names)
