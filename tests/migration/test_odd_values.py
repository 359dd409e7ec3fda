"""Values that no field can have are an error of their object or file; several JSON values in a file are all read."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.rules import read_configuration
from tests.support.migration_objects import MINIMAL_OBJECTS, read_folder

MARK = "@@VALUE@@"
FIELDS = {
    "alertsite": ("port", "interval", "timeout", "name", "hostname", "billing_plancode", "locations"),
    "better-stack": ("attributes.port", "attributes.check_frequency", "attributes.request_timeout"),
    "datadog": ("config.request.port", "options.tick_every", "config.request.host", "status"),
    "pingdom": ("port", "resolution", "type"),
    "site24x7": ("port", "check_frequency", "timeout", "state"),
    "statuscake": ("port", "check_rate", "paused"),
    "uptime-com": ("msp_port", "msp_interval", "msp_address"),
    "uptimerobot": ("port", "interval", "sub_type", "id"),
    "uptime-kuma": ("port", "interval", "timeout", "active", "id"),
}
NUMBERS = {  # JSON texts
    "control": r'"5\u001f"',
    "control before": r'"\u001d5"',
    "wide space": r'"5\u2003"',
    "4,000 digits": "9" * 4000,
    "infinite": "1e400",
    "not a number": "NaN",
    "infinity": "-Infinity",
    "text of 5,000 digits": json.dumps("9" * 5000),
    "surrogate": r'"\ud800"',
    "half a pair": r'"5\udc00"',
    "nested": "[" * 50 + "]" * 50,
    "not ASCII": r'"\u0665"',
}
CONFIGURATIONS = {  # a file of each tool that is not a list of an API, with a mark for the value
    "prometheus": (
        f'{{"scrape_configs": [{{"metrics_path": "/probe", "scrape_interval": {MARK}, "job_name": {MARK},'
        f' "params": {{"module": [{MARK}]}}, "relabel_configs": [{{"regex": {MARK}}}],'
        f' "file_sd_configs": [{{"files": [{MARK}]}}], "static_configs": [{{"targets": ["mx.example.com:25", {MARK}],'
        f' "labels": {{"a": {MARK}}}}}]}}]}}'
    ),
    "gatus": (
        f'{{"endpoints": [{{"name": {MARK}, "url": "tcp://mx.example.com:25", "conditions": [{MARK}],'
        f' "interval": {MARK}}}, {{"name": "a", "url": {MARK}, "conditions": []}}]}}'
    ),
    "icinga2": (
        f'{{"results": [{{"type": "Service", "attrs": {{"check_command": "smtp", "check_interval": {MARK},'
        f' "vars": {{"smtp_port": {MARK}, "smtp_timeout": {MARK}}}, "groups": [{MARK}], "name": {MARK}}},'
        f' "joins": {{"host": {{"address": {MARK}}}}}}}]}}'
    ),
    "zabbix": (
        f'{{"zabbix_export": {{"hosts": [{{"host": {MARK}, "interfaces": [{{"ip": {MARK}}}], "items": [{{"name": "a",'
        f' "type": "SIMPLE", "key": "net.tcp.service[smtp]", "delay": {MARK}}}]}}]}}}}'
    ),
}


def read(folder: Path) -> None:
    """Read a folder, whose objects or the whole of which may be errors."""
    with contextlib.suppress(InputError):
        translation = read_configuration([folder])
        assert all(item.reason.endswith(".") for item in translation.skipped_objects)
        for row in translation.rows:
            assert row.fields["hostname"].isascii()
            assert row.fields["name"].isprintable()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("tool", FIELDS)
def test_an_odd_value_of_a_field_is_an_error_of_its_object(tool: str, number: str, tmp_path: Path) -> None:
    key, minimal = MINIMAL_OBJECTS[tool]
    for path in FIELDS[tool]:
        item = json.loads(json.dumps(minimal))
        target = item
        *parents, last = path.split(".")
        for parent in parents:
            target = target[parent]
        target[last] = MARK
        text = json.dumps({key: [minimal, item]}).replace(f'"{MARK}"', NUMBERS[number])
        (tmp_path / "list.json").write_text(text, "utf-8")
        read(tmp_path)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("tool", CONFIGURATIONS)
def test_an_odd_value_in_a_configuration_is_an_error_of_its_object(tool: str, number: str, tmp_path: Path) -> None:
    text = CONFIGURATIONS[tool]
    for place in range(text.count(MARK)):
        before, after = MARK.join(text.split(MARK)[: place + 1]), MARK.join(text.split(MARK)[place + 1 :])
        content = (before.replace(MARK, '"a"') + NUMBERS[number] + after.replace(MARK, '"a"')).encode()
        (tmp_path / "configuration.json").write_bytes(content)
        read(tmp_path)


@pytest.mark.parametrize(("field", "value"), [("interval", "5\x1f"), ("port", "25\x1d"), ("timeout", "\x1e9")])
def test_a_number_with_a_control_character_is_no_number(field: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([MINIMAL_OBJECTS["uptimerobot"][1] | {field: value}]), "utf-8")
    (outcome,) = read_folder(tmp_path)
    assert isinstance(outcome, SkippedObject)
    assert outcome.reason.startswith(f"The {field} is {value!r}; a")
    assert outcome.error


@pytest.mark.parametrize("number", ["0x" + "f" * 6000, "0" + "7" * 9000, "0b" + "1" * 20000, "9" * 5000])
def test_a_number_of_thousands_of_digits_in_yaml_is_an_error_of_the_file(number: str, tmp_path: Path) -> None:
    (tmp_path / "z.yaml").write_text(f"zabbix_export:\n  hosts:\n  - host: {number}\n", "utf-8")
    with pytest.raises(InputError, match=r"^z\.yaml contains a number that is too long\.$"):
        read_configuration([tmp_path])


@pytest.mark.parametrize("pattern", ["9" * 5000, "a" * 300 + "*", "a**b", "[z", "a\0*", "\ud800*", "a\n?"])
def test_a_path_that_no_file_can_have_is_a_missing_list_of_targets(pattern: str, tmp_path: Path) -> None:
    job = {"metrics_path": "/probe", "file_sd_configs": [{"files": [pattern]}]}
    (tmp_path / "prometheus.json").write_text(json.dumps({"scrape_configs": [job]}), "utf-8")
    (outcome,) = read_folder(tmp_path)
    assert isinstance(outcome, SkippedObject)
    assert "list of targets was not found" in outcome.reason


@pytest.mark.parametrize("separator", ["", "\n", "\r\n\r\n"])
def test_pages_that_follow_each_other_in_a_file_are_read_as_a_list_of_pages(separator: str, tmp_path: Path) -> None:
    key, item = MINIMAL_OBJECTS["uptimerobot"]
    items = [{**item, "id": number} for number in range(3)]
    pages = [
        {key: [item], "pagination": {"offset": offset, "limit": 1, "total": 3}} for offset, item in enumerate(items)
    ]
    path = tmp_path / "all.json"
    for contents in (pages, [[item] for item in items], items):
        path.write_text(separator.join(map(json.dumps, contents)), "utf-8", newline="")
        assert [type(outcome) for outcome in read_folder(tmp_path)] == [Check] * 3


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ('{"monitors": [', "line 2 ends in the middle of its JSON"),
        ("and more", "line 2 is not valid JSON"),
        ("3", "line 2 is not valid JSON: Extra data"),
    ],
)
def test_what_follows_the_first_page_must_be_whole_as_well(end: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(json.dumps({"monitors": [MINIMAL_OBJECTS["uptimerobot"][1]]}) + "\n" + end)
    with pytest.raises(InputError, match=message):
        read_configuration([tmp_path])


def test_a_response_that_is_saved_with_its_header_is_named(tmp_path: Path) -> None:
    link = '<https://api.example.com/monitors?page=2>; rel="next"'
    (tmp_path / "x.json").write_text(f'HTTP/2 200\r\nlink: {link}\r\n\r\n{{"monitors": []}}', newline="")
    (document,) = read_documents([tmp_path])
    with pytest.raises(InputError, match=r"x\.json begins with the header of an HTTP response"):
        _ = document.rendered
    with pytest.raises(InputError, match="curl without -i"):
        read_configuration([tmp_path])
