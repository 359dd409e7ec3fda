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
from tests.support.command_line import (
    PLAN,
    ApiRequest,
    CommandLine,
    FakeResponse,
    api_request,
    fake_api,
    imap,
    list_response,
)

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


def fill(cli: CommandLine, sandbox: Sandbox) -> list[dict[str, Any]]:
    cli.use_account(sandbox.base_url)
    result, _ = cli.run(cli.write_csv("fill.csv", ROWS), "--output", "elsewhere", "--concurrency", "1")
    assert result.exit_code == 0, result
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
def test_every_row_of_an_export_exists(cli: CommandLine, suffix: str, output: str) -> None:
    """Without a difference, and even if the folder's store does not know the monitors."""
    with running() as sandbox:
        before = fill(cli, sandbox)
        exported = cli("export", f"e{suffix}", "--json")
        assert (exported.exit_code, exported.json["monitors"], exported.json["notes"]) == (0, len(ROWS), [])
        for how in ("skip", "update"):
            result, rows = cli.run(cli.folder / f"e{suffix}", "--on-existing", how, "--output", output)
            assert result.exit_code == 0
            assert [(row["status"], row["error"]) for row in rows] == [("exists", "")] * len(ROWS)
            assert [row["monitor_id"] for row in rows] == [str(monitor["id"]) for monitor in before]
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
    cli: CommandLine, suffix: str, row: int, column: str, text: str, change: dict[str, object]
) -> None:
    with running() as sandbox:
        before = fill(cli, sandbox)
        cli("export", f"e{suffix}")
        edit(cli.folder / f"e{suffix}", row, column, text)
        result, rows = cli.run(cli.folder / f"e{suffix}", "--on-existing", "update")
        assert result.exit_code == 0
        before[row - 2] |= change
        assert list(sandbox.monitors()) == before
        assert sandbox.counts().get("patch", 0) == bool(change)
        assert [fields["status"] for fields in rows].count("updated") == bool(change)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_creates_a_copy_in_another_account(cli: CommandLine, suffix: str) -> None:
    with running() as sandbox, running(SandboxOptions(user="copy@example.com", first_id=900_001)) as other:
        before = fill(cli, sandbox)
        cli("export", f"e{suffix}")
        cli.use_account(other.base_url, "copy@example.com")
        result, rows = cli.run(cli.folder / f"e{suffix}")
        assert (result.exit_code, {row["status"] for row in rows}) == (0, {"created"})

        def by_name(monitors: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return sorted(({**monitor, "id": 0} for monitor in monitors), key=lambda monitor: str(monitor["name"]))

        assert by_name(list(other.monitors())) == by_name(before)
        again, rows = cli.run(cli.folder / f"e{suffix}")
        assert (again.exit_code, {row["status"] for row in rows}) == (0, {"exists"})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_identical_monitors_are_distinguished_by_their_ids(cli: CommandLine, suffix: str) -> None:
    """In the same account, each row has its own monitor; in another one, the repeated rows are duplicates."""
    monitors = [{**imap("same"), "type": "email-imap", "id": n, "interval": 15} for n in (5, 6, 7)]
    with fake_api(lambda request: list_response(*monitors)) as server:
        cli.use_account(server.base_url)
        cli("export", f"e{suffix}")
        result, rows = cli.run(cli.folder / f"e{suffix}")
        assert (result.exit_code, [row["status"] for row in rows]) == (0, ["exists"] * 3)
        assert [row["monitor_id"] for row in rows] == ["5", "6", "7"]
        edit(cli.folder / f"e{suffix}", 3, "interval", "60")
        result, rows = cli.run(cli.folder / f"e{suffix}", "--on-existing", "update")
        assert [row["status"] for row in rows] == ["exists", "updated", "exists"]
        assert [(request.path, request.body) for request in server.requests if request.method == "PATCH"] == [
            ("/monitors/email-imap/6", {"interval": 60})
        ]
    with running() as other:
        cli.use_account(other.base_url)
        result, rows = cli.run(cli.folder / f"e{suffix}")
        assert (result.exit_code, [row["status"] for row in rows]) == (1, ["created", "duplicate", "duplicate"])
        assert (rows[1]["error"], len(other.monitors())) == ("Repeats row 2.", 1)


def test_unknown_fields_are_exported_and_read_only_fields_are_not(cli: CommandLine) -> None:
    stored = {
        **{"type": "email-imap", "id": 5, **imap("a"), "access_type": "Edit", "has_sla": True, "sla_id": 4},
        **{"tls": True, "greeting": "* OK", "number_like": "7", "deep": {"a": [1, None]}, "nothing": None, "no": ""},
        **{"pop3_password": "s3cret", "auth": {"user_token": "t0ken"}, "Weird  name": 1, "Interval": 5},
        **{"list": [], "spaced": " x ", "lines": "a\r\nb"},
    }
    stored["type"] = "email-imap"

    def answer(request: ApiRequest) -> FakeResponse:
        return list_response(stored) if request.method == "GET" else FakeResponse(content={"id": "9"})

    with fake_api(answer) as server:
        cli.use_account(server.base_url)
        result = cli("export", "e.csv")
        (row,) = cli.read_results("e.csv")
        api_cells = {column: cell for column, cell in row.items() if column.startswith("api:")}
        assert api_cells == {
            **{"api:tls": "true", "api:greeting": "* OK", "api:number_like": '"7"', "api:deep": '{"a":[1,null]}'},
            **{"api:list": "[]", "api:spaced": '" x "', "api:lines": '"a\\r\\nb"'},
        }
        assert "s3cret" not in str(row)
        assert "t0ken" not in str(row)
        assert "pop3_password is omitted" in result.stderr
        assert cli.run(cli.folder / "e.csv", "--on-existing", "update")[1][0]["status"] == "exists"
        assert server.count("PATCH") == 0
    with running() as other:
        cli.use_account(other.base_url)
        assert cli.run(cli.folder / "e.csv")[0].exit_code == 0


def test_values_that_run_would_reject_are_exported_and_reported(cli: CommandLine) -> None:
    """The row is not omitted, and other rows are not affected."""
    bad = {**imap("b"), "type": "email-imap", "id": 6, "mode": "Q", "interval": 0}
    good = {**imap("a"), "type": "email-imap", "id": 5}
    with fake_api(lambda request: list_response(bad, good)) as server:
        cli.use_account(server.base_url)
        result = cli("export", "e.xlsx")
        assert result.exit_code == 0
        assert "Row 2, monitor 6 b: mode is Q; a mode is Primary" in result.stderr
        assert "Row 2, monitor 6 b: interval is 0;" in result.stderr
        result, rows = cli.run(cli.folder / "e.xlsx")
        assert (result.exit_code, [row["status"] for row in rows]) == (1, ["invalid", "exists"])


def test_no_cell_is_a_formula(cli: CommandLine) -> None:
    with running() as sandbox:
        fill(cli, sandbox)
        cli("export", "e.xlsx")
        cli("export", "e.csv")
    sheet = openpyxl.load_workbook(cli.folder / "e.xlsx").active
    assert sheet is not None
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"s", "n", "inlineStr"}
    assert not any(isinstance(cell.value, int | float) for row in sheet.iter_rows() for cell in row)
    cells = [cell for row in cli.read_results("e.csv") for cell in row.values()]
    assert "'=1+1" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_an_existing_file_is_replaced_only_with_overwrite(cli: CommandLine) -> None:
    with running() as sandbox:
        fill(cli, sandbox)
        (cli.folder / "e.csv").write_text("mine")
        sandbox.forget_requests()
        result = cli("export", "e.csv")
        assert (result.exit_code, (cli.folder / "e.csv").read_text(), sandbox.counts()) == (2, "mine", {})
        assert cli("export", "e.csv", "--overwrite").exit_code == 0
        assert len(cli.read_results("e.csv")) == len(ROWS)
        assert cli("export", "e.pdf").exit_code == 2
        assert cli("export", "no/such/folder/e.csv").exit_code == 0


@pytest.mark.parametrize(
    ("answer", "exit_code"),
    [
        (FakeResponse(content="<html>log in</html>", content_type="text/html"), 3),
        (FakeResponse(content={"monitors": []}), 3),
        (FakeResponse(status=302, headers={"Location": "/login"}), 3),
        (FakeResponse(status=403, content={"errors": []}), 3),
    ],
)
def test_no_file_is_written_if_the_account_cannot_be_listed(
    cli: CommandLine, answer: FakeResponse, exit_code: int
) -> None:
    with fake_api(lambda request: answer) as server:
        cli.use_account(server.base_url)
        assert cli("export", "e.csv").exit_code == exit_code
    assert not (cli.folder / "e.csv").exists()


def test_the_export_of_an_empty_account_has_only_a_header(cli: CommandLine) -> None:
    with running() as sandbox:
        cli.use_account(sandbox.base_url)
        for suffix in SUFFIXES:
            assert cli("export", f"e{suffix}").stdout == f"Wrote e{suffix}: 0 monitors.\n"
            result = cli("run", f"e{suffix}", "--json")
            assert (result.exit_code, result.json["rows"]) == (0, 0)


def test_a_monitor_that_was_edited_after_the_export_is_changed_back(cli: CommandLine) -> None:
    """The other monitors are not updated."""
    with running() as sandbox:
        before = fill(cli, sandbox)
        cli("export", "e.csv")
        api_request(sandbox, "PATCH", before[0], interval=99)
        _, rows = cli.run(cli.folder / "e.csv", "--on-existing", "update")
        assert [row["status"] for row in rows] == ["updated"] + ["exists"] * (len(ROWS) - 1)
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
