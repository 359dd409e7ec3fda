"""`bulkload serve` as a process of its own, for tests of the upload page.

In: a folder, and the environment of an account. Out: its address with the access key; at the end, exit code 0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urljoin

from tests.support.paths import ROOT
from tests.support.waiting import TIMEOUT, wait_until

SERVE = (sys.executable, "-m", "bulkload", "serve", "--port", "0")


@dataclass(slots=True)
class Served:
    """A server that has been started."""

    process: subprocess.Popen[bytes]
    folder: Path
    stdout: Path
    stderr: Path
    address: str = ""  # of the start page, with the access key

    @classmethod
    def start(cls, command: Sequence[object], folder: Path, environment: Mapping[str, str], log: Path) -> Self:
        """Start a server in a folder, and wait until it answers; its output goes to files beginning with `log`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ALERTSITE_", "BULKLOAD_"))}
        stdout, stderr = log.with_suffix(".stdout"), log.with_suffix(".stderr")
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env={**inherited, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        server = cls(process=process, folder=folder, stdout=stdout, stderr=stderr)
        try:
            wait_until(lambda: b"\n" in stdout.read_bytes(), process)
            line = stdout.read_text("utf-8").partition("\n")[0]
            found = re.search(r"https?://\S+", line)
            assert found, f"no address in the first line: {line}"
            server.address = found[0]
            wait_until(server.is_healthy, process)
        except BaseException as error:
            server.kill()
            error.add_note(server.errors())
            raise
        return server

    def url(self, path: str) -> str:
        """The address of a path, without the access key."""
        return urljoin(self.address, path)

    def is_healthy(self) -> bool:
        """Whether the server answers its health address."""
        try:
            with urllib.request.urlopen(self.url("/health"), timeout=TIMEOUT) as response:
                return int(response.status) == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def errors(self) -> str:
        """What the server has written to stderr."""
        return self.stderr.read_text("utf-8", "replace")

    def stop(self) -> None:
        """End the server with SIGTERM, as systemd does, and check that it ends with exit code 0; idempotent."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                code = self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            assert code == 0, f"exit code {code} after SIGTERM: {self.errors()}"

    def kill(self) -> None:
        """End the server at once with SIGKILL, as a power cut would; idempotent."""
        self.process.kill()
        self.process.wait(TIMEOUT)


@dataclass(slots=True)
class Serve:
    """Starts servers, and ends them with the test."""

    folder: Path  # of the drafts and runs; the servers of a test share it, so that one can follow another
    logs: Path
    account: Mapping[str, str]  # variables of the environment
    command: Sequence[object] = SERVE
    servers: list[Served] = field(default_factory=list)

    def __call__(self, *arguments: object, **environment: str) -> Served:
        """Start a server with these further arguments and variables of the environment.

        To restart one at the same address: `serve("--port", urlsplit(old.address).port)`.
        """
        log = self.logs / f"server-{len(self.servers) + 1}"
        server = Served.start((*self.command, *arguments), self.folder, {**self.account, **environment}, log)
        self.servers.append(server)
        return server

    def close(self) -> None:
        """Stop all servers that still run. All are ended, also if one fails to."""
        failures = []
        for server in self.servers:
            try:
                server.stop()
            except (AssertionError, subprocess.TimeoutExpired) as error:
                failures.append(error)
        if failures:
            raise failures[0]
