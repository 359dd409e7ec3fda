"""Which character encoding a text file has, decided from all of its bytes.

In: a path. Out: the name of a Python codec and how to treat bytes that do not fit. The file is read once in
blocks, so memory stays flat; a single odd byte far down still counts.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20  # bytes read at a time
_HEAD = 1 << 12  # bytes looked at for UTF-16 without a byte order mark
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNDECODED = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
_WINDOWS = "cp1252"
_CONTINUING = bytes(range(0x80, 0xC0)).decode(_WINDOWS, "surrogateescape")  # the bytes after the first in UTF-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How to decode a file, and what to tell people about it."""

    codec: str
    errors: str  # the error handler: what does not fit stays recognisable
    label: str
    odd: re.Pattern[str]  # what a text may hold only if something in it was not understood


def encoding_of(path: Path) -> Encoding:
    """Return the encoding of a text file: its mark if it has one, else UTF-8 if it fits, else Windows-1252."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for mark, codec in _BOMS:
        if head.startswith(mark):
            return _unicode(codec, f"{codec.removesuffix('-sig').upper()} with byte order mark")
    if assumed := _utf16_without_mark(head):
        return _unicode(assumed, f"{assumed.upper()} (assumed)")
    fitting, misfits = _count_utf8(path)
    if not misfits:
        return _unicode("utf-8", "UTF-8")
    if fitting > misfits:
        what = "1 byte does" if misfits == 1 else f"{misfits:,} bytes do"
        return _unicode("utf-8", f"UTF-8 (assumed, {what} not fit)")
    # one set of first characters, because that is what `re` searches for quickly
    odd = re.compile(f"[\0\udc80-\udcff\xc2-\xf4](?:(?<![\xc2-\xf4])|[{re.escape(_CONTINUING)}])")
    return Encoding(codec=_WINDOWS, errors="surrogateescape", label="Windows-1252 (assumed)", odd=odd)


def as_shown(text: str) -> str:
    """Return a text in which every byte that could not be decoded is the replacement character."""
    return _UNDECODED.sub("\ufffd", text)


def in_utf8(text: str, encoding: Encoding) -> str | None:
    """Return what a cell says if it alone is UTF-8 in a file that is taken for Windows-1252; None if it is not."""
    if encoding.codec != _WINDOWS or text.isascii():
        return None
    try:
        return text.encode(_WINDOWS, "surrogateescape").decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unicode(codec: str, label: str) -> Encoding:
    if codec.startswith("utf-8"):
        return Encoding(codec=codec, errors="surrogateescape", label=label, odd=re.compile("[\0\udc80-\udcff]"))
    return Encoding(codec=codec, errors="replace", label=label, odd=re.compile("[\0\ufffd]"))


def _utf16_without_mark(head: bytes) -> str | None:
    """Recognise mostly western text in UTF-16: every second byte is zero."""
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
    """Count the characters beyond ASCII that are good UTF-8, and the bytes that are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    fitting = misfits = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            text = decoder.decode(block)
            if not text.isascii():
                fitting += len(_BEYOND_ASCII.findall(text))
                misfits += len(_UNDECODED.findall(text))
        misfits += len(_UNDECODED.findall(decoder.decode(b"", final=True)))
    return fitting, misfits
