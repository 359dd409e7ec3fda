"""What a person does on the upload page, and an account that holds a run in the middle.

In: a page of the browser. Out: the same page some steps further on; each step waits for what it leads to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from openpyxl import Workbook, load_workbook

from bulkload.sandbox import Faults
from bulkload.sandbox.faults import Rule
from bulkload.sandbox.server import Sandbox
from tests.support.browser import Page, expect

PAUSE = 600  # seconds that the held account asks for; no test waits for them


def write_workbook(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """Write rows to an Excel workbook."""
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in (header, *rows):
        sheet.append([*row])
    workbook.save(path)
    return path


def read_workbook(path: Path) -> list[dict[str, str]]:
    """The rows of the first worksheet, by the texts of its first row."""
    rows = load_workbook(path).worksheets[0].iter_rows(values_only=True)
    header = [str(name) for name in next(rows)]
    return [dict(zip(header, ("" if value is None else str(value) for value in row), strict=True)) for row in rows]


def expect_heading(page: Page, text: str) -> None:
    """Wait for the page with this heading."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def give_file(page: Page, path: Path) -> None:
    """Choose a file on the start page, and have it checked."""
    page.get_by_label("choose a file").set_input_files(path)
    page.get_by_role("button", name="Check this file").click()
    page.wait_for_url("**/drafts/**")


def give_text(page: Page, text: str) -> None:
    """Paste rows on the start page, and have them checked."""
    page.get_by_label("Rows copied from a spreadsheet").fill(text)
    page.get_by_role("button", name="Check these rows").click()
    page.wait_for_url("**/drafts/**")


def compare(page: Page) -> None:
    """Go from the rows to the comparison, and compare."""
    page.get_by_role("link", name="Next: compare").first.click()
    expect_heading(page, "Compare and create")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="What would happen")).to_be_visible()


def create_all(page: Page) -> None:
    """Create all monitors of the comparison, and go to the page of the run."""
    page.get_by_role("button", name=re.compile("^Create [0-9]+ monitors?$")).click()
    page.wait_for_url("**/runs/*")


def message(page: Page) -> str:
    """The message at the top of the page."""
    return page.locator("#message").inner_text()


def download(page: Page, link: str, folder: Path) -> Path:
    """Download a file from a link with this text."""
    with page.expect_download() as downloading:
        page.get_by_role("link", name=link).click()
    path = folder / downloading.value.suggested_filename
    downloading.value.save_as(path)
    return path


def hold(account: Sandbox, *, after: int) -> None:
    """Have the account create this many further monitors, and ask for a long pause then: a run stays in the middle."""
    refused = Rule(fault="throttle", on=("create",), at=tuple(range(after + 1, after + 1000)))
    account.set_faults(Faults(rules=(refused,), retry_after_seconds=PAUSE))


def release(account: Sandbox) -> None:
    """Have the account create monitors again. A run that is held has to be stopped and resumed."""
    account.set_faults(Faults())
