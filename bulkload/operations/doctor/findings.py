"""What one look at an account says about how it shows monitors, in findings of one line.

In: the list of an account's mail monitors, how it came, and what the store knows. Out: `Finding`s: what was asked, what
the account does, what follows for bulkload. Nothing in them names a monitor or a host.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulkload.alertsite.responses import mail_type
from bulkload.monitors.alterations import SHORTEST_CUT, Alteration
from bulkload.monitors.display_profile import DisplayProfile
from bulkload.protocols import MONITOR_TYPES, PLAIN_PORTS
from bulkload.stages.listing import Coverage, Listing

Item = Mapping[str, Any]

MOST_NAMED = 8  # values that one line names
LONGEST_VALUE = 80  # characters of a header's value that are shown
MANY = 3  # names of the same length, the longest, that look as if they were cut

_HOSTS = ("hostname", "smtp_hostname", "pop3_hostname")
_OFTEN_UNSET = ("ipv4", "note")
_SPACES = re.compile(r"\s{2,}|^\s|\s$|[\t\r\n]")
_ESCAPES = re.compile(r"&(?:[a-z]{2,8}|#[0-9]{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)
_NAMES_WITH = {
    "repeated spaces": lambda name: _SPACES.search(name) is not None,
    "escapes such as &amp;": lambda name: _ESCAPES.search(name) is not None,
    "bare & < > or quotes": lambda name: re.search(r"[<>\"']|&(?![a-z#])", name, re.IGNORECASE) is not None,
    "letters beyond ASCII": lambda name: any("\x7f" < character <= "\uffff" for character in name),
    "emoji": lambda name: max(name, default="") > "\uffff",
}
_ABOUT = {  # what a way is about
    Alteration.SPACES: "repeated spaces",
    Alteration.ESCAPES: "signs such as &",
    Alteration.ACCENTS: "accents",
    Alteration.NON_ASCII: "letters beyond ASCII",
    Alteration.ASTRAL: "emoji",
    Alteration.CASE: "capitals",
    Alteration.NO_PORT: "ports",
}
_UNSET = {None: "null", "": '""'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found out."""

    topic: str  # what was asked
    account: str  # what the account does
    follows: str  # what follows for bulkload
    problem: bool = False  # it keeps bulkload from being safe, or from being whole
    public: str | None = None  # in place of `account`, where that names people or hosts


def counted(number: int, noun: str) -> str:
    """Say a number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plans(items: Iterable[Item]) -> Counter[str]:
    """Count the mail monitors of each plan code; those that show none are left out."""
    codes = (item.get("billing_plancode") for item in items if mail_type(item.get("type")))
    return Counter(code for code in codes if isinstance(code, str) and code)


def of_list(listing: Listing, pages: Sequence[tuple[int, int, int]], spellings: Collection[str]) -> Iterator[Finding]:
    """Say what there is, how the list came, and how it shows things; `spellings` are those of types, if odd."""
    items = list(listing.monitors.values())
    mail = [item for item in items if mail_type(item.get("type"))]
    yield _monitors(items, mail)
    if mail:
        yield _plans(mail)
    yield _pages(pages, len(items))
    if mail:
        yield _types(spellings)
        yield from _hosts(mail)
        yield from _ports(mail)
        yield _names(mail)
        yield from _unset(mail)


def of_limits(headers: Mapping[str, str], throttled: int, rate: float) -> Finding:
    """Say what the answers say about limits."""
    keeps = f"bulkload keeps to --rate, {rate:g}/s" if rate else "bulkload sends as fast as it can (--rate)"
    told = [f"{name}: {value[:LONGEST_VALUE]}" for name, value in sorted(headers.items())]
    refused = [f"{counted(throttled, 'request')} refused with HTTP 429 or 408"] if throttled else []
    return Finding(
        topic="limits",
        account=_listed([*refused, *told])
        if told or refused
        else "no header speaks of limits, and no request was refused",
        follows=f"{keeps}, and slows down when requests are refused",
    )


def of_store(listing: Listing, coverage: Coverage) -> Finding:
    """Say how far the list shows what this folder's runs made."""
    made, seen, recognised = coverage.created, coverage.listed, listing.recognised
    if not made:
        return Finding(
            topic="made here",
            account="the output folder knows no monitor that bulkload created",
            follows="nothing to compare the list with; --try creates a monitor and deletes it",
        )
    account = (
        f"{counted(made, 'monitor')} created by runs of this folder: {seen:,} in the list, {recognised:,} recognised"
    )
    if not coverage.is_reliable:
        follows, problem = "a run would stop; if they were deleted by hand, run with --trust-list", True
    elif listing.created and not listing.can_prove_absence:
        follows, problem = "a create whose answer is lost cannot be looked up; its row stays unknown", True
    elif seen and not listing.created:
        follows, problem = "bulkload does not take them for mail monitors; do not run before that is understood", True
    else:
        follows, problem = "a create whose answer is lost can be looked up", False
    return Finding(topic="made here", account=account, follows=follows, problem=problem)


def of_showing(profile: DisplayProfile) -> Finding:
    """Say what has been learned about how the account shows monitors."""
    if not profile.known:
        return Finding(
            topic="learned",
            account="nothing yet: the list has no monitor that bulkload created",
            follows="any difference may be an alteration by the account; --try finds out",
        )
    ways = in_words(profile)
    return Finding(
        topic="learned",
        account="; ".join(ways) if ways else "monitors are displayed as they were sent",
        follows="rows are compared accordingly" + _not_seen(profile),
    )


def in_words(profile: DisplayProfile) -> list[str]:
    """Say what an account is known to do with what it was sent, in plain words."""
    return [
        way.about + (f" after {profile.cut} characters" if way is Alteration.CUT and profile.cut else "")
        for way in Alteration
        if way in profile.alterations
    ]


# ── one look at the list ──────────────────────────────────────────────────────────────────────────────────────


def _monitors(items: Sequence[Item], mail: Sequence[Item]) -> Finding:
    kinds = Counter(mail_type(item["type"]) for item in mail)
    named = [f"{kinds[kind]:,} {kind.removeprefix('email-')}" for kind in MONITOR_TYPES if kinds[kind]]
    others = len(items) - len(mail)
    account = f"{counted(len(mail), 'mail monitor')}: {', '.join(named)}" if mail else "no mail monitors"
    if others:
        return Finding(
            topic="monitors",
            account=f"{account}; also {others:,} of other types, although only mail monitors were requested",
            follows="monitors of other types are ignored",
        )
    follows = "rows are compared with these" if mail else "how monitors are displayed is unknown; --try creates one"
    return Finding(topic="monitors", account=account, follows=follows)


def _plans(mail: Sequence[Item]) -> Finding:
    found = plans(mail)
    without = len(mail) - found.total()
    named = [f"{show_text(code)} {number:,}" for code, number in found.most_common()]
    return Finding(
        topic="plan codes",
        account=_listed([*named, *([f"none shown {without:,}"] if without else [])]),
        follows="for --set billing_plancode=…" if found else "ask the account owner for the plan code",
    )


def _pages(pages: Sequence[tuple[int, int, int]], monitors: int) -> Finding:
    counts, limits = ({page[part] for page in pages} for part in (1, 2))
    account = f"{counted(len(pages), 'page')}; count {_numbers(counts)}, limit {_numbers(limits)}"
    if len(pages) > 1:
        account += f" (count is that of {'all monitors' if counts == {monitors} else 'a page'})"
        follows = f"one listing takes {2 * len(pages):,} requests or more, until two readings of all pages agree"
        return Finding(topic="list", account=account, follows=follows)
    return Finding(topic="list", account=account, follows="one listing takes one request")


def _numbers(found: Iterable[int]) -> str:
    return " and ".join(f"{number:,}" if number else "0 or not given" for number in sorted(found, reverse=True))


def _types(spellings: Collection[str]) -> Finding:
    if not spellings:
        return Finding(topic="types", account="spelled as they are sent, such as email-imap", follows="recognised")
    odd = _listed([show_text(kind) for kind in sorted(spellings)])
    return Finding(topic="types", account=f"unknown spellings: {odd}", follows="recognised anyway")


def _hosts(mail: Sequence[Item]) -> Iterator[Finding]:
    hidden = sum(not any(item.get(field) for field in _HOSTS) for item in mail)
    hosts = [text for item in mail for field in _HOSTS if isinstance(text := item.get(field), str) and text]
    plain = [text for item in mail if isinstance(text := item.get("hostname"), str) and text]
    found = {
        "in capitals": sum(text != text.lower() for text in hosts),
        "with a dot at the end": sum(text.endswith(".") for text in hosts),
        "with a port": sum(re.search(r"[^:]:[0-9]+$", text) is not None for text in plain),
        "with a scheme": sum("://" in text for text in plain),
    }
    parts = [f"{number:,} {words}" for words, number in found.items() if number]
    if hidden:
        yield Finding(
            topic="hosts",
            account=", ".join([f"{hidden:,} of {len(mail):,} not shown", *parts]),
            follows="monitors are distinguished by name; if that is not enough, rows stay unknown",
        )
    elif parts:
        yield Finding(topic="hosts", account=", ".join(parts), follows="these hosts are normalised before comparing")
    else:
        yield Finding(topic="hosts", account="displayed as plain names or addresses", follows="compared as they are")


def _ports(mail: Sequence[Item]) -> Iterator[Finding]:
    found = Counter(_port(item) for item in mail if mail_type(item["type"]) in PLAIN_PORTS)
    if not found:
        return
    shown = found["as a number"] + found["as a number in a text"] + found["in the host name"]
    account = ", ".join(f"{number:,} {words}" for words, number in found.most_common())
    if not shown:
        follows = "monitors that differ only in the port are distinguished only if bulkload created them"
    elif shown < found.total():
        follows = "a port that is not set counts as 143 (imap), 110 (pop) or 25 (smtp)"
    else:
        follows = "every port is known"
    yield Finding(topic="ports", account=account, follows=follows)


def _port(item: Item) -> str:
    if "port" not in item or item["port"] is None or item["port"] == "":
        if re.search(r"[^:]:[0-9]+$", str(item.get("hostname"))):
            return "in the host name"
        return f"as {_UNSET[item['port']]}" if "port" in item else "left out"
    value = item["port"]
    if isinstance(value, int) and not isinstance(value, bool):
        return "as a number"
    return "as a number in a text" if isinstance(value, str) and value.strip().isdecimal() else "as something else"


def _names(mail: Sequence[Item]) -> Finding:
    names = [text for item in mail if isinstance(text := item.get("name"), str) and text]
    if not names:
        return Finding(
            topic="names",
            account="not shown",
            follows="monitors are distinguished by host and port; if that is not enough, rows stay unknown",
        )
    found = {words: sum(map(test, names)) for words, test in _NAMES_WITH.items()}
    parts = [f"{number:,} with {words}" for words, number in found.items() if number]
    missing = len(mail) - len(names)
    if missing:
        parts.insert(0, f"{missing:,} of {len(mail):,} not shown")
    longest = max(map(len, names))
    as_long = sum(len(name) == longest for name in names)
    guesses = []
    if found["escapes such as &amp;"] and not found["bare & < > or quotes"]:
        guesses.append("signs such as & may be shown as escapes")
    if as_long >= MANY and longest >= SHORTEST_CUT:
        parts.append(f"{as_long:,} of exactly that length")
        guesses.append("longer names may be cut")
    cased = [name for name in names if name.upper() != name.lower()]
    for words, change in (("in capitals", str.upper), ("in small letters", str.lower)):
        if len(cased) >= MANY and all(name == change(name) for name in cased):
            parts.append(f"all {words}")
            guesses.append("letter case may be changed")
    kept = {
        "repeated spaces": "blanks",
        "bare & < > or quotes": "signs",
        "letters beyond ASCII": "accents",
        "emoji": "",
    }
    whole = [word or words for words, word in kept.items() if found[words]]
    follows = "; ".join([*guesses, *([f"{' and '.join(whole)} can be shown"] if whole else [])])
    return Finding(
        topic="names",
        account=", ".join([f"up to {counted(longest, 'character')}", *parts]),
        follows=follows or "nothing unusual",
    )


def _unset(mail: Sequence[Item]) -> Iterator[Finding]:
    plain = [item for item in mail if mail_type(item["type"]) in PLAIN_PORTS]
    parts = []
    for field, items in ((_OFTEN_UNSET[0], plain), (_OFTEN_UNSET[1], mail)):
        states = Counter(unset(item, field) for item in items)
        states.pop("", None)
        if states:
            parts.append(f"{field} {', '.join(f'{state} {number:,}' for state, number in states.most_common())}")
    if parts:
        yield Finding(topic="unset fields", account="; ".join(parts), follows="all of these count as not set")


def unset(item: Item, field: str) -> str:
    """Say how a field that is not set is shown; empty: it is set."""
    if field not in item:
        return "left out"
    value = item[field]
    return _UNSET.get(value, "") if value is None or isinstance(value, str) else ""


def show_text(text: str) -> str:
    """Put a found text in a form that is safe for a line; blanks within stay bare."""
    from bulkload.monitors.values import show

    shown = show(text)
    return text if shown == f'"{text}"' and text.isascii() and text.isprintable() else shown


def _not_seen(profile: DisplayProfile) -> str:
    left = [words for way, words in _ABOUT.items() if way not in profile.alterations | profile.exact]
    return f"; not seen yet: how {', '.join(left)} are shown" if left else ""


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - MOST_NAMED
    return ", ".join([*parts[:MOST_NAMED], *([f"and {more:,} more"] if more > 0 else [])])
