"""The way of a person who has no pointer: every step is reached with Tab, in the order of the page, in sight."""

from __future__ import annotations

from pathlib import Path

from bulkload.sandbox.server import Sandbox
from tests.support.browser import JSHandle, Page, Pages, expect
from tests.support.page_steps import expect_heading
from tests.support.served import Serve

NOTE = "a note that makes the table wider than the window"
ROWS = f"""type,name,hostname,plan,alert_note,note,interval,timeout,port
imap,mx1 IMAP,mx1.example.com,UBM - A/A,{NOTE},{NOTE},15,30,99999
imapp,mx2 IMAP,mx2.example.com,UBM - A/A,{NOTE},{NOTE},15,30,143
imap,mx3 IMAP,mx3.example.com,UBM - A/A,{NOTE},{NOTE},15,30,993
"""
MOST_STOPS = 60  # of one page
STOP = """previous => {
    const element = document.activeElement, style = getComputedStyle(element), [box] = element.getClientRects();
    const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2;
    const y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2;
    return {
        name: element.id || element.textContent.trim(),
        isInOrder: !previous || Boolean(previous.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING),
        hasOutline: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
        isInSight: element.contains(document.elementFromPoint(x, y)),  // and nothing covers it
    };
}"""


def expect_in_sight(page: Page, previous: JSHandle | None = None) -> str:
    """Check that the focus can be seen, and comes after this element; returns the name of what has it."""
    stop = page.evaluate(STOP, previous)
    name = str(stop.pop("name"))
    assert stop == {"isInOrder": True, "hasOutline": True, "isInSight": True}, name
    return name


def tab_to(page: Page, role: str, name: str) -> list[str]:
    """Press Tab until this control has the focus; returns the names of all stops on the way."""
    wanted = page.get_by_role(role, name=name).first  # type: ignore[arg-type]
    expect(wanted).to_be_visible()
    names: list[str] = []
    previous = page.evaluate_handle("document.activeElement === document.body ? null : document.activeElement")
    while not wanted.evaluate("element => element === document.activeElement"):
        page.keyboard.press("Tab")
        names.append(expect_in_sight(page, previous))
        assert len(names) < MOST_STOPS, names
        previous = page.evaluate_handle("document.activeElement")
    return names


def test_the_way_without_a_pointer(open_page: Pages, serve: Serve, account: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text(ROWS, "utf-8")
    page = open_page(serve().address)
    page.wait_for_url("**/")

    names = tab_to(page, "button", "Drop a spreadsheet here, or choose a file")
    assert names[:3] == ["Skip to the content", "bulkload", "Start"]
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(path)
    tab_to(page, "button", "Check this file")
    page.keyboard.press("Enter")

    # the skip link leads past the navigation
    expect_heading(page, "Check and fix")
    tab_to(page, "link", "Skip to the content")
    page.keyboard.press("Enter")
    names = tab_to(page, "textbox", "port, row 2")
    assert "Account" not in names
    assert names.index("next") < names.index("kind-1") < names.index("q") < names.index("save") < names.index("open-2")
    page.keyboard.press("Control+a")
    page.keyboard.type("993")
    page.keyboard.press("Enter")
    expect(page.get_by_label("type, row 3")).to_be_focused()
    expect_in_sight(page)
    page.keyboard.press("Control+a")
    page.keyboard.type("x")
    page.keyboard.press("Escape")
    expect(page.get_by_label("type, row 3")).to_have_value("imapp")
    tab_to(page, "button", "Use imap")
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 rows are ready.").first).to_be_visible()
    expect(page.get_by_role("link", name="Next: compare").first).to_be_focused()  # no error is left
    page.keyboard.press("Enter")

    expect_heading(page, "Compare and create")
    tab_to(page, "button", "Compare")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()
    names = tab_to(page, "button", "Create 3 monitors")
    assert names[-2:] == ["Try 2 rows", "Create 3 monitors"]
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("All 3 rows are done.")).to_be_visible()
    tab_to(page, "link", "Excel workbook")
    with page.expect_download():
        page.keyboard.press("Enter")
    assert [monitor["port"] for monitor in account.monitors()] == [993, 143, 993]
