"""One transaction of the store: everything inside becomes durable at its end, or nothing does.

In: the store. Out: a context manager that raises `LockLost` at its start if another run has taken over the store.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkload.store.runs import Store


class Transaction:
    """A transaction, also if a signal interrupts it between any two of its steps.

    Not a generator: one that a signal interrupts would stay open until it is garbage-collected, and would then roll
    back whatever is under way at that moment.
    """

    def __init__(self, store: Store, even_lost: bool) -> None:
        self._store = store
        self._even_lost = even_lost

    def __enter__(self) -> None:
        try:
            self._roll_back()  # an earlier one that a signal left open
            with self._store.errors():
                self._store.db.execute("BEGIN IMMEDIATE")
                if not self._even_lost and (lost := self._store.lost(files=False)) is not None:
                    raise lost
        except BaseException:
            self._roll_back()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._store.errors():
                if error is not None:
                    raise error
                self._store.db.execute("COMMIT")
        except BaseException as raised:
            self._roll_back()
            if raised is not error:
                raise

    def _roll_back(self) -> None:
        with self._store.errors():
            if self._store.db.in_transaction:
                self._store.db.execute("ROLLBACK")
