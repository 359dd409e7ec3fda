"""All benchmarks run in a small size. Their figures depend on the machine, so they are not checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.benchmarks.__main__ import BENCHMARKS, main, measurements_of
from tests.benchmarks.pacing import most_in_a_second
from tests.benchmarks.scale import SMALL
from tests.benchmarks.table import HEADER, Measurement, Skipped, as_markdown

PEERS = {
    "rows": {"bare aiohttp loop", "bare aiohttp loop on uvloop", "documented `requests` loop"},
    "pacing": {"aiolimiter", "pyrate-limiter"},
    "limit": {"fixed 200/s, each request retried"},
    "memory": {""},
    "workbooks": {"calamine, reading alone", "pandas.read_excel with openpyxl", "bare openpyxl write-only loop"},
    "large": {"plan of 100 rows"},
    "near": {"twice as many of both"},
    "unchanged": {"one meaningless part added"},
    "history": {"the same, in memory"},
    "start": {"python -c pass"},
    "requests": {""},
    "frugality": {""},
    "page": {""},
    "python": {"python -c pass", "building the frame alone"},
}


def measure(name: str, folder: Path) -> list[Measurement]:
    try:
        return list(measurements_of(name, SMALL, folder))
    except Skipped as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_with_all_its_peers(name: str, tmp_path: Path) -> None:
    measurements = measure(name, tmp_path)
    assert {measurement.peer for measurement in measurements} == PEERS[name]
    assert all(measurement.ours and bool(measurement.theirs) == bool(measurement.peer) for measurement in measurements)


def test_at_most_three_requests_are_sent_besides_one_for_each_row(tmp_path: Path) -> None:
    assert [measurement.met for measurement in measure("requests", tmp_path)] == [True, True]


@pytest.mark.parametrize(
    ("starts", "most"),
    [((0.0,), 1), ((0.0, 1.0), 1), ((0.0, 0.999), 2), ((0.0, 0.5, 1.0, 1.4, 3.0), 3), ((5.0, 6.0, 6.1, 6.9, 6.99), 4)],
)
def test_the_most_starts_within_any_second_are_counted(starts: tuple[float, ...], most: int) -> None:
    assert most_in_a_second(starts) == most


def test_the_markdown_table_is_followed_by_the_machine(tmp_path: Path) -> None:
    written = as_markdown([Measurement(measure="a | b", ours="1", met=False)]).splitlines()
    assert written[0] == f"| {' | '.join(HEADER)} |"
    assert written[2].startswith("| a \\| b | 1 |")
    assert written[2].endswith("| no |")
    assert " cores of " in written[-1]


def test_the_command_runs_the_named_benchmarks_and_writes_the_table(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["requests", "--small", "--markdown", str(tmp_path / "speed.md")])
    assert result.exit_code == 0, result.output
    assert "requests" in (tmp_path / "speed.md").read_text(encoding="utf-8")
