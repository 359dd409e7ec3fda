"""Input files of any size: the same rows as CSV, as a workbook, and as request bodies.

In: the number of rows. Out: a file with ten columns that `bulkload check` accepts.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
TYPES = (("imap", "993"), ("pop", "995"), ("smtp", "25"))


def input_rows(count: int) -> Iterator[tuple[str, ...]]:
    """Rows, each of a different monitor."""
    for n in range(count):
        monitor_type, port = TYPES[n % len(TYPES)]
        name, hostname, note = f"Mail of site {n:07}", f"mail{n:07}.example.com", f"Rack {n % 40}"
        yield (monitor_type, name, hostname, port, "UBM - A/A", "15", "30", "yes", "yes", note)


def write_csv(path: Path, count: int) -> Path:
    """Write the rows as CSV."""
    return write_table(path, COLUMNS, input_rows(count))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write other rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_workbook(path: Path, count: int) -> Path:
    """Write the rows as a workbook, with numeric cells as numbers."""
    import xlsxwriter  # type: ignore[import-untyped]  # it has annotations, but does not declare them

    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
    worksheet = workbook.add_worksheet()
    for row_index, row in enumerate((COLUMNS, *input_rows(count))):
        for column_index, cell in enumerate(row):
            if cell.isdigit():
                worksheet.write_number(row_index, column_index, int(cell))
            else:
                worksheet.write_string(row_index, column_index, cell)
    workbook.close()
    return path


def request_bodies(count: int) -> Iterator[tuple[str, bytes]]:
    """The same rows as create requests: the last part of the path, and the body."""
    for monitor_type, body in _bodies(count):
        yield monitor_type, json.dumps(body).encode()


def monitors(count: int) -> Iterator[Mapping[str, object]]:
    """The same rows as the monitors of an account."""
    for n, (monitor_type, body) in enumerate(_bodies(count), 1):
        yield {"id": str(n), "type": monitor_type, **body}


def _bodies(count: int) -> Iterator[tuple[str, Mapping[str, object]]]:
    for monitor_type, name, host, port, plan, interval, timeout, *_, note in input_rows(count):
        yield (
            f"email-{monitor_type}",
            {
                "name": name,
                "billing_plancode": plan,
                "hostname": host,
                "port": int(port),
                "interval": int(interval),
                "timeout": int(timeout),
                "enabled": True,
                "notify_on_error": True,
                "note": note,
            },
        )
