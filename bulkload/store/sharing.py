"""Which runs share the rows of another run, and how they get rows of their own.

In: a run. Out: the table or view that has its rows; within a transaction, a copy of shared rows. Rows are shared only
as they were read: the view `shared_rows` shows them pending, or existing if all of them exist as before. What becomes
of the row that is shared (undone, for example) does not show.
"""

from __future__ import annotations

import sqlite3

_COLUMNS = (
    "run, position, source_row, cells, state, type, key, body, patch, names, finished_in_file, monitor_id, error,"
    " error_columns, issues, attempts, at"
)
_CAN_BE_SHARED = (  # others are not as they were read, and what they were cannot be told
    "(state IN ('created', 'updated', 'exists') AND key IS NOT NULL AND body IS NOT NULL AND monitor_id IS NOT NULL)"
    " OR (state = 'invalid' AND key IS NULL AND body IS NULL)"
    " OR (state = 'duplicate' AND key IS NULL AND names IS NULL)"
)


def can_be_shared(db: sqlite3.Connection, run_number: int) -> bool:
    """True if a run has rows, and all of them are known as they were read."""
    return (
        db.execute("SELECT 1 FROM rows WHERE run = ? LIMIT 1", (run_number,)).fetchone() is not None
        and db.execute(f"SELECT 1 FROM rows WHERE run = ? AND NOT ({_CAN_BE_SHARED}) LIMIT 1", (run_number,)).fetchone()
        is None
    )


def source_of(db: sqlite3.Connection, run_number: int) -> int | None:
    """The run whose rows a run shares; None if it has rows of its own."""
    row = db.execute("SELECT same_rows_as FROM runs WHERE run = ?", (run_number,)).fetchone()
    return None if row is None else row[0]


def table_of(db: sqlite3.Connection, run_number: int) -> str:
    """The table or view that has the rows of a run."""
    return "rows" if source_of(db, run_number) is None else "shared_rows"


def is_shared(db: sqlite3.Connection, run_number: int) -> bool:
    """True if other runs share the rows of a run, which therefore must stay."""
    return db.execute("SELECT 1 FROM runs WHERE same_rows_as = ? LIMIT 1", (run_number,)).fetchone() is not None


def copy_rows(db: sqlite3.Connection, run_number: int) -> None:
    """Give a run that shares rows its own copy of them; within a transaction."""
    if source_of(db, run_number) is not None:
        db.execute(f"INSERT INTO rows ({_COLUMNS}) SELECT {_COLUMNS} FROM shared_rows WHERE run = ?", (run_number,))
        db.execute("UPDATE runs SET same_rows_as = NULL WHERE run = ?", (run_number,))


def hand_over(db: sqlite3.Connection, run_number: int) -> None:
    """Before a run is deleted, copy its rows for those that share them; within a transaction."""
    sharing = db.execute("SELECT run FROM runs WHERE same_rows_as = ? ORDER BY all_exist DESC, run", (run_number,))
    others = [number for (number,) in sharing.fetchall()]
    if others:
        copy_rows(db, others[0])
    if others[1:] and can_be_shared(db, others[0]):
        db.execute("UPDATE runs SET same_rows_as = ? WHERE same_rows_as = ?", (others[0], run_number))
    for other in others[1:]:
        if source_of(db, other) == run_number:
            copy_rows(db, other)
