"""Requirements for results in every format, and the CSV and JSON lines formats."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.errors import StoreError, UsageError
from bulkload.files.formulas import restore
from bulkload.model import ReportRow, Status
from bulkload.monitors.result_columns import RESULT_COLUMNS
from bulkload.reports import formats as report
from bulkload.reports.json_lines import unique_names
from bulkload.reports.result_cells import result_header
from tests.support.report_samples import FORMULAS, HEADER, TEXT, TRICKY_TEXTS, one_row_per_status, row, run_info

TABLES = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(TEXT, min_size=width, max_size=width).map(tuple), min_size=1, max_size=6)
)


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream))


def read_jsonl(path: Path) -> list[dict[str, object]]:
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [json.loads(line) for line in stream]


@pytest.mark.parametrize("suffix", report.FORMATS)
class TestEveryFormat:
    def test_an_error_while_writing_keeps_the_old_file_and_leaves_no_other(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"out{suffix}"
        path.write_bytes(b"the old file")

        def rows() -> Iterator[ReportRow]:
            yield from one_row_per_status() * 20
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            report.write(path, run_info(one_row_per_status()), rows())
        assert path.read_bytes() == b"the old file"
        assert list(tmp_path.iterdir()) == [path]

    def test_complete_results_replace_the_old_file_and_leave_no_other(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / "new folder" / f"out{suffix}"
        report.write(path, run_info([]), [])
        empty = path.read_bytes()
        report.write(path, run_info(one_row_per_status()), iter(one_row_per_status()))
        assert path.read_bytes() != empty
        assert list(path.parent.iterdir()) == [path]

    def test_the_file_has_the_permissions_of_a_new_file(self, tmp_path: Path, suffix: str) -> None:
        plain, path = tmp_path / "plain", tmp_path / f"out{suffix}"
        plain.touch()
        report.write(path, run_info([]), [])
        assert path.stat().st_mode == plain.stat().st_mode

    def test_a_symbolic_link_is_kept(self, tmp_path: Path, suffix: str) -> None:
        target, link = tmp_path / f"target{suffix}", tmp_path / f"link{suffix}"
        link.symlink_to(target)
        report.write(link, run_info([]), [])
        assert link.is_symlink()
        assert target.is_file()

    def test_a_path_that_cannot_be_written_is_named_in_one_sentence(self, tmp_path: Path, suffix: str) -> None:
        (tmp_path / "file").touch()
        (tmp_path / f"folder{suffix}").mkdir()
        for path in (tmp_path / "file" / f"out{suffix}", tmp_path / f"folder{suffix}", Path(f"/proc/out{suffix}")):
            with pytest.raises(StoreError) as refusal:
                report.write(path, run_info([]), [])
            message = str(refusal.value)
            assert message.startswith(f"{path} cannot be written: ")
            assert message.endswith("; to write it again, run: bulkload report r1.")
            assert "Errno" not in message

    def test_a_full_disk_is_reported_in_a_sentence_and_leaves_no_file(self, tmp_path: Path, suffix: str) -> None:
        program = (
            "import resource, sys\n"
            "from pathlib import Path\n"
            "from bulkload.reports import formats as report\n"
            "from bulkload.errors import StoreError\n"
            "from tests.support.report_samples import one_row_per_status, run_info\n"
            "rows = one_row_per_status() * 400\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
            "try:\n"
            "    report.write(Path(sys.argv[1]), run_info(rows), iter(rows))\n"
            "except StoreError as error:\n"
            "    sys.exit(str(error))\n"
        )
        path = tmp_path / f"out{suffix}"
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (
            ended.stderr == f"{path} cannot be written: file too large; to write it again, run: bulkload report r1.\n"
        )
        assert list(tmp_path.iterdir()) == []

    def test_memory_does_not_grow_with_the_rows(self, tmp_path: Path, suffix: str) -> None:
        def peak(rows: int) -> int:
            sample = one_row_per_status()
            tracemalloc.start()
            report.write(tmp_path / f"out{suffix}", run_info(sample), (sample[n % len(sample)] for n in range(rows)))
            highest = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return highest

        peak(10)  # imports, which happen only once
        assert peak(3_000) < peak(300) + 300_000

    def test_half_a_surrogate_pair_does_not_stop_the_report(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"out{suffix}"
        report.write(path, run_info([]), [row(error="broken \ud83d text")])
        assert path.stat().st_size > 100

    def test_the_case_of_the_suffix_does_not_matter(self, tmp_path: Path, suffix: str) -> None:
        lower, upper = tmp_path / f"a{suffix}", tmp_path / f"b{suffix.upper()}"
        for path in (lower, upper):
            report.write(path, run_info([]), [row()])
        assert lower.read_bytes()[:15] == upper.read_bytes()[:15]


@pytest.mark.parametrize(("name", "message"), [("out.pdf", "has the suffix .pdf"), ("out", "has no suffix")])
def test_an_unknown_suffix_is_refused_with_the_allowed_ones(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} {message}; allowed are .xlsx, .csv, .jsonl and .html\.$"):
        report.write(tmp_path / name, run_info([]), [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("header", "prefixed"),
    [
        (HEADER, False),
        ((), False),
        (("type", "status"), True),
        (("Monitor ID", "name"), True),
        (("RUN-ID",), True),
        (("Next  Step",), True),
        (("statuses", "errors"), False),
    ],
)
def test_result_columns_have_a_prefix_only_if_the_user_has_one_of_their_names(
    header: tuple[str, ...], prefixed: bool
) -> None:
    prefix = "bulkload_" if prefixed else ""
    assert result_header(header) == tuple(prefix + name for name in RESULT_COLUMNS)


def test_csv_opens_correctly_in_excel(tmp_path: Path) -> None:
    """It begins with a byte order mark, and lines end with CRLF."""
    path = tmp_path / "out.csv"
    report.write(path, run_info([]), [row("imap", "Ä", "h", "1", monitor_id="77", error="a, b", source_row=9)])
    assert (
        path.read_bytes()
        == (
            "\ufefftype,name,hostname,port,status,monitor_id,error,error_columns,next_step,attempts,source_row,run_id\r\n"
            'imap,Ä,h,1,created,77,"a, b",,,1,9,r1\r\n'
        ).encode()
    )


@pytest.mark.parametrize("formula", FORMULAS)
def test_csv_has_no_formula_in_any_column_and_restores_the_original_text(tmp_path: Path, formula: str) -> None:
    path = tmp_path / "out.csv"
    formulas = row(*[formula] * 4, monitor_id=formula, error=formula, error_columns=(formula,), status=Status.FAILED)
    report.write(path, run_info([], header=(formula, "b", "c", "d"), run_id=formula), [formulas])
    lines = read_csv(path)
    assert [cell for line in lines for cell in line if cell[:1] in ("=", "+", "-", "@", "\t", "\r")] == []
    assert restore(lines[0][0]) == formula
    columns = [0, 1, 2, 3, 5, 6, 7, 11]
    assert [restore(lines[1][column]) for column in columns] == [formula] * 8


@given(table=TABLES)
@settings(max_examples=60)
def test_every_cell_can_be_read_back_from_csv(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    report.write(path, run_info([], header=table[0]), [row(*cells) for cells in table[1:]])
    assert [tuple(map(restore, line[: len(table[0])])) for line in read_csv(path)] == table


def test_jsonl_has_exactly_the_documented_keys(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    report.write(
        path, run_info([]), [row(status=Status.INVALID, error="Bad.", error_columns=("port", "name"), attempts=0)]
    )
    assert read_jsonl(path) == [
        {
            "source_row": 2,
            "status": "invalid",
            "monitor_id": "",
            "error": "Bad.",
            "error_columns": ["port", "name"],
            "next_step": "fix the row",
            "attempts": 0,
            "run_id": "r1",
            "row": {"type": "imap", "name": "Mailbox", "hostname": "imap.example.org", "port": "993"},
        }
    ]


@given(table=TABLES)
@settings(max_examples=60)
def test_every_cell_can_be_read_back_from_jsonl_even_if_column_names_are_equal(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.mktemp("jsonl") / "out.jsonl"
    header = tuple(name[:1] for name in table[0])  # short names are often equal
    report.write(path, run_info([], header=header), [row(*cells) for cells in table])
    rows = [record["row"] for record in read_jsonl(path)]
    assert [tuple(cells.values()) for cells in rows if isinstance(cells, dict)] == table


def test_jsonl_preserves_special_text_and_half_a_surrogate_pair(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    cells = (*TRICKY_TEXTS, "half \ud83d", "a \\ud83d that is text", "\u2028")
    report.write(path, run_info([], header=tuple(map(str, range(len(cells))))), [row(*cells)])
    [record] = read_jsonl(path)
    assert isinstance(record["row"], dict)
    assert tuple(record["row"].values()) == cells


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        (("a", "b"), ("a", "b")),
        (("a", "a", "a"), ("a", "a (2)", "a (3)")),
        (("a", "a", "a (2)"), ("a", "a (3)", "a (2)")),
        (("a (2)", "a", "a"), ("a (2)", "a", "a (3)")),
        (("", ""), ("", " (2)")),
    ],
)
def test_only_repeated_names_are_numbered(header: tuple[str, ...], keys: tuple[str, ...]) -> None:
    assert unique_names(header) == keys
