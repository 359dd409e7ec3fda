"""Every template with every sample: escaped, labelled, protected, and within the Content-Security-Policy."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import pytest

from bulkload.model import Status
from bulkload.reports.palette import PALETTE, css_class
from bulkload.web.rendering import render, static_address, static_files
from tests.web.sample_pages import pages
from tests.web.sample_records import DRAFT, FRAME, HOSTILE, PROGRESS, bad_port, mixed_rows, table

PAGES = pages()
CONTROLS = {"input", "select", "textarea"}


class Document(HTMLParser):
    """The elements of a page: name and attributes, and the form around each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.forms: list[tuple[dict[str, str | None], set[str]]] = []  # attributes, and the names of its fields
        self.labelled: set[str] = set()  # by a label around them
        self._in_label = self._in_form = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        self._in_label |= tag == "label"
        if tag == "form":
            self._in_form = True
            self.forms.append((attributes, set()))
        if tag in CONTROLS and self._in_label:
            attributes["aria-label"] = "by the label around it"
        if tag in CONTROLS and self._in_form and "form" not in attributes:
            self.forms[-1][1].add(attributes.get("name") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._in_label = False
        if tag == "form":
            self._in_form = False


def page(name: str) -> str:
    template, context = PAGES[name]
    return render(template, **context)


def test_every_template_has_a_sample() -> None:
    templates = {entry.name for entry in (resources.files("bulkload.web") / "templates").iterdir()}
    assert {name for name in templates if not name.startswith("_")} - {"layout.html"} == {
        template for template, _ in PAGES.values()
    }


@pytest.mark.parametrize("name", PAGES)
def test_pages_obey_the_content_security_policy(name: str) -> None:
    for tag, attributes in Document(page(name)).elements:
        assert tag != "style"
        assert not [key for key in attributes if key == "style" or key.startswith("on")]
        if tag == "script":
            assert attributes == {"src": static_address("app.js"), "defer": None}
        address = attributes.get("href") or attributes.get("src") or attributes.get("action") or ""
        assert not re.match(r"(https?:)?//|javascript:", address), address


@pytest.mark.parametrize("name", PAGES)
def test_ids_are_unique_and_references_point_to_them(name: str) -> None:
    elements = Document(page(name)).elements
    ids = [attributes["id"] for _, attributes in elements if attributes.get("id")]
    assert sorted(ids, key=str) == sorted(set(ids), key=str)
    for key in ("for", "form", "aria-describedby", "aria-labelledby", "list"):
        named = [word for _, attributes in elements for word in (attributes.get(key) or "").split()]
        assert set(named) <= set(ids), key


@pytest.mark.parametrize("name", PAGES)
def test_every_field_has_a_label(name: str) -> None:
    elements = Document(page(name)).elements
    labelled = {attributes.get("for") for tag, attributes in elements if tag == "label"}
    assert [
        attributes
        for tag, attributes in elements
        if tag in CONTROLS
        and attributes.get("type") != "hidden"
        and "aria-label" not in attributes
        and attributes.get("id") not in labelled
    ] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_posting_form_has_the_token_and_actions_on_drafts_the_version(name: str) -> None:
    for attributes, fields in Document(page(name)).forms:
        if attributes.get("method") == "post":
            assert "token" in fields, attributes
            if (attributes["action"] or "").startswith(f"{DRAFT.href}/"):
                assert "version" in fields, attributes


@pytest.mark.parametrize("name", PAGES)
def test_text_of_cells_is_never_markup(name: str) -> None:
    html = page(name)
    assert HOSTILE not in html
    assert "<script>alert" not in html
    assert [tag for tag, _ in Document(html).elements].count("script") == 1


def test_cells_with_errors_are_fields_and_their_messages_are_tied_to_them() -> None:
    context = {"draft": DRAFT, "target": "x", "frame": FRAME, "table": table([bad_port(17)])}
    elements = Document(render("rows.html", **context)).elements
    (field,) = [attributes for tag, attributes in elements if tag == "input" and attributes["name"] == "cell-17-3"]
    assert field["value"] == "99999"
    assert field["aria-invalid"] == "true"
    assert field["aria-describedby"] == "why-17-3"
    assert field["form"] == "edit"


def test_a_cell_of_several_lines_keeps_its_lines() -> None:
    html = render("rows.html", draft=DRAFT, target="x", frame=FRAME, table=table(mixed_rows(0)))
    assert re.search(r'<textarea [^>]*name="cell-25-7"[^>]*>\ntwo\nlines</textarea>', html)


def test_rows_left_out_have_no_fields() -> None:
    left_out = replace(bad_port(17), is_left_out=True)
    html = render("rows.html", draft=DRAFT, target="x", frame=FRAME, table=table([left_out]))
    assert "cell-17-3" not in [attributes.get("name") for _, attributes in Document(html).elements]
    assert 'name="in" value="17"' in html


def test_the_rehearsal_is_marked_on_each_page_about_it_and_on_no_other() -> None:
    for name, (_, context) in PAGES.items():
        frame = context["frame"]
        is_marked = frame.is_rehearsal or frame.only_sandbox  # type: ignore[attr-defined]
        assert ("Rehearsal in the sandbox" in page(name)) == is_marked, name


def test_trying_two_rows_is_the_first_choice() -> None:
    html = page("forecast")
    assert html.index("Try 2 rows") < html.index("Create 54 monitors and change 1")
    assert "Try 2 rows" not in page("forecast-sandbox")  # one monitor only
    for name in ("forecast-old", "forecast-nothing", "forecast-problem", "forecast-before", "forecast-login"):
        assert f'action="{DRAFT.href}/start"' not in page(name), name


def test_without_javascript_a_page_about_a_job_is_loaded_again() -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page("run-active")
    assert "refresh" not in page("run")


def test_progress_is_a_fragment_with_the_token_for_stop() -> None:
    html = render("_progress.html", progress=PROGRESS, token="t0ken")
    assert "<html" not in html
    assert 'name="token" value="t0ken"' in html
    assert 'id="stop"' not in render("_progress.html", progress=replace(PROGRESS, can_stop=False), token="t0ken")


def test_the_style_sheet_has_the_colours_of_the_reports() -> None:
    css = static_files()["style.css"].body.decode()
    for status, colours in PALETTE.items():
        name = re.escape(css_class(status))
        light, dark = re.findall(rf"^ *\.{name} {{(.*)}}$", css, re.MULTILINE)
        assert f"--strong: {colours.strong}; --fill: {colours.fill}; --row-ink: {colours.ink};" in light
        assert f"--fill: {colours.dark_fill}; --row-ink: {colours.dark_ink};" in dark
    assert set(PALETTE) == set(Status)


def test_addresses_of_static_files_change_with_their_content() -> None:
    for name, file in static_files().items():
        assert static_address(name) == f"/static/{name}?{file.digest}"
        assert file.digest in page("start")
