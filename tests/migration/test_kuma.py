"""Uptime Kuma: backup, API dump and database give the same checks, and the database is not modified."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.tools import kuma
from bulkload.migration.tools.registry import recognise
from tests.support.migration_golden import FIXTURES

BACKUP = FIXTURES / "uptime-kuma" / "backup" / "Uptime_Kuma_Backup.json"

# The columns of Uptime Kuma 2.x that matter for mail, and columns that contain secrets.
SCHEMA = """
CREATE TABLE monitor (
    id INTEGER PRIMARY KEY, name VARCHAR(150), active BOOLEAN NOT NULL DEFAULT 1, user_id INTEGER,
    interval INTEGER NOT NULL DEFAULT 20, url TEXT, type VARCHAR(20), weight INTEGER DEFAULT 2000,
    hostname VARCHAR(255), port INTEGER, keyword VARCHAR(255), maxretries INTEGER NOT NULL DEFAULT 0,
    upside_down BOOLEAN NOT NULL DEFAULT 0, push_token VARCHAR(20), description TEXT, parent INTEGER,
    timeout DOUBLE NOT NULL DEFAULT 0, expected_tls_alert TEXT, smtp_security TEXT, basic_auth_pass TEXT
);
CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(255), color VARCHAR(255));
CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
"""
OLD_SCHEMA = """
CREATE TABLE monitor (
    id INTEGER PRIMARY KEY, name TEXT, active BOOLEAN, interval INTEGER, type TEXT, hostname TEXT, port INTEGER,
    upside_down BOOLEAN
);
INSERT INTO monitor VALUES (1, 'mx', 1, 60, 'port', 'mx.example.com', 25, 0);
"""
COLUMNS = {
    "id": "id",
    "name": "name",
    "active": "active",
    "interval": "interval",
    "type": "type",
    "hostname": "hostname",
    "port": "port",
    "maxretries": "maxretries",
    "upsideDown": "upside_down",
    "pushToken": "push_token",
    "description": "description",
    "parent": "parent",
    "timeout": "timeout",
    "expectedTlsAlert": "expected_tls_alert",
    "smtpSecurity": "smtp_security",
}
PORT_25: Mapping[str, Any] = {
    "id": 2,
    "name": "mx",
    "type": "port",
    "hostname": "mx.example.com",
    "port": 25,
    "interval": 60,
    "timeout": 48,
    "active": 1,
    "upsideDown": 0,
    "maxretries": 0,
}


def make_database(path: Path, monitors: Iterable[Mapping[str, Any]]) -> Path:
    """Create a kuma.db with these monitors and their tags."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(SCHEMA)
        for monitor in monitors:
            fields = [field for field in COLUMNS if field in monitor]
            database.execute(
                f"INSERT INTO monitor ({', '.join(COLUMNS[field] for field in fields)}, basic_auth_pass)"
                f" VALUES ({'?, ' * len(fields)}'hunter2')",
                [monitor[field] for field in fields],
            )
            for tag in monitor.get("tags", ()):
                database.execute("INSERT OR IGNORE INTO tag VALUES (?, ?, '#fff')", (tag["tag_id"], tag["name"]))
                database.execute(
                    "INSERT INTO monitor_tag (monitor_id, tag_id, value) VALUES (?, ?, ?)",
                    (monitor["id"], tag["tag_id"], tag["value"]),
                )
        database.commit()
    return path


def read(*paths: Path) -> list[Check | SkippedObject]:
    """Return the outcomes of all objects in the files."""
    recognised = recognise(read_documents(paths))
    assert recognised.reader.TITLE == "Uptime Kuma"
    return list(recognised.reader.translate(recognised.documents))


def read_json(path: Path, content: object) -> list[Check | SkippedObject]:
    """Return the outcomes of a JSON file with this content."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return read(path)


def without_file_name(outcomes: Iterable[Check | SkippedObject]) -> list[Check | SkippedObject]:
    """Return the outcomes without the file name in their origin."""
    return [replace(outcome, origin=outcome.origin.partition(": ")[2]) for outcome in outcomes]


def test_the_database_gives_the_same_checks_as_its_backup(tmp_path: Path) -> None:
    monitors = json.loads(BACKUP.read_text())["monitorList"]
    from_database = read(make_database(tmp_path / "kuma.db", monitors))
    assert without_file_name(from_database) == without_file_name(read(BACKUP))
    assert "hunter2" not in repr(from_database)


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
def test_reading_the_database_does_not_change_its_folder(journal_mode: str, tmp_path: Path) -> None:
    path = make_database(tmp_path / "kuma.db", [PORT_25])
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {journal_mode}")
    before = path.read_bytes()
    assert len(read(path)) == 1
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["kuma.db"]


def test_the_write_ahead_log_of_the_database_is_read(tmp_path: Path) -> None:
    """A copy taken from a running Uptime Kuma has its newest monitors in kuma.db-wal."""
    path = make_database(tmp_path / "kuma.db", [PORT_25])
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(path)) as running:
        running.execute("PRAGMA journal_mode = wal")
        running.execute(
            "INSERT INTO monitor (id, name, type, hostname, port) VALUES (9, 'new', 'smtp', 'n.example.com', 25)"
        )
        running.commit()
        for name in ("kuma.db", "kuma.db-wal", "kuma.db-shm"):
            shutil.copy(tmp_path / name, copy / name)
        assert [item.name for item in read(path) if isinstance(item, Check)] == ["mx", "new"]
    assert [item.name for item in read(copy / "kuma.db") if isinstance(item, Check)] == ["mx", "new"]


def test_a_database_of_an_old_version_is_read_without_its_missing_columns(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "kuma.db")) as database:
        database.executescript(OLD_SCHEMA)
    (check,) = read(tmp_path / "kuma.db")
    assert isinstance(check, Check)
    assert (check.name, check.port, check.timeout_seconds, check.enabled) == ("mx", 25, 48, True)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE runs (id INTEGER)",
        "CREATE TABLE monitor (id INTEGER, name TEXT)",
        "CREATE VIEW monitor AS SELECT 1 AS id, 'n' AS name, 'port' AS type, 'h' AS hostname",
        "CREATE VIEW monitor AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n",
    ],
)
def test_another_sqlite_database_is_rejected(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
    with pytest.raises(InputError, match=r"other\.db is an SQLite database, but not one of Uptime Kuma"):
        read(path)


@pytest.mark.parametrize("kept_bytes", [16, 100, 4096, 6000])
def test_a_damaged_database_is_rejected_with_a_message(kept_bytes: int, tmp_path: Path) -> None:
    path = make_database(tmp_path / "kuma.db", [{**PORT_25, "id": number} for number in range(1, 200)])
    path.write_bytes(path.read_bytes()[:kept_bytes] + b"\xff" * 500)
    with pytest.raises(InputError, match=r"kuma\.db"):
        read(path)


@pytest.mark.parametrize(("old", "new"), [(b"hostname", b"hostnam\xff"), (b"CREATE TABLE", b"CREATE TABL\xff")])
def test_a_schema_that_is_not_utf8_is_rejected_with_a_message(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = make_database(tmp_path / "kuma.db", [PORT_25])
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(InputError, match=r"kuma\.db"):
        read(path)


@pytest.mark.parametrize("value", [b"\x00\xff", "x" * 100_000, -1, 1e300, None, "", "\x00"])
@pytest.mark.parametrize(
    "column", ["name", "type", "hostname", "port", "interval", "timeout", "parent", "smtpSecurity"]
)
def test_an_invalid_value_in_the_database_affects_only_its_own_monitor(
    column: str, value: object, tmp_path: Path
) -> None:
    """SQLite stores values of any type in any column."""
    path = tmp_path / "kuma.db"
    with closing(sqlite3.connect(make_database(path, [PORT_25, {**PORT_25, "id": 3, "name": "good"}]))) as database:
        database.execute(f"UPDATE OR IGNORE monitor SET {COLUMNS[column]} = ? WHERE id = 2", (value,))
        database.commit()
    items = read(path)
    assert len(items) == 2
    assert isinstance(items[1], Check)
    assert items[1].name == "good"


def test_text_that_is_not_utf8_is_read_with_replacement_characters(tmp_path: Path) -> None:
    path = tmp_path / "kuma.db"
    with closing(sqlite3.connect(make_database(path, [PORT_25]))) as database:
        database.execute("UPDATE monitor SET name = CAST(x'4dfc6c6c6572' AS TEXT)")
        database.commit()
    (check,) = read(path)
    assert isinstance(check, Check)
    assert check.name == "M\ufffdller"


def test_a_paused_group_pauses_all_monitors_in_it(tmp_path: Path) -> None:
    group = {**PORT_25, "id": 10, "type": "group", "name": "Mail", "active": 0}
    inner = {**PORT_25, "id": 11, "type": "group", "name": "Inner", "parent": 10}
    leaf = {**PORT_25, "id": 12, "name": "leaf", "parent": 11}
    for items in (
        read(make_database(tmp_path / "kuma.db", [leaf, inner, group])),
        read_json(tmp_path / "backup.json", {"monitorList": [leaf, inner, group]}),
    ):
        (check,) = [item for item in items if isinstance(item, Check)]
        assert not check.enabled
        assert check.tags == ("Inner", "Mail")


@given(parents=st.lists(st.none() | st.integers(0, 6) | st.sampled_from(["1", [], True, 1.0]), min_size=6, max_size=6))
@settings(max_examples=60)
def test_groups_that_contain_each_other_do_not_loop(
    parents: list[object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    monitors = [{**PORT_25, "id": number, "parent": parent} for number, parent in enumerate(parents)]
    items = read_json(tmp_path_factory.mktemp("kuma") / "backup.json", {"monitorList": monitors})
    assert len(items) == len(monitors)


def test_monitors_in_too_deeply_nested_groups_are_paused(tmp_path: Path) -> None:
    groups = [{**PORT_25, "id": number, "type": "group", "parent": number + 1} for number in range(3, 3000)]
    items = read_json(tmp_path / "backup.json", {"monitorList": [{**PORT_25, "parent": 3}, *groups]})
    assert len(items) == 2998
    assert [item.enabled for item in items if isinstance(item, Check)] == [False]


@pytest.mark.parametrize(
    "shape",
    [
        lambda monitors: {"version": "1.23.17", "notificationList": [], "monitorList": monitors},
        lambda monitors: {"monitorList": {str(monitor["id"]): monitor for monitor in monitors}},
        lambda monitors: {str(monitor["id"]): monitor for monitor in monitors},
        lambda monitors: monitors,
    ],
    ids=["backup", "event", "keyed by ID", "list"],
)
def test_all_formats_of_the_monitor_list_are_read(shape: Any, tmp_path: Path) -> None:
    monitors = [
        {**PORT_25, "id": 1, "type": "group", "name": "Night", "active": False},
        {**PORT_25, "id": 2, "parent": 1},
        {**PORT_25, "id": 3, "name": "awake"},
    ]
    items = read_json(tmp_path / "monitors.json", shape(monitors))
    assert [(item.name, item.enabled, item.tags) for item in items if isinstance(item, Check)] == [
        ("mx", False, ("Night",)),
        ("awake", True, ()),
    ]
    assert len(items) == 3


def test_monitors_of_two_servers_with_the_same_ids_are_not_mixed_up(tmp_path: Path) -> None:
    """The parent of a monitor is looked up only in its own file."""
    (tmp_path / "a.json").write_text(json.dumps({"monitorList": [{**PORT_25, "parent": 1}]}))
    off = {**PORT_25, "id": 1, "type": "group", "name": "Off", "active": False}
    (tmp_path / "b.json").write_text(json.dumps({"monitorList": [off]}))
    items = read(tmp_path / "a.json", tmp_path / "b.json")
    assert [item.enabled for item in items if isinstance(item, Check)] == [True]
    assert len(items) == 2


@pytest.mark.parametrize(
    ("security", "tls"),
    [("secure", "implicit"), ("starttls", "starttls"), ("nostarttls", "none"), (None, "unknown"), ("x", "unknown")],
)
@pytest.mark.parametrize("type_name", ["smtp", "port"])
def test_tls_is_taken_from_the_monitor_and_never_guessed(
    type_name: str, security: str | None, tls: str, tmp_path: Path
) -> None:
    (check,) = read_json(
        tmp_path / "b.json", {"monitorList": [{**PORT_25, "type": type_name, "smtpSecurity": security}]}
    )
    assert isinstance(check, Check)
    assert (check.tls, check.type) == (tls, "smtp" if type_name == "smtp" else None)


def test_a_database_is_recognised_without_reading_its_rows(tmp_path: Path) -> None:
    """Recognition uses only the schema; invalid rows are reported when the rows are read."""
    (document,) = read_documents([make_database(tmp_path / "renamed.bin", [])])
    assert kuma.recognises(document)
    assert list(kuma.translate([document])) == []
