"""Reads the files of another tool's configuration.

In: paths of files and folders. Out: documents with safely parsed content. A document reads its file on first use and
parses it once. An unusable file (too large, truncated, nested too deeply, XML with a DTD, an unrendered template)
raises an `InputError` with the reason.
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
from bulkload.migration.undecoded import decode

if TYPE_CHECKING:
    from json import JSONDecoder
    from xml.etree.ElementTree import Element

    from yaml import CSafeLoader, Event, SafeLoader

DocumentFormat = Literal["json", "xml", "sqlite", "binary", "text"]

HEAD_BYTES = 256 * 1024  # read to recognise a file; a stock nagios.cfg starts with 45 KiB of comments
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024  # of one input; SQLite files are not read whole and do not count
MAX_FILES = 10_000  # of one input
MAX_REFERENCE_PARTS = 64  # of a path to another file
MAX_DEPTH = 64  # levels of nesting in JSON, YAML and XML
MAX_NODES = 2_000_000  # of one YAML file, with all aliases expanded
YAML_LOOKAHEAD = 2048  # characters; a YAML scanner reads up to 1024 to find the end of a key before it reports it

_JSON_START = re.compile(r'\s*(?:\{\s*(?:["}]|$)|\[\s*(?:[\[{"\]\d-]|true\b|false\b|null\b|$))')
_HTTP_HEADER = re.compile(r"HTTP/[0-9.]+ [0-9]{3}\b")
_NOT_SPACE = re.compile(r"[^ \t\r\n]")
_LONG_NUMBER = re.compile(r"[-+]?[0-9][0-9a-fA-FxobXOB_:]{1000,}")  # Python cannot show it as a decimal
_FLOW_START = re.compile(r"(?:[ \t\r]*(?:(?:#|---).*)?\n)*[ \t]*[{\[](?![{%])")
_XML_START = re.compile(r"\s*<[?!A-Za-z]")
_TEMPLATE = re.compile(
    r"\{%-?\s*(?:if|for|set|include|extends|block|macro|import|from|raw|with|else|elif|end\w+)\b|<%[=#\s-]"
)
_SKIPPED_FOLDERS = frozenset({"__pycache__", "__MACOSX", "CVS"})  # and all names that start with a dot


@dataclass(frozen=True)  # no slots: cached_property stores values in the instance
class Document:
    """One file of a configuration."""

    path: Path
    name: str  # for messages: the path relative to the input folder, or the file name
    encoding: str | None = None  # the codec of text that is not UTF-8; None: not known

    @cached_property
    def head(self) -> str:
        """The start of the file as text, which is all that recognition uses."""
        try:
            with self.path.open("rb") as file:
                start = file.read(HEAD_BYTES)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if len(start) == HEAD_BYTES:  # the head may end inside a character
            start = start[: start.rfind(b"\n") + 1] or start
        return decode(start, self.encoding)

    @cached_property
    def format(self) -> DocumentFormat:
        """The format of the file, judged by its first characters."""
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
        """The whole file. Raises `InputError` if it is larger than `MAX_FILE_BYTES`."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if len(data) > MAX_FILE_BYTES:
            raise InputError(
                f"{self.name} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB, "
                "the maximum for one configuration file."
            )
        return data

    @cached_property
    def text(self) -> str:
        """The whole file as text, with normalised line ends."""
        return decode(self.data, self.encoding).replace("\r\n", "\n").replace("\r", "\n")

    @cached_property
    def rendered(self) -> str:
        """The whole file as text. Raises `InputError` for a template, and for a response saved with its header."""
        text = self.text
        if _HTTP_HEADER.match(text):
            raise InputError(
                f"{self.name} begins with the header of an HTTP response; save the response without it (curl without"
                " -i), and all pages if the header has a link to a next one."
            )
        match = _TEMPLATE.search(text)
        if match:
            language = "an ERB or EPP" if match.group().startswith("<%") else "a Jinja"
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(
                f"{self.name} line {line} contains {language} template tag ({match.group().strip()!r}); "
                "use the rendered file, or for Nagios and its forks the objects.cache of the running server."
            )
        return text

    def json(self, decoder: JSONDecoder | None = None) -> object:
        """Return the content parsed as JSON; a list if several objects or lists follow each other, as in JSON lines.

        Another decoder than Python's own sees the whole text; its `InputError` passes through.
        """
        return self._json if decoder is None else self._parsed_json(decoder)

    def yaml(self, loader: type[SafeLoader] | type[CSafeLoader] | None = None) -> object:
        """Return the content parsed as plain YAML; a list if the file contains several YAML documents.

        Another loader is a subclass of `yaml_loader()`; its `InputError` passes through.
        """
        return self._yaml if loader is None else self._parsed_yaml(loader)

    def json_or_yaml(self) -> object:
        """Return the content of a configuration that its tool reads as YAML, of which JSON is a part."""
        return self.json() if self.format == "json" else self.yaml()

    @cached_property
    def is_flow_yaml(self) -> bool:
        """Whether the text is YAML in braces that is not JSON, for example because its keys have no quotes."""
        if self.format != "text" or not _FLOW_START.match(self.head):
            return False
        try:
            return isinstance(self.yaml(), dict | list)
        except InputError:
            return False

    def xml(self) -> Element:
        """Return the root element of the XML. Raises `InputError` for a DTD or an entity."""
        return self._xml

    @cached_property
    def _json(self) -> object:
        import json

        return self._parsed_json(json.JSONDecoder())

    def _parsed_json(self, decoder: JSONDecoder) -> object:
        import json

        try:
            value = _parse_json(self.text, decoder)
        except json.JSONDecodeError as error:
            is_truncated = not self.text[error.pos :].strip() or error.msg.startswith("Unterminated string")
            problem = (
                "ends in the middle of its JSON (truncated file?)"
                if is_truncated
                else f"is not valid JSON: {error.msg}"
            )
            raise InputError(f"{self.name} line {error.lineno} {problem}.") from error
        except RecursionError as error:
            raise self._too_deep() from error
        except ValueError as error:  # a number of thousands of digits
            raise self._too_long() from error
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
        return self._parsed_yaml(yaml_loader())

    def _parsed_yaml(self, loader: type[SafeLoader] | type[CSafeLoader]) -> object:
        import yaml

        try:
            self._check_yaml(self._yaml_events(loader))
            values = list(yaml.load_all(self.text, Loader=loader))
        except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
            _ = self.rendered  # if the file is a template, this raises the more helpful error
            mark = getattr(error, "problem_mark", None)
            where = f" line {mark.line + 1}" if mark is not None else ""
            problem = getattr(error, "problem", None) or "it cannot be parsed"
            raise InputError(f"{self.name}{where} is not valid YAML: {problem}.") from error
        return values[0] if len(values) == 1 else values

    def _yaml_events(self, loader: type[SafeLoader] | type[CSafeLoader]) -> Iterator[Event]:
        """Yield the events of the text up to the first error, then raise it.

        Some versions of the C library reject deep nesting while they read ahead, before they report its events.
        The Python parser, which has no limit, then parses the next characters, so that `_check_yaml` sees the nesting.
        """
        import yaml

        parsed_chars = 0
        try:
            for event in yaml.parse(self.text, Loader=loader):
                if event.end_mark is not None:
                    parsed_chars = event.end_mark.index
                yield event
        except yaml.YAMLError:
            following = self.text[parsed_chars : parsed_chars + YAML_LOOKAHEAD].lstrip(" ,:")
            with contextlib.suppress(yaml.YAMLError):
                yield from yaml.parse(following, Loader=yaml.SafeLoader)
            raise

    def _check_yaml(self, events: Iterator[object]) -> None:
        """Raise `InputError` for nesting deeper than `MAX_DEPTH` and aliases that expand to more than `MAX_NODES`."""
        import yaml

        sizes: dict[str, int] = {}  # anchor → number of its nodes
        open_nodes: list[tuple[str | None, int]] = []  # anchor, number of nodes before it
        node_count = 0
        for event in events:
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, node_count))
                node_count += 1
                if len(open_nodes) > MAX_DEPTH:
                    raise self._too_deep()
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_nodes.pop()
                if anchor is not None:
                    sizes[anchor] = node_count - before
            elif isinstance(event, yaml.ScalarEvent):
                if (event.implicit[0] or event.tag) and _LONG_NUMBER.fullmatch(event.value):
                    raise self._too_long()
                node_count += 1
                if event.anchor is not None:
                    sizes[event.anchor] = 1
            elif isinstance(event, yaml.AliasEvent):
                anchor = str(event.anchor)
                if any(anchor == name for name, _ in open_nodes):
                    raise InputError(f"{self.name} contains a YAML alias that refers to itself (*{anchor}).")
                node_count += sizes.get(anchor, 1)
            if node_count > MAX_NODES:
                raise InputError(f"{self.name} expands to more than {MAX_NODES:,} values, the maximum for one file.")

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
                f"{self.name} contains an XML document type or entity, which is not allowed; use the tool's own export."
            ) from error
        except ParseError as error:
            line = error.position[0]
            is_truncated = "no element" in str(error)
            problem = "ends in the middle of its XML (truncated file?)" if is_truncated else "is not valid XML"
            raise InputError(f"{self.name} line {line} {problem}.") from error
        except (ValueError, LookupError) as error:  # an encoding that expat does not support
            raise InputError(f"{self.name} is XML in an encoding that is not supported.") from error
        if root is None:
            raise InputError(f"{self.name} contains no XML element.")
        return root

    def _too_long(self) -> InputError:
        return InputError(f"{self.name} contains a number that is too long.")

    def _too_deep(self) -> InputError:
        return InputError(f"{self.name} is nested more than {MAX_DEPTH} levels deep, which is not supported.")


def yaml_loader() -> type[SafeLoader] | type[CSafeLoader]:
    """The safe loader of the C library, or Python's own where that is missing."""
    import yaml

    loader: type[SafeLoader] | type[CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return loader


def _parse_json(text: str, decoder: JSONDecoder) -> object:
    """Parse one JSON value, or several objects and lists as one list. Raises `ValueError`."""
    import json

    with contextlib.suppress(json.JSONDecodeError):
        return decoder.decode(text)
    values: list[object] = []
    end = 0
    while (begin := _NOT_SPACE.search(text, end)) is not None:
        value, end = decoder.raw_decode(text, begin.start())
        if isinstance(value, list):
            values += value
        elif isinstance(value, dict):
            values.append(value)
        else:
            raise json.JSONDecodeError("Extra data", text, begin.start())
    return values


def read_documents(paths: Sequence[Path], encoding: str | None = None) -> list[Document]:
    """Return all files of the paths and of the folders among them, each once, in a stable order."""
    documents: dict[Path, Document] = {}
    total = 0
    for path in paths:
        try:
            exists = path.exists()
        except OSError as error:  # a name that is too long, a folder that cannot be entered
            raise _unreadable(path, error) from error
        if not exists:
            raise InputError(f"{path} does not exist.")
        files = _files(path)
        for file in files:
            if not file.is_file():
                raise InputError(f"{file} is not a regular file.")
            resolved = file.resolve()
            if resolved in documents:
                continue
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            document = Document(path=file, name=name, encoding=encoding)
            documents[resolved] = document
            if len(documents) > MAX_FILES:
                raise InputError(f"{path} contains more than {MAX_FILES:,} files, the maximum for one input.")
            if document.format != "sqlite":
                total += file.stat().st_size
            if total > MAX_TOTAL_BYTES and len(documents) > 1:
                raise InputError(
                    f"The files together are larger than {MAX_TOTAL_BYTES // 1024 // 1024} MiB, "
                    "the maximum for one input; split them into several inputs."
                )
        if not files:
            raise InputError(f"The folder {path} contains no files.")
    return list(documents.values())


def referenced_documents(document: Document, reference: str, documents: Sequence[Document]) -> list[Document] | None:
    """Return the files that a configuration refers to by path, folder or pattern, or None if they are not found.

    Files among `documents` take precedence. Apart from them, only files below the configuration's own folder are
    opened: an uploaded configuration must not read other files of this machine. An absolute path of the original server
    (/usr/local/nagios/etc/objects/mail.cfg) is also matched by its last parts.
    """
    target = PurePosixPath(reference.replace("\\", "/"))
    if len(target.parts) > MAX_REFERENCE_PARTS or target.parts.count("**") > 1:  # each ** walks all folders again
        return None
    endings = [target.parts[start:] for start in range(1 if target.is_absolute() else 0, len(target.parts))]
    for ending in endings:
        if not ending or ".." in ending:
            continue
        pattern = "/".join(ending)
        matching = [candidate for candidate in documents if _matches(candidate, pattern)]
        if matching:
            return matching
        paths = _paths_below(document.path.parent, pattern)
        if paths:
            return read_documents([file for path in paths for file in _files(path)], document.encoding)
    return None


def _paths_below(folder: Path, pattern: str) -> list[Path]:
    """Return the existing paths of a name or pattern, without those that lead out of the folder."""
    try:
        if any(char in pattern for char in "*?["):
            paths = sorted(folder.glob(pattern))
        else:
            paths = [path for path in (folder / pattern,) if path.exists()]
        return [path for path in paths if path.resolve().is_relative_to(folder.resolve())]
    except (OSError, ValueError, NotImplementedError):  # too long, or with characters that no path has
        return []


def _matches(document: Document, pattern: str) -> bool:
    path = document.path.as_posix()
    return (
        fnmatch.fnmatchcase(path, f"*/{pattern}")
        or fnmatch.fnmatchcase(path, pattern)
        or f"/{pattern}/" in f"/{path.lstrip('/')}"  # the pattern is a folder
    )


def _files(path: Path) -> list[Path]:
    return _files_below(path) if path.is_dir() else [path]


def _files_below(folder: Path) -> list[Path]:
    paths = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_ignored(name))
        paths += [Path(parent, name) for name in sorted(files) if not _is_ignored(name)]
        if len(paths) > MAX_FILES:
            raise InputError(f"{folder} contains more than {MAX_FILES:,} files, the maximum for one input.")
    return [path for path in paths if path.is_file()]  # without sockets, pipes and broken links


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED_FOLDERS


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read: {error.strerror or error}.")
