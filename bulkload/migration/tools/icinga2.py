"""Reads services of Icinga 2 from a response of its API, /v1/objects/services?joins=host.

The API returns resolved objects. The configuration language is a programming language; it is recognised only to
ask for an API response instead. A second file with /v1/objects/checkcommands defines custom commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bulkload.errors import InputError
from bulkload.migration import mail_names, not_covered
from bulkload.migration.checks import NAME_OF_PORT, Check, SkippedObject, Tls, is_other_port
from bulkload.migration.documents import Document
from bulkload.migration.pages import incomplete_lists, page_of
from bulkload.migration.parsing import UnreadableValue, as_labels, as_port, as_seconds, as_text, lookup

NAME = "icinga2"
TITLE = "Icinga 2"

_SERVICES = "https://SERVER:5665/v1/objects/services?joins=host"

DEFAULT_TIMEOUT = 10.0  # seconds, of the plugins
_LANGUAGE = re.compile(r'^[ \t]*(?:apply\s+Service|object\s+(?:Host|Service|CheckCommand)\s+")', re.MULTILINE)
_MACRO = re.compile(r"\$([\w.]+)\$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """A check command of the template library, with the names of its variables."""

    type: str | None
    prefix: str
    port: int | None
    tls: Tls = "unknown"
    tls_flag: str = ""  # variable that enables TLS
    flag_tls: Tls = "implicit"


_COMMANDS: Mapping[str, _Command] = {
    "smtp": _Command(type="smtp", prefix="smtp", port=25, tls_flag="smtp_starttls", flag_tls="starttls"),
    "ssmtp": _Command(type="smtp", prefix="ssmtp", port=465, tls="implicit"),
    "imap": _Command(type="imap", prefix="imap", port=143, tls_flag="imap_ssl"),
    "simap": _Command(type="imap", prefix="simap", port=993, tls="implicit"),
    "pop": _Command(type="pop", prefix="pop", port=110, tls_flag="pop_ssl"),
    "spop": _Command(type="pop", prefix="spop", port=995, tls="implicit"),
    "tcp": _Command(type=None, prefix="tcp", port=None, tls_flag="tcp_ssl"),
    "ssl": _Command(type=None, prefix="ssl", port=443, tls="implicit"),
}
_PLUGINS = {f"check_{name}": name for name in _COMMANDS if name != "ssl"}
_INDIRECT = {
    "by_ssh": "runs on the monitored host over SSH, not from the monitoring server",
    "nrpe": "runs on the monitored host through NRPE, not from the monitoring server",
    "mailq": "checks a mail queue on the host itself",
    "passive": "is passive: another program reports its results",
    "dummy": "tests nothing",
}


def recognises(document: Document) -> bool:
    """Whether the document is an API list of services or commands, or a file in the configuration language."""
    if document.format == "text":
        return bool(_LANGUAGE.search(document.head))
    return document.format == "json" and any(
        isinstance(lookup(item, "attrs.check_command"), str) or lookup(item, "type") == "CheckCommand"
        for item in _results(document)[:20]
    )


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every service."""
    language_files = [document for document in documents if document.format == "text"]
    if language_files:
        if len(language_files) == len(documents):
            raise InputError(
                f"{language_files[0].name} is in the Icinga 2 configuration language, which is not supported; "
                f"use the response of {_SERVICES} instead."
            )
        for document in language_files:
            yield SkippedObject(
                origin=document.name, reason="The configuration language is not supported; the API response is read."
            )
    items = [
        (f"{document.name} result {number}", item)
        for document in documents
        if document.format == "json"
        for number, item in enumerate(_results(document), 1)
    ]
    custom_commands = {
        _name(lookup(item, "attrs.__name") or lookup(item, "name")): item
        for _, item in items
        if lookup(item, "type") == "CheckCommand"
    }
    services = [
        (item_origin, item) for item_origin, item in items if lookup(item, "type") not in ("CheckCommand", "Host")
    ]
    if items and not services:
        yield SkippedObject(
            origin="all files",
            reason=f"The files contain no services; add the response of {_SERVICES} to the input.",
            error=True,
        )
    for item_origin, item in services:
        yield _service(item_origin, item, custom_commands)
    for item_origin, item in items:
        if lookup(item, "type") == "Host" and _tests_mail(item, custom_commands):
            yield SkippedObject(
                origin=f"{item_origin}: host {_name(lookup(item, 'name'))}",
                reason="The check of the host itself tests a mail port, and only services become rows; add one for it.",
                error=True,
            )
    pages = [
        page_of(document.name, response, [(document.name, index, number) for number in range(len(_items(response)))])
        for document in documents
        if document.format == "json"
        for index, response in enumerate(_responses(document))
    ]
    yield from incomplete_lists(pages, "object")


def _tests_mail(host: object, custom_commands: Mapping[str, object]) -> bool:
    """Whether the check command of a host, usually a ping, tests a mail port."""
    command, _, _ = _command(_name(lookup(host, "attrs.check_command")), custom_commands)
    if command is None:
        return False
    return command.type is not None or str(lookup(host, "attrs.vars.tcp_port")) in map(str, NAME_OF_PORT)


def _name(value: object) -> str:
    """Return the value if it is text, else ""."""
    return value if isinstance(value, str) else ""


def _results(document: Document) -> list[object]:
    return [item for response in _responses(document) for item in _items(response)]


def _responses(document: Document) -> list[object]:
    """The responses in a file, which may be several in a list."""
    content = document.json()
    return content if isinstance(content, list) else [content]


def _items(response: object) -> list[object]:
    results = lookup(response, "results")
    return results if isinstance(results, list) else []


def _service(item_origin: str, item: object, custom_commands: Mapping[str, object]) -> Check | SkippedObject:
    host_name, name = _name(lookup(item, "attrs.host_name")), _name(lookup(item, "attrs.name"))
    origin = f"{item_origin}: service {host_name} / {name}"
    try:
        return _check(origin, item, custom_commands)
    except UnreadableValue as error:
        return SkippedObject(origin=origin, reason=str(error), error=True)


def _check(origin: str, item: object, custom_commands: Mapping[str, object]) -> Check | SkippedObject:
    attrs = lookup(item, "attrs")
    if not isinstance(attrs, Mapping):
        raise UnreadableValue("The object is not a service: it has no attrs.")
    command_name = as_text(attrs.get("check_command"), "check_command")
    if not command_name:
        raise UnreadableValue("The service has no check_command.")
    if command_name in _INDIRECT:
        return SkippedObject(origin=origin, reason=f"The command {command_name} {_INDIRECT[command_name]}.")
    if attrs.get("command_endpoint"):
        return SkippedObject(
            origin=origin, reason="The service runs on an agent (command_endpoint), not from the monitoring server."
        )
    command, defaults, plugin = _command(command_name, custom_commands)
    if command is None:
        return _unknown_command(origin, command_name, plugin, as_text(attrs.get("name"), "name"))
    variables = {**defaults, **_variables(lookup(item, "joins.host.vars")), **_variables(attrs.get("vars"))}
    host_name = as_text(attrs.get("host_name"), "host_name")
    prefix = command.prefix
    port = as_port(_value(f"{prefix}_port", variables, item), f"{prefix}_port") or command.port
    if command.type is None and is_other_port(port):
        return SkippedObject(origin=origin, reason=f"Port {port} is not a port of IMAP, POP3 or SMTP.")
    if variables.get(f"{prefix}_address") in (None, ""):
        address = lookup(item, "joins.host.address", "joins.host.address6")
        hostname = _expand(address, "address of the host", variables, item)
    else:
        hostname = _expand(variables[f"{prefix}_address"], f"{prefix}_address", variables, item)
    if not hostname:
        if lookup(item, "joins.host") is None:
            raise UnreadableValue("The response has no host addresses; request it with ?joins=host.")
        raise UnreadableValue(f"The host {host_name} has no address.")
    timeout = as_seconds(_value(f"{prefix}_timeout", variables, item), f"{prefix}_timeout", unit=1)
    description = as_text(attrs.get("display_name") or attrs.get("name"), "name")
    interval = as_seconds(attrs.get("check_interval"), "check_interval", unit=1)
    return Check(
        origin=origin,
        type=command.type,
        name=f"{as_text(lookup(item, 'joins.host.display_name'), 'name') or host_name} {description}".strip(),
        hostname=hostname,
        port=port,
        interval_seconds=interval,
        timeout_seconds=timeout or as_seconds(attrs.get("check_timeout"), "check_timeout", unit=1) or DEFAULT_TIMEOUT,
        enabled=attrs.get("enable_active_checks") is not False,
        tls=command.flag_tls if variables.get(command.tls_flag) is True else command.tls,
        tags=as_labels(attrs.get("groups")),
        note=as_text(attrs.get("notes"), "notes"),
        has_login=bool(variables.get("smtp_authuser") or variables.get("smtp_authpass")),
        not_covered=not_covered.of_settings({**variables, **attrs}),
    )


def _unknown_command(origin: str, name: str, plugin: str, service: str) -> SkippedObject:
    """Return an error if the names of the command, its plugin or the service suggest a test of a mail port."""
    for program in (plugin, name, f"check_{name}"):
        if program and mail_names.is_known_not_mail(program):
            return SkippedObject(origin=origin, reason=f"The command {name} does not test a mail port.")
    if mail_names.tests_a_queue(name) or mail_names.tests_a_queue(plugin):
        return SkippedObject(origin=origin, reason=f"The command {name} checks a mail queue, not a mail port.")
    if any(map(mail_names.suggests_mail, (name, plugin))) or mail_names.describes_mail(service):
        reason = f"The command {name} is not supported, but may test a mail port; if it does, add a row for it."
        return SkippedObject(origin=origin, reason=reason, error=True)
    return SkippedObject(origin=origin, reason=f"The command {name} is not one of those that test a mail port.")


def _command(name: str, custom_commands: Mapping[str, object]) -> tuple[_Command | None, dict[str, object], str]:
    """Return the library command of that name, or that of the plugin that a custom command runs, with its variables
    and the name of that plugin."""
    definition = custom_commands.get(name)
    defaults = _variables(lookup(definition, "attrs.vars")) if definition is not None else {}
    if name in _COMMANDS:
        return _COMMANDS[name], defaults, ""
    command_line = lookup(definition, "attrs.command")
    first = command_line[0] if isinstance(command_line, list) and command_line else command_line
    plugin = PurePosixPath(first).name if isinstance(first, str) else ""
    if plugin in _PLUGINS:
        return _COMMANDS[_PLUGINS[plugin]], defaults, plugin
    return None, {}, plugin


def _variables(value: object) -> dict[str, object]:
    return dict(value) if isinstance(value, Mapping) else {}


def _value(name: str, variables: Mapping[str, object], item: object) -> object:
    """Return a variable; the macros in a text are replaced."""
    value = variables.get(name)
    _refuse_function(value, name)
    return _expand(value, name, variables, item) if isinstance(value, str) else value


def _expand(value: object, field_name: str, variables: Mapping[str, object], item: object) -> str:
    """Replace the macros in a text. Raises `UnreadableValue` for a macro without a value."""
    _refuse_function(value, field_name)
    text = as_text(value, field_name)
    for name in dict.fromkeys(_MACRO.findall(text)):
        key = name.removeprefix("host.vars.").removeprefix("service.vars.").removeprefix("vars.")
        replacement = variables.get(key)
        if name == "check_address":  # computed by the library
            replacement = lookup(item, "joins.host.address", "joins.host.address6")
        if replacement is None:
            replacement = lookup(item, f"joins.host.{name.removeprefix('host.')}")
        if not isinstance(replacement, str | int | float) or isinstance(replacement, bool):
            raise UnreadableValue(f"The macro ${name}$ in the {field_name} has no value.")
        text = text.replace(f"${name}$", as_text(replacement, name))
    return text


def _refuse_function(value: object, field_name: str) -> None:
    if lookup(value, "type") == "Function":
        raise UnreadableValue(
            f"The {field_name} is a function, which only Icinga itself can evaluate; replace it with its value."
        )
