"""run accepts an export: it changes nothing, only the edited fields, or creates a copy in another account."""

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
from bulkload.operations.export import write_export
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
        cell.value, cell.data_type = text, "s"  # text, as in a cell formatted as text
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
def test_every_row_of_an_export_exists(desk: Desk, suffix: str, output: str) -> None:
    """Without a difference, and even if the folder's store does not know the monitors."""
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
def test_an_edited_cell_updates_only_that_field(
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
        assert [result["status"] for result in results].count("updated") == bool(change)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_creates_a_copy_in_another_account(desk: Desk, suffix: str) -> None:
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
def test_identical_monitors_are_distinguished_by_their_ids(desk: Desk, suffix: str) -> None:
    """In the same account, each row has its own monitor; in another one, the repeated rows are duplicates."""
    monitors = [{**imap("same"), "type": "email-imap", "id": n, "interval": 15} for n in (5, 6, 7)]
    with scripted(lambda asked: listed(*monitors)) as server:
        desk.log_in_at(server.base_url)
        desk("export", f"e{suffix}")
        ended, results = desk.run(desk.folder / f"e{suffix}")
        assert (ended.exit_code, [row["status"] for row in results]) == (0, ["exists"] * 3)
        assert [row["monitor_id"] for row in results] == ["5", "6", "7"]
        edit(desk.folder / f"e{suffix}", 3, "interval", "60")
        ended, results = desk.run(desk.folder / f"e{suffix}", "--on-existing", "update")
        assert [row["status"] for row in results] == ["exists", "updated", "exists"]
        assert [(request.path, request.body) for request in server.asked if request.method == "PATCH"] == [
            ("/monitors/email-imap/6", {"interval": 60})
        ]
    with running() as other:
        desk.log_in_at(other.base_url)
        ended, results = desk.run(desk.folder / f"e{suffix}")
        assert (ended.exit_code, [row["status"] for row in results]) == (1, ["created", "duplicate", "duplicate"])
        assert (results[1]["error"], len(other.monitors())) == ("Repeats row 2.", 1)


def test_unknown_fields_are_exported_and_read_only_fields_are_not(desk: Desk) -> None:
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
        api_cells = {column: cell for column, cell in row.items() if column.startswith("api:")}
        assert api_cells == {
            **{"api:tls": "true", "api:greeting": "* OK", "api:number_like": '"7"', "api:deep": '{"a":[1,null]}'},
            **{"api:list": "[]", "api:spaced": '" x "', "api:lines": '"a\\r\\nb"'},
        }
        assert "s3cret" not in str(row)
        assert "t0ken" not in str(row)
        assert "pop3_password is omitted" in ended.stderr
        assert desk.run(desk.folder / "e.csv", "--on-existing", "update")[1][0]["status"] == "exists"
        assert server.count("PATCH") == 0
    with running() as other:
        desk.log_in_at(other.base_url)
        assert desk.run(desk.folder / "e.csv")[0].exit_code == 0


def test_values_that_run_would_reject_are_exported_and_reported(desk: Desk) -> None:
    """The row is not omitted, and other rows are not affected."""
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


def test_an_existing_file_is_replaced_only_with_overwrite(desk: Desk) -> None:
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
def test_no_file_is_written_if_the_account_cannot_be_listed(desk: Desk, answer: Said, exit_code: int) -> None:
    with scripted(lambda asked: answer) as server:
        desk.log_in_at(server.base_url)
        assert desk("export", "e.csv").exit_code == exit_code
    assert not (desk.folder / "e.csv").exists()


def test_the_export_of_an_empty_account_has_only_a_header(desk: Desk) -> None:
    with running() as sandbox:
        desk.log_in_at(sandbox.base_url)
        for suffix in SUFFIXES:
            assert desk("export", f"e{suffix}").stdout == f"Wrote e{suffix}: 0 monitors.\n"
            ended = desk("run", f"e{suffix}", "--json")
            assert (ended.exit_code, ended.json["rows"]) == (0, 0)


def test_a_monitor_that_was_edited_after_the_export_is_changed_back(desk: Desk) -> None:
    """The other monitors are not updated."""
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
def test_every_monitor_is_read_back_unchanged_or_reported(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, monitors: list[dict[str, Any]]
) -> None:
    """Every monitor has a row; a row without a note is valid and does not differ from its monitor."""
    items = [{"id": number, **monitor} for number, monitor in enumerate(monitors, 1)]
    path = tmp_path_factory.mktemp("export") / f"e{suffix}"
    notes = write_export(path, items)
    with open_source(path, sheet=None, is_header=lambda cells: "run_id" in cells) as source:
        layout = map_header(source.header)
        rows = list(source.rows)
    assert len(rows) == len(items)
    validator = Validator(layout)
    for row, item in zip(rows, items, strict=True):
        if any(note.startswith(f"Row {row.number}, ") for note in notes):
            continue
        result = validator.check(row)
        assert isinstance(result, Valid), (result, item)
        assert result.monitor_id == str(item["id"])
        assert differences(result.config.body(), item) == {}, json.dumps(item)
