"""End-to-end migration from other tools: their files create each monitor exactly once."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import PLAN, CommandLine
from tests.support.paths import SAMPLES

MIGRATION_SAMPLES = sorted((SAMPLES / "migration").iterdir())
WITH_PLAN = ("--set", f"billing_plancode={PLAN}")


@pytest.mark.parametrize("sample", MIGRATION_SAMPLES, ids=lambda path: path.name)
def test_running_a_configuration_and_its_converted_file_creates_each_monitor_once(
    sample: Path, cli: CommandLine, sandbox: Sandbox
) -> None:
    first = cli("run", sample, *WITH_PLAN, "--json")
    assert first.exit_code == ExitCode.DONE, first
    rows = first.json["rows"]
    assert rows > 0
    assert first.json["counts"] == {"created": rows}
    assert len(sandbox.monitors()) == rows

    assert cli("convert", sample, "hosts.xlsx").exit_code == ExitCode.DONE
    for source in (sample, "hosts.xlsx"):
        second = cli("run", source, *WITH_PLAN, "--json")
        assert second.exit_code == ExitCode.DONE, second
        assert second.json["counts"] == {"exists": rows}
    assert len(sandbox.monitors()) == rows


NAGIOS = """
define host {
    host_name  mx
    address    mx.example.com
}
define host {
    host_name  lost
    address    $UNKNOWN$
}
define service {
    host_name            %s
    service_description  IMAPS
    check_command        check_simap
}
"""


@pytest.mark.parametrize(
    ("hosts", "rows", "errors", "message"),
    [("mx,lost", 1, 1, "1 of the source's 2 objects could not be translated"), ("lost", 0, 1, "1 of the source's 1")],
)
def test_every_command_reports_objects_that_could_not_be_translated(
    cli: CommandLine, sandbox: Sandbox, hosts: str, rows: int, errors: int, message: str
) -> None:
    """An object must not be dropped silently, even if all rows succeed."""
    (cli.folder / "mail.cfg").write_text(NAGIOS % hosts, "utf-8")
    for command in (("check",), ("check", "--results", "marked.html"), ("plan",), ("run",)):
        result = cli(*command, "mail.cfg", *WITH_PLAN, "--json")
        assert result.exit_code == ExitCode.ROWS_LEFT, command
        assert result.json["source"] == {"objects": rows + errors, "rows": rows, "skipped": 0, "errors": errors}
        assert message in result.stderr
        assert message in cli(*command, "mail.cfg", *WITH_PLAN, "--quiet").stderr
    assert len(sandbox.monitors()) == rows
    cli("run", "mail.cfg", *WITH_PLAN, "--results", "run.html")
    page = (cli.folder / "run.html").read_text("utf-8")
    assert "rows are done" not in page
    assert "only row is done" not in page
    assert message in html.unescape(page)
    assert cli("report", cli("runs", "--json").json[0]["run_id"], "--json").json["source"]["errors"] == errors


def test_a_configuration_without_mail_checks_does_not_succeed(cli: CommandLine) -> None:
    (cli.folder / "web.cfg").write_text((NAGIOS % "mx").replace("simap", "http"), "utf-8")
    result = cli("check", "web.cfg", *WITH_PLAN)
    assert result.exit_code == ExitCode.ROWS_LEFT
    assert "web.cfg: None of the source's 1 objects became a row" in result.stderr


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("out", ["hosts.xlsx", "hosts.csv"])
def test_a_converted_file_needs_only_a_plan_code(cli: CommandLine, out: str) -> None:
    source = next(sample for sample in MIGRATION_SAMPLES if sample.name == "uptimerobot-v2.json")
    rows = cli("convert", source, out, "--json").json["rows"]
    for command in ("check", "plan", "run"):
        result = cli(command, out, "--json")
        assert (result.exit_code, result.json["counts"]) == (ExitCode.ROWS_LEFT, {"invalid": rows})
    issues = cli("check", out, "--json").json["issues"]
    assert {(issue["column"], issue["code"]) for issue in issues} == {("billing_plancode", "billing_plancode.missing")}
    for command in ("check", "plan", "run"):
        assert cli(command, out, *WITH_PLAN).exit_code == ExitCode.DONE


@pytest.mark.usefixtures("sandbox")
def test_an_unknown_tool_is_rejected_with_the_supported_ones(cli: CommandLine) -> None:
    result = cli("run", MIGRATION_SAMPLES[0], "--from", "whatsup")
    assert result.exit_code == ExitCode.USAGE
    assert "whatsup" in result.stderr
    assert "nagios" in result.stderr
