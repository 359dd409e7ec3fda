"""Run a command on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
from typing import Self

from tests.support.waiting import TIMEOUT


class Terminal:
    """A command whose controlling terminal is a pseudo-terminal of so many columns."""

    def __init__(self, *arguments: object, columns: int = 80) -> None:
        self.process_id, self._terminal = pty.fork()
        if self.process_id == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            os.execv(sys.executable, [sys.executable, "-m", "bulkload", *map(str, arguments)])
        self.output = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._terminal)

    def wait_for(self, text: str) -> None:
        """Read until a text has been shown."""
        while text not in self.output:
            assert self._read(), f"ended without {text!r}: {self.output}"

    def send(self, text: str) -> None:
        """Type something."""
        os.write(self._terminal, text.encode())

    def exit_code(self) -> int:
        """Wait for the end."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process_id, 0)[1])

    def lines(self) -> list[str]:
        """What is shown at the end, without colours; the last state of a line that was written again."""
        text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", self.output).replace("\r\n", "\n")
        return [line.rpartition("\r")[2] for line in text.splitlines()]

    def _read(self) -> bool:
        assert select.select([self._terminal], [], [], TIMEOUT)[0], f"stuck: {self.output}"
        try:
            text = os.read(self._terminal, 65536).decode(errors="replace")
        except OSError:  # Linux: nobody has the terminal open any more
            return False
        self.output += text
        return bool(text)
