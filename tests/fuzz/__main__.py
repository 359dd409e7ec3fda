"""Damages new files until the time is up: `python -m tests.fuzz --minutes 30`."""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.originals import originals
from tests.fuzz.runner import Run
from tests.fuzz.trial import write_input

HARMLESS = frozenset({"unexpected"})  # an error for users, but a reader should name what is wrong with the file


def main() -> int:
    """Run trials; return 1 if one crashed, hung or raised an exception that is not of bulkload's own."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="duration (default 10)")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the damage (default: new)")
    parser.add_argument("--only", type=int, help="run this trial alone")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write the damaged files of --only to this folder")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)  # noqa: T201
    if arguments.only is not None and arguments.keep is not None:
        with tempfile.TemporaryDirectory() as folder:
            write_input(originals(Path(folder)), arguments.seed, arguments.only, arguments.keep)
    numbers = _until(arguments.minutes) if arguments.only is None else iter([arguments.only])
    run = Run(seed=arguments.seed)
    is_broken = False
    for finding in run.findings(numbers):
        print(finding, flush=True)  # noqa: T201
        is_broken = is_broken or finding.kind not in HARMLESS
    print(", ".join(f"{count:,} {ending}" for ending, count in run.endings.most_common()))  # noqa: T201
    return int(is_broken)


def _until(minutes: float) -> Iterator[int]:
    end = time.monotonic() + minutes * 60
    return itertools.takewhile(lambda number: time.monotonic() < end, itertools.count())


sys.exit(main())
