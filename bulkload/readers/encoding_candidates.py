"""Name the encodings in which a file may be, if nothing in it proves one.

In: the text of a file as bytes. Out: the codecs that decode all of it, the most likely first. charset-normalizer is one
witness. It is often wrong about short tables, so the letters are the other one: words have no capitals inside, no
letters of two scripts, and no symbols in place of letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

_CODECS = (  # the more common ones first
    "cp1252",
    "mac-roman",
    "cp1250",
    "cp1251",
    "gb18030",
    "cp932",
    "cp949",
    "cp950",
    "iso8859-15",
    "koi8-r",
    "cp437",
    "cp850",
)
_BLOCK = 1 << 20  # bytes read at a time
_LONGEST_LINE = 1 << 22  # bytes; the reader refuses longer ones
_SAMPLE = 1 << 14  # bytes whose letters are judged
_SHOWN = 6  # of the candidates; a message shows the first that differ
_WITNESS_BONUS = 0.3  # points of oddity

_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_WORD = re.compile(r"\S*[^\x00-\x7f]\S*")
_USUAL_LETTERS = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüßœ")  # of Western Europe, where most such files come from
_USUAL_SIGNS = frozenset("“”‘’„‚«»‹›–—…•·€£©®°§№¿¡ªº、。・「」（）！？：～￥")
_OPENING_SIGNS = frozenset("„‚«‹¿¡")  # which follow no letter
_JOINING_SIGNS = frozenset("’·–—…")  # which may stand between two letters
# Of the Asian encodings, the codec and the lead bytes of the characters in everyday use, by the codec of the file
_EVERYDAY = {
    "gb18030": ("gb2312", range(0xB0, 0xD8)),
    "cp932": ("cp932", range(0x88, 0x98)),
    "cp949": ("euc_kr", range(0xB0, 0xC9)),
    "cp950": ("big5", range(0xA4, 0xC7)),
}
_RARE, _MIXED, _CAPITAL, _SIGN, _ACCENTS, _UNUSUAL, _CONTROL = 1.5, 2.0, 2.0, 1.0, 1.0, 0.4, 3.0  # points of oddity


def likely_codecs(chunks: Iterable[bytes]) -> tuple[str, ...]:
    """Return the codecs that decode all chunks, the most likely first; a chunk is one or several lines or cells."""
    sample = b""
    codecs = list(_CODECS)
    for lines in chunks:
        codecs = [codec for codec in codecs if _decodes(lines, codec)]
        if len(sample) < _SAMPLE:
            sample += lines[: _SAMPLE - len(sample)] + b"\n"
    witness = _witness(sample)
    texts = {codec: sample.decode(codec, "ignore") for codec in codecs}
    witnessed = texts.get(witness)
    if witness not in _CODECS and _decodes(sample, witness):
        texts[witness] = sample.decode(witness)
    oddities = {
        codec: _oddity(text, codec) - (_WITNESS_BONUS if text == witnessed else 0) for codec, text in texts.items()
    }
    return tuple(sorted(oddities, key=oddities.__getitem__)[:_SHOWN])


def non_ascii_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines that are not ASCII, block by block; no character of the candidates contains a line end."""
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            data = rest + block
            end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            if not end and len(data) > _LONGEST_LINE:
                end = len(data)
            rest = data[end:]
            if lines := _LINE.findall(data, 0, end):
                yield b"\n".join(lines)
    if not rest.isascii():
        yield rest


def _decodes(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except (UnicodeError, LookupError):
        return False
    return True


def _witness(sample: bytes) -> str:
    """The codec that charset-normalizer names; "" if it names none."""
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return "" if best is None else _canonical(best.encoding)


def _canonical(codec: str) -> str:
    from bulkload.text_encodings import codec_named

    try:
        return codec_named(codec)
    except ValueError:
        return ""


def _oddity(text: str, codec: str) -> float:
    """Return how unlike written language a reading is, in points per character that is not ASCII."""
    points = 0.0
    count = 0
    for word in _WORD.findall(text):
        for index, char in enumerate(word):
            if not char.isascii():
                count += 1
                points += _oddity_of(char, word[index - 1 : index], word[index + 1 : index + 2], codec)
    return points / count if count else 0.0


def _oddity_of(char: str, before: str, after: str, codec: str) -> float:
    category = unicodedata.category(char)
    if category.startswith("C"):
        return _CONTROL
    if not category.startswith(("L", "M")):
        is_inside = before.isalpha() and (after.isalpha() or char in _OPENING_SIGNS) and char not in _JOINING_SIGNS
        return _SIGN if is_inside or char not in _USUAL_SIGNS else 0.0
    script = _script(char)
    points = 0.0 if script == "HALFWIDTH" or unicodedata.is_normalized("NFKC", char) else _UNUSUAL
    if script in ("CJK", "HANGUL"):
        everyday, leads = _EVERYDAY.get(codec, (codec, range(256)))
        raw = char.encode(everyday, "ignore")
        points += 0.0 if raw and raw[0] in leads else _RARE
    for neighbour in (before, after):
        if neighbour.isalpha() and _family(neighbour) != _family(char):
            points += _MIXED / 2 if script == "CJK" else _MIXED
    if script == "LATIN" and before and not before.isascii() and before.isalpha():
        points += _ACCENTS
    if script == "LATIN" and char.lower() not in _USUAL_LETTERS:
        points += _UNUSUAL
    if char.isupper() and (before.islower() or (before.isalpha() and after.islower())):
        points += _CAPITAL
    return points


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    return unicodedata.name(char, "").partition(" ")[0]


def _family(char: str) -> str:
    """The scripts that one word may mix count as one."""
    script = "LATIN" if char.isascii() else _script(char)
    return "CJK" if script in ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH") else script
