"""Read a workbook or a Parquet file in a process of its own, under limits of memory and processor time.

In: a path. Out: a `Source`; an `InputError`, or another `BulkloadError` that is not the fault of the file. The
libraries that read them are native code and trust their input: a damaged or hostile file can make them run forever,
take all memory, or abort the process. So only a child process, which is in `isolated_child`, opens the file. It asks
which row is the header, then it sends the rows in batches; while they are not taken, the pipe stops it. It is killed
when the context ends, and by the system when this process ends.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Any

import bulkload
from bulkload.errors import BulkloadError, InputError
from bulkload.model import RawRow, Source
from bulkload.readers.isolated_child import OUT_OF_MEMORY, PARQUET, HeaderQuestion, LimitRates, Limits, Request
from bulkload.readers.table import IsHeader

# The largest worksheet that is allowed takes 2 GB if it is nearly empty, and up to 7 GB if each cell has a value.
# Reading takes 0.03 seconds a megabyte, with formulas three times as long; a slow machine may take much longer.
LIMIT_RATES = LimitRates(memory=4 << 30, memory_per_byte=2, seconds=60, seconds_per_megabyte=2)

_SIGNATURES = (
    *(b"PK\x03\x04", b"PK\x05\x06"),  # zip packages
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",  # OLE documents
    PARQUET,
)
_OPTIONS = ("-I", "-S")  # the child gets a finished sys.path, so it needs neither the environment nor `site`
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from bulkload.readers.isolated_child import main; main()"
)
_MAX_LOGGED = 10_000  # bytes of the child's stderr
_MEMORY_HINT = (
    "Save the table as .csv, which is read row by row and takes hardly any memory; or, if the worksheet has stray "
    "content far outside of the table, open it in a spreadsheet program, delete that, and save it again."
)
_HINT = (
    "The file may be damaged, or have stray content far outside of the table; open it in a spreadsheet program, delete "
    "what does not belong to the table, and save it again as .xlsx."
)

log = logging.getLogger(__name__)


def recognises(path: Path, head: bytes) -> bool:
    """True for a zip package, an OLE document or a Parquet file; opening it checks what it is."""
    return head.startswith(_SIGNATURES)


@contextmanager
def open_workbook(
    path: Path,
    *,
    sheet: str | None,
    is_header: IsHeader,
    headerless: bool = False,
    skip_hidden: bool = False,
    encoding: str | None = None,
    header_row: int | None = None,
) -> Iterator[Source]:
    """Open a workbook as a source; its rows can be read until the context ends."""
    child = _Child()
    try:
        child.send([*sys.path, str(Path(bulkload.__file__).parents[1])])
        options = {
            "sheet": sheet,
            "headerless": headerless,
            "skip_hidden": skip_hidden,
            "encoding": encoding,
            "header_row": header_row,
        }
        child.send(Request(path=os.fsencode(path), options=options, rates=LIMIT_RATES, parent=os.getpid()))
        while isinstance(message := child.receive(), HeaderQuestion):
            child.send(is_header(message.cells))
        assert isinstance(message, Source)
        yield replace(message, path=path, name=path.name, rows=_rows(child))
    finally:
        child.end()


def _rows(child: _Child) -> Iterator[RawRow]:
    while batch := child.receive():
        yield from starmap(RawRow, batch)


class _Child:
    """The child process, with which pickled messages are exchanged."""

    def __init__(self) -> None:
        self._limits: Limits | None = None  # until the child has started
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_OPTIONS, "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in the terminal is for this process only
            )
        except OSError as error:
            raise BulkloadError(f"The process that reads workbooks cannot be started: {error}.") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._input, self._output, self._stderr = self._process.stdin, self._process.stdout, self._process.stderr

    def send(self, message: object) -> None:
        """Send a message. Raises the reason if the child has ended."""
        try:
            self._input.write(pickle.dumps(message))
            self._input.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def receive(self) -> Any:
        """Return the next message. Raises the exception that the child sends, or the reason if it has ended."""
        while True:
            try:
                message = pickle.load(self._output)
            except (EOFError, pickle.UnpicklingError):
                raise self._failure() from None
            if isinstance(message, Limits):
                self._limits = message
            elif isinstance(message, Exception):
                raise message
            else:
                return message

    def end(self) -> None:
        """Kill the child if it still runs, and wait for its end."""
        self._process.kill()
        for pipe in (self._input, self._output, self._stderr):
            with suppress(OSError):  # a message that the child has not read
                pipe.close()
        self._process.wait()

    def _failure(self) -> BulkloadError:
        status = self._process.wait()
        output = self._stderr.read(_MAX_LOGGED).decode("utf-8", "replace")
        log.debug("the process that reads the workbook ended with status %d: %s", status, output)
        if self._limits is None:  # it has not seen the file, which can be read another time
            return BulkloadError(f"The process that reads workbooks cannot be started: it ended with status {status}.")
        reason = _reason(status, output, self._limits)
        return InputError(f"the file cannot be read: {reason}. {_MEMORY_HINT if 'memory' in reason else _HINT}")


def _reason(status: int, output: str, limits: Limits) -> str:
    """Say in words why the child ended; `output` is what it wrote to stderr."""
    name = next((each.name for each in signal.Signals if each == -status), f"status {status}")
    if status == OUT_OF_MEMORY or (name == "SIGABRT" and "memory allocation" in output):
        gigabytes = f"{limits.memory / (1 << 30):,.1f} GB of memory"
        return f"reading it takes more than {gigabytes}{', and no more is free' if limits.is_all_free_memory else ''}"
    if name == "SIGXCPU":
        return f"reading it takes more than {limits.seconds:,} seconds of processor time"
    if name == "SIGKILL":
        return "the system ended the process that read it, usually because memory ran out"
    return f"the library that reads workbooks failed ({name})"
