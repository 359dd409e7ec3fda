"""Monitors of AlertSite as input: all fields are imported, and the monitors are recognised by their key."""

from __future__ import annotations

import json
from pathlib import Path

from bulkload.migration.checks import Check
from bulkload.migration.rules import configuration_source
from bulkload.migration.tools import alertsite
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import map_header
from bulkload.monitors.identity import differences, listed_key
from bulkload.monitors.validate import Valid, Validator
from tests.support.migration_golden import FIXTURES
from tests.support.migration_objects import MINIMAL_OBJECTS, SECRET, read_json, read_modified_object


def test_every_extra_column_is_an_input_column() -> None:
    assert set(alertsite.EXTRA_COLUMNS) <= set(FIELDS)


def test_every_input_column_is_imported_from_an_alertsite_monitor() -> None:
    check_fields = {"type", "name", "hostname", "port", "interval", "timeout", "enabled", "note"}
    assert set(FIELDS) - check_fields - {"monitor_id"} == set(alertsite.EXTRA_COLUMNS)


def test_monitors_of_one_host_with_different_plans_are_not_merged(tmp_path: Path) -> None:
    list_key, good = MINIMAL_OBJECTS["alertsite"]
    items = read_json(tmp_path, {list_key: [good, {**good, "id": 2, "name": "again", "billing_plancode": "UBM - B/B"}]})
    assert [item.extra["billing_plancode"] for item in items if isinstance(item, Check)] == ["UBM - A/A", "UBM - B/B"]


def test_a_field_without_a_column_is_reported_without_its_value(tmp_path: Path) -> None:
    check = read_modified_object(tmp_path, "alertsite", "pop3_password", SECRET)
    assert isinstance(check, Check)
    assert check.changes == ("Not imported: pop3_password.",)
    assert check.has_login
    assert SECRET not in repr(check)


def test_alertsite_monitors_become_valid_rows_with_the_same_key() -> None:
    """A file exported from an account creates nothing in it, and everything in another account."""
    source = FIXTURES / "alertsite" / "account" / "monitors.json"
    items = json.loads(source.read_text(encoding="utf-8"))["results"]
    opened_source = configuration_source([source])
    validator = Validator(map_header(opened_source.header))
    results = [validator.check(row) for row in opened_source.rows]
    configs = [result.config for result in results if isinstance(result, Valid)]
    mail_monitors = [item for item in items if listed_key(item) is not None]
    assert len(results) == len(configs) == len(mail_monitors)
    for config, item in zip(configs, mail_monitors, strict=True):
        assert config.key == listed_key(item)
        assert differences(config.body(), item) == {}
