"""The inbox takes complete files, oldest first, leaves those still being written, and never overwrites a file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.errors import UsageError
from bulkload.inbox.scan import (
    MAX_STEM,
    STALE_LOCK,
    WaitingFiles,
    companion_names,
    find_waiting,
    free_name,
    has_candidates,
    has_earlier_date,
    is_candidate,
    recurring_name,
    safe_name,
)

LONG_AGO = 1_700_000_000  # seconds since 1970


def put(folder: Path, name: str, text: str = "x", age: float = 3600 * 24) -> Path:
    path = folder / name
    path.write_text(text)
    modified = time.time() - age
    os.utime(path, (modified, modified))
    return path


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.csv",
        ".~lock.mail.ods#",
        "~$mail.xlsx",
        "mail.csv.part",
        "mail.csv.PART",
        "mail.csv.crdownload",
        "mail.csv.filepart",
        "mail.csv~",
        "mail.tmp",
        "bulkload.sqlite3",
        "bulkload.sqlite3-wal",
        "bulkload.sqlite3.lock",
        "sandbox.sqlite3",
        "bulkload.toml",
        ".DS_Store",
        "._mail.csv",
        "Thumbs.db",
        "THUMBS.DB",
        "desktop.ini",
        "Icon\r",
        "mail.csv.opdownload",
        "mail.csv.aria2",
        "mail.csv.bak",
        "Backup of mail.xlk",
        "#mail.csv#",
        "mail.csv.incomplete",
        "mail.csv.uploading",
        "mail.csv.!sync",
        "mail.csv.lck",
        "mail.xlsx.sb-1a2b3c4d-Xy9zQ1",
        "working",
        "done",
        "failed",
    ],
)
def test_hidden_unfinished_and_own_files_are_not_taken(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert find_waiting(tmp_path, 0) == WaitingFiles()
    assert not is_candidate(name)
    assert not has_candidates(tmp_path)


@pytest.mark.parametrize(
    "name", ["mail.csv", "kuma.db", "objects.cache", "no-suffix", "partly.xlsx", "~mail.csv", "#1.csv", "done.csv"]
)
def test_any_other_file_is_taken_whatever_its_suffix(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, name)
    assert find_waiting(tmp_path, 60).ready == (path,)


def test_files_that_the_last_visit_could_not_take_are_no_reason_for_another(tmp_path: Path) -> None:
    put(tmp_path, "theirs.csv")
    assert has_candidates(tmp_path)
    assert not has_candidates(tmp_path, {"theirs.csv"})
    put(tmp_path, "new.csv")
    assert has_candidates(tmp_path, {"theirs.csv"})


def test_files_are_ordered_by_age_and_then_by_name(tmp_path: Path) -> None:
    ages = {"b.csv": 5000, "c.csv": 9000, "a.csv": 5000, "d.csv": 4000}
    now = time.time()
    for name, age in ages.items():
        os.utime(put(tmp_path, name), (now - age, now - age))
    assert [path.name for path in find_waiting(tmp_path, 0).ready] == ["c.csv", "a.csv", "b.csv", "d.csv"]


def test_folders_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "sub.csv").mkdir()
    put(tmp_path / "sub.csv", "inside.csv")
    assert find_waiting(tmp_path, 0) == WaitingFiles()


def while_it_waits(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen exactly when the scan waits between its two looks."""
    monkeypatch.setattr(time, "sleep", lambda seconds: happens())


def test_an_old_file_is_taken_without_waiting_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[bool] = []
    while_it_waits(monkeypatch, lambda: waits.append(True))
    old = put(tmp_path, "old.csv", age=61)
    assert find_waiting(tmp_path, 60).ready == (old,)
    assert waits == []
    put(tmp_path, "new.csv", age=50)
    assert len(find_waiting(tmp_path, 60).ready) == 2
    assert waits == [True]


@pytest.mark.parametrize("age", [0.0, -3600.0], ids=["now", "in the future"])
def test_a_new_file_is_taken_if_it_stays_the_same(tmp_path: Path, age: float) -> None:
    """Also if its time is in the future, because it was copied from a machine with a different clock."""
    path = put(tmp_path, "new.csv", age=age)
    assert find_waiting(tmp_path, 0.1).ready == (path,)


def test_a_growing_file_is_left_and_the_others_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "still.csv", age=0)
    growing = put(tmp_path, "growing.csv", age=0)
    while_it_waits(monkeypatch, lambda: growing.write_text("more"))
    files = find_waiting(tmp_path, 0.3)
    assert [path.name for path in files.ready] == ["still.csv"]
    assert files.incomplete == ("growing.csv",)


def test_a_file_whose_time_changes_is_left_even_if_its_size_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, "mail.csv", age=0)
    while_it_waits(monkeypatch, lambda: os.utime(path, (time.time() + 1, time.time() + 1)))
    assert find_waiting(tmp_path, 0.4).incomplete == ("mail.csv",)


def test_an_empty_file_is_left_for_a_limited_time(tmp_path: Path) -> None:
    path = put(tmp_path, "mail.csv", "", age=600)
    assert find_waiting(tmp_path, 0).incomplete == ("mail.csv",)
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert find_waiting(tmp_path, 0).ready == (path,)


@pytest.mark.parametrize(
    ("name", "lock"),
    [("a.xlsx", "~$a.xlsx"), ("budget.xlsx", "~$dget.xlsx"), ("mail.ods", ".~lock.mail.ods#")],
)
def test_a_file_that_is_open_in_a_spreadsheet_program_is_left(tmp_path: Path, name: str, lock: str) -> None:
    """Excel and LibreOffice put a lock file beside an open file."""
    path = put(tmp_path, name)
    put(tmp_path, lock)
    assert find_waiting(tmp_path, 0) == WaitingFiles(incomplete=(name,))
    (tmp_path / lock).unlink()
    assert find_waiting(tmp_path, 0).ready == (path,)


def test_a_lock_file_of_another_sheet_does_not_hold_a_file_back(tmp_path: Path) -> None:
    """For long names, a lock file replaces the first two characters of the name."""
    paths = {put(tmp_path, name) for name in ("dget.xlsx", "budget.xlsx")}
    put(tmp_path, "~$dget.xlsx", age=60)
    assert find_waiting(tmp_path, 0).incomplete == ("dget.xlsx",)
    assert find_waiting(tmp_path, 0).locks == {"dget.xlsx": "~$dget.xlsx"}
    (tmp_path / "dget.xlsx").unlink()
    assert find_waiting(tmp_path, 0).incomplete == ("budget.xlsx",)
    assert len(paths) == 2


@pytest.mark.parametrize("age", [-3600.0, 0.0, STALE_LOCK - 60])
def test_a_lock_file_that_is_not_old_holds_a_file_back(tmp_path: Path, age: float) -> None:
    put(tmp_path, "a.xlsx")
    put(tmp_path, "~$a.xlsx", age=age)
    assert find_waiting(tmp_path, 0).incomplete == ("a.xlsx",)


def test_an_old_lock_file_does_not_hold_a_file_back(tmp_path: Path) -> None:
    path = put(tmp_path, "a.xlsx")
    put(tmp_path, "~$a.xlsx", age=STALE_LOCK + 60)
    found = find_waiting(tmp_path, 0)
    assert (found.ready, found.locks, found.stale_locks) == ((path,), {}, {path: "~$a.xlsx"})


@pytest.mark.parametrize("length", [240, 248, 255])
def test_a_name_of_maximum_length_is_ready(tmp_path: Path, length: int) -> None:
    path = put(tmp_path, f"{(length - 4) * 'x'}.csv")
    assert find_waiting(tmp_path, 0).ready == (path,)


def test_a_missing_folder_and_a_file_in_its_place_have_different_messages(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        find_waiting(tmp_path / "missing", 0)
    with pytest.raises(UsageError, match="is a file, not a folder"):
        find_waiting(put(tmp_path, "file.csv"), 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mail.csv", "mail.csv"),
        ("mail-2026-11-22.csv", "mail.csv"),
        ("mail_20261122.xlsx", "mail.xlsx"),
        ("2026-11-22 mail.csv", "mail.csv"),
        ("mail-2026-11-22-eu.csv", "mail-eu.csv"),
        ("-mail-.csv", "-mail-.csv"),
        ("mail-2026-11-22T0215.csv", "mail.csv"),
        ("mail.2026.11.22.csv", "mail.csv"),
        ("mail-20261122-021500.csv", "mail.csv"),
        ("mail-20261122-000500.csv", "mail.csv"),
        ("mail-202611220005.csv", "mail.csv"),
        ("mail-2026-11-22T00-05.csv", "mail.csv"),
        ("mail-2026-11-22T0005Z.csv", "mail.csv"),
        ("mail-2026-11-22 02.15.00+0100.csv", "mail.csv"),
        ("mail-22.11.2026.csv", "mail.csv"),
        ("mail_11-22-2026_0215.csv", "mail.csv"),
        ("mail-10.20.30.csv", "mail-10.20.30.csv"),
        ("mail-1.22.11.2026.csv", "mail-1.csv"),
        ("mail-20261122-0001.csv", "mail-0001.csv"),
        ("mail-20261122-0002.csv", "mail-0002.csv"),
        ("mail_20261122_0215_01.csv", "mail_01.csv"),
        ("mail_20261122_0215_02.csv", "mail_02.csv"),
        ("mail-2026-11-22-2575.csv", "mail-2575.csv"),
        ("hosts1.csv", "hosts1.csv"),
        ("hosts-2026.csv", "hosts-2026.csv"),
        ("order-9920261122001.csv", "order-9920261122001.csv"),
        ("mail-2026-13-40.csv", "mail-2026-13-40.csv"),
        ("2026-11-22.csv", "2026-11-22.csv"),
    ],
)
def test_the_name_of_a_recurring_file_leaves_out_the_date_and_nothing_else(name: str, expected: str) -> None:
    """Two different files must not share a name, or monitors of one would count as no longer in the other."""
    assert recurring_name(name) == expected


@pytest.mark.parametrize(
    ("name", "other", "expected"),
    [
        ("mail-2026-11-21.csv", "mail-20261122.csv", True),
        ("mail-2026-11-22.csv", "mail-2026-11-22.csv", False),
        ("mail-2026-11-22.csv", "mail-2026-11-21.csv", False),
        ("mail-2026-11-22.csv", "mail-2026-11-22T0215.csv", False),
        ("mail-2026-11-22T0100.csv", "mail-2026-11-22T0215.csv", True),
        ("mail.csv", "mail-2026-11-22.csv", False),
        ("mail-2026-11-22.csv", "mail.csv", False),
        ("mail-01.12.2026.csv", "mail-30.11.2026.csv", False),
    ],
)
def test_dates_in_names_are_compared_as_far_as_both_are_given(name: str, other: str, *, expected: bool) -> None:
    assert has_earlier_date(name, other) is expected


@pytest.mark.parametrize(
    ("existing", "name", "expected"),
    [
        ([], "mail.csv", "mail.csv"),
        (["mail.csv"], "mail.csv", "mail-2.csv"),
        (["mail.csv", "mail-2.csv"], "mail.csv", "mail-3.csv"),
        (["mail-results.xlsx"], "mail.csv", "mail-2.csv"),
        (["mail-2-why.txt", "mail.csv"], "mail.csv", "mail-3.csv"),
        (["mail.csv", "mail-results.xlsx"], "mail.xlsx", "mail-2.xlsx"),
        (["README"], "README", "README-2"),
    ],
)
def test_a_free_name_is_free_for_the_companion_files_too(
    tmp_path: Path, existing: list[str], name: str, expected: str
) -> None:
    for existing_name in existing:
        put(tmp_path, existing_name)
    assert free_name(tmp_path, name) == expected


def test_shortened_names_are_stable_and_stay_different() -> None:
    names = [f"{82 * '郵'}{end}.csv" for end in ("a", "b", "便")]
    clean = [safe_name(name) for name in names]
    assert len(set(clean)) == 3
    assert clean == [safe_name(name) for name in names]
    assert all(name.startswith("郵郵") and name.endswith(".csv") for name in clean)


def test_long_names_of_one_recurring_file_differ_only_in_the_date() -> None:
    first, second = (f"{75 * '郵'}-2026-11-{day}.csv" for day in ("01", "02"))
    assert recurring_name(first) == recurring_name(second) != recurring_name(first.replace("郵-", "便-"))


def test_names_that_are_invalid_in_different_ways_are_different_recurring_files() -> None:
    first, second = (os.fsdecode(b"m" + byte + b"l.csv") for byte in (b"\xe4", b"\xe5"))
    assert safe_name(first) == safe_name(second)
    assert recurring_name(first) != recurring_name(second)


def test_a_reserved_name_is_not_free(tmp_path: Path) -> None:
    """The results of a file in `working` do not exist yet, and must not replace an input of the same name."""
    reserved = {"mail.csv", *companion_names("mail.csv")}
    assert free_name(tmp_path, "mail-results.xlsx", reserved) == "mail-results-2.xlsx"
    assert free_name(tmp_path, "mail.xls", reserved) == "mail-2.xls"


@given(st.binary(min_size=1, max_size=255).filter(lambda raw: not {0, 47} & set(raw) and raw not in (b".", b"..")))
def test_any_name_becomes_one_that_can_be_stored_and_extended(raw: bytes) -> None:
    """Also invalid UTF-8, control characters, and names of the maximum length."""
    clean = safe_name(os.fsdecode(raw))
    assert clean
    assert clean == safe_name(clean)
    assert clean.isprintable() or all(char.isspace() or char.isprintable() for char in clean)
    assert len(clean.encode()) <= MAX_STEM + MAX_STEM // 4
    assert all(len(name.encode()) <= 255 for name in companion_names(clean))
    assert "/" not in clean
