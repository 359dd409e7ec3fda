"""The check of a draft says what `check` says of its file, and a run of the draft is a run of the file."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from bulkload.errors import InputError
from bulkload.operations.draft_columns import NO_HEADER
from bulkload.settings import Options
from bulkload.store.drafts import DraftState
from tests.support.drafts import (
    PLAN,
    again,
    check_of_draft,
    check_of_file,
    editor,
    locked_store,
    run_of_draft,
    run_of_file,
    stored,
    upload,
)
from tests.support.paths import ROOT

SAMPLES = sorted(
    path
    for pattern in ("*.csv", "*.xlsx", "migration/*")
    for path in (ROOT / "samples").glob(pattern)
    if path.is_file()
)
HEADER = "type,name,hostname,billing_plancode,port,enabled,note\n"
TEXTS = {
    "ragged": HEADER + "imap,a,a.example.com,p\nimap,b,b.example.com,p,993,yes,x,more\nimap,c,c.example.com\n",
    "divided": HEADER + "imap,a b,a.example.com,p,993\nyes,note\nimap,c,c.example.com,p,,,\n",
    "zeros": HEADER + "imap,a,a.example.com,p,0,FALSE,\n0,0,0,0,0,0,0\nFALSE,,,,,FALSE,\n",
    "zeros below a short row": HEADER + "imap,a,a.example.com,p\n0,0\n",
    "no line end": HEADER + "imap,a,a.example.com,p,993,yes,cut of",
    "cut off": HEADER + "imap,a,a.example.com,p,993,yes,x\nimap,b,b.exam",
    "repeats": HEADER + "imap,a,a.example.com,p,,,\nimap,a,A.example.com,p,143,,\nimap,a,a.example.com,p,993,,\n" * 2,
    "faulty quotes": HEADER + 'imap,"a"b,a.example.com,p,,,\nimap,b,b.example.com,p,,,\n',
    "title lines": "Our servers\n\nsince 2019;;\n" + HEADER + "imap,a,a.example.com,p,993,yes,\n",
    "blank rows": HEADER + "\n,,,,,,\nimap,a,a.example.com,p,x,,\n\n\nimap,b,b.example.com,p,y,,\n",
    "formulas as text": HEADER + "imap,=a,a.example.com,p,,,+1\n",
    "semicolons": HEADER.replace(",", ";") + "imap;a;a.example.com;p;993;yes;1,5\n",
}
RESULTS = (
    "name,type,hostname,plan{more},{0}status,{0}monitor_id,{0}error,{0}error_columns,{0}next_step,{0}attempts,"
    "{0}source_row,{0}run_id\n"
    "a,imap,a.example.com,p{cell},created,1001,,,,1,2,r\n"
    "b,imap,b.example.com,p{cell},rejected,,no,,fix,1,3,r\n"
    "c,imap,c.example.com,p{cell},removed,1003,,,,1,4,r\n"
    "d,imap,d.example.com,p{cell},exists,1.9E+18,,,,1,5,r\n"
    "e,imap,e.example.com,p{cell},strange,1005,,,,1,6,r\n"
    "f\N{REPLACEMENT CHARACTER},imap,f.example.com,p{cell},invalid,,bad,name,fix,0,7,r\n"
    "a,imap,a.example.com,p{cell},created,1002,,,,1,8,r\n"
    "g,imap,g.example.com,p{cell},created,1001,,,,1,9,r\n"
)
TEXTS["results"] = RESULTS.format("", more="", cell="")
TEXTS["results with prefix"] = RESULTS.format("bulkload_", more=",monitor_id", cell=",")
TEXTS["export"] = (
    "monitor_id,name,type,hostname,plan\n7,a,imap,a.example.com,p\nx7,b,imap,b.example.com,p\n,c,imap,c.example.com,p\n"
)
BYTES = {
    "windows-1252 or not": (HEADER + "imap,B\xfcro,a.example.com,p,,,\nimap,b,b.example.com,p,,,caf\xe9\n").encode(
        "cp1252"
    ),
    "mostly utf-8": (HEADER + "imap,Büro,a.example.com,p,,,äöü\n").encode() + b"imap,B\xfcro,b.example.com,p,,,\n",
    "utf-16": (HEADER + "imap,Büro,a.example.com,p,,,\n").encode("utf-16"),
    "lone carriage returns": (HEADER + "imap,Büro,a.example.com,p,,,\n").replace("\n", "\r").encode("mac-roman"),
    "nul": (HEADER + "imap,a\0b,a.example.com,p,,,\nimap,b,b.example.com,p,,,\n").encode(),
    "unused column in doubt": (HEADER.replace("note", "note,") + "imap,a,a.example.com,p,,,,\xff\n").encode("latin-1"),
}


def sheet_with_oddities(path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    book.create_sheet("notes")["A1"] = "nothing"
    sheet["B2"] = "Our hosts"
    columns = ("type", "name", "hostname", "plan", "port", "enabled", "interval", "locations", "note")
    for column, name in enumerate(columns, 2):
        sheet.cell(4, column, name)
    for row in range(5, 13):
        sheet.cell(row, 2, "imap")
        sheet.cell(row, 3, f"m{row}")
        sheet.cell(row, 4, f"m{row}.example.com")
        sheet.cell(row, 5, "UBM - A/A")
    sheet["F5"] = "#N/A"
    sheet["F5"].data_type = "e"
    sheet["F6"] = "=1+1"  # without a value
    sheet["G7"] = "no"
    sheet.merge_cells("G7:G9")
    sheet["H9"] = 1234567890123456789
    sheet["F10"] = 993.0
    sheet["I10"] = 1020
    sheet["G11"] = "yes"
    sheet.merge_cells("G11:H11")
    sheet.row_dimensions[8].hidden = True
    sheet.column_dimensions["J"].hidden = True
    sheet["C12"] = "m5"
    sheet["D12"] = "m5.example.com"
    sheet["B14"], sheet["F14"] = 0, 0
    sheet["L12"] = "outside"
    book.save(path)


def assert_same(path: Path, options: Options) -> None:
    with locked_store(options) as store:
        draft = upload(store, path, options)
        assert draft.state is DraftState.CHECKED, draft.problem
        assert check_of_draft(store, draft) == check_of_file(path, options)
        assert stored(store, run_of_draft(store, draft, options)) == stored(store, run_of_file(store, path, options))
        assert check_of_draft(store, draft) == check_of_file(path, options)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    folder = tmp_path / "store"
    folder.mkdir()
    return Options(output=folder, sandbox=True, set=PLAN)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples(path: Path, options: Options) -> None:
    assert_same(path, options)


@pytest.mark.parametrize("name", TEXTS)
def test_text_files(name: str, tmp_path: Path, options: Options) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text(TEXTS[name], encoding="utf-8", newline="")
    assert_same(path, options)


@pytest.mark.parametrize("name", BYTES)
def test_text_files_in_other_encodings(name: str, tmp_path: Path, options: Options) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes(BYTES[name])
    assert_same(path, options)


def test_a_worksheet_with_merged_hidden_and_unread_cells(tmp_path: Path, options: Options) -> None:
    path = tmp_path / "hosts.xlsx"
    sheet_with_oddities(path)
    assert_same(path, options)
    assert_same(path, options.model_copy(update={"skip_hidden": True}))
    with locked_store(options) as store:
        issues = check_of_draft(store, upload(store, path, options)).issues
    found = {(number, record["code"]) for number, record in issues}
    assert found >= {
        (5, "cell.error"),
        (6, "cell.formula"),
        (9, "cell.precision"),
        (11, "cell.merged"),
        (12, "row.long"),
    }


@pytest.mark.parametrize("path", sorted((ROOT / "tests/readers/data").glob("*.*")), ids=lambda path: path.name)
def test_other_formats(path: Path, options: Options) -> None:
    assert_same(path, options)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hosts.csv", b""),
        ("hosts.csv", b"\n\n"),
        ("picture.xlsx", b"\x89PNG\r\n\x1a\n"),
        ("hosts.xlsx", b"PK\x03\x04 but no more"),
        ("type,name.csv", HEADER.encode() + b'imap,"' + b"x" * (5 << 20)),
    ],
)
def test_a_file_that_cannot_be_read(name: str, content: bytes, tmp_path: Path, options: Options) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with locked_store(options) as store:
        draft = upload(store, path, options)
        with pytest.raises(InputError) as raised:
            check_of_file(path, options)
        assert (draft.state, draft.problem) == (DraftState.UNREADABLE, str(raised.value))
        assert store.db.execute("SELECT count(*) FROM draft_rows").fetchone()[0] == 0


def test_a_file_that_is_not_whole_says_so_in_draft_and_run(tmp_path: Path, options: Options) -> None:
    book = openpyxl.Workbook()
    for name in ("first", "second"):
        sheet = book.create_sheet(name)
        sheet.append(["type", "name", "hostname"])
        sheet.append(["imap", name, f"{name}.example.com"])
    path = tmp_path / "hosts.xlsx"
    book.save(path)
    with locked_store(options) as store:
        draft = upload(store, path, options)
        assert draft.source is not None
        assert "'second' was not read" in draft.source.not_whole
        info = store.info(run_of_draft(store, draft, options))
        assert "'second' was not read" in info.not_whole
        other = upload(store, path, options, sheet="second")
        assert [number for number, _ in check_of_draft(store, other).issues] == []
        info = store.info(run_of_draft(store, other, options))
        assert (info.not_whole, info.counts) == ("", {"not_attempted": 1})


def test_an_upload_sees_no_other_upload(tmp_path: Path, options: Options) -> None:
    """The configuration of another tool may name all files of its folder."""
    other, main = tmp_path / "other.cfg", tmp_path / "nagios.cfg"
    host = "define host{\n host_name h\n address mail.example.com\n}\n"
    service = "define service{\n host_name h\n service_description IMAP\n check_command check_imap\n}\n"
    other.write_text(host + service, encoding="utf-8")
    main.write_text(f"cfg_dir=.\ncfg_dir=..\n{host}{service.replace('IMAP', 'main')}", encoding="utf-8")
    with locked_store(options) as store:
        upload(store, other, options)
        draft = upload(store, main, options)
        assert draft.source is not None
        assert draft.source.translated is not None
        assert (draft.source.translated.rows, draft.state) == (1, DraftState.CHECKED)
        assert "reading-" not in str(draft.source)


def test_a_run_of_a_draft_says_what_people_changed(tmp_path: Path, options: Options) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text(TEXTS["title lines"] + "imap,b,b.example.com,p,,,\nimap,c,c.example.com,p,,,\n", encoding="utf-8")
    with locked_store(options) as store:
        draft = upload(store, path, options)
        editor(store, draft).set_cells({(6, 1): "new name"}, {(6, 1): "b"})
        editor(store, draft).leave_out([5, 7])
        info = store.info(run_of_draft(store, draft, options))
        assert "1 row was corrected on the upload page: row 6." in info.details["notes"]
        assert "2 rows were left out on the upload page: rows 5, 7." in info.details["notes"]
        assert info.counts == {"not_attempted": 1}
        assert NO_HEADER not in again(store, draft).reading
