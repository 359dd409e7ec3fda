"""The door for other tools: says whether a path is a tool's configuration, cheaply, before anything is read whole."""

from __future__ import annotations

from pathlib import Path

from bulkload.errors import InputError
from bulkload.migration.documents import Document
from bulkload.migration.tools.registry import is_recognised


def is_configuration(path: Path) -> bool:
    """Tell a tool's configuration, or a folder of it, from a spreadsheet. Raises `InputError` for a broken one."""
    if path.is_dir():
        return any(path.iterdir())
    if not path.is_file():
        return False
    document = Document(path=path, name=path.name)
    if document.kind == "binary":
        return False
    try:
        return is_recognised(document)
    except InputError:
        if document.kind == "sqlite":
            return False  # no tool's database, so what else it is has to be said
        raise
