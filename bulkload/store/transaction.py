"""One transaction of the store: everything inside becomes durable at its end, or nothing does.

In: the database. Out: a context manager that raises `LockLost` at its start if another run has taken over the store.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkload.store.database import Database


class Transaction:
    """A transaction that is committed or rolled back even if a signal interrupts it between two of its steps.

    Not a generator: an interrupted generator would stay open until it is garbage-collected, and would then roll back
    the transaction that is open at that moment.
    """

    def __init__(self, database: Database, allow_lost_lock: bool) -> None:
        self._database = database
        self._allow_lost_lock = allow_lost_lock

    def __enter__(self) -> None:
        try:
            self._roll_back()  # a transaction that a signal left open
            with self._database.errors():
                self._database.db.execute("BEGIN IMMEDIATE")
                if not self._allow_lost_lock and (error := self._database.lock_lost(check_files=False)) is not None:
                    raise error
        except BaseException:
            self._roll_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._database.errors():
                if error is not None:
                    raise error
                self._database.db.execute("COMMIT")
        except BaseException as raised:
            self._roll_back()
            if raised is not error:
                raise

    def _roll_back(self) -> None:
        with self._database.errors():
            if self._database.db.in_transaction:
                self._database.db.execute("ROLLBACK")
