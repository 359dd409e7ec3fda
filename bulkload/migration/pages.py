"""Finds lists of which the input does not have all pages, so that one page never counts as the whole list.

In: the pages of one input, each with the objects it contains. Out: a skipped object for every list of which a part is
missing, and for every page that is given twice. A list is whole if its pages contain as many objects as they say the
list has; if they do not say that, it is whole if no page refers to another one that is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from bulkload.migration.checks import SkippedObject
from bulkload.migration.page_facts import PageFacts, page_facts

MAX_FILES_NAMED = 3  # in a message
MAX_RANGES_NAMED = 10  # of missing pages, in a message

_TOGETHER = "in one folder or one file"

_Range = tuple[int, int]  # the first and the last of consecutive page numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list."""

    file: str
    objects: frozenset[Hashable]  # the identity of each object
    facts: PageFacts


def page_of(file: str, content: object, objects: Sequence[Hashable]) -> Page:
    """A page with the facts that its content says about itself."""
    return Page(file=file, objects=frozenset(objects), facts=page_facts(content, len(objects)))


def incomplete_lists(
    pages: Sequence[Page], noun: str, details: frozenset[Hashable] = frozenset()
) -> Iterator[SkippedObject]:
    """Yield what is missing and what is given twice. `details` are objects of the input that are on no page."""
    distinct: dict[Hashable, Page] = {}
    repeated: list[tuple[Page, Page]] = []
    for page in _counted_from_one([page for page in pages if page.facts.says_anything]):
        first = distinct.setdefault((page.objects, page.facts.number, page.facts.next), page)
        if first is not page and page.objects and page.facts.is_part:
            repeated.append((page, first))
    for pages_of_list in _lists(list(distinct.values())):
        if problem := _problem(pages_of_list, noun, details):
            yield SkippedObject(origin=_files(pages_of_list), reason=problem, error=True, is_rest=True)
    for page, first in repeated:
        label = "This page" if page.facts.number is None else f"Page {page.facts.number}"
        yield SkippedObject(origin=page.file, reason=f"{label} is given twice; it is also in {first.file}.")


def _counted_from_one(pages: list[Page]) -> list[Page]:
    """The pages with numbers that start at 1, also those of an API that counts from 0."""
    if all(page.facts.number != 0 for page in pages):
        return pages
    return [
        page if page.facts.number is None else replace(page, facts=replace(page.facts, number=page.facts.number + 1))
        for page in pages
    ]


def _lists(pages: list[Page]) -> list[list[Page]]:
    """Divide the pages by list, as two accounts may be read together.

    Pages whose numbers all differ are one list, even if its total changed while it was read.
    """
    numbers = [page.facts.number for page in pages]
    if None not in numbers and len(set(numbers)) == len(pages):
        return [pages] if pages else []
    lists: dict[object, list[Page]] = {}
    for page in pages:
        key = ("pages", page.facts.pages) if page.facts.total is None else ("total", page.facts.total)
        lists.setdefault(key, []).append(page)
    return list(lists.values())


def _problem(pages: list[Page], noun: str, details: frozenset[Hashable]) -> str:
    """What is missing and what to do, as a sentence; empty if the pages are whole lists."""
    objects = frozenset[Hashable]().union(*(page.objects for page in pages))
    lists = _same_lists(pages)
    total = _highest(page.facts.total for page in pages)
    if total is not None:
        total *= lists
        objects |= details
        if len(objects) >= total:
            return ""
    missing, more_follow = _missing_pages(pages, lists)
    if total is None and not missing and not more_follow:
        return ""
    amount = f"({_amount(len(objects), total, noun)})"
    rest = "" if total is None else f", so {_are_missing(total - len(objects))}"
    if len(pages) == 1:
        return _problem_of_one(pages[0].facts, amount, rest, more_follow=more_follow)
    if missing:
        last = _highest(page.facts.pages for page in pages)
        is_one = len(missing) == 1 and missing[0][0] == missing[0][1]
        subject, verb, them = ("Page", "is", "it") if is_one else ("Pages", "are", "them")
        of_all = "" if last is None else f" of {last:,}"
        return f"{subject} {_ranges(missing)}{of_all} {verb} missing {amount}; give {them} as well, {_TOGETHER}."
    if more_follow:
        return f"The list does not end with these {len(pages)} pages {amount}{rest}; give the others as well."
    if all(page.facts.number is not None for page in pages):
        return f"The list changed while its {len(pages)} pages were read {amount}{rest}; get all pages again."
    return f"These {len(pages)} pages are not the whole list {amount}{rest}; give the others as well."


def _problem_of_one(facts: PageFacts, amount: str, rest: str, *, more_follow: bool) -> str:
    advice = f"give the other pages as well, {_TOGETHER}."
    number, last = facts.number, facts.pages
    if number is not None and last is not None and max(number, last) > 1:
        return f"The list is page {number:,} of {last:,} {amount}{rest}; {advice}"
    if number is not None and (number > 1 or facts.has_next):
        return f"The list is page {number:,}{', and more pages follow' if more_follow else ''} {amount}{rest}; {advice}"
    if facts.filtered is not None and facts.total is not None and facts.filtered < facts.total:
        return (
            f"The list was requested with a filter {amount}{rest}; give the list without the filter, or remove"
            " the counts from the file if the rest is not wanted."
        )
    if facts.may_continue and facts.total is None:
        return (
            f"The list has as many objects as its limit allows {amount}, so more may follow; give the next page as"
            f" well, even if it is empty, {_TOGETHER}."
        )
    return f"The list is not complete{': more pages follow' if facts.has_next else ''} {amount}{rest}; {advice}"


def _same_lists(pages: list[Page]) -> int:
    """How many lists the pages are of: several if pages with the same number have no object in common."""
    by_number: dict[int, list[Page]] = {}
    for page in pages:
        if page.facts.number is not None and page.objects:
            by_number.setdefault(page.facts.number, []).append(page)
    return max(
        (
            len(same)
            for same in by_number.values()
            if len(frozenset[Hashable]().union(*(page.objects for page in same)))
            == sum(len(page.objects) for page in same)
        ),
        default=1,
    )


def _missing_pages(pages: list[Page], lists: int) -> tuple[list[_Range], bool]:
    """The numbers of missing pages, and whether others are missing whose numbers are not known."""
    numbers = [page.facts.number for page in pages if page.facts.number is not None]
    sizes = {page.facts.size for page in pages if page.facts.size is not None}
    if len(numbers) < len(pages) or len(sizes) > 1:  # the list is whole if it has a first and a last page
        begins = any(not page.facts.has_previous for page in pages)
        ends = any(not (page.facts.has_next or page.facts.may_continue) for page in pages)
        return [], not (begins and ends)
    highest = max(numbers)
    last = max(highest, _highest(page.facts.pages for page in pages) or 0)
    final = [page.facts for page in pages if page.facts.number == highest]
    more_follow = last == highest and all(facts.has_next or facts.may_continue for facts in final)
    given = sorted(number for number, times in Counter(numbers).items() if times >= lists)
    gaps = zip([0, *given], [*given, last + 1], strict=True)
    return [(before + 1, after - 1) for before, after in gaps if after - before > 1], more_follow


def _highest(numbers: Iterator[int | None]) -> int | None:
    return max((number for number in numbers if number is not None), default=None)


def _amount(count: int, total: int | None, noun: str) -> str:
    of_total = "" if total is None else f" of {total:,}"
    return f"{count:,}{of_total} {noun}{'' if (count if total is None else total) == 1 else 's'}"


def _are_missing(count: int) -> str:
    return "1 is missing" if count == 1 else f"{count:,} are missing"


def _ranges(ranges: Sequence[_Range]) -> str:
    """Ranges for people: "3", "3 and 4", "2 to 5 and 7"."""
    parts: list[str] = []
    for first, last in ranges[:MAX_RANGES_NAMED]:
        parts += [f"{first} to {last}"] if last - first > 1 else [str(number) for number in range(first, last + 1)]
    if len(ranges) > MAX_RANGES_NAMED:
        parts.append("others")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _files(pages: Sequence[Page]) -> str:
    files = list(dict.fromkeys(page.file for page in pages))
    more = f" and {len(files) - MAX_FILES_NAMED:,} more" if len(files) > MAX_FILES_NAMED else ""
    return f"{', '.join(files[:MAX_FILES_NAMED])}{more}"
