"""Each kind of problem is shown once with its rows, and the last line says what to do now."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.model import Issue, ReportRow, Status
from bulkload.reports.problems import FIRST_MESSAGES, FIRST_RANGES, Problems, RowRanges
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import CommandLine, imap
from tests.support.terminal import Terminal

BAD = [
    *(imap(f"e{n}", enabled="perhaps") for n in range(58)),
    *(imap(f"h{n}", hostname=f"mail {n}.firma.de") for n in range(12)),
    imap("p", port=110),  # a warning
    *(imap(f"p{n}", port=70000 + n) for n in range(2)),
]


@pytest.fixture
def bad(cli: CommandLine) -> Path:
    cli.write_csv("bad.csv", [*BAD, imap("good")])
    return Path("bad.csv")


def last_command(text: str) -> list[str]:
    program, *arguments = shlex.split(text.splitlines()[-1])
    assert program == "bulkload"
    return arguments


def test_on_a_terminal_each_kind_is_shown_once_and_fits(cli: CommandLine, bad: Path) -> None:
    with Terminal("check", bad, columns=80) as terminal:
        assert terminal.exit_code() == 1
        lines = terminal.lines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if re.search(r": \d+ rows?$", line)] == [
        "enabled: 58 rows",
        "hostname: 12 rows",
        "port: 2 rows",
        "warning, port: 1 row",
    ]
    text = "\n".join(lines)
    assert text.count("perhaps") == 1
    assert re.search(r"\n  2–59 +enabled is perhaps; use true/false", text)
    assert re.search(r'\n  61 +hostname is "mail 1.firma.de"\n', text), "the rule is not repeated"
    assert "… and 9 more rows; --all shows each" in text
    assert text.index("Not known offline") > text.index("invalid  72  fix the row") > text.index("warning, port")
    assert "ok        2" in text
    assert "will create" not in text
    assert lines[-2:] == ["Next, after you have fixed the rows in bad.csv:", "  bulkload check bad.csv"]


def test_every_cell_is_printed_without_a_terminal_and_with_all(cli: CommandLine, bad: Path) -> None:
    piped = [line for line in cli("check", bad).stdout.splitlines() if line.startswith("bad.csv: row ")]
    assert len(piped) == len(BAD)
    with Terminal("check", bad, "--all", columns=300) as terminal:
        assert terminal.exit_code() == 1
        assert [line for line in terminal.lines() if line.startswith("bad.csv: row ")] == piped


@pytest.mark.parametrize("command", ["run", "plan"])
def test_run_and_plan_show_kinds_also_without_a_terminal(
    cli: CommandLine, sandbox: Sandbox, bad: Path, command: str
) -> None:
    stdout = cli(command, bad).stdout
    assert stdout.count("perhaps") == 1
    assert re.search(r"enabled: 58 rows\n  2–59 +enabled is perhaps; use", stdout)
    assert stdout.index("enabled: 58 rows") < stdout.index("warning, port: 1 row") < stdout.index("invalid")
    assert "perhaps" not in cli(command, bad, "--quiet").stdout
    assert json.loads(cli(command, bad, "--json").stdout)["counts"]["invalid"] == 72


@pytest.mark.parametrize(
    ("options", "variables", "is_terminal", "has_colours"),
    [
        ((), {}, True, True),
        ((), {}, False, False),
        ((), {"NO_COLOR": "1"}, True, False),
        (("--color", "never"), {}, True, False),
        (("--color", "always"), {"NO_COLOR": "1"}, False, True),
        ((), {"BULKLOAD_COLOR": "always"}, False, True),
        ((), {"BULKLOAD_COLOR": "never"}, True, False),
    ],
)
def test_colours(
    cli: CommandLine,
    sandbox: Sandbox,
    bad: Path,
    options: tuple[str, ...],
    variables: dict[str, str],
    is_terminal: bool,
    has_colours: bool,
) -> None:
    cli.monkeypatch.delenv("NO_COLOR", raising=False)
    cli.monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        cli.monkeypatch.setenv(name, value)
    if is_terminal:
        with Terminal("plan", bad, *options) as terminal:
            assert terminal.exit_code() == 1
            output = terminal.output
    else:
        output = cli("plan", bad, *options).stdout
    assert ("\x1b[1;31m" in output) is has_colours
    assert cli("check", bad, "--color", "blue").exit_code == 2


def test_the_next_command_has_the_options_of_this_one(cli: CommandLine, sandbox: Sandbox) -> None:
    Path("my hosts.csv").write_text("Kind,name,hostname\nimap,a,mx1.example.com\nimap,b,not a host\n", "utf-8")
    Path("my.toml").write_text('rate = "unlimited"\n', "utf-8")
    options = ("--set", "billing_plancode=UBM - A/A", "--map", "Kind=type", "--output", "my runs")
    checked = cli("--config", "my.toml", "check", "my hosts.csv", *options)
    assert last_command(checked.stderr) == ["--config", "my.toml", "check", "my hosts.csv", *options]
    planned = cli("--config", "my.toml", "plan", "my hosts.csv", *options)
    assert "to create the monitors of the good rows:" in planned.stderr
    ran = cli(*last_command(planned.stderr))
    assert (ran.exit_code, len(sandbox.monitors())) == (1, 1)
    assert "Results: my runs/my hosts-results.xlsx" in ran.stdout
    again = cli(*last_command(ran.stderr))
    assert (again.exit_code, "exists" in again.stdout, len(sandbox.monitors())) == (1, True, 1)


def test_the_next_step_of_rows_that_were_not_sent_is_to_resume(cli: CommandLine, sandbox: Sandbox) -> None:
    sheet = cli.write_csv("hosts.csv", [imap("a"), imap("b"), imap("c")])
    ran = cli("run", sheet, "--first", "1", "--concurrency", "2", "--set", "interval=15")
    command = last_command(ran.stderr)
    assert command[0] == "resume"
    assert command[2:] == ["--concurrency", "2"]
    resumed = cli(*command)
    assert (resumed.exit_code, len(sandbox.monitors())) == (0, 3)
    assert "Next" not in resumed.stderr, "nothing is left to do"
    assert "Next" not in cli("run", sheet, "--quiet").stderr
    assert "Next" not in cli("plan", sheet).stderr, "there is nothing to create"


def test_a_good_file_is_ok_and_a_plan_comes_next(cli: CommandLine) -> None:
    checked = cli("check", cli.write_csv("hosts.csv", [imap("a")]))
    assert checked.stdout.splitlines()[0] == "ok    1"
    assert "Not known offline: which monitors exist already" in checked.stderr
    assert last_command(checked.stderr)[0] == "plan"
    assert cli("check", "hosts.csv", "--json").json["counts"] == {"will create": 1}
    quiet = cli("check", "hosts.csv", "--quiet")
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_check_takes_several_files(cli: CommandLine) -> None:
    cli.write_csv("good.csv", [imap("a")])
    cli.write_csv("bad.csv", [imap("b", port=0)])
    result = cli("check", "good.csv", "missing.csv", "bad.csv")
    assert result.exit_code == 2
    assert "bulkload: missing.csv: file not found." in result.stderr
    assert 'bad.csv: row 2, column "port"' in result.stdout
    objects = [json.loads(line) for line in cli("check", "good.csv", "bad.csv", "--json").stdout.splitlines()]
    assert [(each["input"], each["exit_code"], len(each["issues"])) for each in objects] == [
        ("good.csv", 0, 0),
        ("bad.csv", 1, 1),
    ]
    refused = cli("check", "good.csv", "bad.csv", "--results", "r.csv")
    assert (refused.exit_code, "one input file only" in refused.stderr) == (2, True)


@given(st.sets(st.integers(1, 60)))
def test_ranges_name_the_first_rows_and_say_if_there_are_more(rows: set[int]) -> None:
    ranges = RowRanges()
    for row in sorted(rows):
        ranges.add(row)
        ranges.add(row)
    assert ranges.count == len(rows)
    parts = str(ranges).split(", ") if rows else []
    named = [part.split("–") for part in parts if not part.startswith("…")]
    expanded = [row for part in named for row in range(int(part[0]), int(part[-1]) + 1)]
    assert expanded == sorted(rows)[: len(expanded)]
    assert (parts[-1:] == [f"… ({len(rows)})"]) is (len(expanded) < len(rows))
    assert len(named) <= FIRST_RANGES


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", "z", "z; w", ""]), st.booleans()), max_size=40)
)
def test_every_row_is_counted_in_its_kind(cells: list[tuple[str, str, bool]]) -> None:
    problems = Problems()
    for row, (column, value, is_error) in enumerate(cells, 1):
        message = f"{column} is {value or 'missing'}; allowed are 1; 2."
        severity = "error" if is_error else "warning"
        issue = Issue(code="c", message=message, column=column, field=column, value=value, severity=severity)  # type: ignore[arg-type]
        status = Status.INVALID if is_error else Status.WILL_CREATE
        error = message if is_error else ""
        problems.add(ReportRow(source_row=row, cells=(), status=status, error=error, issues=(issue,)))
    kinds = problems.kinds()
    assert {(kind.is_error, kind.column): kind.rows.count for kind in kinds} == {
        (is_error, column): sum((each[0], each[2]) == (column, is_error) for each in cells)
        for column, _, is_error in cells
    }
    assert [kind.is_error for kind in kinds] == sorted((kind.is_error for kind in kinds), reverse=True)
    for kind in kinds:
        assert len(kind.messages) <= FIRST_MESSAGES
        assert sum(rows.count for rows in kind.messages.values()) + kind.others.count == kind.rows.count
        first, *others = kind.messages
        assert first.endswith("; allowed are 1; 2.")
        assert all(other.startswith(f"{kind.column} is ") for other in others)


def test_rows_that_exist_and_differ_are_named_with_the_option_that_updates_them(
    cli: CommandLine, sandbox: Sandbox
) -> None:
    cli("run", cli.write_csv("hosts.csv", [imap("a", interval=15), imap("b", interval=15)]))
    cli.write_csv("hosts.csv", [imap("a", interval=30), imap("b", interval=15)])
    result = cli("run", "hosts.csv", "--verify")
    assert result.exit_code == 0
    assert "warning, exists: 1 row\n  2  Not changed: interval 15 → 30." in result.stdout
    assert "1 row exists and differs from the file; --on-existing update updates what differs." in result.stderr
    assert "updated  1" in cli("run", "hosts.csv", "--on-existing", "update").stdout


def test_the_next_command_of_show_reads_the_results_as_the_run_did(cli: CommandLine, sandbox: Sandbox) -> None:
    Path("hosts.csv").write_text("Kind,name,hostname,color\nimap,a,mx1.example.com,\nimap,b,not a host,red\n", "utf-8")
    options = ("--map", "Kind=type", "--set", "billing_plancode=UBM - A/A", "--ignore-unknown")
    cli("run", "hosts.csv", *options)
    (line,) = (line for line in cli("show", "last").stdout.splitlines() if line.startswith("  bulkload run output"))
    command = shlex.split(line)[1:]
    result = cli(*command)
    assert (result.exit_code, "exists" in result.stdout) == (1, True), result.stderr


def test_a_file_whose_name_begins_with_a_dash_is_no_option(cli: CommandLine) -> None:
    cli.write_csv("-x.csv", [imap("a", port=0)])
    checked = cli("check", "./-x.csv")
    assert checked.stderr.splitlines()[-1] == "  bulkload check ./-x.csv"
    assert cli(*last_command(checked.stderr)).exit_code == 1


def test_without_an_account_the_sandbox_comes_next(cli: CommandLine) -> None:
    for name in ("USERNAME", "PASSWORD"):
        cli.monkeypatch.delenv(f"ALERTSITE_{name}", raising=False)
    checked = cli("check", cli.write_csv("hosts.csv", [imap("a")]))
    command = last_command(checked.stderr)
    assert command[-1] == "--sandbox"
    assert cli(*command).exit_code == 0


def test_a_removed_row_says_how_it_is_created_again(cli: CommandLine, sandbox: Sandbox) -> None:
    cli("run", cli.write_csv("hosts.csv", [imap("a"), imap("b")]), "--results", "r.csv")
    cli("undo", "last", "--rows", "3", "--yes")
    again = cli("run", "r.csv", "--results", "again.csv")
    assert again.exit_code == 1
    assert "removed: 1 row\n  3  Removed earlier. To create it again, empty this row's monitor_id" in again.stdout
    assert "row 3: Removed earlier." in cli("check", "again.csv").stdout
    assert "Next" not in cli("check", "again.csv").stderr, "there is nothing to fix"
    text = Path("again.csv").read_text("utf-8-sig").splitlines()
    header = text[0].split(",")
    cells = text[2].split(",")
    cells[header.index("monitor_id")] = ""
    Path("fixed.csv").write_text("\n".join([text[0], text[1], ",".join(cells)]), "utf-8")
    assert cli("run", "fixed.csv").exit_code == 0
    assert len(sandbox.monitors()) == 2


@pytest.mark.parametrize("command", ["undo", "delete"])
def test_a_dry_run_has_a_total_and_the_command_that_deletes(cli: CommandLine, sandbox: Sandbox, command: str) -> None:
    cli("run", cli.write_csv("hosts.csv", [imap("a"), imap("b")]), "--results", "r.csv")
    shown = cli(command, "last" if command == "undo" else "r.csv", "--dry-run", "--rate", "50/s")
    assert "Dry run, nothing was deleted: 2 to delete." in shown.stdout
    next_command = last_command(shown.stderr)
    assert next_command[0] == command
    assert next_command[2:] == ["--rate", "50/s"]
    done = cli(*next_command, "--yes")
    assert (done.exit_code, sandbox.monitors()) == (0, [])
    assert "2 deleted, 0 " in done.stdout


@pytest.mark.parametrize("columns", [10, 24, 45, 60])
def test_a_narrow_terminal_shows_every_message(cli: CommandLine, columns: int) -> None:
    rows = [imap(f"m{n}", port=99999 if n % 3 else 993) for n in range(120)]
    cli.write_csv("hosts.csv", rows)
    with Terminal("check", "hosts.csv", columns=columns) as terminal:
        assert terminal.exit_code() == 1
        text = "".join("".join(terminal.lines()).split())
    assert "portis99999;aportisawholenumber" in text


def test_options_for_reading_the_input_are_not_repeated_for_the_results(cli: CommandLine, sandbox: Sandbox) -> None:
    Path("hosts.csv").write_text(
        "Our hosts\n\ntype,name,hostname,billing_plancode\nimap,a,not a host,UBM - A/A\n", "utf-8"
    )
    ran = cli("run", "hosts.csv", "--header-row", "3", "--encoding", "windows-1252", "--rate", "50/s")
    command = last_command(ran.stderr)
    assert command == ["run", "output/hosts-results.xlsx", "--rate", "50/s"]
    assert "invalid" in cli(*command).stdout
    checked = last_command(cli("check", "hosts.csv", "--header-row", "3").stderr)
    assert checked == ["check", "hosts.csv", "--header-row", "3"]
