"""Zabbix: exported hosts and templates, as YAML, XML or JSON, become checks.

A host export names its templates and holds only its own items, so hosts and templates are read together. A check
is a simple check `net.tcp.service[…]` on one host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import Document
from bulkload.migration.durations import zabbix_seconds
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_port, as_text, lookup

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "zabbix"
TITLE = "Zabbix"

DEFAULT_DELAY = "1m"  # what an export leaves out
DEFAULT_IP = "127.0.0.1"  # likewise
MAX_KEY_CHARS = 2048
MAX_NESTING = 50  # templates linked to templates

_YAML_ROOT = re.compile(r"^[\"']?zabbix_export[\"']?\s*:", re.MULTILINE)
_KEY = re.compile(r"(net\.tcp\.service(?:\.perf)?)\[(.*)\]\s*$", re.DOTALL)
_MACRO = re.compile(r"\{\$[A-Z0-9_.]+(?::[^{}]*)?\}")
_HOST_MACRO = re.compile(r"\{(HOST\.(?:CONN|IP|DNS|HOST|NAME)|IPADDRESS|HOSTNAME)1?\}")
_ANY_MACRO = re.compile(r"\{[$#]?[A-Z][^{}]*\}")
_SERVICES = {"smtp": "smtp", "imap": "imap", "pop": "pop", "tcp": None}
_SIMPLE = ("SIMPLE", "3")
_OFF = ("DISABLED", "1")
_NO = ("NO", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    origin: str
    item: SourceObject
    macros: Mapping[str, str]  # its own and those of its templates, its own first


def recognises(document: Document) -> bool:
    """A root called zabbix_export."""
    if document.format == "json":
        return isinstance(lookup(document.json(), "zabbix_export"), Mapping)
    if document.format == "xml":
        return "<zabbix_export" in document.head
    return document.format == "text" and bool(_YAML_ROOT.search(document.head))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Every item of every host, its own and those of its templates."""
    hosts: list[tuple[str, SourceObject]] = []
    templates: dict[str, tuple[str, SourceObject]] = {}
    for document in documents:
        export = _export(document)
        hosts += [(document.name, host) for host in _items(export, "hosts")]
        for template in _items(export, "templates"):
            template_name = _name(template.get("template") or template.get("name"))
            file, first = templates.setdefault(template_name, (document.name, template))
            if first is not template:
                yield SkippedObject(
                    origin=f"{document.name}: template {template_name}",
                    reason=f"The template is in {file} as well and is taken from there.",
                )
    linked: set[str] = set()
    missing: dict[str, list[str]] = {}
    for file, item in hosts:
        name = _name(item.get("name") or item.get("host"))
        origin = f"{file}: host {name}"
        try:
            own = list(_linked(item, templates))
        except UnreadableValue as error:
            yield SkippedObject(origin=origin, reason=str(error), error=True)
            continue
        for template_name in own:
            if template_name in templates:
                linked.add(template_name)
            else:
                missing.setdefault(template_name, []).append(name)
        above = [templates[template_name][1] for template_name in own if template_name in templates]
        host = _Host(origin=origin, item=item, macros=_macros([item, *above]))
        for source in (item, *above):
            yield from _items_of(source, host)
    for template_name, users in missing.items():
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        yield SkippedObject(
            origin=f"template {template_name}",
            reason=f"The host {users[0]}{more} uses it, and it is not in these files; export it as well.",
            error=True,
        )
    for template_name, (file, template) in templates.items():
        if template_name not in linked:
            yield from _unlinked(f"{file}: template {template_name}", template, error=not hosts)


def _linked(item: SourceObject, templates: Mapping[str, tuple[str, SourceObject]]) -> Iterator[str]:
    """The templates of a host and those linked to them, each once."""
    seen: set[str] = set()
    start: tuple[str, ...] = ()
    waiting = [(_name(link.get("name")), start) for link in _items(item, "templates")]
    while waiting:
        name, path = waiting.pop(0)
        if name in path or len(path) > MAX_NESTING:
            raise UnreadableValue(f"The templates are linked in a circle ({' → '.join((*path, name))}).")
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in templates:
            waiting += [(_name(link.get("name")), (*path, name)) for link in _items(templates[name][1], "templates")]


def _items_of(source: SourceObject, host: _Host) -> Iterator[Check | SkippedObject]:
    for item in _items(source, "items"):
        origin = f"{host.origin}: {_name(item.get('name')) or _name(item.get('key'))}"
        try:
            yield _item(origin, item, host)
        except UnreadableValue as error:
            yield SkippedObject(origin=origin, reason=str(error), error=True)
    for rule in _items(source, "discovery_rules"):
        for item in _items(rule, "item_prototypes"):
            yield SkippedObject(
                origin=f"{host.origin}: {_name(item.get('name'))}",
                reason="It is a prototype for discovery, whose hosts are not in the file.",
            )


def _unlinked(origin: str, template: SourceObject, *, error: bool) -> Iterator[SkippedObject]:
    """What a template would give if a host used it; an error if there is no host at all."""
    for item in _items(template, "items"):
        place = f"{origin}: {_name(item.get('name')) or _name(item.get('key'))}"
        key = _KEY.match(_name(item.get("key")))
        if key and _name(item.get("type")) in _SIMPLE:
            reason = (
                f"No host in these files uses its template, which would test {key[2] or 'nothing'}; export the hosts."
            )
            yield SkippedObject(origin=place, reason=reason, error=error)
        else:
            yield SkippedObject(
                origin=place, reason="It is no network test, and no host in these files uses its template."
            )


def _item(origin: str, item: SourceObject, host: _Host) -> Check | SkippedObject:
    key = as_text(item.get("key"), "key")
    if len(key) > MAX_KEY_CHARS:
        raise UnreadableValue(f"Its key has {len(key):,} characters; Zabbix allows {MAX_KEY_CHARS:,}.")
    found = _KEY.match(key)
    if found is None:
        return SkippedObject(origin=origin, reason="It is no network test of a service.")
    if _name(item.get("type")) not in _SIMPLE:
        return SkippedObject(origin=origin, reason="The agent on the host runs it, not the server from outside.")
    arguments = [_filled(argument, host, item) for argument in _arguments(found[2])]
    service, address, port_text = (*arguments, "", "", "")[:3]
    if service.lower() not in _SERVICES:
        return SkippedObject(origin=origin, reason=f"The service {service} is not mail.")
    delay = _filled(as_text(item.get("delay"), "delay") or DEFAULT_DELAY, host, item)
    interval = zabbix_seconds(delay)
    if interval is None:
        raise UnreadableValue(f"The delay {delay!r} is not a time.")
    timeout = _filled(as_text(item.get("timeout"), "timeout"), host, item)
    host_name = as_text(host.item.get("name") or host.item.get("host"), "name")
    tags = [
        "=".join(part for part in (_name(tag.get("tag")), _name(tag.get("value"))) if part)
        for tag in (*_items(host.item, "tags"), *_items(item, "tags"))
    ]
    groups = [_name(group.get("name")) for group in _items(host.item, "groups")]
    return Check(
        origin=origin,
        type=_SERVICES[service.lower()],
        name=f"{host_name} {_described(item, host, arguments)}".strip(),
        hostname=address or _interface_address(host, item),
        port=as_port(port_text),
        interval_seconds=interval,
        timeout_seconds=zabbix_seconds(timeout) if timeout else None,
        enabled=_name(host.item.get("status")) not in _OFF and _name(item.get("status")) not in _OFF,
        tags=tuple(dict.fromkeys(tag for tag in (*groups, *tags) if tag)),
        note=as_text(item.get("description"), "description") or as_text(host.item.get("description"), "description"),
    )


def _described(item: SourceObject, host: _Host, arguments: Sequence[str]) -> str:
    """The item's name with $1 … $9 and macros put in, as far as they are known."""
    name = re.sub(
        r"\$([1-9])",
        lambda found: arguments[int(found[1]) - 1] if int(found[1]) <= len(arguments) else "",
        as_text(item.get("name"), "name"),
    )
    try:
        return _filled(name, host, item)
    except UnreadableValue:
        return name


def _arguments(text: str) -> list[str]:
    """The parameters of a key; quotes hold a comma."""
    arguments: list[str] = []
    rest = text
    while True:
        rest = rest.lstrip(" ")
        if rest.startswith('"'):
            found = re.match(r'"((?:[^"\\]|\\.)*)"\s*(,|$)', rest)
            if found is None:
                raise UnreadableValue("The quotes in its key do not match.")
            arguments.append(found[1].replace('\\"', '"'))
            more, rest = found[2], rest[found.end() :]
        else:
            value, more, rest = rest.partition(",")
            arguments.append(value.strip())
        if not more:
            return arguments


def _filled(text: str, host: _Host, item: SourceObject) -> str:
    """A text with macros put in; one without a value is named."""

    def user_macro(found: re.Match[str]) -> str:
        plain = found[0].partition(":")[0].rstrip("}") + "}"
        return host.macros.get(found[0], host.macros.get(plain, found[0]))

    def host_macro(found: re.Match[str]) -> str:
        name = found[1]
        if name in ("HOST.HOST", "HOSTNAME"):
            return _name(host.item.get("host"))
        if name == "HOST.NAME":
            return _name(host.item.get("name") or host.item.get("host"))
        interface = _interface(host, item)
        if name in ("HOST.IP", "IPADDRESS"):
            return _name(interface.get("ip")) or DEFAULT_IP
        if name == "HOST.DNS":
            return _name(interface.get("dns")) or found[0]
        return _address(interface) or found[0]

    text = _HOST_MACRO.sub(host_macro, _MACRO.sub(user_macro, text))
    unknown = _ANY_MACRO.search(text)
    if unknown:
        raise UnreadableValue(f"The macro {unknown[0]} has no value in these files.")
    return text


def _interface(host: _Host, item: SourceObject) -> SourceObject:
    """The interface an item names, else the host's main one."""
    interfaces = _items(host.item, "interfaces")
    wanted = _name(item.get("interface_ref"))
    for interface in interfaces:
        if wanted and _name(interface.get("interface_ref")) == wanted:
            return interface
    main = [interface for interface in interfaces if _name(interface.get("default")) not in _NO]
    for interface in (*main, *interfaces):
        return interface
    raise UnreadableValue("Its host has no interface, so there is no address to test.")


def _interface_address(host: _Host, item: SourceObject) -> str:
    address = _filled(_address(_interface(host, item)), host, item)
    if not address:
        raise UnreadableValue("The interface of its host has no address.")
    return address


def _address(interface: SourceObject) -> str:
    if _name(interface.get("useip")) in _NO:
        return _name(interface.get("dns"))
    return _name(interface.get("ip")) or DEFAULT_IP


def _macros(sources: Sequence[SourceObject]) -> dict[str, str]:
    """User macros, those of the host before those of its templates; a secret one has no value here."""
    macros: dict[str, str] = {}
    for source in sources:
        for macro in _items(source, "macros"):
            if _name(macro.get("type")) not in ("SECRET_TEXT", "VAULT", "1", "2"):
                macros.setdefault(_name(macro.get("macro")), _name(macro.get("value")))
    return macros


def _export(document: Document) -> SourceObject:
    if document.format == "xml":
        value = _plain(document.xml())
        return value if isinstance(value, Mapping) else {}
    root = document.json() if document.format == "json" else document.yaml()
    export = lookup(root, "zabbix_export")
    return export if isinstance(export, Mapping) else {}


def _plain(element: Element) -> object:
    """XML in the shape of the YAML export: a list of like children, a mapping of others, or a text."""
    children = list(element)
    if not children:
        return element.text or ""
    tags = {child.tag for child in children}
    # <hosts><host>…</host></hosts> is a list, even of one
    if tags == {element.tag[:-1]} and element.tag.endswith("s"):
        return [_plain(child) for child in children]
    return {child.tag: _plain(child) for child in children}


def _items(item: object, key: str) -> list[SourceObject]:
    value = item.get(key) if isinstance(item, Mapping) else None
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _name(value: object) -> str:
    """A text, empty for everything that is none; YAML reads some names as numbers."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
