"""Reads the files of a Nagios configuration.

In: documents. Out: the definitions and settings of these files and of the files they include.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload.errors import InputError
from bulkload.migration.checks import SkippedObject
from bulkload.migration.documents import Document, referenced_documents
from bulkload.migration.tools.nagios.grammar import Definition, Setting, StrayLine, parse

_FILE_INCLUDES = frozenset({"cfg_file", "include_file"})
_INCLUDES = _FILE_INCLUDES | {"cfg_dir", "include_dir"}
_DEBIAN_COMMANDS = "nagios-plugins/config"  # folder of standard commands, which need no definition


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The content of all files of a configuration."""

    definitions: Sequence[Definition]
    settings: Mapping[str, str]
    skipped_objects: Sequence[SkippedObject]
    files: frozenset[Path]


def read_configuration_files(first: Sequence[Document], *, documents: Sequence[Document]) -> Configuration:
    """Parse files and, if `documents` is not empty, the files that a main file lists."""
    definitions: list[Definition] = []
    settings: dict[str, str] = {}
    skipped_objects: list[SkippedObject] = []
    queue = list(first)
    seen = {document.path.resolve() for document in queue}
    while queue:
        document = queue.pop(0)
        for item in parse(document.name, document.rendered):
            if isinstance(item, Definition):
                definitions.append(item)
            elif isinstance(item, StrayLine):
                skipped_objects.append(
                    SkippedObject(origin=item.origin, reason="The line is outside all definitions.", error=True)
                )
            elif item.key not in _INCLUDES:
                settings[item.key] = item.value
            elif documents:
                listed = referenced_documents(document, item.value, documents)
                if listed is None:
                    skipped_objects.append(_missing_file(document, item))
                for listed_document in listed or ():
                    resolved = listed_document.path.resolve()
                    if resolved not in seen and (item.key in _FILE_INCLUDES or resolved.suffix == ".cfg"):
                        seen.add(resolved)
                        queue.append(listed_document)
    return Configuration(
        definitions=definitions, settings=settings, skipped_objects=skipped_objects, files=frozenset(seen)
    )


def unread_services(document: Document, reason: str) -> Iterator[SkippedObject]:
    """Yield a skipped object for every service of a file that the server does not read."""
    try:
        items = [*parse(document.name, document.rendered)]
    except InputError:  # what is wrong with a file that no server reads does not matter
        yield SkippedObject(origin=document.name, reason=reason)
        return
    for item in items:
        if not isinstance(item, Definition) or item.type != "service":
            continue
        if item.is_registered or item.get("host_name") or item.get("check_command"):
            yield SkippedObject(
                origin=f"{item.origin}: service {item.get('service_description')}".strip(), reason=reason
            )


def _missing_file(document: Document, item: Setting) -> SkippedObject:
    if item.value.rstrip("/").endswith(_DEBIAN_COMMANDS):
        return SkippedObject(
            origin=f"{document.name}: {item.value}",
            reason="The folder was not found; the standard definitions of its commands are used.",
        )
    return SkippedObject(
        origin=f"{document.name}: {item.value}",
        reason="The file or folder was not found in the folder of this file; add it to the input.",
        error=True,
    )
