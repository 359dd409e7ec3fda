"""An export is accepted by run as it is: it changes nothing, changes one cell, or makes a copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.monitors.header import map_header
from bulkload.monitors.identity import differences
from bulkload.monitors.validate import Valid, Validator
from bulkload.operations.export import write_sheet
from bulkload.readers.opening import open_source
from bulkload.sandbox import SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from tests.support.command_line import PLAN, Asked, Desk, Said, by_hand, imap, listed, scripted

SUFFIXES = (".xlsx", ".csv")


ROWS: list[dict[str, object]] = [
    imap("plain"),
    imap("=1+1", port=993, note="+49 30 1234\nsecond line", alert_note="@team"),
    imap("'=quoted", hostname="bücher.example", interval=5, enabled="no", mode="SLA (MultiPOP)"),
    imap("places", locations="20;10", home_location=20, rotate_locations="no", monitor_location_count=2),
    imap("001", hostname="192.0.2.7", timeout=45, custom_properties="28=74;30=81"),
    {"type": "submission", "name": "NA", "hostname": "smtp.example.com", "billing_plancode": PLAN},
    {"type": "pop3s", "name": "naïve – “quotes”; a,b", "hostname": "p.example.com", "billing_plancode": PLAN},
    {
        **{"type": "round-trip", "name": "bounce", "billing_plancode": PLAN, "email": "probe@example.com"},
        **{"smtp_hostname": "smtps://smtp.example.com:465", "pop3_hostname": "pop.example.com", "interval": 15},
    },
]


def fill(desk: Desk, sandbox: Sandbox) -> list[dict[str, Any]]:
    desk.log_in_at(sandbox.base_url)
    ended, _ = desk.run(desk.sheet("fill.csv", ROWS), "--output", "elsewhere", "--concurrency", "1")
    assert ended.exit_code == 0, ended
    return list(sandbox.monitors())


def edit(path: Path, row: int, column: str, text: str) -> None:
    """Change one cell as a person would."""
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        sheet = book.active
        assert sheet is not None
        (index,) = (cell.column for cell in sheet[1] if cell.value == column)
        cell = sheet.cell(row=row, column=index)
        cell.value, cell.data_type = text, "s"  # text, as in a cell that has the format of text
        book.save(path)
        return
    import csv

    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.reader(stream))
    lines[row - 1][lines[0].index(column)] = text
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream).writerows(lines)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("output", ["output", "elsewhere"])
def test_an_export_says_exists_for_all(desk: Desk, suffix: str, output: str) -> None:
    """Also in a folder that has never heard of these monitors, and with nothing named as different."""
    with running() as sandbox:
        before = fill(desk, sandbox)
        exported = desk("export", f"e{suffix}", "--json")
        assert (exported.exit_code, exported.json["monitors"], exported.json["notes"]) == (0, len(ROWS), [])
        for how in ("skip", "update"):
            ended, results = desk.run(desk.folder / f"e{suffix}", "--on-existing", how, "--output", output)
            assert ended.exit_code == 0
            assert [(row["status"], row["error"]) for row in results] == [("exists", "")] * len(ROWS)
            assert [row["monitor_id"] for row in results] == [str(monitor["id"]) for monitor in before]
        assert list(sandbox.monitors()) == before
        assert sandbox.counts().get("patch", 0) == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("row", "column", "text", "change"),
    [
        (2, "interval", "7", {"interval": 7}),
        (3, "note", "", {}),
        (3, "note", "=2+2", {"note": "=2+2"}),
        (3, "name", "renamed", {"name": "renamed"}),
        (4, "enabled", "yes", {"enabled": True}),
        (2, "hostname", "mx9.example.com", {"hostname": "mx9.example.com"}),
        (9, "email", "other@example.com", {"email": "other@example.com"}),
    ],
)
def test_one_edited_cell_patches_that_field(
    desk: Desk, suffix: str, row: int, column: str, text: str, change: dict[str, object]
) -> None:
    with running() as sandbox:
        before = fill(desk, sandbox)
        desk("export", f"e{suffix}")
        edit(desk.folder / f"e{suffix}", row, column, text)
        ended, results = desk.run(desk.folder / f"e{suffix}", "--on-existing", "update")
        assert ended.exit_code == 0
        before[row - 2] |= change
        assert list(sandbox.monitors()) == before
        assert sandbox.counts().get("patch", 0) == bool(change)
        assert [one["status"] for one in results].count("updated") == bool(change)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_makes_a_copy_in_another_account(desk: Desk, suffix: str) -> None:
    with running() as sandbox, running(SandboxOptions(user="copy@example.com", first_id=900_001)) as other:
        before = fill(desk, sandbox)
        desk("export", f"e{suffix}")
        desk.log_in_at(other.base_url, "copy@example.com")
        ended, results = desk.run(desk.folder / f"e{suffix}")
        assert (ended.exit_code, {row["status"] for row in results}) == (0, {"created"})

        def by_name(monitors: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return sorted(({**monitor, "id": 0} for monitor in monitors), key=lambda monitor: str(monitor["name"]))

        assert by_name(list(other.monitors())) == by_name(before)
        again, results = desk.run(desk.folder / f"e{suffix}")
        assert (again.exit_code, {row["status"] for row in results}) == (0, {"exists"})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_monitors_are_told_apart_by_their_ids(desk: Desk, suffix: str) -> None:
    """Here each row keeps its own monitor; in another account there is one of them, and the row that repeats it."""
    twins = [{**imap("twin"), "type": "email-imap", "id": n, "interval": 15} for n in (5, 6, 7)]
    with scripted(lambda asked: listed(*twins)) as server:
        desk.log_in_at(server.base_url)
        desk("export", f"e{suffix}")
        ended, results = desk.run(desk.folder / f"e{suffix}")
        assert (ended.exit_code, [row["status"] for row in results]) == (0, ["exists"] * 3)
        assert [row["monitor_id"] for row in results] == ["5", "6", "7"]
        edit(desk.folder / f"e{suffix}", 3, "interval", "60")
        ended, results = desk.run(desk.folder / f"e{suffix}", "--on-existing", "update")
        assert [row["status"] for row in results] == ["exists", "updated", "exists"]
        assert [(one.path, one.body) for one in server.asked if one.method == "PATCH"] == [
            ("/monitors/email-imap/6", {"interval": 60})
        ]
    with running() as other:
        desk.log_in_at(other.base_url)
        ended, results = desk.run(desk.folder / f"e{suffix}")
        assert (ended.exit_code, [row["status"] for row in results]) == (1, ["created", "duplicate", "duplicate"])
        assert (results[1]["error"], len(other.monitors())) == ("Repeats row 2.", 1)


def test_unknown_fields_are_passed_on_and_what_cannot_be_set_is_not(desk: Desk) -> None:
    stored = {
        **{"type": "email-imap", "id": 5, **imap("a"), "access_type": "Edit", "has_sla": True, "sla_id": 4},
        **{"tls": True, "greeting": "* OK", "number_like": "7", "deep": {"a": [1, None]}, "nothing": None, "no": ""},
        **{"pop3_password": "s3cret", "auth": {"user_token": "t0ken"}, "Weird  name": 1, "Interval": 5},
        **{"list": [], "spaced": " x ", "lines": "a\r\nb"},
    }
    stored["type"] = "email-imap"

    def answer(asked: Asked) -> Said:
        return listed(stored) if asked.method == "GET" else Said(content={"id": "9"})

    with scripted(answer) as server:
        desk.log_in_at(server.base_url)
        ended = desk("export", "e.csv")
        (row,) = desk.results("e.csv")
        passed_on = {column: cell for column, cell in row.items() if column.startswith("api:")}
        assert passed_on == {
            **{"api:tls": "true", "api:greeting": "* OK", "api:number_like": '"7"', "api:deep": '{"a":[1,null]}'},
            **{"api:list": "[]", "api:spaced": '" x "', "api:lines": '"a\\r\\nb"'},
        }
        assert "s3cret" not in str(row)
        assert "t0ken" not in str(row)
        assert "pop3_password is left out" in ended.stderr
        assert desk.run(desk.folder / "e.csv", "--on-existing", "update")[1][0]["status"] == "exists"
        assert server.count("PATCH") == 0
    with running() as other:
        desk.log_in_at(other.base_url)
        assert desk.run(desk.folder / "e.csv")[0].exit_code == 0


def test_what_run_would_not_take_is_written_and_named(desk: Desk) -> None:
    """The row does not vanish, and the others are as good as ever."""
    bad = {**imap("b"), "type": "email-imap", "id": 6, "mode": "Q", "interval": 0}
    good = {**imap("a"), "type": "email-imap", "id": 5}
    with scripted(lambda asked: listed(bad, good)) as server:
        desk.log_in_at(server.base_url)
        ended = desk("export", "e.xlsx")
        assert ended.exit_code == 0
        assert "Row 2, monitor 6 b: mode is Q; a mode is Primary" in ended.stderr
        assert "Row 2, monitor 6 b: interval is 0;" in ended.stderr
        ended, results = desk.run(desk.folder / "e.xlsx")
        assert (ended.exit_code, [row["status"] for row in results]) == (1, ["invalid", "exists"])


def test_no_cell_is_a_formula(desk: Desk) -> None:
    with running() as sandbox:
        fill(desk, sandbox)
        desk("export", "e.xlsx")
        desk("export", "e.csv")
    sheet = openpyxl.load_workbook(desk.folder / "e.xlsx").active
    assert sheet is not None
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}
    assert not any(isinstance(cell.value, int | float) for row in sheet.iter_rows() for cell in row)
    cells = [cell for row in desk.results("e.csv") for cell in row.values()]
    assert "'=1+1" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_file_that_exists_is_left_alone_unless_told_otherwise(desk: Desk) -> None:
    with running() as sandbox:
        fill(desk, sandbox)
        (desk.folder / "e.csv").write_text("mine")
        sandbox.forget_requests()
        ended = desk("export", "e.csv")
        assert (ended.exit_code, (desk.folder / "e.csv").read_text(), sandbox.counts()) == (2, "mine", {})
        assert desk("export", "e.csv", "--overwrite").exit_code == 0
        assert len(desk.results("e.csv")) == len(ROWS)
        assert desk("export", "e.pdf").exit_code == 2
        assert desk("export", "no/such/folder/e.csv").exit_code == 0


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (Said(content="<html>log in</html>", kind="text/html"), 3),
        (Said(content={"monitors": []}), 3),
        (Said(status=302, headers={"Location": "/login"}), 3),
        (Said(status=403, content={"errors": []}), 3),
    ],
)
def test_an_account_that_cannot_be_listed_leaves_no_file(desk: Desk, answer: Said, exit_code: int) -> None:
    with scripted(lambda asked: answer) as server:
        desk.log_in_at(server.base_url)
        assert desk("export", "e.csv").exit_code == exit_code
    assert not (desk.folder / "e.csv").exists()


def test_an_empty_account_is_a_header(desk: Desk) -> None:
    with running() as sandbox:
        desk.log_in_at(sandbox.base_url)
        for suffix in SUFFIXES:
            assert desk("export", f"e{suffix}").stdout == f"Wrote e{suffix}: 0 monitors.\n"
            ended = desk("run", f"e{suffix}", "--json")
            assert (ended.exit_code, ended.json["rows"]) == (0, 0)


def test_numbers_as_strings_and_a_monitor_changed_by_hand(desk: Desk) -> None:
    """What the list spells otherwise is no change; what somebody changed in between is, and is changed back."""
    with running() as sandbox:
        before = fill(desk, sandbox)
        desk("export", "e.csv")
        by_hand(sandbox, "PATCH", before[0], interval=99)
        _, results = desk.run(desk.folder / "e.csv", "--on-existing", "update")
        assert [row["status"] for row in results] == ["updated"] + ["exists"] * (len(ROWS) - 1)
        assert list(sandbox.monitors()) == before


# ── any monitor ───────────────────────────────────────────────────────────────────────────────────────────────

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ODD = (
    *("=1", "+1", "-", "@a", "'=1", "''+", "\t=", "001", "1.0", "1E5", "TRUE", "null", "NaN", "  a ", "a\r\nb", "a\rb"),
    *(
        "<r>a</r>",
        "_x000D_",
        "=HYPERLINK(1)",
        '"',
        '""',
        ",",
        ";",
        "a\nb",
        "\u200b",
        "\ufeffa",
        "#N/A",
        "{}",
        "a" * 40_000,
    ),
)
ODD_TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(ODD)
MONITOR = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["email-imap", "email-pop", "email-smtp"]),
        "name": ODD_TEXT.filter(lambda text: text.strip() != ""),
        "hostname": st.sampled_from(["mx1.example.com", "MX2.example.com.", "192.0.2.1"]),
        "billing_plancode": st.just(PLAN),
    },
    optional={
        "port": st.sampled_from(["", None, 25, "993", 65535]),
        "interval": st.sampled_from([15, "15", 1440, None, ""]),
        "enabled": st.sampled_from([True, False, "true", 0, 1, None]),
        "resolve_dns": st.just(False),
        "note": ODD_TEXT,
        "alert_note": ODD_TEXT,
        "locations": st.sampled_from([[], [{"id": 10, "name": "A"}], [{"id": "10"}, {"id": 20}], [10, 20], None]),
        "custom_properties": st.sampled_from([[], [{"id": 28, "value_id": "74", "name": "x"}], None]),
        "mode": st.sampled_from(["Primary", "SLA (MultiPOP)", None, ""]),
        "extra": JSON,
        "more": ODD_TEXT,
    },
)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=60)
@given(st.lists(MONITOR, max_size=4))
def test_any_monitor_is_read_back_as_it_was_or_named(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, monitors: list[dict[str, Any]]
) -> None:
    """Every monitor has its row; a row without a note is valid, and differs from its monitor in nothing."""
    items = [{"id": number, **monitor} for number, monitor in enumerate(monitors, 1)]
    path = tmp_path_factory.mktemp("export") / f"e{suffix}"
    notes = write_sheet(path, items)
    with open_source(path, sheet=None, is_header=lambda cells: "run_id" in cells) as source:
        layout = map_header(source.header)
        found = list(source.rows)
    assert len(found) == len(items)
    validator = Validator(layout)
    for row, item in zip(found, items, strict=True):
        if any(note.startswith(f"Row {row.number}, ") for note in notes):
            continue
        valid = validator.check(row)
        assert isinstance(valid, Valid), (valid, item)
        assert valid.monitor_id == str(item["id"])
        assert differences(valid.config.body(), item) == {}, json.dumps(item)
