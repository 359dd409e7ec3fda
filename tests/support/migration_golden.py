"""Golden files of the readers: what a folder of fixtures becomes, as JSON that people can compare.

`tests/migration/fixtures/<tool>/<case>/` holds the source, `<case>.expected.json` beside it what comes out.
After a wanted change, `python -m tests.support.migration_golden` writes them all again; look at the diff.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.tools.registry import recognise

FIXTURES = Path(__file__).parents[1] / "migration" / "fixtures"


def cases(*tools: str) -> list[Path]:
    """The folders with the sources of these tools, of all without a name."""
    folders = (case for case in FIXTURES.glob("*/*") if case.is_dir() and any(case.rglob("*.*")))
    return sorted(case for case in folders if not tools or case.parent.name in tools)


def outcome(case: Path) -> dict[str, object]:
    """What becomes of a source: the tool, and every object in its order; unset fields are left away."""
    try:
        recognised = recognise(read_documents([case]))
        found = [*recognised.reader.translate(recognised.documents), *recognised.skipped_objects]
    except InputError as error:
        return {"refused": str(error)}
    whole = {"tool": recognised.reader.NAME, "objects": [_set_fields(one) for one in found]}
    plain: dict[str, object] = json.loads(json.dumps(whole))
    return plain  # as JSON has it: lists, no tuples


def expected(case: Path) -> Path:
    """The file with what shall come out."""
    return case.with_name(f"{case.name}.expected.json")


def write(case: Path) -> None:
    """Take what comes out now as what shall come out."""
    text = json.dumps(outcome(case), indent=1, ensure_ascii=False)
    expected(case).write_text(f"{text}\n", encoding="utf-8")


def _set_fields(one: Check | SkippedObject) -> dict[str, object]:
    defaults = {entry.name: entry.default for entry in dataclasses.fields(one)}
    values = {key: value for key, value in dataclasses.asdict(one).items() if value not in (defaults[key], {})}
    return {"check" if isinstance(one, Check) else "left_out": values}


if __name__ == "__main__":
    for folder in cases():
        write(folder)
