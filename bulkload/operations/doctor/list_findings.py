"""Report what an account's list of monitors says about how the account displays and limits them.

In: the list, its pages and headers, and what the store knows about the account. Out: findings. They contain no names
of monitors or hosts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from bulkload.alertsite.responses import mail_type
from bulkload.monitors.alterations import SHORTEST_CUT, Alteration
from bulkload.monitors.display_profile import DisplayProfile
from bulkload.monitors.values import show
from bulkload.operations.doctor.displayed_fields import UNSET_VALUES, unset_value
from bulkload.operations.doctor.finding import Finding, Item, counted
from bulkload.protocols import MONITOR_TYPES, PLAIN_PORTS
from bulkload.stages.listing import Coverage, Listing

MOST_VALUES = 8  # printed values of one finding
LONGEST_VALUE = 80  # printed characters of a header's value
SUSPICIOUS_COUNT = 3  # names that must have the same property before it may be an alteration

_HOST_FIELDS = ("hostname", "smtp_hostname", "pop3_hostname")
_SPACES = re.compile(r"\s{2,}|^\s|\s$|[\t\r\n]")
_ESCAPES = re.compile(r"&(?:[a-z]{2,8}|#[0-9]{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)
_UNESCAPED = re.compile(r"[<>\"']|&(?![a-z#])", re.IGNORECASE)
_HOST_WITH_PORT = re.compile(r"[^:]:[0-9]+$")

_REPEATED_SPACES, _ESCAPED, _SPECIAL = "repeated spaces", "escapes such as &amp;", "unescaped & < > or quotes"
_NON_ASCII, _EMOJI = "non-ASCII letters", "emoji"
_NAME_TESTS = {
    _REPEATED_SPACES: lambda name: _SPACES.search(name) is not None,
    _ESCAPED: lambda name: _ESCAPES.search(name) is not None,
    _SPECIAL: lambda name: _UNESCAPED.search(name) is not None,
    _NON_ASCII: lambda name: any("\x7f" < character <= "\uffff" for character in name),
    _EMOJI: lambda name: max(name, default="") > "\uffff",
}
_DISPLAYABLE = {  # what is certainly displayed if a name has it
    _REPEATED_SPACES: "repeated spaces",
    _SPECIAL: "special characters",
    _NON_ASCII: "non-ASCII letters",
    _EMOJI: "emoji",
}
_SUBJECTS = {  # what an alteration concerns
    Alteration.SPACES: "repeated spaces",
    Alteration.ESCAPES: "characters such as &",
    Alteration.ACCENTS: "accents",
    Alteration.NON_ASCII: "non-ASCII letters",
    Alteration.ASTRAL: "emoji",
    Alteration.CASE: "capital letters",
    Alteration.NO_PORT: "ports",
}
_AS_NUMBER, _AS_STRING, _IN_HOSTNAME = "as a number", "as a string", "in the hostname"


def plan_counts(items: Iterable[Item]) -> Counter[str]:
    """Count the mail monitors of each plan code, without those that do not display one."""
    codes = (item.get("billing_plancode") for item in items if mail_type(item.get("type")))
    return Counter(code for code in codes if isinstance(code, str) and code)


def list_findings(
    listing: Listing, pages: Sequence[tuple[int, int, int]], spellings: Collection[str]
) -> Iterator[Finding]:
    """What is listed, how the list is returned, and how it displays monitors.

    `pages` has the number of monitors, the count and the limit of each page; `spellings` are undocumented spellings of
    types.
    """
    items = list(listing.monitors.values())
    mail = [item for item in items if mail_type(item.get("type"))]
    yield _monitors(items, mail)
    if mail:
        yield _plans(mail)
    yield _pages(pages, len(items))
    if mail:
        yield _types(spellings)
        yield _hostnames(mail)
        yield from _ports(mail)
        yield _names(mail)
        yield from _unset_fields(mail)


def limits_finding(headers: Mapping[str, str], throttled: int, rate: float) -> Finding:
    """What responses say about rate limits; `rate` is in requests per second, 0 for unlimited."""
    parts = [f"{counted(throttled, 'request')} refused with status 429 or 408"] if throttled else []
    parts += [f"{name}: {value[:LONGEST_VALUE]}" for name, value in sorted(headers.items())]
    pace = f"at most {rate:g}/s" if rate else "as fast as possible"
    return Finding(
        topic="limits",
        behaviour=_joined(parts) if parts else "no headers about rate limits, and no request was refused",
        consequence=f"bulkload sends {pace} (--rate), and slows down when requests are refused",
    )


def own_monitors_finding(listing: Listing, coverage: Coverage) -> Finding:
    """How many of the monitors that runs of this folder created are listed and recognised."""
    if not coverage.created:
        return Finding(
            topic="own monitors",
            behaviour="none: runs of this folder have created no monitors",
            consequence="nothing to compare the list with; --try creates a monitor and deletes it",
        )
    behaviour = (
        f"{counted(coverage.created, 'monitor')} created by runs of this folder:"
        f" {coverage.listed:,} listed, {listing.recognised:,} recognised"
    )
    if not coverage.is_reliable:
        consequence, is_problem = "a run would stop; if they were deleted by hand, run with --trust-list", True
    elif listing.created and not listing.can_prove_absence:
        consequence = "if the response to a create is lost, the monitor cannot be looked up, and its row stays unknown"
        is_problem = True
    elif coverage.listed and not listing.created:
        consequence, is_problem = "they are not recognised as mail monitors; do not run until you know why", True
    else:
        consequence, is_problem = "if the response to a create is lost, the monitor can be looked up", False
    return Finding(topic="own monitors", behaviour=behaviour, consequence=consequence, is_problem=is_problem)


def profile_finding(profile: DisplayProfile) -> Finding:
    """What is known about how the account alters monitors."""
    if not profile.known:
        return Finding(
            topic="alterations",
            behaviour="not known yet: no listed monitor was created by bulkload",
            consequence="any difference may be an alteration by the account; find out with --try",
        )
    phrases = alteration_phrases(profile)
    return Finding(
        topic="alterations",
        behaviour="; ".join(phrases) if phrases else "none: monitors are displayed as they were sent",
        consequence="rows are compared accordingly" + _not_observed(profile),
    )


def alteration_phrases(profile: DisplayProfile) -> list[str]:
    """The known alterations in words that complete "The account …"."""
    return [
        alteration.about + (f" after {profile.cut} characters" if alteration is Alteration.CUT and profile.cut else "")
        for alteration in Alteration
        if alteration in profile.alterations
    ]


# ── the list ──────────────────────────────────────────────────────────────────────────────────────────────────


def _monitors(items: Sequence[Item], mail: Sequence[Item]) -> Finding:
    types = Counter(mail_type(item["type"]) for item in mail)
    parts = [f"{types[name]:,} {name.removeprefix('email-')}" for name in MONITOR_TYPES if types[name]]
    behaviour = f"{counted(len(mail), 'mail monitor')}: {', '.join(parts)}" if mail else "no mail monitors"
    if other_types := len(items) - len(mail):
        return Finding(
            topic="monitors",
            behaviour=f"{behaviour}; also {other_types:,} of other types, although only mail monitors were requested",
            consequence="monitors of other types are ignored",
        )
    consequence = "rows are compared with these" if mail else "how they are displayed is unknown; find out with --try"
    return Finding(topic="monitors", behaviour=behaviour, consequence=consequence)


def _plans(mail: Sequence[Item]) -> Finding:
    counts = plan_counts(mail)
    parts = [f"{quoted(code)} ({counted(count, 'monitor')})" for code, count in counts.most_common()]
    if without := len(mail) - counts.total():
        parts.append(f"not displayed ({counted(without, 'monitor')})")
    return Finding(
        topic="plan codes",
        behaviour=_joined(parts),
        consequence="use one with --set billing_plancode=…" if counts else "ask the account owner for the plan code",
    )


def _pages(pages: Sequence[tuple[int, int, int]], monitors: int) -> Finding:
    counts, limits = ({page[part] for page in pages} for part in (1, 2))
    behaviour = f"{counted(len(pages), 'page')}; count {_numbers(counts)}, limit {_numbers(limits)}"
    if len(pages) > 1:
        behaviour += f"; count is the number of {'all monitors' if counts == {monitors} else 'monitors on the page'}"
        consequence = f"listing takes at least {2 * len(pages):,} requests: all pages are read until two readings agree"
        return Finding(topic="list", behaviour=behaviour, consequence=consequence)
    return Finding(topic="list", behaviour=behaviour, consequence="listing takes one request")


def _numbers(numbers: Iterable[int]) -> str:
    return " and ".join(f"{number:,}" if number else "0 or missing" for number in sorted(numbers, reverse=True))


def _types(spellings: Collection[str]) -> Finding:
    if not spellings:
        return Finding(topic="types", behaviour="displayed as sent, such as email-imap", consequence="recognised")
    behaviour = f"displayed as {_joined([quoted(spelling) for spelling in sorted(spellings)])}"
    return Finding(topic="types", behaviour=behaviour, consequence="recognised despite the spelling")


def _hostnames(mail: Sequence[Item]) -> Finding:
    hidden = sum(not any(item.get(field) for field in _HOST_FIELDS) for item in mail)
    hosts = [text for item in mail for field in _HOST_FIELDS if isinstance(text := item.get(field), str) and text]
    hostnames = [text for item in mail if isinstance(text := item.get("hostname"), str) and text]
    counts = {
        "with capital letters": sum(text != text.lower() for text in hosts),
        "ending in a dot": sum(text.endswith(".") for text in hosts),
        "with a port": sum(_HOST_WITH_PORT.search(text) is not None for text in hostnames),
        "with a scheme": sum("://" in text for text in hostnames),
    }
    parts = [f"{count:,} {property_}" for property_, count in counts.items() if count]
    if hidden:
        return Finding(
            topic="hostnames",
            behaviour=", ".join([f"{hidden:,} of {len(mail):,} not displayed", *parts]),
            consequence="monitors are distinguished by name; if that is not enough, rows stay unknown",
        )
    if parts:
        consequence = "hostnames are normalised before they are compared"
        return Finding(topic="hostnames", behaviour=", ".join(parts), consequence=consequence)
    return Finding(topic="hostnames", behaviour="plain names or addresses", consequence="compared as displayed")


def _ports(mail: Sequence[Item]) -> Iterator[Finding]:
    counts = Counter(_port(item) for item in mail if mail_type(item["type"]) in PLAIN_PORTS)
    if not counts:
        return
    displayed = counts[_AS_NUMBER] + counts[_AS_STRING] + counts[_IN_HOSTNAME]
    behaviour = ", ".join(f"{count:,} {form}" for form, count in counts.most_common())
    if not displayed:
        consequence = "monitors that differ only in the port are distinguished only if bulkload created them"
    elif displayed < counts.total():
        consequence = "an unset port counts as the default: 143 (imap), 110 (pop) or 25 (smtp)"
    else:
        consequence = "every port is known"
    yield Finding(topic="ports", behaviour=behaviour, consequence=consequence)


def _port(item: Item) -> str:
    """How a monitor displays its port."""
    if "port" not in item or item["port"] is None or item["port"] == "":
        if _HOST_WITH_PORT.search(str(item.get("hostname"))):
            return _IN_HOSTNAME
        return f"as {UNSET_VALUES[item['port']]}" if "port" in item else "omitted"
    port = item["port"]
    if isinstance(port, int) and not isinstance(port, bool):
        return _AS_NUMBER
    return _AS_STRING if isinstance(port, str) and port.strip().isdecimal() else "as another value"


def _names(mail: Sequence[Item]) -> Finding:
    names = [text for item in mail if isinstance(text := item.get("name"), str) and text]
    if not names:
        return Finding(
            topic="names",
            behaviour="not displayed",
            consequence="monitors are distinguished by hostname and port; if that is not enough, rows stay unknown",
        )
    counts = {property_: sum(map(test, names)) for property_, test in _NAME_TESTS.items()}
    parts = [f"{count:,} with {property_}" for property_, count in counts.items() if count]
    if missing := len(mail) - len(names):
        parts.insert(0, f"{missing:,} of {len(mail):,} not displayed")
    longest = max(map(len, names))
    as_long = sum(len(name) == longest for name in names)
    consequences = []
    if counts[_ESCAPED] and not counts[_SPECIAL]:
        consequences.append("characters such as & may be displayed as escapes")
    if as_long >= SUSPICIOUS_COUNT and longest >= SHORTEST_CUT:
        parts.append(f"{as_long:,} of exactly that length")
        consequences.append("longer names may be cut")
    cased = [name for name in names if name.upper() != name.lower()]
    for case, convert in (("upper case", str.upper), ("lower case", str.lower)):
        if len(cased) >= SUSPICIOUS_COUNT and all(name == convert(name) for name in cased):
            parts.append(f"all in {case}")
            consequences.append("letter case may be changed")
    if displayed := [subject for property_, subject in _DISPLAYABLE.items() if counts[property_]]:
        consequences.append(f"{' and '.join(displayed)} can be displayed")
    return Finding(
        topic="names",
        behaviour=", ".join([f"up to {counted(longest, 'character')}", *parts]),
        consequence="; ".join(consequences) or "nothing unusual",
    )


def _unset_fields(mail: Sequence[Item]) -> Iterator[Finding]:
    without_round_trip = [item for item in mail if mail_type(item["type"]) in PLAIN_PORTS]
    parts = []
    for field, items in (("ipv4", without_round_trip), ("note", mail)):
        counts = Counter(unset_value(item, field) for item in items)
        counts.pop("", None)
        if counts:
            parts.append(f"{field}: {', '.join(f'{value} ({count:,})' for value, count in counts.most_common())}")
    if parts:
        yield Finding(topic="unset fields", behaviour="; ".join(parts), consequence="all of these count as unset")


def quoted(text: str) -> str:
    """A text from the API in a form that is safe to print; without quotes if it is plain ASCII."""
    shown = show(text)
    return text if shown == f'"{text}"' and text.isascii() and text.isprintable() else shown


def _not_observed(profile: DisplayProfile) -> str:
    known = profile.alterations | profile.exact
    subjects = [subject for alteration, subject in _SUBJECTS.items() if alteration not in known]
    return f"; not observed yet: how {', '.join(subjects)} are displayed" if subjects else ""


def _joined(parts: Sequence[str]) -> str:
    more = len(parts) - MOST_VALUES
    return ", ".join([*parts[:MOST_VALUES], *([f"and {more:,} more"] if more > 0 else [])])
