"""A list of which the input has only a part is an error that says which part is missing; a whole list is silent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.migration.checks import SkippedObject
from bulkload.migration.page_facts import PageFacts, page_facts
from bulkload.migration.pages import Page, incomplete_lists, page_of
from tests.support.migration_objects import MINIMAL_OBJECTS, read_json

GIVE_OTHERS = "give the other pages as well, in one folder or one file."


def items(tool: str, count: int, first: int = 1) -> list[dict[str, Any]]:
    """Objects of a tool that differ by ID."""
    id_key = {"uptime-com": "pk", "site24x7": "monitor_id", "datadog": "public_id"}.get(tool, "id")
    return [{**MINIMAL_OBJECTS[tool][1], id_key: number} for number in range(first, first + count)]


def page(tool: str, objects: Sequence[object], **facts: object) -> dict[str, object]:
    return {MINIMAL_OBJECTS[tool][0]: list(objects), **facts}


def uptimerobot(number: int, *, total: int = 243, size: int = 50, shift: int = 0) -> dict[str, object]:
    """A page of UptimeRobot; `shift` objects were added at the front of the list since the first page."""
    offset = (number - 1) * size
    objects = items("uptimerobot", max(0, min(size, total - offset)), first=1 + offset - shift)
    return page("uptimerobot", objects, stat="ok", pagination={"offset": offset, "limit": size, "total": total})


def better_stack(number: int, last: int) -> dict[str, object]:
    def link(to: int) -> str | None:
        return f"https://uptime.betterstack.com/api/v2/monitors?page={to}" if 1 <= to <= last else None

    links = {"first": link(1), "last": link(last), "prev": link(number - 1), "next": link(number + 1)}
    return page("better-stack", items("better-stack", 2, first=number * 10), pagination=links)


def rests(folder: Path, *pages: object, tool: str | None = None) -> list[str]:
    """What is said to be missing."""
    found = [item for item in read_json(folder, *pages, tool=tool) if isinstance(item, SkippedObject) and item.is_rest]
    assert all(item.error for item in found)
    return [f"{item.origin}: {item.reason}" for item in found]


@pytest.mark.parametrize(
    ("tool", "facts", "message"),
    [
        ("uptimerobot", {"pagination": {"offset": 0, "limit": 2, "total": 7}}, "page 1 of 4 (2 of 7 monitors), so 5"),
        ("uptimerobot", {"pagination": {"offset": "2", "limit": "2", "total": "7"}}, "page 2 of 4 (2 of 7 monitors)"),
        ("uptimerobot", {"offset": "0", "limit": "50", "total": "3"}, "not complete (2 of 3 monitors), so 1 is"),
        ("uptimerobot", {"nextLink": "https://x.example/v3/monitors?cursor=7"}, "more pages follow (2 monitors)"),
        ("statuscake", {"metadata": {"page": 1, "per_page": 2, "page_count": 3, "total_count": 5}}, "page 1 of 3 (2"),
        ("statuscake", {"metadata": {"page": 3, "page_count": 3}}, "page 3 of 3 (2 tests)"),
        ("better-stack", {"pagination": {"prev": None, "next": "https://x.example/m?page=2"}}, "page 1, and more"),
        ("better-stack", {"pagination": {"prev": "https://x.example/m?page=1", "next": None}}, "page 2 (2 monitors)"),
        ("uptime-com", {"count": 120, "next": "https://x.example/c/?page=2", "previous": None}, "page 1 of 60 (2 of"),
        ("uptime-com", {"count": 5, "next": None, "previous": "https://x.example/c/?page=2"}, "page 3"),
        ("uptime-com", {"count": 5, "next": "/c/?limit=2&offset=4", "previous": "/c/?limit=2"}, "page 2 of 3 (2 of 5"),
        ("pingdom", {"counts": {"total": 120, "limited": 2, "filtered": 120}}, "(2 of 120 checks), so 118 are missing"),
        ("pingdom", {"counts": {"total": 120, "limited": 2, "filtered": 2}}, "requested with a filter (2 of 120"),
        ("alertsite", {"metadata": {"resultset": {"count": 6, "limit": 2, "offset": "0"}}}, "page 1 of 3 (2 of 6"),
        ("alertsite", {"metadata": {"resultset": {"count": 2, "limit": 2, "offset": "0"}}}, "so more may follow"),
        ("alertsite", {"metadata": {"resultset": {"count": 2, "limit": 5, "offset": "5"}}}, "page 2 (2 monitors)"),
        ("datadog", {"metadata": {"pagination": {"total_count": 9}}}, "(2 of 9 tests), so 7 are missing"),
        ("datadog", {"meta": {"page": {"size": 2, "totalElements": 5, "totalPages": 3, "number": 0}}}, "page 1 of 3"),
        ("site24x7", {"has_more": True}, "more pages follow (2 monitors)"),
        ("site24x7", {"truncated": True}, "more pages follow (2 monitors)"),
        ("site24x7", {"links": [{"rel": "next", "href": "/api/monitors?page=2"}]}, "page 1"),
        ("site24x7", {"@odata.nextLink": "https://x.example/?$skip=2"}, "more pages follow"),
        ("site24x7", {"size": 2, "limit": 2, "isLastPage": False, "start": 0}, "page 1, and more pages follow"),
        ("uptime-kuma", {"last": False, "number": 0, "totalPages": 3}, "page 1 of 3"),
    ],
)  # fmt: skip
def test_a_page_that_says_that_it_is_not_the_whole_list_is_an_error(
    tool: str, facts: Mapping[str, object], message: str, tmp_path: Path
) -> None:
    (rest,) = rests(tmp_path, page(tool, items(tool, 2), **facts), tool=tool)
    assert rest.startswith("page0.json: The list ")
    assert message in rest


@pytest.mark.parametrize(
    ("tool", "facts"),
    [
        ("uptimerobot", {}),
        ("uptimerobot", {"pagination": {"offset": 0, "limit": 2, "total": 2}}),
        ("uptimerobot", {"pagination": {"offset": 0, "limit": 50, "total": 1}}),  # one was added while it was read
        ("uptimerobot", {"nextLink": None}),
        ("statuscake", {"metadata": {"page": 1, "per_page": 25, "page_count": 1, "total_count": 2}}),
        ("better-stack", {"pagination": {"first": "/m?page=1", "last": "/m?page=1", "prev": None, "next": None}}),
        ("uptime-com", {"count": 2, "next": None, "previous": None}),
        ("pingdom", {"counts": {"total": 2, "limited": 2, "filtered": 2}}),
        ("alertsite", {"metadata": {"resultset": {"count": 2, "limit": None, "offset": "0"}}}),
        ("alertsite", {"metadata": {"resultset": {"count": 2, "limit": 100, "offset": None}}}),
        ("datadog", {"metadata": None}),
        ("datadog", {"meta": {"total": "many", "next": "", "page": {"last": True}}}),
        ("site24x7", {"code": 0, "message": "success", "has_more": "false"}),
        ("uptime-kuma", {"version": "1.23.17", "notificationList": [{"next": True, "total": 99}]}),
    ],
)  # fmt: skip
def test_a_whole_list_is_silent(tool: str, facts: Mapping[str, object], tmp_path: Path) -> None:
    assert rests(tmp_path, page(tool, items(tool, 2), **facts), tool=tool) == []


def test_fields_of_the_listed_objects_are_not_facts_about_the_list(tmp_path: Path) -> None:
    objects = [{**item, "total": 99, "next": "x", "page": 3, "has_more": True} for item in items("uptimerobot", 2)]
    assert rests(tmp_path, page("uptimerobot", objects)) == []
    assert rests(tmp_path, objects) == []


@pytest.mark.parametrize("as_one_file", [False, True])
@pytest.mark.parametrize(
    "pages",
    [
        [uptimerobot(number) for number in (4, 1, 5, 3, 2)],
        [better_stack(number, 3) for number in (2, 3, 1)],
        [page("better-stack", []), better_stack(1, 1)],
    ],
)
def test_all_pages_together_are_silent_in_any_order(
    pages: list[dict[str, object]], as_one_file: bool, tmp_path: Path
) -> None:
    assert rests(tmp_path, *([pages] if as_one_file else pages)) == []


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([1, 2, 4, 5], "Page 3 of 5 is missing (193 of 243 monitors); give it as well, in one folder or"),
        ([2, 5], "Pages 1, 3 and 4 of 5 are missing (93 of 243 monitors); give them as well"),
        ([5], "The list is page 5 of 5 (43 of 243 monitors), so 200 are missing; " + GIVE_OTHERS),
        ([1], "The list is page 1 of 5 (50 of 243 monitors), so 193 are missing; " + GIVE_OTHERS),
        ([5, 1], "Pages 2 to 4 of 5 are missing (93 of 243 monitors)"),
    ],
)
def test_missing_pages_are_named_by_number(numbers: list[int], message: str, tmp_path: Path) -> None:
    (rest,) = rests(tmp_path, *map(uptimerobot, numbers))
    assert message in rest


def test_missing_pages_of_a_list_without_a_total_are_named_by_number(tmp_path: Path) -> None:
    (rest,) = rests(tmp_path, better_stack(1, 4), better_stack(3, 4))
    assert "Pages 2 and 4 of 4 are missing (4 monitors)" in rest


def test_a_page_that_is_given_twice_is_named_and_does_not_replace_another(tmp_path: Path) -> None:
    skipped = [
        item for item in read_json(tmp_path, *map(uptimerobot, [1, 2, 2, 4, 5])) if isinstance(item, SkippedObject)
    ]
    assert [item.reason for item in skipped if item.is_rest] == [
        "Page 3 of 5 is missing (193 of 243 monitors); give it as well, in one folder or one file."
    ]
    (twice,) = (item for item in skipped if "given twice" in item.reason)
    assert (twice.origin, twice.reason, twice.error) == (
        "page2.json", "Page 2 is given twice; it is also in page1.json.", False,
    )  # fmt: skip


def test_a_list_that_changed_while_it_was_read_is_not_whole(tmp_path: Path) -> None:
    """After one was added at the front, the next page begins with the last monitor of this one."""
    pages = [uptimerobot(1, total=100), uptimerobot(2, total=101, shift=1), uptimerobot(3, total=101, shift=1)]
    (rest,) = rests(tmp_path, *pages)
    assert "The list changed while its 3 pages were read (100 of 101 monitors), so 1 is missing" in rest
    assert "get all pages again" in rest


def test_pages_that_are_linked_by_cursors_are_whole_with_a_last_one(tmp_path: Path) -> None:
    first = page("uptimerobot", items("uptimerobot", 2), nextLink="https://x.example/?cursor=2")
    second = page("uptimerobot", items("uptimerobot", 2, first=3), nextLink="https://x.example/?cursor=4")
    last = page("uptimerobot", items("uptimerobot", 1, first=5), nextLink=None)
    (rest,) = rests(tmp_path, first, second)
    assert "does not end with these 2 pages (4 monitors)" in rest
    assert rests(tmp_path, first, second, last) == []


def test_a_full_page_is_whole_with_the_empty_page_after_it(tmp_path: Path) -> None:
    def listing(count: int, offset: int) -> dict[str, object]:
        resultset = {"count": count, "limit": 2, "offset": str(offset)}
        return page("alertsite", items("alertsite", count, first=offset + 1), metadata={"resultset": resultset})

    assert len(rests(tmp_path, listing(2, 0))) == 1
    assert rests(tmp_path, listing(2, 0), listing(0, 2)) == []
    assert rests(tmp_path, listing(2, 0), listing(1, 2)) == []


def test_two_accounts_are_two_lists(tmp_path: Path) -> None:
    whole = page("uptimerobot", items("uptimerobot", 3, first=900), pagination={"offset": 0, "limit": 50, "total": 3})
    (rest,) = rests(tmp_path, whole, uptimerobot(1, total=53))
    assert rest == ("page1.json: The list is page 1 of 2 (50 of 53 monitors), so 3 are missing; " + GIVE_OTHERS)
    assert rests(tmp_path, whole, uptimerobot(1, total=53), uptimerobot(2, total=53)) == []


def test_pages_of_different_sizes_are_one_list(tmp_path: Path) -> None:
    def part(offset: int, count: int, size: int) -> dict[str, object]:
        facts = {"offset": offset, "limit": size, "total": 100}
        return page("uptimerobot", items("uptimerobot", count, first=1 + offset), pagination=facts)

    first, second, third = part(0, 20, 20), part(20, 50, 50), part(70, 30, 50)
    assert rests(tmp_path, first, second, third) == []
    (tmp_path / "page2.json").unlink()
    (rest,) = rests(tmp_path, first, second)
    assert "These 2 pages are not the whole list (70 of 100 monitors), so 30 are missing" in rest


@pytest.mark.parametrize("as_one_file", [False, True])
def test_objects_without_an_id_are_all_different(as_one_file: bool, tmp_path: Path) -> None:
    objects = [{key: value for key, value in item.items() if key != "id"} for item in items("uptimerobot", 4)]
    pages = [
        page("uptimerobot", objects[offset : offset + 2], pagination={"offset": offset, "limit": 2, "total": 4})
        for offset in (0, 2)
    ]
    assert rests(tmp_path, *([pages] if as_one_file else pages)) == []


def test_details_of_all_objects_complete_a_list(tmp_path: Path) -> None:
    listing = page("pingdom", items("pingdom", 1), counts={"total": 3})
    details = [{"check": item} for item in items("pingdom", 3)]
    assert len(rests(tmp_path, listing, details[0])) == 1
    assert rests(tmp_path, listing, *details) == []


def facts_of(style: str, number: int, size: int, total: int) -> dict[str, object]:
    """What a page says in the style of an API."""
    last = -(-total // size)

    def link(to: int) -> str | None:
        return f"https://api.example.com/?page={to}" if 1 <= to <= last else None

    links = {"prev": link(number - 1), "next": link(number + 1)}
    styles: dict[str, dict[str, object]] = {
        "offset": {"pagination": {"offset": (number - 1) * size, "limit": size, "total": total}},
        "page": {"metadata": {"page": number, "per_page": size, "page_count": last, "total_count": total}},
        "links": {"pagination": {**links, "first": link(1), "last": link(last)}},
        "count and links": {"count": total, "next": links["next"], "previous": links["prev"]},
        "links alone": {"links": links},
    }
    return styles[style]


@given(
    style=st.sampled_from(["offset", "page", "links", "count and links", "links alone"]),
    size=st.integers(1, 4),
    total=st.integers(1, 13),
    data=st.data(),
)
def test_any_part_of_a_list_is_found_and_the_whole_is_silent(
    style: str, size: int, total: int, data: st.DataObject
) -> None:
    numbers = range(1, -(-total // size) + 1)
    given_numbers = data.draw(st.lists(st.sampled_from(numbers), min_size=1, max_size=8))
    pages = []
    for number in given_numbers:
        objects = range((number - 1) * size, min(number * size, total))
        pages.append(page_of(f"{number}.json", facts_of(style, number, size, total), objects))
    rests = [item.reason for item in incomplete_lists(pages, "monitor") if item.is_rest]
    missing = sorted(set(numbers) - set(given_numbers))
    assert len(rests) == bool(missing)
    if len(set(given_numbers)) > 1 and missing and (style != "links alone" or missing[-1] < max(given_numbers)):
        assert re.match(rf"Pages? {missing[0]}\b", rests[0])


@pytest.mark.parametrize("value", [10**400, 1e308, float("inf"), float("nan"), -1, "9" * 5000, True, [], {}, "x", "٣"])
@pytest.mark.parametrize("key", ["total", "count", "page", "page_count", "limit", "offset", "next", "last", "previous"])
def test_no_value_of_a_fact_stops_the_program(key: str, value: object) -> None:
    for facts in ({key: value}, {"pagination": {key: value}}, {key: value, "limit": 1, "total": 9, "offset": 1}):
        found = Page(file="x", objects=frozenset({1}), facts=page_facts(facts, 1))
        for item in incomplete_lists([found, found], "monitor"):
            assert item.reason.endswith(".")
            assert len(item.reason) < 400


def test_a_billion_pages_are_named_in_one_sentence() -> None:
    pages = [
        Page(file=f"{number}.json", objects=frozenset({number}), facts=PageFacts(number=number, pages=10**9))
        for number in range(1, 100, 2)
    ]
    (rest,) = incomplete_lists(pages, "monitor")
    assert "Pages 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and others of 1,000,000,000 are missing" in rest.reason
    assert rest.origin == "1.json, 3.json, 5.json and 47 more"


def test_the_facts_survive_the_json_of_the_tool() -> None:
    text = '{"data": [], "pagination": {"total": 12.0, "current_page": "2", "per-page": 5, "hasMore": "yes"}}'
    facts = page_facts(json.loads(text), 5)
    assert (facts.total, facts.number, facts.size, facts.pages, facts.has_next) == (12, 2, 5, 3, True)
