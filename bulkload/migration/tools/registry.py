"""The tools whose configuration is understood, and whose it is: documents go in, one reader comes out.

A new tool is a module beside this one and a line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bulkload.errors import InputError, UsageError
from bulkload.migration.checks import Check, SkippedObject
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
    """What a reader offers; a module or an object will do."""

    @property
    def NAME(self) -> str:
        """The word for --from."""

    @property
    def TITLE(self) -> str:
        """The name for people."""

    @property
    def recognises(self) -> Recognises:
        """Say by content whether a document is this tool's."""

    @property
    def translate(self) -> Translate:
        """Turn the documents of one input into checks, and say what is left out."""


class Recognises(Protocol):
    """Say by content whether a document is this tool's."""

    def __call__(self, document: Document, /) -> bool: ...


class Translate(Protocol):
    """Turn the documents of one input into checks, and say what is left out."""

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
    """A reader, the documents it reads, and the files nobody knows."""

    reader: ToolReader
    documents: tuple[Document, ...]
    skipped_objects: tuple[SkippedObject, ...] = ()


def reader_named(tool: str) -> ToolReader:
    """The reader that --from asks for."""
    for reader in READERS:
        if tool == reader.NAME:
            return reader
    raise UsageError(f"There is no tool {tool!r}; known are {', '.join(reader.NAME for reader in READERS)}.")


def recognise(documents: Sequence[Document], tool: str | None = None) -> Recognised:
    """The one reader whose files these are; two that say yes are an error that names them."""
    chosen = None if tool is None else reader_named(tool)
    mine: dict[str, list[Document]] = {}
    unknown: list[SkippedObject] = []
    refused: list[InputError] = []
    for document in documents:
        try:
            names = [reader.NAME for reader in READERS if reader.recognises(document)]
            if not names and document.format == "text":
                _ = document.rendered  # a template is nobody's until it is rendered
        except InputError as error:
            refused.append(error)
            unknown.append(SkippedObject(origin=document.name, reason=str(error), error=True))
            continue
        if chosen is not None and chosen.NAME in names:
            names = [chosen.NAME]
        if len(names) > 1:
            titles = " and ".join(reader.TITLE for reader in READERS if reader.NAME in names)
            raise InputError(f"{document.name} reads as {titles}; choose with --from {' or --from '.join(names)}.")
        if names:
            mine.setdefault(names[0], []).append(document)
        else:
            unknown.append(
                SkippedObject(origin=document.name, reason="The file is not a configuration that is understood.")
            )
    if chosen is not None:
        return _chosen(chosen, documents, mine, unknown)
    if len(mine) > 1:
        files = "; ".join(f"{found[0].name} is {_title(name)}" for name, found in mine.items())
        raise InputError(f"The files belong to several tools ({files}); choose with --from {' or '.join(mine)}.")
    if not mine:
        if refused:
            raise refused[0]
        names_of_files = ", ".join(document.name for document in documents[:3])
        titles = ", ".join(reader.TITLE for reader in READERS)
        raise InputError(f"{names_of_files} is no configuration that is understood; supported are {titles}.")
    ((name, found),) = mine.items()
    return Recognised(reader=reader_named(name), documents=tuple(found), skipped_objects=tuple(unknown))


def is_recognised(document: Document) -> bool:
    """Whether any tool knows this file, for the door that also lets spreadsheets in."""
    return any(reader.recognises(document) for reader in READERS)


def _chosen(
    chosen: ToolReader, documents: Sequence[Document], mine: dict[str, list[Document]], unknown: Sequence[SkippedObject]
) -> Recognised:
    """Read what the chosen reader knows; if that is nothing, take the user's word and read everything."""
    if chosen.NAME not in mine:
        return Recognised(reader=chosen, documents=tuple(documents))
    others = [
        SkippedObject(
            origin=document.name,
            reason=f"The file belongs to {_title(name)}, and {chosen.TITLE} was asked for.",
        )
        for name, found in mine.items()
        if name != chosen.NAME
        for document in found
    ]
    return Recognised(reader=chosen, documents=tuple(mine[chosen.NAME]), skipped_objects=(*unknown, *others))


def _title(name: str) -> str:
    return reader_named(name).TITLE
