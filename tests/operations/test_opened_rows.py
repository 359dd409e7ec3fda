"""A run whose rows come from elsewhere than a file is the same run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkload.errors import InputError
from bulkload.model import Input, Issue, RawRow, ReportRow, RunInfo, Source, State
from bulkload.operations.pipeline import begin, locked_store
from bulkload.operations.preview import check_file
from bulkload.settings import Account, Options
from bulkload.stages.fingerprint import FINGERPRINT

HEADER = ("Art", "name", "host", "Rack", "")
FIELDS = ("type", "name", "hostname", None, "port")
ROWS = (
    ("imap", "a", "a.example.com", "r1", "993"),
    ("imap", "b", "b.example.com", "r2", "99999"),
    ("imap", "a", "a.example.com", "r3", "993"),
    ("0", "", "", "", ""),
)


def given_rows(rows: Sequence[RawRow], fields: tuple[str | None, ...] | None = FIELDS, **more: object) -> Input:
    @contextmanager
    def opened() -> Iterator[Source]:
        yield Source(
            path=Path("nowhere"),
            name="hosts.csv",
            format="csv",
            header=HEADER,
            rows=iter(rows),
            fields=fields,
            **more,  # type: ignore[arg-type]
        )

    return Input(path=Path("nowhere"), name="hosts.csv", open=opened)


def begun(source: Input, options: Options) -> tuple[RunInfo, list[ReportRow]]:
    with locked_store(options) as store:
        context = begin(store, source, Account(), options)
        assert store.run(context.run.id).read_whole
        return store.info(context.run), list(store.report_rows(context.run))


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(output=tmp_path / "store", sandbox=True, set={"plan": "UBM - A/A"})


def test_a_run_of_given_rows_is_that_of_a_file_with_the_names_of_the_fields(tmp_path: Path, options: Options) -> None:
    lines = [("type", "name", "hostname", "Rack", "port"), *ROWS]
    file = tmp_path / "hosts.csv"
    file.write_text("".join(",".join(line) + "\n" for line in lines), encoding="utf-8")
    of_file, rows_of_file = begun(Input.at(file), options.model_copy(update={"ignore_unknown": True}))
    given, rows = begun(given_rows([RawRow(n, cells) for n, cells in enumerate(ROWS, 2)]), options)
    assert [(row.source_row, row.cells, row.status, row.error) for row in rows] == [
        (row.source_row, row.cells, row.status, row.error) for row in rows_of_file
    ]
    assert [row.error_columns for row in rows_of_file] == [(), ("port",), ()]
    assert [row.error_columns for row in rows] == [(), ("E",), ()]
    assert given.counts == of_file.counts
    assert given.details["notes"] in of_file.details["notes"]
    assert (given.header, given.input) == (HEADER, "hosts.csv")
    assert FINGERPRINT in of_file.settings
    assert FINGERPRINT not in given.settings


def test_given_rows_are_checked_without_a_file(options: Options) -> None:
    seen: list[ReportRow] = []
    outcome = check_file(given_rows([RawRow(n, cells) for n, cells in enumerate(ROWS, 2)]), options, seen.append)
    assert [row.source_row for row in seen] == [3, 4]
    assert outcome.info.header == HEADER


def test_without_chosen_fields_the_header_decides(options: Options) -> None:
    with pytest.raises(InputError, match='Column A "Art" is unknown'):
        begun(given_rows([], fields=None), options)


def test_a_choice_that_cannot_be_used_leaves_no_run(options: Options) -> None:
    with pytest.raises(InputError, match="No column is sent as name"):
        begun(given_rows([], fields=("type", None, "hostname", None, None)), options)
    with locked_store(options) as store:
        assert store.runs() == []


def test_a_name_that_is_not_certain_does_not_matter_to_a_person_who_chose(options: Options) -> None:
    rows = [RawRow(2, ROWS[0], (Issue(code="cell.formula", message="A formula.", column="E"),))]
    _, stored = begun(given_rows(rows, header_doubts={1: "a guess."}), options)
    assert [(row.error, row.error_columns) for row in stored] == [("A formula.", ("E",))]


def test_rows_that_are_checked_one_by_one_are_all_kept() -> None:
    from bulkload.monitors.columns import map_columns
    from bulkload.stages.intake import check_rows

    layout = map_columns(HEADER, FIELDS, given=["plan"])
    raw = [RawRow(n, cells) for n, cells in enumerate(ROWS, 2)]
    rows = list(check_rows(raw, layout, defaults={"plan": "UBM - A/A"}, skip_zero_rows=False))
    assert [(row.source_row, row.state == State.PENDING) for row in rows] == [
        (2, True),
        (3, False),
        (4, True),
        (5, False),
    ]
    assert rows == [
        row for each in raw for row in check_rows([each], layout, defaults={"plan": "UBM - A/A"}, skip_zero_rows=False)
    ]
