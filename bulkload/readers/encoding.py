"""Detect the character encoding of a text file from all of its bytes.

In: a path. Out: an `Encoding`: a Python codec and its error handler. The file is read once in blocks, so memory use is
constant, and a single invalid byte near the end still counts.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20  # bytes read at a time
_HEAD = 1 << 12  # bytes checked for UTF-16 without a byte order mark
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNDECODED = re.compile("[\udc80-\udcff]")
_NON_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
_WINDOWS = "cp1252"
_CONTINUATION = bytes(range(0x80, 0xC0)).decode(_WINDOWS, "surrogateescape")  # the continuation bytes of UTF-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How to decode a file, and the label to show for it."""

    codec: str
    errors: str  # the error handler; it keeps undecoded bytes recognisable
    label: str
    suspect: re.Pattern[str]  # matches any text that may have undecoded bytes or NUL


def detect_encoding(path: Path) -> Encoding:
    """Detect the encoding of a text file: its byte order mark, else UTF-8 if mostly valid, else Windows-1252."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return _unicode(codec, f"{codec.removesuffix('-sig').upper()} with byte order mark")
    if assumed := _utf16_without_mark(head):
        return _unicode(assumed, f"{assumed.upper()} (assumed)")
    valid, invalid = _count_utf8(path)
    if not invalid:
        return _unicode("utf-8", "UTF-8")
    if valid > invalid:
        count = "1 invalid byte" if invalid == 1 else f"{invalid:,} invalid bytes"
        return _unicode("utf-8", f"UTF-8 (assumed, {count})")
    # one set of first characters, because `re` searches for a set quickly
    suspect = re.compile(f"[\0\udc80-\udcff\xc2-\xf4](?:(?<![\xc2-\xf4])|[{re.escape(_CONTINUATION)}])")
    return Encoding(codec=_WINDOWS, errors="surrogateescape", label="Windows-1252 (assumed)", suspect=suspect)


def replace_undecoded(text: str) -> str:
    """Replace every byte that could not be decoded by the replacement character."""
    return _UNDECODED.sub("\ufffd", text)


def decode_as_utf8(text: str, encoding: Encoding) -> str | None:
    """Return the UTF-8 reading of a cell in a file assumed to be Windows-1252; None if the cell is not valid UTF-8."""
    if encoding.codec != _WINDOWS or text.isascii():
        return None
    try:
        return text.encode(_WINDOWS, "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unicode(codec: str, label: str) -> Encoding:
    if codec.startswith("utf-8"):
        return Encoding(codec=codec, errors="surrogateescape", label=label, suspect=re.compile("[\0\udc80-\udcff]"))
    return Encoding(codec=codec, errors="replace", label=label, suspect=re.compile("[\0\ufffd]"))


def _utf16_without_mark(head: bytes) -> str | None:
    """Recognise mostly Western text in UTF-16: every second byte is zero."""
    pairs = len(head) // 2
    if not pairs:
        return None
    even, odd = head[: pairs * 2 : 2].count(0), head[1 : pairs * 2 : 2].count(0)
    if odd > 0.4 * pairs and even < 0.1 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd < 0.1 * pairs:
        return "utf-16-be"
    return None


def _count_utf8(path: Path) -> tuple[int, int]:
    """Count the non-ASCII characters that are valid UTF-8, and the bytes that are invalid."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    valid = invalid = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            text = decoder.decode(block)
            if not text.isascii():
                valid += len(_NON_ASCII.findall(text))
                invalid += len(_UNDECODED.findall(text))
        invalid += len(_UNDECODED.findall(decoder.decode(b"", final=True)))
    return valid, invalid
