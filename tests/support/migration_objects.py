"""A minimal valid object of each migration tool with JSON listings, and functions to translate variants of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.json_listings import ListingFormat
from bulkload.migration.tools import (
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
from bulkload.migration.tools.registry import recognise

SERVICES = (alertsite, better_stack, datadog, pingdom, site24x7, statuscake, uptime_com, uptimerobot)
TOOLS = (*(service.NAME for service in SERVICES), gatus.NAME, kuma.NAME)
SECRET = "hunter2"  # the password in all fixtures

# The key of the list that contains the objects, and one object with the fields that the service always sends.
MINIMAL_OBJECTS: dict[str, tuple[str, dict[str, Any]]] = {
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
FORMATS: dict[str, ListingFormat] = {service.NAME: service.FORMAT for service in (*SERVICES, kuma)}


def read_folder(folder: Path, tool: str | None = None) -> list[Check | SkippedObject]:
    """Translate all files in a folder."""
    recognised = recognise(read_documents([folder]), tool)
    return [*recognised.reader.translate(recognised.documents), *recognised.skipped_objects]


def read_json(folder: Path, *pages: object, tool: str | None = None) -> list[Check | SkippedObject]:
    """Translate JSON pages, after writing them to files."""
    for index, page in enumerate(pages):
        (folder / f"page{index}.json").write_text(json.dumps(page), encoding="utf-8")
    return read_folder(folder, tool)


def read_modified_object(folder: Path, tool: str, path: str = "", value: object = None) -> Check | SkippedObject:
    """Translate the minimal object of a tool, with the value at a dotted path replaced."""
    list_key, minimal_object = MINIMAL_OBJECTS[tool]
    item = json.loads(json.dumps(minimal_object))
    target = item
    *parents, last = path.split(".")
    for key in parents:
        target = target.setdefault(key, {})
    if path:
        target[last] = value
    (translated,) = read_json(folder, {list_key: [item]}, tool=tool)
    return translated


def value_paths(value: object, path: str = "") -> Iterator[str]:
    """The dotted paths of all values in nested objects."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            inner_path = f"{path}.{key}" if path else key
            yield inner_path
            yield from value_paths(inner, inner_path)


def assert_usable(item: Check | SkippedObject) -> None:
    """Assert that a check has only values that the next stage supports, and a skipped object has a reason."""
    assert item.origin
    if isinstance(item, SkippedObject):
        assert item.reason.endswith(".")
        assert "Traceback" not in item.reason
        return
    assert item.type in ("imap", "pop", "smtp", "round-trip", None)
    assert item.name.strip()
    assert item.hostname or item.type == "round-trip"
    assert item.port is None or (type(item.port) is int and 1 <= item.port <= 65535)
    assert item.port is not None or item.type is not None
    for seconds in (item.interval_seconds, item.timeout_seconds):
        assert seconds is None or (math.isfinite(seconds) and seconds > 0)
    for text in (item.name, item.hostname, item.note, *item.tags, *item.extra.values()):
        assert isinstance(text, str)
        assert text.encode("utf-8") or text == ""
        assert "\0" not in text
