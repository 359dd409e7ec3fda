"""Every real page, with what can be on it: no fault of accessibility in light and dark, and it fits a phone.

One server has all of it: drafts in every state, runs, an undo, and at last a run that its account holds in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bulkload.sandbox.server import Sandbox, running
from tests.support.browser import PHONE, Browser, Page, Pages, axe_faults, expect
from tests.support.command_line import FAST_SETTINGS
from tests.support.page_steps import compare, create_all, expect_heading, give_file, give_text, hold
from tests.support.served import Serve

PLAN = "UBM - A/A"
MISTAKES = f"""type,name,hostname,port,plan
imap,mx1 IMAP,mx1.example.com,99999,{PLAN}
imapp,"A name with <b>, and more of it than fits a line of a small table",mx2.example.com,,{PLAN}
imap,mx3 IMAP,https://mx3.example.com/login,,{PLAN}
imap,mx4 IMAP,mx4.example.com,110,{PLAN}
imap,mx5 IMAP,mx5.example.com,,{PLAN}
imap,mx5 IMAP,mx5.example.com,,{PLAN}
smtp,=1+1,smtp.a-host-with-a-rather-long-name-in-a-rather-long-domain.example.com,,{PLAN}
"""
TWO_HOSTS = f"type,name,hostname,plan\nimap,mx9 IMAP,mx9.example.com,{PLAN}\npop,mx9 POP3,mx9.example.com,{PLAN}"
PAGES = (
    "start", "columns", "columns refused", "unreadable", "rows", "rows edited", "row open", "no row",
    "before comparing", "compared", "compared with the sandbox", "results", "history", "undo", "account", "run",
    "job that waits", "error", "login", "empty start", "empty history", "sandbox only",
)  # fmt: skip


@pytest.fixture(scope="module")
def addresses(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The address of each page of `PAGES`, and those of two servers with their keys: a full and an empty one."""
    folder = tmp_path_factory.mktemp("every-page")
    pages = Pages(browser)
    with running() as account, ExitStack() as stack:
        credentials = {
            "ALERTSITE_BASE_URL": account.base_url,
            "ALERTSITE_USERNAME": account.options.user,
            "ALERTSITE_PASSWORD": account.options.password,
        }
        server = _serve(folder / "full", {**FAST_SETTINGS, **credentials}, stack)()
        empty = _serve(folder / "empty", {}, stack)("--sandbox")
        page = pages(server.address)
        found = {"full": server.address, "empty": empty.address}
        found |= {"start": server.url("/"), "history": server.url("/runs"), "account": server.url("/account")}
        found |= {"error": server.url("/drafts/none"), "login": server.url("/runs")}
        found |= {"empty start": empty.url("/"), "empty history": empty.url("/runs")}
        found |= {"sandbox only": empty.url("/account")}
        _give_drafts(page, found, folder)
        _make_runs(page, found, account)
        pages.close()
        assert pages.faults == []
        yield found


def _serve(folder: Path, environment: Mapping[str, str], stack: ExitStack) -> Serve:
    folder.mkdir()
    serve = Serve(folder=folder, logs=folder, account=environment)
    stack.callback(serve.close)
    return serve


def _give_drafts(page: Page, found: dict[str, str], folder: Path) -> None:
    """Drafts that cannot be read, without known columns, with errors, and partly corrected."""
    broken = folder / "broken.xlsx"
    broken.write_bytes(b"PK\x03\x04 no workbook")
    give_file(page, broken)
    expect_heading(page, "This file cannot be read")
    found["unreadable"] = page.url
    found["columns"] = found["columns refused"] = _give(page, found, "Mail server;Wer\na.example.com;Ops")
    found["rows"] = _give(page, found, MISTAKES)
    edited = _give(page, found, MISTAKES)
    page.get_by_role("button", name="Use imap").click()
    page.get_by_role("button", name="leave out row 7").click()
    expect(page.get_by_role("button", name="put back row 7")).to_be_visible()
    found |= {"rows edited": edited, "row open": f"{edited}?edit=6", "no row": f"{edited}?q=no+row"}
    found["before comparing"] = f"{found['rows']}/start"


def _make_runs(page: Page, found: dict[str, str], account: Sandbox) -> None:
    """A comparison, a run and the preview of its undo; a rehearsal; a run that is held, and a job that waits for it."""
    compare(page)
    found["compared"] = page.url
    create_all(page)
    page.get_by_role("link", name="Undo: delete").wait_for()
    found["results"] = page.url
    page.get_by_role("link", name="Undo: delete").click()
    page.get_by_role("button", name="Delete").wait_for()
    found["undo"] = page.url

    _give(page, found, TWO_HOSTS)
    compare(page)
    page.get_by_label("Sandbox: a rehearsal").check()
    page.get_by_role("button", name="Compare again").click()
    page.get_by_role("heading", name="What would happen in the sandbox").wait_for()
    found["compared with the sandbox"] = page.url

    _give(page, found, TWO_HOSTS)
    compare(page)
    hold(account, after=1)
    create_all(page)
    expect(page.get_by_text("The API asked for a pause.")).to_be_visible()
    found["run"] = page.url
    page.goto(found["before comparing"])
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/jobs/*")
    found["job that waits"] = page.url


def _give(page: Page, found: Mapping[str, str], rows: str) -> str:
    """Paste rows; returns the address of the draft."""
    page.goto(found["start"])
    give_text(page, rows)
    return page.url


@pytest.fixture(scope="module")
def windows(browser: Browser, addresses: Mapping[str, str]) -> Iterator[Mapping[str, Sequence[Page]]]:
    """For each server a light window on a desk, and a dark one on a phone, both with access."""
    pages = Pages(browser)
    expected = "status of (401|404|422)"  # of the pages that are errors
    found = {}
    for address in (addresses["full"], addresses["empty"]):
        found[urlsplit(address).netloc] = [
            pages(address, allow=expected),
            pages(address, allow=expected, size=PHONE, dark=True),
        ]
    yield found
    pages.close()
    assert pages.faults == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page(name: str, addresses: Mapping[str, str], windows: Mapping[str, Sequence[Page]]) -> None:
    for page in windows[urlsplit(addresses[name]).netloc]:
        access = page.context.cookies()
        if name == "login":
            page.context.clear_cookies()
        page.goto(addresses[name])
        if name == "columns refused":
            page.get_by_role("button", name="Check the rows").click()
            expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.evaluate("for (const details of document.querySelectorAll('main details')) details.open = true")
        assert axe_faults(page) == []
        size = page.viewport_size
        assert size
        assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
        page.context.add_cookies(access)  # type: ignore[arg-type]
