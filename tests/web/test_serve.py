"""The command `serve`, as a process."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from tests.support.command_line import CommandLine
from tests.support.paths import ROOT
from tests.support.waiting import TIMEOUT, wait_until


def _environment(**more: str) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ALERTSITE", "BULKLOAD"))}
    return environment | {"PYTHONPATH": str(ROOT)} | more


@contextmanager
def _serving(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the first line of its output."""
    with subprocess.Popen(
        [sys.executable, "-m", "bulkload", "serve", "--port", "0", *arguments],
        cwd=folder,
        env=_environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.kill()


def _get(url: str, path: str) -> tuple[int, str]:
    host, port = re.findall(r"//(.+):(\d+)/", url)[0]
    connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_line_is_the_link_and_a_signal_ends_the_server(tmp_path: Path, number: signal.Signals) -> None:
    with _serving(tmp_path) as (process, line):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?key=[\w-]{43}", line)
        assert _get(line, "/health") == (200, "ok\n")
        path = "/" + line.partition("?")[2]
        assert _get(line, "/?" + path[1:])[0] == 200
        # a browser that keeps its connection open does not delay the end
        port = int(re.findall(r":(\d+)/", line)[0])
        with socket.create_connection(("127.0.0.1", port)) as idle:
            idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(100).startswith(b"HTTP/1.1 200")
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, stdout) == (ExitCode.DONE, "")
        assert stderr == "Press Ctrl-C to stop.\n"


def test_each_start_has_a_key_of_its_own(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        with _serving(tmp_path) as (_process, line):
            keys.add(line.partition("?key=")[2])
    assert len(keys) == 2


def test_a_second_server_of_the_same_folder_is_refused(tmp_path: Path) -> None:
    with _serving(tmp_path) as (process, line):
        with _serving(tmp_path) as (second, nothing):
            assert second.wait(TIMEOUT) == ExitCode.LOCKED
            assert second.stderr is not None
            assert nothing == ""
            assert "Another bulkload serve is using the folder output" in second.stderr.read()
        with _serving(tmp_path, "--output", "other") as (_other, other_line):
            assert _get(other_line, "/health")[0] == 200
        assert _get(line, "/health")[0] == 200
        process.send_signal(signal.SIGKILL)
        process.wait(TIMEOUT)
    with _serving(tmp_path) as (_process, line):  # a server that was killed holds no lock
        assert _get(line, "/health")[0] == 200


def test_with_a_key_file_the_key_is_not_printed(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text("correct horse battery staple")
    (tmp_path / "key.txt").chmod(0o600)
    with _serving(tmp_path, "--host", "0.0.0.0", "--quiet", BULKLOAD_SERVE_KEY_FILE="key.txt") as (process, line):
        assert re.fullmatch(r"http://0\.0\.0\.0:\d+/", line)
        assert _get(line.replace("0.0.0.0", "127.0.0.1"), "/health")[0] == 200
        process.terminate()
        _, stderr = process.communicate(timeout=TIMEOUT)
        assert "TLS" in stderr
        assert "correct" not in stderr


def test_the_page_is_opened_through_a_file_of_the_user_only(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o700)
    with _serving(tmp_path, "--open", BROWSER=f"{browser} %s") as (process, line):
        wait_until(lambda: (tmp_path / "opened").is_file() and (tmp_path / "opened").read_text() != "", process)
        address = (tmp_path / "opened").read_text().strip()
        assert "key" not in address
        path = Path(address.removeprefix("file://"))
        assert line in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600
        process.terminate()
        assert process.wait(TIMEOUT) == ExitCode.DONE
        assert not path.exists()


def test_without_a_browser_the_page_is_there(tmp_path: Path) -> None:
    with _serving(tmp_path, "--open", BROWSER="/missing", PATH="/missing") as (process, line):
        assert _get(line, "/health")[0] == 200
        process.terminate()
        assert process.wait(TIMEOUT) == ExitCode.DONE


# ── what cannot start ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_port_in_use_is_a_sentence(cli: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli("serve", "--port", port)
    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
    assert f"Port {port} of 127.0.0.1 is in use by another program. Choose another one with --port" in result.stderr


def test_other_machines_need_a_key_that_the_operator_chose(cli: CommandLine) -> None:
    result = cli("serve", "--host", "0.0.0.0", "--port", 0)
    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
    assert "BULKLOAD_SERVE_KEY_FILE" in result.stderr


def test_a_host_that_does_not_exist_is_a_sentence(cli: CommandLine) -> None:
    (cli.folder / "key.txt").write_text("correct horse battery staple")
    cli.monkeypatch.setenv("BULKLOAD_SERVE_KEY_FILE", "key.txt")
    result = cli("serve", "--host", "no such host", "--port", 0)
    assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
    assert "Check --host and --port." in result.stderr


def test_a_key_file_that_others_can_read_is_a_warning(cli: CommandLine) -> None:
    for folder in [cli.folder, *cli.folder.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o001)
    key_file = cli.folder / "key.txt"
    key_file.write_text("correct horse battery staple")
    cli.monkeypatch.setenv("BULKLOAD_SERVE_KEY_FILE", str(key_file))
    for mode, is_warned in ((0o644, True), (0o600, False)):
        key_file.chmod(mode)
        result = cli("serve", "--host", "no such host", "--port", 0)
        assert ("can read the key file" in result.stderr) == is_warned


def test_the_variable_of_a_kubernetes_service_is_no_port(cli: CommandLine) -> None:
    cli.monkeypatch.setenv("BULKLOAD_PORT", "tcp://10.0.0.1:8080")
    assert "BULKLOAD_SERVE_KEY_FILE" in cli("serve", "--host", "0.0.0.0").stderr
    cli.monkeypatch.setenv("BULKLOAD_PORT", "many")
    assert "Invalid value for '--port'" in cli("serve", "--host", "0.0.0.0").stderr
