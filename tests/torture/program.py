"""The program as a process: started quickly, watched while it talks to the stand-in, ended at a chosen moment.

In: arguments and a stand-in. Out: exit code, stdout, stderr. Each process is a fork of a server that has imported the
program already, so that starting one takes milliseconds; it runs the whole command line, and SIGKILL is a real one.
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

LONGEST = 120.0  # seconds that a process may take before the test fails
LOADED = (
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
Entered = Callable[[], None]  # what a process does before the program starts in it

_one_at_a_time = threading.Lock()  # starting a process asks all others how they ended, and each tells only once
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(LOADED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended."""

    exit_code: int  # negative: the signal that killed it
    stdout: str
    stderr: str

    @property
    def killed(self) -> bool:
        """True if SIGKILL ended it."""
        return self.exit_code == -9

    def json(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.stdout)


@dataclass(slots=True)
class Place:
    """A folder, a stand-in, and the requests that it has seen so far."""

    folder: Path
    sandbox: Sandbox
    environment: Mapping[str, str]
    log: int  # file descriptor that the stand-in's log comes out of
    seen: list[dict[str, Any]] = field(default_factory=list)  # its entries
    _rest: bytes = b""

    def start(self, *arguments: str, entered: Entered | None = None, **environment: str) -> Process:
        """Start the program in the folder."""
        self.read_log()
        number = len(list(self.folder.glob("*.stdout")))
        stdout, stderr = (self.folder / f"{number}.{stream}" for stream in ("stdout", "stderr"))
        stdout.touch()
        stderr.touch()
        ready, up = _forks.Pipe(duplex=False)
        life = Life(arguments, {**self.environment, **environment}, self.folder, stdout, stderr, entered)
        process = _forks.Process(target=_live, args=(life, up))
        with _one_at_a_time:
            process.start()
        up.close()
        return Process(self, process, ready, stdout, stderr)

    def run(self, *arguments: str, entered: Entered | None = None, **environment: str) -> Ended:
        """Run the program in the folder to its end."""
        return self.start(*arguments, entered=entered, **environment).end()

    def wait_for_log(self, seconds: float) -> None:
        """Wait until the stand-in logs something, and take it in."""
        wait([self.log], seconds)
        self.read_log()

    def read_log(self) -> None:
        """Take in what the stand-in has logged."""
        try:
            while chunk := os.read(self.log, 2**16):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                self.seen += map(json.loads, lines)
        except BlockingIOError:
            pass


@dataclass(frozen=True, slots=True)
class Life:
    """What a process is to do."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    stdout: Path
    stderr: Path
    entered: Entered | None


@dataclass(slots=True)
class Process:
    """The program, running."""

    place: Place
    process: ForkServerProcess
    ready: Connection  # says when the program itself begins
    stdout: Path
    stderr: Path

    def until(self, enough: Callable[[], bool], seconds: float = LONGEST) -> bool:
        """Wait until the requests seen are enough (True), or the process has ended or time is up (False)."""
        deadline = time.monotonic() + seconds
        while True:
            self.place.read_log()
            if enough():
                return True
            left = deadline - time.monotonic()
            if left <= 0 or self.process.sentinel in wait([self.process.sentinel, self.place.log], left):
                self.place.read_log()
                return enough()

    @property
    def alive(self) -> bool:
        """True until it has ended."""
        with _one_at_a_time:
            return self.process.is_alive()

    def signal(self, number: int) -> None:
        """Send a signal; a process that has ended already does not mind."""
        if number != signal.SIGKILL:
            self.ready.poll(LONGEST)  # the words of a process that ends before its program begins are not ours
        if self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def end(self) -> Ended:
        """Wait for the end."""
        if not self.until(lambda: not self.alive):
            self.process.kill()
            raise AssertionError(f"The process did not end within {LONGEST} s.\n{self.stderr.read_text('utf-8')}")
        code = self.process.exitcode
        self.process.close()
        self.ready.close()
        assert code is not None
        return Ended(exit_code=code, stdout=self.stdout.read_text("utf-8"), stderr=self.stderr.read_text("utf-8"))


@contextmanager
def place(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    faults: Faults = NO_FAULTS,
    options: Mapping[str, Any] | None = None,
) -> Iterator[Place]:
    """A stand-in, and the environment of programs that use it."""
    out, into = os.pipe()
    os.set_blocking(out, False)
    try:
        kind = SandboxOptions(**{"log_file": Path(f"/dev/fd/{into}"), **(options or {})})
        with running(kind, faults) as sandbox:
            account = {
                "ALERTSITE_BASE_URL": sandbox.base_url,
                "ALERTSITE_USERNAME": kind.user,
                "ALERTSITE_PASSWORD": kind.password,
                "BULKLOAD_RATE": "unlimited",
            }
            inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
            yield Place(folder, sandbox, {**inherited, **account, **(environment or {})}, out)
    finally:
        os.close(into)
        os.close(out)


def _live(life: Life, up: Connection) -> NoReturn:
    """The life of a process."""
    os.environ.clear()
    os.environ.update(life.environment)
    os.chdir(life.folder)
    for path, descriptor in ((life.stdout, 1), (life.stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if life.entered is not None:
        life.entered()
    from bulkload.cli.main import entry

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # until the program sets its own
    try:
        up.send("up")
        sys.argv = ["bulkload", *life.arguments]
        entry()
    except KeyboardInterrupt:
        sys.exit(130)
    raise AssertionError("it came back")
