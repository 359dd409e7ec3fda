"""Detects whether a path is another tool's configuration from the start of the file, without reading all of it."""

from __future__ import annotations

from pathlib import Path

from bulkload.errors import InputError
from bulkload.migration.documents import Document
from bulkload.migration.tools.registry import is_recognised


def is_configuration(path: Path, document: Document | None = None) -> bool:
    """Whether the path is a tool's configuration or a folder of it. Raises `InputError` if the file is damaged.

    A `document` of the path that may have been parsed already is used again.
    """
    if path.is_dir():
        return any(path.iterdir())
    if not path.is_file():
        return False
    document = document or Document(path=path, name=path.name)
    if document.format == "binary":
        return False
    try:
        return is_recognised(document)
    except InputError:
        if document.format == "sqlite":
            return False  # no tool's database; the spreadsheet reader reports what it is
        raise
