"""A fixed set of damaged files; `python -m tests.fuzz` tries new ones."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.fuzz.mutations import damage
from tests.fuzz.originals import originals
from tests.fuzz.runner import Run
from tests.fuzz.trial import write_input

SEED = 20261
TRIALS = 500


def test_no_damaged_file_crashes_or_hangs() -> None:
    run = Run(seed=SEED)
    assert [str(finding) for finding in run.findings(range(TRIALS)) if finding.kind != "unexpected"] == []
    assert run.endings["read"] > TRIALS / 10  # the damage leaves enough to be read
    assert run.endings["rejected"] > TRIALS / 10


def test_a_seed_and_a_number_determine_the_damaged_files(tmp_path: Path) -> None:
    inputs = originals(tmp_path)
    for number in range(40):
        paths = [write_input(inputs, SEED, number, tmp_path / name)[1] for name in (f"a{number}", f"b{number}")]
        first, second = ([path.read_bytes() for path in written] for written in paths)
        assert first == second


@pytest.mark.parametrize("data", [b"", b"a", b"\0" * 10, b"PK\x03\x04"])
def test_the_smallest_files_can_be_damaged(data: bytes) -> None:
    for seed in range(200):
        assert isinstance(damage(data, Random(seed)), bytes)


def test_the_process_that_a_trial_ends_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without enough memory to start ends like one that crashes."""
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")  # the interpreter cannot start
    findings = [*Run(seed=SEED).findings([0])]
    assert [finding.kind for finding in findings] == ["exit code 1"]
