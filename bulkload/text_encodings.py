"""The names of text encodings: what a user writes, the codec of Python that it means, and the name that messages show.

In: a name such as `Windows-1252`, `MacRoman` or any codec of Python. Out: a codec, or a `ValueError` that says what is
allowed.
"""

from __future__ import annotations

import codecs
import re

ASSUMED_CODEC = "cp1252"  # of text that is not UTF-8 and whose encoding is not known

# Codecs of Python that are no encodings of text; then those that are, but in which no spreadsheet is saved. The last
# two exist on Windows only, where their meaning depends on the machine.
_NOT_TEXT = frozenset({"base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"})
_NOT_FOR_FILES = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "mbcs", "oem"})

# Codec → its name in messages, then other names. For the Asian encodings, it is the superset of Windows.
_NAMES: dict[str, tuple[str, ...]] = {
    "utf-8": ("UTF-8", "UTF-8 BOM", "UTF-8-SIG"),
    "utf-16": ("UTF-16", "Unicode"),
    "utf-32": ("UTF-32",),
    "cp1252": ("Windows-1252", "ANSI", "CP1252", "1252"),
    "mac-roman": ("MacRoman", "Macintosh", "Mac", "Mac OS Roman", "x-mac-roman"),
    "cp1250": ("Windows-1250", "CP1250", "1250"),
    "cp1251": ("Windows-1251", "CP1251", "1251"),
    "gb18030": ("GBK", "GB18030", "GB2312", "CP936", "936"),
    "cp932": ("Shift-JIS", "SJIS", "Windows-31J", "CP932", "MS932", "932"),
    "cp949": ("EUC-KR", "CP949", "UHC", "KS_C_5601-1987", "949"),
    "cp950": ("Big5", "CP950", "950"),
    "iso8859-15": ("ISO-8859-15", "Latin-9"),
    "iso8859-1": ("ISO-8859-1", "Latin-1"),
    "koi8-r": ("KOI8-R",),
    "cp437": ("CP437", "437"),
    "cp850": ("CP850", "850"),
}


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


_CODECS = {_key(name): codec for codec, names in _NAMES.items() for name in names}


def codec_named(name: str) -> str:
    """The codec that a name means. Raises `ValueError`, whose message completes "--encoding is 'x'; …"."""
    if codec := _CODECS.get(_key(name)):
        return codec
    try:
        info = codecs.lookup(name.strip())
    except (LookupError, ValueError):
        raise ValueError(_allowed(name)) from None
    if not info._is_text_encoding or info.name in _NOT_FOR_FILES:  # bytes.decode() uses this attribute, too
        raise ValueError(_allowed(name))
    return info.name


def label(codec: str) -> str:
    """The name of a codec in messages, which `codec_named` understands."""
    return _NAMES[codec][0] if codec in _NAMES else codec


def _allowed(name: str) -> str:
    import difflib
    from encodings.aliases import aliases

    own = {_key(alias): alias for names in _NAMES.values() for alias in names}
    others = {_key(alias): alias for alias, codec in aliases.items() if codec not in _NOT_TEXT}
    close = [
        known[key] for known in (own, others) for key in difflib.get_close_matches(_key(name)[:100], known, 2, 0.6)
    ][:2]
    suggestion = f" (did you mean {' or '.join(close)}?)" if close else ""
    return (
        f"the name of a text encoding, such as UTF-8, Windows-1252, MacRoman, GBK or Shift-JIS, is allowed{suggestion}"
    )
