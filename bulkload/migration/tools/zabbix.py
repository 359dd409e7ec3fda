"""Reads exported hosts and templates of Zabbix, as YAML, XML or JSON.

A host export refers to its templates and contains only its own items, so hosts and templates are read together.
Simple checks `net.tcp.service[…]` of a host become checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulkload.migration import mail_names, not_covered
from bulkload.migration.checks import Check, SkippedObject, is_other_port
from bulkload.migration.documents import Document
from bulkload.migration.durations import zabbix_seconds
from bulkload.migration.parsing import SourceObject, UnreadableValue, as_port, as_text, lookup

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "zabbix"
TITLE = "Zabbix"

DEFAULT_DELAY = "1m"  # an export omits the default
DEFAULT_IP = "127.0.0.1"  # an export omits the default
MAX_KEY_CHARS = 2048
MAX_NESTING = 50  # levels of templates linked to templates

_YAML_ROOT = re.compile(r"^[\"']?zabbix_export[\"']?\s*:", re.MULTILINE)
_SEVERAL_VALUES = re.compile(r"(?:[(,]#[2-9]|[(,]#\d{2}|\bcount\()")  # max(#3), min(/host/key,#3)
_KEY = re.compile(r"(net\.tcp\.service(?:\.perf)?)\[(.*)\]\s*$", re.DOTALL)
_MACRO = re.compile(r"\{\$[A-Z0-9_.]+(?::[^{}]*)?\}")
_HOST_MACRO = re.compile(r"\{(HOST\.(?:CONN|IP|DNS|HOST|NAME)|IPADDRESS|HOSTNAME)1?\}")
_ANY_MACRO = re.compile(r"\{[$#]?[A-Z][^{}]*\}")
_SERVICES = {"smtp": "smtp", "imap": "imap", "pop": "pop", "tcp": None}
_SIMPLE = ("SIMPLE", "3")
_EXTERNAL = ("EXTERNAL", "10")
_DISABLED = ("DISABLED", "1")
_NO = ("NO", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    origin: str
    item: SourceObject
    macros: Mapping[str, str]  # its own take precedence over those of its templates


def recognises(document: Document) -> bool:
    """Whether the root of the document is zabbix_export."""
    if document.format == "json":
        return isinstance(lookup(document.json(), "zabbix_export"), Mapping)
    if document.format == "xml":
        return "<zabbix_export" in document.head
    return document.format == "text" and bool(_YAML_ROOT.search(document.head))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every item of every host and of its templates."""
    hosts: list[tuple[str, SourceObject]] = []
    templates: dict[str, tuple[str, SourceObject]] = {}
    for document in documents:
        export = _export(document)
        hosts += [(document.name, host) for host in _items(export, "hosts")]
        for template in _items(export, "templates"):
            template_name = _text(template.get("template") or template.get("name"))
            file, first = templates.setdefault(template_name, (document.name, template))
            if first is not template:
                yield SkippedObject(
                    origin=f"{document.name}: template {template_name}",
                    reason=f"The template is also in {file} and is read from there.",
                )
    linked: set[str] = set()
    missing: dict[str, list[str]] = {}
    for file, item in hosts:
        name = _text(item.get("name") or item.get("host"))
        origin = f"{file}: host {name}"
        try:
            template_names = list(_linked(item, templates))
        except UnreadableValue as error:
            yield SkippedObject(origin=origin, reason=str(error), error=True)
            continue
        for template_name in template_names:
            if template_name in templates:
                linked.add(template_name)
            else:
                missing.setdefault(template_name, []).append(name)
        host_templates = [templates[template_name][1] for template_name in template_names if template_name in templates]
        host = _Host(origin=origin, item=item, macros=_macros([item, *host_templates]))
        for source in (item, *host_templates):
            yield from _items_of(source, host)
    for template_name, host_names in missing.items():
        more = f" and {len(host_names) - 1} more hosts" if len(host_names) > 1 else ""
        yield SkippedObject(
            origin=f"template {template_name}",
            reason=f"The template is used by {host_names[0]}{more}, but is not in these files; export it as well.",
            error=True,
        )
    for template_name, (file, template) in templates.items():
        if template_name not in linked:
            yield from _unlinked(f"{file}: template {template_name}", template)
    template_items = (item for _, template in templates.values() for item in _items(template, "items"))
    if not hosts and any(map(_is_mail_test, template_items)):
        yield SkippedObject(
            origin="all files",
            reason="The files contain templates with mail checks, but no hosts; export the hosts as well.",
            error=True,
        )


def _linked(item: SourceObject, templates: Mapping[str, tuple[str, SourceObject]]) -> Iterator[str]:
    """Yield the names of the templates of a host and of the templates linked to them, each once."""
    seen: set[str] = set()
    start: tuple[str, ...] = ()
    queue = [(_text(link.get("name")), start) for link in _items(item, "templates")]
    while queue:
        name, path = queue.pop(0)
        if name in path or len(path) > MAX_NESTING:
            raise UnreadableValue(f"The links between the templates form a cycle ({' → '.join((*path, name))}).")
        if name in seen:
            continue
        seen.add(name)
        yield name
        if name in templates:
            queue += [(_text(link.get("name")), (*path, name)) for link in _items(templates[name][1], "templates")]


def _items_of(source: SourceObject, host: _Host) -> Iterator[Check | SkippedObject]:
    for item in _items(source, "items"):
        origin = f"{host.origin}: {_text(item.get('name')) or _text(item.get('key'))}"
        try:
            yield _item(origin, item, host)
        except UnreadableValue as error:
            yield SkippedObject(origin=origin, reason=str(error), error=True)
    for rule in _items(source, "discovery_rules"):
        for item in _items(rule, "item_prototypes"):
            yield SkippedObject(
                origin=f"{host.origin}: {_text(item.get('name'))}",
                reason="It is an item prototype; the discovered items are not in the export.",
            )


def _unlinked(origin: str, template: SourceObject) -> Iterator[SkippedObject]:
    """Yield a skipped object for every item of a template without hosts."""
    for item in _items(template, "items"):
        item_origin = f"{origin}: {_text(item.get('name')) or _text(item.get('key'))}"
        key = _KEY.match(_text(item.get("key")))
        if key and _text(item.get("type")) in _SIMPLE:
            reason = f"No host in these files uses its template, which tests {key[2] or 'nothing'}; export the hosts."
        else:
            reason = "It is not a network test, and no host in these files uses its template."
        yield SkippedObject(origin=item_origin, reason=reason)


def _is_mail_test(item: SourceObject) -> bool:
    """Whether an item tests a mail service, or a TCP port that is a mail port or a macro."""
    key = _KEY.match(_text(item.get("key")))
    if key is None or _text(item.get("type")) not in _SIMPLE:
        return False
    try:
        service, _, port = (*_arguments(key[2]), "", "")[:3]
        return service.lower() in _SERVICES and not (service.lower() == "tcp" and is_other_port(as_port(port)))
    except UnreadableValue:
        return True


def _item(origin: str, item: SourceObject, host: _Host) -> Check | SkippedObject:
    key = as_text(item.get("key"), "key")
    if len(key) > MAX_KEY_CHARS:
        raise UnreadableValue(f"The key has {len(key):,} characters; Zabbix allows {MAX_KEY_CHARS:,}.")
    match = _KEY.match(key)
    if match is None:
        return _other_item(origin, item, key)
    if _text(item.get("type")) not in _SIMPLE:
        return SkippedObject(origin=origin, reason="The agent on the host runs the test, not the Zabbix server.")
    raw_arguments = _arguments(match[2])
    service = _expand(raw_arguments[0], host, item)
    if service.lower() not in _SERVICES:
        return SkippedObject(origin=origin, reason=f"The service {service} is not a mail service.")
    port_text = _expand(raw_arguments[2], host, item) if len(raw_arguments) > 2 else ""
    port = as_port(port_text)
    if _SERVICES[service.lower()] is None and is_other_port(port):
        return SkippedObject(origin=origin, reason=f"Port {port} is not a port of IMAP, POP3 or SMTP.")
    arguments = [_expand(argument, host, item) for argument in raw_arguments]
    address = arguments[1] if len(arguments) > 1 else ""
    delay = _expand(as_text(item.get("delay"), "delay") or DEFAULT_DELAY, host, item)
    interval = zabbix_seconds(delay)
    if interval is None:
        raise UnreadableValue(f"The delay {delay!r} is not a valid duration.")
    timeout = _expand(as_text(item.get("timeout"), "timeout"), host, item)
    host_name = as_text(host.item.get("name") or host.item.get("host"), "name")
    tags = [
        "=".join(part for part in (_text(tag.get("tag")), _text(tag.get("value"))) if part)
        for tag in (*_items(host.item, "tags"), *_items(item, "tags"))
    ]
    groups = [_text(group.get("name")) for group in _items(host.item, "groups")]
    return Check(
        origin=origin,
        type=_SERVICES[service.lower()],
        name=f"{host_name} {_item_name(item, host, arguments)}".strip(),
        hostname=address or _interface_address(host, item),
        port=port,
        interval_seconds=interval,
        timeout_seconds=zabbix_seconds(timeout) if timeout else None,
        enabled=_text(host.item.get("status")) not in _DISABLED and _text(item.get("status")) not in _DISABLED,
        tags=tuple(dict.fromkeys(tag for tag in (*groups, *tags) if tag)),
        note=as_text(item.get("description"), "description") or as_text(host.item.get("description"), "description"),
        not_covered=_not_covered(item, key, delay),
    )


def _not_covered(item: SourceObject, key: str, delay: str) -> tuple[str, ...]:
    """What the triggers and the schedule of an item do that a monitor does not do."""
    triggers = _items(item, "triggers")
    expressions = [_text(trigger.get("expression")) for trigger in triggers]
    return not_covered.named(
        (not_covered.PERIOD, ";" in delay),
        (not_covered.DEPENDENCIES, any(_items(trigger, "dependencies") for trigger in triggers)),
        (not_covered.RETRIES, any(_SEVERAL_VALUES.search(expression) for expression in expressions)),
        (not_covered.THRESHOLDS, bool(triggers) and ".perf" in key.partition("[")[0]),
    )


def _other_item(origin: str, item: SourceObject, key: str) -> SkippedObject:
    """Return an error for a script of the Zabbix server whose name suggests a test of a mail port."""
    if _text(item.get("type")) in _EXTERNAL and mail_names.suggests_mail(key.partition("[")[0]):
        reason = f"The server runs the script {key.partition('[')[0][:80]}, whose name suggests a mail check"
        return SkippedObject(origin=origin, reason=f"{reason}; if it is one, add a row for it.", error=True)
    return SkippedObject(origin=origin, reason="It is not a network test of a service.")


def _item_name(item: SourceObject, host: _Host, arguments: Sequence[str]) -> str:
    """Return the item's name with $1 … $9 replaced, and macros if all of them have a value."""
    name = re.sub(
        r"\$([1-9])",
        lambda match: arguments[int(match[1]) - 1] if int(match[1]) <= len(arguments) else "",
        as_text(item.get("name"), "name"),
    )
    try:
        return _expand(name, host, item)
    except UnreadableValue:
        return name


def _arguments(text: str) -> list[str]:
    """Split the parameters of a key. Quoted parameters may contain commas."""
    arguments: list[str] = []
    rest = text
    while True:
        rest = rest.lstrip(" ")
        if rest.startswith('"'):
            quoted = re.match(r'"((?:[^"\\]|\\.)*)"\s*(,|$)', rest)
            if quoted is None:
                raise UnreadableValue("The quotes in the key are unbalanced.")
            arguments.append(quoted[1].replace('\\"', '"'))
            separator, rest = quoted[2], rest[quoted.end() :]
        else:
            value, separator, rest = rest.partition(",")
            arguments.append(value.strip())
        if not separator:
            return arguments


def _expand(text: str, host: _Host, item: SourceObject) -> str:
    """Replace the macros in a text. Raises `UnreadableValue` for a macro without a value."""

    def user_macro(match: re.Match[str]) -> str:
        without_context = match[0].partition(":")[0].rstrip("}") + "}"
        return host.macros.get(match[0], host.macros.get(without_context, match[0]))

    def host_macro(match: re.Match[str]) -> str:
        name = match[1]
        if name in ("HOST.HOST", "HOSTNAME"):
            return _text(host.item.get("host"))
        if name == "HOST.NAME":
            return _text(host.item.get("name") or host.item.get("host"))
        interface = _interface(host, item)
        if name in ("HOST.IP", "IPADDRESS"):
            return _text(interface.get("ip")) or DEFAULT_IP
        if name == "HOST.DNS":
            return _text(interface.get("dns")) or match[0]
        return _address(interface) or match[0]

    text = _HOST_MACRO.sub(host_macro, _MACRO.sub(user_macro, text))
    unresolved = _ANY_MACRO.search(text)
    if unresolved:
        raise UnreadableValue(f"The macro {unresolved[0]} has no value in these files.")
    return text


def _interface(host: _Host, item: SourceObject) -> SourceObject:
    """Return the interface that an item refers to, else the host's main one."""
    interfaces = _items(host.item, "interfaces")
    reference = _text(item.get("interface_ref"))
    for interface in interfaces:
        if reference and _text(interface.get("interface_ref")) == reference:
            return interface
    main = [interface for interface in interfaces if _text(interface.get("default")) not in _NO]
    for interface in (*main, *interfaces):
        return interface
    raise UnreadableValue("The host has no interface, so there is no address to test.")


def _interface_address(host: _Host, item: SourceObject) -> str:
    address = _expand(_address(_interface(host, item)), host, item)
    if not address:
        raise UnreadableValue("The interface of the host has no address.")
    return address


def _address(interface: SourceObject) -> str:
    if _text(interface.get("useip")) in _NO:
        return _text(interface.get("dns"))
    return _text(interface.get("ip")) or DEFAULT_IP


def _macros(sources: Sequence[SourceObject]) -> dict[str, str]:
    """Return the user macros; those of the first source take precedence. Secret macros are left out."""
    macros: dict[str, str] = {}
    for source in sources:
        for macro in _items(source, "macros"):
            if _text(macro.get("type")) not in ("SECRET_TEXT", "VAULT", "1", "2"):
                macros.setdefault(_text(macro.get("macro")), _text(macro.get("value")))
    return macros


def _export(document: Document) -> SourceObject:
    if document.format == "xml":
        value = _from_xml(document.xml())
        return value if isinstance(value, Mapping) else {}
    root = document.json() if document.format == "json" else document.yaml()
    export = lookup(root, "zabbix_export")
    return export if isinstance(export, Mapping) else {}


def _from_xml(element: Element) -> object:
    """Convert XML to the structure of the YAML export: lists, mappings and texts."""
    children = list(element)
    if not children:
        return element.text or ""
    tags = {child.tag for child in children}
    # <hosts><host>…</host></hosts> is a list, even with a single element
    if tags == {element.tag[:-1]} and element.tag.endswith("s"):
        return [_from_xml(child) for child in children]
    return {child.tag: _from_xml(child) for child in children}


def _items(item: object, key: str) -> list[SourceObject]:
    value = item.get(key) if isinstance(item, Mapping) else None
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """Return a text or number as text, else "". YAML parses some names as numbers."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
