"""Hands out trials to a worker process and starts it again when a trial has ended it.

In: a seed and the numbers of the trials. Out: a finding for each trial that did not end as it must.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

from tests.support.paths import ROOT

SHOWN_CHARS = 1500  # of the start and of the end of what a worker wrote before it ended
WAIT_SECONDS = 300  # for one trial; only one that waits without using the CPU takes so long


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A trial that broke something, and how to run it again."""

    kind: str  # "broken", "unexpected", or how the process ended: "SIGSEGV", "SIGXCPU", "no answer"
    seed: int
    number: int
    original: str
    detail: str

    def __str__(self) -> str:
        again = f"python -m tests.fuzz --seed {self.seed} --only {self.number} --keep DIR"
        return f"{self.kind}: {self.original} ({again})\n{self.detail}"


@dataclass(slots=True, kw_only=True)
class Run:
    """The trials of one seed."""

    seed: int
    endings: Counter[str] = field(default_factory=Counter)

    def findings(self, numbers: Iterable[int]) -> Iterator[Finding]:
        """Run trials in order; yield those that broke something."""
        with contextlib.ExitStack() as stack:
            worker: _Worker | None = None
            for number in numbers:
                if worker is None:
                    worker = stack.enter_context(_Worker())
                original, result = worker.run(self.seed, number)
                if result is None:
                    kind, detail = worker.end()
                    worker = None
                else:
                    kind, detail = result["ending"], result["detail"]
                self.endings[kind] += 1
                if kind not in ("read", "rejected"):
                    yield Finding(kind=kind, seed=self.seed, number=number, original=original, detail=detail)


class _Worker:
    """A worker process."""

    def __enter__(self) -> _Worker:
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("BULKLOAD", "ALERTSITE"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            bufsize=0,  # a line that is buffered here would not wake the selector
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def run(self, seed: int, number: int) -> tuple[str, dict[str, str] | None]:
        """Return the original's name and the result, which is None if the process has ended or does not answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{seed} {number}\n".encode())
        name = self._process.stdout.readline()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(WAIT_SECONDS):
                return json.loads(name), None
        line = self._process.stdout.readline()
        return json.loads(name or b'""'), json.loads(line) if line else None

    def end(self) -> tuple[str, str]:
        """Return how the process ended, and the end of what it wrote to stderr."""
        try:
            code = self._process.wait(timeout=5)
            kind = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            self._process.kill()
            kind = "no answer"
        self._errors.seek(0)
        errors = self._errors.read()
        shown = errors if len(errors) < 2 * SHOWN_CHARS else f"{errors[:SHOWN_CHARS]}\n…\n{errors[-SHOWN_CHARS:]}"
        return kind, shown
