"""`check` and `plan` report what would happen, but never more than they know."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload.cli.main import cli
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine, api_request, imap

GOOD = [imap("a"), imap("b"), imap("c")]
BAD = [*GOOD, imap("a"), imap("d", port="many")]


@pytest.mark.parametrize("fault", ["login-refused", "list-shape"])
def test_a_plan_that_could_not_list_the_account_predicts_nothing(
    cli: CommandLine, sandbox: Sandbox, fault: str
) -> None:
    sandbox.set_faults(Faults(rules=(Rule(fault=fault),)))
    sheet = cli.write_csv("hosts.csv", BAD)
    planned, as_json = cli("plan", sheet, "--results", "planned.csv"), cli("plan", sheet, "--json")
    assert (planned.exit_code, as_json.exit_code) == (3, 3)
    assert "will create" not in planned.stdout
    assert "A run would send" not in planned.stdout
    assert "The plan stopped too early to know what a run would send." in planned.stdout
    assert as_json.json["counts"] == {"invalid": 1, "duplicate": 1, "not_attempted": 3}
    assert as_json.json["expected_seconds"] is None
    assert f"Stopped early: {as_json.json['stopped']}" in planned.stdout
    assert [row["status"] for row in cli.read_results("planned.csv")] == [
        *["not_attempted"] * 3,
        "duplicate",
        "invalid",
    ]


def test_a_plan_with_on_existing_fail_sends_nothing_if_a_monitor_exists(cli: CommandLine, sandbox: Sandbox) -> None:
    cli.run(cli.write_csv("a.csv", [imap("a")]))
    planned = cli("plan", cli.write_csv("hosts.csv", GOOD), "--on-existing", "fail")
    assert (planned.exit_code, "A run would send nothing." in planned.stdout) == (1, True)
    assert "will create" not in planned.stdout


def test_the_json_object_says_what_stopped_a_run(cli: CommandLine, sandbox: Sandbox) -> None:
    """That of run, runs and report; null if nothing did."""
    sheet = cli.write_csv("hosts.csv", [imap("a")])
    assert cli("run", sheet, "--json").json["stopped"] is None
    assert cli("check", sheet, "--json").json["stopped"] is None
    assert cli("export", "all.csv", "--json").json["stopped"] is None
    for monitor in sandbox.monitors():
        api_request(sandbox, "DELETE", monitor)
    stopped = cli("run", sheet, "--json").json
    assert "--trust-list" in stopped["stopped"]
    assert [run["stopped"] for run in cli("runs", "--json").json] == [stopped["stopped"], None]
    assert cli("report", stopped["run_id"], "--json").json["stopped"] == stopped["stopped"]


def test_plan_accepts_all_options_of_run() -> None:
    options = {name: {parameter.name for parameter in cli.commands[name].params} for name in ("run", "plan", "resume")}
    assert options["run"] - {"files"} == options["plan"] - {"file"}
    assert "strict" in options["resume"]


def test_a_plan_with_first_counts_only_those_rows(cli: CommandLine, sandbox: Sandbox) -> None:
    sheet = cli.write_csv("hosts.csv", GOOD)
    planned = cli("plan", sheet, "--first", "2", "--rate", "1/s")
    assert "A run would send 2 requests (--first 2) and take about 2.0 s at 1 request per second." in planned.stdout
    assert cli("plan", sheet, "--first", "1", "--rate", "1/s", "--json").json["expected_seconds"] == 1
    assert (
        "A run would send 3 requests and take about 3.0 s" in cli("plan", sheet, "--first", "9", "--rate", "1/s").stdout
    )


@pytest.mark.parametrize(("option", "exit_code"), [(("--strict",), 1), (("--max-errors", "1"), 4)])
def test_a_plan_stops_at_invalid_rows_where_the_run_would(
    cli: CommandLine, sandbox: Sandbox, option: tuple[str, ...], exit_code: int
) -> None:
    planned = cli("plan", cli.write_csv("bad.csv", BAD), *option)
    assert (planned.exit_code, "A run would send nothing." in planned.stdout) == (exit_code, True)
    assert planned.exit_code == cli("run", cli.folder / "bad.csv", *option).exit_code
    assert "A run would send 3 requests" in cli("plan", cli.write_csv("good.csv", GOOD), *option).stdout


def test_resume_with_strict_sends_nothing_if_rows_are_invalid(cli: CommandLine, sandbox: Sandbox) -> None:
    cli("run", cli.write_csv("bad.csv", BAD), "--strict")
    assert cli("resume", "--strict").exit_code == 1
    assert sandbox.monitors() == []
    cli("resume")
    assert len(sandbox.monitors()) == 3


def test_check_accepts_and_ignores_the_options_strict_and_output_of_run(cli: CommandLine) -> None:
    sheet = cli.write_csv("bad.csv", BAD)
    plain, same = cli("check", sheet), cli("check", sheet, "--strict", "--output", "elsewhere")
    assert (plain.exit_code, same.exit_code) == (1, 1)
    assert plain.stdout.splitlines()[:4] == same.stdout.splitlines()[:4]
    assert not (cli.folder / "elsewhere").exists()


def test_a_quiet_check_prints_only_the_invalid_cells(cli: CommandLine) -> None:
    sheet = cli.write_csv("bad.csv", [*BAD, imap("e", port=110)])
    lines = cli("check", sheet).stdout.splitlines()
    assert any("warning" in line for line in lines)
    quiet = cli("check", sheet, "--quiet")
    bad = [line for line in lines if line.startswith("bad.csv: row") and "warning" not in line]
    assert (quiet.exit_code, quiet.stdout.splitlines(), quiet.stderr) == (1, bad, "")
    assert len(bad) == 2


def test_messages_about_one_row_are_in_the_singular(cli: CommandLine, sandbox: Sandbox) -> None:
    bad = cli.write_csv("bad.csv", [imap("a"), imap("b", port="many")])
    assert "Stopped early: 1 row has errors, so --strict" in cli("plan", bad, "--strict").stdout
    assert "Stopped early: 1 row has errors; --max-errors" in cli("plan", bad, "--max-errors", "0").stdout
    assert "A run would send 1 request and take" in cli("plan", bad).stdout
    cli("run", bad)
    assert "Stopped early: 1 row already has its monitor" in cli("plan", bad, "--on-existing", "fail").stdout


def test_check_prints_a_suggestion_only_where_there_is_one(cli: CommandLine) -> None:
    rows = ["type,name,hostname,billing_plancode,interval,port", "imap,a,a.example.com,UBM - A/A,300s,0"]
    Path("hosts.csv").write_text("\n".join((*rows, "")), encoding="utf-8")
    issues = cli("check", "hosts.csv", "--json").json["issues"]
    assert [(issue["code"], issue.get("suggestion")) for issue in issues] == [
        ("interval.unit", "5"),
        ("port.range", None),
    ]


def test_a_dry_run_is_a_plan(cli: CommandLine, sandbox: Sandbox) -> None:
    result = cli("run", cli.write_csv("my hosts.csv", GOOD), "--dry-run", "--rate", "2/s")
    assert result.exit_code == 2
    assert result.stderr.endswith(f"run: bulkload plan '{cli.folder}/my hosts.csv' --rate 2/s\n")
    assert not any(sandbox.counts().values())


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_header_without_rows_is_named(cli: CommandLine, sandbox: Sandbox, command: str) -> None:
    sheet = cli.folder / "hosts.csv"
    sheet.write_text("type,name,hostname,billing_plancode\n", "utf-8")
    result = cli(command, sheet)
    assert "There are no rows below the header" in result.stderr
    assert (result.exit_code, sandbox.monitors()) == (0, [])
