"""What travels with a run through all of its stages, as one record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bulkload.settings import Account, Options
from bulkload.stages.observer import NOBODY, Observer
from bulkload.store.account_record import AccountRecord
from bulkload.store.rows import RunRows
from bulkload.store.runs import Run, Store


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A run in a locked store, the account that it is for, and the user's options."""

    store: Store
    run: Run
    account_id: int  # of the account in the store
    account: Account  # how to log in
    options: Options
    observer: Observer = NOBODY  # who watches the run

    @cached_property
    def rows(self) -> RunRows:
        """The rows of the run."""
        return RunRows(self.store, self.run, self.account_id)

    @cached_property
    def record(self) -> AccountRecord:
        """What the store knows about the account."""
        return AccountRecord(self.store, self.account_id)
