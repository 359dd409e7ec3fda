"""AlertSite's own monitors as input: all their fields, found again under their own key."""

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


def test_every_cell_of_an_alertsite_monitor_has_an_input_column() -> None:
    assert set(alertsite.EXTRA_COLUMNS) <= set(FIELDS)


def test_every_input_column_is_carried_over_from_an_alertsite_monitor() -> None:
    carried = {"type", "name", "hostname", "port", "interval", "timeout", "enabled", "note"}
    assert set(FIELDS) - carried - {"monitor_id"} == set(alertsite.EXTRA_COLUMNS)


def test_monitors_of_one_host_in_two_plans_both_stay(tmp_path: Path) -> None:
    place, good = MINIMAL_OBJECTS["alertsite"]
    found = read_json(tmp_path, {place: [good, {**good, "id": 2, "name": "again", "billing_plancode": "UBM - B/B"}]})
    assert [one.extra["billing_plancode"] for one in found if isinstance(one, Check)] == ["UBM - A/A", "UBM - B/B"]


def test_a_field_without_a_column_is_named_and_its_value_is_not_copied(tmp_path: Path) -> None:
    found = read_modified_object(tmp_path, "alertsite", "pop3_password", SECRET)
    assert isinstance(found, Check)
    assert found.changes == ("Not imported: pop3_password.",)
    assert found.has_login
    assert SECRET not in repr(found)


def test_alertsite_monitors_are_good_rows_and_found_again_under_their_own_key() -> None:
    """So a file taken from an account creates nothing there, and everything in another account."""
    source = FIXTURES / "alertsite" / "account" / "monitors.json"
    items = json.loads(source.read_text(encoding="utf-8"))["results"]
    opened = configuration_source([source])
    validator = Validator(map_header(opened.header))
    checked = [validator.check(row) for row in opened.rows]
    good = [one.config for one in checked if isinstance(one, Valid)]
    mail = [item for item in items if listed_key(item) is not None]
    assert len(checked) == len(good) == len(mail)
    for config, item in zip(good, mail, strict=True):
        assert config.key == listed_key(item)
        assert differences(config.body(), item) == {}
