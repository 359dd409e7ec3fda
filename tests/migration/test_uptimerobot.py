"""UptimeRobot: numeric types and sub-types, and the CSV in its usual encodings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.tools import uptimerobot
from tests.support.migration_objects import MINIMAL_OBJECTS, assert_usable, read_folder, read_json, read_modified_object


@pytest.mark.parametrize(
    ("fields", "mail_type"),
    [
        ({"type": 4, "sub_type": 4}, "smtp"),
        ({"type": "4", "sub_type": "5"}, "pop"),
        ({"type": "PORT", "subType": "IMAP"}, "imap"),
        ({"type": "Port", "sub_type": 99}, None),
        ({"type": 4, "sub_type": ""}, None),
        ({"type": 4, "sub_type": None}, None),
    ],
)
def test_the_sub_type_determines_the_protocol(fields: dict[str, object], mail_type: str | None, tmp_path: Path) -> None:
    good = {key: value for key, value in MINIMAL_OBJECTS["uptimerobot"][1].items() if key != "sub_type"}
    (outcome,) = read_json(tmp_path, {"monitors": [{**good, **fields}]})
    assert isinstance(outcome, Check)
    assert outcome.type == mail_type


@pytest.mark.parametrize("type_name", [1, "2", "PING", "HEARTBEAT", "KEYWORD", "dns"])
def test_other_types_are_skipped(type_name: object, tmp_path: Path) -> None:
    outcome = read_modified_object(tmp_path, "uptimerobot", "type", type_name)
    assert isinstance(outcome, SkippedObject)
    assert not outcome.error


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_csv_is_read_with_any_usual_delimiter_and_encoding(delimiter: str, encoding: str, tmp_path: Path) -> None:
    lines = [["Type", "Friendly Name", "URL/IP", "Interval", "Port"], ["Port", "Büro", "mx.example.com", "300", "25"]]
    text = "\r\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)
    (tmp_path / "export.csv").write_text(text, encoding=encoding, newline="")
    (outcome,) = read_folder(tmp_path)
    assert isinstance(outcome, Check)
    assert (outcome.name, outcome.port, outcome.interval_seconds) == ("Büro", 25, 300)


@pytest.mark.parametrize(("interval", "seconds"), [("1", 60), ("5", 300), ("29", 1740), ("30", 30), ("300", 300)])
def test_a_short_interval_in_the_csv_is_read_as_minutes_and_reported(
    interval: str, seconds: float, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text(f"Type,Friendly Name,URL/IP,Interval,Port\nPort,mx,mx.example.com,{interval},25\n")
    (outcome,) = read_folder(tmp_path)
    assert isinstance(outcome, Check)
    assert outcome.interval_seconds == seconds
    assert bool(outcome.changes) == (float(interval) < 30)


@pytest.mark.parametrize(
    "text",
    [
        "type,name,hostname\nsmtp,mx,mx.example.com\n",
        "Friendly Name\nmx\n",
        "",
        "Type,Friendly Name\nPort,URL/IP\n",
    ],
)
def test_other_spreadsheets_are_not_recognised_as_uptimerobot(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    (document,) = read_documents([path])
    assert not uptimerobot.recognises(document)


@pytest.mark.parametrize("body", ['Port,"open quote', "Port," + "x" * 200_000, "Port", ",,,,,,,,,", "\0"])
def test_an_invalid_csv_raises_only_input_errors(body: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"Type,Friendly Name,URL/IP,Interval,Port\n{body}\n")
    try:
        items = read_folder(tmp_path)
    except InputError:
        return
    for item in items:
        assert_usable(item)


@pytest.mark.parametrize(
    ("end", "is_error"),
    [
        ('Port,mx,mx.example.com,"300","25"', False),
        ("Port,mx,mx.example.com,300,25\n", False),
        ("Port,mx,mx.example.com,300\n", False),
        ("Port,mx,mx.example.com", True),
        ("Port,mx,mx.exa", True),
        ('Port,mx,mx.example.com,"300","2', True),
    ],
)
def test_a_row_in_whose_middle_the_csv_ends_is_an_error(end: str, is_error: bool, tmp_path: Path) -> None:
    header = "Type,Friendly Name,URL/IP,Interval,Port,Sub Type"[: None if "\n" in end or is_error else -9]
    (tmp_path / "x.csv").write_text(f"{header}\nPort,first,mx1.example.com,300,25\n{end}")
    first, last = read_folder(tmp_path)
    assert isinstance(first, Check)
    assert ("truncated file" in getattr(last, "reason", "")) == is_error
