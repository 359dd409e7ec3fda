"""No text from outside controls the terminal or passes for a message of the program."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import FAST_SETTINGS, ApiRequest, FakeResponse, fake_api, imap, list_response

FORGED = "bulkload: Everything was created."
HOSTILE = f"a\x1b]52;c;YQ==\x07\x1b[2J\x9b2J\x1b[1A\r\x08\x85\u2028\n{FORGED}\nERROR: {FORGED}"
NOT_PRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """The environment of a run against an API whose texts are hostile, too."""

    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "POST":
            return FakeResponse(status=400, content={"errors": [{"code": 400, "message": HOSTILE}]})
        monitor = {"id": 7, "type": "email-imap", "name": HOSTILE, "hostname": HOSTILE, "port": 143}
        return list_response(monitor)

    with fake_api(answer) as server:
        account = {"ALERTSITE_USERNAME": "u", "ALERTSITE_PASSWORD": "password"}
        yield {**os.environ, **FAST_SETTINGS, **account, "ALERTSITE_BASE_URL": server.base_url}


def write_rows(path: Path) -> None:
    rows = [imap(HOSTILE), imap("b", hostname=HOSTILE), imap("c", billing_plancode=HOSTILE), imap("d")]
    lines = [",".join(f'"{cell}"' for cell in row.values()) for row in rows]
    path.write_text("\n".join(["type,name,hostname,billing_plancode", *lines]) + "\n", "utf-8", newline="")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_hostile_texts_reach_the_terminal_as_visible_characters(
    tmp_path: Path, environment: dict[str, str], log_format: str
) -> None:
    name = "x\x1b[2J\x9b\nbulkload: forged.csv"
    write_rows(tmp_path / name)
    logging = ("--log-level", "debug", "--log-format", log_format)
    for arguments in (
        ("check", name, *logging),
        ("check", f"missing {name}", *logging),
        ("plan", name, *logging),
        ("run", name, "--verify", *logging),
        ("run", name, "--json", *logging),
        ("runs", *logging),
        ("report", "2", "--results", f"r {name}", *logging),
        ("export", f"e {name}", *logging),
        ("convert", name, f"c {name}"),
    ):
        result = subprocess.run(
            [sys.executable, "-m", "bulkload", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
        )
        output, errors = (stream.decode("utf-8") for stream in (result.stdout, result.stderr))
        assert result.returncode in (0, 1, 2, 3), errors
        assert not NOT_PRINTABLE.search(output + errors), arguments
        assert not [line for line in (output + errors).splitlines() if line.startswith((FORGED, f"ERROR: {FORGED}"))]
        if log_format == "json" and logging[-1] in arguments:
            assert all(json.loads(line)["message"] for line in errors.splitlines())


def test_a_progress_bar_still_moves_on_a_terminal(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    (tmp_path / "rows.csv").write_text(
        "type,name,hostname,billing_plancode\n"
        "imap,\x1b[2Ja,mx1.example.com,UBM - A/A\n"
        "imap,b,mx1.example.com,UBM - A/A\n",
        "utf-8",
    )
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bulkload", "run", "rows.csv", "--sandbox"],
        cwd=tmp_path,
        env={**os.environ, **FAST_SETTINGS},
        stdout=subprocess.DEVNULL,
        stderr=follower,
    ) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                block = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            shown += block
    os.close(leader)
    assert process.returncode in (0, 1)
    assert b"\rSending" in shown
    assert b"\x1b[2J" not in shown


@pytest.mark.parametrize("level", ["warning", "debug"])
def test_an_error_in_a_destructor_is_a_matter_of_the_debug_log(tmp_path: Path, level: str) -> None:
    """As when a library closes its file again on a disk that is full."""
    code = """
import bulkload.operations.history as history
from bulkload.__main__ import entry

class File:
    def __del__(self):
        raise OSError("no space left")

history.list_runs = lambda *_: [None for _ in [File()][:0]]
entry()
"""
    result = subprocess.run(
        [sys.executable, "-c", code, "runs", "--log-level", level],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("no space left" in result.stderr) is (level == "debug")
    assert ("Traceback" in result.stderr) is (level == "debug")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["check hosts.csv", "run hosts.csv --sandbox", "undo last"])
def test_a_stream_that_is_closed_from_the_start_stops_nothing(tmp_path: Path, redirection: str, command: str) -> None:
    row = imap("a")
    (tmp_path / "hosts.csv").write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n", "utf-8")
    program = f"{sys.executable} -m bulkload {command} {redirection}"
    environment = {**os.environ, **FAST_SETTINGS}
    result = subprocess.run(["sh", "-c", program], cwd=tmp_path, env=environment, check=False)
    assert result.returncode == (2 if command == "undo last" else 0)
    if command.startswith("run "):
        assert (tmp_path / "output" / "hosts-results.xlsx").is_file()


def test_ctrl_c_during_the_imports_shows_no_traceback(tmp_path: Path) -> None:
    """A module that is imported early sends the signal, so that it always arrives at that moment."""
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", "utf-8")
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-m", "bulkload", "--version"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "bulkload: Interrupted before anything was done.\n"


def test_a_crash_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """Exit code 1 would say that rows are left."""
    code = "import bulkload.operations.history as h; h.list_runs = None\nfrom bulkload.__main__ import entry\nentry()"
    result = subprocess.run(
        [sys.executable, "-c", code, "runs"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 70
    assert result.stderr.startswith("bulkload: This is a bug in bulkload")
    assert "Traceback" not in result.stderr
