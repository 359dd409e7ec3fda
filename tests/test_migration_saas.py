"""Lists of monitoring services: every object has an outcome, nothing is invented, nothing secret is copied."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.columns import map_header
from bulkload.errors import InputError
from bulkload.fields import FIELDS
from bulkload.identity import differences, listed_key
from bulkload.readers.documents import read_documents
from bulkload.readers.listings import Layout
from bulkload.readers.tools import (
    alertsite,
    better_stack,
    datadog,
    gatus,
    kuma,
    pingdom,
    site24x7,
    statuscake,
    uptime_com,
    uptimerobot,
)
from bulkload.readers.tools.registry import recognise
from bulkload.readers.translate import configuration_source
from bulkload.readers.translation import Check, LeftOut
from bulkload.readers.values import Unreadable, as_address, as_bool, as_labels, as_port, as_seconds, as_text
from bulkload.validate import Invalid, Valid, Validator
from tests.migration_golden import FIXTURES, cases, expected, outcome

SERVICES = (alertsite, better_stack, datadog, pingdom, site24x7, statuscake, uptime_com, uptimerobot)
TOOLS = (*(service.NAME for service in SERVICES), gatus.NAME, kuma.NAME)
SECRET = "hunter2"  # every password of the fixtures

# One good object of each service, as small as the service sends it.
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "alertsite": (
        "results",
        {
            "id": 1,
            "type": "email-smtp",
            "name": "mx1",
            "hostname": "mx1.example.com",
            "billing_plancode": "UBM - A/A",
            "interval": 5,
            "timeout": 30,
            "port": 25,
            "locations": [{"id": 10}],
            "custom_properties": [{"id": 28, "value_id": 74}],
        },
    ),
    "better-stack": (
        "data",
        {
            "id": "1",
            "attributes": {
                "monitor_type": "smtp",
                "url": "mx1.example.com",
                "pronounceable_name": "mx1",
                "port": "25",
                "check_frequency": 300,
                "request_timeout": 5000,
                "paused": False,
            },
        },
    ),
    "datadog": (
        "tests",
        {
            "public_id": "abc",
            "type": "api",
            "subtype": "tcp",
            "name": "mx1",
            "status": "live",
            "config": {
                "request": {"host": "mx1.example.com", "port": 25, "timeout": 5},
                "assertions": [{"type": "connection", "operator": "is", "target": "established"}],
            },
            "options": {"tick_every": 300},
        },
    ),
    "pingdom": (
        "checks",
        {
            "id": 1,
            "name": "mx1",
            "hostname": "mx1.example.com",
            "resolution": 5,
            "type": "smtp",
            "status": "up",
            "port": 25,
        },
    ),
    "site24x7": (
        "data",
        {
            "monitor_id": "1",
            "display_name": "mx1",
            "type": "PORT-SMTP",
            "host_name": "mx1.example.com",
            "port": 25,
            "check_frequency": "5",
            "timeout": 30,
            "state": 0,
        },
    ),
    "statuscake": (
        "data",
        {
            "id": "1",
            "name": "mx1",
            "website_url": "mx1.example.com",
            "test_type": "SMTP",
            "check_rate": 300,
            "paused": False,
            "port": 25,
        },
    ),
    "uptime-com": (
        "results",
        {
            "pk": 1,
            "name": "mx1",
            "check_type": "SMTP",
            "msp_address": "mx1.example.com",
            "msp_port": 25,
            "msp_interval": 5,
            "is_paused": False,
        },
    ),
    "uptimerobot": (
        "monitors",
        {
            "id": 1,
            "friendly_name": "mx1",
            "url": "mx1.example.com",
            "type": 4,
            "sub_type": 4,
            "port": 25,
            "interval": 300,
            "status": 2,
        },
    ),
    "uptime-kuma": (
        "monitorList",
        {
            "id": 1,
            "name": "mx1",
            "type": "port",
            "hostname": "mx1.example.com",
            "port": 25,
            "interval": 300,
            "timeout": 48,
            "active": True,
            "upsideDown": False,
            "maxretries": 1,
        },
    ),
}
LAYOUTS: dict[str, Layout] = {service.NAME: service.LAYOUT for service in (*SERVICES, kuma)}


def read(folder: Path, tool: str | None = None) -> list[Check | LeftOut]:
    """What becomes of everything in a folder."""
    recognised = recognise(read_documents([folder]), tool)
    return [*recognised.reader.translate(recognised.documents), *recognised.left_out]


def read_json(folder: Path, *pages: object, tool: str | None = None) -> list[Check | LeftOut]:
    """What becomes of JSON pages, written as files."""
    for number, page in enumerate(pages):
        (folder / f"page{number}.json").write_text(json.dumps(page), encoding="utf-8")
    return read(folder, tool)


def read_one(folder: Path, tool: str, path: str = "", value: object = None) -> Check | LeftOut:
    """What becomes of the good object of a tool, with one value changed."""
    place, good = GOOD[tool]
    item = json.loads(json.dumps(good))
    target = item
    *above, last = path.split(".")
    for key in above:
        target = target.setdefault(key, {})
    if path:
        target[last] = value
    (found,) = read_json(folder, {place: [item]}, tool=tool)
    return found


def leaves(value: object, path: str = "") -> Iterator[str]:
    """The paths of all values inside objects."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            where = f"{path}.{key}" if path else key
            yield where
            yield from leaves(inner, where)


def assert_usable(one: Check | LeftOut) -> None:
    """A check holds only what the next stage may rely on; whatever is left out says why, in a sentence."""
    assert one.origin
    if isinstance(one, LeftOut):
        assert one.reason.endswith(".")
        assert "Traceback" not in one.reason
        return
    assert one.type in ("imap", "pop", "smtp", "round-trip", None)
    assert one.name.strip()
    assert one.hostname or one.type == "round-trip"
    assert one.port is None or (type(one.port) is int and 1 <= one.port <= 65535)
    assert one.port is not None or one.type is not None
    for seconds in (one.interval_seconds, one.timeout_seconds):
        assert seconds is None or (math.isfinite(seconds) and seconds > 0)
    for text in (one.name, one.hostname, one.note, *one.tags, *one.extra.values()):
        assert isinstance(text, str)
        assert text.encode("utf-8") or text == ""
        assert "\0" not in text


@pytest.mark.parametrize("case", cases(*TOOLS), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_the_fixture_becomes_what_its_golden_file_says(case: Path) -> None:
    assert outcome(case) == json.loads(expected(case).read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", cases(*TOOLS), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_no_secret_of_a_source_is_copied(case: Path) -> None:
    assert SECRET not in json.dumps(outcome(case))


def test_every_tool_has_a_golden_fixture_and_a_sample() -> None:
    assert {case.parent.name for case in cases(*TOOLS)} == set(TOOLS)
    samples = Path(__file__).parent.parent / "samples" / "migration"
    assert {recognise(read_documents([path])).reader.NAME for path in samples.iterdir()} >= set(TOOLS)


@pytest.mark.parametrize("tool", GOOD)
def test_the_smallest_good_object_becomes_a_check(tool: str, tmp_path: Path) -> None:
    found = read_one(tmp_path, tool)
    assert isinstance(found, Check)
    assert (found.name, found.hostname, found.port, found.enabled) == ("mx1", "mx1.example.com", 25, True)
    assert found.interval_seconds == 300


@pytest.mark.parametrize("tool", GOOD)
def test_an_object_is_recognised_without_its_page_and_by_one_tool_only(tool: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([GOOD[tool][1]]), encoding="utf-8")
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
def test_what_is_paused_stays_paused(tool: str, path: str, value: object, tmp_path: Path) -> None:
    found = read_one(tmp_path, tool, path, value)
    assert isinstance(found, Check)
    assert not found.enabled


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
def test_each_tool_counts_its_interval_in_its_own_unit(
    tool: str, path: str, value: object, seconds: float, tmp_path: Path
) -> None:
    found = read_one(tmp_path, tool, path, value)
    assert isinstance(found, Check)
    assert found.interval_seconds == seconds


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
def test_each_tool_counts_its_timeout_in_its_own_unit(
    tool: str, path: str, value: object, seconds: float, tmp_path: Path
) -> None:
    found = read_one(tmp_path, tool, path, value)
    assert isinstance(found, Check)
    assert found.timeout_seconds == pytest.approx(seconds)


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
def test_an_inverted_check_is_left_out_with_the_reason(tool: str, path: str, value: object, tmp_path: Path) -> None:
    found = read_one(tmp_path, tool, path, value)
    assert isinstance(found, LeftOut)
    assert not found.error
    assert "not mail" not in found.reason


@pytest.mark.parametrize(
    ("tool", "host"),
    [(tool, host) for tool in sorted(GOOD) for host in ("${MX_HOST}", "{{ MX_HOST }}") if tool != "alertsite"],
)
def test_a_variable_in_a_host_name_is_an_error_that_names_it(tool: str, host: str, tmp_path: Path) -> None:
    found = read_one(tmp_path, tool, LAYOUTS[tool].hostname[0], host)
    assert isinstance(found, LeftOut)
    assert found.error
    assert "'MX_HOST'" in found.reason


@pytest.mark.parametrize("wrong", [[], {}, [1], {"a": 1}, True, False, None, "", "abc", -1, 1.5, 10**30, math.inf])
@pytest.mark.parametrize("tool", GOOD)
def test_a_value_of_a_wrong_type_costs_one_object_at_most(tool: str, wrong: object, tmp_path: Path) -> None:
    """Whatever stands in one field, the object still has one outcome, and its neighbour is not harmed."""
    place, good = GOOD[tool]
    for path in leaves(good):
        item = json.loads(json.dumps(good))
        target = item
        *above, last = path.split(".")
        for key in above:
            target = target[key]
        target[last] = wrong
        neighbour = json.loads(json.dumps(good).replace('"mx1"', '"mx2"'))
        found = read_json(tmp_path, {place: [item, neighbour]}, tool=tool)
        assert len({one.origin for one in found}) == 2, path
        assert isinstance(found[-1], Check), path
        for one in found:
            assert_usable(one)


@pytest.mark.parametrize("entry", [None, 1, "text", [], [[]], True, {}, {"type": None}])
@pytest.mark.parametrize("tool", GOOD)
def test_an_entry_that_is_no_monitor_is_an_error_of_its_own(tool: str, entry: object, tmp_path: Path) -> None:
    place, good = GOOD[tool]
    found = read_json(tmp_path, {place: [entry, good]}, tool=tool)
    assert [type(one) for one in found] == [LeftOut, Check]
    assert isinstance(found[0], LeftOut)
    assert found[0].error


KEYS = sorted({key for _, good in GOOD.values() for path in leaves(good) for key in path.split(".")})
PLACES = sorted({place for place, _ in GOOD.values()} | {"check", "monitor", "stat", "counts", "metadata"})
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
PAGES = JSON | st.dictionaries(st.sampled_from(PLACES), JSON | st.lists(JSON, max_size=3), max_size=3)


@settings(max_examples=300, deadline=None)
@given(page=PAGES, tool=st.sampled_from([None, *GOOD]))
def test_no_json_whatever_it_holds_raises_anything_but_an_input_error(page: object, tool: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read_json(Path(folder), page, tool=tool)
        except InputError:
            return
    for one in found:
        assert_usable(one)


@settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4), tool=st.sampled_from(sorted(GOOD)))
def test_good_objects_with_anything_in_their_fields_have_an_outcome(changes: dict[str, object], tool: str) -> None:
    place, good = GOOD[tool]
    with tempfile.TemporaryDirectory() as folder:
        found = read_json(Path(folder), {place: [{**good, **changes}]}, tool=tool)
    assert found
    for one in found:
        assert_usable(one)


@pytest.mark.parametrize("tool", GOOD)
def test_a_file_that_is_cut_off_is_said_to_be(tool: str, tmp_path: Path) -> None:
    place, good = GOOD[tool]
    whole = json.dumps({place: [good, good]})
    (tmp_path / "cut.json").write_text(whole[:-12], encoding="utf-8")
    with pytest.raises(InputError, match="cut off"):
        read(tmp_path)


@pytest.mark.parametrize("content", ["{}", "[]", '{"monitors": 5}', '{"other": [{"a": 1}]}', "25"])
@pytest.mark.parametrize("tool", [tool for tool in GOOD if tool != "uptime-kuma"])
def test_asking_for_a_tool_whose_list_is_not_there_is_an_error_or_nothing(
    tool: str, content: str, tmp_path: Path
) -> None:
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    try:
        found = read(tmp_path, tool)
    except InputError:
        return
    assert found == [] or all(isinstance(one, LeftOut) for one in found)


@pytest.mark.parametrize(
    "page",
    [
        {"stat": "ok", "pagination": {"offset": 0, "limit": 50, "total": 0}, "monitors": []},
        {"metadata": {"resultset": {"count": 0}}, "results": []},
        {"checks": [], "counts": {"total": 0}},
        {"version": "1.23.17", "notificationList": [], "monitorList": []},
    ],
)
def test_an_empty_account_is_recognised_and_holds_nothing(page: object, tmp_path: Path) -> None:
    assert read_json(tmp_path, page) == []


def test_pages_are_read_in_their_order_and_an_overlap_counts_once(tmp_path: Path) -> None:
    monitors = [{**GOOD["uptimerobot"][1], "id": number, "friendly_name": f"m{number}"} for number in range(7)]
    found = read_json(tmp_path, {"monitors": monitors[:4]}, {"monitors": monitors[3:]})
    assert [one.name for one in found if isinstance(one, Check)] == [f"m{number}" for number in range(7)]
    assert [one.origin for one in found if isinstance(one, LeftOut)] == ["page1.json: monitor 3 (m3)"]


def test_pages_joined_into_one_array_are_read_like_files(tmp_path: Path) -> None:
    good = GOOD["uptimerobot"][1]
    pages = [{"stat": "ok", "monitors": [good]}, {"stat": "ok", "monitors": [{**good, "id": 2}]}]
    assert [type(one) for one in read_json(tmp_path, pages)] == [Check, Check]


@pytest.mark.parametrize("change", [{"friendly_name": "other"}, {"url": "mx2.example.com"}])
def test_two_accounts_that_share_an_id_keep_both_monitors(change: dict[str, str], tmp_path: Path) -> None:
    good = GOOD["uptimerobot"][1]
    found = read_json(tmp_path, {"monitors": [good]}, {"monitors": [{**good, **change}]})
    assert [type(one) for one in found] == [Check, Check]


@pytest.mark.parametrize("names", [("a-list.json", "b-detail.json"), ("b-list.json", "a-detail.json")])
def test_a_detail_completes_the_list_in_either_order(names: tuple[str, str], tmp_path: Path) -> None:
    """The port comes from the detail, the tags from the list, and the list's entry says where it went."""
    entry = {"id": 7, "name": "mx", "hostname": "mx.example.com", "resolution": 1, "type": "tcp", "status": "up"}
    (tmp_path / names[0]).write_text(json.dumps({"checks": [{**entry, "tags": [{"name": "mail"}]}]}))
    (tmp_path / names[1]).write_text(json.dumps({"check": {**entry, "type": {"tcp": {"port": 465}}, "tags": None}}))
    found = read(tmp_path)
    (check,) = [one for one in found if isinstance(one, Check)]
    (rest,) = [one for one in found if isinstance(one, LeftOut)]
    assert (check.port, check.tags) == (465, ("mail",))
    assert not rest.error
    assert "detail.json" in rest.reason


def test_several_ports_become_several_rows_with_names_that_tell_them_apart(tmp_path: Path) -> None:
    place, good = GOOD["better-stack"]
    item = {**good, "attributes": {**good["attributes"], "port": "25, 465,587,25"}}
    found = [one for one in read_json(tmp_path, {place: [item]}) if isinstance(one, Check)]
    assert [(one.name, one.port) for one in found] == [("mx1 :25", 25), ("mx1 :465", 465), ("mx1 :587", 587)]


# -- UptimeRobot ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"type": 4, "sub_type": 4}, "smtp"),
        ({"type": "4", "sub_type": "5"}, "pop"),
        ({"type": "PORT", "subType": "IMAP"}, "imap"),
        ({"type": "Port", "sub_type": 99}, None),
        ({"type": 4, "sub_type": ""}, None),
        ({"type": 4, "sub_type": None}, None),
    ],
)
def test_the_sub_type_of_uptimerobot_says_which_protocol(
    fields: dict[str, object], kind: str | None, tmp_path: Path
) -> None:
    good = {key: value for key, value in GOOD["uptimerobot"][1].items() if key != "sub_type"}
    (found,) = read_json(tmp_path, {"monitors": [{**good, **fields}]})
    assert isinstance(found, Check)
    assert found.type == kind


@pytest.mark.parametrize("kind", [1, "2", "PING", "HEARTBEAT", "KEYWORD", "dns"])
def test_other_types_of_uptimerobot_are_left_out_by_name(kind: object, tmp_path: Path) -> None:
    found = read_one(tmp_path, "uptimerobot", "type", kind)
    assert isinstance(found, LeftOut)
    assert not found.error


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_csv_is_read_in_any_usual_dress(delimiter: str, encoding: str, tmp_path: Path) -> None:
    lines = [["Type", "Friendly Name", "URL/IP", "Interval", "Port"], ["Port", "Büro", "mx.example.com", "300", "25"]]
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    (tmp_path / "export.csv").write_text(text, encoding=encoding, newline="")
    (found,) = read(tmp_path)
    assert isinstance(found, Check)
    assert (found.name, found.port, found.interval_seconds) == ("Büro", 25, 300)


@pytest.mark.parametrize(("interval", "seconds"), [("1", 60), ("5", 300), ("29", 1740), ("30", 30), ("300", 300)])
def test_a_small_interval_of_the_csv_is_minutes_and_that_is_said(interval: str, seconds: float, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"Type,Friendly Name,URL/IP,Interval,Port\nPort,mx,mx.example.com,{interval},25\n")
    (found,) = read(tmp_path)
    assert isinstance(found, Check)
    assert found.interval_seconds == seconds
    assert bool(found.changes) == (float(interval) < 30)


@pytest.mark.parametrize(
    "text",
    [
        "type,name,hostname\nsmtp,mx,mx.example.com\n",
        "Friendly Name\nmx\n",
        "",
        "Type,Friendly Name\nPort,URL/IP\n",
    ],
)
def test_an_ordinary_spreadsheet_is_not_taken_for_uptimerobots(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    (document,) = read_documents([path])
    assert not uptimerobot.recognises(document)


@pytest.mark.parametrize("body", ['Port,"open quote', "Port," + "x" * 200_000, "Port", ",,,,,,,,,", "\0"])
def test_a_broken_csv_raises_nothing_but_an_input_error(body: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"Type,Friendly Name,URL/IP,Interval,Port\n{body}\n")
    try:
        found = read(tmp_path)
    except InputError:
        return
    for one in found:
        assert_usable(one)


# -- AlertSite --------------------------------------------------------------------------------------------------


def test_every_cell_of_an_alertsite_monitor_has_an_input_column() -> None:
    assert set(alertsite.EXTRA_COLUMNS) <= set(FIELDS)


def test_every_input_column_is_carried_over_from_an_alertsite_monitor() -> None:
    carried = {"type", "name", "hostname", "port", "interval", "timeout", "enabled", "note"}
    assert set(FIELDS) - carried - {"monitor_id"} == set(alertsite.EXTRA_COLUMNS)


def test_monitors_of_one_host_in_two_plans_both_stay(tmp_path: Path) -> None:
    place, good = GOOD["alertsite"]
    found = read_json(tmp_path, {place: [good, {**good, "id": 2, "name": "again", "billing_plancode": "UBM - B/B"}]})
    assert [one.extra["billing_plancode"] for one in found if isinstance(one, Check)] == ["UBM - A/A", "UBM - B/B"]


def test_a_field_without_a_column_is_named_and_its_value_is_not_copied(tmp_path: Path) -> None:
    found = read_one(tmp_path, "alertsite", "pop3_password", SECRET)
    assert isinstance(found, Check)
    assert found.changes == ("Not carried over: pop3_password.",)
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


@pytest.mark.parametrize("case", cases(*TOOLS), ids=lambda case: f"{case.parent.name}/{case.name}")
def test_every_row_of_a_fixture_is_a_good_row_once_it_has_a_plan(case: Path) -> None:
    opened = configuration_source([case])
    validator = Validator(map_header(opened.header, given=["billing_plancode"]), defaults={"billing_plancode": "P"})
    checked = [validator.check(row) for row in opened.rows]
    assert checked
    assert [one for one in checked if isinstance(one, Invalid)] == []


# -- single values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port", "kind", "tls", "login"),
    [
        ("mx.example.com", "mx.example.com", None, None, "unknown", False),
        (" mx.example.com:587 ", "mx.example.com", 587, None, "unknown", False),
        ("https://mx.example.com/status?x=1", "mx.example.com", None, None, "unknown", False),
        ("smtp://mx.example.com", "mx.example.com", None, "smtp", "unknown", False),
        ("IMAPS://mx.example.com", "mx.example.com", 993, "imap", "implicit", False),
        ("pop3s://mx.example.com:9950/", "mx.example.com", 9950, "pop", "implicit", False),
        ("tls://mx.example.com:993", "mx.example.com", 993, None, "implicit", False),
        ("smtp://user:hunter2@mx.example.com:25", "mx.example.com", 25, "smtp", "unknown", True),
        ("user:hunter2@mx.example.com", "mx.example.com", None, None, "unknown", True),
        ("postmaster@example.com", "postmaster@example.com", None, None, "unknown", False),
        ("[2001:db8::1]:25", "2001:db8::1", 25, None, "unknown", False),
        ("2001:db8::1", "2001:db8::1", None, None, "unknown", False),
        ("", "", None, None, "unknown", False),
    ],
)
def test_addresses_are_taken_apart(
    text: str, host: str, port: int | None, kind: str | None, tls: str, login: bool
) -> None:
    found = as_address(text)
    assert (found.host, found.port, found.type, found.tls, found.has_login) == (host, port, kind, tls, login)


@given(
    scheme=st.sampled_from(["smtp", "imaps", "tcp", "https", ""]),
    user=st.text("abc", max_size=3),
    tail=st.sampled_from(["", ":25", ":no", "/path", ":99999", "/@x"]),
)
def test_a_password_in_an_address_is_in_no_host_and_no_message(scheme: str, user: str, tail: str) -> None:
    address = f"{scheme}://{user}:{SECRET}@mx.example.com{tail}" if scheme else f"{user}:{SECRET}@mx.example.com{tail}"
    try:
        said = repr(as_address(address))
    except Unreadable as error:
        said = str(error)
    assert SECRET not in said


@pytest.mark.parametrize("value", ["1_0", "٢٥", "0x19", "1e2", "nan", "Infinity", "25.5", "65536", "0", 0, True, [25]])
def test_a_port_is_plain_digits_in_range(value: object) -> None:
    with pytest.raises(Unreadable):
        as_port(value)


@pytest.mark.parametrize(
    ("value", "port"), [(25, 25), ("25", 25), (25.0, 25), (" 993 ", 993), ("", None), (None, None)]
)
def test_a_port_may_be_a_number_or_text(value: object, port: int | None) -> None:
    assert as_port(value) == port


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2))
def test_single_values_are_read_or_said_to_be_unreadable(value: object) -> None:
    for reading in (
        lambda: as_text(value, "name"),
        lambda: as_port(value),
        lambda: as_seconds(value, "interval", unit=60),
        lambda: as_bool(value, "paused"),
        lambda: as_labels(value),
        lambda: as_address(value),
    ):
        with contextlib.suppress(Unreadable):
            reading()


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["mail", "eu", "mail"], ("mail", "eu")),
        ([{"name": "tier", "value": "1"}, {"name": "mail", "value": ""}], ("tier=1", "mail")),
        ("mail, eu,,", ("mail", "eu")),
        ({"tier": 1}, ("tier=1",)),
        ([None, 5, [], {"x": 1}, True], ("5",)),
        (7, ()),
    ],
)
def test_tags_of_any_shape_are_words(value: object, labels: tuple[str, ...]) -> None:
    assert as_labels(value) == labels
