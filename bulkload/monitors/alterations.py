"""Alterations: the differences that an account may make between what it is sent and what it displays.

In: a text that was sent, and one that is displayed. Out: the fewest alterations that lead from the one to the other, or
None; and the letters by which names are found that may be the same.
"""

from __future__ import annotations

import bisect
import enum
import html
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from html.entities import codepoint2name
from itertools import combinations

Lengths = tuple[int, int, int]  # of a name: characters, bytes, characters without escapes

SHORTEST_CUT = 12  # characters; a shorter name is never taken for a cut one
MOST_ESCAPES = 3  # times that a text is unescaped
MOST_ENDS = 20  # places at which a name is looked at as cut, where characters of it are lost
LONGEST_TEXT = 2_000  # characters; a longer text is compared as it is

_LOST = "?\ufffd"  # what stands for a character that an account cannot keep
_SPECIAL = re.compile(r"[&<>\"'`\\]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff?\ufffd]")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f\u200b-\u200f\ufeff]+")
_ESCAPED = re.compile(r"&#?[0-9A-Za-z]{1,8};")
_HALF_ESCAPE = re.compile(r"&#?[0-9A-Za-z]{0,8}$")
_ELLIPSIS = re.compile(r"(?:\.\.\.|…)$")


class Alteration(enum.StrEnum):
    """One difference that an account makes between what it is sent and what it displays."""

    SPACES = "blanks"
    ESCAPES = "escapes"
    UNICODE = "unicode"
    ACCENTS = "accents"
    SPECIAL_CHARACTERS = "signs"
    NON_ASCII = "non-ascii"
    ASTRAL = "astral"
    CASE = "case"
    CUT = "cut"
    TYPE = "type"
    NO_NAME = "no-name"
    NO_HOST = "no-host"
    NO_PORT = "no-port"

    @property
    def about(self) -> str:
        """The alteration in words that complete "The account …"."""
        return _ABOUT[self]


_ABOUT = {
    Alteration.SPACES: "displays repeated spaces in names as one",
    Alteration.ESCAPES: "displays special characters in names as escapes, such as &amp; for &",
    Alteration.UNICODE: "displays names in another Unicode form",
    Alteration.ACCENTS: "displays names without accents",
    Alteration.SPECIAL_CHARACTERS: "removes characters such as & and < from names",
    Alteration.NON_ASCII: "does not display characters of names that are not ASCII",
    Alteration.ASTRAL: "does not display emoji and other characters beyond U+FFFF in names",
    Alteration.CASE: "displays names in another letter case",
    Alteration.CUT: "cuts long names",
    Alteration.TYPE: "spells types in an unknown way",
    Alteration.NO_NAME: "does not display names",
    Alteration.NO_HOST: "does not display host names",
    Alteration.NO_PORT: "does not display ports",
}
REMOVING_SPACES = frozenset({Alteration.SPACES, Alteration.SPECIAL_CHARACTERS, Alteration.NON_ASCII, Alteration.ASTRAL})
CHANGEABLE_TEXTS: Mapping[Alteration, Callable[[str], bool]] = {  # with the texts that it can change; simple ones first
    Alteration.SPACES: lambda text: collapsed(text) != text,
    Alteration.ESCAPES: lambda text: _SPECIAL.search(text) is not None,
    Alteration.UNICODE: lambda text: unicodedata.normalize("NFKC", text) != text,
    Alteration.CASE: lambda text: text.lower() != text.upper(),
    Alteration.ACCENTS: lambda text: _without_accents(text) != text,
    Alteration.ASTRAL: lambda text: max(text, default="") > "\uffff",
    Alteration.NON_ASCII: lambda text: not text.isascii(),
    Alteration.SPECIAL_CHARACTERS: lambda text: _SPECIAL.search(text) is not None,
}
ALWAYS_CHANGED_TEXTS: Mapping[Alteration, Callable[[str], bool]] = {  # with the texts that it must change
    **CHANGEABLE_TEXTS,
    Alteration.CASE: lambda text: text not in (text.lower(), text.upper()),
    Alteration.NON_ASCII: lambda text: any("\x7f" < character <= "\uffff" for character in text),
}
# alterations of the same characters; both at once would find a difference where each alone finds none
_LOSSES = frozenset({Alteration.NON_ASCII, Alteration.ASTRAL})
_EITHER = (_LOSSES, frozenset({Alteration.ACCENTS, Alteration.UNICODE}))


def text_alterations(asked: str, shown: str, allowed: Collection[Alteration]) -> frozenset[Alteration] | None:
    """The alterations that lead from one text to the other: none if they are equal, None if no alterations do."""
    if asked == shown:
        return frozenset()
    if max(len(asked), len(shown)) > LONGEST_TEXT:
        return None
    usable = [way for way, can_change in CHANGEABLE_TEXTS.items() if way in allowed and can_change(asked)]
    may_be_cut = Alteration.CUT in allowed and len(shown) >= SHORTEST_CUT
    for cut in (False, True) if may_be_cut else (False,):
        for left_out in (*_EITHER, frozenset.union(*_EITHER)):
            some = [way for way in usable if way not in left_out]
            # What differs under all of them differs under any.
            if _agree(asked, shown, some, cut=cut) and _can_be_lost(asked, shown, some, cut=cut):
                return _fewest(asked, shown, some, cut=cut) | ({Alteration.CUT} if cut else set())
    return None


def requested_letters(name: str) -> set[str]:
    """What the letters and digits of a requested name may be displayed as; for a cut name, the start of it."""
    spellings = {name, _unescaped(name)}  # a name may contain escapes itself
    if not name.isascii():
        spellings |= {change(text) for text in spellings for change in (_in_ascii, _without_accents)}
    return set(map(_letters, spellings))


def displayed_letters(name: str) -> set[str]:
    """Letters and digits of a displayed name; one of them is among `requested_letters` of each name it may be."""
    may_be_loss = any(character in _LOST for character in name) or all(character < "\u0100" for character in name)
    texts = list(_unescaped_by_steps(_ELLIPSIS.sub("", name)))
    spellings = {name, *texts, *(_HALF_ESCAPE.sub("", text) for text in texts)}
    if may_be_loss:
        spellings |= set(map(_in_ascii, spellings))
    return set(map(_letters, spellings))


def lengths(name: str) -> Lengths:
    """The lengths at which an account may cut a name: characters, bytes, characters without escapes."""
    return len(name), len(name.encode("utf-8", "replace")), len(_unescaped(name))


def _fewest(asked: str, shown: str, ways: Collection[Alteration], *, cut: bool) -> frozenset[Alteration]:
    others = [
        way for way in ways if way is not Alteration.SPECIAL_CHARACTERS
    ]  # which covers what escapes and spaces do
    if len(others) < len(ways) and _agree(asked, shown, others, cut=cut):
        ways = others
    for number in range(len(ways)):
        for some in combinations(ways, number):
            if _agree(asked, shown, some, cut=cut):
                return frozenset(some)
    return frozenset(ways)


def _agree(asked: str, shown: str, ways: Collection[Alteration], *, cut: bool) -> bool:
    ours, theirs = _folded(asked, ways), _folded(shown, ways)
    if not cut:
        return ours == theirs
    theirs = _ELLIPSIS.sub("", theirs).rstrip()
    if Alteration.ESCAPES in ways or Alteration.SPECIAL_CHARACTERS in ways:
        theirs = _folded(_without_half_escape(_ELLIPSIS.sub("", shown), asked), ways)
    return bool(theirs) and ours.startswith(theirs)


def _folded(text: str, ways: Collection[Alteration]) -> str:
    """Remove from a text what the alterations change."""
    if Alteration.ESCAPES in ways or Alteration.SPECIAL_CHARACTERS in ways:
        text = _unescaped(text)
    if Alteration.UNICODE in ways:
        text = unicodedata.normalize("NFKC", text).strip()  # some signs come apart into a blank and an accent
    if Alteration.ACCENTS in ways:
        text = _without_accents(text)
    if Alteration.ASTRAL in ways:
        text = _ASTRAL.sub("", text)
    if Alteration.NON_ASCII in ways:
        text = _in_ascii(text).replace("?", "")
    if Alteration.SPECIAL_CHARACTERS in ways:
        text = _SPECIAL.sub("", text)
    if not REMOVING_SPACES.isdisjoint(ways):
        text = collapsed(text)
    if Alteration.CASE in ways:
        text = _caseless(text)
    return unicodedata.normalize("NFC", text) if not text.isascii() else text


def _can_be_lost(asked: str, shown: str, ways: Collection[Alteration], *, cut: bool) -> bool:
    """True if what the alterations remove as lost can be lost; of a cut name, up to some place in it."""
    if _LOSSES.isdisjoint(ways) or _is_loss(asked, shown):
        return True
    if not cut:
        return False
    ends = range(SHORTEST_CUT, len(asked))
    length = len(_folded(shown, ways))
    first = bisect.bisect_left(ends, length, key=lambda end: len(_folded(asked[:end], ways)))
    beginnings = (asked[:end] for end in ends[first : first + MOST_ENDS])
    return any(_is_loss(text, shown) and _agree(text, shown, ways, cut=False) for text in beginnings)


def _is_loss(asked: str, shown: str) -> bool:
    """True if all characters beyond ASCII are what a narrower character set keeps, or misread UTF-8."""
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
    """Yield a text unchanged, and unescaped once, twice and so on."""
    yield text
    for _ in range(MOST_ESCAPES):
        if (plainer := _ESCAPED.sub(lambda found: html.unescape(found[0]), text)) == text:
            break
        yield (text := plainer)


def _without_half_escape(shown: str, asked: str) -> str:
    """Remove half an escape from the end of a cut text, if the requested text can contain it."""
    for text in _unescaped_by_steps(shown):
        half = _HALF_ESCAPE.search(text)
        if half is not None and any(escape.startswith(half[0]) for escape in _escapes(asked)):
            return text[: half.start()]
    return shown


def _escapes(text: str) -> Iterator[str]:
    for code in set(map(ord, text + _unescaped(text))):  # it may contain escapes itself
        yield from (f"&{codepoint2name.get(code, '#')};", f"&#{code};", f"&#0{code};", f"&#x{code:x};", f"&#x{code:X};")
    yield from ("&amp;", "&apos;")  # what is escaped twice begins with the former


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text)
    return "".join(character for character in apart if not unicodedata.combining(character))


def collapsed(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, _caseless(unicodedata.normalize("NFKC", text))))


def _caseless(text: str) -> str:
    return text.casefold() if text.isascii() else text.upper().casefold()  # a dotless i has the capital of i
