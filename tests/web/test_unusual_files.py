"""Files that nobody should upload, and those that few do: each leads to a page that says what to do."""

from __future__ import annotations

import io
import json
import re
import socket
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from tests.support.command_line import FAST_SETTINGS, PLAN, imap
from tests.support.hostile_workbooks import entities, unclosed
from tests.support.paths import ROOT
from tests.support.served import SERVE, Served
from tests.support.waiting import TIMEOUT
from tests.support.web_client import CSV_HEADER, Visitor, csv_of

SAMPLES = sorted((ROOT / "samples" / "migration").iterdir())
READING = "Reading the file"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    server = Served.start((*SERVE, "--sandbox"), folder, FAST_SETTINGS, folder / "log")
    yield server
    server.stop()
    assert "Traceback" not in server.errors()


@pytest.fixture
def visitor(server: Served) -> Visitor:
    return Visitor(server.address)


def zip_bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as package:
        for part in ("[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml"):
            package.writestr(part, b"0" * (40 << 20))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b"\n\n ,,\n", "only blank rows"),
        ("header.csv", CSV_HEADER.encode(), "there is no row below the header"),
        ("picture.xlsx", b"\x89PNG\r\n\x1a\n" + b"\x00" * 100, "it is a picture"),
        ("noise.xlsx", bytes(range(256)) * 20, "cannot be read"),
        ("bomb.xlsx", zip_bomb(), "expands to"),
        ("bomb.zip", zip_bomb(), "cannot be read"),
        ("page.html", b"<!doctype html><title>Sign in</title><script>alert(1)</script>", "it is an HTML page"),
        ("other.json", b'{"dashboards": [{"title": "x"}]}', "no configuration of a supported tool: AlertSite, "),
        ("broken.json", b'{"monitors": [', "ends in the middle of its JSON"),
        ("compose.yaml", b"services:\n  web:\n    image: x\n", "no configuration of a supported tool"),
        ("hosts.cfg", b"define host {\n host_name a\n}\n", "nothing in this file becomes a row"),
    ],
)
def test_a_file_without_rows_says_what_it_is_and_another_can_be_given(
    visitor: Visitor, name: str, content: bytes, sentence: str
) -> None:
    page = visitor.get(visitor.draft(content, name))
    assert "This file cannot be read" in page.shown
    assert sentence in page.shown
    assert re.search(rf"{re.escape(name)} {re.escape(name)}\b.{{10,}}\.", page.shown)
    assert "Give another file" in page.shown
    assert visitor.press(page.html.form("/delete")).location == "/"


def objects_in(suffix: str) -> bytes:
    """Two rows as a list of objects; the second has a bad port."""
    rows = [imap("first row", locations=[10, 20]), imap("second row", port="many")]
    if suffix == "json":
        return json.dumps(rows).encode()
    if suffix == "jsonl":
        return "\n".join(map(json.dumps, rows)).encode()
    if suffix == "yaml":
        return "\n".join(f"- {json.dumps(row)}" for row in rows).encode()
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["json", "jsonl", "yaml", "parquet"])
def test_a_list_of_objects_is_checked_like_a_table(visitor: Visitor, suffix: str) -> None:
    page = visitor.get(visitor.draft(objects_in(suffix), f"hosts.{suffix}"))
    assert "port is many" in page.shown
    assert "10;20" in page.html.text
    assert "second row" in page.html.text


@pytest.mark.parametrize("make", [unclosed, entities])
def test_a_workbook_that_would_never_be_read_ends_in_a_sentence(
    visitor: Visitor, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    page = visitor.follow(visitor.draft(path.read_bytes(), path.name))
    assert page.status == 200
    assert "This file cannot be read" in page.shown or "Check and fix" in page.shown
    assert "bug in bulkload" not in page.shown


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_export_of_another_tool_becomes_rows_to_check(visitor: Visitor, path: Path) -> None:
    page = visitor.follow(visitor.draft(path.read_bytes(), path.name))
    assert "Check and fix" in page.shown
    assert page.html.forms
    assert "bulkload convert" not in page.shown
    assert "--" not in page.shown


def test_results_and_the_marked_workbook_can_be_brought_back(visitor: Visitor) -> None:
    draft = visitor.draft(csv_of(3, "back"))
    run = visitor.run(draft)
    for path in (f"{run}/results.xlsx", f"{run}/results.csv", f"{draft}/marked.xlsx"):
        content = visitor.get(path).body
        again = visitor.draft(content, f"again.{path.rpartition('.')[2]}")
        assert "3 rows are ready" in visitor.get(again).shown
        assert "There is nothing to create" in visitor.compared(again).shown


def test_the_template_can_be_filled_in_and_brought_back(visitor: Visitor) -> None:
    workbook = openpyxl.load_workbook(io.BytesIO(visitor.get("/template.xlsx").body))
    stream = io.BytesIO()
    workbook.save(stream)
    page = visitor.get(visitor.draft(stream.getvalue(), "filled in.xlsx"))
    assert re.search(r"\d rows are ready", page.shown)


def test_a_file_of_1000_columns_can_be_mapped_corrected_and_run(visitor: Visitor) -> None:
    header = ["type", "name", "hostname", "billing_plancode", *(f"extra {n}" for n in range(996))]
    rows = [
        ["imap", f"wide{n}", "not a host" if n == 40 else f"mx{n}.example.com", PLAN, *["x"] * 996] for n in range(60)
    ]
    draft = visitor.draft("\n".join(map(",".join, [header, *rows])).encode())
    assert "What is in the columns?" in visitor.follow(draft).shown
    assert visitor.choose_columns(draft, ["type", "name", "hostname", "billing_plancode"]).location == draft
    page = visitor.get(draft)
    assert "1–5 of 60" in page.shown
    opened = visitor.get(f"{draft}?edit=42").html.form("/edit")
    assert len(opened.fields) > 2_000
    visitor.press(opened, changed={"cell-42-2": "mx40.example.com"})
    assert "60 rows are ready" in visitor.get(draft).shown


def test_an_upload_of_200_mb_is_refused_in_a_sentence_before_it_is_stored(server: Served, visitor: Visitor) -> None:
    uploads = server.folder / "output" / "uploads"
    before = set(uploads.iterdir()) if uploads.exists() else set()
    for announced in (True, False):
        with socket.create_connection((visitor.host, visitor.port), timeout=TIMEOUT) as connection:
            length = f"Content-Length: {200 << 20}" if announced else "Transfer-Encoding: chunked"
            connection.sendall(
                f"POST /drafts HTTP/1.1\r\nHost: {visitor.host}:{visitor.port}\r\nCookie: {visitor.cookie}\r\n"
                f"X-Form-Token: {visitor.token}\r\n{length}\r\n"
                "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
            )
            head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
            piece = head + b"x" * (1 << 20)
            frame = piece if announced else b"%x\r\n%s\r\n" % (len(piece), piece)
            rest = b"x" * (1 << 20) if announced else b"%x\r\n%s\r\n" % (1 << 20, b"x" * (1 << 20))
            connection.sendall(frame)
            for _ in range(80):
                connection.sendall(rest)
            answer = connection.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"At most" in answer or b"at most 50 MB are allowed" in answer
    assert (set(uploads.iterdir()) if uploads.exists() else set()) == before


def test_many_rows_say_how_far_they_are_while_other_pages_are_used(server: Served, visitor: Visitor) -> None:
    other = Visitor(server.address)
    small = other.draft(csv_of(2, "small"))
    seen = set()
    with ThreadPoolExecutor(3) as pool:
        uploads = [pool.submit(visitor.upload, csv_of(40_000, f"many{n}"), f"many{n}.csv") for n in range(3)]
        while not all(upload.done() for upload in uploads):
            for link in visitor.get("/").html.links():
                if re.fullmatch("/drafts/[0-9a-f]+", link) and READING in (page := visitor.get(link)).text:
                    seen.update(re.findall(r"\d rows are (read|checked)|(Its turn comes soon)", page.shown))
            assert server.is_healthy()
            assert "2 rows are ready" in other.get(small).shown
            assert other.post(f"{small}/fill", {"column": "1", "value": "x", "scope": "all"}).status == 303
    assert seen, "at least one page said how far its rows were"
    for upload in uploads:
        page = visitor.until(upload.result().location, lambda answer: READING not in answer.text)
        assert "40,000 rows are ready" in page.shown


def test_the_row_of_the_header_can_be_named(visitor: Visitor) -> None:
    """Of two tables in one file, the second; the form keeps the number, and an empty field finds the header again."""
    first = "type,name,hostname,billing_plancode\nimap,old,mx1.example.org,UBM - A/A\n\n"
    second = "type,name,hostname,billing_plancode\nimap,new,mx2.example.org,UBM - A/A\n"
    draft = visitor.draft((first + second).encode())

    def read_again(number: str) -> None:
        form = visitor.follow(f"{draft}/columns").html.form("/read")
        assert visitor.press(form, changed={"header_row": number}).status == 303
        visitor.until(draft, lambda answer: READING not in answer.text)

    read_again("4")
    assert "new" in visitor.follow(draft).shown
    assert "1 row is ready" in visitor.follow(draft).shown
    assert ("header_row", "4") in visitor.follow(f"{draft}/columns").html.form("/read").fields
    for wrong in ("0", "-1", "four", "4.5", "9" * 30):
        read_again(wrong)
        assert "1 row is ready" in visitor.follow(draft).shown, "nothing was read again"
    read_again("3")
    refused = visitor.follow(draft)
    assert "row 3, which you named as the header, is empty" in refused.shown
    visitor.press(refused.html.form("/read"), changed={"header_row": ""})
    visitor.until(draft, lambda answer: READING not in answer.text)
    assert "old" in visitor.follow(draft).shown
