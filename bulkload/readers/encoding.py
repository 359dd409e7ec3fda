"""Detect the character encoding of a text file from all of its bytes, and say whether it is certain.

In: a path, and the encoding that the user named, if any. Out: an `Encoding`: a Python codec, its error handler, and
whether text in it can be trusted. Only a byte order mark, valid UTF-8, UTF-16 and the user's word are certain; every
other encoding is an assumption, which text that is not ASCII must not rely on. The file is read in blocks, so memory
use is constant, and a single invalid byte near the end still counts.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bulkload.errors import InputError
from bulkload.model import Issue
from bulkload.monitors.values import show
from bulkload.readers.encoding_candidates import likely_codecs, non_ascii_lines
from bulkload.text_encodings import ASSUMED_CODEC, label

ISSUE_CODE = "cell.encoding"

_BLOCK = 1 << 20  # bytes read at a time
_HEAD = 1 << 12  # bytes checked for UTF-16 without a byte order mark
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is a prefix of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ORDERS = {codecs.BOM_UTF16_LE: "le", codecs.BOM_UTF32_LE: "le", codecs.BOM_UTF16_BE: "be", codecs.BOM_UTF32_BE: "be"}
_UNDECODED = re.compile("[\udc80-\udcff]")
_NON_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
_ALL_NON_ASCII = re.compile("[^\x01-\x7f]")  # and NUL
_MAX_READINGS = 3  # that a message shows
# Of a UTF-8 file with faults: in other encodings, valid sequences are accidents, which are rarer than invalid bytes
_CERTAIN_RATIO = 2
_MANY_CHARACTERS = 3  # so many valid UTF-8 sequences and no invalid one are no accident in any other encoding
_ADVICE = 'save the file as "CSV UTF-8"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How to decode a file, the label to show for it, and how far to trust it."""

    codec: str
    errors: str  # the error handler; it keeps undecoded bytes recognisable
    label: str
    suspect: re.Pattern[str]  # matches any text that may have undecoded bytes, NUL or doubtful characters
    trust: Literal["certain", "assumed", "contradicted"] = "certain"
    candidates: tuple[str, ...] = ()  # the likely codecs if the encoding is assumed, the most likely first


def detect_encoding(path: Path, given: str | None = None) -> Encoding:
    """Detect the encoding of a text file: its byte order mark, the `given` codec, UTF-8, UTF-16, else an assumption."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for mark, codec in _BOMS:
        if head.startswith(mark):
            name = codec.removesuffix("-sig")
            if given not in (None, name, codec, f"{name}-{_ORDERS.get(mark)}"):
                raise InputError(
                    f"the file begins with the byte order mark of {name.upper()}, but the given encoding is "
                    f"{label(given or name)}; omit --encoding (or the setting encoding) for this file."
                )
            return _unicode(codec, f"{name.upper()} with byte order mark")
    utf16 = _utf16_without_mark(head)
    if given is not None:
        return _given(path, (utf16 or f"{given}-le") if given in ("utf-16", "utf-32") else given)
    if utf16:
        return _unicode(utf16, f"{utf16.upper()} without byte order mark")
    valid, invalid = _count_utf8(path)
    if not invalid:
        return _unicode("utf-8", "UTF-8")
    codec, name = ASSUMED_CODEC, f"{label(ASSUMED_CODEC)} (assumed)"
    if valid > invalid:
        count = "1 invalid byte" if invalid == 1 else f"{invalid:,} invalid bytes"
        codec, name = "utf-8", f"UTF-8 (assumed, {count})"
        if valid >= _CERTAIN_RATIO * invalid:
            return _unicode(codec, name)
    return _assumed(codec, name, non_ascii_lines(path))


def code_page_encoding(chunks: Iterable[bytes], given: str | None) -> Encoding:
    """The encoding of an old workbook that names no code page: the `given` codec, else an assumption."""
    if given is None:
        return _assumed(ASSUMED_CODEC, f"{label(ASSUMED_CODEC)} (assumed)", chunks)
    return _legacy(given, f"{label(given)} (given)")


def encoding_issue(cell: str, encoding: Encoding) -> tuple[str, Issue | None]:
    """Return the text of a suspect cell as far as it can be shown, and an issue if the text is not certain."""
    text = _UNDECODED.sub("\ufffd", cell)
    has_undecoded = text != cell or (encoding.errors == "replace" and "\ufffd" in cell)
    if cell.isascii():
        return text, None
    if encoding.trust == "assumed":
        message = _doubt(cell, encoding)
    elif encoding.trust == "contradicted" and (as_utf8 := _as_utf8(cell, encoding)) is not None:
        message = (
            f"The cell is {show(text)} in the given encoding, {label(encoding.codec)}, but {show(as_utf8)} in UTF-8, "
            "which is valid in the whole file; omit --encoding (or the setting encoding) for this file."
        )
    elif has_undecoded:
        name, _, origin = encoding.label.partition(" (")
        remedy = f"name the right encoding with --encoding, or {_ADVICE}" if origin == "given)" else _ADVICE
        message = f"The cell has bytes that are not {name}; {remedy}."
    else:
        return text, None
    return text, Issue(code=ISSUE_CODE, message=message, value=text)


def header_doubts(findings: Iterable[tuple[int | None, Issue]], width: int) -> dict[int, str]:
    """Return why the headers of some columns are not certain, by the index of the column."""
    doubts = {}
    for index, issue in findings:
        if issue.code == ISSUE_CODE and index is None:  # the header may have been split inside a character
            raise InputError(f"the header is not certain. {issue.message}")
        if issue.code == ISSUE_CODE and index is not None and index < width:
            doubts[index] = issue.message
    return doubts


def replace_non_ascii(text: str) -> str:
    """Replace every character that is not ASCII by the replacement character."""
    return _ALL_NON_ASCII.sub("\ufffd", text)


def _doubt(cell: str, encoding: Encoding) -> str:
    """Say what a cell is in the likely encodings, and how the user decides."""
    raw = cell.encode(encoding.codec, "surrogateescape")
    readings: dict[str, str] = {}  # text → the first codec that gives it
    for codec in ("utf-8", *encoding.candidates):
        try:
            readings.setdefault(raw.decode(codec), codec)
        except UnicodeDecodeError:
            continue
    shown = [f"{show(text)} in {label(codec)}" for text, codec in list(readings.items())[:_MAX_READINGS]]
    if not shown:
        return f"The file's encoding is not known, and the cell is not valid in any likely one; {_ADVICE}."
    first = label(next(iter(readings.values())))
    return (
        f"The file's encoding is not known: the cell is {', '.join(shown)}; {_ADVICE}, or name its encoding, "
        f"such as --encoding {first}."
    )


def _as_utf8(cell: str, encoding: Encoding) -> str | None:
    try:
        return cell.encode(encoding.codec, encoding.errors).decode("utf-8")
    except UnicodeError:
        return None


def _given(path: Path, codec: str) -> Encoding:
    name = f"{label(codec)} (given)"
    if codec.startswith("utf-8") or not _is_ascii_superset(codec):
        return _unicode(codec, name)
    valid, invalid = _count_utf8(path)
    is_single_byte = len(bytes(range(128, 256)).decode(codec, "replace")) == 128
    if not invalid and valid >= (1 if is_single_byte else _MANY_CHARACTERS):
        return replace(_legacy(codec, name), suspect=_ALL_NON_ASCII, trust="contradicted")
    return _legacy(codec, name)


def _legacy(codec: str, name: str) -> Encoding:
    return Encoding(codec=codec, errors="surrogateescape", label=name, suspect=re.compile("[\0\udc80-\udcff]"))


def _assumed(codec: str, name: str, chunks: Iterable[bytes]) -> Encoding:
    return replace(_legacy(codec, name), suspect=_ALL_NON_ASCII, trust="assumed", candidates=likely_codecs(chunks))


def _is_ascii_superset(codec: str) -> bool:
    """True if ASCII bytes are ASCII characters wherever they stand alone, so that undecoded bytes can be marked."""
    probe = bytes(range(1, 128)) + b"\x1b$B0! ~{!! +AOQ- "
    return probe.decode(codec, "ignore") == probe.decode("ascii")


def _unicode(codec: str, name: str) -> Encoding:
    if codec.startswith("utf-8"):
        return _legacy(codec, name)
    return Encoding(codec=codec, errors="replace", label=name, suspect=re.compile("[\0\ufffd]"))


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
