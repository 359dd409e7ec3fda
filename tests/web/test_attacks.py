"""Whatever is in a file, a request or an answer of the API: the page shows it as text, and answers in a sentence."""

from __future__ import annotations

import csv
import http.client
import io
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import openpyxl
import pytest
from aiohttp import web

from bulkload.web.routes import add_pages
from tests.support.browser import Pages, expect
from tests.support.command_line import FAST_SETTINGS, PLAN, ApiRequest, FakeResponse, fake_api, list_response
from tests.support.paths import ROOT
from tests.support.served import SERVE, Served
from tests.support.web_client import Answer, Html, Visitor, csv_of

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea></select></title><iframe src=//evil.example>",
    "--><svg/onload=alert(1)>",
    '=HYPERLINK("http://evil.example","x")',
    "+cmd|' /C calc'!A1",
    "@SUM(1+1)",
    "-2+3",
    "\x1b[2J\x1b]0;owned\x07",
    "\x85\x9b2J",
    "\u202egnp.exe\u2066",
    "{{ 7*7 }}{% for x in [] %}",
    "javascript:alert(1)",
    "&lt;b&gt;&amp;#x27;",
    "../../etc/passwd",
    "a\r\nSet-Cookie: x=1",
    "\U0001f4a9\ufeff\u200b",
)
MARKUP = HOSTILE[:5]
SECRETLY_ACTIVE = frozenset(
    {"base", "embed", "frame", "iframe", "img", "math", "object", "portal", "style", "template"}
)
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
TRIGGERS = tuple("=+-@\t\r")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    server = Served.start((*SERVE, "--sandbox"), folder, {**FAST_SETTINGS, "BULKLOAD_CONCURRENCY": "4"}, folder / "log")
    yield server
    server.stop()


@pytest.fixture
def visitor(server: Served) -> Visitor:
    return Visitor(server.address)


def assert_harmless(answer: Answer) -> None:
    """Nothing in the page is active but the page's own parts, and all of it can be displayed."""
    assert answer.status < 500, answer.shown
    assert not CONTROL.search(answer.text)
    page = answer.html
    for tag, attributes in page.tags:
        assert tag not in SECRETLY_ACTIVE, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        if tag == "script":
            assert re.fullmatch(r"/static/app\.js\?\w+", attributes["src"])
        for name in ("href", "action", "src", "formaction"):
            assert re.match(r"/|#|\?|data:image/|$", attributes.get(name, "")), (tag, attributes)
    for name, value in answer.headers.items():
        assert not CONTROL.search(name + value)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def written(header: list[str], rows: list[list[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([header, *rows])
    return stream.getvalue().encode()


def hostile_file() -> bytes:
    """Each text as a header, as the name of a monitor, as a host, and in a column that is not sent."""
    header = ["type", "name", "hostname", "billing_plancode", *HOSTILE]
    rows = [["imap", f"{text} {n}", f"mx{n}.example.com", PLAN, *HOSTILE] for n, text in enumerate(HOSTILE)]
    rows += [["imap", f"bad host {n}", text, PLAN, *HOSTILE] for n, text in enumerate(HOSTILE)]
    return written(header, rows)


def test_a_hostile_file_is_text_on_every_page_and_no_formula_in_any_download(visitor: Visitor) -> None:
    name = '"><img src=x onerror=alert(1)>\x1b[2J\u202e.csv'
    sent = visitor.upload(hostile_file(), name)
    draft = sent.location
    columns = visitor.until(draft, lambda answer: "Reading the file" not in answer.text)
    assert_harmless(columns)
    chosen = visitor.choose_columns(draft, ["type", "name", "hostname", "billing_plancode"])
    assert chosen.status == 303, chosen.shown
    rows = visitor.get(draft)
    assert_harmless(rows)
    for text in MARKUP:
        assert text in rows.shown
    for path in (f"{draft}?edit=2", f"{draft}?q=%3Cscript%3E", f"{draft}?status=invalid&page=2", f"{draft}/columns"):
        assert_harmless(visitor.get(path))
    for link in {link for link in rows.html.links() if "kind=" in link}:
        kind = visitor.get(link)
        assert_harmless(kind)
        assert re.search(r"1–\d+ of \d+", kind.shown), link  # the rows of the kind are found by its link
    assert_harmless(visitor.get("/"))

    assert_harmless(visitor.compared(draft))
    run = visitor.run(draft)
    for path in (run, f"{run}?q=onerror", "/runs", "/"):
        page = visitor.get(path)
        assert_harmless(page)
        assert "img src=x" in page.shown
    assert_harmless(visitor.until(f"{run}/undo", lambda answer: "Undo: delete" in answer.text))

    for path in (f"{draft}/marked.xlsx", f"{run}/results.xlsx", f"{run}/results.csv", f"{run}/results.html"):
        assert_no_formula(path, visitor.get(path))


def assert_no_formula(path: str, answer: Answer) -> None:
    assert answer.status == 200
    assert answer.headers["Content-Disposition"].isascii()
    assert "/" not in answer.headers["Content-Disposition"]
    if path.endswith(".xlsx"):
        for sheet in openpyxl.load_workbook(io.BytesIO(answer.body)):
            for row in sheet.iter_rows():
                for cell in row:
                    assert cell.data_type != "f", cell.value
                    assert cell.hyperlink is None or not str(cell.hyperlink.target).startswith(("http://evil", "java"))
    elif path.endswith(".csv"):
        lines = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
        assert len(lines) == 1 + 2 * len(HOSTILE)
        assert [cell for line in lines for cell in line if cell.startswith(TRIGGERS)] == []
    else:
        page = Html.of(answer.body.decode())
        assert [tag for tag, attributes in page.tags if tag in SECRETLY_ACTIVE - {"style"}] == []
        assert [tag for tag, attributes in page.tags if any(name.startswith("on") for name in attributes)] == []
        assert not CONTROL.search(answer.text)


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 300_000, "nul \x00 here"])
def test_an_edit_can_contain_anything_and_is_shown_as_text(visitor: Visitor, text: str) -> None:
    draft = visitor.draft(csv_of(2))
    answers = [
        visitor.post(f"{draft}/edit", {"cell-2-2": text, "was-2-2": "mx0.example.com"}),
        visitor.post(f"{draft}/fill", {"column": "1", "value": text, "scope": "all"}),
        visitor.post(f"{draft}/fix", {"kind": text[:5_000], "value": text, "how": "value"}),
        visitor.post(f"{draft}/leave-out", {"kind": text[:5_000]}),
        visitor.post(f"{draft}/edit", {"use": f"2-2={text}"}),
    ]
    for answer in answers:
        assert_harmless(answer)
        assert answer.status == 303
    assert_harmless(visitor.get(draft))
    assert_harmless(visitor.get(f"{draft}/columns"))
    assert_harmless(visitor.get("/"))


def test_a_header_with_line_breaks_can_be_corrected_like_any_other(visitor: Visitor) -> None:
    draft = visitor.draft(
        written(
            ["type", "name", "host\nname", 'mail "port"\r\n<b>', "billing_plancode"],
            [["imap", f"m{n}", f"mx{n}.example.com", "99999", PLAN] for n in range(3)],
        )
    )
    chosen = visitor.choose_columns(draft, ["type", "name", "hostname", "port", "billing_plancode"])
    assert chosen.location == draft, chosen.shown
    page = visitor.get(draft)
    form = next(form for form in page.html.forms if form.action.endswith("/fix"))
    as_a_browser_sends_it = {name: re.sub("\r\n|\r|\n", "\r\n", value) for name, value in form.fields}
    visitor.post(f"{draft}/fix", as_a_browser_sends_it | {"how": "value", "value": "993"})
    assert "Changed: 3 rows." in visitor.get(draft).shown


def test_a_cell_that_reads_like_a_message_of_the_engine_is_shown_as_it_is(visitor: Visitor) -> None:
    text = "backup; map it with --map, or skip it with --ignore-unknown"
    draft = visitor.draft(written(["type", "name", "hostname", "billing_plancode"], [["imap", text, "a b", PLAN]]))
    form = visitor.get(f"{draft}?edit=2").html.form("/edit")
    assert dict(form.fields)["cell-2-1"] == text
    visitor.press(form, changed={"cell-2-2": "mx.example.com"})
    page = visitor.get(draft).shown
    assert "Changed: 1 row." in page
    assert text in page


def test_what_the_api_says_is_text(tmp_path: Path) -> None:
    words = "<script>alert('api')</script> \x1b[2J\u202e {{ 7*7 }}"

    def answer(request: ApiRequest) -> FakeResponse:
        if request.method == "GET":
            names = [
                {"id": n, "type": "email-imap", "name": f"{text}", "hostname": text}
                for n, text in enumerate(HOSTILE, 100)
            ]
            return list_response(*names) if request.path == "/monitors" else list_response()
        return FakeResponse(
            status=400, content={"metadata": {"messages": [words]}, "message": words, "errors": [words]}
        )

    with fake_api(answer) as api:
        account = {"ALERTSITE_BASE_URL": api.base_url, "ALERTSITE_USERNAME": words[:20], "ALERTSITE_PASSWORD": "p"}
        server = Served.start(SERVE, tmp_path, {**FAST_SETTINGS, **account}, tmp_path / "log")
        visitor = Visitor(server.address)
        draft = visitor.draft(csv_of(3))
        assert_harmless(visitor.compared(draft))
        run = visitor.run(draft)
        page = visitor.get(run)
        assert "3 rejected" in page.shown
        assert "<script>alert('api')</script>" in page.shown
        for path in (run, "/runs", "/account", f"{run}/undo"):
            assert_harmless(visitor.follow(path))
        assert_no_formula("x.html", visitor.get(f"{run}/results.html"))
        server.stop()
    assert CONTROL.search(server.errors().replace("\n", "")) is None


def test_names_of_files_that_were_run_in_the_terminal_are_text(server: Served, visitor: Visitor) -> None:
    name = "<img src=x onerror=alert(1)>\x1b[2J\u202e\"'.csv"
    (server.folder / name).write_bytes(csv_of(1, "terminal"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ALERTSITE_", "BULKLOAD_"))}
    subprocess.run(
        [sys.executable, "-m", "bulkload", "run", name, "--sandbox"],
        cwd=server.folder,
        env={**environment, **FAST_SETTINGS, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    history = visitor.get("/runs")
    assert_harmless(history)
    assert "<img src=x onerror=alert(1)>" in history.shown
    run = next(link for link in history.html.links() if re.fullmatch(r"/runs/[\w-]+", link))
    assert_harmless(visitor.get(run))
    for suffix in ("xlsx", "csv", "html"):
        assert CONTROL.search(visitor.get(f"{run}/results.{suffix}").headers["Content-Disposition"]) is None


@pytest.mark.parametrize("javascript", [True, False])
def test_a_browser_runs_nothing_of_a_hostile_file(
    server: Served, visitor: Visitor, open_page: Pages, javascript: bool
) -> None:
    draft = visitor.draft(hostile_file(), "hostile.csv")
    visitor.choose_columns(draft, ["type", "name", "hostname", "billing_plancode"])
    page = open_page(server.address, javascript=javascript)
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog: {dialog.message}"))
    page.wait_for_selector("#file")  # the start link leads to another page
    last = MARKUP[-1]
    for path in (f"{draft}/columns", f"{draft}?edit=2", draft):
        page.goto(server.url(path))
        assert page.title().endswith("bulkload")
        assert page.locator("img, iframe, main script, main svg[onload]").count() == 0
        assert last in page.inner_text("main") or last in [
            field.input_value() for field in page.locator("main input").all()
        ]
    field = page.locator("input.cell").first
    field.fill(MARKUP[1])
    field.press("Enter")
    expect(page.locator("#message")).to_contain_text("Changed: 1 row.")
    assert MARKUP[1] in [field.input_value() for field in page.locator("input.cell").all()]


# ── requests that no page of ours sends ────────────────────────────────────────────────────────────────────────────


def routes() -> list[tuple[str, str]]:
    """Method and address of all pages."""
    app = web.Application()
    add_pages(app)
    found = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource}
    return sorted(pair for pair in found if pair[0] != "HEAD")


POSTS = [path for method, path in routes() if method == "POST"]
GETS = [path for method, path in routes() if method == "GET"]
IDS = (
    "x",
    "..",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "a" * 5_000,
    "%00",
    "%C3%BC%E2%80%AE",
    "%FF%FE",
    "1'--",
    "0",
)
VALUES = (
    *HOSTILE,
    "",
    "0",
    "-1",
    "1",
    "2",
    "999999999999",
    "9" * 400,
    "x" * 20_000,
    "2-1",
    "2-9999",
    "2-1=x",
    "nan",
    "1e9",
)
FIELDS = (
    *("version", "query", "kind", "how", "value", "column", "scope", "in", "out", "row", "use", "restore", "cell-2-1"),
    *("was-2-1", "cell-2-9999", "was-2-9999", "cell-x", "column-0", "column-1", "column-2", "column-3", "default-type"),
    *(
        "default-interval",
        "default-set",
        "headerless",
        "sheet",
        "header_row",
        "encoding",
        "target",
        "on_existing",
        "first",
        "monitors",
    ),
    *("edited", "username", "password", "next", "forget", "trust_list"),
)
QUERIES = ("q", "kind", "status", "page", "edit", "job", "edited", "next")


def filled(path: str, **ids: str) -> str:
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    return re.sub(r"\{format:.*?\}", "csv", path)


def assert_sentence(answer: Answer) -> None:
    """The answer is a redirect, a download, or a page that a person can read."""
    assert answer.status < 500, answer.shown
    assert b"Traceback" not in answer.body
    if answer.status >= 400:
        assert_harmless(answer)
        assert re.search(r"[A-Z][^.]{10,}\.", answer.shown)


@pytest.fixture(scope="module")
def known(server: Served) -> dict[str, str]:
    """IDs of a draft, a run and a job that exist."""
    visitor = Visitor(server.address)
    draft = visitor.draft(csv_of(3, "known"))
    job = visitor.begun(draft)
    run = visitor.until(job, lambda answer: "Results<" in answer.text)
    assert "3 created" in run.shown
    return {"draft": draft.rpartition("/")[2], "run": visitor.get(job).location.rpartition("/")[2], "job": job[6:]}


@pytest.mark.parametrize("path", POSTS)
def test_a_forged_request_does_nothing(visitor: Visitor, known: dict[str, str], path: str) -> None:
    address = filled(path, **known)
    before = [visitor.get(f"/drafts/{known['draft']}").shown, visitor.get("/runs").shown, visitor.get("/account").shown]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode(
        {"token": visitor.token, "out": "2", "in": "2", "row": "2", "version": "9", "monitors": "1"}
    ).encode()
    other = Visitor.__new__(Visitor)
    other.host, other.port, other.cookie = visitor.host, visitor.port, ""
    foreign = re.sub(r"^bulkload-\d+", "bulkload-1", visitor.cookie)
    answers = [
        visitor.request("POST", address, b"out=2&in=2&row=2&monitors=1", form),
        visitor.post(address, {"out": "2"}, token="0" * 64),
        visitor.post(address, {"out": "2"}, token=visitor.token[::-1]),
        visitor.request("POST", address, body, {**form, "Origin": "http://evil.example"}),
        visitor.request("POST", address, body, {**form, "Origin": f"http://127.0.0.1:{visitor.port + 1}"}),
        visitor.request("POST", address, body, {**form, "Sec-Fetch-Site": "cross-site"}),
        visitor.request("POST", address, body, {**form, "Host": "evil.example"}),
        visitor.request("POST", address, body, {"Content-Type": "text/plain"}),
        visitor.request(
            "POST", address, b'{"token": "%s"}' % visitor.token.encode(), {"Content-Type": "application/json"}
        ),
        other.request("POST", address, body, form),
        other.request("POST", address, body, {**form, "Cookie": foreign}),
    ]
    for answer in answers:
        assert answer.status in (400, 401, 403), (answer.status, answer.shown)
        assert_harmless(answer)
    after = [visitor.get(f"/drafts/{known['draft']}").shown, visitor.get("/runs").shown, visitor.get("/account").shown]
    assert after == before


def test_only_a_comparison_with_the_account_can_begin_by_loading_a_page(
    visitor: Visitor, known: dict[str, str]
) -> None:
    pages = (f"/drafts/{known['draft']}", f"/drafts/{known['draft']}/start", f"/runs/{known['run']}")
    before = [visitor.get(page).body for page in pages]
    runs = visitor.get("/runs").shown
    for path in POSTS:
        if path not in GETS:
            address = filled(path, **known)
            for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
                assert visitor.request(method, address).status in (403, 404, 405)
    for path in GETS:
        if not path.endswith(("/events", "/undo")):
            visitor.get(filled(path, **known))
    assert [visitor.get(page).body for page in pages] == before
    assert visitor.get("/runs").shown == runs


def test_no_request_ends_in_a_traceback(server: Served, visitor: Visitor, known: dict[str, str]) -> None:
    chance = random.Random(12)
    for path in POSTS:
        if path == "/account":
            continue  # the sandbox has none
        for turn in range(25):
            ids = known if turn % 3 else {name: chance.choice(IDS) for name in known}
            fields = [(chance.choice(FIELDS), chance.choice(VALUES)) for _ in range(chance.randrange(6))]
            if path.endswith(("/delete", "/read", "/start", "/plan", "/resume", "/undo", "/fix")) and ids is known:
                fields = [(name, value) for name, value in fields if name != "version"]
                if not path.startswith("/drafts"):
                    continue  # these would work
            assert_sentence(visitor.post(filled(path, **ids), fields))
    for path in GETS:
        if path.endswith("/events"):
            continue
        for turn in range(15):
            ids = known if turn % 2 else {name: chance.choice(IDS) for name in known}
            query = urlencode([(chance.choice(QUERIES), chance.choice(VALUES)[:1_000]) for _ in range(3)])
            if "/undo" in path and ids is known:
                continue  # that starts a job
            assert_sentence(visitor.get(f"{filled(path, **ids)}?{query}"))
    for raw in ("?q=%FF%ED%A0%80", "?kind=%00:%FF", "?page=-1", f"?q={'x' * 7_000}", "?kind=a:b:c&status=%22%3E"):
        assert_sentence(visitor.get(f"/drafts/{known['draft']}{raw}"))
        assert_sentence(visitor.get(f"/runs/{known['run']}{raw}"))
    assert server.is_healthy()
    assert "Traceback" not in server.errors()


@pytest.mark.parametrize(
    "charset", ["utf-7", "utf-16", "unicode_escape", "raw_unicode_escape", "idna", "rot13", "none"]
)
def test_a_form_in_a_strange_charset_is_read_or_refused(visitor: Visitor, known: dict[str, str], charset: str) -> None:
    for value in (b"+2AA-", b"\\ud800", b"\xff\xfe", quote("ü").encode()):
        body = b"token=%s&column=1&scope=empty&value=%s" % (visitor.token.encode(), value)
        content_type = f"application/x-www-form-urlencoded; charset={charset}"
        answer = visitor.request("POST", f"/drafts/{known['draft']}/fill", body, {"Content-Type": content_type})
        assert_sentence(answer)
        assert_harmless(visitor.get(f"/drafts/{known['draft']}"))


def test_a_request_that_is_no_http_gets_a_page(visitor: Visitor) -> None:
    for line in (
        b"GET /drafts/\xff\xed\xa0\x80?q=\xff HTTP/1.1",
        b"GET / HTTP/9.9",
        b"\x16\x03\x01",
        b"GET " + b"/" * 99_999,
    ):
        connection = http.client.HTTPConnection(visitor.host, visitor.port, timeout=30)
        connection.connect()
        connection.sock.sendall(line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        response = http.client.HTTPResponse(connection.sock)
        response.begin()
        answer = Answer(status=response.status, headers=response.headers, body=response.read())
        assert answer.status == 400
        assert_harmless(answer)
        connection.close()
