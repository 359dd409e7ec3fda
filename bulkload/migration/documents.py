"""The files of another tool's configuration: paths go in, documents with safely parsed content come out.

A document reads its file when it is asked and parses once. Whatever is wrong with the file (too big, cut off,
nested without end, XML with a DTD, a template nobody has rendered) is an `InputError` that says so.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from bulkload.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from yaml import CSafeLoader, Event, SafeLoader

DocumentFormat = Literal["json", "xml", "sqlite", "binary", "text"]

HEAD_BYTES = 256 * 1024  # what recognition may look at; a stock nagios.cfg is 45 KiB of comments
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024  # of one input; SQLite files are not read whole and do not count
MAX_FILES = 10_000  # of one input
MAX_DEPTH = 64  # levels of nesting in JSON, YAML and XML
MAX_NODES = 2_000_000  # of one YAML file, every alias counted as what it stands for
YAML_AHEAD = 2048  # characters; to find the end of a key, a YAML scanner reads up to 1024 before it tells of its begin

_JSON_START = re.compile(r'\s*(?:\{\s*(?:["}]|$)|\[\s*(?:[\[{"\]\d-]|true\b|false\b|null\b|$))')
_XML_START = re.compile(r"\s*<[?!A-Za-z]")
_TEMPLATE = re.compile(
    r"\{%-?\s*(?:if|for|set|include|extends|block|macro|import|from|raw|with|else|elif|end\w+)\b|<%[=#\s-]"
)
_SKIPPED_FOLDERS = frozenset({"__pycache__", "__MACOSX", "CVS"})  # and everything that starts with a dot


@dataclass(frozen=True)  # without slots: cached_property keeps what was read in the instance
class Document:
    """One file of a configuration."""

    path: Path
    name: str  # for people: the path below the folder that was given, else the file name

    @cached_property
    def head(self) -> str:
        """The first part of the file as text; recognition looks at no more."""
        try:
            with self.path.open("rb") as file:
                start = file.read(HEAD_BYTES)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return _decode(start)

    @cached_property
    def format(self) -> DocumentFormat:
        """What the file is, by its first characters."""
        start = self.head
        if start.startswith("SQLite format 3\0"):
            return "sqlite"
        if "\0" in start:
            return "binary"
        if _JSON_START.match(start):
            return "json"
        if _XML_START.match(start):
            return "xml"
        return "text"

    @cached_property
    def data(self) -> bytes:
        """The whole file, refused when it is larger than any configuration."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if len(data) > MAX_FILE_BYTES:
            raise InputError(
                f"{self.name} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB, "
                "the most that is read of one configuration file."
            )
        return data

    @cached_property
    def text(self) -> str:
        """The whole file as text, with plain line ends."""
        return _decode(self.data).replace("\r\n", "\n").replace("\r", "\n")

    @cached_property
    def rendered(self) -> str:
        """The text of a configuration; a template that still has to be rendered is refused."""
        text = self.text
        found = _TEMPLATE.search(text)
        if found:
            language = "an ERB or EPP" if found.group().startswith("<%") else "a Jinja"
            line = text.count("\n", 0, found.start()) + 1
            raise InputError(
                f"{self.name} line {line} is {language} template ({found.group().strip()!r}): "
                "give the rendered file, or for the Nagios family the objects.cache of the running server."
            )
        return text

    def json(self) -> object:
        """The content parsed as JSON."""
        return self._json

    def yaml(self) -> object:
        """The content parsed as plain YAML; of several YAML documents in one file, a list."""
        return self._yaml

    def xml(self) -> Element:
        """The root of the content parsed as XML; a DTD or an entity is refused."""
        return self._xml

    @cached_property
    def _json(self) -> object:
        import json

        try:
            value = json.loads(self.text)
        except json.JSONDecodeError as error:
            ends = not self.text[error.pos :].strip() or error.msg.startswith("Unterminated string")
            what = "ends in the middle of its JSON (cut off?)" if ends else f"is not valid JSON: {error.msg}"
            raise InputError(f"{self.name} line {error.lineno} {what}.") from error
        except RecursionError as error:
            raise self._too_deep() from error
        except ValueError as error:  # a number of thousands of digits
            raise InputError(f"{self.name} is not usable JSON: a number in it is too long.") from error
        self._check_depth(value)
        return value

    def _check_depth(self, value: object) -> None:
        level: list[object] = [value]
        for _ in range(MAX_DEPTH):
            deeper: list[object] = []
            for item in level:
                if isinstance(item, dict):
                    deeper.extend(item.values())
                elif isinstance(item, list):
                    deeper.extend(item)
            if not deeper:
                return
            level = deeper
        raise self._too_deep()

    @cached_property
    def _yaml(self) -> object:
        import yaml

        loader: type[SafeLoader] | type[CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self._check_yaml(self._yaml_events(loader))
            values = list(yaml.load_all(self.text, Loader=loader))
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            _ = self.rendered  # a template is the likelier reason, and says what to do
            mark = getattr(error, "problem_mark", None)
            where = f" line {mark.line + 1}" if mark is not None else ""
            what = getattr(error, "problem", None) or "it cannot be parsed"
            raise InputError(f"{self.name}{where} is not valid YAML: {what}.") from error
        return values[0] if len(values) == 1 else values

    def _yaml_events(self, loader: type[SafeLoader] | type[CSafeLoader]) -> Iterator[Event]:
        """Everything that the text holds, up to where it is wrong, and then the error.

        Some C libraries refuse deep nesting themselves, and do so while they read ahead, before they tell of it. So
        what comes next is told by the parser written in Python, which has no limit.
        """
        import yaml

        told = 0  # characters
        try:
            for event in yaml.parse(self.text, Loader=loader):
                if event.end_mark is not None:
                    told = event.end_mark.index
                yield event
        except yaml.YAMLError:
            ahead = self.text[told : told + YAML_AHEAD].lstrip(" ,:")
            with contextlib.suppress(yaml.YAMLError):
                yield from yaml.parse(ahead, Loader=yaml.SafeLoader)
            raise

    def _check_yaml(self, events: Iterator[object]) -> None:
        """Refuse nesting without end and aliases that unfold into more than memory holds."""
        import yaml

        sizes: dict[str, int] = {}  # anchor → how many nodes it stands for
        open_nodes: list[tuple[str | None, int]] = []  # anchor, nodes seen before it
        seen = 0
        for event in events:
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, seen))
                seen += 1
                if len(open_nodes) > MAX_DEPTH:
                    raise self._too_deep()
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_nodes.pop()
                if anchor is not None:
                    sizes[anchor] = seen - before
            elif isinstance(event, yaml.ScalarEvent):
                seen += 1
                if event.anchor is not None:
                    sizes[event.anchor] = 1
            elif isinstance(event, yaml.AliasEvent):
                anchor = str(event.anchor)
                if any(anchor == name for name, _ in open_nodes):
                    raise InputError(f"{self.name} holds a YAML alias that contains itself (*{anchor}).")
                seen += sizes.get(anchor, 1)
            if seen > MAX_NODES:
                raise InputError(f"{self.name} unfolds into more than {MAX_NODES:,} values, the most that is read.")

    @cached_property
    def _xml(self) -> Element:
        from xml.etree.ElementTree import ParseError

        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import iterparse

        root: Element | None = None
        depth = 0
        try:
            for event, element in iterparse(BytesIO(self.data), events=("start", "end"), forbid_dtd=True):
                depth += 1 if event == "start" else -1
                if depth > MAX_DEPTH:
                    raise self._too_deep()
                if root is None:
                    root = element
        except DefusedXmlException as error:
            raise InputError(
                f"{self.name} holds an XML document type or entity, which exports do not have; it is refused."
            ) from error
        except ParseError as error:
            line = error.position[0]
            what = "ends in the middle of its XML (cut off?)" if "no element" in str(error) else "is not valid XML"
            raise InputError(f"{self.name} line {line} {what}.") from error
        except (ValueError, LookupError) as error:  # an encoding that expat does not know
            raise InputError(f"{self.name} is XML in an encoding that is not supported.") from error
        if root is None:
            raise InputError(f"{self.name} holds no XML element.")
        return root

    def _too_deep(self) -> InputError:
        return InputError(f"{self.name} is nested more than {MAX_DEPTH} levels deep, which no export is.")


def read_documents(paths: Sequence[Path]) -> list[Document]:
    """Every file of the paths, folders searched through, each file once, in a stable order."""
    documents: dict[Path, Document] = {}
    total = 0
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist.")
        found = _files(path)
        for file in found:
            if not file.is_file():
                raise InputError(f"{file} is not a regular file.")
            real = file.resolve()
            if real in documents:
                continue
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            document = Document(path=file, name=name)
            documents[real] = document
            if len(documents) > MAX_FILES:
                raise InputError(f"{path} holds more than {MAX_FILES:,} files, the most that are read at once.")
            if document.format != "sqlite":
                total += file.stat().st_size
            if total > MAX_TOTAL_BYTES and len(documents) > 1:
                raise InputError(
                    f"The files together are larger than {MAX_TOTAL_BYTES // 1024 // 1024} MiB, "
                    "the most that is read at once; give fewer of them."
                )
        if not found:
            raise InputError(f"The folder {path} holds no file.")
    return list(documents.values())


def referenced_documents(document: Document, reference: str, documents: Sequence[Document]) -> list[Document] | None:
    """The files that a configuration refers to by path, folder or pattern; None when they are not at hand.

    A file among `documents` wins. Beyond them only files below the configuration's own folder are opened: an
    uploaded configuration must not reach into the machine that reads it. A path of the server it came from
    (/usr/local/nagios/etc/objects/mail.cfg) is looked for by its ending.
    """
    wanted = PurePosixPath(reference.replace("\\", "/"))
    endings = [wanted.parts[start:] for start in range(1 if wanted.is_absolute() else 0, len(wanted.parts))]
    for ending in endings:
        if not ending or ".." in ending:
            continue
        pattern = "/".join(ending)
        given = [other for other in documents if _matches(other, pattern)]
        if given:
            return given
        below = document.path.parent / pattern
        if any(sign in pattern for sign in "*?["):
            found = sorted(document.path.parent.glob(pattern))
        else:
            found = [below] if below.exists() else []
        root = document.path.parent.resolve()
        found = [path for path in found if path.resolve().is_relative_to(root)]
        if found:
            return read_documents([file for path in found for file in _files(path)])
    return None


def _matches(document: Document, pattern: str) -> bool:
    path = document.path.as_posix()
    return (
        fnmatch.fnmatchcase(path, f"*/{pattern}")
        or fnmatch.fnmatchcase(path, pattern)
        or f"/{pattern}/" in f"/{path.lstrip('/')}"  # a folder that is named
    )


def _files(path: Path) -> list[Path]:
    return _files_below(path) if path.is_dir() else [path]


def _files_below(folder: Path) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _hidden(name))
        found += [Path(parent, name) for name in sorted(files) if not _hidden(name)]
        if len(found) > MAX_FILES:
            raise InputError(f"{folder} holds more than {MAX_FILES:,} files, the most that are read at once.")
    return [path for path in found if path.is_file()]  # leaves out sockets, pipes and broken links


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED_FOLDERS


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) == HEAD_BYTES and error.start > HEAD_BYTES - 4:  # a character cut in two by the head
            return data[: error.start].decode("utf-8-sig")
        return data.decode("cp1252", errors="replace")


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read: {error.strerror or error}.")
