"""Uptime Kuma: the backup JSON of 1.x, dumps of its API, and the database `kuma.db`, which is only read."""

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

DEFAULT_TIMEOUT = 0.8  # of the interval, where a monitor sets none
MAX_GROUPS = 100  # one inside the other; what is deeper down is taken as paused
MAX_STEPS = 200_000_000  # of SQLite's machine, about ten seconds; a real database needs thousands
STEPS_PER_LOOK = 1_000_000

# What is read of the table `monitor`; older versions lack some of it, and passwords stay where they are.
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
_NEEDED = ("id", "name", "type", "hostname")
_TLS: Mapping[str, Tls] = {"secure": "implicit", "starttls": "starttls", "nostarttls": "none"}


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    try:
        interval = as_seconds(lookup(item, "interval"), "interval", unit=1)
    except UnreadableValue:
        return (item,)  # said once, where every interval is read
    if as_seconds(lookup(item, "timeout"), "timeout", unit=1) is None and interval is not None:
        return ({**item, "timeout": interval * DEFAULT_TIMEOUT, "timeout_by_default": True},)
    return (item,)


def _paused(item: SourceObject) -> bool:
    return (
        _is_off(item) or as_bool(lookup(item, "forceInactive"), "forceInactive") or bool(lookup(item, "paused_above"))
    )


def _is_off(item: SourceObject) -> bool:
    active = lookup(item, "active")
    return active is not None and not as_bool(active, "active")


def _inverted(item: SourceObject) -> str:
    if as_bool(lookup(item, "upsideDown"), "upsideDown"):
        return "The monitor is upside down: it is up when the service is down."
    if as_text(lookup(item, "expectedTlsAlert"), "expectedTlsAlert").lower() not in ("", "none"):
        return "The monitor expects the server to refuse the TLS connection."
    return ""


def _tls(item: SourceObject) -> Tls:
    return _TLS.get(as_text(lookup(item, "smtpSecurity"), "smtpSecurity").lower(), "unknown")


def _default_timeout(item: SourceObject) -> Iterable[str]:
    if lookup(item, "timeout_by_default"):
        yield "The monitor sets no time-out; 0.8 of its interval is taken, as Uptime Kuma does."


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
    not_mail={"group": "A group is no check of its own; its name becomes a tag of its monitors."},
    paused=_paused,
    tls=_tls,
    adapt=_adapt,
    skip_reason=_inverted,
    changes=_default_timeout,
)


def recognises(document: Document) -> bool:
    """Whether the document is a backup, a dump or the database; another SQLite database is an error."""
    if document.format == "sqlite":
        with closing(_connection(document)) as database:
            _columns(document, database)
        return True
    return document.format == "json" and is_listing(FORMAT, _listed(document.json()))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Every monitor of the backups and databases; ids count within their own file."""
    for document in documents:
        if document.format == "sqlite":
            content: object = {"monitorList": _database_monitors(document)}
        elif document.format == "json":
            content = _listed(document.json())
        else:
            raise InputError(f"{document.name} is neither a backup (JSON) nor a database of {TITLE}.")
        if isinstance(content, Mapping) and isinstance(found := lookup(content, "monitorList"), list):
            content = {"monitorList": _with_groups(found)}
        yield from translate_items(FORMAT, [(document, content)])


def _listed(content: object) -> object:
    """All shapes as {"monitorList": […]}: a backup, a bare list, monitors keyed by id."""
    if isinstance(content, list):
        return {"monitorList": content} if any(is_object(FORMAT, one) for one in content) else content
    if not isinstance(content, Mapping):
        return content
    if "monitorList" in content:
        monitors = content["monitorList"]
        return {"monitorList": list(monitors.values()) if isinstance(monitors, Mapping) else monitors}
    if any(is_object(FORMAT, one) for one in content.values()):
        return {"monitorList": list(content.values())}
    return content


def _with_groups(monitors: list[object]) -> list[object]:
    """Each monitor with the names of the groups above it as labels, and paused when one of them is."""
    by_id = {_id(lookup(one, "id")): one for one in monitors if isinstance(one, Mapping)}
    return [_with_ancestors(one, by_id) if isinstance(one, Mapping) else one for one in monitors]


def _with_ancestors(monitor: SourceObject, by_id: Mapping[str, SourceObject]) -> SourceObject:
    groups: list[object] = []
    paused_above = False
    seen: set[str] = set()
    above = _id(lookup(monitor, "parent"))
    while above and above in by_id and above not in seen:
        if len(seen) == MAX_GROUPS:
            paused_above = True
            break
        seen.add(above)
        group = by_id[above]
        groups.append(lookup(group, "name"))
        try:
            paused_above = paused_above or _is_off(group)
        except UnreadableValue:
            paused_above = True  # what cannot be told is not switched on
        above = _id(lookup(group, "parent"))
    own = lookup(monitor, "tags")
    labels = [*(own if isinstance(own, list) else []), *groups]
    return {**monitor, "labels": labels, "paused_above": paused_above}


def _id(value: object) -> str:
    try:
        return as_text(value, "id")
    except UnreadableValue:
        return ""


def _database_monitors(document: Document) -> list[object]:
    try:
        with closing(_connection(document)) as database:
            found = _columns(document, database)
            columns = [column for column in _COLUMNS if column in found]
            names = [_COLUMNS[column] for column in columns]
            tags = _tags(database)
            rows = database.execute(f"SELECT {', '.join(columns)} FROM monitor ORDER BY id")
            return [{**dict(zip(names, row, strict=True)), "tags": tags.get(row[0], [])} for row in rows]
    except sqlite3.Error as error:
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
    """A connection that leaves no trace: without a log beside it the database is opened as immutable, since
    SQLite would create one even for reading."""
    path = document.path.resolve()
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"
    try:
        database = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)
    except sqlite3.Error as error:
        raise _unreadable(document, error) from error
    looks = 0

    def too_long() -> bool:
        nonlocal looks
        looks += 1
        return looks > MAX_STEPS // STEPS_PER_LOOK

    database.set_progress_handler(too_long, STEPS_PER_LOOK)
    database.text_factory = lambda data: data.decode("utf-8", errors="replace")
    return database


def _columns(document: Document, database: sqlite3.Connection) -> set[str]:
    """The columns of the table `monitor`, if it is Uptime Kuma's."""
    try:
        database.execute("PRAGMA trusted_schema = 0")
        columns = set()
        if _is_table(database, "monitor"):
            columns = {str(row[1]) for row in database.execute("PRAGMA table_info(monitor)")}
    except sqlite3.Error as error:
        raise _unreadable(document, error) from error
    if not columns.issuperset(_NEEDED):
        raise InputError(
            f"{document.name} is an SQLite database, but not one of {TITLE}: it has no table 'monitor' with the "
            f"columns {', '.join(_NEEDED)}."
        )
    return columns


def _is_table(database: sqlite3.Connection, name: str) -> bool:
    """Whether it is a plain table: a view or a virtual table of that name would run code of the file."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?"
    return any(str(sql).upper().startswith("CREATE TABLE") for (sql,) in database.execute(query, (name,)))


def _unreadable(document: Document, error: sqlite3.Error) -> InputError:
    return InputError(
        f"{document.name} cannot be read as an SQLite database ({error}); copy kuma.db while Uptime Kuma is "
        "stopped, or take kuma.db-wal and kuma.db-shm along."
    )
