"""Lists the inputs that are damaged: samples, fixtures of other tools, and a small workbook of each format.

In: a folder for the workbooks. Out: inputs in a stable order, so that a trial has the same input in every process.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.readers.test_workbook import DATA, by_hand_xlsb, with_macros
from tests.support.migration_golden import fixture_folders
from tests.support.paths import SAMPLES

_WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
_TEXTS = ("mail-hosts.csv", "mistakes.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """One input: its files by name, which is a path below the input's folder."""

    name: str
    files: dict[str, bytes]
    is_configuration: bool  # of another tool

    @property
    def is_workbook(self) -> bool:
        """Whether it is read by a library that may crash the process."""
        return any(Path(name).suffix in _WORKBOOKS for name in self.files)


def originals(folder: Path) -> list[Original]:
    """Return all inputs; workbooks without a sample are written to `folder` first."""
    workbooks = [*sorted(DATA.iterdir()), SAMPLES / "mail-hosts.xlsx", by_hand_xlsb(folder), with_macros(folder)]
    files = [*(SAMPLES / name for name in _TEXTS), *workbooks]
    spreadsheets = [_original(path.name, [path], is_configuration=False) for path in files]
    samples = [
        _original(f"samples/{path.name}", [path], is_configuration=True)
        for path in sorted((SAMPLES / "migration").iterdir())
    ]
    fixtures = [
        Original(
            name=f"{case.parent.name}/{case.name}",
            files={
                path.relative_to(case).as_posix(): path.read_bytes()
                for path in sorted(case.rglob("*"))
                if path.is_file()
            },
            is_configuration=True,
        )
        for case in fixture_folders()
    ]
    return [*spreadsheets, *samples, *fixtures]


def _original(name: str, paths: list[Path], *, is_configuration: bool) -> Original:
    return Original(
        name=name, files={path.name: path.read_bytes() for path in paths}, is_configuration=is_configuration
    )
