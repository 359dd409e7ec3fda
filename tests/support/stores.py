"""Stores that contain a run, for tests of the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkload.model import State, Status
from bulkload.settings import Account, Options
from bulkload.stages.context import RunContext
from bulkload.store.row_records import NewRow
from bulkload.store.runs import Run, Store

ACCOUNT = ("https://api.example.com/v3", "probe@example.com")


def new_row(number: int, *, key: str | None = None, state: State | Status = State.PENDING, **more: object) -> NewRow:
    """A valid row as it is read from a file."""
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


def begin_run(store: Store, account_id: int, rows: list[NewRow], name: str = "hosts.csv") -> Run:
    """Add a run with these rows to the store."""
    run = store.begin("run", name, ("name", "host"), account_id=account_id, details={}, settings={})
    store.add(run, 0, rows)
    store.mark_read_whole(run)
    return run


def context_of(store: Store, run: Run, account_id: int) -> RunContext:
    """The context of a run, with default options."""
    return RunContext(store=store, run=run, account_id=account_id, account=Account(), options=Options())


@contextmanager
def stored_run(folder: Path, rows: int = 3) -> Iterator[tuple[Store, Run, RunContext]]:
    """A locked store with one run."""
    with Store(folder) as store:
        store.lock()
        account_id = store.account_id(*ACCOUNT)
        run = begin_run(store, account_id, [new_row(number) for number in range(rows)])
        yield store, run, context_of(store, run, account_id)
