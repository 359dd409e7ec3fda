"""Decodes the text of another tool's configuration, and keeps bytes recognisable whose encoding is not known.

In: bytes, and the encoding that the user named, if any. Out: text. Configurations are UTF-8 by nature; a byte that is
not becomes a letter of a script that no configuration is written in, so that parsers still see words, different names
stay different, and `migration.rules` knows which values are uncertain.
"""

from __future__ import annotations

import codecs
import re

from bulkload.text_encodings import ASSUMED_CODEC, label

_FIRST = 0x10600  # of the letters of Linear A, of which byte 0x80 becomes the 129th
_UNDECODED = re.compile(f"[{chr(_FIRST + 0x80)}-{chr(_FIRST + 0xFF)}]")
_NON_ASCII = re.compile(r"[^\x00-\x7f]")
_ERRORS = "bulkload.undecoded"  # the name of the error handler


def decode(data: bytes, given: str | None = None) -> str:
    """Decode a file: by its byte order mark, as UTF-8, else in the given encoding, with a letter per undecoded byte."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    if given is not None and given != "utf-8":
        return data.decode(given, _ERRORS)
    text = data.decode("utf-8-sig", _ERRORS)
    invalid = len(_UNDECODED.findall(text))
    if invalid > len(_NON_ASCII.findall(text)) - invalid:  # valid sequences are accidents, so none is trusted
        return data.decode("ascii", _ERRORS)
    return text


def is_undecoded(text: str) -> bool:
    """True if a text has a byte whose encoding is not known, or a character that an earlier conversion has lost."""
    return not text.isascii() and ("\N{REPLACEMENT CHARACTER}" in text or _UNDECODED.search(text) is not None)


def readable(text: str) -> str:
    """Return a text for a message, with undecoded bytes read as Windows-1252."""
    return text if text.isascii() else _UNDECODED.sub(lambda match: _assumed(match[0]), text)


def why_undecoded(field_name: str, text: str) -> str:
    """Say that a value is uncertain, and what to do."""
    return (
        f'The {field_name} "{readable(text)[:100]}" (in {label(ASSUMED_CODEC)}) is not valid UTF-8, and its encoding '
        "is not known; save the file as UTF-8, or name its encoding with --encoding."
    )


def _assumed(letter: str) -> str:
    return bytes([ord(letter) - _FIRST]).decode(ASSUMED_CODEC, "replace")


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_FIRST + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_ERRORS, _mark)
