"""Stores with a run in them, for tests of the store, the ledger and the journal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkload.model import State, Status
from bulkload.store.rows import Ledger
from bulkload.store.runs import NewRow, Run, Store

ACCOUNT = ("https://api.example.com/v3", "probe@example.com")


def row(number: int, *, key: str | None = None, state: State | Status = State.PENDING, **more: object) -> NewRow:
    """A good row, as it comes from the file."""
    name = key or f"m{number}"
    return NewRow(
        source_row=number + 2,
        cells=(name, "mx1.example.com"),
        state=state,
        type="email-imap",
        key=f"email-imap\t{name}",
        body=f'{{"name":"{name}"}}',
        **more,  # type: ignore[arg-type]
    )


def begin(store: Store, account: int, rows: list[NewRow], name: str = "hosts.csv") -> Run:
    """Note a run with these rows."""
    run = store.begin("run", name, ("name", "host"), account=account, details={}, settings={})
    store.add(run, 0, rows)
    store.read_whole(run)
    return run


@contextmanager
def book(folder: Path, rows: int = 3) -> Iterator[tuple[Store, Run, Ledger]]:
    """A locked store with one run."""
    with Store(folder) as store:
        store.lock()
        account = store.account(*ACCOUNT)
        run = begin(store, account, [row(number) for number in range(rows)])
        yield store, run, Ledger(store, run, account)
