"""Every benchmark in a small form, so that none can rot. What a figure is depends on the machine, so none is judged."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.benchmarks.__main__ import MEASURES, main
from tests.benchmarks.pacing import most_in_a_second
from tests.benchmarks.scale import SMALL
from tests.benchmarks.table import HEADER, Line, Skipped, as_markdown

PEERS = {
    "rows": {"bare aiohttp loop", "bare aiohttp loop on uvloop", "documented `requests` loop"},
    "pacing": {"aiolimiter", "pyrate-limiter"},
    "limit": {"fixed 200/s, each request retried"},
    "memory": {""},
    "workbooks": {"calamine, reading alone", "pandas.read_excel with openpyxl", "bare openpyxl write-only loop"},
    "start": {"python -c pass"},
    "requests": {""},
    "frugality": {""},
}


def taken(name: str, folder: Path) -> list[Line]:
    try:
        return list(MEASURES[name](SMALL, folder))
    except Skipped as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_runs_beside_all_its_peers(name: str, tmp_path: Path) -> None:
    lines = taken(name, tmp_path)
    assert {line.peer for line in lines} == PEERS[name]
    assert all(line.ours and bool(line.theirs) == bool(line.peer) for line in lines)


def test_no_requests_are_sent_but_one_for_each_row_and_three(tmp_path: Path) -> None:
    assert [line.met for line in taken("requests", tmp_path)] == [True, True]


@pytest.mark.parametrize(
    ("starts", "most"),
    [((0.0,), 1), ((0.0, 1.0), 1), ((0.0, 0.999), 2), ((0.0, 0.5, 1.0, 1.4, 3.0), 3), ((5.0, 6.0, 6.1, 6.9, 6.99), 4)],
)
def test_the_fullest_second_is_found_wherever_it_begins(starts: tuple[float, ...], most: int) -> None:
    assert most_in_a_second(starts) == most


def test_the_table_is_markdown_with_the_machine_below(tmp_path: Path) -> None:
    written = as_markdown([Line(measure="a | b", ours="1", met=False)]).splitlines()
    assert written[0] == f"| {' | '.join(HEADER)} |"
    assert written[2].startswith("| a \\| b | 1 |")
    assert written[2].endswith("| no |")
    assert " cores of " in written[-1]


def test_one_command_measures_what_is_named_and_writes_it(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["requests", "--small", "--markdown", str(tmp_path / "speed.md")])
    assert ended.exit_code == 0, ended.output
    assert "requests" in (tmp_path / "speed.md").read_text(encoding="utf-8")
