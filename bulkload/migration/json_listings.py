"""Lists of monitors as the APIs of services return them.

A tool is a `ListingFormat`: where the list is, what its fields are called, in which units they count, which types are
mail. `reader(FORMAT)` makes the two functions of a reader from it. Pages and details of one account may be
given together: what a detail says about a monitor is laid over what the list says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject, Tls
from bulkload.migration.documents import Document
from bulkload.migration.parsing import (
    Address,
    Item,
    UnreadableValue,
    as_address,
    as_bool,
    as_labels,
    as_port,
    as_seconds,
    as_text,
    at,
    refuse_unresolved,
)

MINUTE = 60.0  # seconds
_T = TypeVar("_T", str, int)

MAX_LABEL = 80  # characters of a name that tell people which object is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckKind:
    """What a service's type of check is here."""

    type: str | None  # "imap", "pop", "smtp", "round-trip"; None: the port decides
    tls: Tls = "unknown"


SMTP, IMAP, POP = CheckKind(type="smtp"), CheckKind(type="imap"), CheckKind(type="pop")
TCP, TLS = CheckKind(type=None), CheckKind(type=None, tls="implicit")


def _as_it_is(item: Item) -> Iterable[Item]:
    return (item,)


def _nothing(_: Item) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFormat:
    """One tool: every field is the paths at which its value may stand, the first that is set counts."""

    title: str
    noun: str  # what the service calls its objects: "monitor", "check", "test"
    lists: tuple[str, ...]  # where the objects are in a page; a bare list always counts
    details: tuple[str, ...] = ()  # where the one object is in an answer about one object
    marks: tuple[tuple[str, ...], ...]  # an object is the service's if it has one key of every group
    envelope: tuple[str, ...] = ()  # a page with all of these keys is the service's even when its list is empty

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
    login: tuple[str, ...] = ()  # a value at one of these: the check logs in; it is looked at, never copied

    types: Mapping[str, CheckKind]  # in lower case
    not_mail: Mapping[str, str] = field(default_factory=dict)  # types with a reason of their own to be left out
    paused: Callable[[Item], bool]
    tls: Callable[[Item], Tls] = field(default=lambda _: "unknown")
    fills_in: bool = True  # {{ names }} in a value are variables of the tool
    no_port: str = ""  # how to get the port when the list does not hold it: the end of a sentence
    adapt: Callable[[Item], Iterable[Item]] = _as_it_is  # odd shapes made plain; several: one row each
    refuse: Callable[[Item], str] = field(default=lambda _: "")  # why a mail check must not become a row
    changes: Callable[[Item], Iterable[str]] = _nothing  # what cannot be carried over, as sentences
    extra: Callable[[Item], Mapping[str, str]] = field(default=lambda _: {})  # cells of further columns


@dataclass(slots=True, kw_only=True)
class _Found:
    """One object of the source; details may still be laid over it."""

    origin: str
    item: object
    is_detail: bool = False
    told_by: str = ""  # the origin of a fuller description


def reader(
    listing_format: ListingFormat,
) -> tuple[Callable[[Document], bool], Callable[[Sequence[Document]], Iterator[Check | SkippedObject]]]:
    """The `recognises` and `translate` of a service."""

    def recognises(document: Document) -> bool:
        return document.kind == "json" and belongs(listing_format, document.json())

    def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
        return translate_items(
            listing_format, ((document, _parsed(listing_format, document)) for document in documents)
        )

    return recognises, translate


def belongs(listing_format: ListingFormat, content: object) -> bool:
    """Whether the parsed content holds an object, or an empty page, of this service."""
    pages = content if isinstance(content, list) else [content]
    if listing_format.envelope and any(all(_has(page, key) for key in listing_format.envelope) for page in pages):
        return True
    return any(is_object(listing_format, item) for item, _ in _objects(listing_format, content))


def is_object(listing_format: ListingFormat, item: object) -> bool:
    """Whether the item has the keys that mark an object of this service."""
    return all(any(_has(item, key) for key in group) for group in listing_format.marks)


def translate_items(
    listing_format: ListingFormat, contents: Iterable[tuple[Document, object]]
) -> Iterator[Check | SkippedObject]:
    """Every object of the parsed contents, as check or as left out."""
    for found in _merged(listing_format, _numbered(listing_format, contents)):
        if found.told_by:
            yield SkippedObject(
                origin=found.origin, reason=f"The same {listing_format.noun} is taken from {found.told_by}."
            )
        elif not isinstance(found.item, Mapping):
            yield SkippedObject(origin=found.origin, reason="The entry is not an object with fields.", error=True)
        else:
            yield from _translated(listing_format, found.origin, found.item)


def _parsed(listing_format: ListingFormat, document: Document) -> object:
    if document.kind != "json":
        raise InputError(f"{document.name} is not JSON, which an answer of {listing_format.title} is.")
    return document.json()


def _has(page: object, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(page, Mapping) or part not in page:
            return False
        page = page[part]
    return True


def _objects(listing_format: ListingFormat, content: object) -> Iterator[tuple[object, bool]]:
    """The objects of one page, or of a list of pages, each with whether it is a detail."""
    if isinstance(content, list):
        for entry in content:
            if _is_page(listing_format, entry):
                yield from _objects(listing_format, entry)
            else:
                yield entry, False
        return
    for path in listing_format.lists:
        entries = at(content, path)
        if isinstance(entries, Mapping) and not is_object(listing_format, entries):
            entries = list(entries.values())  # keyed by id
        if isinstance(entries, list):
            yield from ((entry, False) for entry in entries)
            return
    for path in listing_format.details:
        entry = at(content, path)
        if isinstance(entry, Mapping):
            yield entry, True
            return
    if is_object(listing_format, content):
        yield content, True  # a detail without an envelope


def _is_page(listing_format: ListingFormat, entry: object) -> bool:
    return not is_object(listing_format, entry) and (
        any(isinstance(at(entry, path), list) for path in listing_format.lists)
        or any(isinstance(at(entry, path), Mapping) for path in listing_format.details)
    )


def _numbered(listing_format: ListingFormat, contents: Iterable[tuple[Document, object]]) -> Iterator[_Found]:
    for document, content in contents:
        if not (isinstance(content, list) or _is_page(listing_format, content) or belongs(listing_format, content)):
            raise InputError(
                f"{document.name} holds no list of {listing_format.title} {listing_format.noun}s"
                f" ({' or '.join(repr(path) for path in listing_format.lists)})."
            )
        for number, (item, is_detail) in enumerate(_objects(listing_format, content), start=1):
            origin = f"{document.name}: {_label(listing_format, item, number)}"
            yield _Found(origin=origin, item=item, is_detail=is_detail)


def _label(listing_format: ListingFormat, item: object, number: int) -> str:
    """The words by which people find an object again in its file."""
    words = [listing_format.noun]
    try:
        identity = as_text(at(item, *listing_format.id), "id")
    except UnreadableValue:
        identity = ""
    words.append(identity[:MAX_LABEL] or f"number {number}")
    try:
        name = as_text(at(item, *listing_format.name), "name")
    except UnreadableValue:
        name = ""
    if name:
        words.append(f"({name[:MAX_LABEL]})")
    return " ".join(words)


def _merged(listing_format: ListingFormat, found: Iterable[_Found]) -> Iterator[_Found]:
    """The objects in their order; of several descriptions of one object, the first is made complete."""
    kept: list[_Found] = []
    by_identity: dict[tuple[str, ...], _Found] = {}
    for one in found:
        kept.append(one)
        identity = _identity(listing_format, one.item)
        if identity is None:
            continue
        first = by_identity.setdefault(identity, one)
        if first is one or not isinstance(first.item, Mapping) or not isinstance(one.item, Mapping):
            continue
        if one.is_detail and not first.is_detail:
            one.item = {**first.item, **_set(one.item)}
            first.told_by = one.origin
            by_identity[identity] = one
        else:
            first.item = {**one.item, **_set(first.item)}
            one.told_by = first.origin
    return iter(kept)


def _set(item: Item) -> Item:
    return {key: value for key, value in item.items() if value is not None}


def _identity(listing_format: ListingFormat, item: object) -> tuple[str, ...] | None:
    """What makes two entries one object: pages overlap, and a detail repeats its list, but two servers may
    both count from 1."""
    try:
        identity = tuple(
            as_text(at(item, *paths), "") for paths in (listing_format.id, listing_format.name, listing_format.hostname)
        )
    except UnreadableValue:
        return None
    return identity if identity[0] else None


def _translated(listing_format: ListingFormat, origin: str, item: Item) -> Iterator[Check | SkippedObject]:
    try:
        variants = list(listing_format.adapt(item)) or [item]
    except UnreadableValue as error:
        yield SkippedObject(origin=origin, reason=str(error), error=True)
        return
    for variant in variants:
        try:
            yield _outcome(listing_format, origin, variant, several=len(variants) > 1)
        except UnreadableValue as error:
            yield SkippedObject(origin=origin, reason=str(error), error=True)


def _outcome(listing_format: ListingFormat, origin: str, item: Item, *, several: bool) -> Check | SkippedObject:
    type_name = as_text(at(item, *listing_format.type), "type").lower()
    if not type_name:
        raise UnreadableValue(f"The {listing_format.noun} has no type.")
    kind = listing_format.types.get(type_name)
    if kind is None:
        reason = listing_format.not_mail.get(type_name)
        shown = type_name[:MAX_LABEL]
        return SkippedObject(
            origin=origin, reason=reason or f"The {listing_format.noun} is of the type {shown!r}, which is not mail."
        )
    reason = listing_format.refuse(item)
    if reason:
        return SkippedObject(origin=origin, reason=reason)
    return _check(listing_format, origin, item, kind, several=several)


def _check(listing_format: ListingFormat, origin: str, item: Item, kind: CheckKind, *, several: bool) -> Check:
    values = {what: at(item, *getattr(listing_format, what)) for what in ("name", "hostname", "port", "interval")}
    for what, value in values.items() if listing_format.fills_in else ():
        refuse_unresolved(value, {"hostname": "host name"}.get(what, what))
    address = as_address(values["hostname"]) if kind.type != "round-trip" else Address(host="")
    if kind.type != "round-trip" and not address.host:
        raise UnreadableValue(f"The {listing_format.noun} has no host name.")
    mail_type = _agreed(kind.type, address.type, "type")
    port = _agreed(as_port(values["port"]), address.port, "port")
    changes = list(listing_format.changes(item))
    if port is None and mail_type is None:
        hint = f"; {listing_format.no_port}" if listing_format.no_port else ""
        raise UnreadableValue(f"The {listing_format.noun} has no port, so what it checks cannot be told{hint}.")
    if port is None and listing_format.no_port:
        changes.append(f"The list holds no ports; {listing_format.no_port}.")
    if several:
        changes.append(f"The {listing_format.noun} checks several ports, and each becomes a row.")
    interval = as_seconds(values["interval"], "interval", unit=listing_format.interval_unit)
    if interval is None and values["interval"] is not None:
        raise UnreadableValue("The interval is 0, but a time between two checks is needed.")
    name = as_text(values["name"], "name") or f"{address.host} {mail_type or 'mail'}".strip()
    return Check(
        origin=origin,
        type=mail_type,
        name=f"{name} :{port}" if several else name,
        hostname=address.host,
        port=port,
        interval_seconds=interval,
        timeout_seconds=as_seconds(at(item, *listing_format.timeout), "timeout", unit=listing_format.timeout_unit),
        enabled=not listing_format.paused(item),
        tls=next((tls for tls in (kind.tls, listing_format.tls(item), address.tls) if tls != "unknown"), "unknown"),
        tags=as_labels(at(item, *listing_format.tags)),
        note=as_text(at(item, *listing_format.note), "note"),
        has_login=address.has_login or _logs_in(listing_format, item),
        changes=tuple(changes),
        extra=listing_format.extra(item),
    )


def _agreed(said: _T | None, address_says: _T | None, what: str) -> _T | None:
    """What the field says, or else the address; a contradiction is nobody's guess."""
    if said is not None and address_says is not None and said != address_says:
        raise UnreadableValue(f"The {what} is {said}, but the address says {address_says}; one of them is wrong.")
    return said if said is not None else address_says


def _logs_in(listing_format: ListingFormat, item: Item) -> bool:
    return any(at(item, path) not in (None, False, [], {}) for path in listing_format.login)


def flag(*paths: str) -> Callable[[Item], bool]:
    """A `paused` for services that say it with true or false."""
    return lambda item: as_bool(at(item, *paths), paths[0])


def word(path: str, *words: str) -> Callable[[Item], bool]:
    """A `paused` for services that say it with a word or a number."""
    return lambda item: as_text(at(item, path), path).lower() in words
