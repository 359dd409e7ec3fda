"""The inbox takes whole files in their order, leaves what somebody still writes, and never overwrites a name."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.errors import UsageError
from bulkload.inbox.scan import (
    LONGEST_STEM,
    Waiting,
    beside,
    free_name,
    has_candidates,
    is_candidate,
    recurring_name,
    tidy,
    waiting,
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
    ],
)
def test_hidden_unfinished_and_our_own_files_are_not_taken(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert waiting(tmp_path, 0) == Waiting()
    assert not is_candidate(name)
    assert not has_candidates(tmp_path)


@pytest.mark.parametrize("name", ["mail.csv", "kuma.db", "objects.cache", "no-suffix", "partly.xlsx", "~mail.csv"])
def test_any_other_file_is_taken_whatever_its_name_ends_in(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, name)
    assert waiting(tmp_path, 60).ready == (path,)


def test_the_oldest_file_comes_first_and_names_decide_between_equals(tmp_path: Path) -> None:
    ages = {"b.csv": 5000, "c.csv": 9000, "a.csv": 5000, "d.csv": 4000}
    now = time.time()
    for name, age in ages.items():
        os.utime(put(tmp_path, name), (now - age, now - age))
    assert [path.name for path in waiting(tmp_path, 0).ready] == ["c.csv", "a.csv", "b.csv", "d.csv"]


def test_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sub.csv").mkdir()
    put(tmp_path / "sub.csv", "inside.csv")
    assert waiting(tmp_path, 0) == Waiting()


def test_an_old_file_is_taken_without_waiting_for_it(tmp_path: Path) -> None:
    put(tmp_path, "old.csv", age=61)
    begun = time.monotonic()
    assert waiting(tmp_path, 60).ready
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("age", [0.0, -3600.0], ids=["now", "in the future"])
def test_a_new_file_is_taken_if_it_stays_the_same(tmp_path: Path, age: float) -> None:
    """Also one whose time is in the future, as a copy from a machine with another clock is."""
    path = put(tmp_path, "new.csv", age=age)
    assert waiting(tmp_path, 0.1).ready == (path,)


def test_a_file_that_grows_is_left_and_the_others_are_not(tmp_path: Path) -> None:
    put(tmp_path, "still.csv", age=0)
    growing = put(tmp_path, "growing.csv", age=0)
    over = threading.Event()

    def write() -> None:
        with growing.open("a") as file:
            while not over.wait(0.02):
                file.write("more\n")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = waiting(tmp_path, 0.3)
    finally:
        over.set()
        writer.join()
    assert [path.name for path in found.ready] == ["still.csv"]
    assert found.unsettled == ("growing.csv",)


def test_a_file_whose_time_moves_is_left_though_its_size_does_not(tmp_path: Path) -> None:
    path = put(tmp_path, "mail.csv", age=0)
    toucher = threading.Timer(0.1, os.utime, (path, (time.time() + 1, time.time() + 1)))
    toucher.start()
    assert waiting(tmp_path, 0.4).unsettled == ("mail.csv",)
    toucher.join()


def test_an_empty_file_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    path = put(tmp_path, "mail.csv", "", age=600)
    assert waiting(tmp_path, 0).unsettled == ("mail.csv",)
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert waiting(tmp_path, 0).ready == (path,)


@pytest.mark.parametrize(
    ("name", "lock"),
    [("a.xlsx", "~$a.xlsx"), ("budget.xlsx", "~$dget.xlsx"), ("mail.ods", ".~lock.mail.ods#")],
)
def test_a_file_that_a_spreadsheet_program_has_open_is_left(tmp_path: Path, name: str, lock: str) -> None:
    """Excel and LibreOffice put a lock file beside what they have open."""
    path = put(tmp_path, name)
    put(tmp_path, lock)
    assert waiting(tmp_path, 0) == Waiting(unsettled=(name,))
    (tmp_path / lock).unlink()
    assert waiting(tmp_path, 0).ready == (path,)


def test_a_missing_folder_and_a_file_in_its_place_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        waiting(tmp_path / "missing", 0)
    with pytest.raises(UsageError, match="is a file; a folder is needed"):
        waiting(put(tmp_path, "file.csv"), 0)


@pytest.mark.parametrize(
    ("name", "sheet"),
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
        ("hosts1.csv", "hosts1.csv"),
        ("hosts-2026.csv", "hosts-2026.csv"),
        ("order-9920261122001.csv", "order-9920261122001.csv"),
        ("mail-2026-13-40.csv", "mail-2026-13-40.csv"),
        ("2026-11-22.csv", "2026-11-22.csv"),
    ],
)
def test_a_sheet_is_its_name_without_a_date_and_nothing_less(name: str, sheet: str) -> None:
    """What looks like one sheet must be one: rows missing from another sheet would count as gone."""
    assert recurring_name(name) == sheet


@pytest.mark.parametrize(
    ("there", "wanted", "found"),
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
def test_a_free_name_is_free_for_all_that_lies_beside_it(
    tmp_path: Path, there: list[str], wanted: str, found: str
) -> None:
    for name in there:
        put(tmp_path, name)
    assert free_name(tmp_path, wanted) == found


def test_a_name_that_is_spoken_for_is_not_free(tmp_path: Path) -> None:
    """The results of a file at work are not there yet, and must not replace an input of that name."""
    reserved = {"mail.csv", *beside("mail.csv")}
    assert free_name(tmp_path, "mail-results.xlsx", reserved) == "mail-results-2.xlsx"
    assert free_name(tmp_path, "mail.xls", reserved) == "mail-2.xls"


@given(st.binary(min_size=1, max_size=255).filter(lambda raw: not {0, 47} & set(raw) and raw not in (b".", b"..")))
def test_any_name_becomes_one_that_can_be_stored_and_made_longer(raw: bytes) -> None:
    """Also bytes that are no text, control characters, and names as long as the system allows."""
    clean = tidy(os.fsdecode(raw))
    assert clean
    assert clean == tidy(clean)
    assert clean.isprintable() or all(sign.isspace() or sign.isprintable() for sign in clean)
    assert len(clean.encode()) <= LONGEST_STEM + LONGEST_STEM // 4
    assert all(len(name.encode()) <= 255 for name in beside(clean))
    assert "/" not in clean
