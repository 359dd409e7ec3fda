"""Which account in the store a base URL and a user name identify, however they are spelled.

In: a base URL and a user name as the user wrote them. Out: the account's ID in the store. A canonical form, equal only
for the same account, is used for comparing; the store keeps the spelling that came first.
"""

from __future__ import annotations

import ipaddress
import re
import sqlite3
import unicodedata
from urllib.parse import urlsplit

from bulkload.errors import UsageError

DEFAULT_PORTS = {"http": 80, "https": 443}
LOOPBACK = ("127.0.0.1", "::1")


def find_or_add_account(db: sqlite3.Connection, base_url: str, username: str) -> int:
    """The ID of an account, which is added if it is new; within a transaction.

    Raises `UsageError` if it may be a known account: one of the two has no user name.
    """
    address, user = canonical_account(base_url, username)
    for account_id, *names in db.execute("SELECT id, base_url, username FROM accounts ORDER BY id").fetchall():
        known_address, known_user = canonical_account(*names)
        if (known_address, known_user) == (address, user):
            return int(account_id)
        if known_address == address and "" in (known_user, user) and _may_have_monitors(db, account_id):
            raise UsageError(
                f"This folder has runs at {base_url} {f'of {names[1]}' if known_user else 'without a user name'}, which"
                " may or may not be the same account. Log in with the same user name (ALERTSITE_USERNAME, even with"
                " a token), or use another folder (--output)."
            )
    account_id = db.execute("INSERT INTO accounts (base_url, username) VALUES (?, ?)", (base_url, username)).lastrowid
    assert account_id is not None
    return account_id


def merge_accounts(db: sqlite3.Connection) -> None:
    """Merge accounts that an older version stored several times because they were spelled differently.

    Their runs, and their rows in every other table, become those of the first of them; within a transaction.
    """
    first_ids: dict[tuple[str, str], int] = {}
    for account_id, *names in db.execute("SELECT id, base_url, username FROM accounts ORDER BY id").fetchall():
        first_id = first_ids.setdefault(canonical_account(*names), account_id)
        if first_id == account_id:
            continue
        for table, column in db.execute(
            'SELECT tables.name, keys."from" FROM sqlite_schema AS tables'
            " JOIN pragma_foreign_key_list(tables.name) AS keys"
            " WHERE tables.type = 'table' AND keys.\"table\" = 'accounts'"
        ).fetchall():
            db.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {column} = ?", (first_id, account_id))
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (account_id,))  # what the first has already
        db.execute("DELETE FROM accounts WHERE id = ?", (account_id,))


def canonical_account(base_url: str, username: str) -> tuple[str, str]:
    """A form of address and user name that is equal only for the same account; for comparing."""
    return _canonical_url(base_url.strip()), _casefolded(username)


def _may_have_monitors(db: sqlite3.Connection, account_id: int) -> bool:
    """True if a monitor was created in an account, or may have been."""
    return (
        db.execute(
            "SELECT 1 FROM monitors WHERE account = ?1 UNION ALL"
            " SELECT 1 FROM runs CROSS JOIN rows ON rows.run = runs.run AND (state = 'doubt' OR state = 'sending')"
            " WHERE account = ?1 LIMIT 1",
            (account_id,),
        ).fetchone()
        is not None
    )


def _casefolded(text: str) -> str:
    text = unicodedata.normalize("NFC", text.strip()).casefold()
    return unicodedata.normalize("NFC", text)  # case folding may decompose characters


def _canonical_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = _canonical_host(parts.hostname or ""), parts.port
    except ValueError:  # not a URL; version 1.0 accepted a port of letters
        return text
    scheme = parts.scheme.lower()
    if not host:
        return text
    shown_port = "" if port is None or port == DEFAULT_PORTS.get(scheme) else f":{port}"
    path = re.sub("/+", "/", parts.path).rstrip("/")
    return f"{scheme}://{host}{shown_port}{path}"


def _canonical_host(name: str) -> str:
    name = name.lower().rstrip(".")
    if name == "localhost":
        return "localhost"
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _to_a_labels(name)
    return "localhost" if str(address) in LOOPBACK else str(address)


def _to_a_labels(name: str) -> str:
    if name.isascii():
        return name
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii").rstrip(".")
    except UnicodeError:  # the base class of idna's own errors
        return name
