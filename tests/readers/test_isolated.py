"""Workbooks in a child process: the same rows, and a hostile file costs neither the machine nor the night."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from bulkload.errors import BulkloadError, InputError
from bulkload.model import RawRow, Source
from bulkload.readers import isolated, workbook
from bulkload.readers.isolated_child import BATCH_ROWS, LimitRates
from bulkload.readers.opening import open_source
from tests.readers.test_workbook import DATA, SAVERS, is_header, saved
from tests.support.command_line import CommandLine
from tests.support.hostile_workbooks import HOSTILE, endless, spread
from tests.support.paths import SAMPLES
from tests.support.waiting import TIMEOUT, wait_until

STRICT = LimitRates(memory=1 << 30, memory_per_byte=2, seconds=1, seconds_per_megabyte=0)
_OTHERS: set[int] = set()
linux = pytest.mark.skipif(sys.platform != "linux", reason="finds child processes in /proc")


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a hostile file reaches quickly."""
    monkeypatch.setattr(isolated, "LIMIT_RATES", STRICT)


@pytest.fixture(autouse=True)
def other_children() -> Iterator[set[int]]:
    """Processes that other tests have started in this one, such as the servers of multiprocessing."""
    _OTHERS.update(children(os.getpid()))
    yield _OTHERS
    _OTHERS.clear()


def read(path: Path, sheet: str | None = None) -> tuple[Source, list[RawRow]]:
    with open_source(path, sheet=sheet, is_header=is_header) as source:
        return source, list(source.rows)


def children(parent: int) -> list[int]:
    """The child processes of a process, zombies included, without those that were there before the test."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            _, _, fields = (folder / "stat").read_text().rpartition(")")
            if int(fields.split()[1]) == parent and int(folder.name) not in _OTHERS:
                found.append(int(folder.name))
    return found


def is_running(process: int) -> bool:
    try:
        return (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def has_library(process: int) -> bool:
    """True once a process has loaded the library that reads workbooks."""
    try:
        return "calamine" in (Path("/proc") / str(process) / "maps").read_text()
    except OSError:
        return False


FILES: dict[str, Callable[[Path], Path]] = {
    **{name: SAVERS[name] for name in ("plain", "in_the_middle", "binary", "macros")},
    **{path.name: lambda _, path=path: path for path in (*DATA.iterdir(), SAMPLES / "mail-hosts.xlsx")},  # type: ignore[misc]
}


@pytest.mark.parametrize("name", FILES)
def test_the_source_is_the_same_as_without_a_child_process(tmp_path: Path, name: str) -> None:
    path = FILES[name](tmp_path)
    with workbook.open_workbook(path, sheet=None, is_header=is_header) as direct:
        rows = list(direct.rows)
    with isolated.open_workbook(path, sheet=None, is_header=is_header) as source:
        assert list(source.rows) == rows
        assert all(type(row) is RawRow for row in rows)
    fields = ("path", "name", "format", "header", "details", "notes", "translated")
    assert [getattr(source, field) for field in fields] == [getattr(direct, field) for field in fields]


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1])
def test_no_row_is_lost_between_batches(tmp_path: Path, count: int) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        worksheet.write_row(0, 0, ["type", "name", "hostname"])
        for number in range(1, count + 1):
            worksheet.write_row(number, 0, ["imap", f"mail {number}", "x" * (number % 7) * 3_000])

    _, rows = read(saved(tmp_path, fill))
    assert [(row.number, row.cells[1]) for row in rows] == [(n + 1, f"mail {n}") for n in range(1, count + 1)]


def test_a_requested_worksheet_and_its_absence_are_the_childs_to_find() -> None:
    assert read(DATA / "hosts.xlsx")[1]
    with pytest.raises(InputError, match=r"^hosts.xlsx: worksheet 'no' not found; the workbook has 'Hosts'"):
        read(DATA / "hosts.xlsx", sheet="no")


@pytest.mark.parametrize("name", ["ä ü.xlsx", "\udcff.xlsx", "-c.xlsx"])
def test_any_name_of_a_file(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        Path(name).write_bytes((DATA / "hosts.xlsx").read_bytes())
    except (OSError, UnicodeEncodeError):
        pytest.skip("the file system does not accept this name")
    assert len(read(Path(name))[1]) == 3


def test_an_error_of_the_operating_system_keeps_its_type(tmp_path: Path) -> None:
    opened = isolated.open_workbook(tmp_path / "vanished.xlsx", sheet=None, is_header=is_header)
    with pytest.raises(FileNotFoundError), opened:
        pass


@linux
@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_input_error_and_the_next_file_is_read(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = HOSTILE[name](tmp_path)
    with pytest.raises(InputError, match=rf"^{path.name}: \w"):
        read(path)
    assert len(read(DATA / "hosts.xlsx")[1]) == 3
    assert children(os.getpid()) == []
    assert capfd.readouterr() == ("", "")


@linux
@pytest.mark.usefixtures("strict")
def test_the_message_names_the_limit_and_says_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("bulkload"), "propagate", True)  # a command of an earlier test changes it
    with pytest.raises(InputError, match=r"takes more than 1 seconds of processor time.*save it again as \.xlsx"):
        read(endless(tmp_path))
    debug = caplog.at_level(logging.DEBUG, "bulkload")
    with debug, pytest.raises(InputError, match=r"takes more than 1\.0 GB of memory\. Save the table as \.csv"):
        read(spread(tmp_path))
    assert "memory allocation of" in caplog.text


@linux
def test_the_largest_worksheet_that_is_allowed_fits_into_the_memory() -> None:
    """calamine keeps 32 bytes of a cell's place, and 40 of a stored cell until it has read all."""
    smallest_cell = len('<c r="AB12345"><v>1</v></c>')
    for stored in (0, 60_000_000):
        limits = isolated.LIMIT_RATES.of(min(2 << 30, stored * smallest_cell))
        assert limits.memory > 60_000_000 * 32 + stored * 40 + (1 << 30)


@linux
@pytest.mark.parametrize("taken", [0, 1])
def test_a_caller_that_stops_early_leaves_no_child(tmp_path: Path, taken: int) -> None:
    def fill(book: xlsxwriter.Workbook) -> None:
        worksheet = book.add_worksheet()
        for number in range(5_000):
            worksheet.write_row(number, 0, ["type", "name", "hostname", "x" * 100])

    path = saved(tmp_path, fill)
    with open_source(path, is_header=is_header) as source:
        assert len(list(itertools.islice(source.rows, taken))) == taken
        assert len(children(os.getpid())) == 1
    assert children(os.getpid()) == []
    with pytest.raises(KeyboardInterrupt), open_source(path, is_header=is_header) as source:
        raise KeyboardInterrupt
    assert children(os.getpid()) == []


@linux
def test_an_exception_of_the_header_test_passes_through() -> None:
    def fail(cells: Sequence[str]) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_source(DATA / "hosts.xlsx", is_header=fail):
        pass
    assert children(os.getpid()) == []


@linux
@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/false"])
def test_a_child_that_cannot_be_started_is_not_the_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with pytest.raises(BulkloadError, match=r"^The process that reads workbooks cannot be started: ") as caught:
        read(DATA / "hosts.xlsx")
    assert not isinstance(caught.value, InputError)


@linux
@pytest.mark.parametrize(
    ("number", "to_group", "status"),
    [
        (signal.SIGTERM, False, 143),
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, True, 143),
        (signal.SIGKILL, False, -9),
    ],
)
def test_a_signal_ends_the_program_and_the_child(
    cli: CommandLine, number: signal.Signals, to_group: bool, status: int
) -> None:
    command = [sys.executable, "-m", "bulkload", "check", str(endless(cli.folder))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_until(lambda: any(map(has_library, children(process.pid))), process)
        (child,) = children(process.pid)
        os.killpg(process.pid, number) if to_group else process.send_signal(number)
        _, stderr = process.communicate(timeout=TIMEOUT)
    assert process.returncode == status
    assert "Traceback" not in stderr
    wait_until(lambda: not is_running(child))
