"""Runs the program as a process against a sandbox, and sends it a signal at a chosen moment.

In: arguments. Out: exit code, stdout, stderr. Each process is forked from a server that has already imported the
program, so it starts within milliseconds. It runs the whole command line, and its signals are real.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn

from bulkload.sandbox import Faults, SandboxOptions
from bulkload.sandbox.server import NO_FAULTS, Sandbox, running

TIMEOUT = 120.0  # seconds after which a process counts as stuck
PRELOADED_MODULES = (
    "bulkload.cli.main",
    "bulkload.operations.pipeline",
    "bulkload.operations.session",
    "bulkload.inbox.filing",
    "bulkload.operations.prune",
    "bulkload.inbox.visit",
    "bulkload.reports.json_lines",
    "bulkload.reports.summary",
    "bulkload.reports.results_workbook",
    "bulkload.readers.delimited",
    "bulkload.sandbox.server",
    "uvloop",
)
StartHook = Callable[[], None]  # called in the new process before the program starts

_fork_lock = threading.Lock()  # starting a process polls all others, and each exit code can be read only once
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(PRELOADED_MODULES))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessResult:
    """The exit code and the output of a process."""

    exit_code: int  # negative: the number of the signal that killed it
    stdout: str
    stderr: str

    @property
    def was_killed(self) -> bool:
        """True if the process was killed by SIGKILL."""
        return self.exit_code == -9

    def json(self) -> Any:
        """The decoded output of `--json`."""
        return json.loads(self.stdout)


@dataclass(slots=True)
class Workspace:
    """A folder to run the program in, a sandbox, and the requests that the sandbox has received."""

    folder: Path
    sandbox: Sandbox
    environment: Mapping[str, str]
    log: int  # file descriptor, the read end of a pipe with the log of the sandbox
    requests: list[dict[str, Any]] = field(default_factory=list)  # entries of the log, as far as it has been read
    _partial_line: bytes = b""

    def start(self, *arguments: str, on_start: StartHook | None = None, **environment: str) -> Process:
        """Start the program in the folder."""
        self.read_log()
        number = len(list(self.folder.glob("*.stdout")))
        stdout, stderr = (self.folder / f"{number}.{stream}" for stream in ("stdout", "stderr"))
        stdout.touch()
        stderr.touch()
        ready, ready_sender = _forks.Pipe(duplex=False)
        options = ProcessOptions(arguments, {**self.environment, **environment}, self.folder, stdout, stderr, on_start)
        process = _forks.Process(target=_run_program, args=(options, ready_sender))
        with _fork_lock:
            process.start()
        ready_sender.close()
        return Process(self, process, ready, stdout, stderr)

    def run(self, *arguments: str, on_start: StartHook | None = None, **environment: str) -> ProcessResult:
        """Run the program in the folder, and wait until it has ended."""
        return self.start(*arguments, on_start=on_start, **environment).wait()

    def wait_for_log(self, seconds: float) -> None:
        """Wait until the stand-in logs something, and take it in."""
        wait([self.log], seconds)
        self.read_log()

    def read_log(self) -> None:
        """Add the new entries of the log to `requests`."""
        try:
            while chunk := os.read(self.log, 2**16):
                *lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
                self.requests += map(json.loads, lines)
        except BlockingIOError:
            pass


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """How to start a process."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stdout: Path
    stderr: Path
    on_start: StartHook | None


@dataclass(slots=True)
class Process:
    """A running process."""

    workspace: Workspace
    process: ForkServerProcess
    ready: Connection  # receives a message when the program starts
    stdout: Path
    stderr: Path

    def wait_until(self, condition: Callable[[], bool], seconds: float = TIMEOUT) -> bool:
        """Wait until the condition is true; False if the process ends or the time runs out before."""
        deadline = time.monotonic() + seconds
        while True:
            self.workspace.read_log()
            if condition():
                return True
            left = deadline - time.monotonic()
            if left <= 0 or self.process.sentinel in wait([self.process.sentinel, self.workspace.log], left):
                self.workspace.read_log()
                return condition()

    @property
    def is_alive(self) -> bool:
        """True until the process has ended."""
        with _fork_lock:
            return self.process.is_alive()

    def send_signal(self, signal_number: int) -> None:
        """Send a signal; does nothing if the process has ended."""
        if signal_number != signal.SIGKILL:
            self.ready.poll(TIMEOUT)  # before the program starts, its signal handlers and messages are not in place
        if self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal_number)

    def wait(self) -> ProcessResult:
        """Wait until the process has ended. Raises `AssertionError` after `TIMEOUT`."""
        if not self.wait_until(lambda: not self.is_alive):
            self.process.kill()
            raise AssertionError(f"The process did not end within {TIMEOUT} s.\n{self.stderr.read_text('utf-8')}")
        code = self.process.exitcode
        self.process.close()
        self.ready.close()
        assert code is not None
        return ProcessResult(
            exit_code=code, stdout=self.stdout.read_text("utf-8"), stderr=self.stderr.read_text("utf-8")
        )


@contextmanager
def open_workspace(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    faults: Faults = NO_FAULTS,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Workspace]:
    """Run a sandbox, and set up the environment of programs that use its account."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    try:
        sandbox_options = SandboxOptions(**{"log_file": Path(f"/dev/fd/{write_end}"), **(options or {})})
        with running(sandbox_options, faults) as sandbox:
            account = {
                "ALERTSITE_BASE_URL": sandbox.base_url,
                "ALERTSITE_USERNAME": sandbox_options.user,
                "ALERTSITE_PASSWORD": sandbox_options.password,
                "BULKLOAD_RATE": "unlimited",
            }
            inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
            yield Workspace(folder, sandbox, {**inherited, **account, **(environment or {})}, read_end)
    finally:
        os.close(write_end)
        os.close(read_end)


def _run_program(options: ProcessOptions, ready: Connection) -> NoReturn:
    """Set up the new process and run the program in it."""
    os.environ.clear()
    os.environ.update(options.environment)
    os.chdir(options.folder)
    for path, descriptor in ((options.stdout, 1), (options.stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if options.on_start is not None:
        options.on_start()
    from bulkload.__main__ import entry

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # until the program sets its own
    try:
        ready.send("ready")
        sys.argv = ["bulkload", *options.arguments]
        entry()
    except KeyboardInterrupt:
        sys.exit(130)
    raise AssertionError("the program did not exit")
