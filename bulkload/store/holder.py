"""Who holds the lock of the store, for the message that others get.

In: an open database. Out: a sentence.
"""

from __future__ import annotations

import sqlite3

from bulkload import clock

_COMMANDS = ("run", "resume", "inbox", "undo", "delete", "plan", "compare", "doctor")
_DOORS = {"page": "the upload page", "python": "a Python program"}


def holder_of(db: sqlite3.Connection) -> str:
    """A sentence about the process that locked the store last, with a space before it; empty if it is not known."""
    try:
        owner = db.execute("SELECT caller, process, since FROM owner").fetchone()
    except sqlite3.Error:
        return ""
    if owner is None or owner["since"] is None:
        return ""
    caller = f"bulkload {owner['caller']}" if owner["caller"] in _COMMANDS else _DOORS.get(owner["caller"], "bulkload")
    since = clock.utc(owner["since"]).replace("T", " ").removesuffix("Z")
    return f" It is {caller}, process {owner['process']}, begun {since} UTC."


def held_since(db: sqlite3.Connection) -> float | None:
    """When the store was locked last, in seconds since 1970; None if that is not known."""
    try:
        owner = db.execute("SELECT since FROM owner").fetchone()
    except sqlite3.Error:
        return None
    return None if owner is None else owner["since"]
