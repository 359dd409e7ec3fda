"""The report as JSON lines, for programs.

In: the run and its rows. Out: UTF-8, one object per row, in input order. The user's cells are under `row` by
column name; a name that occurs again gets " (2)", " (3)" … so that no cell is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from bulkload.model import ReportRow, RunInfo


def write_jsonl(path: Path, run: RunInfo, rows: Iterable[ReportRow]) -> None:
    """Write one object per line."""
    keys = distinct(run.header)
    encode = json.JSONEncoder(ensure_ascii=False).encode
    # "backslashreplace" turns half of a surrogate pair into \udXXX, which is how JSON itself writes it
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
        stream.writelines(f"{encode(_record(run.run_id, keys, row))}\n" for row in rows)


def distinct(header: Sequence[str]) -> tuple[str, ...]:
    """Number the names that occur again; a name that occurs once is never changed."""
    used = set(header)
    seen: set[str] = set()
    names: list[str] = []
    for name in header:
        chosen, number = name, 1
        while chosen in seen or (number > 1 and chosen in used):
            number += 1
            chosen = f"{name} ({number})"
        seen.add(chosen)
        names.append(chosen)
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
