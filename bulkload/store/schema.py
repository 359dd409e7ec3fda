"""The database of the run store: opening, tables, and migrations from older versions.

In: a path. Out: a connection to a database with the current tables. It is in WAL mode with `synchronous=FULL`: a
committed transaction is on disk before the next request is sent.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bulkload.errors import StoreError
from bulkload.store.search import register

CACHE = 16 * 1024  # KiB; an index of random keys is written to all over
BUSY_TIMEOUT = 10.0  # seconds to wait while another process uses the database

MIGRATIONS = (
    """
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY, base_url TEXT NOT NULL, username TEXT NOT NULL, UNIQUE (base_url, username));
    CREATE TABLE runs (
        run INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, account INTEGER REFERENCES accounts (id),
        command TEXT NOT NULL, input TEXT NOT NULL, header TEXT NOT NULL, details TEXT NOT NULL, settings TEXT NOT NULL,
        started REAL NOT NULL, read_whole INTEGER NOT NULL DEFAULT 0, listed INTEGER NOT NULL DEFAULT 0,
        finished REAL, exit_code INTEGER, stopped TEXT NOT NULL DEFAULT '', seconds REAL NOT NULL DEFAULT 0,
        sent INTEGER NOT NULL DEFAULT 0, throttled INTEGER NOT NULL DEFAULT 0, retried INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE rows (
        run INTEGER NOT NULL REFERENCES runs (run), position INTEGER NOT NULL, source_row INTEGER NOT NULL,
        cells TEXT NOT NULL, state TEXT NOT NULL, type TEXT, key BLOB, body TEXT, patch TEXT,
        names TEXT, finished_in_file INTEGER NOT NULL DEFAULT 0,
        monitor_id TEXT, error TEXT NOT NULL DEFAULT '', error_columns TEXT, issues TEXT,
        attempts INTEGER NOT NULL DEFAULT 0, at TEXT,
        PRIMARY KEY (run, position)) WITHOUT ROWID;
    CREATE INDEX rows_key ON rows (key, run) WHERE key IS NOT NULL;
    CREATE INDEX rows_names ON rows (names, run) WHERE names IS NOT NULL;
    CREATE INDEX rows_open ON rows (run, state, position)
        WHERE state = 'pending' OR state = 'sending' OR state = 'doubt' OR state = 'waiting';
    CREATE TABLE monitors (
        account INTEGER NOT NULL REFERENCES accounts (id), monitor_id TEXT NOT NULL, key BLOB NOT NULL,
        run INTEGER NOT NULL, position INTEGER NOT NULL, at TEXT, UNIQUE (account, monitor_id));
    CREATE INDEX monitors_run ON monitors (run, position);
    CREATE TABLE earlier (
        run INTEGER NOT NULL REFERENCES runs (run), monitor_id TEXT NOT NULL,
        PRIMARY KEY (run, monitor_id)) WITHOUT ROWID;
    ANALYZE sqlite_schema;
    INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
        ('rows', 'rows', '1000000 100000 1'), ('rows', 'rows_key', '1000000 2 1'),
        ('rows', 'rows_names', '1000000 2 1'), ('rows', 'rows_open', '100000 50000 10000 1');
    ANALYZE sqlite_schema;
    """,  # the statistics are estimates: without any, SQLite assumes that a run has few rows and reads them all
    """
    ALTER TABLE runs ADD COLUMN arrival INTEGER;
    CREATE INDEX runs_arrival ON runs (arrival) WHERE arrival IS NOT NULL;
    CREATE TABLE arrivals (
        arrival INTEGER PRIMARY KEY, folder TEXT NOT NULL, name TEXT NOT NULL, sheet TEXT NOT NULL,
        working TEXT NOT NULL, arrived REAL NOT NULL, readings INTEGER NOT NULL DEFAULT 0,
        place TEXT, closed REAL);
    CREATE INDEX arrivals_sheet ON arrivals (folder, sheet, arrival);
    CREATE TABLE gone (
        run INTEGER NOT NULL REFERENCES runs (run), monitor_id TEXT NOT NULL, key BLOB, type TEXT NOT NULL,
        name TEXT NOT NULL, hostname TEXT NOT NULL, port TEXT NOT NULL, fate TEXT NOT NULL,
        PRIMARY KEY (run, monitor_id)) WITHOUT ROWID;
    CREATE TABLE unsettled (folder TEXT NOT NULL, name TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (folder, name));
    """,  # the inbox: its files, monitors that are no longer in a recurring file, files that are still being written
    "ALTER TABLE runs ADD COLUMN translated TEXT",  # JSON: how many of another tool's objects were translated
    """
    ALTER TABLE accounts ADD COLUMN showing TEXT;
    CREATE TABLE lookalikes (
        account INTEGER NOT NULL REFERENCES accounts (id), key BLOB NOT NULL, monitor_id TEXT NOT NULL,
        PRIMARY KEY (account, key)) WITHOUT ROWID;
    """,  # how an account displays monitors, and which rows were matched only because of that
    "CREATE TABLE owner (token TEXT NOT NULL)",  # one row: the process that locked the store last
    """
    CREATE TABLE trials (
        account INTEGER NOT NULL REFERENCES accounts (id), token TEXT NOT NULL, at TEXT NOT NULL, monitor_id TEXT,
        seen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (account, token)) WITHOUT ROWID;
    """,  # monitors that doctor --try created and that may still exist
    """
    ALTER TABLE arrivals ADD COLUMN reading TEXT;
    ALTER TABLE arrivals ADD COLUMN content TEXT;
    ALTER TABLE arrivals ADD COLUMN sendings INTEGER NOT NULL DEFAULT 0
    """,  # when reading a file started, unless it has ended; the file's state then; how often sending did not end
    """
    CREATE TABLE drafts (
        draft INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, upload TEXT NOT NULL,
        user TEXT NOT NULL, created REAL NOT NULL, changed REAL NOT NULL, version INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL, problem TEXT NOT NULL DEFAULT '', reading TEXT NOT NULL, source TEXT, fields TEXT,
        defaults TEXT NOT NULL DEFAULT '{}', is_rehearsal INTEGER NOT NULL DEFAULT 0,
        on_existing TEXT NOT NULL DEFAULT 'skip', trust_list INTEGER NOT NULL DEFAULT 0,
        create_lookalikes INTEGER NOT NULL DEFAULT 0, planned_version INTEGER, planned TEXT, run TEXT,
        run_version INTEGER);
    CREATE TABLE draft_rows (
        draft INTEGER NOT NULL REFERENCES drafts (draft), number INTEGER NOT NULL,
        cells TEXT NOT NULL, original TEXT, numbers TEXT, ends_at INTEGER, findings TEXT,
        left_out INTEGER NOT NULL DEFAULT 0, accepted INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL DEFAULT '', rank INTEGER NOT NULL DEFAULT 0,
        own_key TEXT, given_id TEXT, error TEXT NOT NULL DEFAULT '',
        planned TEXT, planned_id TEXT, planned_error TEXT,
        PRIMARY KEY (draft, number)) WITHOUT ROWID;
    CREATE INDEX draft_rows_rank ON draft_rows (draft, rank, number);
    CREATE INDEX draft_rows_key ON draft_rows (draft, own_key) WHERE own_key IS NOT NULL;
    CREATE INDEX draft_rows_given ON draft_rows (draft, given_id) WHERE given_id IS NOT NULL;
    CREATE TABLE draft_issues (
        draft INTEGER NOT NULL, number INTEGER NOT NULL, place INTEGER NOT NULL, code TEXT NOT NULL,
        header TEXT NOT NULL, severity TEXT NOT NULL, suggestion TEXT NOT NULL, issue TEXT NOT NULL,
        PRIMARY KEY (draft, number, place)) WITHOUT ROWID;
    CREATE INDEX draft_issues_kind ON draft_issues (draft, code, header, number);
    CREATE TABLE draft_edits (
        draft INTEGER NOT NULL REFERENCES drafts (draft), edit INTEGER NOT NULL, at REAL NOT NULL, user TEXT NOT NULL,
        what TEXT NOT NULL, changes TEXT NOT NULL, PRIMARY KEY (draft, edit)) WITHOUT ROWID;
    CREATE TABLE header_choices (header BLOB PRIMARY KEY, fields TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID
    """,  # the upload page: files that are being corrected, and the columns that people chose for a header
    """
    CREATE TABLE row_counts (run INTEGER PRIMARY KEY REFERENCES runs (run), states TEXT NOT NULL);
    CREATE TRIGGER rows_changed AFTER UPDATE OF state ON rows
        WHEN OLD.state <> NEW.state AND OLD.state <> 'pending' AND OLD.state <> 'sending'
        BEGIN DELETE FROM row_counts WHERE run = NEW.run; END;
    CREATE TRIGGER rows_deleted AFTER DELETE ON rows
        BEGIN DELETE FROM row_counts WHERE run = OLD.run; END
    """,  # the number of rows by state as JSON, of runs without pending rows; none have changed since then
    """
    ALTER TABLE runs ADD COLUMN reading TEXT;
    ALTER TABLE runs ADD COLUMN details_as_read TEXT;
    ALTER TABLE runs ADD COLUMN same_rows_as INTEGER REFERENCES runs (run);
    ALTER TABLE runs ADD COLUMN all_exist INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX runs_reading ON runs (reading, account) WHERE reading IS NOT NULL;
    CREATE INDEX runs_same_rows_as ON runs (same_rows_as) WHERE same_rows_as IS NOT NULL;
    CREATE VIEW shared_rows AS
        SELECT runs.run, position, source_row, cells,
            CASE WHEN key IS NULL THEN state WHEN all_exist THEN 'exists' ELSE 'pending' END AS state,
            type, key, body, NULL AS patch, names, finished_in_file,
            CASE WHEN key IS NOT NULL AND all_exist THEN monitor_id END AS monitor_id,
            CASE WHEN key IS NULL OR (all_exist AND state = 'exists') THEN error ELSE '' END AS error,
            CASE WHEN key IS NULL THEN error_columns END AS error_columns,
            CASE WHEN typeof(issues) = 'text' AND instr(issues, '"code":"account.') THEN
                (SELECT nullif(json_group_array(json(value)), '[]') FROM json_each(issues)
                WHERE json_extract(value, '$.code') NOT LIKE 'account.%')
                ELSE issues END AS issues,
            0 AS attempts, NULL AS at
        FROM runs JOIN rows ON rows.run = runs.same_rows_as
    """,  # runs of an unchanged input, which share the rows of an earlier run; see `shared_rows`
    """
    CREATE TABLE calls (
        call INTEGER PRIMARY KEY, run INTEGER REFERENCES runs (run), account INTEGER REFERENCES accounts (id),
        input TEXT NOT NULL, caller TEXT NOT NULL, began REAL NOT NULL, ended REAL, exit_code INTEGER,
        stopped TEXT NOT NULL DEFAULT '', counts TEXT, results TEXT NOT NULL DEFAULT '[]',
        token TEXT NOT NULL DEFAULT '');
    CREATE INDEX calls_run ON calls (run);
    INSERT INTO calls (run, account, input, caller, began, ended, exit_code, stopped)
        SELECT run, account, input, iif(arrival IS NULL, 'run', 'inbox'), started, finished, exit_code, stopped
        FROM runs WHERE command = 'run' ORDER BY run;
    ALTER TABLE owner ADD COLUMN caller TEXT NOT NULL DEFAULT '';
    ALTER TABLE owner ADD COLUMN process INTEGER;
    ALTER TABLE owner ADD COLUMN since REAL
    """,  # the calls that worked on a run, of which a run that is resumed has several; who holds the lock
    """
    CREATE TABLE results_files (
        path TEXT NOT NULL, digest BLOB NOT NULL, run INTEGER NOT NULL, PRIMARY KEY (path, digest)) WITHOUT ROWID;
    INSERT INTO results_files (path, digest, run) SELECT '', x'', coalesce(max(call), 0) FROM calls
    """,  # the contents that results files were written with; without a path: the last call before that was recorded
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database with all its tables. Raises `sqlite3.Error`, or `StoreError` if a newer version wrote it."""
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        database.row_factory = sqlite3.Row
        register(database)
        _use_wal(database)
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA cache_size = -{CACHE}")
        database.execute("BEGIN IMMEDIATE")
        _migrate(database, path)
        database.execute("COMMIT")
    except BaseException:
        database.close()  # rolls back an open transaction
        raise
    return database


def _use_wal(database: sqlite3.Connection) -> None:
    """Switch to WAL mode, and wait for another process that does the same; SQLite itself does not wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(BUSY_TIMEOUT / 1000)
        else:
            return


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(f"The run store {path} was written by a newer bulkload; this one cannot read it.")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        for statement in script.split(";\n"):  # a trigger has semicolons within a line
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {number}")
