"""The child process of `isolated`: read one workbook or Parquet file under limits.

In: on stdin, a `Request`, then answers. Out: on stdout, the `Limits` that apply, before and after the size of the file
is known; a `HeaderQuestion` for each row that may be the header, which the parent answers with a bool; a `Source`
without rows; the rows in batches, and an empty batch. An `InputError` or `OSError` can take the place of any message.
All of these are pickled.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bulkload.errors import InputError
from bulkload.model import Source
from bulkload.readers.free_memory import free_memory

PARQUET = b"PAR1"  # the first bytes of a Parquet file
BATCH_ROWS = 250  # rows of a message
BATCH_CHARACTERS = 1 << 20  # of cells, after which a message ends earlier
MAX_ROW_CHARACTERS = 64 << 20  # of the cells of one row; 1,000 cells as long as Excel allows have half of it
OUT_OF_MEMORY = 77  # exit status
LEAST_MEMORY = 256 << 20  # bytes that a workbook may take even if less is free for the moment
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class LimitRates(NamedTuple):
    """The limits of reading a workbook of a size."""

    memory: int  # bytes
    memory_per_byte: int
    seconds: int  # of processor time
    seconds_per_megabyte: int

    def of(self, size: int) -> Limits:
        """The limits for this number of expanded bytes."""
        return Limits(
            memory=self.memory + self.memory_per_byte * size,
            seconds=self.seconds + self.seconds_per_megabyte * (size >> 20),
        )


class Limits(NamedTuple):
    """What a child process may use."""

    memory: int  # bytes of address space
    seconds: int  # of processor time
    is_all_free_memory: bool = False  # the system has no more memory


class Request(NamedTuple):
    """What the parent asks for."""

    path: bytes
    options: Mapping[str, Any]  # of `workbook.open_workbook`
    rates: LimitRates
    parent: int  # process ID


class HeaderQuestion(NamedTuple):
    """The cells of a row that may be the header."""

    cells: tuple[str, ...]


RowFields = tuple[Any, ...]  # of a `RawRow`; a plain tuple is pickled more quickly
Send = Callable[[object], None]


def main() -> None:
    """Serve the request on stdin, and end the process."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the parent gets them too, and ends this process in its own time
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(OSError, AttributeError):  # Windows
        os.set_blocking(2, False)  # the parent reads it only at the end, so what does not fit into the pipe is dropped
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)  # nothing else may get between the messages

        def send(message: object) -> None:
            output.write(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
            output.flush()

        request: Request = pickle.load(sys.stdin.buffer)
        _end_with(request.parent)
        try:
            _serve(request, send)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except (InputError, OSError) as error:
            send(error)
    os._exit(0)  # without taking apart what was read


def _serve(request: Request, send: Send) -> None:
    path = Path(os.fsdecode(request.path))
    send(_limit(request.rates.of(0)))
    limits = request.rates.of(_expanded_size(path))
    # a library that reads Parquet reserves much more address space than it uses
    send(_limit(limits if _is_parquet(path) else within(limits, free_memory())))

    def is_header(cells: Sequence[str]) -> bool:
        _reject_long_row(sum(map(len, cells)))
        send(HeaderQuestion(tuple(cells)))
        return bool(pickle.load(sys.stdin.buffer))

    with _opener(path)(path, **request.options, is_header=is_header) as source:
        send(replace(source, rows=iter(())))
        for batch in _batches(source.rows):
            send(batch)
        send([])


def within(limits: Limits, free: int | None) -> Limits:
    """The limits, with no more memory than is free, so that the system never has to end a process."""
    if free is None or limits.memory <= (most := max(free, LEAST_MEMORY)):
        return limits
    return limits._replace(memory=most, is_all_free_memory=True)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET


def _opener(path: Path) -> Callable[..., AbstractContextManager[Source]]:
    if _is_parquet(path):
        from bulkload.readers.parquet import open_parquet

        return open_parquet
    from bulkload.readers.workbook import open_workbook

    return open_workbook


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[RowFields]]:
    batch: list[RowFields] = []
    characters = 0
    for row in rows:
        length = sum(map(len, row[1]))
        _reject_long_row(length)
        characters += length
        batch.append(tuple(row))
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _reject_long_row(characters: int) -> None:
    if characters > MAX_ROW_CHARACTERS:
        raise InputError(f"a row has {characters:,} characters; {MAX_ROW_CHARACTERS:,} are allowed.")


def _expanded_size(path: Path) -> int:
    """Return the declared size of all parts of a package, or the size of any other file."""
    from bulkload.readers.zip_package import MAX_EXPANDED, open_package

    with suppress(InputError), open_package(path) as package:
        return min(MAX_EXPANDED, sum(part.file_size for part in package.infolist()))
    return path.stat().st_size


def _limit(limits: Limits) -> Limits:
    """Limit this process as far as the platform can, and return what applies: a stricter hard limit stays."""
    try:
        import resource
    except ImportError:  # Windows
        return limits

    def set_soft(kind: int, value: int) -> int:
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        with suppress(ValueError, OSError):  # macOS refuses some
            resource.setrlimit(kind, (value, hard))
        return value

    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    set_soft(resource.RLIMIT_CORE, 0)
    memory = set_soft(resource.RLIMIT_AS, limits.memory)
    return Limits(
        memory=memory,
        seconds=set_soft(resource.RLIMIT_CPU, limits.seconds),
        is_all_free_memory=limits.is_all_free_memory and memory == limits.memory,
    )


def _end_with(parent: int) -> None:
    """Let Linux kill this process when its parent ends; elsewhere, the next message to or from the parent ends it.

    For Linux, the parent is the thread that started this process: it has to stay until the rows are read.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, this process is the one to end
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
