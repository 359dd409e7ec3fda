"""Guess what was probably meant by the text of a cell that is not valid.

In: the text of a cell. Out: another text for the cell, or "" if nothing is likely. A guess is only ever suggested; a
person has to accept it. Whether it is valid for the field is checked in `suggestions`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from bulkload.monitors.result_columns import normalise
from bulkload.protocols import USUAL_PORTS

SIMILARITY = 0.75  # of a word and its misspelling, as difflib measures it
_DISTANCE = 0.05  # by which the most similar word must exceed the next one
_LONGEST_WORD = 40  # characters of a text that is compared with words
_LONGEST_LIST = 500

_MAIL_PORTS = frozenset().union(*USUAL_PORTS.values())
_TYPE_WITH_SSL = re.compile(r"(imap|pop|smtp)[34]?(?:s|(?:over|with|via|/|\+)?ssl)")
_SWITCH_WORDS: Mapping[str, str] = {  # in lower case; words that are not accepted as they are
    **dict.fromkeys(
        ("t", "enable", "activated", "j", "sim", "tak", "verdadeiro", "vero", "waar", "prawda", "an"), "yes"
    ),
    **dict.fromkeys(("f", "disable", "deactivated", "não", "nee", "nie", "onwaar", "fałsz"), "no"),
}
_PORT = re.compile(r"(?:port\s*|tcp\s*[/ ]\s*|:)?([0-9]{1,5})(?:\s*/\s*tcp)?", re.IGNORECASE)
_LIST_OF_IDS = re.compile(r"[1-9][0-9]{0,17}(?:(?:\s*[;,|/+&\s]\s*|\s+(?:and|und|et|y)\s+)[1-9][0-9]{0,17})+")
_THOUSANDS_WITH_SPACES = re.compile(r"[0-9]{1,3}(?:\s[0-9]{3})+")
_PAIRS = re.compile(r"[0-9]+\s*(?::|->|→|=>)\s*[0-9]+(?:\s*[;,]\s*[0-9]+\s*(?::|->|→|=>)\s*[0-9]+)*")
_ADDRESS_IN_MORE = re.compile(
    r"(?:[^<>@]*<\s*)?(?:mailto:)?([^\s<>@:\"']+)\s*@\s*([^\s<>@?,;\"']+)(?:\?[^\s<>]*)?\s*>?[.,;\s]*", re.IGNORECASE
)
_IPV4_IN_MORE = re.compile(r"([0-9]+(?:\s*[.,]\s*[0-9]+){3})(?:\s*/\s*[0-9]{1,2}|:[0-9]{1,5})?")


def near(text: str, words: Iterable[str]) -> str:
    """The word that is most similar to a text; "" if none is, or if two are."""
    wanted = normalise(text)
    if not wanted or len(wanted) > _LONGEST_WORD:
        return ""
    ratios = sorted(
        ((difflib.SequenceMatcher(None, wanted, normalise(word)).ratio(), word) for word in words), reverse=True
    )
    (best, word), (second, _) = ratios[:2]
    return word if best >= SIMILARITY and best - second >= _DISTANCE else ""


@lru_cache(maxsize=256)
def monitor_type(text: str, words: tuple[str, ...]) -> str:
    """A type for imap4s, IMAP SSL or a misspelling."""
    name = normalise(text)
    if match := _TYPE_WITH_SSL.fullmatch(name):
        return {"imap": "imaps", "pop": "pop3s", "smtp": "smtps"}[match[1]]
    return "" if "tls" in name else near(text, words)  # it may be STARTTLS, on another port


@lru_cache(maxsize=256)
def mode(text: str, words: tuple[str, ...]) -> str:
    """A monitoring mode for a misspelling."""
    return near(text, words)


def switch(text: str) -> str:
    """Yes or no for a word of that meaning only."""
    return _SWITCH_WORDS.get(text.casefold(), "")


def number(text: str, *, is_port: bool = False) -> str:
    """A number in ASCII digits, without thousands separators."""
    ascii_text = with_ascii_digits(text)
    if ascii_text != text:
        return ascii_text if ascii_text.isdecimal() else ""
    if is_port:
        match = _PORT.fullmatch(text)
        return match[1] if match else ""
    return ""


def without_thousands(text: str, *, is_port: bool = False) -> str:
    """The number of 1,000 or 1 000; a point may stand before decimals, and two ports may stand in one cell."""
    groups = re.split(r"[,'’\s]", text)
    if "." in text or (is_port and all(int(group) in _MAIL_PORTS for group in groups)):
        return ""
    return "".join(groups)


def locations(text: str) -> str:
    """A list with other separators or other digits."""
    text = _compact(text)
    if _THOUSANDS_WITH_SPACES.fullmatch(text) or not _LIST_OF_IDS.fullmatch(text):
        return ""
    return ";".join(unique(re.findall("[0-9]+", text)))


def custom_properties(text: str) -> str:
    """Pairs with a colon or an arrow."""
    text = _compact(text)
    if not _PAIRS.fullmatch(text):
        return ""
    numbers = re.findall("[0-9]+", text)
    return ";".join(f"{left}={right}" for left, right in zip(numbers[::2], numbers[1::2], strict=True))


def unique(parts: Iterable[str]) -> list[str]:
    """The parts of a list without repetitions, in order."""
    return list(dict.fromkeys(parts))


def one_line(text: str) -> str:
    """A text of several lines as one; other control characters stay."""
    return " ".join(stripped for part in re.split(r"[\t\n\r]+", text) if (stripped := part.strip(" ")))


def ipv4(text: str) -> str:
    """The address of 192.0.2.1/24, 192.0.2.1:993, or one with commas or spaces."""
    match = _IPV4_IN_MORE.fullmatch(_compact(text))
    return re.sub(r"\s*[.,]\s*", ".", match[1]) if match else ""


def email(text: str) -> str:
    """The address of a link, of `Name <address>`, or with spaces around its @."""
    match = _ADDRESS_IN_MORE.fullmatch(text.strip("\"' "))
    return f"{match[1]}@{match[2].rstrip('.')}" if match else ""


def _compact(text: str) -> str:
    """A short text with single spaces and ASCII digits; "" for a long one, which is nothing that a person typed."""
    return with_ascii_digits(" ".join(text.split())) if len(text) <= _LONGEST_LIST else ""


def with_ascii_digits(text: str) -> str:
    """Write the digits of any script as 0 to 9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(character, character)) for character in text)
