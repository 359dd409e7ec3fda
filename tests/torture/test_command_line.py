"""The command line as a whole: help, exit codes, signals, output, and no secrets in it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bulkload.cli.main import cli
from bulkload.errors import ExitCode
from bulkload.sandbox import Faults, Rule
from tests.torture.program import ProcessResult, Workspace, open_workspace
from tests.torture.scenario import Scenario, ScenarioRow

ALL = bool(os.environ.get("BULKLOAD_ALL_TESTS"))
ROWS = 12
SCENARIO = Scenario(
    rows=tuple(ScenarioRow(monitor=number) for number in range(ROWS)), concurrency=2, grace=0.4, after=1.0
)
PASSWORD, USER = "pa55-canary-word", "canary@example.com"
COMMANDS = sorted(cli.commands)
FULL = Path("/dev/full")


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "hosts.csv").write_text(SCENARIO.csv(), "utf-8")
    with open_workspace(tmp_path, SCENARIO.environment) as opened_workspace:
        yield opened_workspace


def _add_bad_rows(workspace: Workspace) -> None:
    rows = (*SCENARIO.rows, ScenarioRow(monitor=50, is_invalid=True), ScenarioRow(monitor=3))
    (workspace.folder / "hosts.csv").write_text(Scenario(rows=rows).csv(), "utf-8")


def _rules(*rules: Rule) -> Faults:
    return Faults(rules=rules)


# ── help ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(command: str, workspace: Workspace) -> None:
    for option in ("--help", "-h"):
        result = workspace.run(command, option)
        assert result.exit_code == ExitCode.DONE
        assert re.search(rf"Examples?:\n\s+bulkload {command}\b", result.stdout), result.stdout
        assert result.stderr == ""


def test_the_examples_in_the_help_use_existing_commands_and_options() -> None:
    for name, command in cli.commands.items():
        context = click.Context(command, info_name=name)
        known = {option for parameter in command.params for option in parameter.opts}
        for line in re.findall(r"^\s+bulkload (\S+)(.*)$", command.get_help(context), re.MULTILINE):
            assert line[0] in cli.commands, line
            if line[0] == name:
                assert set(re.findall(r"(?<=\s)--[a-z-]+", line[1])) <= known, line


def test_help_and_version_of_the_program(workspace: Workspace) -> None:
    result = workspace.run("--help")
    assert result.exit_code == ExitCode.DONE
    assert all(re.search(rf"^\s+{command}\s", result.stdout, re.MULTILINE) for command in COMMANDS)
    assert re.fullmatch(r"bulkload, version \S+\n", workspace.run("--version").stdout)


@pytest.mark.parametrize(
    ("command_line", "completions"),
    [
        ("run --on-existing ", {"skip", "update", "fail"}),
        ("inbox --log-format j", {"json"}),
        ("check --log-level ", {"debug", "info", "warning", "error"}),
    ],
)
def test_the_shell_completes_values(command_line: str, completions: set[str], workspace: Workspace) -> None:
    result = workspace.run(
        _BULKLOAD_COMPLETE="bash_complete",
        COMP_WORDS=f"bulkload {command_line}",
        COMP_CWORD=str(command_line.count(" ") + 1),
    )
    assert result.exit_code == 0
    assert {line.partition(",")[2] for line in result.stdout.splitlines()} == completions


# ── exit codes ────────────────────────────────────────────────────────────────────────────────────────────────


def test_exit_0_if_every_row_is_created_or_exists(workspace: Workspace) -> None:
    assert workspace.run("run", "hosts.csv").exit_code == 0
    assert workspace.run("run", "hosts.csv").exit_code == 0


def test_exit_1_if_some_rows_are_not(workspace: Workspace) -> None:
    _add_bad_rows(workspace)
    assert workspace.run("run", "hosts.csv").exit_code == 1
    assert workspace.run("check", "hosts.csv").exit_code == 1
    assert workspace.run("run", "hosts.csv", "--strict").exit_code == 1
    assert workspace.run("run", "hosts.csv", "--on-existing", "fail").exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "missing.csv"),
        ("run", "hosts.csv", "--rate", "fast"),
        ("run", "hosts.csv", "--nonsense"),
        ("run", "hosts.csv", "--results", "out.pdf"),
        ("run", "hosts.csv", "--results", "hosts.csv"),
        ("run", "hosts.csv", "hosts.csv", "--results", "one.csv"),
        ("resume",),
        ("resume", "nothing"),
        ("report", "nothing"),
        ("runs",),
        ("nonsense",),
        ("--config", "missing.toml", "run", "hosts.csv"),
        ("run", "hosts.csv", "--password", "x"),
        ("run", "hosts.csv", "--token", "x"),
        ("run", os.fsdecode(b"m\xfcll.csv")),
    ],
    ids=" ".join,
)
def test_exit_2_for_usage_errors_without_any_request(arguments: tuple[str, ...], workspace: Workspace) -> None:
    result = workspace.run(*arguments)
    assert result.exit_code == 2, result
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert workspace.requests == []


def test_exit_2_without_an_account(workspace: Workspace) -> None:
    result = workspace.run("run", "hosts.csv", ALERTSITE_USERNAME="", ALERTSITE_PASSWORD="")
    assert result.exit_code == 2
    assert "ALERTSITE_USERNAME" in result.stderr
    assert workspace.requests == []


@pytest.mark.parametrize("fault", ["login-refused", "wrong-role", "redirect", "list-shape"])
def test_exit_3_if_the_account_or_the_api_stops_the_run_and_the_results_are_written(
    fault: str, workspace: Workspace
) -> None:
    workspace.sandbox.set_faults(_rules(Rule(fault=fault)))
    result = workspace.run("run", "hosts.csv", "--results", "results.jsonl")
    assert result.exit_code == 3, result
    rows = [json.loads(line) for line in (workspace.folder / "results.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == ROWS
    assert {row["status"] for row in rows} == {"not_attempted"}


@pytest.mark.parametrize(("max_errors", "code"), [("3", 4), ("20%", 4), ("4", 1), ("34%", 1)])
def test_exit_4_if_more_rows_fail_than_allowed(max_errors: str, code: int, workspace: Workspace) -> None:
    workspace.sandbox.set_faults(_rules(Rule(fault="plan-full", names=("m1", "m2", "m3", "m4"))))
    result = workspace.run("run", "hosts.csv", "--max-errors", max_errors, "--concurrency", "1")
    assert result.exit_code == code, result


def test_exit_5_is_for_the_lock_only(workspace: Workspace) -> None:
    workspace.sandbox.set_faults(_rules(Rule(fault="stall-before", on=("list",))))
    first = workspace.start("run", "hosts.csv", BULKLOAD_REQUEST_TIMEOUT="100")
    assert first.wait_until(lambda: any(entry["fault"] for entry in workspace.requests))
    assert workspace.run("run", "hosts.csv").exit_code == 5
    assert workspace.run("runs").exit_code == 0, "runs needs no lock"
    first.send_signal(signal.SIGKILL)
    assert first.wait().was_killed


# ── signals ───────────────────────────────────────────────────────────────────────────────────────────────────


def _stopped_while_creating(workspace: Workspace, fault: str, *signals: int) -> ProcessResult:
    """Send signals after the third create, while the next ones wait for their responses."""
    workspace.sandbox.set_faults(_rules(Rule(fault=fault, at=(4, 5), seconds=0.5)))
    process = workspace.start("run", "hosts.csv", "--results", "results.jsonl", BULKLOAD_REQUEST_TIMEOUT="100")
    creates = 3 if fault == "slow" else 5  # a slow request is logged with its response, one that hangs immediately
    assert process.wait_until(lambda: sum(entry["operation"] == "create" for entry in workspace.requests) >= creates)
    process.send_signal(signals[0])
    while signals[1:] and not process.wait_until(lambda: not process.is_alive, 0.3):
        process.send_signal(signals[1])  # repeatedly, since two signals at the same moment count as one
    return process.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_lets_requests_finish_and_prints_how_to_continue(
    number: int, code: int, workspace: Workspace
) -> None:
    result = _stopped_while_creating(workspace, "slow", number)
    assert result.exit_code == code, result
    rows = [json.loads(line) for line in (workspace.folder / "results.jsonl").read_text("utf-8").splitlines()]
    statuses = [row["status"] for row in rows]
    assert set(statuses) <= {"created", "not_attempted"}, "requests in flight have finished"
    assert statuses.count("created") == len(workspace.sandbox.monitors()) < ROWS
    match = re.search(r"To continue, run: bulkload (.*)", result.stderr)
    assert match, result.stderr
    workspace.sandbox.set_faults(Faults())
    assert workspace.run(*shlex.split(match[1])).exit_code == ExitCode.DONE, "the printed command works"
    assert len(workspace.sandbox.monitors()) == ROWS


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_ends_the_process_immediately_and_loses_nothing(
    number: int, code: int, workspace: Workspace
) -> None:
    result = _stopped_while_creating(workspace, "stall-after", number, number)
    assert result.exit_code == code, result
    workspace.sandbox.set_faults(Faults())
    assert workspace.run("run", "hosts.csv").exit_code == ExitCode.DONE
    assert len(workspace.sandbox.monitors()) == ROWS


@pytest.mark.parametrize("command", [("plan", "hosts.csv"), ("run", "hosts.csv")])
def test_a_signal_while_the_account_is_listed_ends_the_process_before_anything_is_created(
    command: tuple[str, ...], workspace: Workspace
) -> None:
    workspace.sandbox.set_faults(_rules(Rule(fault="stall-before", on=("list",))))
    process = workspace.start(*command, BULKLOAD_REQUEST_TIMEOUT="100")
    assert process.wait_until(lambda: any(entry["fault"] for entry in workspace.requests))
    process.send_signal(signal.SIGINT)
    assert process.wait().exit_code == ExitCode.INTERRUPTED
    assert workspace.sandbox.monitors() == []


@pytest.mark.parametrize("milliseconds", range(0, 12, 2))
def test_a_signal_while_connections_are_closed_is_not_lost_and_prints_no_traceback(
    milliseconds: int, workspace: Workspace
) -> None:
    """An exception raised by a signal handler inside the event loop is printed as a traceback and dropped."""
    process = workspace.start("run", "hosts.csv", "--results", "results.jsonl")
    assert process.wait_until(lambda: sum(entry["operation"] == "create" for entry in workspace.requests) >= ROWS)
    process.wait_until(lambda: False, milliseconds / 1000)
    process.send_signal(signal.SIGTERM)
    result = process.wait()
    assert result.exit_code in (ExitCode.DONE, ExitCode.TERMINATED), result
    assert "Traceback" not in result.stderr
    assert "transport" not in result.stderr
    assert workspace.run("run", "hosts.csv", "--json").json()["counts"] == {"exists": ROWS}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_moment_before_the_first_request_ends_the_process_without_a_traceback(
    number: int, code: int, workspace: Workspace
) -> None:
    """Also while settings are read, where a library wraps ordinary exceptions in its own."""
    for milliseconds in range(0, 60, 2):
        process = workspace.start("run", "hosts.csv")
        process.ready.poll(60)
        process.wait_until(lambda: False, milliseconds / 1000)
        process.send_signal(number)
        result = process.wait()
        assert result.exit_code in (code, ExitCode.DONE), result
        assert "Traceback" not in result.stderr
        assert "mistake" not in result.stderr


# ── output ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_with_json_stdout_is_one_json_value(workspace: Workspace) -> None:
    _add_bad_rows(workspace)
    workspace.sandbox.set_faults(_rules(Rule(fault="error-after", at=(3,)), Rule(fault="plan-full", names=("m7",))))
    options = ("--json", "--log-level", "debug")
    result = workspace.run("run", "hosts.csv", *options)
    assert result.json()["exit_code"] == result.exit_code == 1
    assert sum(result.json()["counts"].values()) == result.json()["rows"] == ROWS + 2
    assert "DEBUG" in result.stderr
    run_id = result.json()["run_id"]
    for command in (
        ("check", "hosts.csv"),
        ("plan", "hosts.csv"),
        ("resume", run_id),
        ("report", run_id),
        ("runs",),
        ("run", "hosts.csv"),
    ):
        command_result = workspace.run(*command, *options)
        assert command_result.json() is not None, command
        assert command_result.stdout.count("\n") == 1


def test_a_run_that_is_stopped_still_prints_its_json(workspace: Workspace) -> None:
    workspace.sandbox.set_faults(_rules(Rule(fault="login-refused")))
    result = workspace.run("run", "hosts.csv", "--json")
    assert result.json()["exit_code"] == result.exit_code == 3
    assert result.json()["counts"] == {"not_attempted": ROWS}
    assert "login" in result.stderr


def test_quiet_prints_nothing_on_success(workspace: Workspace) -> None:
    result = workspace.run("run", "hosts.csv", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_logs_as_json_are_json_line_by_line(workspace: Workspace) -> None:
    result = workspace.run("run", "hosts.csv", "--quiet", "--log-format", "json", "--log-level", "debug")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert len(lines) > ROWS
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("check", "hosts.csv", "--nonsense"), 2),
        (("check", "missing.csv"), 2),
        (("check", "hosts.csv", "--first=none"), 2),
        (("--config", "missing.toml", "check", "hosts.csv"), 2),
        (("check", os.fsdecode(b"m\xfcll.csv")), 2),
        (("check", "hosts.csv"), 1),
        (("run", "hosts.csv", "missing.csv"), 2),
        (("export", "all.csv"), 0),
        (("run", "hosts.csv", "--json", "--trust-list", "--max-errors", "1"), 4),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("source", ["option", "environment"])
def test_with_json_logs_every_line_on_stderr_is_json(
    command: tuple[str, ...], code: int, source: str, workspace: Workspace
) -> None:
    """Errors and notices, also usage errors, which are found before all settings are read."""
    _add_bad_rows(workspace)
    if source == "option":
        result = workspace.run(*command, "--log-format", "json")
    else:
        result = workspace.run(*command, BULKLOAD_LOG_FORMAT="json")
    assert result.exit_code == code, result
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert lines or command[0] == "export"
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert any(line["level"] == "error" for line in lines) is (code > ExitCode.ROWS_LEFT)


def _with_stdout(
    workspace: Workspace, stdout: int, *command: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program with a file descriptor as its stdout."""
    path = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-m", "bulkload", *command],
        cwd=workspace.folder,
        env={**workspace.environment, "PYTHONPATH": path, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [(("check", "hosts.csv"), 1), (("run", "hosts.csv"), 1), (("-h",), 0)],
)
def test_a_closed_pipe_on_stdout_is_ignored(command: tuple[str, ...], code: int, workspace: Workspace) -> None:
    """The exit code is still that of the rows."""
    _add_bad_rows(workspace)
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        completed = _with_stdout(workspace, write_end, *command)
    finally:
        os.close(write_end)
    assert completed.returncode == code, completed
    expected = ("hosts.csv, read as csv, UTF-8, comma", "Not known offline", "Next, after", "  bulkload ")
    assert all(line.startswith(expected) for line in completed.stderr.splitlines()), completed.stderr


def test_a_run_with_a_closed_pipe_on_stdout_creates_all_rows(workspace: Workspace) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        assert _with_stdout(workspace, write_end, "run", "hosts.csv").returncode == ExitCode.DONE
    finally:
        os.close(write_end)
    assert len(workspace.sandbox.monitors()) == ROWS


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "command", [("run", "hosts.csv"), ("run", "hosts.csv", "--json"), ("check", "hosts.csv"), ("--help",)], ids=" ".join
)
def test_a_write_error_on_stdout_is_reported_and_affects_nothing_else(
    command: tuple[str, ...], workspace: Workspace
) -> None:
    with FULL.open("w") as full:
        completed = _with_stdout(workspace, full.fileno(), *command)
    assert completed.returncode == ExitCode.USAGE, completed
    assert "bulkload: Cannot write to stdout: No space left on device." in completed.stderr
    assert "mistake" not in completed.stderr
    assert "Exception ignored" not in completed.stderr
    if command[0] == "run":
        assert len(workspace.sandbox.monitors()) == ROWS
        assert (workspace.folder / "output/hosts-results.xlsx").is_file()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_characters_that_the_terminal_cannot_show_are_replaced(encoding: str, workspace: Workspace) -> None:
    (workspace.folder / "hosts.csv").write_text(SCENARIO.csv().replace("m1,", "Ж\N{SNOWMAN},"), "utf-8")
    output = workspace.folder / "shown"
    with output.open("wb") as stream:
        for command in ("plan", "run"):
            completed = _with_stdout(workspace, stream.fileno(), command, "hosts.csv", PYTHONIOENCODING=encoding)
            assert completed.returncode == ExitCode.DONE, completed
    shown = output.read_text(encoding)
    assert "??" in shown
    assert re.search(rf"^rows +{ROWS} ", shown, re.MULTILINE)


def test_a_missing_file_among_several_is_reported_once(workspace: Workspace) -> None:
    (workspace.folder / "sub").mkdir()
    (workspace.folder / "sub/empty.csv").touch()
    result = workspace.run("run", "missing.csv", "sub/empty.csv", "hosts.csv", "--quiet")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.splitlines() == [
        "bulkload: missing.csv: file not found.",
        "bulkload: sub/empty.csv: the file is empty (0 bytes); a header and rows below it are required.",
    ]


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────────────────


def _everything_written(workspace: Workspace, *results: ProcessResult) -> bytes:
    """All output and all files of the folder, also hidden ones, with workbooks unpacked."""
    import zipfile

    contents = [result.stdout.encode() + result.stderr.encode() for result in results]
    for path in sorted(workspace.folder.rglob("*")):
        if path.is_file() and path.name != "password":
            contents.append(path.read_bytes())
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    contents += [archive.read(name) for name in archive.namelist()]
    return b"\n".join(contents)


@pytest.mark.parametrize("source", ["environment", "file", "token"])
def test_passwords_and_tokens_appear_nowhere(source: str, tmp_path: Path) -> None:
    """Not in debug logs, results, the store, output, tracebacks or the list of processes."""
    (tmp_path / "hosts.csv").write_text(SCENARIO.csv(), "utf-8")
    (tmp_path / "password").write_text(f"{PASSWORD}\n", "utf-8")
    (tmp_path / "password").chmod(0o600)
    token = "t0ken-canary-word"
    secrets = {
        "environment": {"ALERTSITE_PASSWORD": PASSWORD},
        "file": {"ALERTSITE_PASSWORD": "", "ALERTSITE_PASSWORD_FILE": "password"},
        "token": {"ALERTSITE_PASSWORD": "", "ALERTSITE_USERNAME": "", "ALERTSITE_TOKEN": token},
    }[source]
    formats = [word for suffix in ("xlsx", "csv", "jsonl", "html") for word in ("--results", f"r.{suffix}")]
    debug = ("--log-level", "debug")
    options = {"user": USER, "password": PASSWORD}
    with open_workspace(
        tmp_path, {**SCENARIO.environment, "ALERTSITE_USERNAME": USER, **secrets}, options=options
    ) as workspace:
        workspace.sandbox.set_faults(
            _rules(
                Rule(fault="token-401", at=(2,), on=("create",)),
                Rule(fault="stall-after", at=(5,), on=("create",)),
                Rule(fault="reset-after", at=(6,), on=("create",)),
                Rule(fault="page-after", at=(7,), on=("create",)),
            )
        )
        process = workspace.start("run", "hosts.csv", *debug, BULKLOAD_REQUEST_TIMEOUT="100")
        process.wait_until(lambda: any(entry["fault"] == "stall-after" for entry in workspace.requests))
        process_arguments = b""
        if process.is_alive:
            process_arguments = Path(f"/proc/{process.process.pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGKILL)
        results = [process.wait()]
        results.append(workspace.run("run", "hosts.csv", *debug, *formats))
        results.append(workspace.run("plan", "hosts.csv", *debug))
        workspace.sandbox.set_faults(_rules(Rule(fault="login-refused"), Rule(fault="token-400", on=("list",))))
        results.append(workspace.run("run", "hosts.csv", *debug, "--results", "refused.jsonl"))
        if ALL:
            results.append(workspace.run("run", "hosts.csv", *debug, ALERTSITE_BASE_URL="http://127.0.0.1:1/api/v3"))
        results.append(workspace.run("runs", "--json"))
        if source != "token":
            assert len(workspace.sandbox.monitors()) == ROWS
        written = _everything_written(workspace, *results) + process_arguments
        assert b"m1" in written, "the search works"
        issued = [value.encode() for value in workspace.sandbox._account._tokens]
        for secret in (PASSWORD.encode(), token.encode(), *issued):
            assert secret not in written
