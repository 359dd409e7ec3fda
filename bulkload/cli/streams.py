"""Wrap stdout and stderr so that writing to them never stops a command, and never controls the terminal.

In: stdout or stderr of the process. Out: a stream that accepts everything: control characters, which could come from a
cell, a file name or a response, and characters that cannot be encoded are replaced; after a failed write, the rest is
discarded and the reason is kept.
"""

from __future__ import annotations

import io
import os
from typing import Any, TextIO

from bulkload.files.printable import printable


class CursorStream:
    """The same stream for a progress bar, which moves the cursor."""

    def __init__(self, stream: DurableStream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or discard it."""
        self._stream.write_unfiltered(text)
        return len(text)


class DurableStream:
    """A stream whose failure is reported at the end of the process."""

    def __init__(self, stream: TextIO) -> None:
        self.failure: OSError | None = None  # the first one
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
            stream.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)  # or click would bypass this class if the encoding is ASCII
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or discard it."""
        self.write_unfiltered(printable(text))
        return len(text)

    def write_unfiltered(self, text: str) -> None:
        """Write or discard a text of our own, which may move the cursor."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Write what is buffered, or discard it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Discard the rest, including what is buffered and would be flushed at exit."""
        self.failure = self.failure or error
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, self._stream.fileno())
        os.close(null_device)
