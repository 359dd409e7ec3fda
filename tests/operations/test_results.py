"""The results of a run: their names, and that they can be written before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkload.operations.results_names import default_results
from bulkload.sandbox.server import Sandbox
from bulkload.settings import Options
from tests.support.command_line import CommandLine, imap


@pytest.mark.parametrize("length", [10, 240, 248, 255])
@pytest.mark.parametrize("character", ["x", "郵"])
def test_an_input_with_a_long_name_has_results(cli: CommandLine, sandbox: Sandbox, character: str, length: int) -> None:
    size = len(character.encode())
    name = f"{(length - 4) // size * character}.csv"
    assert cli("run", cli.write_csv(name, [imap("a")])).exit_code == 0
    (results,) = (path.name for path in (cli.folder / "output").glob("*.xlsx"))
    assert results.startswith(name[:2])
    assert results.endswith("-results.xlsx")
    assert len(os.fsencode(results)) <= 255
    assert length > 240 or results == f"{name[:-4]}-results.xlsx"


def test_long_names_that_differ_only_at_the_end_have_different_results() -> None:
    paths = [Path(f"{82 * '郵'}{end}.csv") for end in "ab"]
    (first,), (second,) = default_results(paths, Options())
    assert first != second
    assert [[first]] == default_results(paths[:1], Options())


@pytest.mark.parametrize("output", ["file/output", f"{256 * 'x'}", "/proc/output"])
def test_an_output_folder_that_cannot_be_written_is_reported_before_anything_is_sent(
    cli: CommandLine, sandbox: Sandbox, output: str
) -> None:
    (cli.folder / "file").touch()
    result = cli("run", cli.write_csv("hosts.csv", [imap("a")]), "--output", output)
    assert (result.exit_code, sandbox.requests()) == (2, [])
    assert "cannot be" in result.stderr


@pytest.mark.parametrize(
    ("results", "message"),
    [("file/results.csv", "file/results.csv cannot be written"), ("results.pdf", "has the suffix .pdf")],
)
def test_resume_notices_results_that_cannot_be_written_before_anything_is_sent(
    cli: CommandLine, sandbox: Sandbox, results: str, message: str
) -> None:
    assert cli("run", cli.write_csv("hosts.csv", [imap("a"), imap("b")]), "--first", "1").exit_code == 1
    (cli.folder / "file").touch()
    sandbox.forget_requests()
    result = cli("resume", "--results", results)
    assert (result.exit_code, sandbox.requests()) == (2, [])
    assert message in result.stderr
    assert cli("resume").exit_code == 0


def test_the_command_that_writes_results_again_names_the_folder_of_the_run(cli: CommandLine, sandbox: Sandbox) -> None:
    hosts = cli.write_csv("hosts.csv", [imap("a")])
    run_id = cli("run", hosts, "--output", "my runs", "--json").json["run_id"]
    (cli.folder / "taken").touch()
    result = cli("report", run_id, "--output", "my runs", "--results", "taken/r.csv")
    assert result.exit_code == 2
    assert f"to write it again, run: bulkload report {run_id} --output 'my runs'." in result.stderr
    assert cli("report", run_id, "--output", "my runs", "--results", "again.csv").exit_code == 0
