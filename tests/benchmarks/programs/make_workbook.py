"""Writes the input workbook in a separate process, so the measuring process uses little memory.

python -m tests.benchmarks.programs.make_workbook FILE ROWS
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.inputs import write_workbook

if __name__ == "__main__":
    write_workbook(Path(sys.argv[1]), int(sys.argv[2]))
