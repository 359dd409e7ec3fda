"""stdout and stderr that never fail in the middle of a command.

In: stdout and stderr as the process was given them. Out: streams that accept everything: a character that cannot be
encoded is replaced; after a write has failed, the rest is dropped and the reason kept. So every command runs to its
end.
"""

from __future__ import annotations

import io
import os
from typing import Any, TextIO


class DurableStream:
    """A stream whose failure is reported at the end of the process."""

    def __init__(self, stream: TextIO) -> None:
        self.failure: OSError | None = None  # of the first write that failed
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
            stream.reconfigure(errors="replace")

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)  # click would write past this if the encoding is ASCII
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or drop it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Discard the rest, also what the stream has buffered and the interpreter flushes at exit."""
        self.failure = self.failure or error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
