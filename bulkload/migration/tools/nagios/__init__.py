"""Reads object files or an `objects.cache` of Nagios and its forks (XI, Naemon, Icinga 1, Shinken).

Each service on each of its hosts becomes a check. The plugin in its command line determines the type; the hostname is
the plugin's `-H` option, else the address of the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import Document
from bulkload.migration.tools.nagios.config_files import read_configuration_files, unlisted_services
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
    """Whether the document contains object definitions, or is a main file or a resource file."""
    if document.format != "text":
        return False
    return any(pattern.search(document.head) for pattern in (_DEFINES, _MAIN_FILE, _USER_MACROS))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every service on every host."""
    cached = [document for document in documents if _CACHE.search(document.head)]
    main = [document for document in documents if _MAIN_FILE.search(document.head)]
    if cached:
        for document in documents:
            if _DEFINES.search(document.head) and document not in cached:
                yield SkippedObject(
                    origin=document.name, reason=f"{cached[0].name} contains the same objects, already resolved."
                )
        configuration = read_configuration_files([*main, *cached], documents=())
    else:
        listed = read_configuration_files(main, documents=documents)
        unlisted = [document for document in documents if document.path.resolve() not in listed.files]
        if any(listed.files > {document.path.resolve()} for document in main):
            for document in unlisted:
                yield from unlisted_services(document, main[0])
            configuration = listed
        else:
            configuration = read_configuration_files([*main, *unlisted], documents=documents)
    yield from configuration.skipped_objects
    yield from services(configuration)
