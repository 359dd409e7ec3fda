"""Listings of monitoring services: every object has an outcome, no value is guessed, and no secret is imported."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.rules import configuration_source
from bulkload.migration.tools.registry import recognise
from bulkload.monitors.header import map_header
from bulkload.monitors.validate import Invalid, Validator
from tests.support.migration_golden import expected_path, fixture_folders, translate_fixture
from tests.support.migration_objects import (
    FORMATS,
    MINIMAL_OBJECTS,
    SECRET,
    TOOLS,
    assert_usable,
    read_folder,
    read_json,
    read_modified_object,
    value_paths,
)
from tests.support.paths import SAMPLES


@pytest.mark.parametrize("case", fixture_folders(*TOOLS), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_the_result_of_a_fixture_matches_its_golden_file(case: Path) -> None:
    assert translate_fixture(case) == json.loads(expected_path(case).read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", fixture_folders(*TOOLS), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_no_secret_of_a_source_is_imported(case: Path) -> None:
    assert SECRET not in json.dumps(translate_fixture(case))


def test_every_tool_has_a_golden_fixture_and_a_sample() -> None:
    assert {case.parent.name for case in fixture_folders(*TOOLS)} == set(TOOLS)
    samples = SAMPLES / "migration"
    assert {recognise(read_documents([path])).reader.NAME for path in samples.iterdir()} >= set(TOOLS)


@pytest.mark.parametrize("tool", MINIMAL_OBJECTS)
def test_the_smallest_valid_object_becomes_a_check(tool: str, tmp_path: Path) -> None:
    item = read_modified_object(tmp_path, tool)
    assert isinstance(item, Check)
    assert (item.name, item.hostname, item.port, item.enabled) == ("mx1", "mx1.example.com", 25, True)
    assert item.interval_seconds == 300


@pytest.mark.parametrize("tool", MINIMAL_OBJECTS)
def test_a_bare_list_is_recognised_by_exactly_one_tool(tool: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([MINIMAL_OBJECTS[tool][1]]), encoding="utf-8")
    name = recognise(read_documents([tmp_path])).reader.NAME
    assert name == tool


@pytest.mark.parametrize(
    ("tool", "path", "value"),
    [
        ("alertsite", "enabled", False),
        ("alertsite", "enabled", "n"),
        ("better-stack", "attributes.paused", True),
        ("better-stack", "attributes.status", "paused"),
        ("better-stack", "attributes.paused_at", "2026-01-01T00:00:00Z"),
        ("datadog", "status", "paused"),
        ("pingdom", "status", "paused"),
        ("pingdom", "paused", True),
        ("site24x7", "state", 5),
        ("site24x7", "state", "5"),
        ("statuscake", "paused", True),
        ("uptime-com", "is_paused", True),
        ("uptimerobot", "status", 0),
        ("uptimerobot", "status", "0"),
        ("uptimerobot", "status", "PAUSED"),
        ("uptime-kuma", "active", False),
        ("uptime-kuma", "active", 0),
        ("uptime-kuma", "active", "0"),
        ("uptime-kuma", "forceInactive", True),
    ],
)
def test_a_paused_check_stays_paused(tool: str, path: str, value: object, tmp_path: Path) -> None:
    item = read_modified_object(tmp_path, tool, path, value)
    assert isinstance(item, Check)
    assert not item.enabled


@pytest.mark.parametrize(
    ("tool", "path", "value", "seconds"),
    [
        ("alertsite", "interval", 15, 900),
        ("alertsite", "interval", "15", 900),
        ("better-stack", "attributes.check_frequency", 30, 30),
        ("datadog", "options.tick_every", 900, 900),
        ("pingdom", "resolution", 5, 300),
        ("site24x7", "check_frequency", "10", 600),
        ("statuscake", "check_rate", 300, 300),
        ("statuscake", "check_rate", 0, 60),
        ("uptime-com", "msp_interval", 1, 60),
        ("uptimerobot", "interval", 45, 45),
        ("uptime-kuma", "interval", 20, 20),
    ],
)
def test_the_interval_is_read_in_the_unit_of_the_tool(
    tool: str, path: str, value: object, seconds: float, tmp_path: Path
) -> None:
    item = read_modified_object(tmp_path, tool, path, value)
    assert isinstance(item, Check)
    assert item.interval_seconds == seconds


@pytest.mark.parametrize(
    ("tool", "path", "value", "seconds"),
    [
        ("alertsite", "timeout", 45, 45),
        ("better-stack", "attributes.request_timeout", 500, 0.5),
        ("datadog", "config.request.timeout", 5, 5),
        ("site24x7", "timeout", "15", 15),
        ("statuscake", "timeout", 40, 40),
        ("uptimerobot", "timeout", 30, 30),
        ("uptime-kuma", "timeout", 12.5, 12.5),
        ("uptime-kuma", "timeout", 0, 240),
        ("uptime-kuma", "timeout", None, 240),
    ],
)
def test_the_timeout_is_read_in_the_unit_of_the_tool(
    tool: str, path: str, value: object, seconds: float, tmp_path: Path
) -> None:
    item = read_modified_object(tmp_path, tool, path, value)
    assert isinstance(item, Check)
    assert item.timeout_seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("tool", "path", "value"),
    [
        ("datadog", "config.assertions", [{"type": "connection", "operator": "is", "target": "refused"}]),
        ("datadog", "config.assertions", [{"type": "connection", "operator": "isNot", "target": "established"}]),
        ("site24x7", "invert_port_check", True),
        ("uptime-kuma", "upsideDown", True),
        ("uptime-kuma", "upsideDown", 1),
        ("uptime-kuma", "expectedTlsAlert", "certificate_required"),
    ],
)
def test_an_inverted_check_is_skipped_with_the_reason(tool: str, path: str, value: object, tmp_path: Path) -> None:
    item = read_modified_object(tmp_path, tool, path, value)
    assert isinstance(item, SkippedObject)
    assert not item.error
    assert "not a mail type" not in item.reason


@pytest.mark.parametrize(
    ("tool", "host"),
    [
        (tool, host)
        for tool in sorted(MINIMAL_OBJECTS)
        for host in ("${MX_HOST}", "{{ MX_HOST }}")
        if tool != "alertsite"
    ],
)
def test_a_variable_in_a_host_name_is_an_error_with_its_name(tool: str, host: str, tmp_path: Path) -> None:
    item = read_modified_object(tmp_path, tool, FORMATS[tool].hostname[0], host)
    assert isinstance(item, SkippedObject)
    assert item.error
    assert "'MX_HOST'" in item.reason


@pytest.mark.parametrize("invalid", [[], {}, [1], {"a": 1}, True, False, None, "", "abc", -1, 1.5, 10**30, math.inf])
@pytest.mark.parametrize("tool", MINIMAL_OBJECTS)
def test_an_invalid_value_affects_only_its_own_object(tool: str, invalid: object, tmp_path: Path) -> None:
    """With any value in one field, the object has one outcome, and the next object is imported."""
    list_key, good = MINIMAL_OBJECTS[tool]
    for path in value_paths(good):
        item = json.loads(json.dumps(good))
        target = item
        *parents, last = path.split(".")
        for key in parents:
            target = target[key]
        target[last] = invalid
        other_item = json.loads(json.dumps(good).replace('"mx1"', '"mx2"'))
        results = read_json(tmp_path, {list_key: [item, other_item]}, tool=tool)
        assert len({result.origin for result in results}) == 2, path
        assert isinstance(results[-1], Check), path
        for result in results:
            assert_usable(result)


@pytest.mark.parametrize("entry", [None, 1, "text", [], [[]], True, {}, {"type": None}])
@pytest.mark.parametrize("tool", MINIMAL_OBJECTS)
def test_an_entry_that_is_not_a_monitor_is_an_error(tool: str, entry: object, tmp_path: Path) -> None:
    list_key, good = MINIMAL_OBJECTS[tool]
    items = read_json(tmp_path, {list_key: [entry, good]}, tool=tool)
    assert [type(item) for item in items] == [SkippedObject, Check]
    assert isinstance(items[0], SkippedObject)
    assert items[0].error


KEYS = sorted({key for _, good in MINIMAL_OBJECTS.values() for path in value_paths(good) for key in path.split(".")})
LIST_KEYS = sorted(
    {list_key for list_key, _ in MINIMAL_OBJECTS.values()} | {"check", "monitor", "stat", "counts", "metadata"}
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["email-smtp", "smtp", "port", "tcp", "api", "PORT", "25", "25,465", "0", "mx.example.com"])
    | st.sampled_from(["smtp://u:p@h:25/", "[::1]:25", "${X}", "{{", "paused", "\ud800", "a\x00b"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=25,
)
PAGES = JSON | st.dictionaries(st.sampled_from(LIST_KEYS), JSON | st.lists(JSON, max_size=3), max_size=3)


@settings(max_examples=300)
@given(page=PAGES, tool=st.sampled_from([None, *MINIMAL_OBJECTS]))
def test_any_json_raises_only_input_errors(page: object, tool: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            items = read_json(Path(folder), page, tool=tool)
        except InputError:
            return
    for item in items:
        assert_usable(item)


@settings(max_examples=200)
@given(changes=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4), tool=st.sampled_from(sorted(MINIMAL_OBJECTS)))
def test_valid_objects_with_any_values_in_their_fields_have_an_outcome(changes: dict[str, object], tool: str) -> None:
    list_key, good = MINIMAL_OBJECTS[tool]
    with tempfile.TemporaryDirectory() as folder:
        items = read_json(Path(folder), {list_key: [{**good, **changes}]}, tool=tool)
    assert items
    for item in items:
        assert_usable(item)


@pytest.mark.parametrize("tool", MINIMAL_OBJECTS)
def test_a_truncated_file_is_reported(tool: str, tmp_path: Path) -> None:
    list_key, good = MINIMAL_OBJECTS[tool]
    content = json.dumps({list_key: [good, good]})
    (tmp_path / "cut.json").write_text(content[:-12], encoding="utf-8")
    with pytest.raises(InputError, match="truncated"):
        read_folder(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[]", '{"monitors": 5}', '{"other": [{"a": 1}]}', "25"])
@pytest.mark.parametrize("tool", [tool for tool in MINIMAL_OBJECTS if tool != "uptime-kuma"])
def test_a_file_without_the_list_of_the_chosen_tool_gives_no_check(tool: str, content: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    try:
        items = read_folder(tmp_path, tool)
    except InputError:
        return
    assert all(isinstance(item, SkippedObject) for item in items)


@pytest.mark.parametrize(
    "page",
    [
        {"stat": "ok", "pagination": {"offset": 0, "limit": 50, "total": 0}, "monitors": []},
        {"metadata": {"resultset": {"count": 0}}, "results": []},
        {"checks": [], "counts": {"total": 0}},
        {"version": "1.23.17", "notificationList": [], "monitorList": []},
    ],
)
def test_an_empty_account_is_recognised(page: object, tmp_path: Path) -> None:
    assert read_json(tmp_path, page) == []


def test_pages_are_read_in_order_and_overlaps_are_merged(tmp_path: Path) -> None:
    monitors = [
        {**MINIMAL_OBJECTS["uptimerobot"][1], "id": number, "friendly_name": f"m{number}"} for number in range(7)
    ]
    items = read_json(tmp_path, {"monitors": monitors[:4]}, {"monitors": monitors[3:]})
    assert [item.name for item in items if isinstance(item, Check)] == [f"m{number}" for number in range(7)]
    assert [item.origin for item in items if isinstance(item, SkippedObject)] == ["page1.json: monitor 3 (m3)"]


def test_an_array_of_pages_is_read_like_several_files(tmp_path: Path) -> None:
    good = MINIMAL_OBJECTS["uptimerobot"][1]
    pages = [{"stat": "ok", "monitors": [good]}, {"stat": "ok", "monitors": [{**good, "id": 2}]}]
    assert [type(item) for item in read_json(tmp_path, pages)] == [Check, Check]


@pytest.mark.parametrize("change", [{"friendly_name": "other"}, {"url": "mx2.example.com"}])
def test_monitors_of_two_accounts_with_the_same_id_are_not_merged(change: dict[str, str], tmp_path: Path) -> None:
    good = MINIMAL_OBJECTS["uptimerobot"][1]
    items = read_json(tmp_path, {"monitors": [good]}, {"monitors": [{**good, **change}]})
    assert [type(item) for item in items] == [Check, Check]


@pytest.mark.parametrize("names", [("a-list.json", "b-detail.json"), ("b-list.json", "a-detail.json")])
def test_a_detail_completes_the_list_in_either_order(names: tuple[str, str], tmp_path: Path) -> None:
    """The port comes from the detail, the tags from the list; the list entry refers to the detail."""
    entry = {"id": 7, "name": "mx", "hostname": "mx.example.com", "resolution": 1, "type": "tcp", "status": "up"}
    (tmp_path / names[0]).write_text(json.dumps({"checks": [{**entry, "tags": [{"name": "mail"}]}]}))
    (tmp_path / names[1]).write_text(json.dumps({"check": {**entry, "type": {"tcp": {"port": 465}}, "tags": None}}))
    items = read_folder(tmp_path)
    (check,) = [item for item in items if isinstance(item, Check)]
    (skipped_object,) = [item for item in items if isinstance(item, SkippedObject)]
    assert (check.port, check.tags) == (465, ("mail",))
    assert not skipped_object.error
    assert "detail.json" in skipped_object.reason


def test_each_port_becomes_a_row_with_a_unique_name(tmp_path: Path) -> None:
    list_key, good = MINIMAL_OBJECTS["better-stack"]
    item = {**good, "attributes": {**good["attributes"], "port": "25, 465,587,25"}}
    checks = [check for check in read_json(tmp_path, {list_key: [item]}) if isinstance(check, Check)]
    assert [(check.name, check.port) for check in checks] == [("mx1 :25", 25), ("mx1 :465", 465), ("mx1 :587", 587)]


@pytest.mark.parametrize("case", fixture_folders(*TOOLS), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_every_row_of_a_fixture_is_valid_with_a_plan_code(case: Path) -> None:
    source = configuration_source([case])
    validator = Validator(map_header(source.header, given=["billing_plancode"]), defaults={"billing_plancode": "P"})
    results = [validator.check(row) for row in source.rows]
    assert results
    assert [result for result in results if isinstance(result, Invalid)] == []
