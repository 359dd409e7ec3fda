"""Reads object files or an `objects.cache` of Nagios and its forks (XI, Naemon, Icinga 1, Shinken).

Each service on each of its hosts becomes a check. The plugin in its command line determines the type; the hostname is
the plugin's `-H` option, else the address of the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documentation import is_copy
from bulkload.migration.documents import Document
from bulkload.migration.tools.nagios.config_files import read_configuration_files, unread_services
from bulkload.migration.tools.nagios.recognition import has_definitions, is_nagios, is_object_cache, lists_files
from bulkload.migration.tools.nagios.services import services

NAME = "nagios"
TITLE = "Nagios"

_COPY = "The file is a copy or an example, which the server does not read."

recognises = is_nagios


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every service on every host."""
    originals = [document for document in documents if not is_copy(document)] or documents
    cached = [document for document in originals if is_object_cache(document)]
    main = [document for document in originals if lists_files(document)]
    if cached:
        for document in documents:
            if has_definitions(document) and document not in cached:
                yield SkippedObject(
                    origin=document.name, reason=f"{cached[0].name} contains the same objects, already resolved."
                )
        configuration = read_configuration_files([*main, *cached], documents=())
    else:
        listed = read_configuration_files(main, documents=documents)
        unlisted = [document for document in originals if document.path.resolve() not in listed.files]
        if any(listed.files > {document.path.resolve()} for document in main):
            reason = f"{main[0].name} does not list this file, so the server does not read it."
            for document in unlisted:
                yield from unread_services(document, reason)
            configuration = listed
        else:
            configuration = read_configuration_files([*main, *unlisted], documents=documents)
        for document in documents:
            if document not in originals and document.path.resolve() not in configuration.files:
                unread = [*unread_services(document, _COPY)]
                yield from unread or [SkippedObject(origin=document.name, reason=_COPY)]
    yield from configuration.skipped_objects
    yield from services(configuration)
