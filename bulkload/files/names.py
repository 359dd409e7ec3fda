"""Shorten file names: a name derived from another, such as that of the results, can be longer than file systems allow.

In: the stem of a name. Out: a stem of at most so many bytes. The limit is one of bytes: a Chinese character has three.
"""

from __future__ import annotations

import hashlib
import os

MAX_NAME = 255  # bytes, on nearly every file system


def shorten(stem: str, most: int) -> str:
    """The stem, or its beginning and a hash of the whole: different stems stay different, the same stem the same."""
    raw = os.fsencode(stem)
    if len(raw) <= most:
        return stem
    mark = "-" + hashlib.blake2b(raw, digest_size=4).hexdigest()
    return raw[: most - len(mark)].decode("utf-8", "ignore") + mark
