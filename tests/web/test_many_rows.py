"""A file of 10,000 rows: its pages, filters and searches, and a correction of all rows of a kind."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.browser import Page, Pages, expect
from tests.support.page_steps import expect_heading, give_file
from tests.support.served import Serve

ROWS = 10_000
WRONG = range(500, ROWS + 2, 800)  # rows with a wrong port
HEADER = "type,name,hostname,port,plan"


def numbers(page: Page) -> list[int]:
    """The numbers of the rows that are shown."""
    return [int(re.sub(r"\D", "", text)) for text in page.get_by_role("rowheader").all_inner_texts()]


def expect_rows(page: Page, pages_of_rows: str) -> list[int]:
    """Wait for a part of the rows; returns their numbers."""
    expect(page.get_by_role("navigation", name="Pages of rows, top")).to_contain_text(pages_of_rows)
    return numbers(page)


def test_a_file_of_10_000_rows(open_page: Pages, serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    lines = [f"imap,mx{n} IMAP,mx{n}.example.com,{0 if n in WRONG else 993},UBM - A/A" for n in range(2, ROWS + 2)]
    path.write_text("\n".join([HEADER, *lines, ""]), "utf-8")
    page = open_page(serve().address)
    give_file(page, path)
    expect_heading(page, "Check and fix")
    ready = [n for n in range(2, ROWS + 2) if n not in WRONG]
    in_order = [*WRONG, *ready]  # those with errors first
    expect(page.get_by_text(f"{len(ready):,} rows are ready, {len(WRONG)} have errors").first).to_be_visible()
    assert expect_rows(page, "1–50 of 10,000") == in_order[:50]

    pages = page.get_by_role("navigation", name="Pages of rows, top")
    pages.get_by_role("link", name="Next").click()
    assert expect_rows(page, "51–100 of 10,000") == in_order[50:100]
    expect(pages.get_by_role("link", name="Next")).to_be_focused()
    pages.get_by_role("link", name="Last").click()
    assert expect_rows(page, "9,951–10,000 of 10,000") == in_order[-50:]
    pages.get_by_role("link", name="Previous").click()
    assert expect_rows(page, "9,901–9,950 of 10,000") == in_order[-100:-50]
    page.go_back()
    assert expect_rows(page, "9,951–10,000 of 10,000") == in_order[-50:]
    page.reload()
    assert expect_rows(page, "9,951–10,000 of 10,000") == in_order[-50:]
    pages.get_by_role("link", name="First").click()
    assert expect_rows(page, "1–50 of 10,000") == in_order[:50]

    page.get_by_label("Search in the rows").fill("mx99")
    page.get_by_label("Search in the rows").press("Enter")
    found = [n for n in in_order if str(n).startswith("99")]
    assert expect_rows(page, f"1–50 of {len(found)}") == found[:50]
    page.get_by_role("link", name="ready").click()
    found = [n for n in ready if str(n).startswith("99")]
    assert expect_rows(page, f"1–50 of {len(found)}") == found[:50]
    page.get_by_role("link", name="Show all rows").click()
    assert expect_rows(page, "1–50 of 10,000") == in_order[:50]
    page.get_by_role("link", name="invalid").click()
    assert expect_rows(page, f"1–{len(WRONG)} of {len(WRONG)}") == [*WRONG]
    page.get_by_label("Search in the rows").fill("no row is like this")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No row is like that.")).to_be_visible()
    page.get_by_role("table").get_by_role("link", name="Show all rows").click()
    assert expect_rows(page, "1–50 of 10,000") == in_order[:50]

    page.get_by_role("link", name="A port is a whole number").click()
    assert expect_rows(page, f"1–{len(WRONG)} of {len(WRONG)}") == [*WRONG]
    page.get_by_text(f"Correct all {len(WRONG)}").click()
    page.get_by_label(f"port in all {len(WRONG)} rows").fill("993")
    page.get_by_role("button", name="Set").click()
    expect(page.locator("#message")).to_have_text(f"Changed: {len(WRONG)} rows.")
    expect(page.get_by_text("10,000 rows are ready.").first).to_be_visible()
    page.get_by_role("link", name="Show all rows").first.click()
    assert expect_rows(page, "1–50 of 10,000") == [*range(2, 52)]
