"""The whole way of a person through the upload page: with JavaScript, without it, and when the server dies midway."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bulkload.sandbox.server import Sandbox
from bulkload.store.runs import Store
from tests.support.browser import Page, Pages, expect
from tests.support.page_steps import (
    compare,
    create_all,
    download,
    expect_heading,
    give_file,
    give_text,
    hold,
    read_workbook,
    release,
    write_workbook,
)
from tests.support.served import Serve

PLAN = "UBM - A/A"
HEADER = ("Service", "Name", "Mail server", "Port", "Keeper", "Interval")
ROWS = (  # numbers of rows as in a spreadsheet: the first one is 2
    ("imap", "mx1 IMAP", "mx1.example.com", 993, "Ops", 15),
    ("imap", "mx2 IMAP", "mx2.example.com", 99999, "Ops", 15),
    ("imapp", "mx3 IMAP", "mx3.example.com", 993, "Ops", 15),
    ("smtp", "mx4 SMTP", "postmaster@mx4.example.com", 25, "Ops", 15),
    ("imap", "mx5 IMAP", "https://mx5.example.com/login", 993, "Ops", 15),
    ("imap", "mx6 IMAP", "mx6.example.com", 70000, "Ops", 15),
    ("imap", "mx1 IMAP", "mx1.example.com", 993, "Ops", 15),
    *(("pop", f"mx{n} POP3", f"mx{n}.example.com", 995, "Ops", 15) for n in range(9, 13)),
)


def cell(page: Page, row: int, header: str) -> str:
    """The text of a cell that is not being edited."""
    return page.locator(f'td[data-cell="{row}-{HEADER.index(header)}"] .text').inner_text()


def choose_columns(page: Page) -> None:
    """Say what the unknown column is, and give the plan code that the file lacks."""
    expect_heading(page, "What is in the columns?")
    page.get_by_label("Column E Keeper").select_option(label="not sent: only kept in the results")
    page.get_by_label("billing plancode").fill(PLAN)
    page.get_by_role("button", name="Check the rows").click()
    expect_heading(page, "Check and fix")


def fix_ports(page: Page) -> None:
    """Give all rows with a wrong port the same one."""
    kind = page.get_by_role("listitem").filter(has_text="A port is a whole number from 1 to 65535")
    kind.get_by_text("Correct all 2").click()
    kind.get_by_label("Port in all 2 rows").fill("993")
    kind.get_by_role("button", name="Set").click()
    expect(page.locator("#message")).to_have_text("Changed: 2 rows.")


def expect_hint(page: Page, how: str) -> None:
    """Check what the page says about corrections, as far as it can be seen."""
    text = f"Type the right value into a red cell, or {how}"
    expect(page.locator("#unsaved")).to_have_text(text, use_inner_text=True)


def expect_held(page: Page) -> None:
    """Wait for the progress of the run that the account holds after 3 of 7 rows."""
    panel = page.get_by_role("region", name="Progress")
    expect(panel.get_by_role("heading")).to_have_text("Creating monitors: 3 of 7 rows")
    expect(panel.get_by_text("The API asked for a pause.")).to_be_visible()
    expect(panel.get_by_role("listitem").filter(has_text="created")).to_have_text("5 created")


def mark(page: Page) -> None:
    """Mark the document, to see later whether the browser has loaded another one."""
    page.evaluate("window.isMarked = true")


def is_marked(page: Page) -> bool:
    """True if the document is the one that was marked."""
    return bool(page.evaluate("window.isMarked === true"))


def undo(page: Page, monitors: int) -> None:
    """Look at the preview of the undo, and delete the monitors."""
    page.get_by_role("link", name=f"Undo: delete {monitors} monitors").click()
    expect_heading(page, "Undo: delete what this run created?")
    expect(page.get_by_role("row").filter(has_text="delete")).to_have_count(monitors)
    page.get_by_role("button", name=f"Delete {monitors} monitors").click()
    page.wait_for_url("**/runs/*")
    expect_heading(page, "Results")
    expect(page.get_by_text(f"{monitors} removed.")).to_be_visible()
    expect(page.get_by_role("link", name="Undo")).to_have_count(0)


def expect_results(path: Path, account: Sandbox, created: int) -> None:
    """Compare the downloaded results with the monitors that the account really has."""
    rows = read_workbook(path)
    ids = {row["Name"]: int(row["monitor_id"]) for row in rows if row["status"] == "created"}
    assert ids == {monitor["name"]: monitor["id"] for monitor in account.monitors()}
    assert len(ids) == created
    assert [(row["Name"], row["status"]) for row in rows if row["status"] != "created"] == [("mx4 SMTP", "invalid")]
    assert [row["Keeper"] for row in rows] == ["Ops"] * len(rows)


def test_with_javascript(open_page: Pages, serve: Serve, account: Sandbox, tmp_path: Path) -> None:
    page = open_page(serve().address, allow="status of 422")  # of the columns that are refused
    give_file(page, write_workbook(tmp_path / "mail hosts.xlsx", HEADER, ROWS))

    expect_heading(page, "What is in the columns?")
    page.get_by_role("button", name="Check the rows").click()
    expect(page.get_by_role("alert")).to_have_text("The rows are not checked yet: look at what is marked below.")
    expect(page.get_by_label("Column E Keeper")).to_be_focused()
    expect(page.get_by_label("Column E Keeper")).to_have_accessible_description(
        "Choose what this column means, or that it is not sent."
    )
    choose_columns(page)
    expect(page.get_by_text("5 rows are ready, 6 have errors and would not be created.").first).to_be_visible()

    # one cell: the focus goes on to the next error
    service = page.get_by_label("Service, row 4")
    expect(service).to_have_accessible_description(re.compile("type is imapp"))
    service.fill("imap")
    service.press("Enter")
    expect(page.locator("#message")).to_have_text("Changed: 1 row.")
    expect(page.get_by_label("Mail server, row 5")).to_be_focused()
    assert cell(page, 4, "Service") == "imap"
    expect_hint(page, "click any other cell. It is saved when you leave the cell; Escape takes it back.")

    # one kind, a suggestion, a row left out, and put back
    fix_ports(page)
    assert (cell(page, 3, "Port"), cell(page, 7, "Port")) == ("993", "993")
    page.get_by_role("button", name="Use mx5.example.com").click()
    expect(page.locator('td[data-cell="6-2"]')).to_contain_text("was: https://mx5.example.com/login")
    assert cell(page, 6, "Mail server") == "mx5.example.com"
    page.get_by_role("button", name="leave out row 8").click()
    expect(page.get_by_role("button", name="put back row 8")).to_be_focused()

    # any other cell is opened by a click; the edit is taken back
    page.locator('td[data-cell="2-1"]').click()
    page.keyboard.type(" main")
    expect(page.get_by_text("1 change is not saved yet.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Take back: row 2, Name")).to_be_visible()
    expect(page.get_by_role("link", name="edit row 2")).to_be_focused()
    assert cell(page, 2, "Name") == "mx1 IMAP main"
    page.get_by_role("button", name="Take back: row 2, Name").click()
    expect(page.locator("#message")).to_have_text("Taken back: 1 row.")
    assert cell(page, 2, "Name") == "mx1 IMAP"
    expect(page.get_by_text("9 rows are ready, 1 has errors and would not be created, 1 is left out.")).to_have_count(2)

    compare(page)
    expect(page.get_by_role("list").filter(has_text="9 will create")).to_contain_text("1 invalid")
    assert account.monitors() == []
    page.get_by_role("button", name="Try 2 rows").click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("Only the first rows were sent, as you asked.")).to_be_visible()
    assert [monitor["name"] for monitor in account.monitors()] == ["mx1 IMAP", "mx2 IMAP"]

    # watched, without a reload of the page; then with one
    hold(account, after=3)
    page.get_by_role("button", name="Create the other 7 monitors").click()
    page.wait_for_url("**/runs/*")
    mark(page)
    expect_held(page)
    assert is_marked(page)
    page.reload()
    mark(page)
    expect_held(page)
    page.get_by_role("link", name="Look again").click()
    counts = page.get_by_role("navigation", name="Rows by status")
    expect(counts).to_have_text(re.compile(r"created 5\s+invalid 1\s+not attempted 4"))
    assert len(account.monitors()) == 5
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped early. It was stopped on request. Nothing is lost")).to_be_visible()
    assert is_marked(page)
    assert len(account.monitors()) == 5

    release(account)
    page.get_by_role("button", name="Resume: 4 rows to run again").click()
    page.wait_for_url("**/runs/*")
    expect_heading(page, "Results")
    expect(page.get_by_text("Of 10 rows: 9 done, 1 to fix.")).to_be_visible()
    expect_results(download(page, "Excel workbook", tmp_path), account, created=9)

    undo(page, monitors=9)
    assert account.monitors() == []


def test_without_javascript(open_page: Pages, serve: Serve, account: Sandbox, tmp_path: Path) -> None:
    page = open_page(serve().address, javascript=False)
    give_file(page, write_workbook(tmp_path / "mail hosts.xlsx", HEADER, ROWS))
    choose_columns(page)

    page.get_by_label("Service, row 4").fill("imap")
    page.get_by_label("Service, row 4").press("Enter")
    expect(page.locator("#message")).to_have_text("Changed: 1 row.")
    fix_ports(page)
    page.get_by_role("button", name="Use mx5.example.com").click()
    expect(page.locator('td[data-cell="6-2"]')).to_contain_text("was: https://mx5.example.com/login")
    page.get_by_role("button", name="leave out row 8").click()
    expect(page.get_by_role("button", name="put back row 8")).to_be_visible()

    expect_hint(page, "press “edit” in another row.")

    # `?edit=<row>` opens all cells of a row, and shows it
    page.get_by_role("link", name="edit row 12").click()
    expect(page.get_by_label("Name, row 12")).to_be_in_viewport()
    page.get_by_label("Name, row 12").fill("mx12 main")
    page.get_by_label("Interval, row 12").fill("30")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("button", name="Take back: 2 cells")).to_be_visible()
    page.get_by_role("button", name="Take back: 2 cells").click()
    expect(page.locator("#message")).to_have_text("Taken back: 1 row.")
    assert (cell(page, 12, "Name"), cell(page, 12, "Interval")) == ("mx12 POP3", "15")

    compare(page)
    assert account.monitors() == []
    hold(account, after=4)
    create_all(page)
    expect(page.get_by_role("heading", name="Creating monitors: 4 of 9 rows")).to_be_visible()  # refreshes itself
    page.reload()
    expect(page.get_by_role("heading", name="Creating monitors: 4 of 9 rows")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped early. It was stopped on request. Nothing is lost")).to_be_visible()
    assert len(account.monitors()) == 4

    release(account)
    page.get_by_role("button", name="Resume: 5 rows to run again").click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("Of 10 rows: 9 done, 1 to fix.")).to_be_visible()
    page.reload()
    expect_results(download(page, "Excel workbook", tmp_path), account, created=9)

    undo(page, monitors=9)
    assert account.monitors() == []


def test_a_run_that_begins_late_is_shown_as_soon_as_it_has_begun(
    open_page: Pages, serve: Serve, account: Sandbox
) -> None:
    server = serve()
    page = open_page(server.address)
    give_text(page, "type,name,hostname,plan\n" + "\n".join(f"imap,mx{n},mx{n}.example.com,{PLAN}" for n in range(3)))
    compare(page)
    hold(account, after=1)
    with Store(server.folder / "output") as store:
        store.lock()
        page.get_by_role("button", name="Create 3 monitors").click()
        expect(page.get_by_text("Waiting for another bulkload").first).to_be_visible()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_role("heading", name="Creating monitors: 1 of 3 rows")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Resume: 2 rows to run again")).to_be_visible()


def test_a_server_that_is_killed_and_started_again(open_page: Pages, serve: Serve, account: Sandbox) -> None:
    server = serve()
    page = open_page(server.address, allow="ERR_|status of 40[134]")  # no server; no key, an old form, an unknown job
    hosts = "\n".join(f"imap,mx{n} IMAP,mx{n}.example.com,{PLAN}" for n in range(2, 10))
    give_text(page, f"type,name,hostname,plan\n{hosts}")
    expect(page.get_by_text("8 rows are ready.").first).to_be_visible()
    expect(page.get_by_role("heading", name="What is wrong")).to_have_count(
        0
    )  # the text is whole without a last line end
    rows, other = page.context.new_page(), page.context.new_page()
    rows.goto(page.url)
    compare(page)
    hold(account, after=3)
    create_all(page)
    other.goto(page.url)
    for watched in (page, other):
        expect(watched.get_by_role("heading", name="Creating monitors: 3 of 8 rows")).to_be_visible()
    rows.locator('td[data-cell="2-1"]').click()
    rows.keyboard.type(" main")

    server.kill()
    release(account)
    for watched in (page, other):
        expect(watched.locator("#lost")).to_be_visible()
        expect(watched.locator("#lost")).to_contain_text("The connection to the server is lost.")
    rows.get_by_role("button", name="Save changes").click()
    expect(rows.get_by_role("alert")).to_have_text(
        "The server does not answer. What you typed is still on this page: try again in a moment."
    )

    server = serve("--port", urlsplit(server.address).port)
    rows.get_by_role("button", name="Save changes").click()
    expect(rows.get_by_role("alert")).to_contain_text("the server asks for its access key again")
    with rows.context.expect_page() as opening:
        rows.get_by_role("link", name="Enter it in another tab").click()
    expect_heading(opening.value, "Access key needed")
    page.get_by_role("link", name="Enter the key").click()
    page.get_by_label("Access key").fill(parse_qs(urlsplit(server.address).query)["key"][0])
    page.get_by_role("button", name="Open").click()

    # what was typed before is saved; the run is as the dead server left it, and goes on
    rows.get_by_role("button", name="Save changes").click()
    expect(rows.get_by_role("button", name="Take back: row 2, name")).to_be_visible()
    expect(rows.locator('td[data-cell="2-1"] .text')).to_have_text("mx2 IMAP main")
    for watched in (page, other):
        expect(watched.get_by_role("button", name="Resume: 5 rows to run again")).to_be_visible()
    assert len(account.monitors()) == 3
    page.get_by_role("button", name="Resume").click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("All 8 rows are done.")).to_be_visible()
    assert len({monitor["name"] for monitor in account.monitors()}) == len(account.monitors()) == 8
