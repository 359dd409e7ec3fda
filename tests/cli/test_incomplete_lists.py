"""No command takes a page of a list for the whole list: each names what is missing, and exits with 1."""

from __future__ import annotations

import json

import openpyxl
import pytest

from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine

WITH_PLAN = ("--set", "billing_plancode=UBM - A/A")
MISSING = (
    "The list is page 1 of 2 (2 of 3 monitors), so 1 is missing; give the other pages as well, in one folder or"
    " one file."
)


def write_page(cli: CommandLine, number: int) -> None:
    (cli.folder / "pages").mkdir(exist_ok=True)
    monitors = [
        {"id": id_, "friendly_name": f"m{id_}", "url": f"m{id_}.example.com", "type": 4, "sub_type": 4, "interval": 300}
        for id_ in ((1, 2), (3,))[number - 1]
    ]
    pagination = {"offset": 2 * (number - 1), "limit": 2, "total": 3}
    content = {"stat": "ok", "pagination": pagination, "monitors": monitors}
    (cli.folder / "pages" / f"page{number}.json").write_text(json.dumps(content), "utf-8")


def test_convert_writes_the_rows_of_the_page_and_names_what_is_missing(cli: CommandLine) -> None:
    write_page(cli, 1)
    result = cli("convert", "pages/page1.json", "out.xlsx")
    assert (result.exit_code, result.stderr) == (1, f"bulkload: page1.json: {MISSING}\n")
    rows, left_out, _ = openpyxl.load_workbook("out.xlsx").worksheets
    assert rows.max_row == 3
    assert list(left_out.iter_rows(min_row=2, values_only=True)) == [("error", MISSING, "page1.json")]
    counts = cli("convert", "pages/page1.json", "out.xlsx", "--overwrite", "--json").json
    assert (counts["rows"], counts["errors"], counts["missing"]) == (2, 1, [f"page1.json: {MISSING}"])
    write_page(cli, 2)
    for sources in (["pages"], ["pages/page2.json", "pages/page1.json"]):
        result = cli("convert", *sources, "out.xlsx", "--overwrite", "--json")
        assert (result.exit_code, result.json["rows"], result.json["errors"], result.stderr) == (0, 3, 0, "")
        assert "missing" not in result.json


@pytest.mark.parametrize("command", ["check", "plan", "run"])
def test_a_run_of_a_page_does_not_look_complete(command: str, cli: CommandLine, sandbox: Sandbox) -> None:
    write_page(cli, 1)
    result = cli(command, "pages/page1.json", *WITH_PLAN)
    assert (result.exit_code, result.stderr.count(MISSING)) == (1, 1)
    result = cli(command, "pages/page1.json", *WITH_PLAN, "--json")
    assert result.json["source"]["missing"] == [f"page1.json: {MISSING}"]
    assert len(sandbox.monitors()) == (2 if command == "run" else 0)
    write_page(cli, 2)
    result = cli(command, "pages", *WITH_PLAN, "--json")
    assert (result.exit_code, result.json["rows"], result.stderr) == (0, 3, "")
    assert len(sandbox.monitors()) == (3 if command == "run" else 0)


def test_the_report_of_a_run_names_what_is_missing(cli: CommandLine, sandbox: Sandbox) -> None:
    write_page(cli, 1)
    run = cli("run", "pages/page1.json", *WITH_PLAN, "--results", "results.xlsx", "--results", "results.html", "--json")
    summary = openpyxl.load_workbook("results.xlsx").worksheets[-1]
    assert any(MISSING in str(cell) for row in summary.iter_rows(values_only=True) for cell in row)
    assert "page 1 of 2 (2 of 3 monitors)" in (cli.folder / "results.html").read_text("utf-8")
    cli("report", run.json["run_id"], "--results", "again.html")
    assert "page 1 of 2 (2 of 3 monitors)" in (cli.folder / "again.html").read_text("utf-8")
