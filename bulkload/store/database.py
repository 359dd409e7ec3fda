"""The database file of the run store: opened, locked, and written in transactions.

In: a folder. Out: an open database, `LockLost` where another process has taken it over, `StoreBusy` where one writes
for too long, and a `StoreError` for every other error of SQLite or the file system.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import pydantic_core

from bulkload import clock
from bulkload.errors import Locked, LockLost, StoreBusy, StoreError, UsageError
from bulkload.store.holder import held_since, holder_of
from bulkload.store.lock import LockedByAnother, StoreLock, file_id
from bulkload.store.schema import connect
from bulkload.store.transaction import Transaction

STORE_NAME = "bulkload.sqlite3"


class Database:
    """The database in one folder. Use as a context manager; call `lock` before any change."""

    def __init__(self, folder: Path, *, must_exist: bool = False) -> None:
        self.path = folder / STORE_NAME
        self._lock: StoreLock | None = None
        self._is_owner = False  # this process has written its token into the store
        self.caller = ""  # the command or door that locked the store
        with self.errors():
            if must_exist and not self.path.is_file():
                raise UsageError(f"There are no runs in {folder}: it has no {STORE_NAME}.")
            folder.mkdir(parents=True, exist_ok=True)
            self.db = connect(self.path)
        self._opened = file_id(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.db.close()
        finally:
            if self._lock is not None:
                self._lock.release()

    @property
    def is_replaced(self) -> bool:
        """True if the file in the folder is no longer the one that was opened."""
        return file_id(self.path) != self._opened

    @property
    def token(self) -> str:
        """What identifies this process as the holder of the lock; empty without a lock."""
        return self._lock.token if self._lock is not None else ""

    def lock(self, caller: str = "run") -> None:
        """Lock the store for this process and repair what a killed process left. Raises `Locked`.

        `caller` is the command or the door that uses the store, for the history.
        """
        with self.errors():
            try:
                self._lock = StoreLock(self.path, self._opened)
            except LockedByAnother as error:
                locked = Locked(f"{error}{holder_of(self.db)}")
                locked.since = held_since(self.db)
                raise locked from None
        self.caller = caller
        now = clock.moment()
        with self.transaction():
            self.db.execute("DELETE FROM owner")
            self.db.execute(
                "INSERT INTO owner (token, caller, process, since) VALUES (?, ?, ?, ?)",
                (self._lock.token, caller, os.getpid(), time.time()),
            )
            self._repair(now)
        self._is_owner = True

    def lock_lost(self, *, check_files: bool = True) -> LockLost | None:
        """The error to raise if this process no longer holds the store; None if it does, or never locked it.

        With `check_files`, also check that lock and store are still the files in the folder. Within a transaction, no
        other run can take over the store after this check.
        """
        if self._lock is None or not self._is_owner:
            return None
        with self.errors():
            owner = self.db.execute("SELECT token FROM owner").fetchone()
        if owner is None or owner[0] != self._lock.token:
            return LockLost(
                f"Another run has taken over the run store {self.path}, so this run creates nothing more. When the"
                " other run has ended, continue with bulkload resume.",
                taken_over=True,
            )
        loss = self._lock.describe_loss() if check_files else None
        if loss is None:
            return None
        return LockLost(
            f"{loss} during the run, so the run creates nothing more. Do not change the folder during a run; if the"
            " store still exists, continue with bulkload resume."
        )

    def check_writable(self) -> None:
        """Raise `StoreError` or `LockLost` if nothing can be written into the locked store."""
        with self.transaction():
            self.db.execute("UPDATE owner SET token = token")

    def transaction(self, *, allow_lost_lock: bool = False) -> AbstractContextManager[None]:
        """A transaction: everything in the block becomes durable at its end, or nothing does.

        Raises `LockLost` at the start if another run has taken over the store since it was locked. With
        `allow_lost_lock` it does not; the caller checks `lock_lost`.
        """
        return Transaction(self, allow_lost_lock)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """See the store as it is now during the block, whatever others write in the meantime; for reading only."""
        with self.errors():
            self.db.execute("BEGIN")
        try:
            yield
        finally:
            with self.errors():
                self.db.execute("ROLLBACK")

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn errors of SQLite and the file system into a `StoreError` with a message for the user."""
        try:
            yield
        except (sqlite3.Error, UnicodeEncodeError, pydantic_core.PydanticSerializationError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:  # the upper bits say why
                raise StoreBusy(f"Another process is writing into the run store {self.path}; try again.") from error
            raise StoreError(f"The run store {self.path} cannot be used: {error}.") from error
        except OSError as error:
            raise StoreError(f"The run store {self.path} cannot be used: {error.strerror}.") from error

    def _repair(self, now: str) -> None:
        """Repair what a killed process left, in the transaction of `lock`; `now` is a moment, see `clock`."""
