"""Lists the supported tools and finds the reader of a configuration.

In: documents. Out: one reader, with the documents it reads. To add a tool, add a module to this folder and a line to
`READERS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bulkload.errors import InputError, UsageError, reading
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documentation import reason_not_configuration
from bulkload.migration.documents import Document
from bulkload.migration.tools import (
    alertsite,
    better_stack,
    datadog,
    gatus,
    icinga2,
    kuma,
    monit,
    nagios,
    pingdom,
    prometheus,
    site24x7,
    statuscake,
    uptime_com,
    uptimerobot,
    xymon,
    zabbix,
)


class ToolReader(Protocol):
    """The interface of a reader, which may be a module or an object."""

    @property
    def NAME(self) -> str:
        """The value of --from."""

    @property
    def TITLE(self) -> str:
        """The name of the tool in messages."""

    @property
    def recognises(self) -> Recognises:
        """Whether a document belongs to this tool, judged by its content."""

    @property
    def translate(self) -> Translate:
        """Convert the documents of one input to checks and skipped objects."""


class Recognises(Protocol):
    """Whether a document belongs to this tool, judged by its content."""

    def __call__(self, document: Document, /) -> bool: ...


class Translate(Protocol):
    """Convert the documents of one input to checks and skipped objects."""

    def __call__(self, documents: Sequence[Document], /) -> Iterator[Check | SkippedObject]: ...


READERS: tuple[ToolReader, ...] = (
    alertsite,
    nagios,
    uptimerobot,
    kuma,
    zabbix,
    pingdom,
    icinga2,
    better_stack,
    prometheus,
    statuscake,
    uptime_com,
    gatus,
    datadog,
    site24x7,
    xymon,
    monit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A reader, the documents it reads, and the files it does not read."""

    reader: ToolReader
    documents: tuple[Document, ...]
    skipped_objects: tuple[SkippedObject, ...] = ()


def reader_named(tool: str) -> ToolReader:
    """Return the reader of a --from value. Raises `UsageError` for an unknown tool."""
    for reader in READERS:
        if tool == reader.NAME:
            return reader
    raise UsageError(f"Unknown tool {tool!r}; supported are {', '.join(reader.NAME for reader in READERS)}.")


def recognise(documents: Sequence[Document], tool: str | None = None) -> Recognised:
    """Return the one reader that recognises the files. Raises `InputError` if several do, or none."""
    chosen = None if tool is None else reader_named(tool)
    by_tool: dict[str, list[Document]] = {}
    unknown: list[SkippedObject] = []
    errors: list[InputError] = []
    for document in documents:
        try:
            if reason := reason_not_configuration(document):
                unknown.append(SkippedObject(origin=document.name, reason=reason))
                continue
            names = _tools_of(document)
            if not names and document.format == "text":
                _ = document.rendered  # raises for a template, which no reader recognises before it is rendered
        except InputError as error:
            errors.append(error)
            unknown.append(SkippedObject(origin=document.name, reason=str(error), error=True))
            continue
        if chosen is not None and chosen.NAME in names:
            names = [chosen.NAME]
        if len(names) > 1:
            titles = " and ".join(reader.TITLE for reader in READERS if reader.NAME in names)
            raise InputError(f"{document.name} matches {titles}; choose one with --from {' or --from '.join(names)}.")
        if names:
            by_tool.setdefault(names[0], []).append(document)
        else:
            unknown.append(SkippedObject(origin=document.name, reason="The file is not a supported configuration."))
    if chosen is not None:
        return _chosen(chosen, documents, by_tool, unknown)
    if len(by_tool) > 1:
        files = "; ".join(f"{tool_documents[0].name} is {_title(name)}" for name, tool_documents in by_tool.items())
        raise InputError(f"The files belong to several tools ({files}); choose one with --from {' or '.join(by_tool)}.")
    if not by_tool:
        if errors:
            raise errors[0]
        names_of_files = ", ".join(document.name for document in documents[:3])
        titles = ", ".join(reader.TITLE for reader in READERS)
        raise InputError(f"{names_of_files} is not a supported configuration; supported are {titles}.")
    ((name, recognised_documents),) = by_tool.items()
    return Recognised(reader=reader_named(name), documents=tuple(recognised_documents), skipped_objects=tuple(unknown))


def is_recognised(document: Document) -> bool:
    """Whether any reader recognises this file."""
    return not reason_not_configuration(document) and bool(_tools_of(document))


def _tools_of(document: Document) -> list[str]:
    """Return the names of the readers that recognise a file; an exception that none expects is an `InputError`."""
    with reading(document.name):
        return [reader.NAME for reader in READERS if reader.recognises(document)]


def _chosen(
    chosen: ToolReader,
    documents: Sequence[Document],
    by_tool: dict[str, list[Document]],
    unknown: Sequence[SkippedObject],
) -> Recognised:
    """Return the documents that the chosen reader recognises, or all of them if it recognises none."""
    if chosen.NAME not in by_tool:
        return Recognised(reader=chosen, documents=tuple(documents))
    other_tools = [
        SkippedObject(
            origin=document.name,
            reason=f"The file belongs to {_title(name)}, not to {chosen.TITLE}.",
        )
        for name, tool_documents in by_tool.items()
        if name != chosen.NAME
        for document in tool_documents
    ]
    return Recognised(reader=chosen, documents=tuple(by_tool[chosen.NAME]), skipped_objects=(*unknown, *other_tools))


def _title(name: str) -> str:
    return reader_named(name).TITLE
