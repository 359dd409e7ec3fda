"""How an account shows what it was sent: which differences it makes, learned from monitors that are known.

In: an identity that was asked for, and one that the account shows. Out: the `Way`s of showing that explain what
differs, or None. `Showing` is what has been learned about one account. Nothing of this is documented for AlertSite,
so nothing is assumed: what has not been seen may be so or not.
"""

from __future__ import annotations

import enum
import functools
import html
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from html.entities import codepoint2name
from itertools import combinations

from bulkload.identity import Identity, identity_of
from bulkload.model import PLAIN_PORTS

SHORTEST_CUT = 12  # characters; no shorter name counts as the beginning of a cut one
Lengths = tuple[int, int, int]  # of a name: characters, bytes, characters without escapes

MOST_ESCAPES = 3  # times that a text is freed from escapes
LONGEST_TEXT = 2_000  # characters; a longer text is compared as it is

_LOST_AT_CUT = 8  # characters at the end of a cut name that may be an ellipsis or half an escape
_LOST = "?\ufffd"  # what stands for a character that an account cannot keep
_SIGNS = re.compile(r"[&<>\"'`\\]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff?\ufffd]")
_RUN_OF_BLANKS = re.compile(r"[ \t]{2}")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\ufeff]+")
_ESCAPED = re.compile(r"&#?[0-9A-Za-z]{1,8};")
_HALF_ESCAPE = re.compile(r"&#?[0-9A-Za-z]{0,8}$")
_ELLIPSIS = re.compile(r"(?:\.\.\.|…)$")


class Way(enum.StrEnum):
    """One difference that an account makes between what it is sent and what it shows."""

    BLANKS = "blanks"
    ESCAPES = "escapes"
    UNICODE = "unicode"
    ACCENTS = "accents"
    SIGNS = "signs"
    NON_ASCII = "non-ascii"
    ASTRAL = "astral"
    CASE = "case"
    CUT = "cut"
    NO_NAME = "no-name"
    NO_HOST = "no-host"
    NO_PORT = "no-port"

    @property
    def about(self) -> str:
        """The way in plain words: "the account …"."""
        return _ABOUT[self]


_ABOUT = {
    Way.BLANKS: "shows runs of blanks in names as one",
    Way.ESCAPES: "shows signs in names as escapes, such as &amp; for &",
    Way.UNICODE: "shows names in another Unicode form",
    Way.ACCENTS: "shows names without accents",
    Way.SIGNS: "leaves signs such as & and < out of names",
    Way.NON_ASCII: "does not show characters of names that are not ASCII",
    Way.ASTRAL: "does not show emoji and other characters beyond U+FFFF in names",
    Way.CASE: "shows names in another letter case",
    Way.CUT: "cuts long names",
    Way.NO_NAME: "does not show names",
    Way.NO_HOST: "does not show host names",
    Way.NO_PORT: "does not show ports",
}
_LEAVING_BLANKS = frozenset({Way.BLANKS, Way.SIGNS, Way.NON_ASCII, Way.ASTRAL})
HIDING = frozenset({Way.NO_NAME, Way.NO_HOST, Way.NO_PORT})
EASILY_A_HAND = frozenset({Way.CASE, Way.CUT, Way.NO_PORT})  # what a person may have changed as well
_IN_TEXTS: Mapping[Way, Callable[[str], bool]] = {  # with the texts that can come out otherwise; simple ways first
    Way.BLANKS: lambda text: _collapsed(text) != text,
    Way.ESCAPES: lambda text: _SIGNS.search(text) is not None,
    Way.UNICODE: lambda text: unicodedata.normalize("NFKC", text) != text,
    Way.CASE: lambda text: text.lower() != text.upper(),
    Way.ACCENTS: lambda text: _without_accents(text) != text,
    Way.ASTRAL: lambda text: max(text, default="") > "\uffff",
    Way.NON_ASCII: lambda text: not text.isascii(),
    Way.SIGNS: lambda text: _SIGNS.search(text) is not None,
}
_CLEARLY: Mapping[Way, Callable[[str], bool]] = {  # with the texts that must come out otherwise
    **_IN_TEXTS,
    Way.CASE: lambda text: text not in (text.lower(), text.upper()),
    Way.NON_ASCII: lambda text: any("\x7f" < character <= "\uffff" for character in text),
}
# what looks for the same characters in two ways; both at once would see a difference where each sees none
_LOSSES = frozenset({Way.NON_ASCII, Way.ASTRAL})
_EITHER = (_LOSSES, frozenset({Way.ACCENTS, Way.UNICODE}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """What has been learned about how one account shows its monitors."""

    ways: frozenset[Way] = frozenset()  # the differences that it makes
    exact: frozenset[Way] = frozenset()  # differences that it was seen not to make
    longest: Lengths = (0, 0, 0)  # of the longest names that it showed whole
    cut: int | None = None  # characters after which it cuts names, escapes counted as one
    known: bool = False  # at least one monitor of ours was recognised

    def to_json(self) -> str:
        """The same as a JSON text, for the store."""
        found = {
            "ways": sorted(self.ways),
            "exact": sorted(self.exact),
            "longest": self.longest,
            "cut": self.cut,
            "known": self.known,
        }
        return json.dumps(found)

    @classmethod
    def from_json(cls, text: str | None) -> Showing:
        """Read what `to_json` wrote; a way that is not known any more counts as not learned."""
        if not text:
            return cls()
        found = json.loads(text)
        known = set(Way)
        return cls(
            ways=frozenset(Way(way) for way in found["ways"] if way in known),
            exact=frozenset(Way(way) for way in found["exact"] if way in known),
            longest=tuple(found["longest"]),
            cut=found["cut"],
            known=found["known"],
        )

    @property
    def possible(self) -> frozenset[Way]:
        """The differences that the account makes or may make; letter case only if it was seen to change it."""
        return (frozenset(Way) - self.exact - {Way.CASE}) | self.ways

    def sentences(self, beside: Showing) -> list[str]:
        """Say what this knows of differences beyond another, one sentence each."""
        new = [way for way in Way if way in self.ways - beside.ways]
        return [f"The account {way.about}{f' after {self.cut} characters' if way is Way.CUT else ''}." for way in new]


UNKNOWN = Showing()


def difference(asked: Identity, shown: Identity, allowed: Collection[Way]) -> frozenset[Way] | None:
    """Give the ways of showing that make the one from the other: none if they are the same, None if no ways do."""
    if asked.type != shown.type or len(asked.servers) != len(shown.servers):
        return None
    ways: set[Way] = set()
    for ours, theirs in zip(asked.servers, shown.servers, strict=True):
        if theirs is None:
            ways.add(Way.NO_HOST)
        elif ours != theirs:
            return None
    if shown.port is None:
        if asked.port != PLAIN_PORTS.get(asked.type):
            ways.add(Way.NO_PORT)
    elif shown.port != asked.port:
        return None
    in_name = None if shown.name is None else difference_of_texts(asked.name or "", shown.name, allowed)
    if in_name is not None:
        ways |= in_name
    elif not shown.name and (shown.name is None or None not in shown.servers):
        ways.add(Way.NO_NAME)
    else:
        return None
    return frozenset(ways) if ways <= frozenset(allowed) else None


def difference_of_texts(asked: str, shown: str, allowed: Collection[Way]) -> frozenset[Way] | None:
    """Do the same for a name or a note."""
    if asked == shown:
        return frozenset()
    if max(len(asked), len(shown)) > LONGEST_TEXT:
        return None
    usable = [way for way, can_change in _IN_TEXTS.items() if way in allowed and can_change(asked)]
    may_be_cut = Way.CUT in allowed and len(shown) >= SHORTEST_CUT
    for cut in (False, True) if may_be_cut else (False,):
        for left_out in (*_EITHER, frozenset.union(*_EITHER)):
            some = [way for way in usable if way not in left_out]
            # What differs under all of them differs under any.
            if _agree(asked, shown, some, cut=cut) and _can_be_lost(asked, shown, some, cut=cut):
                return _fewest(asked, shown, some, cut=cut) | ({Way.CUT} if cut else set())
    return None


def exercised(asked: Identity) -> frozenset[Way]:
    """Give the ways of showing that a monitor would show if the account had them; a cut depends on the length."""
    found = {way for way, must_change in _CLEARLY.items() if asked.name and must_change(asked.name)}
    if asked.type in PLAIN_PORTS and asked.port != PLAIN_PORTS[asked.type]:
        found.add(Way.NO_PORT)
    return frozenset(found | {Way.NO_NAME, Way.NO_HOST})


def filled(shown: Identity, asked: Identity) -> Identity:
    """Put what we know was asked for in the place of what the account does not show."""
    if shown.type != asked.type:
        return shown
    servers = (
        theirs if theirs is not None else ours for ours, theirs in zip(asked.servers, shown.servers, strict=True)
    )
    return shown._replace(
        servers=tuple(servers),
        port=asked.port if shown.port is None else shown.port,
        name=shown.name or asked.name,
    )


def without_ways(
    found: Mapping[str, tuple[object, object]],
    body: Mapping[str, object],
    item: Mapping[str, object],
    showing: Showing,
) -> dict[str, tuple[object, object]]:
    """Leave out of the differing fields (field → old, new) those that differ by the account's way of showing alone."""
    if not showing.ways or not found:
        return dict(found)
    kept = dict(found)
    kind = str(item.get("type"))
    for field, (old, new) in found.items():
        if field in ("hostname", "smtp_hostname", "pop3_hostname") and old is None and Way.NO_HOST in showing.ways:
            del kept[field]
        elif field == "port" and Way.NO_PORT in showing.ways:
            if identity_of(kind, item).port is None:
                del kept[field]
        elif field == "name" and not old and Way.NO_NAME in showing.ways:
            del kept[field]
        elif isinstance(new, str) and isinstance(old, str):
            ways = showing.ways if field == "name" else showing.ways - {Way.CUT}
            if difference_of_texts(_text(new), _text(old), ways) is not None:
                del kept[field]
    return kept


@dataclass(frozen=True, slots=True)
class Seen:
    """What one monitor of ours shows of the ways."""

    ways: frozenset[Way] | None  # the differences that explain how it is shown; None: nothing does
    kept: frozenset[Way]  # differences that it would show, and does not
    name: str  # as it is shown

    @classmethod
    def of(cls, asked: Identity, shown: Identity) -> Seen:
        """Compare."""
        ways, name = difference(asked, shown, frozenset(Way)), shown.name or ""
        if ways is None:
            return cls(None, frozenset(), name)
        if Way.CUT in ways:  # what is behind the cut shows nothing
            surely = max(0, lengths(name)[2] - _LOST_AT_CUT)
            asked = asked._replace(name=(asked.name or "")[:surely].rstrip())
        could = exercised(asked)
        if Way.NO_NAME in ways:
            could -= _IN_TEXTS.keys()
        if Way.BLANKS in could - ways and not ways.isdisjoint(_LEAVING_BLANKS) and _collapsed(name) == name:
            if _RUN_OF_BLANKS.search(asked.name or ""):  # leaving characters out does not make it shorter
                ways |= {Way.BLANKS}
            else:
                could -= {Way.BLANKS}
        return cls(ways, could - ways, name)


def learned(before: Showing, seen: Iterable[Seen], *, fresh: bool = False) -> Showing:
    """Learn from monitors of ours as one list shows them; `fresh`: they were made just now, so nobody changed them.

    A difference is the account's own if monitors show it and none that could show it does not. What a person may as
    well have done by hand needs two monitors, unless they are fresh.
    """
    support: dict[Way, int] = {}
    kept: set[Way] = set()
    longest, cuts = (0, 0, 0), []
    recognised = before.known
    for one in seen:
        if one.ways is None:
            continue
        recognised = True
        kept |= one.kept
        for way in one.ways:
            support[way] = support.get(way, 0) + 1
        if Way.CUT in one.ways:
            cuts.append(lengths(one.name))
        else:
            longest = _longer(longest, lengths(one.name))
    longest_cut = functools.reduce(_longer, cuts, (0, 0, 0))
    limit = longest_cut if cuts else (before.cut or sys.maxsize,) * 3
    if all(whole > cut for whole, cut in zip(longest, limit, strict=True)):
        support.pop(Way.CUT, None)  # a longer name is shown whole
        kept.add(Way.CUT)
    ways = set(before.ways)
    for way, times in support.items():
        if way not in kept and (fresh or times > 1 or way not in EASILY_A_HAND):
            ways.add(way)
    ways -= kept - support.keys()
    return Showing(
        ways=frozenset(ways),
        exact=(before.exact | kept) - ways - {Way.CUT},  # a name may always be too long
        longest=_longer(before.longest, longest),
        cut=max(before.cut or 0, longest_cut[2]) if Way.CUT in ways else None,
        known=recognised,
    )


def letters_asked(name: str) -> set[str]:
    """Give what the letters and digits of a name may be shown as; its beginnings, where it is cut."""
    spellings = {name, _unescaped(name)}  # a name may hold escapes of its own
    if not name.isascii():
        spellings |= {change(text) for text in spellings for change in (_in_ascii, _without_accents)}
    return set(map(_letters, spellings))


def letters_shown(name: str) -> set[str]:
    """Give letters and digits of a shown name, one of which is among the asked ones of whatever it may show."""
    may_be_loss = any(character in _LOST for character in name) or all(character < "\u0100" for character in name)
    texts = list(_unescaped_by_steps(_ELLIPSIS.sub("", name)))
    spellings = {name, *texts, *(_HALF_ESCAPE.sub("", text) for text in texts)}
    if may_be_loss:
        spellings |= set(map(_in_ascii, spellings))
    return set(map(_letters, spellings))


def lengths(name: str) -> Lengths:
    """Give the lengths at which an account may cut a name: characters, bytes, characters without escapes."""
    return len(name), len(name.encode("utf-8", "replace")), len(_unescaped(name))


def _longer(one: Lengths, other: Lengths) -> Lengths:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])


def _fewest(asked: str, shown: str, ways: Collection[Way], *, cut: bool) -> frozenset[Way]:
    others = [way for way in ways if way is not Way.SIGNS]  # which hides what escapes and blanks do
    if len(others) < len(ways) and _agree(asked, shown, others, cut=cut):
        ways = others
    for number in range(len(ways)):
        for some in combinations(ways, number):
            if _agree(asked, shown, some, cut=cut):
                return frozenset(some)
    return frozenset(ways)


def _agree(asked: str, shown: str, ways: Collection[Way], *, cut: bool) -> bool:
    ours, theirs = _folded(asked, ways), _folded(shown, ways)
    if not cut:
        return ours == theirs
    theirs = _ELLIPSIS.sub("", theirs).rstrip()
    if Way.ESCAPES in ways or Way.SIGNS in ways:
        theirs = _folded(_without_half_escape(_ELLIPSIS.sub("", shown), asked), ways)
    return bool(theirs) and ours.startswith(theirs)


def _folded(text: str, ways: Collection[Way]) -> str:
    """Take out of a text what the ways change."""
    if Way.ESCAPES in ways or Way.SIGNS in ways:
        text = _unescaped(text)
    if Way.UNICODE in ways:
        text = unicodedata.normalize("NFKC", text).strip()  # some signs come apart into a blank and an accent
    if Way.ACCENTS in ways:
        text = _without_accents(text)
    if Way.ASTRAL in ways:
        text = _ASTRAL.sub("", text)
    if Way.NON_ASCII in ways:
        text = _in_ascii(text).replace("?", "")
    if Way.SIGNS in ways:
        text = _SIGNS.sub("", text)
    if not _LEAVING_BLANKS.isdisjoint(ways):
        text = _collapsed(text)
    if Way.CASE in ways:
        text = _caseless(text)
    return unicodedata.normalize("NFC", text) if not text.isascii() else text


def _can_be_lost(asked: str, shown: str, ways: Collection[Way], *, cut: bool) -> bool:
    """True if what the ways take out as lost can be; of a cut name, up to some place in it."""
    if _LOSSES.isdisjoint(ways) or _is_loss(asked, shown):
        return True
    beginnings = (asked[:end] for end in range(SHORTEST_CUT, len(asked))) if cut else ()
    return any(_is_loss(text, shown) and _agree(text, shown, ways, cut=False) for text in beginnings)


def _is_loss(asked: str, shown: str) -> bool:
    """True if all that is shown beyond ASCII is what a narrower character set keeps, or UTF-8 that was misread."""
    beyond = [character for character in shown if not character.isascii() and character not in _LOST]
    keepable = [character for character in asked if character not in _LOST]
    kept = [[character for character in keepable if "\x7f" < character <= last] for last in ("\xff", "\uffff")]
    return not beyond or beyond in kept or set(beyond) <= _misread(asked)


def _misread(text: str) -> set[str]:
    """The characters of a text whose UTF-8 is read as Windows-1252 or Latin-1."""
    raw = text.encode("utf-8", "replace")
    return {*raw.decode("cp1252", "ignore"), *raw.decode("latin-1")}


def _in_ascii(text: str) -> str:
    return "".join(filter(str.isascii, text))


def _unescaped(text: str) -> str:
    return list(_unescaped_by_steps(text))[-1]


def _unescaped_by_steps(text: str) -> Iterator[str]:
    """Give a text as it stands, and freed from escapes once, twice and so on."""
    yield text
    for _ in range(MOST_ESCAPES):
        if (plainer := _ESCAPED.sub(lambda found: html.unescape(found[0]), text)) == text:
            break
        yield (text := plainer)


def _without_half_escape(shown: str, asked: str) -> str:
    """Take away the beginning of an escape at the end of a cut text, if it can be one of what was asked for."""
    for text in _unescaped_by_steps(shown):
        half = _HALF_ESCAPE.search(text)
        if half is not None and any(escape.startswith(half[0]) for escape in _escapes(asked)):
            return text[: half.start()]
    return shown


def _escapes(text: str) -> Iterator[str]:
    for code in set(map(ord, text + _unescaped(text))):  # it may hold escapes of its own
        yield from (f"&{codepoint2name.get(code, '#')};", f"&#{code};", f"&#0{code};", f"&#x{code:x};", f"&#x{code:X};")
    yield from ("&amp;", "&apos;")  # what is escaped twice begins with the former


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text)
    return "".join(character for character in apart if not unicodedata.combining(character))


def _collapsed(text: str) -> str:
    return _BLANKS.sub(" ", text).strip()


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, _caseless(unicodedata.normalize("NFKC", text))))


def _caseless(text: str) -> str:
    return text.casefold() if text.isascii() else text.upper().casefold()  # a dotless i has the capital of i


def _text(value: str) -> str:
    return value.strip().replace("\r\n", "\n")
