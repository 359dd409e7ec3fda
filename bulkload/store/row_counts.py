"""The number of rows of each run by state, kept so that a list of runs does not read their rows.

In: a run. Out: its counts. Counts are kept of runs that were read whole, to which no row is added any more. Triggers in
`schema` delete them in the transaction that changes or deletes one of the rows, so counts that are kept are right,
whenever a process is killed; those that are not kept are counted.
"""

from __future__ import annotations

import json
import sqlite3

from bulkload.store.sharing import table_of


def state_counts(db: sqlite3.Connection, run_number: int) -> dict[str, int]:
    """The number of rows of a run by state; reads its rows only if the counts are not kept."""
    kept = db.execute("SELECT states FROM row_counts WHERE run = ?", (run_number,)).fetchone()
    if kept is not None:
        counts: dict[str, int] = json.loads(kept[0])
        return counts
    table = table_of(db, run_number)
    return dict(
        db.execute(f"SELECT state, count(*) FROM {table} WHERE run = ? GROUP BY state", (run_number,)).fetchall()
    )


def keep_counts(db: sqlite3.Connection) -> None:
    """Count the rows of all runs that were read whole and whose counts are not kept; within a transaction."""
    unknown = db.execute("SELECT run FROM runs WHERE read_whole AND run NOT IN (SELECT run FROM row_counts)").fetchall()
    for (run_number,) in unknown:
        states = json.dumps(state_counts(db, run_number))
        db.execute("INSERT INTO row_counts (run, states) VALUES (?, ?)", (run_number, states))
