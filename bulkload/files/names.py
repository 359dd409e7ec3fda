"""Derive file names from others, such as that of the results: it must not be longer than file systems allow.

In: the stem of a name. Out: a stem of at most so many bytes. The limit is one of bytes: a Chinese character has three.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

MAX_NAME = 255  # bytes, on nearly every file system
RESULTS_SUFFIX = ".xlsx"

_RESULTS = re.compile(r"(?P<name>.+)-results(?:-(?P<number>[1-9]\d{0,5}))?")
_NUMBERED = re.compile(r"(?P<name>.+-(?:results|deleted))-(?P<number>[1-9]\d{0,5})")


def shorten(stem: str, most: int) -> str:
    """The stem, or its beginning and a hash of the whole: different stems stay different, the same stem the same."""
    raw = os.fsencode(stem)
    if len(raw) <= most:
        return stem
    mark = "-" + hashlib.blake2b(raw, digest_size=4).hexdigest()
    return raw[: most - len(mark)].decode("utf-8", "ignore") + mark


def results_stem(stem: str) -> str:
    """The stem of the results of a file: with one `-results`, and the next number if the file has results itself."""
    found = _RESULTS.fullmatch(stem)
    if found is None:
        return f"{shorten(stem, MAX_NAME - len(f'-results{RESULTS_SUFFIX}'))}-results"
    return numbered(f"{found['name']}-results", int(found["number"] or 1) + 1)


def results_name(name: str) -> str:
    """The name of the results of a file, in the format that nobody has to choose."""
    return results_stem(Path(name).stem) + RESULTS_SUFFIX


def numbered(stem: str, number: int, suffix: str = RESULTS_SUFFIX) -> str:
    """The stem of a results file with another number, or with one, at its end."""
    found = _NUMBERED.fullmatch(stem)
    end = f"-{number + int(found['number']) - 1 if found else number}"
    return shorten(found["name"] if found else stem, MAX_NAME - len(end + suffix)) + end
