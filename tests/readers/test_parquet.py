"""Parquet files are read in the child process, with every value as it is stored."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.readers.opening import open_source
from tests.support.command_line import CommandLine, imap
from tests.support.paths import ROOT


def read(path: Path) -> tuple[Source, list[RawRow]]:
    with open_source(path, is_header=lambda cells: "name" in cells) as source:
        return source, list(source.rows)


def test_values_are_those_that_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "hosts.parquet"
    columns: dict[str, Any] = {
        "name": ["NA", "", None],
        "port": pyarrow.array([993, None, 25], pyarrow.int32()),
        "interval": pyarrow.array([15.0, float("nan"), None]),
        "enabled": [True, False, None],
        "locations": [[10, 20], [], None],
        "since": [datetime.date(2026, 3, 14), None, None],
        "type": pyarrow.array(["imap", "pop", None]).dictionary_encode(),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    source, rows = read(path)
    assert (source.format, source.name, source.notes) == ("parquet", "hosts.parquet", ())
    assert source.header == tuple(columns)
    assert [row.cells for row in rows] == [
        ("NA", "993", "15", "true", "10;20", "2026-03-14", "imap"),
        ("", "", "", "false", "", "", "pop"),
        ("", "25", "", "", "", "", ""),
    ]


def test_a_frame_of_pandas_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pd.DataFrame({"name": ["a", "b"]}, index=["x", "y"]).to_parquet(path)
    assert read(path)[0].header == ("name",)  # an index without a name is no column
    pd.DataFrame({"name": ["a", "b"]}, index=pd.Index(["h1", "h2"], name="hostname")).to_parquet(path)
    assert set(read(path)[0].header) == {"name", "hostname"}


def test_many_rows_in_many_groups(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pyarrow.table({"name": [f"m{number}" for number in range(5_000)]})
    pyarrow.parquet.write_table(table, path, row_group_size=700, compression="zstd")
    _, rows = read(path)
    assert [row.cells for row in rows] == [(f"m{number}",) for number in range(5_000)]
    assert (rows[0].number, rows[-1].number) == (2, 5_001)


def test_the_whole_way(cli: CommandLine) -> None:
    pd.DataFrame([imap("a", locations=[10, 20]), imap("b", port=0)]).to_parquet("hosts.parquet")
    ran = cli("run", "hosts.parquet", "--sandbox", "--json")
    assert ran.json["counts"] == {"created": 1, "invalid": 1}
    assert ran.json["results"] == ["output/hosts-results.xlsx"]


@pytest.mark.parametrize("size", [4, 8, 50, 300])
def test_a_damaged_file_is_an_error_of_this_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.parquet"
    pd.DataFrame([imap("a")]).to_parquet(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"^x\.parquet: the Parquet file is damaged"):
        read(path)


def test_bytes_that_are_turned_over_never_raise_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pd.DataFrame([imap(name) for name in "abc"]).to_parquet(path)
    whole = path.read_bytes()
    outcomes = set()
    for at in range(4, len(whole), max(1, len(whole) // 12)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read(path)
            outcomes.add("read")
        except InputError:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_nested_values_are_issues_where_they_mean_nothing(cli: CommandLine) -> None:
    pd.DataFrame([imap("a", note={"x": 1})]).to_parquet("hosts.parquet")
    (issue,) = cli("check", "hosts.parquet", "--json").json["issues"]
    assert (issue["row"], issue["column"], issue["code"]) == (2, "note", "cell.type")


def test_without_pyarrow_the_message_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "hosts.parquet"
    pd.DataFrame([imap("a")]).to_parquet(path)
    program = (
        "import sys; sys.modules['pyarrow'] = None; from pathlib import Path;"
        " from bulkload.readers.parquet import open_parquet\n"
        "with open_parquet(Path(sys.argv[1]), sheet=None, is_header=any): pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert 'pip install "bulkload[parquet]"' in done.stderr
