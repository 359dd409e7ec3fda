"""A file is written whole or not at all, and whether it can be written is known beforehand."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from bulkload.errors import StoreError
from bulkload.files.atomic import LEAST_FREE, atomic_write, check_writable


@pytest.mark.parametrize("name", ["new.csv", "old.csv", "missing/folder/new.csv", f"{251 * 'x'}.csv", "link.csv"])
def test_a_file_that_can_be_written_passes_and_nothing_changes(tmp_path: Path, name: str) -> None:
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("old.csv")
    before = sorted(tmp_path.iterdir())
    check_writable(tmp_path / name)
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "missing"] == before
    assert (tmp_path / "old.csv").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file/new.csv", "a part of the path is a file"),
        ("folder", "a folder has that name"),
        ("pipe.csv", "it is a pipe or a device"),
        ("device.csv", "it is a pipe or a device"),
        (f"{252 * 'x'}.csv", "file name too long"),
        (f"{84 * '結'}.csv", "file name too long"),
        ("/proc/new.csv", "no such file"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.csv").symlink_to("/dev/null")
    with pytest.raises(StoreError, match=f"cannot be written: {reason}"):
        check_writable(tmp_path / name)
    with pytest.raises(StoreError, match=f"cannot be written: {reason}"), atomic_write(tmp_path / name) as draft:
        draft.write_text("x")
    assert Path("/dev/null").is_char_device()


def test_a_full_disk_is_known_beforehand(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * LEAST_FREE, limits[1]))
    try:
        check_writable(tmp_path / "new.csv")
        with pytest.raises(StoreError, match="cannot be written: file too large"):
            check_writable(tmp_path / "new.csv", size=3 * LEAST_FREE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
