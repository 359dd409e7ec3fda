"""What a person sees first and clicks next: bad cells of wide tables, columns, dropped files, a run that was undone."""

from __future__ import annotations

import re
from pathlib import Path

from bulkload.sandbox.server import Sandbox
from tests.support.browser import Page, Pages, expect
from tests.support.page_steps import compare, create_all, expect_heading, give_file, give_text
from tests.support.served import Serve

WIDE = (
    "name,type,hostname,plan,interval,timeout,enabled,locations,port\n"
    "MX1,imap,mx1.example.com,UBM - A/A,15,30,enable,,143\n"
    "MX2,imap,mx2.example.com,UBM - A/A,15,30,disable,,143\n"
    "MX3,imap,mx3.example.com,UBM - A/A,15,30,x,,143\n"
    "MX4,imap,mx4 example.com,UBM - A/A,15,30,enable,,99999\n"
)
GOOD = "name,type,hostname,plan\nMX1,imap,mx1.example.com,UBM - A/A\nMX2,imap,mx2.example.com,UBM - A/A\n"
IS_COVERED = """cell => {
    const box = cell.getBoundingClientRect();
    return [[box.left + 3, box.top + 3], [box.right - 3, box.bottom - 3]].some(
        ([x, y]) => !cell.contains(document.elementFromPoint(x, y)));
}"""
DROP = """([zone, names]) => {
    const transfer = new DataTransfer();
    for (const name of names) transfer.items.add(new File(["type,name\\n"], name));
    const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.querySelector(zone).dispatchEvent(event);
    return event.defaultPrevented;
}"""


def give(page: Page, folder: Path, text: str) -> None:
    path = folder / "hosts.csv"
    path.write_text(text, "utf-8")
    give_file(page, path)


def test_the_first_bad_cells_are_in_sight(open_page: Pages, serve: Serve, tmp_path: Path) -> None:
    page = open_page(serve().address, size={"width": 1280, "height": 1600})
    give(page, tmp_path, WIDE)
    assert not page.get_by_label("enabled, row 2").evaluate(IS_COVERED)


def test_a_link_in_the_status_leads_to_the_cell(open_page: Pages, serve: Serve, tmp_path: Path) -> None:
    server = serve()
    page = open_page(server.address, size={"width": 900, "height": 700})
    give(page, tmp_path, WIDE)
    state = page.context.storage_state()
    for javascript in (True, False):
        page = open_page(
            page.url.partition("#")[0], size={"width": 900, "height": 700}, javascript=javascript, storage_state=state
        )
        for column in ("port", "hostname"):
            page.locator("#row-5 .where").get_by_role("link", name=column).click()
            cell = page.get_by_label(f"{column}, row 5")
            expect(cell).to_be_focused()
            assert not cell.evaluate(IS_COVERED)
        page.go_back()
        expect(page).to_have_url(re.compile("#cell-5-8$"))


def test_suggestions_are_used_where_there_are_some(open_page: Pages, serve: Serve, tmp_path: Path) -> None:
    page = open_page(serve().address)
    give(page, tmp_path, WIDE)
    page.get_by_role("button", name="Use the suggestion in 3 of 4 rows").click()
    expect(page.locator("#message")).to_have_text("Changed: 3 rows.")
    for row, text in ((2, "yes"), (3, "no"), (5, "yes")):
        expect(page.locator(f"#row-{row} [data-label=enabled] .text")).to_have_text(text)
    expect(page.get_by_label("enabled, row 4")).to_have_value("x")


def test_a_field_that_may_be_meant_is_chosen_by_a_click(open_page: Pages, serve: Serve) -> None:
    page = open_page(serve().address)
    give_text(page, "type,name,hostname,plann\nimap,MX1,mx1.example.com,UBM - A/A\n")
    expect_heading(page, "What is in the columns?")
    needed = page.locator(".needed[data-field=billing_plancode]")
    expect(needed).to_be_visible()
    page.get_by_role("button", name="It is the billing_plancode").click()
    expect(page.get_by_label("Column D plann")).to_have_value("billing_plancode")
    expect(needed).to_be_hidden()
    page.get_by_label("Column D plann").select_option("-")
    expect(needed).to_be_visible()
    page.get_by_role("button", name="It is the billing_plancode").click()
    page.get_by_role("button", name="Check the rows").last.click()
    expect_heading(page, "Check and fix")


def test_only_one_file_is_dropped_and_only_where_it_is_asked_for(open_page: Pages, serve: Serve) -> None:
    page = open_page(serve().address)
    expect_heading(page, "Create mail monitors")
    assert page.evaluate(DROP, ["[data-drop]", ["a.csv", "b.csv"]])
    expect(page.locator("#file-problem")).to_have_text("2 files were dropped; give one at a time.")
    assert page.locator("#file").evaluate("input => input.files.length") == 0
    assert page.evaluate(DROP, ["[data-drop]", ["a.csv"]])
    expect(page.locator("#file-problem")).to_be_empty()
    assert page.locator("#file").evaluate("input => input.files[0].name") == "a.csv"
    page.get_by_role("link", name="Runs", exact=True).click()
    expect_heading(page, "Runs")
    assert page.evaluate(DROP, ["main", ["a.csv"]])  # else the browser would open it instead of the page


def test_an_undone_run_and_its_upload_say_so(open_page: Pages, serve: Serve, account: Sandbox, tmp_path: Path) -> None:
    page = open_page(serve().address)
    give(page, tmp_path, GOOD)
    page.get_by_role("link", name="Start", exact=True).click()
    waiting = page.get_by_role("region", name="Uploads not created yet")
    expect(waiting.get_by_role("link", name="hosts.csv")).to_be_visible()
    waiting.get_by_role("link", name="hosts.csv").click()
    compare(page)
    create_all(page)
    expect_heading(page, "Results")
    results = page.url

    page.get_by_role("link", name="Start", exact=True).click()
    expect(waiting.get_by_role("link", name="hosts.csv")).to_be_hidden()
    waiting.get_by_text("Already run: 1 upload").click()
    expect(waiting.get_by_role("link", name="hosts.csv")).to_be_visible()

    page.goto(results)
    expect(page.get_by_text("Requests sent")).to_be_visible()
    page.get_by_role("link", name="Undo: delete 2 monitors").click()
    page.get_by_role("button", name="Delete 2 monitors").click()
    page.wait_for_url("**/runs/*")
    undone = page.get_by_text("Undone.", exact=True).locator("..")
    expect(undone).to_have_text(re.compile(r"^Undone\. \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: 2 monitors deleted\. *$"))
    assert account.monitors() == []
