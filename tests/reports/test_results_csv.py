"""CSV results have the delimiter of the input, and its texts as they were typed."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine


@pytest.mark.parametrize(
    ("suffix", "delimiter", "expected"), [("csv", ";", ";"), ("csv", ",", ","), ("tsv", "\t", "\t"), ("csv", "|", "|")]
)
def test_the_results_have_the_delimiter_of_the_input(
    cli: CommandLine, sandbox: Sandbox, suffix: str, delimiter: str, expected: str
) -> None:
    rows = [
        ["type", "name", "hostname", "billing_plancode", "cost"],
        ["imap", "a, b; c", "mx1.example.com", "UBM - A/A", "1.234,50"],
        ["imap", "d", "not a host", "UBM - A/A", "0,5"],
    ]
    with Path(f"hosts.{suffix}").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    first = cli("run", f"hosts.{suffix}", "--ignore-unknown", "--results", "r.csv")
    assert first.exit_code == 1, first.stderr
    with Path("r.csv").open(encoding="utf-8-sig", newline="") as stream:
        results = list(csv.reader(stream, delimiter=expected))
    assert [row[: len(rows[0])] for row in results] == rows
    assert results[0][len(rows[0])] == "status"
    again = cli("run", "r.csv", "--ignore-unknown", "--results", "again.csv")
    assert "exists   1" in again.stdout, "the results are a valid input"
    assert len(sandbox.monitors()) == 1


def test_the_results_of_a_workbook_have_commas(cli: CommandLine, sandbox: Sandbox) -> None:
    cli("template", "hosts.xlsx")
    cli("run", "hosts.xlsx", "--results", "r.csv")
    assert Path("r.csv").read_text("utf-8-sig").startswith("type,name,")
