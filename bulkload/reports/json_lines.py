"""Write results as JSON lines, for programs.

In: the run and its rows. Out: UTF-8, one object per row, in input order. `row` has the user's cells by column name; a
repeated name gets " (2)", " (3)" … so that no cell is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from bulkload.model import ReportRow, RunInfo


def write_jsonl(path: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Write one object per line."""
    keys = unique_names(run.header)
    encode = json.JSONEncoder(ensure_ascii=False).encode
    # "backslashreplace" writes half a surrogate pair as \udXXX, as JSON does
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.writelines(f"{encode(_record(run.run_id, keys, row))}\n" for row in rows)


def unique_names(header: Sequence[str]) -> tuple[str, ...]:
    """Add numbers to repeated names; a name that occurs once is never changed."""
    originals = set(header)
    seen: set[str] = set()
    names: list[str] = []
    for name in header:
        unique_name, number = name, 1
        while unique_name in seen or (number > 1 and unique_name in originals):
            number += 1
            unique_name = f"{name} ({number})"
        seen.add(unique_name)
        names.append(unique_name)
    return tuple(names)


def _record(run_id: str, keys: Sequence[str], row: ReportRow) -> dict[str, object]:
    return {
        "source_row": row.source_row,
        "status": row.status.value,
        "monitor_id": row.id_to_keep,
        "error": row.error,
        "error_columns": row.error_columns,
        "next_step": row.status.next_step,
        "attempts": row.attempts,
        "run_id": run_id,
        "row": dict(zip(keys, row.cells, strict=True)),
    }
