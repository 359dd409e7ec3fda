"""Reads what one page of a list says about its place in the list: its number, the total, whether more follow.

In: a parsed response of an API. Out: `PageFacts`. The names are those that APIs use; each is looked up beside the list
and in the objects for such facts, like "pagination" or "metadata", never in the listed objects themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

MAX_LEVELS = 3  # of objects in objects that contain facts
MAX_NUMBER = 10**9  # of pages or objects; a greater number is no count


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Names in lower case, without punctuation: nextLink, next_link and "next-link" are one name.
_CONTAINERS = _names(
    "pagination paging pager pageinfo page meta metadata resultset counts count links link cursor cursors"
    " responsemetadata listmetadata"
)
_TOTAL = _names(
    "total totalcount totalresults totalitems totalelements totalrecords totalentries totalsize totalhits"
    " totalmonitors totalchecks totaltests numfound fullcount"
)
_COUNT = _names("count resultcount itemcount recordcount")  # of the whole list or, with some APIs, of the page
_REMAINING = _names("remainingcount remainingitemcount")
_FILTERED = _names("filtered filteredcount totalfiltered")
_NUMBER = _names("page pagenumber currentpage pageno number current")
_PAGES = _names("pagecount totalpages pages numpages numberofpages pagetotal lastpage")
_SIZE = _names("limit perpage pagesize itemsperpage pagelimit maxresults size")
_OFFSET = _names("offset start skip pageoffset")
_NEXT_LINK = _names("nextlink next nextpage nextpageurl nextpagelink nexturl nexthref odatanextlink")
_NEXT = _NEXT_LINK + _names(
    "nextcursor nextpagetoken nexttoken nextoffset nextpagestart continue continuation continuationtoken"
    " hasmore hasnext hasnextpage hasmorepages hasmoreresults more moreavailable moreresults"
    " truncated istruncated partial ispartial incomplete isincomplete"
)
_PREVIOUS_LINK = _names(
    "prev previous prevlink previouslink prevpage previouspage prevpageurl previouspageurl prevurl previousurl"
)
_PREVIOUS = _PREVIOUS_LINK + _names("prevcursor previouscursor hasprev hasprevious hasprevpage haspreviouspage")
_LAST_FLAG = _names("islast islastpage last lastpage")  # or a link or number, with other APIs
_LAST_LINK = _names("last lastlink lastpageurl lasturl")

_PAGE_PARAMETERS = ("page", "pagenumber", "p", "currentpage")
_SIZE_PARAMETERS = ("limit", "perpage", "pagesize", "size")
_FALSE_WORDS = frozenset({"", "false", "null", "none", "no", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What a page says about itself; None: it does not say."""

    number: int | None = None  # of the page, from 1
    pages: int | None = None
    size: int | None = None  # the most objects of a page
    total: int | None = None  # objects of the whole list
    filtered: int | None = None  # objects that a filter lets through
    has_next: bool | None = None
    has_previous: bool | None = None
    next: str = ""  # the link or cursor
    may_continue: bool = False  # the page is full, and nothing says whether it is the last one

    @property
    def says_anything(self) -> bool:
        """True if the page says something about the list that it is of."""
        return self.is_part or self.total is not None or self.pages is not None or self.has_next is not None

    @property
    def is_part(self) -> bool:
        """True if the page says that it is one of several, or may be."""
        is_one_of_several = (self.number or 1) > 1 or (self.pages or 1) > 1
        return is_one_of_several or bool(self.has_next) or bool(self.has_previous) or self.may_continue


def page_facts(page: object, count: int) -> PageFacts:
    """Read the facts of a page that contains `count` objects."""
    if not isinstance(page, Mapping):
        return PageFacts()
    facts = dict(_facts(page, MAX_LEVELS))
    size, offset = _first_number(facts, _SIZE), _first_number(facts, _OFFSET)
    next_value = next((facts[name] for name in _NEXT if _is_true(facts.get(name))), None)
    has_next, has_previous = _flag(facts, _NEXT), _flag(facts, _PREVIOUS)
    is_last = next((value for name in _LAST_FLAG if isinstance(value := facts.get(name), bool)), None)
    if is_last is not None:
        has_next = has_next or not is_last
    if offset:
        has_previous = True
    total, is_of_list = _total(facts, count, has_next=bool(has_next))
    if total is not None and total > count and not size and has_next:
        size = count or None  # a page before the last one is full
    number = _number(facts, size, offset, count, has_previous)
    return PageFacts(
        number=number,
        pages=_pages(facts, total, size),
        size=size,
        total=total,
        filtered=_first_number(facts, _FILTERED),
        has_next=has_next,
        has_previous=has_previous,
        next=_link(next_value),
        may_continue=has_next is None and not is_of_list and size is not None and count >= size > 0,
    )


def _facts(container: Mapping[object, object], levels: int) -> Iterator[tuple[str, object]]:
    """Yield the names and values of facts; those of outer objects last, since the last of a name is used."""
    for key, value in container.items():
        name = _name(key)
        if levels and name in _CONTAINERS and isinstance(value, Mapping):
            yield from _facts(value, levels - 1)
        elif name in ("links", "link") and isinstance(value, list):  # [{"rel": "next", "href": "…"}]
            for link in value:
                if isinstance(link, Mapping) and isinstance(link.get("rel"), str):
                    yield _name(link["rel"]), link
    yield from ((_name(key), value) for key, value in container.items() if not isinstance(value, list))


def _name(key: object) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower()) if isinstance(key, str) else ""


def _total(facts: Mapping[str, object], count: int, *, has_next: bool) -> tuple[int | None, bool]:
    """The number of objects in the whole list, and whether the page says it of the list and not of itself."""
    totals = [number for name in _TOTAL if (number := _as_number(facts.get(name))) is not None]
    remaining = _first_number(facts, _REMAINING)
    if remaining is not None:
        totals.append(count + remaining)
    number, is_of_list = (max(totals), True) if totals else (_first_number(facts, _COUNT), False)
    is_of_list = is_of_list or (number is not None and number > count)
    if number is None or number < count or (number == count and (has_next or not is_of_list)):
        return None, False  # the page counts something else, or only itself
    return number, is_of_list


def _number(
    facts: Mapping[str, object], size: int | None, offset: int | None, count: int, has_previous: bool | None
) -> int | None:
    number = _first_number(facts, _NUMBER)
    if number is not None:
        return number
    if offset is not None:
        if not offset:
            return 1
        return offset // size + 1 if size and offset % size == 0 else None
    for names, step in ((_NEXT_LINK, -1), (_PREVIOUS_LINK, 1)):
        for name in names:
            neighbour = _page_of_link(facts.get(name), size or count)
            if neighbour is not None and neighbour + step >= 1:
                return neighbour + step
    return 1 if has_previous is False else None


def _pages(facts: Mapping[str, object], total: int | None, size: int | None) -> int | None:
    pages = _first_number(facts, _PAGES)
    if pages is None:
        pages = next((page for name in _LAST_LINK if (page := _page_of_link(facts.get(name), size)) is not None), None)
    if pages is None and total is not None and size:
        pages = -(-total // size)
    return pages


def _page_of_link(value: object, size: int | None) -> int | None:
    """The number of the page that a link leads to."""
    link = _link(value)
    if not link:
        return None
    try:
        parameters = {_name(key): values[-1] for key, values in parse_qs(urlsplit(link).query).items()}
    except ValueError:  # not an address
        return None
    for name in _PAGE_PARAMETERS:
        if (number := _as_number(parameters.get(name))) is not None:
            return number
    offset = _as_number(parameters.get("offset"))
    size = next((n for name in _SIZE_PARAMETERS if (n := _as_number(parameters.get(name)))), size)
    return offset // size + 1 if offset is not None and size and offset % size == 0 else None


def _link(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("href") or value.get("url")
    return value if isinstance(value, str) else ""


def _flag(facts: Mapping[str, object], names: Iterable[str]) -> bool | None:
    """Whether any of the facts is true; None if there is none."""
    values = [facts[name] for name in names if name in facts]
    return any(map(_is_true, values)) if values else None


def _is_true(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in _FALSE_WORDS
    if isinstance(value, Mapping):
        return any(_is_true(value.get(key)) for key in ("href", "url"))
    return bool(value)


def _first_number(facts: Mapping[str, object], names: Iterable[str]) -> int | None:
    return next((number for name in names if (number := _as_number(facts.get(name))) is not None), None)


def _as_number(value: object) -> int | None:
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"[0-9]{1,9}", value.strip(" ")) else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
        return None
    return value
