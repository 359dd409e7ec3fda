"""Input files of any size: the same rows as CSV, as a workbook, and as request bodies.

In: how many rows. Out: a file with ten columns that `bulkload check` calls good.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

COLUMNS = (
    "type",
    "name",
    "hostname",
    "port",
    "billing_plancode",
    "interval",
    "timeout",
    "enabled",
    "notify_on_error",
    "note",
)
KINDS = (("imap", "993"), ("pop", "995"), ("smtp", "25"))


def rows(count: int) -> Iterator[tuple[str, ...]]:
    """Rows of as many different monitors."""
    for n in range(count):
        kind, port = KINDS[n % len(KINDS)]
        host = f"mail{n:07}.example.com"
        yield (kind, f"Mail of site {n:07}", host, port, "UBM - A/A", "15", "30", "yes", "yes", f"Rack {n % 40}")


def write_csv(path: Path, count: int) -> Path:
    """Write the rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(COLUMNS)
        lines.writerows(rows(count))
    return path


def write_workbook(path: Path, count: int) -> Path:
    """Write the rows as a workbook, numbers as numbers, as a person's spreadsheet has them."""
    import xlsxwriter  # type: ignore[import-untyped]  # it has annotations, but does not declare them

    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
    sheet = book.add_worksheet()
    for at, row in enumerate((COLUMNS, *rows(count))):
        for column, cell in enumerate(row):
            if cell.isdigit():
                sheet.write_number(at, column, int(cell))
            else:
                sheet.write_string(at, column, cell)
    book.close()
    return path


def bodies(count: int) -> Iterator[tuple[str, bytes]]:
    """The same rows as the API wants them: the type in the address, and the body."""
    for kind, name, host, port, plan, interval, timeout, *_, note in rows(count):
        body = {
            "name": name,
            "billing_plancode": plan,
            "hostname": host,
            "port": int(port),
            "interval": int(interval),
            "timeout": int(timeout),
            "enabled": True,
            "notify_on_error": True,
            "note": note,
        }
        yield f"email-{kind}", json.dumps(body).encode()
