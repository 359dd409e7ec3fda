"""The columns of a draft: nothing is guessed, a choice counts for equal headers only, no row becomes a header."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from bulkload.operations.draft_columns import (
    choose_columns,
    defaults_by_field,
    problems_of,
    problems_of_defaults,
    proposal_of,
    proposals_of,
)
from bulkload.reports import formats
from bulkload.settings import Options
from bulkload.store.draft_records import READY
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.runs import Store
from tests.support.draft_workplace import workplace_in
from tests.support.drafts import (
    PLAN,
    again,
    codes,
    editor,
    locked_store,
    rows_of,
    run_of_draft,
    statuses,
    stored,
    upload,
    upload_text,
)

GERMAN = "Sorte,Titulierung,Maschine,Raum\n"
ROWS = "imap,a,a.example.com,r1\nimap,b,b.example.com,r2\n"
FIELDS = ("type", "name", "hostname", None)
BY_LETTERS = ("type", "name", "hostname")


@pytest.fixture
def options(tmp_path: Path) -> Options:
    folder = tmp_path / "store"
    folder.mkdir()
    return Options(output=folder, sandbox=True, set=PLAN)


def open_problems(store: Store, draft: Draft) -> list[tuple[int | None, str | None]]:
    """What a person has to choose: index and field of each problem."""
    proposal = proposal_of(store, draft)
    problems = problems_of(draft, proposal.fields, draft.defaults, is_chosen=proposal.is_chosen)
    return [(problem.index, problem.field) for problem in problems]


def test_clear_columns_need_no_person(options: Options) -> None:
    with locked_store(options) as store:
        draft = upload_text(store, "Protocol,Monitor Name,Server,,Note\n" + ROWS, options)
        assert (draft.state, draft.fields) == (DraftState.CHECKED, (*FIELDS, "note"))
        assert statuses(store, draft) == {2: READY, 3: READY}
        assert [codes(row) for row in rows_of(store, draft)] == [["column.headerless"]] * 2


def test_a_choice_is_remembered_for_an_equal_header_only(options: Options) -> None:
    with locked_store(options) as store:
        draft = upload_text(store, GERMAN + ROWS, options)
        assert draft.state is DraftState.COLUMNS
        assert open_problems(store, draft)[:4] == [(None, "type"), (None, "name"), (None, "hostname"), (0, None)]
        assert [problem.field for problem in choose_columns(store, draft, (None,) * 4, {})] == [
            "type", "name", "billing_plancode", "hostname",
        ]  # fmt: skip
        assert [problem.index for problem in choose_columns(store, draft, ("name", "name", None, None), PLAN)][:1] == [
            1
        ]
        assert again(store, draft).state is DraftState.COLUMNS
        assert Drafts(store).chosen_fields(draft.header) is None
        assert choose_columns(store, draft, FIELDS, PLAN) == []
        assert statuses(store, draft) == {2: READY, 3: READY}

        same = upload_text(store, GERMAN + ROWS.replace("a.", "c."), options)
        assert (same.state, same.fields) == (DraftState.CHECKED, FIELDS)
        for other in (GERMAN.replace("Raum", "Ort"), GERMAN.replace("Sorte", "SORTE"), GERMAN.replace("\n", ",x\n")):
            assert upload_text(store, other + ROWS, options).state is DraftState.COLUMNS

        waiting = upload_text(store, GERMAN + ROWS, options.model_copy(update={"set": {}}))
        assert waiting.state is DraftState.COLUMNS  # only the plan code is missing
        assert open_problems(store, waiting) == [(None, "billing_plancode")]
        assert proposal_of(store, waiting).remembered is not None

        changed = ("type", "name", "hostname", "note")
        assert choose_columns(store, again(store, same), changed, PLAN) == []
        assert upload_text(store, GERMAN + ROWS, options).fields == changed


def test_a_choice_is_remembered_for_results_of_the_run(tmp_path: Path) -> None:
    """Also the other way round; the columns of bulkload are read back as always."""
    with workplace_in(tmp_path / "store") as workplace:
        store, options = workplace.store, workplace.options
        draft = upload_text(store, GERMAN + ROWS, options)
        assert choose_columns(store, draft, FIELDS, PLAN) == []
        run = workplace.run(draft)
        results = tmp_path / "hosts-results.xlsx"
        formats.write(results, store.info(run), store.report_rows(run), output=options.output)

        back = upload(store, results, options)
        assert (back.state, statuses(store, back)) == (DraftState.CHECKED, {2: READY, 3: READY})
        assert workplace.outcome(workplace.run(back)) == {2: "exists", 3: "exists"}
        assert workplace.names() == Counter(a=1, b=1)

        changed = ("type", "name", "hostname", "note", *[None] * (len(back.header) - 4))
        assert choose_columns(store, again(store, back), changed, PLAN) == []
        assert upload_text(store, GERMAN + ROWS, options).fields == changed[:4]


def test_a_choice_against_the_names_can_be_undone(options: Options) -> None:
    header, by_name = "type,name,host,note\n", ("type", "name", "hostname", "note")
    with locked_store(options) as store:
        draft = upload_text(store, header + ROWS, options)
        assert Drafts(store).chosen_fields(draft.header) is None
        assert choose_columns(store, draft, FIELDS, PLAN) == []
        draft = upload_text(store, header + ROWS, options)
        assert (draft.state, draft.fields) == (DraftState.CHECKED, FIELDS)
        assert choose_columns(store, draft, by_name, PLAN) == []
        assert upload_text(store, header + ROWS, options).fields == by_name


def test_a_name_in_doubt_needs_a_person_each_time(tmp_path: Path, options: Options) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes(f"type,name,hostname,Hinweis\xfc\n{ROWS}".encode("latin-1"))
    with locked_store(options) as store:
        for _ in range(2):
            draft = upload(store, path, options)
            assert draft.state is DraftState.COLUMNS
            assert open_problems(store, draft) == [(3, None)]
            assert choose_columns(store, draft, FIELDS, PLAN) == []


def test_a_name_that_could_not_be_read_needs_a_person(tmp_path: Path, options: Options) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.append(["Sorte", "=A1", "Maschine", "Raum"])  # a formula without a value
    for line in ROWS.splitlines():
        sheet.append(line.split(","))
    path = tmp_path / "hosts.xlsx"
    book.save(path)
    with locked_store(options) as store:
        draft = upload(store, path, options)
        assert draft.header == ("Sorte", "", "Maschine", "Raum")
        assert (1, None) in open_problems(store, draft)
        assert "formula" in proposals_of(draft)[1].hint


def test_mapped_names_and_defaults_of_the_server_count(options: Options) -> None:
    own = {"map": {"Titulierung": "name", "maschine": "host", "SORTE": "type", "not there": "port"}}
    server = options.model_copy(update={**own, "set": {"plan": "UBM - A/A", "Check interval": "7"}})
    with locked_store(server) as store:
        draft = upload_text(store, GERMAN + ROWS, server)
        assert dict(draft.defaults) == {"billing_plancode": "UBM - A/A", "interval": "7"}
        assert open_problems(store, draft) == [(3, None)]
        assert choose_columns(store, draft, proposal_of(store, draft).fields, draft.defaults) == []
        (row, _) = stored(store, run_of_draft(store, draft, server))["rows"]
        assert '"interval":7' in row[6]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"interval": "0"}, [("interval", "interval is 0")]),
        ({"intervaal": "5"}, [("intervaal", '"intervaal" is not a field')]),
        ({"monitor_id": "5"}, [("monitor_id", "not a field that can have a default")]),
        ({"api:id": "5"}, [("api:id", "has its own column")]),
        ({"plan": "UBM - A/A:1:50", "port": "x"}, [("billing_plancode", "without the counts"), ("port", "port is x")]),
        ({"plan": "a", "billing_plancode": "b"}, [(None, "two defaults")]),
        ({"locations": "10;20", "home_location": "30"}, [(None, "Conflicting")]),
        ({"interval": " "}, []),
    ],
)
def test_a_default_that_cannot_be_used_is_a_problem_of_its_field(
    given: dict[str, str], expected: list[tuple[str | None, str]], options: Options
) -> None:
    server = options.model_copy(update={"set": PLAN | given if "plan" not in given else given})
    with locked_store(server) as store:
        draft = upload_text(store, "type,name,hostname\nimap,a,a.example.com\n", server)
        problems = problems_of_defaults(draft.defaults)
        assert [problem.field for problem in problems] == [field for field, _ in expected]
        for problem, (_, part) in zip(problems, expected, strict=True):
            assert part in problem.text
            assert "\n" not in problem.text
        assert draft.state is (DraftState.COLUMNS if expected else DraftState.CHECKED), draft.problem
        assert [
            problem.text for problem in choose_columns(store, draft, draft.fields or BY_LETTERS, draft.defaults)
        ] == [problem.text for problem in problems]
        assert choose_columns(store, again(store, draft), BY_LETTERS, PLAN) == []
        assert again(store, draft).state is DraftState.CHECKED


def test_names_of_defaults() -> None:
    named = defaults_by_field({"Plan": "a", "x": "c", "API:useTls": "d", "Check Interval": "5"})
    assert named == {"billing_plancode": "a", "x": "c", "api:useTls": "d", "interval": "5"}
    twice = {"Plan": "a", "billing_plancode": "b"}
    assert defaults_by_field(twice) == twice


def test_a_default_that_is_changed_checks_all_rows_again(options: Options) -> None:
    with locked_store(options) as store:
        draft = upload_text(
            store, "type,name,hostname,home_location\nimap,a,a.example.com,\nimap,b,b.example.com,30\n", options
        )
        assert statuses(store, draft) == {2: READY, 3: READY}
        version = again(store, draft).version
        assert (
            choose_columns(store, again(store, draft), again(store, draft).fields or (), PLAN | {"locations": "10;20"})
            == []
        )
        assert statuses(store, draft) == {2: READY, 3: "invalid"}
        assert again(store, draft).version > version


# ── files without column names ────────────────────────────────────────────────────────────────────────────


def shown_cells(store: Store, draft: Draft) -> dict[int, tuple[str, ...]]:
    return {row.number: row.cells for row in rows_of(store, draft)}


def test_without_names_the_first_row_is_a_row(options: Options) -> None:
    with locked_store(options) as store:
        draft = upload_text(store, "\n" + ROWS.replace(",r1", ""), options)
        assert draft.source is not None
        assert not draft.source.has_known_header
        draft = upload_text(store, "\n" + ROWS.replace(",r1", ""), options, headerless=True)
        assert draft.header == ("Column A", "Column B", "Column C", "Column D")
        assert shown_cells(store, draft) == {
            2: ("imap", "a", "a.example.com", ""),
            3: ("imap", "b", "b.example.com", "r2"),
        }
        assert choose_columns(store, draft, FIELDS, PLAN) == []
        assert statuses(store, draft) == {2: READY, 3: READY}
        again_without = upload_text(store, "name,imap,x.example.com,y\n", options, headerless=True)
        assert again_without.state is DraftState.COLUMNS  # the letters are no names that tell this file from others


def test_a_word_that_names_a_field_makes_no_header_of_a_row(options: Options) -> None:
    text = "imap,Mail server,mx.example.com\nimap,b,b.example.com\n"
    with locked_store(options) as store:
        draft = upload_text(store, text, options)
        assert draft.source is not None
        assert not draft.source.has_known_header  # so the page offers to take it as a row
        draft = upload_text(store, text, options, headerless=True)
        assert choose_columns(store, draft, BY_LETTERS, PLAN) == []
        assert statuses(store, draft) == {1: READY, 2: READY}


def test_the_header_is_the_one_that_check_finds(options: Options) -> None:
    text = "Server\n\ntype,name,host\nimap,a,a.example.com\n"
    with locked_store(options) as store:
        for headerless in (False, True):
            draft = upload_text(store, text, options, headerless=headerless)
            assert (draft.header, statuses(store, draft)) == (("type", "name", "host"), {4: READY})
        draft = upload_text(store, "host\nmx.example.com\n", options)  # a person can still give type and name
        assert (draft.header, draft.state) == (("host",), DraftState.COLUMNS)


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_worksheet_without_names_that_begins_in_row_5(is_merged: bool, tmp_path: Path, options: Options) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in (5, 6, 9, 10):
        for column, text in enumerate(("imap", f"m{row}", f"m{row}.example.com"), 3):
            sheet.cell(row, column, text)
    sheet["F10"], sheet["G6"], sheet["G5"] = "993", "#N/A", "=1"
    sheet["G6"].data_type = "e"
    if is_merged:
        sheet["F5"] = "143"
        sheet.merge_cells("F5:F9")
        sheet["H10"], sheet["I5"] = "no", "x"
        sheet.merge_cells("H10:I10")
    path = tmp_path / "hosts.xlsx"
    book.save(path)
    with locked_store(options) as store:
        draft = upload(store, path, options, headerless=True)
        cells = shown_cells(store, draft)
        assert list(cells) == [5, 6, 9, 10]
        ports = ["143", "143", "143", "993"] if is_merged else ["", "", "", "993"]
        assert [row[3] for row in cells.values()] == ports
        fields = ("type", "name", "hostname", "port", "enabled", "note", None)[: len(draft.header)]
        assert choose_columns(store, draft, fields, PLAN) == []
        found = {row.number: codes(row) for row in rows_of(store, draft)}
        wide = ["cell.merged"] if is_merged else []
        assert found == {5: ["cell.formula"], 6: ["cell.error"], 9: [], 10: wide * 2 if len(draft.header) > 6 else wide}
        run = run_of_draft(store, draft, options)
        assert [row.source_row for row in store.report_rows(run)] == [5, 6, 9, 10]


def test_merged_cells_below_unknown_names_count_for_each_of_their_rows(tmp_path: Path, options: Options) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.append(["Sorte", "Titulierung", "Maschine", "an", "Anschluss"])
    for number in range(2, 6):
        sheet.append(["imap", f"m{number}", f"m{number}.example.com", None, None])
    sheet["D2"], sheet["E2"], sheet["E5"] = "no", "143", "993"
    sheet.merge_cells("D2:D4")
    path = tmp_path / "hosts.xlsx"
    book.save(path)
    with locked_store(options) as store:
        draft = upload(store, path, options)
        assert [cells[3:] for cells in shown_cells(store, draft).values()] == [
            ("no", "143"),
            ("no", ""),
            ("no", ""),
            ("", "993"),
        ]
        assert draft.source is not None
        assert any("D2:D4" in note for note in draft.source.notes)


def test_rows_that_are_wider_than_the_first_ones_say_so(options: Options) -> None:
    text = ROWS + "imap,c,c.example.com\n" * 60 + "imap,d,d.example.com,r,too,much\n"
    with locked_store(options) as store:
        draft = upload_text(store, text, options, headerless=True)
        assert choose_columns(store, draft, FIELDS, PLAN) == []
        rows = rows_of(store, draft)
        assert len(rows) == 63
        assert codes(rows[-1]) == ["row.long"]


def test_rows_of_one_cell_and_titles_are_kept(options: Options) -> None:
    with locked_store(options) as store:
        draft = upload_text(store, "Our hosts\nimap,a,a.example.com\n,,\nb.example.com\n", options, headerless=True)
        assert list(shown_cells(store, draft)) == [1, 2, 4]
        assert choose_columns(store, draft, BY_LETTERS, PLAN) == []
        assert statuses(store, draft) == {1: "invalid", 2: READY, 4: "invalid"}


# ── how the file is read ──────────────────────────────────────────────────────────────────────────────────


def test_another_worksheet_and_another_encoding(tmp_path: Path, options: Options) -> None:
    book = openpyxl.Workbook()
    for name in ("first", "second"):
        sheet = book.create_sheet(name)
        sheet.append(["type", "name", "hostname"])
        sheet.append(["imap", name, f"{name}.example.com"])
    workbook, text = tmp_path / "hosts.xlsx", tmp_path / "hosts.csv"
    book.save(workbook)
    text.write_bytes("type,name,hostname\nimap,Büro,a.example.com\n".encode("cp1250"))
    with locked_store(options) as store:
        assert [cells[1] for cells in shown_cells(store, upload(store, workbook, options)).values()] == ["first"]
        draft = upload(store, workbook, options, sheet="second")
        assert [cells[1] for cells in shown_cells(store, draft).values()] == ["second"]
        missing = upload(store, workbook, options, sheet="third")
        assert (missing.state, "third" in missing.problem) == (DraftState.UNREADABLE, True)
        assert [codes(row) for row in rows_of(store, upload(store, text, options))] == [["cell.encoding"]]
        draft = upload(store, text, options, encoding="cp1250")
        assert [row.cells[1] for row in rows_of(store, draft)] == ["Büro"]
        assert [codes(row) for row in rows_of(store, draft)] == [[]]
        server = options.model_copy(update={"encoding": "cp1250"})
        assert [codes(row) for row in rows_of(store, upload(store, text, server))] == [[]]


def test_reading_again_forgets_what_was_read_before(options: Options) -> None:
    with locked_store(options) as store:
        draft = upload_text(store, "type,name,hostname\nimap,a,x\n", options)
        editor(store, draft).set_cells({(2, 1): "b"}, {})
        Drafts(store).set_reading(again(store, draft), {})
        tables: dict[str, Any] = {
            table: store.db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("draft_rows", "draft_issues", "draft_edits")
        }
        assert tables == {"draft_rows": 0, "draft_issues": 0, "draft_edits": 0}
        assert (again(store, draft).state, again(store, draft).fields) == (DraftState.READING, None)
