"""Runs trials in a process of its own, which a trial may crash, or end by using too much CPU time or memory.

In: "SEED NUMBER" per line on stdin. Out: the name of the original, then the result, each as a line of JSON on stdout.
Started by `runner`.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.originals import originals
from tests.fuzz.trial import run_trial

CPU_SECONDS = 30  # of one trial; the slowest takes about one
MEMORY_BYTES = 4 << 30  # of the address space


def main() -> None:
    """Run trials until stdin ends."""
    faulthandler.enable()  # a native crash prints where it happened
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="bulkload-fuzz-") as name:
        inputs = originals(Path(name))
        for line in sys.stdin:
            seed, number = map(int, line.split())
            usage = resource.getrusage(resource.RUSAGE_SELF)
            limit = int(usage.ru_utime + usage.ru_stime) + CPU_SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))  # SIGXCPU ends the process
            folder = Path(name) / "trial"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            print(json.dumps(inputs[number % len(inputs)].name), flush=True)  # noqa: T201  # if the trial ends the process
            print(json.dumps(asdict(run_trial(inputs, seed, number, folder))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
