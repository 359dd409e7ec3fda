"""Rows that disappeared from the sheet: named every night, deleted only on request and within limits.

In: what earlier versions of a sheet meant, the account's list, the present version. Out: `Gone` monitors in the book, a
CSV file of them, and with `--prune` fewer of them in the account. Only monitors that this folder's runs of this sheet
made can be deleted, none that another sheet of the folder means, and each only if it is still what was made.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bulkload.errors import ExitCode, Forbidden, RunStopped
from bulkload.files.atomic import replacing
from bulkload.files.formulas import neutralise
from bulkload.files.printable import encodable
from bulkload.model import Status
from bulkload.operations.removal import Fate, Removal, remove_unless_edited
from bulkload.settings import Account, Options
from bulkload.store.arrivals import Arrival, Book, Gone, Origin
from bulkload.store.runs import Run, Store, digest

if TYPE_CHECKING:
    from bulkload.alertsite.client import Api
    from bulkload.monitors.display_profile import Showing
    from bulkload.operations.session import Stop
    from bulkload.stages.listing import Listing

DETAIL = "gone from the sheet"  # in the report of a run
MOST_NAMED = 20  # monitors in that detail; the CSV file has all
MOST_TOLD = 3  # problems that are told one by one
_COLUMNS = ("type", "name", "hostname", "port", "monitor_id", "made_here", "deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How pruning ended."""

    deleted: int = 0
    problem: str = ""  # why nothing, or not everything, was deleted
    exit_code: ExitCode = ExitCode.DONE
    seconds: float = 0.0
    requests: Mapping[str, int] = field(default_factory=dict)


def note_gone(book: Book, arrival: Arrival, run: Run, listing: Listing) -> None:
    """Note monitors of the account that earlier versions of the sheet meant and this one does not."""
    book.note_gone(run, _missing(book, arrival, run, listing))
    if not (number := book.gone_count(run)):
        return
    named = [f"{_shown(one)}" for one in islice(book.gone(run), MOST_NAMED)]
    more = f" … and {number - MOST_NAMED:,} more" if number > MOST_NAMED else ""
    book.add_detail(run, DETAIL, "; ".join(named) + more)


def write_gone(path: Path, book: Book, run: Run) -> None:
    """Write what is gone as a CSV file that spreadsheet programs open right."""
    with replacing(path) as draft, draft.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for one in book.gone(run):
            cells = (one.type, one.name, one.hostname, one.port, one.monitor_id)
            made, deleted = one.fate != "theirs", one.fate == "deleted"
            writer.writerow([*map(neutralise, cells), "yes" if made else "no", "yes" if deleted else "no"])


def prune(store: Store, book: Book, arrival: Arrival, run: Run, account: Account, options: Options) -> Pruned:
    """Delete what is gone and was made here, or say why not."""
    ours = list(book.gone(run, "ours"))
    wanted = book.wanted_by_any(run, ours) if ours else set()
    doomed = [one for one in ours if one.monitor_id not in wanted]
    if not doomed:
        return Pruned()
    gone = f"{len(doomed):,} {'monitor is' if len(doomed) == 1 else 'monitors are'} gone from {arrival.name}"
    if invalid := store.counts(run).get(Status.INVALID, 0):
        problem = f"{gone}, but {invalid:,} of its rows are invalid and may mean them; nothing was deleted."
        return Pruned(problem=problem, exit_code=ExitCode.ROWS_LEFT)
    translated = store.info(run).translated
    if translated is not None and translated.errors:
        problem = f"{gone}, but what could not be translated may mean them; nothing was deleted."
        return Pruned(problem=problem, exit_code=ExitCode.ROWS_LEFT)
    allowed = _allowed(options.prune_limit, made := book.made_count(arrival, run))
    if len(doomed) > allowed:
        limit = f"--prune-limit {options.prune_limit} allows {allowed:,} of {made:,}"
        problem = f"{gone}, but {limit}; nothing was deleted. Raise --prune-limit if they are to go."
        return Pruned(problem=problem, exit_code=ExitCode.ROWS_LEFT)
    return _delete(store, book, arrival, run, doomed, account, options)


def _delete(
    store: Store, book: Book, arrival: Arrival, run: Run, doomed: list[Gone], account: Account, options: Options
) -> Pruned:
    from bulkload.operations.session import hold
    from bulkload.store.rows import Change, Ledger

    assert run.account is not None
    ledger = Ledger(store, run, run.account)
    deleted = 0
    problems: list[str] = []
    refused = False

    async def work(api: Api, stop: Stop) -> None:
        nonlocal deleted, refused
        for one in doomed:
            if stop.wish is not None:
                raise stop.wish
            origin = book.origin(arrival, run, one)
            if origin is None:
                continue
            try:
                removal = await _remove(api, one, origin, ledger.showing())
            except Forbidden as error:
                raise RunStopped(f"The account may not delete its monitors (role or permissions): {error}") from error
            if removal.kept:
                problems.append(f"{one.name} (monitor {one.monitor_id}) was left. {removal.reason}")
                refused = refused or removal.fate is not Fate.EDITED
                continue
            ledger.apply([Change(run=origin.run, position=origin.position, state=Status.REMOVED)])
            book.note_fate(run, one.monitor_id, "deleted")
            deleted += 1

    session = hold(account, options, work)
    if session.stopped is not None:
        problems.append(f"Deleting what is gone was stopped: {session.stopped}")
    exit_code = ExitCode.ROWS_LEFT if refused else ExitCode.DONE
    more = f" … and {len(problems) - MOST_TOLD:,} more." if len(problems) > MOST_TOLD else ""
    return Pruned(
        deleted=deleted,
        problem=" ".join(problems[:MOST_TOLD]) + more,
        exit_code=session.stopped.exit_code if session.stopped is not None else exit_code,
        seconds=session.seconds,
        requests=session.requests,
    )


async def _remove(api: Api, one: Gone, origin: Origin, showing: Showing) -> Removal:
    """Delete a monitor if it is as some version of the sheet asked for."""
    removal = None
    for asked in origin.asked:
        removal = await remove_unless_edited(api, one.monitor_id, origin.type, json.loads(asked), showing)
        if removal.fate is not Fate.EDITED:
            break
    assert removal is not None  # a monitor was asked for at least once
    return removal


def _allowed(limit: str, made: int) -> int:
    """How many may be deleted at once; a share is rounded down, so that it is never exceeded."""
    return int(made * Fraction(limit[:-1]) / 100) if limit.endswith("%") else int(limit)


def _missing(book: Book, arrival: Arrival, run: Run, listing: Listing) -> Iterator[Gone]:
    meant = book.matched(run)
    for monitor_id, key, made in book.known_before(arrival, run):
        item, identity = listing.monitors.get(monitor_id), listing.identities.get(monitor_id)
        now = digest(identity.key) if identity is not None else None
        if item is None or monitor_id in meant or book.means(run, monitor_id, (key, now)):
            continue
        yield Gone(
            monitor_id=monitor_id,
            key=now,
            type=_text(item.get("type")),
            name=_text(item.get("name")),
            hostname=_text(item.get("hostname") or item.get("smtp_hostname")),
            port=_text(item.get("port")),
            fate="ours" if made else "theirs",
        )


def _text(value: object) -> str:
    return "" if value is None else encodable(str(value))


def _shown(one: Gone) -> str:
    place = f"{one.hostname}:{one.port}" if one.port else one.hostname
    return f"{one.name} ({one.type} {place}, monitor {one.monitor_id})"
