"""The rows of a run that have to be fixed become a draft that creates these, and nothing else, once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from bulkload.errors import UsageError
from bulkload.model import Status
from bulkload.operations.draft_columns import choose_columns
from bulkload.operations.draft_of_run import draft_of_run
from bulkload.operations.drafts import draft_input
from bulkload.operations.pipeline import begin
from bulkload.store.draft_records import READY
from bulkload.store.drafts import DraftState
from tests.support.draft_workplace import Workplace, workplace_in
from tests.support.drafts import PLAN, again, codes, editor, rows_of, statuses, upload, upload_text

TEXT = (
    "type,name,hostname,plan,interval\n"
    "imap,good,good.example.com,,15\n"
    "imap,rejected,rejected.example.com,UBM - X/X,15\n"
    "imap,invalid,invalid.example.com,,0\n"
    "imap,good,good.example.com,,15\n"
)


def test_invalid_rejected_and_duplicate_rows_are_created_once(workplace: Workplace) -> None:
    store = workplace.store
    first = upload_text(store, TEXT, workplace.options)
    run = workplace.run(first)
    assert workplace.outcome(run) == {2: "created", 3: "rejected", 4: "invalid", 5: "duplicate"}

    draft = draft_of_run(store, run, "somebody")
    assert draft.state is DraftState.CHECKED
    assert (draft.name, draft.user, draft.upload) == ("hosts.csv", "somebody", "")
    assert (draft.fields, dict(draft.defaults)) == (again(store, first).fields, PLAN)
    assert statuses(store, draft) == {3: READY, 4: "invalid", 5: READY}
    rejected = rows_of(store, draft)[0]
    assert (rejected.number, codes(rejected), rejected.issues[0].severity) == (3, ["row.rejected"], "warning")
    assert f"In run {run.id}, the API rejected this row: " in rejected.issues[0].message
    assert "UBM - X/X" in rejected.issues[0].message

    repeated = rows_of(store, draft)[2]
    assert (repeated.number, codes(repeated), repeated.issues[0].severity) == (5, ["row.repeated"], "warning")
    assert re.search(f"^In run {run.id}: .*row 2", repeated.issues[0].message)

    editor(store, draft).set_cells({(3, 3): "UBM - B/B", (4, 4): "5"}, {})
    assert codes(rows_of(store, draft)[0]) == ["row.rejected"]
    editor(store, draft).accept([3])
    again_run = workplace.run(draft)
    assert workplace.outcome(again_run) == {3: "created", 4: "created", 5: "exists"}
    assert workplace.outcome(workplace.run(draft)) == {3: "exists", 4: "exists", 5: "exists"}
    assert workplace.names() == Counter(good=1, rejected=1, invalid=1)
    with pytest.raises(UsageError, match="no row to fix"):
        draft_of_run(store, again_run, "")


def test_two_drafts_of_the_same_run_create_its_rows_once(workplace: Workplace) -> None:
    run = workplace.run(upload_text(workplace.store, TEXT, workplace.options))
    drafts = [draft_of_run(workplace.store, run, "") for _ in range(2)]
    for draft in drafts:
        editor(workplace.store, draft).set_cells({(3, 3): "", (4, 4): "5"}, {})
    assert workplace.outcome(workplace.run(drafts[0])) == {3: "created", 4: "created", 5: "exists"}
    assert workplace.outcome(workplace.run(drafts[1])) == {3: "exists", 4: "exists", 5: "exists"}
    assert workplace.names() == Counter(good=1, rejected=1, invalid=1)


def test_rows_to_fix_of_rows_to_fix(workplace: Workplace) -> None:
    """Unchanged, they are rejected again; what the API said before is not repeated."""
    run = workplace.run(upload_text(workplace.store, TEXT, workplace.options))
    for _ in range(2):
        draft = draft_of_run(workplace.store, run, "")
        assert {row.number: codes(row) for row in rows_of(workplace.store, draft)}[3] == ["row.rejected"]
        run = workplace.run(draft)
        assert workplace.outcome(run).items() >= {3: "rejected", 4: "invalid"}.items()
    assert workplace.names() == Counter(good=1)


def test_a_run_of_the_terminal_keeps_its_columns_and_values(workplace: Workplace, tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text("Art,name,Rechner,port\nimap,a,a.example.com,x\n", encoding="utf-8")
    settings = {"map": {"Art": "type", "rechner": "host"}, "set": {"plan": "UBM - B/B", "interval": "7"}}
    run = workplace.run(path, **settings)
    draft = draft_of_run(workplace.store, run, "")
    assert draft.state is DraftState.CHECKED
    assert draft.fields == ("type", "name", "hostname", "port")
    assert dict(draft.defaults) == {"billing_plancode": "UBM - B/B", "interval": "7"}
    editor(workplace.store, draft).set_cells({(2, 3): "143"}, {})
    workplace.run(draft)
    (monitor,) = workplace.sandbox.monitors()
    assert (monitor["billing_plancode"], monitor["interval"]) == ("UBM - B/B", 7)


def test_columns_that_a_person_chose(workplace: Workplace) -> None:
    store = workplace.store
    draft = upload_text(store, "a,b,c,d\nimap,m,m.example.com,x\n", workplace.options)
    assert choose_columns(store, draft, ("type", "name", "hostname", "port"), PLAN | {"interval": "9"}) == []
    fixed = draft_of_run(store, workplace.run(draft), "")
    assert (fixed.state, fixed.fields) == (DraftState.CHECKED, ("type", "name", "hostname", "port"))
    assert dict(fixed.defaults) == PLAN | {"interval": "9"}


RESULTS = (
    "type,name,hostname,interval,status,monitor_id,error,error_columns,next_step,attempts,source_row,run_id\n"
    "imap,a,a.example.com,0,invalid,{id},,,,0,2,r\n"
    "imap,b,b.example.com,5,created,1234567,,,,1,3,r\n"
)


def test_rows_still_name_their_monitors(workplace: Workplace) -> None:
    """Two monitors with other names: without their IDs, the rows would create two more."""
    store = workplace.store
    created = workplace.run(upload_text(store, "type,name,hostname\nimap,old,a.example.com\n", workplace.options))
    (monitor_id,) = (row.monitor_id for row in store.report_rows(created))
    text = RESULTS.format(id=monitor_id)
    for source in ("page", "terminal"):
        if source == "page":
            run = workplace.run(upload_text(store, text, workplace.options))
        else:
            path = workplace.options.output / "results.csv"
            path.write_text(text, encoding="utf-8")
            run = workplace.run(path)
        draft = draft_of_run(store, run, "")
        assert draft.header == ("type", "name", "hostname", "interval", "monitor_id")
        assert draft.fields == ("type", "name", "hostname", "interval", "monitor_id")
        (row,) = [row for row in rows_of(store, draft) if row.number == 2]
        assert row.cells == ("imap", "a", "a.example.com", "0", monitor_id)
        editor(store, draft).set_cells({(2, 3): "5"}, {})
        ended = [row for row in store.report_rows(workplace.run(draft)) if row.source_row == 2]
        assert [(row.status, row.monitor_id) for row in ended] == [(Status.EXISTS, monitor_id)]
    assert workplace.names() == Counter(old=1)


def test_an_own_column_of_ids_is_used(workplace: Workplace) -> None:
    store = workplace.store
    text = "monitor_id,type,name,hostname,interval\n77,imap,a,a.example.com,0\n,imap,b,b.example.com,0\n"
    draft = draft_of_run(store, workplace.run(upload_text(store, text, workplace.options)), "")
    assert draft.header == ("monitor_id", "type", "name", "hostname", "interval")
    assert [row.cells[0] for row in rows_of(store, draft)] == ["77", ""]


def test_what_the_reader_found_is_not_lost(workplace: Workplace, tmp_path: Path) -> None:
    """A cell that could not be read is empty in a run; the draft of the run must not create it like that."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.append(["type", "name", "hostname", "enabled", "interval", "remark"])
    sheet.append(["imap", "a", "a.example.com", "=1", "15", "#N/A"])
    sheet["F2"].data_type = "e"
    path = tmp_path / "hosts.xlsx"
    book.save(path)
    store = workplace.store
    draft = upload(store, path, workplace.options)
    assert choose_columns(store, draft, ("type", "name", "hostname", "enabled", "interval", None), PLAN) == []
    draft = draft_of_run(store, workplace.run(draft), "")
    (row,) = rows_of(store, draft)
    assert row.cells[3] == ""
    assert [(issue.code, issue.index, issue.severity) for issue in row.issues] == [
        ("cell.formula", 3, "error"),
        ("cell.error", 5, "warning"),
    ]
    editor(store, draft).set_cells({(2, 4): "20"}, {})
    assert statuses(store, draft) == {2: "invalid"}
    assert (
        choose_columns(store, again(store, draft), ("type", "name", "hostname", "enabled", "interval", "note"), PLAN)
        == []
    )
    editor(store, draft).set_cells({(2, 3): "no"}, {})
    assert [codes(row) for row in rows_of(store, draft)] == [["cell.error"]]
    editor(store, draft).set_cells({(2, 5): "a note"}, {})
    workplace.run(draft)
    (monitor,) = workplace.sandbox.monitors()
    assert (monitor["enabled"], monitor["interval"], monitor["note"]) == (False, 20, "a note")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("imap,a,a.example.com,5,,,too much", "row.long"),
        ("imap,a,a.example.com,5\nof a note,x", "row.split"),
        ('imap,"a"b,a.example.com,5,,', "row.quote"),
    ],
)
def test_what_is_wrong_with_a_whole_row_is_not_lost(lines: str, code: str, workplace: Workplace) -> None:
    store = workplace.store
    text = f"type,name,hostname,interval,note,enabled\n{lines}\n"
    draft = draft_of_run(store, workplace.run(upload_text(store, text, workplace.options)), "")
    assert code in codes(rows_of(store, draft)[0])
    editor(store, draft).set_cells({(2, 4): "x"}, {})
    assert statuses(store, draft)[2] == "invalid"
    cells = ("imap", "a", "a.example.com", "5")
    editor(store, draft).set_cells({(2, column): text for column, text in enumerate(cells)}, {})
    editor(store, draft).accept([2])
    assert statuses(store, draft)[2] == READY


def test_text_of_unknown_encoding_is_not_lost(workplace: Workplace, tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes("type,name,hostname,note\nimap,a,a.example.com,B\xfcro\n".encode("latin-1"))
    store = workplace.store
    draft = draft_of_run(store, workplace.run(upload(store, path, workplace.options)), "")
    (row,) = rows_of(store, draft)
    assert row.cells[3] == "B\N{REPLACEMENT CHARACTER}ro"
    editor(store, draft).accept([2])
    assert statuses(store, draft) == {2: "invalid"}
    editor(store, draft).set_cells({(2, 3): "Büro"}, {})
    assert statuses(store, draft) == {2: READY}


@pytest.mark.parametrize("target", ["sandbox", "account"])
def test_a_draft_goes_where_its_run_went(target: str, tmp_path: Path) -> None:
    with workplace_in(tmp_path / "store") as workplace:
        options = workplace.options.model_copy(update={"sandbox": target == "sandbox", "on_existing": "update"})
        draft = upload_text(workplace.store, TEXT, options)
        run = begin(
            workplace.store,
            draft_input(workplace.store, draft.id),
            workplace.account,
            options.model_copy(update={"ignore_unknown": True}),
        ).run
        draft = draft_of_run(workplace.store, run, "")
        assert (draft.is_rehearsal, draft.on_existing) == (target == "sandbox", "update")


def test_a_run_without_rows_to_fix_leaves_no_draft(workplace: Workplace) -> None:
    run = workplace.run(upload_text(workplace.store, "type,name,hostname\nimap,a,a.example.com\n", workplace.options))
    with pytest.raises(UsageError, match="has no row to fix"):
        draft_of_run(workplace.store, run, "")
    assert workplace.store.db.execute("SELECT count(*) FROM drafts").fetchone()[0] == 1
