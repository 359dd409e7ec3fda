"""What a worksheet merges or hides reaches the account as a person sees it, and every command tells it."""

from __future__ import annotations

from pathlib import Path

import openpyxl

from bulkload.sandbox.server import Sandbox
from tests.readers.layout_workbooks import save
from tests.support.command_line import PLAN, CommandLine

HEADER = ("type", "name", "hostname", "billing_plancode", "enabled")


def host(name: str, enabled: str = "") -> tuple[str, ...]:
    return ("imap", name, f"{name}.example.com", PLAN, enabled) if name else ("imap", "", "", PLAN, enabled)


def summary(path: Path) -> str:
    worksheet = openpyxl.load_workbook(path)["summary"]
    return "\n".join(str(cell) for row in worksheet.iter_rows(values_only=True) for cell in row if cell)


def test_merged_cells_reach_the_account_and_are_told(cli: CommandLine, sandbox: Sandbox) -> None:
    cells = [HEADER, host("a", "no"), host("b"), host("c"), host("d")]
    path = save(cli.folder, "xlsx", cells, merged=["E2:E4"])
    note = "The value of the merged cells E2:E4 counts for each of their rows."
    for command in ("check", "plan", "run"):
        assert note in cli(command, path).stderr
    assert {each["name"]: each.get("enabled") for each in sandbox.monitors()} == {
        "a": False,
        "b": False,
        "c": False,
        "d": True,
    }
    assert note in summary(cli.folder / "output" / "hosts-results.xlsx")


def test_a_name_and_host_merged_over_two_rows_are_a_duplicate(cli: CommandLine, sandbox: Sandbox) -> None:
    path = save(cli.folder, "xlsx", [HEADER, host("a", "no"), host("", "yes")], merged=["B2:B3", "C2:C3"])
    _, rows = cli.run(path)
    assert [row["status"] for row in rows] == ["created", "duplicate"]


def test_hidden_rows_are_told_and_left_out_on_request(cli: CommandLine, sandbox: Sandbox) -> None:
    cells = [HEADER, *map(host, "abcd")]
    path = save(cli.folder, "xlsx", cells, hidden_rows=[3, 4], by_filter=True)
    read, left_out = (
        "Rows 3–4 are hidden (by a filter); they are read",
        "Rows 3–4 are hidden (by a filter) and left out",
    )
    for command in ("check", "plan"):
        assert read in cli(command, path).stderr
        assert left_out in cli(command, path, "--skip-hidden").stderr
    result = cli("run", path, "--skip-hidden")
    assert left_out in result.stderr
    assert left_out in summary(cli.folder / "output" / "hosts-results.xlsx")
    assert [monitor["name"] for monitor in sandbox.monitors()] == ["a", "d"]
    cli.monkeypatch.setenv("BULKLOAD_SKIP_HIDDEN", "1")
    assert cli("check", path, "--json").json["rows"] == 2


def test_a_problem_of_the_header_names_hidden_columns(cli: CommandLine) -> None:
    path = save(cli.folder, "xlsx", [(*HEADER, "server new"), (*host("a"), "b.example.com")], hidden_columns=[2])
    result = cli("check", path)
    assert result.exit_code == 2
    assert 'Column F "server new" is unknown' in result.stderr
    assert 'Column C "hostname" is hidden; it is read like the others;' in result.stderr
    assert cli("check", path, "--skip-hidden", "--map", "server new=hostname").exit_code == 0
