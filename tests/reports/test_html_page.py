"""The HTML page, read with a strict parser."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings

from bulkload.files.printable import printable
from bulkload.model import Issue, ReportRow, RunInfo, Status
from bulkload.reports import formats as report
from bulkload.reports.html_page import bars
from tests.support.report_samples import HEADER, TEXT, TRICKY_TEXTS, one_row_per_status, row, run_info

_VOID = {"meta", "input", "br"}
_LOADING = {"src", "href", "srcset", "action", "poster", "data", "background"}


class Page(HTMLParser):
    """The parts of a page that tests use; an element that is not closed is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.row_classes: list[str] = []
        self.titles: list[str] = []
        self.text = ""
        self._open: list[str] = []
        with path.open(encoding="utf-8", newline="") as stream:
            self.source = stream.read()
        self.feed(self.source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        attributes = dict(attrs)
        if tag == "tr" and attributes.get("class"):
            self.rows.append([])
            self.row_classes.append(attributes["class"] or "")
        if tag == "td" and self.row_classes:
            self.rows[-1].append("")
            self.titles += [attributes["title"] or ""] if "title" in attributes else []
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self._open and self.rows:
            self.rows[-1][-1] += data


def write(path: Path, rows: list[ReportRow], run: RunInfo | None = None) -> Page:
    report.write(path, run or run_info(rows), iter(rows))
    return Page(path)


def test_every_row_is_on_the_page_with_its_status_and_result(tmp_path: Path) -> None:
    rows = one_row_per_status()
    page = write(tmp_path / "out.html", rows)
    assert [(line[0], line[1], line[2], tuple(line[5:])) for line in page.rows] == [
        (str(r.source_row), r.status.value, r.monitor_id, r.cells) for r in rows
    ]
    assert all(r.error in line[3] and r.status.next_step in line[3] for r, line in zip(rows, page.rows, strict=True))


@given(text=TEXT)
@settings(max_examples=60)
def test_no_text_becomes_markup(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("html") / "out.html"
    plain = write(path, [row("a", "b", "c", "d", error="e", error_columns=("port",))]).tags
    hostile = f"{text}<script>alert(1)</script><img src=x onerror=y>\"'{text}"
    attack = row(hostile, hostile, hostile, hostile, error=hostile, monitor_id=hostile, error_columns=("port",))
    run = replace(run_info([attack]), input=hostile, account=hostile, stopped="", header=(hostile, *HEADER[1:]))
    page = write(path, [attack], run)
    assert page.tags == plain
    assert page.rows[0][5:] == [printable(hostile)] * 4


@pytest.mark.parametrize("text", [text for text in TRICKY_TEXTS if "\x00" not in text])
def test_cells_are_displayed_unchanged(tmp_path: Path, text: str) -> None:
    assert write(tmp_path / "out.html", [row(text, "b", "c", "d")]).rows[0][5] == printable(text)


def test_the_page_loads_nothing(tmp_path: Path) -> None:
    """It has no scripts and no external resources, and forbids the browser both."""
    page = write(tmp_path / "out.html", one_row_per_status())
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert not _LOADING & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "url(" not in page.source
    assert "@import" not in page.source
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_invalid_cells_are_marked_with_their_message(tmp_path: Path) -> None:
    issues = (
        Issue(code="a", message='port is "0".', column="port"),
        Issue(code="b", message="Name is odd.", column="name", severity="warning"),
        Issue(code="c", message="The row is odd.", severity="warning"),
    )
    page = write(tmp_path / "out.html", [row(status=Status.INVALID, issues=issues, error_columns=("port",))])
    assert page.titles == ["Warning: Name is odd.", 'port is "0".']
    assert "Warning: The row is odd." in page.rows[0][3]
    assert {"error", "warning"} <= {value for name, value in page.attributes if name == "class"}


@pytest.mark.parametrize("counts", [{}, {Status.CREATED: 1}, {Status.CREATED: 10**6, Status.FAILED: 1}])
def test_the_chart_fills_its_width_and_every_status_is_visible(counts: dict[Status, int]) -> None:
    chart = bars(replace(run_info([]), counts=counts))
    assert [(bar.status, bar.rows) for bar in chart] == list(counts.items())
    assert all(bar.width > 5 for bar in chart)
    edges = [0.0, *(bar.x + bar.width for bar in chart)]
    assert [bar.x for bar in chart] == pytest.approx(edges[:-1], abs=0.1)
    assert edges[-1] == pytest.approx(1000 if counts else 0, abs=0.1)


def test_a_few_rows_are_never_0_percent_nor_nearly_all_100_percent() -> None:
    counts = {Status.CREATED: 10**6, Status.FAILED: 1}
    assert [bar.share for bar in bars(replace(run_info([]), counts=counts))] == ["> 99.9 %", "< 0.1 %"]


def test_an_empty_run_says_so(tmp_path: Path) -> None:
    page = write(tmp_path / "out.html", [])
    assert "The input has no rows." in page.text
    assert "svg" not in page.tags


def test_a_run_that_stopped_says_why(tmp_path: Path) -> None:
    rows = one_row_per_status()
    page = write(tmp_path / "out.html", rows, run_info(rows, stopped="The login was refused."))
    assert "Stopped early. The login was refused." in page.text


def test_a_printed_page_says_which_columns_it_omits(tmp_path: Path) -> None:
    header = tuple(f"column {n}" for n in range(200))
    page = write(tmp_path / "out.html", [row(*header)], run_info([], header=header))
    assert page.rows[0][5:] == list(header)
    assert "Printed: the first 5 of the input's 200 columns." in page.text


def test_the_rows_come_before_the_facts(tmp_path: Path) -> None:
    """On a phone, errors are seen before settings."""
    page = write(tmp_path / "out.html", [row(error="a wrong cell")])
    assert page.text.index("a wrong cell") < page.text.index("How the input was read")
