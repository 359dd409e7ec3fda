"""Every real page, with what can be on it: no fault of accessibility in light and dark, and it fits a phone.

One server has all of it: drafts in every state, runs, an undo, and at last a run that its account holds in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bulkload.sandbox.server import running
from tests.support.browser import PHONE, Browser, Page, Pages, axe_faults, expect
from tests.support.command_line import FAST_SETTINGS
from tests.support.page_steps import compare, create_all, expect_heading, give_text, hold
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
PAGES = (
    "start", "columns", "columns refused", "unreadable", "rows", "rows edited", "row open", "no row", "before comparing",
    "compared", "compared with the sandbox", "results", "history", "undo", "account", "run", "job that waits", "error",
    "login", "empty start", "empty history", "sandbox only",
)  # fmt: skip


@pytest.fixture(scope="module")
def addresses(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The address of each page of `PAGES`; those of the two servers with their keys."""
    folder = tmp_path_factory.mktemp("every-page")
    pages = Pages(browser)
    with running() as account:
        credentials = {
            "ALERTSITE_BASE_URL": account.base_url,
            "ALERTSITE_USERNAME": account.options.user,
            "ALERTSITE_PASSWORD": account.options.password,
        }
        serves = [
            _serve(folder / name, {**FAST_SETTINGS, **variables})
            for name, variables in (("full", credentials), ("empty", {}))
        ]
        try:
            server, empty = serves[0](), serves[1]("--sandbox")
            page = pages(server.address)
            found = {"key": server.address, "empty key": empty.address}

            give_text(page, "Mail server;Wer\na.example.com;Ops\n")
            found["columns"] = found["columns refused"] = page.url
            page.goto(server.url("/"))
            (folder / "broken.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
            page.get_by_label("choose a file").set_input_files(folder / "broken.xlsx")
            page.get_by_role("button", name="Check this file").click()
            expect_heading(page, "This file cannot be read")
            found["unreadable"] = page.url

            page.goto(server.url("/"))
            give_text(page, MISTAKES)
            found["rows"] = page.url
            page.goto(server.url("/"))
            give_text(page, MISTAKES)
            page.get_by_role("button", name="Use imap").click()
            page.get_by_role("button", name="leave out row 7").click()
            expect(page.get_by_role("button", name="put back row 7")).to_be_visible()
            found |= {"rows edited": page.url, "row open": f"{page.url}?edit=6", "no row": f"{page.url}?q=no+row"}
            found["before comparing"] = f"{found['rows']}/start"
            compare(page)
            found["compared"] = page.url
            create_all(page)
            expect_heading(page, "Results")
            expect(page.get_by_role("link", name="Undo: delete")).to_be_visible()
            found |= {"results": page.url, "history": server.url("/runs"), "account": server.url("/account")}
            page.get_by_role("link", name="Undo: delete").click()
            expect(page.get_by_role("button", name="Delete")).to_be_visible()
            found["undo"] = page.url

            page.goto(server.url("/"))
            give_text(
                page,
                f"type,name,hostname,plan\nimap,mx9 IMAP,mx9.example.com,{PLAN}\npop,mx9 POP,mx9.example.com,{PLAN}",
            )
            rehearsed = page.url
            compare(page)
            page.get_by_label("Sandbox: a rehearsal").check()
            page.get_by_role("button", name="Compare again").click()
            expect(page.get_by_role("heading", name="What would happen in the sandbox")).to_be_visible()
            found["compared with the sandbox"] = f"{rehearsed}/start"

            page.goto(server.url("/"))
            give_text(
                page,
                f"type,name,hostname,plan\nimap,mx8 IMAP,mx8.example.com,{PLAN}\npop,mx8 POP,mx8.example.com,{PLAN}",
            )
            compare(page)
            hold(account, after=1)
            create_all(page)
            expect(page.get_by_text("The API asked for a pause.")).to_be_visible()
            found["run"] = page.url
            page.goto(found["before comparing"])
            page.get_by_role("button", name="Compare").click()
            page.wait_for_url("**/jobs/*")
            found["job that waits"] = page.url

            found |= {"start": server.url("/"), "error": server.url("/drafts/none"), "login": server.url("/runs")}
            found |= {
                "empty start": empty.url("/"),
                "empty history": empty.url("/runs"),
                "sandbox only": empty.url("/account"),
            }
            pages.close()
            assert pages.faults == []
            yield found
        finally:
            for serve in serves:
                serve.close()


def _serve(folder: Path, environment: Mapping[str, str]) -> Serve:
    folder.mkdir()
    return Serve(folder=folder, logs=folder.parent, account=environment)


@pytest.fixture(scope="module")
def windows(browser: Browser, addresses: Mapping[str, str]) -> Iterator[Mapping[str, Sequence[Page]]]:
    """For each server a light window on a desk, and a dark one on a phone, both with access."""
    pages = Pages(browser)
    expected = "status of (401|404|422)"  # of the pages that are errors
    found = {}
    for name in ("key", "empty key"):
        address = addresses[name]
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
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        page.context.add_cookies(access)  # type: ignore[arg-type]
