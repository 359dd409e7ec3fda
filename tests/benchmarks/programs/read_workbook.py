"""Reads all cells of a workbook.

python -m tests.benchmarks.programs.read_workbook calamine|pandas FILE
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1] == "calamine":
        from python_calamine import load_workbook

        with load_workbook(sys.argv[2]) as workbook:
            for _ in workbook.get_sheet_by_index(0).iter_rows():
                pass
    else:
        import pandas

        pandas.read_excel(sys.argv[2], engine="openpyxl")
