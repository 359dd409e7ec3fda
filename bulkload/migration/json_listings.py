"""Reads the lists of monitors that the APIs of monitoring services return.

In: parsed JSON and a `ListingFormat`, which gives the paths of the list and its fields, their units and the mail types.
Out: a `Check` or a skipped object for each entry. `reader(FORMAT)` returns the two functions of a reader.
Pages and details of one account may be read together: the fields of a detail take precedence over those of the list.
If a list is not whole, an error says so; see `migration.pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bulkload.errors import InputError
from bulkload.migration import not_covered
from bulkload.migration.checks import Check, SkippedObject, Tls, is_other_port
from bulkload.migration.documents import Document
from bulkload.migration.pages import Page, incomplete_lists, page_of
from bulkload.migration.parsing import (
    Address,
    SourceObject,
    UnreadableValue,
    as_address,
    as_bool,
    as_labels,
    as_port,
    as_seconds,
    as_text,
    lookup,
    refuse_unresolved,
)

MINUTE = 60.0  # seconds
_T = TypeVar("_T", str, int)

MAX_LABEL_CHARS = 80  # characters of an ID, name or type in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckType:
    """The protocol and TLS mode that a service's type of check stands for."""

    type: str | None  # "imap", "pop", "smtp", "round-trip"; None: the port determines it
    tls: Tls = "unknown"


SMTP, IMAP, POP = CheckType(type="smtp"), CheckType(type="imap"), CheckType(type="pop")
TCP, TLS = CheckType(type=None), CheckType(type=None, tls="implicit")


def _unchanged(item: SourceObject) -> Iterable[SourceObject]:
    return (item,)


def _no_changes(_: SourceObject) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFormat:
    """The format of one tool. Each field lists the paths at which its value may be; the first non-empty one is used."""

    title: str
    noun: str  # what the service calls its objects: "monitor", "check", "test"
    lists: tuple[str, ...]  # paths of the list in a page; a bare array is always accepted
    details: tuple[str, ...] = ()  # paths of the object in a response about one object
    required_keys: tuple[tuple[str, ...], ...]  # an object of the service has at least one key of every group
    envelope: tuple[str, ...] = ()  # a page with all of these keys belongs to the service even if its list is empty

    id: tuple[str, ...] = ("id",)
    name: tuple[str, ...] = ("name",)
    type: tuple[str, ...] = ("type",)
    hostname: tuple[str, ...] = ("hostname",)
    port: tuple[str, ...] = ("port",)
    interval: tuple[str, ...] = ()
    interval_unit: float = 1.0  # seconds
    timeout: tuple[str, ...] = ()
    timeout_unit: float = 1.0  # seconds
    tags: tuple[str, ...] = ("tags",)
    note: tuple[str, ...] = ()
    login: tuple[str, ...] = ()  # a value at one of these paths means that the check logs in; it is never copied

    types: Mapping[str, CheckType]  # in lower case
    not_mail: Mapping[str, str] = field(default_factory=dict)  # types that are skipped for a reason of their own
    paused: Callable[[SourceObject], bool]
    tls: Callable[[SourceObject], Tls] = field(default=lambda _: "unknown")
    has_variables: bool = True  # {{ name }} in a value is a variable of the tool
    port_hint: str = ""  # how to get the ports if the list has none: a clause for a message
    adapt: Callable[[SourceObject], Iterable[SourceObject]] = (
        _unchanged  # normalises an object; several results become a row each
    )
    skip_reason: Callable[[SourceObject], str] = field(default=lambda _: "")  # empty: the check becomes a row
    changes: Callable[[SourceObject], Iterable[str]] = _no_changes  # sentences: what is not imported
    extra: Callable[[SourceObject], Mapping[str, str]] = field(default=lambda _: {})  # cells of additional columns


@dataclass(slots=True, kw_only=True)
class _ListedObject:
    """One object of the source. Merging a detail replaces `item`."""

    origin: str
    item: object
    is_detail: bool = False
    merged_into: str = ""  # origin of the entry that holds the merged fields


def reader(
    listing_format: ListingFormat,
) -> tuple[Callable[[Document], bool], Callable[[Sequence[Document]], Iterator[Check | SkippedObject]]]:
    """Return the `recognises` and `translate` functions of a service."""

    def recognises(document: Document) -> bool:
        return document.format == "json" and is_listing(listing_format, document.json())

    def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
        return translate_items(
            listing_format, ((document, _parsed(listing_format, document)) for document in documents)
        )

    return recognises, translate


def is_listing(listing_format: ListingFormat, content: object) -> bool:
    """Whether the parsed content contains an object, or is an empty page, of this service."""
    pages = content if isinstance(content, list) else [content]
    if listing_format.envelope and any(all(_has(page, key) for key in listing_format.envelope) for page in pages):
        return True
    return any(is_object(listing_format, item) for item, _ in _objects(listing_format, content))


def is_object(listing_format: ListingFormat, item: object) -> bool:
    """Whether the item has the keys that an object of this service requires."""
    return all(any(_has(item, key) for key in group) for group in listing_format.required_keys)


def translate_items(
    listing_format: ListingFormat, contents: Iterable[tuple[Document, object]]
) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every entry of the parsed contents, and for what they lack."""
    contents = list(contents)
    for entry in _merge_duplicates(listing_format, _listed_objects(listing_format, contents)):
        if entry.merged_into:
            yield SkippedObject(
                origin=entry.origin, reason=f"The same {listing_format.noun} is imported from {entry.merged_into}."
            )
        elif not isinstance(entry.item, Mapping):
            yield SkippedObject(origin=entry.origin, reason="The entry is not an object with fields.", error=True)
        else:
            yield from _translate_item(listing_format, entry.origin, entry.item)
    pages = [page for document, content in contents for page in _pages(listing_format, document, content)]
    details = frozenset(
        identity
        for _, content in contents
        for item, is_detail in _objects(listing_format, content)
        if is_detail and (identity := _identity(listing_format, item)) is not None
    )
    yield from incomplete_lists(pages, listing_format.noun, details)


def _pages(listing_format: ListingFormat, document: Document, content: object) -> Iterator[Page]:
    """Yield the pages of a document: the document itself, or those of a list of pages."""
    if isinstance(content, list):
        for entry in content:
            if _is_page(listing_format, entry):
                yield from _pages(listing_format, document, entry)
        return
    objects = [item for item, is_detail in _objects(listing_format, content) if not is_detail]
    if objects or any(isinstance(lookup(content, path), list) for path in listing_format.lists):
        yield page_of(document.name, content, [_identity(listing_format, item) or object() for item in objects])


def _parsed(listing_format: ListingFormat, document: Document) -> object:
    if document.format != "json":
        raise InputError(f"{document.name} is not JSON; a response of {listing_format.title} is JSON.")
    return document.json()


def _has(page: object, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(page, Mapping) or part not in page:
            return False
        page = page[part]
    return True


def _objects(listing_format: ListingFormat, content: object) -> Iterator[tuple[object, bool]]:
    """Yield the objects of a page or of a list of pages, each with whether it is a detail."""
    if isinstance(content, list):
        for entry in content:
            if _is_page(listing_format, entry):
                yield from _objects(listing_format, entry)
            else:
                yield entry, False
        return
    for path in listing_format.lists:
        entries = lookup(content, path)
        if isinstance(entries, Mapping) and not is_object(listing_format, entries):
            entries = list(entries.values())  # keyed by ID
        if isinstance(entries, list):
            yield from ((entry, False) for entry in entries)
            return
    for path in listing_format.details:
        entry = lookup(content, path)
        if isinstance(entry, Mapping):
            yield entry, True
            return
    if is_object(listing_format, content):
        yield content, True  # a detail without an envelope


def _is_page(listing_format: ListingFormat, entry: object) -> bool:
    return not is_object(listing_format, entry) and (
        any(isinstance(lookup(entry, path), list) for path in listing_format.lists)
        or any(isinstance(lookup(entry, path), Mapping) for path in listing_format.details)
    )


def _listed_objects(
    listing_format: ListingFormat, contents: Iterable[tuple[Document, object]]
) -> Iterator[_ListedObject]:
    for document, content in contents:
        if not (isinstance(content, list) or _is_page(listing_format, content) or is_listing(listing_format, content)):
            raise InputError(
                f"{document.name} contains no list of {listing_format.title} {listing_format.noun}s"
                f" ({' or '.join(repr(path) for path in listing_format.lists)})."
            )
        for number, (item, is_detail) in enumerate(_objects(listing_format, content), start=1):
            origin = f"{document.name}: {_label(listing_format, item, number)}"
            yield _ListedObject(origin=origin, item=item, is_detail=is_detail)


def _label(listing_format: ListingFormat, item: object, number: int) -> str:
    """A description by which the user can find the object in its file."""
    parts = [listing_format.noun]
    try:
        identity = as_text(lookup(item, *listing_format.id), "id")
    except UnreadableValue:
        identity = ""
    parts.append(identity[:MAX_LABEL_CHARS] or f"number {number}")
    try:
        name = as_text(lookup(item, *listing_format.name), "name")
    except UnreadableValue:
        name = ""
    if name:
        parts.append(f"({name[:MAX_LABEL_CHARS]})")
    return " ".join(parts)


def _merge_duplicates(listing_format: ListingFormat, entries: Iterable[_ListedObject]) -> Iterator[_ListedObject]:
    """Merge entries that describe the same object. All entries are returned, in their order."""
    result: list[_ListedObject] = []
    by_identity: dict[tuple[str, ...], _ListedObject] = {}
    for entry in entries:
        result.append(entry)
        identity = _identity(listing_format, entry.item)
        if identity is None:
            continue
        first = by_identity.setdefault(identity, entry)
        if first is entry or not isinstance(first.item, Mapping) or not isinstance(entry.item, Mapping):
            continue
        if entry.is_detail and not first.is_detail:
            entry.item = {**first.item, **_non_null(entry.item)}
            first.merged_into = entry.origin
            by_identity[identity] = entry
        else:
            first.item = {**entry.item, **_non_null(first.item)}
            entry.merged_into = first.origin
    return iter(result)


def _non_null(item: SourceObject) -> SourceObject:
    return {key: value for key, value in item.items() if value is not None}


def _identity(listing_format: ListingFormat, item: object) -> tuple[str, ...] | None:
    """The key of an object: ID, name and host. Two servers may both number from 1, so the ID is not enough."""
    try:
        identity = tuple(
            as_text(lookup(item, *paths), "")
            for paths in (listing_format.id, listing_format.name, listing_format.hostname)
        )
    except UnreadableValue:
        return None
    return identity if identity[0] else None


def _translate_item(listing_format: ListingFormat, origin: str, item: SourceObject) -> Iterator[Check | SkippedObject]:
    try:
        variants = list(listing_format.adapt(item)) or [item]
    except UnreadableValue as error:
        yield SkippedObject(origin=origin, reason=str(error), error=True)
        return
    for variant in variants:
        try:
            yield _outcome(listing_format, origin, variant, several=len(variants) > 1)
        except UnreadableValue as error:
            yield _problem(listing_format, origin, variant, error)


def _problem(listing_format: ListingFormat, origin: str, item: SourceObject, error: UnreadableValue) -> SkippedObject:
    """Return the error of an object, unless its type or port tells that it is no mail check anyway."""
    try:
        type_name = as_text(lookup(item, *listing_format.type), "type").lower()
        if type_name and type_name not in listing_format.types:
            return _other_type(listing_format, origin, type_name)
        check_type = listing_format.types.get(type_name)
        port = as_port(lookup(item, *listing_format.port))
    except UnreadableValue:
        port, check_type = None, None
    if check_type is not None and check_type.type is None and is_other_port(port):
        return SkippedObject(origin=origin, reason=f"Port {port} is not a port of IMAP, POP3 or SMTP.")
    return SkippedObject(origin=origin, reason=str(error), error=True)


def _other_type(listing_format: ListingFormat, origin: str, type_name: str) -> SkippedObject:
    reason = listing_format.not_mail.get(type_name)
    shown = type_name[:MAX_LABEL_CHARS]
    return SkippedObject(
        origin=origin, reason=reason or f"The {listing_format.noun} has the type {shown!r}, which is not a mail type."
    )


def _outcome(listing_format: ListingFormat, origin: str, item: SourceObject, *, several: bool) -> Check | SkippedObject:
    type_name = as_text(lookup(item, *listing_format.type), "type").lower()
    if not type_name:
        raise UnreadableValue(f"The {listing_format.noun} has no type.")
    check_type = listing_format.types.get(type_name)
    if check_type is None:
        return _other_type(listing_format, origin, type_name)
    reason = listing_format.skip_reason(item)
    if reason:
        return SkippedObject(origin=origin, reason=reason)
    return _check(listing_format, origin, item, check_type, several=several)


def _check(
    listing_format: ListingFormat, origin: str, item: SourceObject, check_type: CheckType, *, several: bool
) -> Check:
    values = {
        field_name: lookup(item, *getattr(listing_format, field_name))
        for field_name in ("name", "hostname", "port", "interval")
    }
    for field_name, value in values.items() if listing_format.has_variables else ():
        refuse_unresolved(value, {"hostname": "host name"}.get(field_name, field_name))
    address = as_address(values["hostname"]) if check_type.type != "round-trip" else Address(host="")
    if check_type.type != "round-trip" and not address.host:
        raise UnreadableValue(f"The {listing_format.noun} has no host name.")
    mail_type = _consistent(check_type.type, address.type, "type")
    port = _consistent(as_port(values["port"]), address.port, "port")
    changes, extra = list(listing_format.changes(item)), listing_format.extra(item)
    if port is None and mail_type is None:
        hint = f"; {listing_format.port_hint}" if listing_format.port_hint else ""
        raise UnreadableValue(f"The {listing_format.noun} has no port, so its protocol is unknown{hint}.")
    if port is None and listing_format.port_hint:
        changes.append(f"The list contains no ports; {listing_format.port_hint}.")
    if several:
        changes.append(f"The {listing_format.noun} checks several ports; each becomes a row.")
    interval = as_seconds(values["interval"], "interval", unit=listing_format.interval_unit)
    if interval is None and values["interval"] is not None:
        raise UnreadableValue("The interval is 0; it must be greater than 0.")
    name = as_text(values["name"], "name") or f"{address.host} {mail_type or 'mail'}".strip()
    return Check(
        origin=origin,
        type=mail_type,
        name=f"{name} :{port}" if several else name,
        hostname=address.host,
        port=port,
        interval_seconds=interval,
        timeout_seconds=as_seconds(lookup(item, *listing_format.timeout), "timeout", unit=listing_format.timeout_unit),
        enabled=not listing_format.paused(item),
        tls=next(
            (tls for tls in (check_type.tls, listing_format.tls(item), address.tls) if tls != "unknown"), "unknown"
        ),
        tags=as_labels(lookup(item, *listing_format.tags)),
        note=as_text(lookup(item, *listing_format.note), "note"),
        has_login=address.has_login or _has_login(listing_format, item),
        changes=tuple(changes),
        not_covered=() if extra else not_covered.of_settings(item),
        extra=extra,
    )


def _consistent(field_value: _T | None, address_value: _T | None, field_name: str) -> _T | None:
    """The value of the field, else that of the address. Raises `UnreadableValue` if they contradict each other."""
    if field_value is not None and address_value is not None and field_value != address_value:
        raise UnreadableValue(
            f"The {field_name} is {field_value}, but the address contains {address_value}; correct one of them."
        )
    return field_value if field_value is not None else address_value


def _has_login(listing_format: ListingFormat, item: SourceObject) -> bool:
    return any(lookup(item, path) not in (None, False, [], {}) for path in listing_format.login)


def is_true(*paths: str) -> Callable[[SourceObject], bool]:
    """Return a `paused` function for services that use a boolean field."""
    return lambda item: as_bool(lookup(item, *paths), paths[0])


def is_one_of(path: str, *values: str) -> Callable[[SourceObject], bool]:
    """Return a `paused` function for services that use a status text or number."""
    return lambda item: as_text(lookup(item, path), path).lower() in values
