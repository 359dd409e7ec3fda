"""Read a list of plain objects whose keys are columns: JSON, JSON lines or YAML.

In: a path. Out: a `Source`, one row per object. Numbers count as they are written, so that a name 1.10 stays 1.10.
Other tools' configurations are recognised before; JSON lines that are a results file have their result columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkload.errors import InputError
from bulkload.migration.documents import Document, yaml_loader
from bulkload.migration.undecoded import is_undecoded, readable, why_undecoded
from bulkload.model import Issue, RawRow, Source
from bulkload.monitors.header import column_letters, field_named
from bulkload.monitors.result_columns import RESULT_COLUMNS, RESULT_PREFIX, normalise
from bulkload.readers.encoding import ISSUE_CODE as ENCODING_ISSUE
from bulkload.readers.records import columns_of_objects, header_of, records_source, values_of
from bulkload.readers.table import IsHeader, shorten

_JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
_YAML_SUFFIXES = frozenset({".yaml", ".yml"})
_ROW = "row"  # the key of the user's cells in results as JSON lines
_MAX_NAMED = 5  # keys in a message


def recognises(path: Path, head: bytes) -> bool:
    """True for JSON, and for YAML whose name says so; any other text may be a table."""
    return _may_be_list(Document(path=path, name=path.name))


def _may_be_list(document: Document) -> bool:
    suffix = document.path.suffix.lower()
    if document.format == "json":
        return suffix in _JSON_SUFFIXES or _is_json(document)
    return document.format == "text" and suffix in _YAML_SUFFIXES


def is_plain_list(document: Document) -> bool:
    """True if every key of every object is the name of a column, so that this is no export of another tool."""
    if not _may_be_list(document):
        return False
    try:
        content = document.json() if document.format == "json" else document.yaml()
    except InputError:
        return False
    objects = [content] if isinstance(content, dict) else content
    if not isinstance(objects, list) or not objects or not all(isinstance(item, dict) for item in objects):
        return False
    names = header_of(columns_of_objects(map(_flattened, objects)))
    own = {normalise(prefix + column) for prefix in ("", RESULT_PREFIX) for column in RESULT_COLUMNS}
    return all(field_named(name) or normalise(name) in own for name in names)


def _is_json(document: Document) -> bool:
    try:
        document.json()
    except InputError:
        return False
    return True


@contextmanager
def open_object_list(
    path: Path,
    *,
    sheet: str | None,
    is_header: IsHeader,
    headerless: bool = False,
    skip_hidden: bool = False,
    encoding: str | None = None,
    header_row: int | None = None,
) -> Iterator[Source]:
    """Open a list of objects as a source. Raises `InputError` for anything else."""
    if header_row is not None:
        raise InputError(f"--header-row names row {header_row} as the header, but a list of objects has no header row.")
    document = Document(path=path, name=path.name, encoding=encoding)
    try:
        is_json = document.format == "json"
        objects = _objects(_exact_json(document) if is_json else _yaml_texts(document))
    except InputError as error:
        raise InputError(str(error).removeprefix(f"{path.name}: ").removeprefix(f"{path.name} ")) from error
    columns = columns_of_objects(objects)
    if not any(field_named(name) for name in header_of(columns)):
        named = ", ".join(f'"{shorten(str(column))}"' for column in columns[:_MAX_NAMED])
        raise InputError(f"{_not_read()} The keys of its objects are {named or 'missing'}.")
    source = records_source(
        columns,
        values_of(objects, columns),
        name=path.name,
        source_format="json" if is_json else "yaml",
        mapping={},
    )
    header = tuple(map(readable, source.header))
    doubts = {i: why_undecoded("key", name) for i, name in enumerate(source.header) if is_undecoded(name)}
    rows = (_without_guesses(row, header) for row in source.rows)
    yield replace(source, path=path, header=header, header_doubts=doubts, rows=rows)


def _without_guesses(row: RawRow, header: Sequence[str]) -> RawRow:
    """Add an issue to each cell with bytes whose encoding is not known; they are shown as in Windows-1252."""
    if all(map(str.isascii, row.cells)):
        return row
    issues = tuple(
        Issue(
            code=ENCODING_ISSUE,
            message=why_undecoded(header[index], cell),
            column=header[index] or column_letters(index),
            index=index,
            value=readable(cell),
        )
        for index, cell in enumerate(row.cells)
        if is_undecoded(cell)
    )
    return row._replace(cells=tuple(map(readable, row.cells)), issues=(*row.issues, *issues)) if issues else row


def _objects(content: object) -> Sequence[Mapping[str, Any]]:
    if not isinstance(content, list):
        raise InputError(_not_read())
    for number, item in enumerate(content, 1):
        if not isinstance(item, dict):
            raise InputError(f"{_not_read()} Its entry {number} is no object.")
    return [_flattened(item) for item in content]


def _not_read() -> str:
    """A sentence about a file that is neither of the two."""
    from bulkload.migration.tools.registry import READERS

    tools = ", ".join(sorted(reader.TITLE for reader in READERS))
    return (
        "it is no list of objects with the names of columns, such as type, name and hostname, and no configuration of a"
        f" supported tool: {tools}."
    )


def _flattened(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object of results as JSON lines, as the row of a results file; any other object unchanged."""
    cells = item.get(_ROW)
    if not isinstance(cells, dict) or not {*RESULT_COLUMNS} <= item.keys():
        return item
    names = {normalise(str(name)) for name in cells}
    prefix = RESULT_PREFIX if any(normalise(column) in names for column in RESULT_COLUMNS) else ""
    results = {prefix + column: item[column] for column in RESULT_COLUMNS if column != "error_columns"}
    return {**cells, **results}


def _exact_json(document: Document) -> object:
    """The content, with decimal numbers as they are written."""
    import json

    content = document.json(json.JSONDecoder(parse_float=str, object_pairs_hook=_without_repeats))
    return content if isinstance(content, list) or document.path.suffix.lower() == ".json" else [content]


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    item = dict(pairs)
    if len(item) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f'an object has the key "{shorten(repeated)}" twice; only one of them can count.')
    return item


def _yaml_texts(document: Document) -> object:
    """The content, with every value as it is written: yes stays yes, and 1.10 stays 1.10."""
    base: Any = yaml_loader()
    kept = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")

    class Texts(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [key.value for key, _ in node.value if isinstance(key.value, str)]
            if repeated := [name for name in names if names.count(name) > 1]:
                line = node.start_mark.line + 1
                raise InputError(f'the object in line {line} has the key "{shorten(repeated[0])}" twice.')
            return super().construct_mapping(node, deep=deep)

    Texts.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in kept]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    return document.yaml(Texts)
