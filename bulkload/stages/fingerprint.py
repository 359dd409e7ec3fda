"""The fingerprint of an input: equal fingerprints mean that reading both inputs gives the same rows.

In: an input, and the options for reading it. Out: a hash of its content, the options and the program, or None.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version

from bulkload import __version__
from bulkload.model import Input
from bulkload.settings import Options
from bulkload.store.runs import to_json

_OPTIONS = ("set", "map", "sheet", "skip_hidden", "encoding", "ignore_unknown", "from_", "skip_private")
_LIBRARIES = ("python-calamine", "charset-normalizer", "PyYAML", "pyarrow", "idna", "email-validator")


def fingerprint_of(source: Input, options: Options) -> str | None:
    """What the rows of an input depend on, as a hash: its content, the options, the program.

    None if that cannot be known: the input is no regular file.
    """
    if source.open is not None or not source.path.is_file():
        return None
    try:
        with source.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # reported when it is read
        return None
    program = [__version__, *map(_version, _LIBRARIES)]
    facts = [content, source.path.suffix, {name: getattr(options, name) for name in _OPTIONS}, program]
    return hashlib.sha256(to_json(facts).encode()).hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
