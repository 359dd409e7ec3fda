"""From raw rows to rows of the store: the quick way gives what the long way gives, and no two rows mean one monitor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from bulkload.errors import ExitCode
from bulkload.model import Input, Issue, RawRow, State, Status
from bulkload.monitors.header import map_header
from bulkload.monitors.validate import Valid, Validator
from bulkload.settings import Options
from bulkload.stages import duplicates, row_templates
from bulkload.stages.intake import _bad, _good, check_rows, open_input
from bulkload.store.row_records import NewRow
from tests.support.command_line import CommandLine, imap
from tests.support.stores import new_row

GOOD = {
    "type": "imap",
    "name": "mx",
    "hostname": "a.example.com",
    "port": "993",
    "billing_plancode": "UBM - A/A",
    "interval": "15",
    "note": "R 1",
    "status": "",
    "Rack": "r",
}
TEXTS = (
    *("", " ", "%s", "100%", "a%sb%%", 'q"uote', "back\\slash", "é", "a\nb", "a\tb", " mx ", "=1+1", "null", "{}"),
    *("\u200b", "\ufffd", "x" * 255, "x" * 256),
)
HOSTS = (
    *("", " ", "imaps://a.example.com", "a.example.com:993", "A.Example.COM", " b.example.com", "b.example.com."),
    *("xn--bcher-kva.example", "xn--a.example", "mail.local", "10.0.0.1", "192.0.2.1", "localhost", "-a.example.com"),
    f"{'a' * 63}." * 4 + "com",
)
ODD = {
    "type": ("smtp", "imaps", "round-trip", "IMAP ", "x"),
    "name": TEXTS,
    "hostname": HOSTS,
    "port": ("", "25", "143", "70000", "993.0", "993.000", "993.0000"),
    "billing_plancode": ("", "UBM-A/A", "100%", "UBM - A/A:1:2"),
    "interval": ("", "5", "0", "%s"),
    "note": TEXTS,
    "status": ("created", "exists", "removed", "invalid", "x"),
    "Rack": TEXTS,
}
CHANGES: list[dict[str, str]] = [{}, *({column: text} for column, texts in ODD.items() for text in texts)]
ISSUE = Issue(code="cell.error", message="Error.", column="name")


def the_long_way(rows: Sequence[RawRow], columns: Sequence[str], defaults: dict[str, str]) -> list[NewRow]:
    layout = map_header(tuple(columns), given=defaults, ignore_unknown=True)
    validator = Validator(layout, defaults=defaults)
    made = []
    for each in rows:
        found = validator.check(each)
        cells = tuple(each.cells[index] for index in layout.user_columns)
        made.append(_good(found, cells) if isinstance(found, Valid) else _bad(found, cells))
    return made


@pytest.mark.parametrize(
    ("defaults", "left_out", "results"),
    [
        ({}, "", False),
        ({"note": "100 %s"}, "", True),
        ({"note": "100 %s"}, "note", True),
        ({"hostname": "e.example.com"}, "hostname", False),
        ({"locations": "10;20"}, "Rack", False),
    ],
)
def test_the_quick_way_makes_of_every_row_what_the_long_way_makes_of_it(
    defaults: dict[str, str], left_out: str, results: bool
) -> None:
    """For every kind of row: enough of it for a mould, and then each other row that differs from it in one cell."""
    columns = [column for column in GOOD if column != left_out] + (["run_id"] if results else [])
    layout = map_header(tuple(columns), given=defaults, ignore_unknown=True)
    for kind in CHANGES:
        sheet = [GOOD | {"run_id": "r", "name": f"m{n}"} | kind | change for n, change in enumerate([{}, {}, *CHANGES])]
        rows = [RawRow(n, tuple(cells[column] for column in columns)) for n, cells in enumerate(sheet, 2)]
        rows += [rows[0]._replace(issues=(ISSUE,)), rows[0]]
        quick = list(check_rows(rows, layout, defaults=defaults))
        assert quick == the_long_way(rows, columns, defaults)


def test_rows_of_one_kind_go_the_quick_way_from_the_third_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_templates, "MOST_TEMPLATES", 2)
    layout = map_header(("type", "name", "hostname", "billing_plancode", "interval"))
    templates, validator = row_templates.RowTemplates(layout), Validator(layout)
    quick = []
    for n, interval in enumerate(["5", "5", "5", "5", "6", "6", "6", "7", "5", "5", "5"]):
        each = RawRow(n, ("imap", f"m{n}", f"mx{n}.example.com", "UBM - A/A", interval))
        made = templates.apply(each, each.cells)
        quick.append(made is not None)
        if made is None:
            found = validator.check(each)
            assert isinstance(found, Valid)
            templates.remember(found)
    # 7 is one kind too many, so all are forgotten then
    assert quick == [False, False, True, True, False, False, True, False, False, False, True]


# ── rows that mean the same monitor ──────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=[0, 2, duplicates.IN_MEMORY])
def in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "IN_MEMORY", request.param)


def marked(*rows: NewRow) -> list[tuple[object, str]]:
    with duplicates.DuplicateFinder() as finder:
        return [(each.state, each.error) for each in map(finder.mark, rows)]


@pytest.mark.usefixtures("in_memory")
def test_a_row_that_repeats_an_earlier_one_is_its_duplicate() -> None:
    assert marked(
        new_row(0), new_row(1), new_row(2, key="m0"), new_row(3), new_row(4, key="m3"), new_row(5, key="m0")
    ) == [
        (State.PENDING, ""),
        (State.PENDING, ""),
        (Status.DUPLICATE, "Repeats row 2."),
        (State.PENDING, ""),
        (Status.DUPLICATE, "Repeats row 5."),
        (Status.DUPLICATE, "Repeats row 2."),
    ]


@pytest.mark.usefixtures("in_memory")
def test_a_repeated_row_that_names_a_monitor_of_its_own_may_stand_for_that_one() -> None:
    assert marked(
        new_row(0, key="a", given_monitor_id="1"),
        new_row(1, key="a", given_monitor_id="2"),  # alike, but another monitor
        new_row(2, key="a", given_monitor_id="1"),
        new_row(3, key="b", given_monitor_id="2"),  # other cells, but the same monitor
        new_row(4, key="a"),
        new_row(5, key="c"),
        new_row(6, key="c", given_monitor_id="3"),  # the earlier one names none, so it may be this one
    ) == [
        (State.PENDING, ""),
        (State.PENDING, "Repeats row 2."),
        (Status.DUPLICATE, "Repeats row 2."),
        (Status.DUPLICATE, "Repeats row 3."),
        (Status.DUPLICATE, "Repeats row 2."),
        (State.PENDING, ""),
        (Status.DUPLICATE, "Repeats row 7."),
    ]


@pytest.mark.usefixtures("in_memory")
def test_rows_that_will_not_be_sent_repeat_nothing_but_may_be_repeated() -> None:
    gone = new_row(1, key="a", given_monitor_id="1", state=Status.REMOVED)
    bad = NewRow(source_row=2, cells=("x",), state=Status.INVALID)
    assert marked(bad, bad, gone, gone, new_row(2, key="a")) == [
        (Status.INVALID, ""),
        (Status.INVALID, ""),
        (Status.REMOVED, ""),
        (Status.REMOVED, ""),
        (Status.DUPLICATE, "Repeats row 3."),
    ]


# ── a check with and without a results file ──────────────────────────────────────────────────────────────────


def test_a_check_says_the_same_whether_or_not_it_writes_results(cli: CommandLine) -> None:
    good = [imap(f"m{n}") for n in range(5)]
    odd = [imap("m1"), imap("m9", port="993 or 143"), imap("m10", port="25"), imap("", hostname="localhost")]
    cli.write_csv("hosts.csv", [*good, *odd, *good])
    without, kept = cli("check", "hosts.csv"), cli("check", "hosts.csv", "--results", "marked.csv")
    assert without.exit_code == kept.exit_code == ExitCode.ROWS_LEFT
    lines = [line for line in without.stdout.splitlines() if line.startswith("hosts.csv: ")]
    assert len(lines) == 1 + 1 + 1 + 2 + 5
    assert lines == [line for line in kept.stdout.splitlines() if line.startswith("hosts.csv: ")]
    plain = cli("check", "hosts.csv", "--json").json
    marked = cli("check", "hosts.csv", "--json", "--results", "marked.csv").json
    assert plain.keys() == marked.keys()
    for own in ("run_id", "seconds", "results"):
        assert plain.pop(own) != marked.pop(own)
    assert plain == marked
    assert not list(cli.folder.glob("**/*.sqlite3"))


def checked(columns: str, *rows: str, path: Path, settings: Options | None = None) -> tuple[list[NewRow], str]:
    """The rows of a CSV file, and the notes about it."""
    file = path / "hosts.csv"
    file.write_text("\n".join((columns, *rows, "")), encoding="utf-8")
    with open_input(Input.at(file), settings or Options()) as opened:
        found = list(opened.rows)
        return found, opened.details.get("notes", "")


COLUMNS = "type,name,hostname,billing_plancode,note,enabled,interval"
WHOLE = "imap,{0},{0}.example.com,UBM - A/A,x,no,15"
EARLY = "imap,{0},{0}.example.com,UBM - A/A"


@pytest.mark.parametrize("whole", [0, 16])
def test_rows_without_the_delimiters_of_empty_cells_at_the_end_are_whole(tmp_path: Path, whole: int) -> None:
    """Excel writes as many cells as the longest of 16 rows has."""
    texts = [(WHOLE if n < whole else EARLY).format(f"m{n}") for n in range(40)]
    rows, _ = checked(COLUMNS, *texts, path=tmp_path)
    assert {row.state for row in rows} == {State.PENDING}
    assert [row.source_row for row in rows] == list(range(2, 42))
    assert [len(row.cells) for row in rows] == [7] * 40


@pytest.mark.parametrize(
    "rest",
    [
        ("part,no,15",),
        ("", "part,no,15"),
        ("second", "third,no,15"),
        (",FALSE",),
        ("FALSE",),
        ("no",),
    ],
)
def test_a_row_that_a_line_break_divides_is_not_taken_for_a_whole_one(tmp_path: Path, rest: tuple[str, ...]) -> None:
    rows, notes = checked(COLUMNS, WHOLE.format("a"), EARLY.format("b") + ",first", *rest, path=tmp_path)
    assert [row.state for row in rows[:2]] == [State.PENDING, Status.INVALID]
    assert [issue.code for issue in rows[1].issues] == ["row.split"]
    assert (rows[1].key, rows[1].body) == (None, None)
    assert {row.state for row in rows[2:]} == {Status.INVALID}
    assert notes == ""


@pytest.mark.parametrize(
    ("next_row", "state"),
    [
        ("imap,c,c.example.com,UBM - A/A,x,maybe,15", Status.INVALID),  # too long for a rest
        ("imap,c,c.example.com,UBM - A/A,x,maybe", Status.INVALID),
        ("imap," + "x" * 256 + ",c.example.com,UBM - A/A", Status.INVALID),
        (EARLY.format("c"), State.PENDING),
        (EARLY.format("b"), Status.DUPLICATE),
    ],
)
def test_a_short_row_above_a_row_of_its_own_is_whole(tmp_path: Path, next_row: str, state: str) -> None:
    rows, _ = checked(COLUMNS, EARLY.format("b"), next_row, path=tmp_path)
    assert [row.state for row in rows] == [State.PENDING, state]


def test_rows_of_only_0_and_false_are_blank_and_counted(cli: CommandLine) -> None:
    zeros = ["0,0,0,0,0,0,0", ",,,,,FALSE,", ",,,,,false,0.00", ",,,0,,\u200b,", "", ",,,,,FALSE,"]
    bad = [",,,0,,TRUE,", ",,x,0,,FALSE,"]
    rows = [WHOLE.format("a"), *zeros, *bad, WHOLE.format("b"), ",,,,,,0"]
    Path("hosts.csv").write_text("\n".join((COLUMNS, *rows, "")), encoding="utf-8")
    note = "6 rows that hold only 0 or FALSE were skipped: rows 3–6, 8, 12."
    assert note in (result := cli("check", "hosts.csv")).stderr
    assert result.exit_code == ExitCode.ROWS_LEFT
    assert note in cli("check", "hosts.csv", "--results", "marked.csv").stderr
    assert [row["source_row"] for row in cli.read_results("marked.csv")] == ["2", "9", "10", "11"]
    cli("run", "hosts.csv", "--sandbox", "--results", "page.html")
    assert note in Path("page.html").read_text(encoding="utf-8")


def test_a_file_of_only_zero_rows_says_why_it_has_no_rows(cli: CommandLine) -> None:
    Path("hosts.csv").write_text(f"{COLUMNS}\n,,,,,FALSE,\n", encoding="utf-8")
    result = cli("check", "hosts.csv")
    assert (result.exit_code, "1 row that holds only 0 or FALSE was skipped: row 2." in result.stderr) == (0, True)


def test_a_row_named_0_is_a_row(tmp_path: Path) -> None:
    defaults = {"type": "imap", "hostname": "a.example.com", "billing_plancode": "UBM - A/A"}
    rows, notes = checked("name,enabled", "0,FALSE", path=tmp_path, settings=Options(set=defaults))
    assert [row.state for row in rows] == [State.PENDING]
    assert notes == ""


def test_a_list_that_a_workbook_holds_as_a_number_is_refused_beside_one_that_is_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["type", "name", "hostname", "billing_plancode", "Ort"])
    for number, locations in enumerate(["1020", "1020", "1020", 1020, 20, 10273, 2000]):
        sheet.append(["imap", f"m{number}", f"m{number}.example.com", "UBM - A/A", locations])
    sheet["E5"].number_format = "#,##0"
    book.save(tmp_path / "hosts.xlsx")
    with open_input(Input.at(tmp_path / "hosts.xlsx"), Options(map={"Ort": "locations"})) as opened:
        rows = list(opened.rows)
    assert [row.source_row for row in rows if row.state is Status.INVALID] == [5]
    assert [(row.source_row, issue.severity) for row in rows for issue in row.issues] == [(5, "error"), (7, "warning")]
    assert json.loads(rows[4].body or "")["locations"] == [{"id": 20}]
