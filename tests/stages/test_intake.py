"""From raw rows to rows of the store: the quick way gives what the long way gives, and no two rows mean one monitor."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bulkload.errors import ExitCode
from bulkload.model import Issue, RawRow, State, Status
from bulkload.monitors.header import map_header
from bulkload.monitors.validate import Valid, Validator
from bulkload.stages import duplicates, row_templates
from bulkload.stages.intake import _bad, _checked, _good
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
        quick = list(_checked(iter(rows), layout, Validator(layout, defaults=defaults)))
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
