"""Several files in one command are several runs, each with its own results."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl

from bulkload.errors import ExitCode
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine, imap


def names_in(results: str) -> list[object]:
    sheet = openpyxl.load_workbook(results)["results"]
    header = [cell.value for cell in next(sheet.rows)]
    return [row[header.index("name")].value for row in sheet.iter_rows(min_row=2)]


def test_files_with_the_same_name_have_their_own_results(cli: CommandLine, sandbox: Sandbox) -> None:
    names = ["a/hosts.csv", "b/hosts.csv", "c/HOSTS.csv", "hosts.tsv", "d/hosts-csv.csv", "e/other.csv"]
    for number, name in enumerate(names):
        (cli.folder / name).parent.mkdir(exist_ok=True)
        cli.write_csv(name, [imap(f"m{number}")])
    result = cli("run", *names, "--json")
    assert result.exit_code == ExitCode.DONE, result
    runs = [json.loads(line) for line in result.stdout.splitlines()]
    assert [run["input"] for run in runs] == names
    results = [path for run in runs for path in run["results"]]
    assert len({path.casefold() for path in results}) == len(names)
    assert [names_in(path) for path in results] == [[f"m{number}"] for number in range(len(names))]
    assert Path(results[-1]) == Path("output/other-results.xlsx")
    assert len(sandbox.monitors()) == len(names)


def test_the_exit_code_is_the_worst(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.write_csv("good.csv", [imap("a")])
    cli.write_csv("bad.csv", [imap("b", port=0)])
    assert cli("run", "good.csv", "bad.csv").exit_code == ExitCode.ROWS_LEFT
    assert cli("run", "bad.csv", "good.csv").exit_code == ExitCode.ROWS_LEFT
    assert [monitor["name"] for monitor in sandbox.monitors()] == ["a"]
