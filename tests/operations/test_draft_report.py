"""The marked workbook of a draft: what `check --results` writes, and what comes back of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from bulkload.model import Input, ReportRow
from bulkload.operations.draft_report import write_marked
from bulkload.operations.preview import check_file
from bulkload.reports import formats
from bulkload.store.draft_records import READY
from bulkload.store.drafts import Draft
from tests.support.draft_workplace import Workplace
from tests.support.drafts import again, editor, rows_of, statuses, upload, upload_text

TEXT = (
    "type,name,hostname,port,note\n"
    "imap,good,good.example.com,143,=1+1\n"
    "imap,bad,bad.example.com,99999,\n"
    "imap,out,out.example.com,143,\n"
    "0,0,0,0,\n"
    "imap,good,good.example.com,143,\n"
)


def marked(workplace: Workplace, draft: Draft, path: Path) -> list[dict[str, str]]:
    """The rows of the marked workbook, with the names of its columns."""
    write_marked(workplace.store, again(workplace.store, draft), path, workplace.options)
    return rows_in(path)


def rows_in(path: Path) -> list[dict[str, str]]:
    sheet = openpyxl.load_workbook(path).worksheets[0]
    assert isinstance(sheet, Worksheet)
    header, *rows = [[str(cell.value or "") for cell in row] for row in sheet.iter_rows()]
    assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_the_workbook_is_that_of_check(workplace: Workplace, tmp_path: Path) -> None:
    draft = upload_text(workplace.store, TEXT, workplace.options)
    own, by_check = tmp_path / "own.xlsx", tmp_path / "check.xlsx"
    rows = marked(workplace, draft, own)
    options = workplace.options.model_copy(update={"results": [by_check]})
    check_file(Input.at(workplace.options.output / "hosts.csv"), options, lambda row: None)
    ignored = {"run_id": ""}
    assert [row | ignored for row in rows] == [row | ignored for row in rows_in(by_check)]
    assert [row["status"] for row in rows] == ["will create", "invalid", "will create", "duplicate"]
    assert [row["source_row"] for row in rows] == ["2", "3", "4", "6"]
    comments = [
        cell.coordinate for row in openpyxl.load_workbook(own).worksheets[0].iter_rows() for cell in row if cell.comment
    ]
    assert comments == ["D3"]


def test_it_has_what_people_corrected_and_says_what_they_left_out(workplace: Workplace, tmp_path: Path) -> None:
    draft = upload_text(workplace.store, TEXT, workplace.options)
    editor(workplace.store, draft).set_cells({(3, 3): "993"}, {})
    editor(workplace.store, draft).leave_out([4])
    rows = marked(workplace, draft, tmp_path / "marked.xlsx")
    assert [(row["name"], row["port"], row["status"]) for row in rows] == [
        ("good", "143", "will create"),
        ("bad", "993", "will create"),
        ("good", "143", "duplicate"),
    ]
    summary = openpyxl.load_workbook(tmp_path / "marked.xlsx")["summary"]
    assert isinstance(summary, Worksheet)
    text = " ".join(str(cell.value) for row in summary.iter_rows() for cell in row)
    assert "1 row was left out on the upload page: row 4." in text
    assert "1 row was corrected on the upload page: row 3." in text


@pytest.mark.parametrize("by", ["run", "draft"])
def test_brought_back_only_what_is_not_done_is_sent(by: str, workplace: Workplace, tmp_path: Path) -> None:
    """A results file with a row that is done, and whose monitor has another name by now."""
    store, path = workplace.store, tmp_path / "marked.xlsx"
    created = workplace.run(upload_text(store, "type,name,hostname\nimap,old,old.example.com\n", workplace.options))
    (monitor_id,) = (row.monitor_id for row in store.report_rows(created))
    text = (
        "type,name,hostname,port,status,monitor_id,error,error_columns,next_step,attempts,source_row,run_id\n"
        f"imap,renamed,old.example.com,143,created,{monitor_id},,,,1,2,r\n"
        "imap,new,new.example.com,99999,invalid,,,,,0,3,r\n"
        "imap,out,out.example.com,143,not_attempted,,,,,0,4,r\n"
    )
    draft = upload_text(store, text, workplace.options, "results.csv")
    editor(store, draft).leave_out([4])
    rows = marked(workplace, draft, path)
    assert [(row["name"], row["monitor_id"]) for row in rows] == [("renamed", monitor_id), ("new", "")]

    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    assert isinstance(sheet, Worksheet)
    sheet["D3"] = "993"  # the corrected cell
    book.save(path)
    seen: list[ReportRow] = []
    check_file(Input.at(path), workplace.options, seen.append)
    assert [row.error for row in seen] == []
    source: Path | Draft = path
    if by == "draft":
        source = upload(store, path, workplace.options)
        assert statuses(store, source) == {2: READY, 3: READY}
    assert list(workplace.outcome(workplace.run(source)).values()) == ["exists", "created"]
    assert workplace.names() == Counter(old=1, new=1)


def test_the_account_is_not_in_it(workplace: Workplace, tmp_path: Path) -> None:
    """IDs of the sandbox would name other monitors in the real account."""
    workplace.run(upload_text(workplace.store, "type,name,hostname\nimap,good,good.example.com\n", workplace.options))
    draft = workplace.plan(upload_text(workplace.store, TEXT, workplace.options))
    assert statuses(workplace.store, draft)[2] == "exists"
    row = marked(workplace, draft, tmp_path / "marked.xlsx")[0]
    assert (row["status"], row["monitor_id"]) == ("will create", "")


@pytest.mark.parametrize("suffix", ["xlsx", "csv", "html"])
def test_the_results_of_a_run_of_a_draft(suffix: str, workplace: Workplace, tmp_path: Path) -> None:
    store, path = workplace.store, tmp_path / f"results.{suffix}"
    draft = upload_text(store, TEXT, workplace.options)
    run = workplace.run(draft)
    formats.write(path, store.info(run), store.report_rows(run), output=store.path.parent)
    if suffix == "html":
        assert "<table" in path.read_text(encoding="utf-8")
        return
    if suffix == "xlsx":
        assert [row["status"] for row in rows_in(path)] == ["created", "invalid", "created", "duplicate"]
    back = upload(store, path, workplace.options)
    assert statuses(store, back) == {2: READY, 3: "invalid", 4: READY, 5: "duplicate"}
    assert rows_of(store, back)[0].cells[4] == "=1+1"
    editor(store, back).set_cells({(3, 3): "993"}, {})
    assert workplace.outcome(workplace.run(back)) == {2: "exists", 3: "created", 4: "exists", 5: "duplicate"}
    assert workplace.names() == Counter(good=1, bad=1, out=1)
