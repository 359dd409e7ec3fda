"""Reads monitors of Uptime Kuma: JSON backups of 1.x, dumps of its API, and the database `kuma.db`, read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject, Tls
from bulkload.migration.documents import Document
from bulkload.migration.json_listings import SMTP, TCP, ListingFormat, is_listing, is_object, translate_items
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_bool, as_seconds, as_text, lookup

NAME, TITLE = "uptime-kuma", "Uptime Kuma"

DEFAULT_TIMEOUT = 0.8  # of the interval, if a monitor has no timeout
MAX_GROUPS = 100  # levels of nesting; monitors below are imported as paused
MAX_STEPS = 200_000_000  # of SQLite's virtual machine, about ten seconds; a real database needs thousands
STEPS_PER_CALLBACK = 1_000_000

# Columns of the table `monitor` that are read, if they exist. Passwords are never read.
_COLUMNS = {
    "id": "id",
    "name": "name",
    "description": "description",
    "type": "type",
    "hostname": "hostname",
    "port": "port",
    "interval": "interval",
    "timeout": "timeout",
    "active": "active",
    "parent": "parent",
    "upside_down": "upsideDown",
    "expected_tls_alert": "expectedTlsAlert",
    "smtp_security": "smtpSecurity",
}
# A schema that is not UTF-8 raises errors of its text, even in the text of SQLite's own errors
_DATABASE_ERRORS = (sqlite3.Error, UnicodeError)
_REQUIRED_COLUMNS = ("id", "name", "type", "hostname")
_TLS: Mapping[str, Tls] = {"secure": "implicit", "starttls": "starttls", "nostarttls": "none"}


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    try:
        interval = as_seconds(lookup(item, "interval"), "interval", unit=1)
        timeout = as_seconds(lookup(item, "timeout"), "timeout", unit=1)
    except UnreadableValue:
        return (item,)  # reported later, where all intervals and timeouts are parsed
    if timeout is None and interval is not None:
        return ({**item, "timeout": interval * DEFAULT_TIMEOUT, "timeout_by_default": True},)
    return (item,)


def _paused(item: SourceObject) -> bool:
    return (
        _is_off(item)
        or as_bool(lookup(item, "forceInactive"), "forceInactive")
        or bool(lookup(item, "paused_by_group"))
    )


def _is_off(item: SourceObject) -> bool:
    active = lookup(item, "active")
    return active is not None and not as_bool(active, "active")


def _inverted(item: SourceObject) -> str:
    if as_bool(lookup(item, "upsideDown"), "upsideDown"):
        return "The monitor is inverted (upside down): it succeeds when the service is down."
    if as_text(lookup(item, "expectedTlsAlert"), "expectedTlsAlert").lower() not in ("", "none"):
        return "The monitor expects the server to refuse the TLS connection."
    return ""


def _tls(item: SourceObject) -> Tls:
    return _TLS.get(as_text(lookup(item, "smtpSecurity"), "smtpSecurity").lower(), "unknown")


def _default_timeout(item: SourceObject) -> Iterable[str]:
    if lookup(item, "timeout_by_default"):
        yield "The monitor has no timeout; 0.8 of its interval is used, as in Uptime Kuma."


FORMAT = ListingFormat(
    title=TITLE,
    noun="monitor",
    lists=("monitorList",),
    required_keys=(("type",), ("interval",), ("upsideDown", "maxretries", "accepted_statuscodes", "pathName")),
    envelope=("monitorList",),
    interval=("interval",),
    timeout=("timeout",),
    tags=("labels",),
    note=("description",),
    types={"smtp": SMTP, "port": TCP},
    not_mail={"group": "A group is not a check; its name becomes a tag of its monitors."},
    paused=_paused,
    tls=_tls,
    adapt=_adapt,
    skip_reason=_inverted,
    changes=_default_timeout,
)


def recognises(document: Document) -> bool:
    """Whether the document is a backup, a dump or the database. Raises `InputError` for other SQLite databases."""
    if document.format == "sqlite":
        with closing(_connection(document)) as database:
            _columns(document, database)
        return True
    return document.format == "json" and is_listing(FORMAT, _normalise(document.json()))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every monitor. IDs are valid within their own file only."""
    for document in documents:
        if document.format == "sqlite":
            content: object = {"monitorList": _database_monitors(document)}
        elif document.format == "json":
            content = _normalise(document.json())
        else:
            raise InputError(f"{document.name} is neither a backup (JSON) nor a database of {TITLE}.")
        if isinstance(content, Mapping) and isinstance(monitors := lookup(content, "monitorList"), list):
            content = {**content, "monitorList": _with_groups(monitors)}
        yield from translate_items(FORMAT, [(document, content)])


def _normalise(content: object) -> object:
    """Convert a backup, a bare list, or monitors keyed by ID to {"monitorList": […]}."""
    if isinstance(content, list):
        return {"monitorList": content} if any(is_object(FORMAT, entry) for entry in content) else content
    if not isinstance(content, Mapping):
        return content
    if "monitorList" in content:
        monitors = content["monitorList"]
        return {**content, "monitorList": list(monitors.values()) if isinstance(monitors, Mapping) else monitors}
    if any(is_object(FORMAT, entry) for entry in content.values()):
        return {"monitorList": list(content.values())}
    return content


def _with_groups(monitors: list[object]) -> list[object]:
    """Add the names of its groups to each monitor as labels, and pause it if one of them is paused."""
    by_id = {_id(lookup(monitor, "id")): monitor for monitor in monitors if isinstance(monitor, Mapping)}
    return [_with_ancestors(monitor, by_id) if isinstance(monitor, Mapping) else monitor for monitor in monitors]


def _with_ancestors(monitor: SourceObject, by_id: Mapping[str, SourceObject]) -> SourceObject:
    groups: list[object] = []
    paused_by_group = False
    seen: set[str] = set()
    parent_id = _id(lookup(monitor, "parent"))
    while parent_id and parent_id in by_id and parent_id not in seen:
        if len(seen) == MAX_GROUPS:
            paused_by_group = True
            break
        seen.add(parent_id)
        group = by_id[parent_id]
        groups.append(lookup(group, "name"))
        try:
            paused_by_group = paused_by_group or _is_off(group)
        except UnreadableValue:
            paused_by_group = True  # an unreadable state counts as paused
        parent_id = _id(lookup(group, "parent"))
    tags = lookup(monitor, "tags")
    labels = [*(tags if isinstance(tags, list) else []), *groups]
    return {**monitor, "labels": labels, "paused_by_group": paused_by_group}


def _id(value: object) -> str:
    try:
        return as_text(value, "id")
    except UnreadableValue:
        return ""


def _database_monitors(document: Document) -> list[object]:
    try:
        with closing(_connection(document)) as database:
            existing = _columns(document, database)
            columns = [column for column in _COLUMNS if column in existing]
            fields = [_COLUMNS[column] for column in columns]
            tags = _tags(database)
            rows = database.execute(f"SELECT {', '.join(columns)} FROM monitor ORDER BY id")
            return [{**dict(zip(fields, row, strict=True)), "tags": tags.get(row[0], [])} for row in rows]
    except _DATABASE_ERRORS as error:
        raise _unreadable(document, error) from error


def _tags(database: sqlite3.Connection) -> dict[object, list[object]]:
    tags: dict[object, list[object]] = {}
    if _is_table(database, "tag") and _is_table(database, "monitor_tag"):
        rows = database.execute(
            "SELECT monitor_tag.monitor_id, tag.name, monitor_tag.value"
            " FROM monitor_tag JOIN tag ON tag.id = monitor_tag.tag_id ORDER BY monitor_tag.id"
        )
        for monitor, name, value in rows:
            tags.setdefault(monitor, []).append({"name": name, "value": value})
    return tags


def _connection(document: Document) -> sqlite3.Connection:
    """Open the database without changing its folder. Unless it has a write-ahead log, it is opened as immutable,
    since SQLite would otherwise create a log even for reading."""
    path = document.path.resolve()
    log_path = path.with_name(f"{path.name}-wal")
    has_log = log_path.exists() and log_path.stat().st_size > 0
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"
    try:
        database = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)
    except _DATABASE_ERRORS as error:
        raise _unreadable(document, error) from error
    callbacks = 0

    def has_exceeded_limit() -> bool:
        nonlocal callbacks
        callbacks += 1
        return callbacks > MAX_STEPS // STEPS_PER_CALLBACK

    database.set_progress_handler(has_exceeded_limit, STEPS_PER_CALLBACK)
    database.text_factory = lambda data: data.decode("utf-8", errors="replace")
    return database


def _columns(document: Document, database: sqlite3.Connection) -> set[str]:
    """Return the columns of the table `monitor`. Raises `InputError` if it is not Uptime Kuma's."""
    try:
        database.execute("PRAGMA trusted_schema = 0")
        columns = set()
        if _is_table(database, "monitor"):
            columns = {str(row[1]) for row in database.execute("PRAGMA table_info(monitor)")}
    except _DATABASE_ERRORS as error:
        raise _unreadable(document, error) from error
    if not columns.issuperset(_REQUIRED_COLUMNS):
        raise InputError(
            f"{document.name} is an SQLite database, but not one of {TITLE}: it has no table 'monitor' with the "
            f"columns {', '.join(_REQUIRED_COLUMNS)}."
        )
    return columns


def _is_table(database: sqlite3.Connection, name: str) -> bool:
    """Whether this is an ordinary table: a view or a virtual table would execute code from the file."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    return any(str(sql).upper().startswith("CREATE TABLE") for (sql,) in database.execute(query, (name,)))


def _unreadable(document: Document, error: Exception) -> InputError:
    return InputError(
        f"{document.name} cannot be read as an SQLite database ({error}); copy kuma.db while Uptime Kuma is "
        "stopped, or copy kuma.db-wal and kuma.db-shm as well."
    )
