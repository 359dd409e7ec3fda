"""Nagios and its family (Core, XI, Naemon, Icinga 1, Shinken): object files or an `objects.cache` become checks.

A check is a service on one host. What it tests is read from the plugin behind its command; where it is tested
comes from the plugin's `-H`, else from the host's address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkload.errors import InputError
from bulkload.readers.documents import Document, referred_documents
from bulkload.readers.tools.nagios import commands, membership
from bulkload.readers.tools.nagios.grammar import Definition, Setting, Stray, parse
from bulkload.readers.tools.nagios.inheritance import Resolved, resolve
from bulkload.readers.tools.nagios.plugins import NoProbe, Probe, read_command_line
from bulkload.readers.translation import Check, LeftOut

NAME = "nagios"
TITLE = "Nagios"

DEFAULT_INTERVAL = 5.0  # units of interval_length, where a service says nothing
DEFAULT_UNIT = 60.0  # seconds, nagios.cfg's interval_length
MAX_SERVICES = 1_000_000  # services times hosts

_DEFINES = re.compile(
    r"^\s*define\s+(?:host|service|command|contact|timeperiod|servicedependency|hostdependency|"
    r"serviceescalation|hostescalation|serviceextinfo|hostextinfo|hostgroup|servicegroup|contactgroup)\s*\{",
    re.MULTILINE,
)
_MAIN_FILE = re.compile(r"^\s*cfg_(?:file|dir)\s*=", re.MULTILINE)
_USER_MACROS = re.compile(r"^\s*\$USER\d+\$\s*=", re.MULTILINE)
_CACHE = re.compile(r"^#\s+\w+ OBJECT CACHE FILE", re.MULTILINE)
_DEBIAN_COMMANDS = "nagios-plugins/config"  # well-known commands stand in for it


def recognises(document: Document) -> bool:
    """An object definition, or a main file that lists object files."""
    if document.kind != "text":
        return False
    return any(sign.search(document.head) for sign in (_DEFINES, _MAIN_FILE, _USER_MACROS))


def translate(documents: Sequence[Document]) -> Iterator[Check | LeftOut]:
    """Every service on every host it runs on."""
    cached = [document for document in documents if _CACHE.search(document.head)]
    main = [document for document in documents if _MAIN_FILE.search(document.head)]
    if cached:
        for document in documents:
            if _DEFINES.search(document.head) and document not in cached:
                yield LeftOut(
                    origin=document.name, reason=f"{cached[0].name} holds the same objects, already worked out."
                )
        read = _read([*main, *cached], documents=())
    else:
        listed = _read(main, documents=documents)
        others = [document for document in documents if document.path.resolve() not in listed.files]
        if any(listed.files > {document.path.resolve()} for document in main):
            for document in others:
                yield from _unlisted(document, main[0])
            read = listed
        else:
            read = _read([*main, *others], documents=documents)
    yield from read.left_out
    yield from _services(read)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    definitions: Sequence[Definition]
    settings: Mapping[str, str]
    left_out: Sequence[LeftOut]
    files: frozenset[Path]


def _read(first: Sequence[Document], *, documents: Sequence[Document]) -> _Read:
    """Parse files and, as far as they are at hand, those that a main file lists."""
    definitions: list[Definition] = []
    settings: dict[str, str] = {}
    left_out: list[LeftOut] = []
    waiting = list(first)
    seen = {document.path.resolve() for document in waiting}
    while waiting:
        document = waiting.pop(0)
        for item in parse(document.name, document.rendered):
            if isinstance(item, Definition):
                definitions.append(item)
            elif isinstance(item, Stray):
                left_out.append(
                    LeftOut(origin=item.place, reason="The line is outside of every definition.", error=True)
                )
            elif item.key not in ("cfg_file", "cfg_dir"):
                settings[item.key] = item.value
            elif documents:
                found = referred_documents(document, item.value, documents)
                if found is None:
                    left_out.append(_absent(document, item))
                for other in found or ():
                    real = other.path.resolve()
                    if real not in seen and (item.key == "cfg_file" or real.suffix == ".cfg"):
                        seen.add(real)
                        waiting.append(other)
    return _Read(definitions=definitions, settings=settings, left_out=left_out, files=frozenset(seen))


def _unlisted(document: Document, main: Document) -> Iterator[LeftOut]:
    """The services of a file that the server does not read."""
    for item in parse(document.name, document.rendered):
        if isinstance(item, Definition) and item.type == "service" and item.get("register") != "0":
            yield LeftOut(
                origin=f"{item.place}: service {item.get('service_description')}",
                reason=f"{main.name} does not list this file, so the server does not read it.",
            )


def _absent(document: Document, item: Setting) -> LeftOut:
    if item.value.rstrip("/").endswith(_DEBIAN_COMMANDS):
        return LeftOut(
            origin=f"{document.name}: {item.value}",
            reason="The folder is not at hand; the well-known definitions of its commands are used.",
        )
    return LeftOut(
        origin=f"{document.name}: {item.value}",
        reason="The file or folder is not at hand below this file; give it as well.",
        error=True,
    )


def _services(read: _Read) -> Iterator[Check | LeftOut]:
    objects = resolve(read.definitions)
    lines = {item.get("command_name"): item.get("command_line") for item in objects if item.type == "command"}
    members = membership.membership(
        objects,
        regular=read.settings.get("use_regexp_matching") == "1",
        all_regular=read.settings.get("use_true_regexp_matching") == "1",
    )
    services = [item for item in objects if item.type == "service"]
    if not services:
        yield LeftOut(
            origin="all files",
            reason=f"{len(read.definitions)} definitions and no service among them; give the files with services.",
        )
    placed: list[tuple[Resolved, membership.HostList]] = []
    total = 0
    for service in services:
        origin = _origin(service, "")
        try:
            if service.problem:
                raise membership.Unresolvable(service.problem)
            hosts = membership.hosts_of(service, members)
        except membership.Unresolvable as error:
            yield LeftOut(origin=origin, reason=str(error), error=True)
            continue
        if not hosts.named and not hosts.grouped:
            yield _homeless(service, origin)
            continue
        placed.append((service, hosts))
        total += len(hosts.named) + len(hosts.grouped)
        if total > MAX_SERVICES:
            raise InputError(f"The files stand for more than {MAX_SERVICES:,} services, the most that is read.")
    # A service that names its host wins over one of the same description that gets there through a group.
    first: dict[tuple[str, str], Resolved] = {}
    for grouped in (False, True):
        for service, hosts in placed:
            for host in hosts.grouped if grouped else hosts.named:
                first.setdefault((host, service.get("service_description")), service)
    for service, hosts in placed:
        for host in (*hosts.named, *hosts.grouped):
            winner = first[host, service.get("service_description")]
            if winner is not service:
                yield LeftOut(
                    origin=_origin(service, host),
                    reason=f"The same service of the same host is defined at {winner.place}, which comes first.",
                )
            else:
                yield _service(service, host, members, lines, read.settings)


def _homeless(service: Resolved, origin: str) -> LeftOut:
    if service.get("host_name") or service.get("hostgroup_name"):
        return LeftOut(origin=origin, reason="It runs on no host: its groups are empty or all hosts are excluded.")
    if service.missing:
        names = ", ".join(service.missing)
        return LeftOut(origin=origin, reason=f"It names no host, and its template {names} is not defined.", error=True)
    return LeftOut(origin=origin, reason="It names no host and no host group.", error=True)


def _service(
    service: Resolved,
    host_name: str,
    members: membership.Membership,
    lines: Mapping[str, str],
    settings: Mapping[str, str],
) -> Check | LeftOut:
    """One service on one host."""
    origin = _origin(service, host_name)
    host = members.hosts.get(host_name)
    if host is not None and host.problem:
        return LeftOut(origin=origin, reason=f"Its host: {host.problem}", error=True)
    value = service.get("check_command")
    if not value:
        return LeftOut(origin=origin, reason=_no_command(service), error=bool(service.missing))
    name, arguments = commands.split_command(value)
    line = lines.get(name) or commands.well_known(name, arguments)
    if line is None:
        return _unknown_command(origin, name, arguments)
    macros = commands.macros_of(service, host_name, host)
    probe = read_command_line(commands.command_line(line, arguments, macros))
    if isinstance(probe, NoProbe):
        return LeftOut(origin=origin, reason=probe.reason, error=probe.error)
    if service.get("check_freshness") == "1" and service.get("active_checks_enabled") == "0":
        return LeftOut(origin=origin, reason="It is passive: its results come from elsewhere.")
    return _check(origin, probe, service, host_name, members, settings)


def _check(
    origin: str,
    probe: Probe,
    service: Resolved,
    host_name: str,
    members: membership.Membership,
    settings: Mapping[str, str],
) -> Check | LeftOut:
    open_macros = commands.open_macros(" ".join((probe.host, probe.port, probe.timeout)))
    if open_macros:
        undefined = "" if host_name in members.hosts else f" (the host {host_name} is not defined in these files)"
        return LeftOut(origin=origin, reason=f"The macro {open_macros[0]} has no value{undefined}.", error=True)
    if not probe.host:
        return LeftOut(origin=origin, reason="Its command line names no host to test.", error=True)
    port, timeout = _number(probe.port), _number(probe.timeout)
    if port is None or port != int(port):
        return LeftOut(origin=origin, reason=f"Its port {probe.port!r} is not a number.", error=True)
    interval, changes = _interval(service, settings)
    host = members.hosts.get(host_name)
    missing = (*service.missing, *(host.missing if host else ()))
    if missing:
        changes = (*changes, f"The template {', '.join(missing)} is not defined; what it says is not taken over.")
    return Check(
        origin=origin,
        type=probe.type,
        name=f"{host_name} {service.get('service_description')}".strip(),
        hostname=probe.host,
        port=int(port),
        interval_seconds=interval,
        timeout_seconds=timeout,
        enabled=service.get("active_checks_enabled") != "0" and settings.get("execute_service_checks") != "0",
        tls=probe.tls,
        tags=tuple(dict.fromkeys((*membership.groups_of(host_name, members), *_names(service.get("servicegroups"))))),
        note=service.get("notes") or (host.get("notes") if host else ""),
        has_login=probe.has_login,
        changes=changes,
    )


def _interval(service: Resolved, settings: Mapping[str, str]) -> tuple[float | None, tuple[str, ...]]:
    """Seconds between two checks; unknown where a template that may say so is missing."""
    text = service.get("check_interval")
    unit = _number(settings.get("interval_length", "")) or DEFAULT_UNIT
    if not text:
        return (None if service.missing else DEFAULT_INTERVAL * unit), ()
    number = _number(text)
    if number is None:
        return None, (f"The check_interval {text!r} is not a number and is left empty.",)
    return number * unit, ()


def _no_command(service: Resolved) -> str:
    if service.missing:
        return f"It has no check_command, and its template {', '.join(service.missing)} is not defined."
    return "It has no check_command: its results come from elsewhere."


def _unknown_command(origin: str, name: str, arguments: Sequence[str]) -> LeftOut:
    if commands.is_known_not_mail(name):
        return LeftOut(origin=origin, reason=f"{name} is no test of a mail port.")
    if commands.sounds_like_mail(name) or (name.startswith("check_tcp") and arguments):
        return LeftOut(
            origin=origin,
            reason=f"The command {name} is not defined in these files; give the file that defines it.",
            error=True,
        )
    return LeftOut(origin=origin, reason=f"The command {name} is not defined in these files.")


def _origin(service: Resolved, host: str) -> str:
    what = " / ".join(part for part in (host, service.get("service_description")) if part)
    return f"{service.place}: service {what}".strip()


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()) else None
