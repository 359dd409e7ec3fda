"""Edits of a draft: what a check says after them is what a check of all rows says, and each can be taken back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet

from bulkload.errors import UsageError
from bulkload.files.printable import printable
from bulkload.operations import draft_check
from bulkload.operations.draft_check import check_draft, check_interrupted
from bulkload.operations.draft_columns import choose_columns
from bulkload.operations.draft_edits import ChangedMeanwhile, DraftEditor, can_accept
from bulkload.settings import Options
from bulkload.store.draft_pages import DraftPages
from bulkload.store.draft_records import IGNORED, LEFT_OUT, READY
from bulkload.store.draft_rows import DraftRows
from bulkload.store.drafts import Draft
from bulkload.store.runs import Store
from tests.support.drafts import (
    PLAN,
    again,
    check_of_draft,
    codes,
    editor,
    everything,
    locked_store,
    rows_of,
    run_of_draft,
    statuses,
    stored,
    upload,
    upload_text,
)

Edit = Callable[[DraftEditor], int]

HEADER = ("type", "name", "hostname", "monitor_id", "port", "enabled")
# few texts, so that rows often mean the same monitor, and are often wrong in the same way
TEXTS = {
    "type": ("imap", "imap", "pop", "imapp", ""),
    "name": ("a", "a", "b", "c", "0", ""),
    "hostname": ("mx1.example.com", "mx1.example.com", "MX1.example.com", "mx1", "0", ""),
    "monitor_id": ("", "", "1", "2", "x", "0"),
    "port": ("", "143", "993", "99999", "1,993", "0"),
    "enabled": ("yes", "", "maybe", "FALSE"),
}
ANY_TEXT = st.sampled_from(sorted({text for texts in TEXTS.values() for text in texts} | {"\N{REPLACEMENT CHARACTER}"}))
WIDTHS = st.sampled_from((len(HEADER),) * 4 + (1, 2, 3, 4, 5, 8))
NUMBERS = st.integers(2, 10)
COLUMNS = st.integers(0, len(HEADER) - 1)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A row, sometimes too short or too long."""
    cells = [draw(st.sampled_from(TEXTS[name])) for name in HEADER] + ["more", "and more"]
    line = ",".join(f'"{cell}"' if "," in cell else cell for cell in cells[: draw(WIDTHS)])
    return line.replace(",c,", ",\xe9,")  # in the bytes of a file that is not UTF-8


EDITS = st.one_of(
    st.tuples(st.just("set_cells"), st.dictionaries(st.tuples(NUMBERS, COLUMNS), ANY_TEXT, min_size=1, max_size=3)),
    st.tuples(st.just("set_kind"), st.integers(0, 20), st.none() | ANY_TEXT),
    st.tuples(st.just("fill"), COLUMNS, ANY_TEXT, st.booleans()),
    st.tuples(st.just("restore"), NUMBERS, COLUMNS),
    st.tuples(st.just("leave_out"), st.lists(NUMBERS, min_size=1, max_size=3)),
    st.tuples(st.just("leave_out_kind"), st.integers(0, 20)),
    st.tuples(st.just("put_back"), st.lists(NUMBERS, min_size=1, max_size=3)),
    st.tuples(st.just("accept"), st.lists(NUMBERS, min_size=1, max_size=3)),
    st.tuples(st.just("take_back")),
)


def apply(store: Store, draft: Draft, edit: tuple[Any, ...]) -> None:
    """Make an edit; one that is refused must change nothing."""
    kinds = [tuple(kind.key) for kind in kinds_of(store, draft)]
    before = everything(store, draft)
    now = editor(store, draft)
    try:
        match edit:
            case ("set_cells", texts):
                now.set_cells(texts, {})
            case ("set_kind", number, text) if kinds:
                now.set_kind(kinds[number % len(kinds)], text)
            case ("fill", column, text, only_empty):
                now.fill(column, text, only_empty=only_empty)
            case ("restore", number, column):
                now.restore(number, column)
            case ("leave_out", numbers):
                now.leave_out(numbers)
            case ("leave_out_kind", number) if kinds:
                now.leave_out((), kind=kinds[number % len(kinds)])
            case ("put_back", numbers):
                now.put_back(numbers)
            case ("accept", numbers):
                now.accept(numbers)
            case ("take_back",):
                now.take_back()
    except UsageError:
        assert everything(store, draft) == before


def kinds_of(store: Store, draft: Draft) -> Any:
    return DraftPages(store, again(store, draft)).kinds()


def assert_as_checked_all(store: Store, draft: Draft) -> None:
    """What was checked piece by piece is what a check of all rows says."""
    piece_by_piece = everything(store, draft)
    check_draft(store, again(store, draft))
    assert piece_by_piece == everything(store, draft)


@settings(max_examples=150)
@given(st.lists(lines(), min_size=1, max_size=9), st.lists(EDITS, max_size=6), st.booleans())
def test_any_edits(rows: list[str], edits: list[tuple[Any, ...]], ends_whole: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, locked_store(Options(output=Path(folder), set=PLAN)) as store:
        path = Path(folder) / "hosts.csv"
        path.write_bytes("\n".join([",".join(HEADER), *rows, "" if ends_whole else "imap"]).encode("latin-1"))
        draft = upload(store, path, Options(output=Path(folder), set=PLAN))
        first = everything(store, draft)
        for edit in edits:
            apply(store, draft, edit)
            assert_as_checked_all(store, draft)
        while editor(store, draft).take_back():
            assert_as_checked_all(store, draft)
        assert everything(store, draft) == first


ROW = st.tuples(st.sampled_from("abc"), st.sampled_from(("", "1", "2", "3")))
SMALL_EDIT = st.one_of(
    st.tuples(
        st.just("set_cells"), st.dictionaries(st.tuples(NUMBERS, st.just(1)), st.sampled_from("abc"), min_size=1)
    ),
    st.tuples(
        st.just("set_cells"),
        st.dictionaries(st.tuples(NUMBERS, st.just(3)), st.sampled_from(("", "1", "2")), min_size=1),
    ),
    st.tuples(st.just("leave_out"), st.lists(NUMBERS, min_size=1, max_size=2)),
    st.tuples(st.just("put_back"), st.lists(NUMBERS, min_size=1, max_size=2)),
    st.tuples(st.just("take_back")),
)


@settings(max_examples=150)
@given(st.lists(ROW, min_size=4, max_size=9), st.lists(SMALL_EDIT, min_size=1, max_size=5))
def test_rows_that_repeat_each_other_by_name_or_by_id(
    rows: list[tuple[str, str]], edits: list[tuple[Any, ...]]
) -> None:
    with tempfile.TemporaryDirectory() as folder, locked_store(Options(output=Path(folder), set=PLAN)) as store:
        text = "".join(f"imap,{name},mx.example.com,{given_id}\n" for name, given_id in rows)
        draft = upload_text(store, "type,name,hostname,monitor_id\n" + text, Options(output=Path(folder), set=PLAN))
        for edit in edits:
            with suppress(UsageError):
                apply(store, draft, edit)
            assert_as_checked_all(store, draft)


def test_a_chain_of_rows_by_name_and_id(options: Options) -> None:
    """Row 3 repeats row 2 by its ID, so row 4 is the first with the name of row 3; without row 2, it is not."""
    rows = ("a,1", "b,1", "b,", "b,", "c,1", "c,")
    text = "type,name,hostname,monitor_id\n" + "".join(f"imap,{row[0]},mx.example.com,{row[2:]}\n" for row in rows)
    with locked_store(options) as store:
        draft = upload_text(store, text, options)
        bad = {number for number, status in statuses(store, draft).items() if status == "duplicate"}
        assert bad == {3, 5, 6}
        editor(store, draft).set_cells({(2, 3): "9"}, {})
        assert_as_checked_all(store, draft)
        bad = {number for number, status in statuses(store, draft).items() if status == "duplicate"}
        assert bad == {4, 5, 6}


def test_zeros_below_a_row_that_ends_early(options: Options) -> None:
    """They are no row, unless they can be the rest of the row above; that depends on whether that row is good."""
    with locked_store(options) as store:
        draft = upload_text(store, "type,name,hostname,port,note\nimap,a,a.example.com,x\n0,0\n", options)
        assert statuses(store, draft) == {2: "invalid", 3: IGNORED}
        editor(store, draft).set_cells({(2, 3): "143"}, {})
        assert statuses(store, draft) == {2: "invalid", 3: "invalid"}
        assert codes(rows_of(store, draft)[0]) == ["row.split"]
        assert_as_checked_all(store, draft)
        editor(store, draft).accept([2])
        assert statuses(store, draft) == {2: READY, 3: IGNORED}
        assert_as_checked_all(store, draft)


@settings(max_examples=60)
@given(st.lists(lines(), min_size=1, max_size=9), st.lists(EDITS, max_size=5))
def test_a_run_does_with_each_row_what_is_shown(rows: list[str], edits: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = Options(output=Path(folder), set=PLAN, sandbox=True)
        with locked_store(options) as store:
            draft = upload_text(store, "\n".join([",".join(HEADER), *rows]), options)
            for edit in edits:
                apply(store, draft, edit)
            shown = statuses(store, draft)
            cells = {row.number: list(row.cells) for row in rows_of(store, draft)}
            run = stored(store, run_of_draft(store, draft, options))["rows"]
            assert {row[1]: row[3].replace("pending", READY) for row in run} == {
                number: status for number, status in shown.items() if status not in (LEFT_OUT, IGNORED)
            }
            doubtful = {
                number for number, record in check_of_draft(store, draft).issues if record["code"] == "cell.encoding"
            }
            assert all(stored_cells(row) == cells[row[1]] for row in run if row[1] not in doubtful)


def stored_cells(row: tuple[Any, ...]) -> Any:
    return json.loads(row[2])


def test_many_changes_are_checked_with_all_rows(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    text = ",".join(HEADER) + "\n" + "".join(f"imap,m{n % 7},m.example.com,,,\n" for n in range(40))
    with locked_store(options) as store:
        draft = upload_text(store, text, options)
        for most in (5_000, 10, 30):
            monkeypatch.setattr(draft_check, "MOST_AT_ONCE", most)
            assert editor(store, draft).set_cells({(5, 1): "m1"}, {}) == 1
            assert_as_checked_all(store, draft)
            assert editor(store, draft).fill(4, "99999", only_empty=True) == 40
            assert_as_checked_all(store, draft)
            assert editor(store, draft).take_back() == 40
            assert editor(store, draft).take_back() == 1
        assert sum(status == "duplicate" for status in statuses(store, draft).values()) == 33


# ── what the reader found ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(output=tmp_path, sandbox=True, set=PLAN)


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Two rows: one with an error and a formula without value, one with a number that may have been a list."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.append(["type", "name", "hostname", "enabled", "interval", "locations"])
    sheet.append(["imap", "a", "a.example.com", "#N/A", "=1+1", None])
    sheet.append(["imap", "b", "b.example.com", None, None, 1020])
    sheet["D2"].data_type = "e"
    path = tmp_path / "hosts.xlsx"
    book.save(path)
    return path


def test_a_cell_that_could_not_be_read_is_bad_until_it_is_changed(workbook: Path, options: Options) -> None:
    with locked_store(options) as store:
        draft = upload(store, workbook, options)
        row, other = rows_of(store, draft)
        assert codes(row) == ["cell.error", "cell.formula"]
        assert not can_accept(row.issues, row.cells)
        assert codes(other) == ["locations.joined"]
        edits = editor(store, draft)
        edits.set_cells({(2, 1): "new", (2, 0): "pop"}, {})
        edits.accept([2])
        edits.fill(5, "10", only_empty=True)
        edits.leave_out([2])
        edits.put_back([2])
        assert codes(rows_of(store, draft)[0]) == ["cell.error", "cell.formula"]
        edits.set_cells({(2, 3): "no"}, {})
        assert codes(rows_of(store, draft)[0]) == ["cell.formula"]
        edits.set_cells({(2, 4): " "}, {})  # it is meant to be empty
        assert statuses(store, draft) == {2: READY, 3: "invalid"}
        edits.restore(2, 4)
        edits.restore(2, 3)
        assert codes(rows_of(store, draft)[0]) == ["cell.error", "cell.formula"]
        edits.set_cells({(3, 5): "10;20"}, {})
        assert statuses(store, draft)[3] == READY
        edits.set_cells({(3, 5): "1020"}, {})
        assert statuses(store, draft)[3] == "invalid"


def test_a_text_of_unknown_encoding_can_be_accepted_but_not_if_it_is_lost(tmp_path: Path, options: Options) -> None:
    path = tmp_path / "hosts.csv"
    lines = ("type,name,hostname", "imap,B\xfcro,a.example.com", "imap,\x81\xfc,b.example.com")
    path.write_bytes("\n".join((*lines, "")).encode("latin-1"))
    with locked_store(options) as store:
        draft = upload(store, path, options)
        assert [codes(row) for row in rows_of(store, draft)] == [["cell.encoding"], ["cell.encoding"]]
        assert [can_accept(row.issues, row.cells) for row in rows_of(store, draft)] == [True, False]
        editor(store, draft).accept([2, 3])
        assert statuses(store, draft) == {2: READY, 3: "invalid"}
        assert "cell.encoding" in codes(rows_of(store, draft)[1])
        editor(store, draft).set_cells({(3, 1): "new"}, {})
        assert statuses(store, draft) == {2: READY, 3: READY}
        editor(store, draft).set_cells({(2, 2): "c.example.com"}, {})
        assert statuses(store, draft)[2] == READY
        while editor(store, draft).take_back():
            pass
        assert [codes(row) for row in rows_of(store, draft)] == [["cell.encoding"], ["cell.encoding"]]


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        (["imap,a,a.example.com,993,yes,x,too,much"], "row.long", 2),
        (["imap,a b", "c,mx.example.com"], "row.short", 2),
        (["imap,a,a.example.com,993", "rest of the name,yes"], "row.split", 2),
        (['imap,"a"b,a.example.com,993,yes,x'], "row.quote", 2),
    ],
)
def test_what_is_wrong_with_a_whole_row_stays_until_it_is_accepted(
    lines: list[str], code: str, number: int, options: Options
) -> None:
    header = ("type", "name", "hostname", "port", "enabled", "note")
    with locked_store(options) as store:
        draft = upload_text(store, "\n".join([",".join(header), *lines, ""]), options)
        row = rows_of(store, draft)[number - 2]
        assert code in codes(row)
        assert can_accept(row.issues, row.cells)
        good = ("imap", "a", "a.example.com", "143", "no", "complete")
        for column, text in enumerate(good):
            editor(store, draft).set_cells({(number, column): text}, {})
            assert codes(rows_of(store, draft)[number - 2])[0] == code or code == "row.short"
        if len(lines) > 1:
            editor(store, draft).set_cells({(number + 1, 0): "imap", (number + 1, 2): "mx.example.com"}, {})
            editor(store, draft).leave_out([number + 1])
        if code != "row.short":
            assert statuses(store, draft)[number] == "invalid"
            assert code in codes(rows_of(store, draft)[number - 2])
        editor(store, draft).accept([number])
        assert codes(rows_of(store, draft)[number - 2]) == []
        assert statuses(store, draft)[number] == READY
        while editor(store, draft).take_back():
            pass
        assert code in codes(rows_of(store, draft)[number - 2])


def test_a_row_stays_divided_if_its_rest_is_left_out_or_completed(options: Options) -> None:
    text = "type,name,hostname,port,note\nimap,a,a.example.com,143\nof a note,x\n"
    with locked_store(options) as store:
        draft = upload_text(store, text, options)
        assert "row.split" in codes(rows_of(store, draft)[0])
        editor(store, draft).leave_out([3])
        assert "row.split" in codes(rows_of(store, draft)[0])
        run = run_of_draft(store, draft, options)
        assert [row.status for row in store.report_rows(run)] == ["invalid"]
        editor(store, draft).put_back([3])
        editor(store, draft).set_cells({(3, 0): "imap", (3, 1): "b", (3, 2): "b.example.com"}, {})
        assert statuses(store, draft) == {2: "invalid", 3: READY}
        editor(store, draft).accept([3])
        assert statuses(store, draft) == {2: "invalid", 3: READY}
        editor(store, draft).accept([2])
        assert statuses(store, draft) == {2: READY, 3: READY}


@pytest.mark.parametrize("names", [("host", "host"), ("C", "host"), ("host", "B"), ("", "")])
def test_columns_with_the_same_name_are_told_apart(names: tuple[str, str], tmp_path: Path, options: Options) -> None:
    """What is wrong with one cell is not settled by an edit of another one whose column has the same name."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.append(["type", *names, "name", "email", "x"])
    sheet.append(["round-trip", "#N/A", "#N/A", "n", "probe@example.com", "1"])
    sheet["B2"].data_type = sheet["C2"].data_type = "e"
    path = tmp_path / "hosts.xlsx"
    book.save(path)
    fields = ("type", "smtp_hostname", "pop3_hostname", "name", "email", None)
    with locked_store(options) as store:
        draft = upload(store, path, options)
        assert choose_columns(store, draft, fields, PLAN) == []
        (row,) = rows_of(store, draft)
        assert [(issue.index, issue.field) for issue in row.issues] == [(1, "smtp_hostname"), (2, "pop3_hostname")]
        editor(store, draft).set_kind(("cell.error", "1"), "mx1.example.com")
        (row,) = rows_of(store, draft)
        assert [(issue.index, issue.field) for issue in row.issues] == [(2, "pop3_hostname")]
        assert row.cells[1:3] == ("mx1.example.com", "#N/A")
        run = run_of_draft(store, draft, options)
        assert [report.status for report in store.report_rows(run)] == ["invalid"]
        editor(store, draft).set_kind(("cell.error", "2"), "mx2.example.com")
        assert statuses(store, draft) == {2: READY}


# ── results files ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prefix", ["", "bulkload_"])
def test_only_the_ids_of_a_results_file_can_be_changed(prefix: str, options: Options) -> None:
    own = ("status", "monitor_id", "error", "error_columns", "next_step", "attempts", "source_row", "run_id")
    header = ",".join(["type", "name", "hostname", *(prefix + name for name in own)])
    lines = (
        "imap,a,a.example.com,created,1.9E+18,,,,1,2,r",
        "imap,b,b.example.com,created,1001,,,,1,3,r",
        "imap,c,c.example.com,rejected,,no,,fix,1,4,r",
    )
    with locked_store(options) as store:
        draft = upload_text(store, "\n".join((header, *lines, "")), options)
        assert statuses(store, draft) == {2: "invalid", 3: READY, 4: READY}
        before = everything(store, draft)
        for column in (3, 5, 6, 7, 8, 9, 10):
            attempts: list[Edit] = [
                partial(DraftEditor.set_cells, texts={(2, 1): "x", (2, column): "created"}, expected={}),
                partial(DraftEditor.fill, column=column, text="created", only_empty=True),
                partial(DraftEditor.restore, number=2, column=column),
            ]
            for attempt in attempts:
                with pytest.raises(UsageError, match="earlier run"):
                    attempt(editor(store, draft))
        assert editor(store, draft).set_kind(("status.unknown", "3"), "created") == 0
        assert everything(store, draft) == before
        editor(store, draft).set_cells({(2, 4): "1000"}, {})
        rows = stored(store, run_of_draft(store, draft, options))["rows"]
        assert [(row[8], row[9]) for row in rows] == [("1000", 1), ("1001", 1), (None, 0)]
        editor(store, draft).set_cells({(2, 4): "1001"}, {})
        assert statuses(store, draft) == {2: READY, 3: "duplicate", 4: READY}


# ── people ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def three_rows(options: Options) -> Iterator[tuple[Store, Draft]]:
    text = ",".join(HEADER) + "\n" + "".join(f"imap,m{n},m{n}.example.com,,{n}x,\n" for n in (1, 2, 3))
    with locked_store(options) as store:
        yield store, upload_text(store, text, options)


def test_a_cell_that_somebody_else_changed_is_not_overwritten(three_rows: tuple[Store, Draft]) -> None:
    store, draft = three_rows
    editor(store, draft).set_cells({(2, 4): "143"}, {(2, 4): "1x"})
    before = everything(store, draft)
    with pytest.raises(ChangedMeanwhile, match="Row 2, port is 143 by now"):
        editor(store, draft).set_cells({(2, 4): "993", (3, 4): "143"}, {(2, 4): "1x", (3, 4): "2x"})
    assert everything(store, draft) == before
    assert editor(store, draft).set_cells({(2, 4): "143", (3, 4): "143"}, {(2, 4): "1x", (3, 4): "2x"}) == 1
    assert editor(store, draft).set_cells({(2, 1): "m9"}, {(2, 1): "m1"}) == 1  # another cell of a changed row


def test_a_cell_is_compared_as_the_page_shows_it(options: Options) -> None:
    with locked_store(options) as store:
        draft = upload_text(store, "type,name,hostname\nimap,a\x01b,a.example.com\n", options)
        assert editor(store, draft).set_cells({(2, 1): "ab"}, {(2, 1): printable("a\x01b")}) == 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda edits: edits.set_cells({(2, 6): "x"}, {}), "no such column"),
        (lambda edits: edits.set_cells({(2, -1): "x"}, {}), "no such column"),
        (lambda edits: edits.set_cells({(99, 1): "x"}, {}), "no row 99"),
        (lambda edits: edits.set_cells({(2, 1): "x" * 10_001}, {}), "10,000 characters"),
        (lambda edits: edits.fill(6, "x", only_empty=False), "no such column"),
        (lambda edits: edits.fill(1, "x" * 10_001, only_empty=False), "10,000 characters"),
        (lambda edits: edits.restore(2, 6), "no such column"),
        (lambda edits: edits.set_kind(("row.long", ""), "x"), "cells one by one"),
        (lambda edits: edits.set_kind(("port.number", "name"), "x"), "cells one by one"),
    ],
)
def test_an_edit_that_cannot_be_made_changes_nothing(three_rows: tuple[Store, Draft], edit: Edit, message: str) -> None:
    store, draft = three_rows
    before = everything(store, draft), again(store, draft).version
    with pytest.raises(UsageError, match=message):
        edit(editor(store, draft))
    assert (everything(store, draft), again(store, draft).version) == before


@pytest.mark.parametrize(
    "edit",
    [
        lambda edits: edits.set_cells({(2, 1): "m1"}, {}),
        lambda edits: edits.fill(0, "imap", only_empty=True),
        lambda edits: edits.leave_out([99]),
        lambda edits: edits.leave_out([]),
        lambda edits: edits.put_back([2]),
        lambda edits: edits.restore(2, 1),
        lambda edits: edits.set_kind(("port.range", "4"), "x"),
        lambda edits: edits.set_kind(("port.number", "99"), "x"),
        lambda edits: edits.set_kind(("port.number", "4"), None),  # no suggestions
        lambda edits: edits.take_back(),
    ],
)
def test_an_edit_without_effect_is_none(three_rows: tuple[Store, Draft], edit: Edit) -> None:
    store, draft = three_rows
    version = again(store, draft).version
    assert edit(editor(store, draft)) == 0
    assert again(store, draft).version == version
    assert DraftRows(store, draft).edits() == (0, "")


def test_what_an_edit_was(three_rows: tuple[Store, Draft]) -> None:
    store, draft = three_rows
    rows = DraftRows(store, draft)
    seen, edits = [], list[Edit]()
    edits += [
        lambda edits: edits.set_cells({(2, 4): "143"}, {}),
        lambda edits: edits.set_cells({(2, 4): "110", (3, 4): "993"}, {}),
        lambda edits: edits.set_kind(("port.number", "4"), "143"),
        lambda edits: edits.fill(5, "yes", only_empty=True),
        lambda edits: edits.leave_out([2, 3]),
        lambda edits: edits.put_back([3]),
        lambda edits: edits.accept([3]),
    ]
    for edit in edits:
        edit(editor(store, draft))
        seen.append(rows.edits())
    assert seen == [
        (1, "row 2, port"),
        (2, "2 cells"),
        (3, "port in row 4"),
        (4, "enabled in 3 rows"),
        (5, "2 rows left out"),
        (6, "row 3 put back"),
        (7, "row 3 taken as shown"),
    ]


def test_an_edit_that_was_not_checked_is_checked_later(
    three_rows: tuple[Store, Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may end between the change and its check."""
    store, draft = three_rows
    with monkeypatch.context() as patch:
        patch.setattr("bulkload.operations.draft_edits.check_changed", lambda *_: None)
        editor(store, draft).set_cells({(2, 4): "143", (3, 1): "m1", (3, 2): "m1.example.com", (3, 4): "143"}, {})
    assert statuses(store, draft)[2] == "invalid"
    check_interrupted(store)
    assert statuses(store, draft) == {2: READY, 3: "duplicate", 4: "invalid"}
    with monkeypatch.context() as patch:
        patch.setattr("bulkload.operations.draft_edits.check_changed", lambda *_: None)
        editor(store, draft).set_cells({(3, 1): "m3"}, {})
    editor(store, draft).set_cells({(4, 4): "143"}, {})
    assert statuses(store, draft) == {2: READY, 3: READY, 4: READY}
    assert_as_checked_all(store, draft)
