"""The files of a Nagios configuration: documents go in, definitions and settings of the whole tree come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload.migration.checks import SkippedObject
from bulkload.migration.documents import Document, referenced_documents
from bulkload.migration.tools.nagios.grammar import Definition, Setting, Stray, parse

_DEBIAN_COMMANDS = "nagios-plugins/config"  # well-known commands stand in for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What the files say together."""

    definitions: Sequence[Definition]
    settings: Mapping[str, str]
    skipped_objects: Sequence[SkippedObject]
    files: frozenset[Path]


def read_tree(first: Sequence[Document], *, documents: Sequence[Document]) -> Tree:
    """Parse files and, as far as they are at hand, those that a main file lists."""
    definitions: list[Definition] = []
    settings: dict[str, str] = {}
    skipped_objects: list[SkippedObject] = []
    waiting = list(first)
    seen = {document.path.resolve() for document in waiting}
    while waiting:
        document = waiting.pop(0)
        for item in parse(document.name, document.rendered):
            if isinstance(item, Definition):
                definitions.append(item)
            elif isinstance(item, Stray):
                skipped_objects.append(
                    SkippedObject(origin=item.place, reason="The line is outside of every definition.", error=True)
                )
            elif item.key not in ("cfg_file", "cfg_dir"):
                settings[item.key] = item.value
            elif documents:
                found = referenced_documents(document, item.value, documents)
                if found is None:
                    skipped_objects.append(_absent(document, item))
                for other in found or ():
                    real = other.path.resolve()
                    if real not in seen and (item.key == "cfg_file" or real.suffix == ".cfg"):
                        seen.add(real)
                        waiting.append(other)
    return Tree(definitions=definitions, settings=settings, skipped_objects=skipped_objects, files=frozenset(seen))


def unlisted(document: Document, main: Document) -> Iterator[SkippedObject]:
    """The services of a file that the server does not read."""
    for item in parse(document.name, document.rendered):
        if isinstance(item, Definition) and item.type == "service" and item.get("register") != "0":
            yield SkippedObject(
                origin=f"{item.place}: service {item.get('service_description')}",
                reason=f"{main.name} does not list this file, so the server does not read it.",
            )


def _absent(document: Document, item: Setting) -> SkippedObject:
    if item.value.rstrip("/").endswith(_DEBIAN_COMMANDS):
        return SkippedObject(
            origin=f"{document.name}: {item.value}",
            reason="The folder is not at hand; the well-known definitions of its commands are used.",
        )
    return SkippedObject(
        origin=f"{document.name}: {item.value}",
        reason="The file or folder is not at hand below this file; give it as well.",
        error=True,
    )
