"""`bulkload samples` writes the samples, from a checkout and from an installed wheel, and loses no file of the user."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from bulkload.errors import StoreError, UsageError
from bulkload.operations.samples import write_samples
from tests.support.paths import ROOT, SAMPLES

EXPECTED = {
    path.relative_to(SAMPLES): path.read_bytes()
    for path in SAMPLES.rglob("*")
    if path.is_file() and path.suffix not in (".png", ".pyc")
}


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_samples_are_written_but_the_pictures(tmp_path: Path) -> None:
    written = write_samples(tmp_path / "new" / "samples")
    assert files_of(tmp_path / "new" / "samples") == EXPECTED
    assert {path.relative_to(tmp_path / "new" / "samples") for path in written} == EXPECTED.keys()


def test_files_with_the_same_content_are_left_as_they_are(tmp_path: Path) -> None:
    write_samples(tmp_path)
    (tmp_path / "crontab").unlink()
    assert write_samples(tmp_path) == [tmp_path / "crontab"]


def test_a_file_with_other_content_is_kept_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "systemd").mkdir()
    mine = tmp_path / "systemd" / "bulkload.timer"
    mine.write_text("mine")
    with pytest.raises(UsageError, match=r"bulkload\.timer already exists with other content, so nothing was written"):
        write_samples(tmp_path)
    assert files_of(tmp_path) == {Path("systemd/bulkload.timer"): b"mine"}
    write_samples(tmp_path, overwrite=True)
    assert files_of(tmp_path) == EXPECTED


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_cannot_be_replaced_is_an_error_before_anything_is_written(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "crontab").mkdir()
    else:
        (tmp_path / "systemd").write_text("mine")
    with pytest.raises(StoreError, match="cannot be replaced"):
        write_samples(tmp_path, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_list_of_packages_is_complete() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "bulkload").rglob("__init__.py")}
    assert set(packages) == folders | {"bulkload.samples"}


def test_an_installed_wheel_writes_the_samples(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("bulkload", "samples"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)],
        check=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    done = subprocess.run(
        [sys.executable, "-m", "bulkload", "samples", "samples"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "samples") == EXPECTED
    assert done.stdout.splitlines()[-1].startswith("samples/")
    assert "bulkload run samples/mail-hosts.csv --sandbox" in done.stderr
    package = {path.relative_to(ROOT) for path in (ROOT / "bulkload").rglob("*") if path.is_file()}
    wanted = {path for path in package if "__pycache__" not in path.parts and path.suffix != ".md"}
    assert {path for path in wanted if not (tmp_path / "installed" / path).is_file()} == set()
