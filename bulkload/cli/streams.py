"""Wrap stdout and stderr so that writing to them never stops a command.

In: stdout or stderr of the process. Out: a stream that accepts everything: a character that cannot be encoded is
replaced; after a failed write, the rest is discarded and the reason is kept.
"""

from __future__ import annotations

import io
import os
from typing import Any, TextIO


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
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

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
