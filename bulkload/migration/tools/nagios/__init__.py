"""Nagios and its family (Core, XI, Naemon, Icinga 1, Shinken): object files or an `objects.cache` become checks.

A check is a service on one host. What it tests is read from the plugin behind its command; where it is tested
comes from the plugin's `-H`, else from the host's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import Document
from bulkload.migration.tools.nagios.config_files import read_tree, unlisted
from bulkload.migration.tools.nagios.services import services

NAME = "nagios"
TITLE = "Nagios"

_DEFINES = re.compile(
    r"^[ \t]*define[ \t]+(?:host|service|command|contact|timeperiod|servicedependency|hostdependency|"
    r"serviceescalation|hostescalation|serviceextinfo|hostextinfo|hostgroup|servicegroup|contactgroup)[ \t]*\{",
    re.MULTILINE,
)
_MAIN_FILE = re.compile(r"^[ \t]*cfg_(?:file|dir)\s*=", re.MULTILINE)
_USER_MACROS = re.compile(r"^[ \t]*\$USER\d+\$\s*=", re.MULTILINE)
_CACHE = re.compile(r"^#\s+\w+ OBJECT CACHE FILE", re.MULTILINE)


def recognises(document: Document) -> bool:
    """An object definition, or a main file that lists object files."""
    if document.format != "text":
        return False
    return any(sign.search(document.head) for sign in (_DEFINES, _MAIN_FILE, _USER_MACROS))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Every service on every host it runs on."""
    cached = [document for document in documents if _CACHE.search(document.head)]
    main = [document for document in documents if _MAIN_FILE.search(document.head)]
    if cached:
        for document in documents:
            if _DEFINES.search(document.head) and document not in cached:
                yield SkippedObject(
                    origin=document.name, reason=f"{cached[0].name} holds the same objects, already worked out."
                )
        read = read_tree([*main, *cached], documents=())
    else:
        listed = read_tree(main, documents=documents)
        others = [document for document in documents if document.path.resolve() not in listed.files]
        if any(listed.files > {document.path.resolve()} for document in main):
            for document in others:
                yield from unlisted(document, main[0])
            read = listed
        else:
            read = read_tree([*main, *others], documents=documents)
    yield from read.skipped_objects
    yield from services(read)
