"""The fingerprint of an input: equal fingerprints mean that reading both inputs gives the same rows.

In: an input, and the options for reading it. Out: a hash of its content, the options and the program, or None. A
workbook that was only saved again, so that nothing but the time in its properties is new, keeps its fingerprint.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bulkload import __version__
from bulkload.errors import InputError
from bulkload.model import Input
from bulkload.readers.zip_package import check_size, open_package, read_blocks
from bulkload.settings import Options
from bulkload.store.stored_rows import to_json

FINGERPRINT = "sha256"  # setting of a run in the store: hash of the input file

_OPTIONS = ("set", "map", "sheet", "header_row", "skip_hidden", "encoding", "ignore_unknown", "from_", "skip_private")
_PACKAGE = b"PK\x03\x04"  # how a zip package begins
_PROPERTIES = ("docProps/", "meta.xml")  # author, title and times, which no reader reads
_LIBRARIES = ("python-calamine", "charset-normalizer", "PyYAML", "pyarrow", "idna", "email-validator")


def fingerprint_of(source: Input, options: Options) -> str | None:
    """What the rows of an input depend on, as a hash: its content, the options, the program.

    None if that cannot be known: the input is no regular file.
    """
    if source.open is not None or not source.path.is_file():
        return None
    try:
        content = _hash_of_parts(source.path) or hash_of_bytes(source.path)
    except OSError:  # reported when it is read
        return None
    program = [__version__, *map(_version, _LIBRARIES)]
    facts = [content, source.path.suffix, {name: getattr(options, name) for name in _OPTIONS}, program]
    return hashlib.sha256(to_json(facts).encode()).hexdigest()


def hash_of_bytes(path: Path) -> str:
    """The hash of a file as it stands, whatever it is. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_of_parts(path: Path) -> str | None:
    """The hash of what a workbook holds besides its properties; None if the file is no package that can be read."""
    with path.open("rb") as file:
        if file.read(len(_PACKAGE)) != _PACKAGE:  # a package at the end of another file is none
            return None
    content = hashlib.sha256()
    try:
        with open_package(path) as package:
            check_size(package, path)
            for part in package.infolist():
                if not part.filename.startswith(_PROPERTIES):
                    content.update(to_json([part.filename, part.file_size]).encode())
                    for block in read_blocks(package, part.filename):
                        content.update(block)
    except InputError:
        return None
    return content.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
