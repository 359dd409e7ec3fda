"""Damages one input and reads it through the same operations as the commands `check` and `convert`.

In: a seed and a number, which determine the input and its damage. Out: how it ended. Rows, issues and an error of
bulkload's own tree are all well; anything else is a finding.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from bulkload.errors import BulkloadError
from bulkload.model import Input
from bulkload.operations.convert import convert
from bulkload.operations.preview import check_file
from bulkload.settings import load
from tests.fuzz.mutations import damage
from tests.fuzz.originals import Original

Ending = Literal["read", "rejected", "unexpected", "broken"]
_NAMES = ("hosts.csv", "hosts.xlsx", "hosts", "README.md", "x.json", "x.yaml", f"{'n' * 200}.cfg", "#.txt", "kuma.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a trial ended: "unexpected" is an exception that only the edge around all readers turned into an error."""

    ending: Ending
    original: str
    detail: str = ""


class _Unexpected(logging.Handler):
    """Keeps the tracebacks that the edge around the readers logs."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.tracebacks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and "unexpected" in record.getMessage():
            self.tracebacks.append("".join(traceback.format_exception(*record.exc_info)))


def write_input(inputs: Sequence[Original], seed: int, number: int, folder: Path) -> tuple[Original, list[Path]]:
    """Write the damaged files of a trial; return what they were, and the paths to read."""
    random = Random(f"{seed}:{number}")
    original = inputs[number % len(inputs)]
    files = dict(original.files)
    damaged = random.choice(sorted(files))
    content = damage(files[damaged], random)
    if len(files) == 1 and random.random() < 0.1:
        files = {random.choice(_NAMES): content}
    else:
        files[damaged] = content
    if original.is_configuration and random.random() < 0.1:  # a file of another tool beside it
        other = random.choice(inputs)
        files.update({f"other-{Path(name).name}": data for name, data in other.files.items()})
    paths = []
    for name, data in files.items():
        path = folder / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return original, paths


def run_trial(inputs: Sequence[Original], seed: int, number: int, folder: Path) -> Result:
    """Run one trial in an empty folder."""
    original, paths = write_input(inputs, seed, number, folder)
    handler = _Unexpected()
    log = logging.getLogger("bulkload")
    log.setLevel(logging.DEBUG)
    log.handlers = [handler]
    log.propagate = False
    try:
        ending = _read(original, paths, folder)
    except BaseException as error:  # also one that no `except Exception` catches
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return Result(ending="broken", original=original.name, detail=traceback.format_exc())
    if handler.tracebacks:
        return Result(ending="unexpected", original=original.name, detail="\n".join(handler.tracebacks))
    return Result(ending=ending, original=original.name)


def _read(original: Original, paths: Sequence[Path], folder: Path) -> Ending:
    """Check every file, and convert the files of a tool together."""
    endings = set[Ending]()
    _, options = load({"output": str(folder / "output")})
    for path in paths:
        try:
            check_file(Input.at(path), options, lambda row: None)
            endings.add("read")
        except BulkloadError as error:
            _require_message(error)
    if original.is_configuration:
        suffix = "xlsx" if len(paths[0].name) % 4 == 0 else "csv"
        try:
            counts = convert([folder / "input"], folder / f"out.{suffix}")
            assert counts.objects == counts.rows + counts.skipped + counts.errors - len(counts.missing)
            endings.add("read")
        except BulkloadError as error:
            _require_message(error)
    return "read" if endings else "rejected"


def _require_message(error: BulkloadError) -> None:
    """An error must tell something, and a terminal and a log must be able to show it."""
    assert str(error).strip(), "an error without a message"
    str(error).encode(errors="surrogateescape")
