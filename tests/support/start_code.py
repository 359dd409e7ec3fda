"""Run code in a new process before the program starts, to make something fail there.

A module of its own, because the new process imports it.
"""

from __future__ import annotations

from dataclasses import dataclass

NO_PRIVILEGES = """
import ctypes, os
if os.geteuid() == 0:  # files of root are then protected like anybody's
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0, os.strerror(ctypes.get_errno())
"""


@dataclass(frozen=True, slots=True)
class StartCode:
    """A start hook that runs Python code."""

    code: str

    def __call__(self) -> None:
        """Run the code."""
        exec(self.code, {})
