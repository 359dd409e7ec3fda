"""Golden files of the migration tools: the expected translation of each folder of fixtures, as JSON.

`tests/migration/fixtures/<tool>/<case>/` contains the source, `<case>.expected.json` next to it the translation.
After an intended change, `python -m tests.support.migration_golden` writes all of them; review the diff.
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


def fixture_folders(*tools: str) -> list[Path]:
    """The fixture folders of these tools; without an argument, those of all tools."""
    folders = (case for case in FIXTURES.glob("*/*") if case.is_dir() and any(case.rglob("*.*")))
    return sorted(case for case in folders if not tools or case.parent.name in tools)


def translate_fixture(case: Path) -> dict[str, object]:
    """Translate a source: the tool, and all objects in order; fields with their default value are omitted."""
    try:
        recognised = recognise(read_documents([case]))
        objects = [*recognised.reader.translate(recognised.documents), *recognised.skipped_objects]
    except InputError as error:
        return {"refused": str(error)}
    translation = {"tool": recognised.reader.NAME, "objects": [_set_fields(item) for item in objects]}
    decoded: dict[str, object] = json.loads(json.dumps(translation))  # lists instead of tuples, as in the file
    return decoded


def expected_path(case: Path) -> Path:
    """The golden file of a fixture folder."""
    return case.with_name(f"{case.name}.expected.json")


def write(case: Path) -> None:
    """Write the current translation to the golden file."""
    text = json.dumps(translate_fixture(case), indent=1, ensure_ascii=False)
    expected_path(case).write_text(f"{text}\n", encoding="utf-8")


def _set_fields(item: Check | SkippedObject) -> dict[str, object]:
    defaults = {entry.name: entry.default for entry in dataclasses.fields(item)}
    values = {key: value for key, value in dataclasses.asdict(item).items() if value not in (defaults[key], {})}
    return {"check" if isinstance(item, Check) else "left_out": values}


if __name__ == "__main__":
    for folder in fixture_folders():
        write(folder)
