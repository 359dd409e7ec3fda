"""Converts the services of Nagios and its forks.

In: a parsed configuration. Out: a check or a skipped object for every service on every host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bulkload.errors import InputError
from bulkload.migration import mail_names, not_covered
from bulkload.migration.checks import NAME_OF_PORT, Check, SkippedObject
from bulkload.migration.tools.nagios import commands, membership, shinken
from bulkload.migration.tools.nagios.config_files import Configuration
from bulkload.migration.tools.nagios.grammar import split_list
from bulkload.migration.tools.nagios.inheritance import ResolvedObject, resolve
from bulkload.migration.tools.nagios.plugins import Probe, UnsupportedCommand, read_command_line

DEFAULT_INTERVAL = 5.0  # units of interval_length
DEFAULT_UNIT = 60.0  # seconds, the default of interval_length
MAX_SERVICES = 1_000_000  # services times hosts

_OF_A_SERVICE = ("host_name", "hostgroup_name", "check_command")  # a template of settings alone has none of these
_NOT_COVERED = ("check_period", "event_handler", "max_check_attempts", "contacts", "contact_groups")
_ServiceHosts = tuple[ResolvedObject, membership.HostList]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """The objects and settings that a service may refer to."""

    members: membership.Membership
    commands: Mapping[str, str]  # name → command line
    settings: Mapping[str, str]
    groups: Mapping[str, Sequence[str]]  # host → its groups
    service_groups: Mapping[tuple[str, str], Sequence[str]]  # host and description → groups that name the service
    dependent: frozenset[tuple[str, str]]  # host and description of services that depend on others


def services(configuration: Configuration) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every service on every host, and for hosts whose own check tests mail."""
    every_object = resolve(configuration.definitions)
    objects = [item for item in every_object if item.is_registered]
    members = membership.membership(
        objects,
        is_regex_enabled=configuration.settings.get("use_regexp_matching") == "1",
        is_regex_always=configuration.settings.get("use_true_regexp_matching") == "1",
    )
    context = _Context(
        members=members,
        commands={item.get("command_name"): item.get("command_line") for item in objects if item.type == "command"},
        settings=configuration.settings,
        groups=membership.groups_by_host(members),
        service_groups=_service_groups(objects),
        dependent=not_covered.dependent_services((item.type, item.get) for item in objects),
    )
    if not any(item.type == "service" for item in every_object):
        yield SkippedObject(
            origin="all files",
            reason="The files contain no services; add the files with services to the input.",
            error=True,
        )
    resolved: list[_ServiceHosts] = []
    for outcome in (*_registered_services(objects, context), *_unregistered_services(every_object, context)):
        if isinstance(outcome, SkippedObject):
            yield outcome
        else:
            resolved.append(outcome)
    if sum(len(hosts.named) + len(hosts.grouped) for _, hosts in resolved) > MAX_SERVICES:
        raise InputError(f"The files contain more than {MAX_SERVICES:,} services on hosts, the maximum for one input.")
    effective = _effective_services(resolved)
    for service, hosts in resolved:
        for host in (*hosts.named, *hosts.grouped):
            effective_service = effective[host, service.get("service_description")]
            if effective_service is service:
                yield _service(service, host, context)
            else:
                yield SkippedObject(
                    origin=_origin(service, host),
                    reason=f"{effective_service.origin} defines the same service of this host and takes precedence.",
                )
    for name, host_object in members.hosts.items():
        yield from _host_check(host_object, name, context)


def _registered_services(
    objects: Sequence[ResolvedObject], context: _Context
) -> Iterator[_ServiceHosts | SkippedObject]:
    for service in objects:
        if service.type != "service":
            continue
        if service.problem:
            yield _problem(service, service.problem, context)
            continue
        try:
            hosts = membership.hosts_of(service, context.members)
        except membership.Unresolvable as error:
            yield _problem(service, str(error), context)
            continue
        yield (service, hosts) if hosts.named or hosts.grouped else _without_hosts(service, context)


def _unregistered_services(
    objects: Sequence[ResolvedObject], context: _Context
) -> Iterator[_ServiceHosts | SkippedObject]:
    """Yield the services that Shinken attaches to host templates, and those that no server runs."""
    used_templates = {name for item in objects if item.is_registered for name in item.templates}
    users = shinken.users_of_templates(context.members)
    for service in objects:
        if service.type != "service" or service.is_registered:
            continue
        try:
            hosts = shinken.hosts_using_templates(service, users, context.members)
        except membership.Unresolvable as error:
            yield _problem(service, str(error), context)
            continue
        if hosts and service.problem:
            yield _problem(service, service.problem, context)
        elif hosts:
            yield service, membership.HostList(named=(), grouped=hosts)
        elif service.name not in used_templates and any(service.get(key) for key in _OF_A_SERVICE):
            yield SkippedObject(origin=_origin(service, ""), reason=_why_unused(service))


def _why_unused(service: ResolvedObject) -> str:
    if service.name:
        return "It is a template (register 0) that no service uses."
    if host_name := service.get("host_name"):
        return f"The service has register 0, and no host in these files uses the template {host_name[:100]}."
    return "The service has register 0, so the server does not run it."


def _effective_services(resolved: Sequence[_ServiceHosts]) -> dict[tuple[str, str], ResolvedObject]:
    """Choose one service per host and description. A service that names the host precedes one that names its group."""
    effective: dict[tuple[str, str], ResolvedObject] = {}
    for service, hosts in resolved:
        for host in hosts.named:
            effective.setdefault((host, service.get("service_description")), service)
    for service, hosts in resolved:
        for host in hosts.grouped:
            effective.setdefault((host, service.get("service_description")), service)
    return effective


def _service_groups(objects: Sequence[ResolvedObject]) -> dict[tuple[str, str], list[str]]:
    """Return the service groups of each service. Their `members` have the form host,service,host,service."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in objects:
        if item.type == "servicegroup":
            pairs = iter(split_list(item.get("members")))
            for host, description in zip(pairs, pairs, strict=False):
                groups.setdefault((host, description), []).append(item.get("servicegroup_name"))
    return groups


def _without_hosts(service: ResolvedObject, context: _Context) -> SkippedObject:
    if service.get("host_name") or service.get("hostgroup_name"):
        return SkippedObject(
            origin=_origin(service, ""),
            reason="The service has no hosts: its groups are empty or all hosts are excluded.",
        )
    if service.name:
        return SkippedObject(
            origin=_origin(service, ""), reason="The service has no host and no host group; it is a template."
        )
    if service.missing:
        templates = ", ".join(service.missing)
        return _problem(service, f"The service has no host, and its template {templates} is not defined.", context)
    return _problem(service, "The service has no host and no host group.", context)


def _problem(service: ResolvedObject, reason: str, context: _Context, host_name: str = "") -> SkippedObject:
    """Return why a service cannot be translated: an error, unless it is no mail check in the first place."""
    if not service.get("check_command"):  # it may come from what is missing
        is_error = bool(service.problem or service.missing)
        return SkippedObject(origin=_origin(service, host_name), reason=reason, error=is_error)
    other = _reason_not_mail(_probe(service, host_name, context))
    return SkippedObject(origin=_origin(service, host_name), reason=other or reason, error=not other)


def _reason_not_mail(probe: Probe | UnsupportedCommand) -> str:
    """Return why a command does not test a mail port, or "" if it may."""
    if isinstance(probe, UnsupportedCommand):
        return "" if probe.error else probe.reason
    port = _number(probe.port)
    if probe.type is None and port is not None and port not in NAME_OF_PORT:
        return f"Port {port:g} is not a port of IMAP, POP3 or SMTP."
    return ""


def _probe(service: ResolvedObject, host_name: str, context: _Context) -> Probe | UnsupportedCommand:
    """Return what the command of a service or host tests."""
    name, arguments = commands.split_command(service.get("check_command"))
    if not name:
        return _no_command(service)
    description = service.get("service_description")
    line = context.commands.get(name) or commands.standard_command(name, arguments)
    if line is None:
        return commands.undefined_command(name, arguments, description)
    macros = commands.macros_of(service, host_name, context.members.hosts.get(host_name))
    probe = read_command_line(commands.command_line(line, arguments, macros))
    if isinstance(probe, UnsupportedCommand) and probe.is_unknown and mail_names.describes_mail(description):
        return UnsupportedCommand(reason=f"{probe.reason[:-1]}, but the description suggests a mail check.", error=True)
    return probe


def _service(service: ResolvedObject, host_name: str, context: _Context) -> Check | SkippedObject:
    """Translate one service on one host."""
    origin = _origin(service, host_name)
    host = context.members.hosts.get(host_name)
    if host is not None and host.problem:
        return _problem(service, f"Host {host_name}: {host.problem}", context, host_name)
    try:
        if host is not None and not shinken.has_service(host, service.get("service_description")):
            return SkippedObject(origin=origin, reason=f"The host {host_name} excludes this service.")
    except membership.Unresolvable as error:
        return _problem(service, str(error), context, host_name)
    probe = _probe(service, host_name, context)
    if isinstance(probe, UnsupportedCommand):
        return SkippedObject(origin=origin, reason=probe.reason, error=probe.error)
    if service.get("check_freshness") == "1" and service.get("active_checks_enabled") == "0":
        return SkippedObject(origin=origin, reason="The service is passive: another program reports its results.")
    if key := service.get("duplicate_foreach"):
        reason = f"The service is repeated for each entry of {key}, which is not supported; add the rows."
        return _problem(service, reason, context, host_name)
    return _check(origin, probe, service, host_name, context)


def _host_check(host: ResolvedObject, host_name: str, context: _Context) -> Iterator[Check | SkippedObject]:
    """Yield the check of a host itself if it tests a mail port. Nearly all hosts are pinged, which is not reported."""
    if not host.get("check_command") or host.problem:
        return
    probe = _probe(host, host_name, context)
    if isinstance(probe, UnsupportedCommand):
        if probe.error:
            yield SkippedObject(origin=_origin(host, host_name), reason=probe.reason, error=True)
    elif not _reason_not_mail(probe):
        yield _check(_origin(host, host_name), probe, host, host_name, context)


def _check(
    origin: str,
    probe: Probe,
    service: ResolvedObject,
    host_name: str,
    context: _Context,
) -> Check | SkippedObject:
    macros = commands.unresolved_macros(" ".join((probe.host, probe.port, probe.timeout)))
    if macros and (other := _reason_not_mail(probe)):
        return SkippedObject(origin=origin, reason=other)
    if macros:
        undefined = (
            "" if host_name in context.members.hosts else f" (the host {host_name} is not defined in these files)"
        )
        return SkippedObject(origin=origin, reason=f"The macro {macros[0]} has no value{undefined}.", error=True)
    if not probe.host:
        return SkippedObject(origin=origin, reason="The command line contains no host.", error=True)
    port, timeout = _number(probe.port), _number(probe.timeout)
    if port is None or port != int(port):
        return SkippedObject(origin=origin, reason=f"The port {probe.port!r} is not a number.", error=True)
    interval, changes = _interval(service, context.settings)
    host = context.members.hosts.get(host_name)
    missing = dict.fromkeys((*service.missing, *(host.missing if host else ())))
    if missing:
        changes = (*changes, f"The template {', '.join(missing)} is not defined; its settings are not imported.")
    return Check(
        origin=origin,
        type=probe.type,
        name=f"{host_name} {service.get('service_description')}".strip(),
        hostname=probe.host,
        port=int(port),
        interval_seconds=interval,
        timeout_seconds=timeout,
        enabled=service.get("active_checks_enabled") != "0"
        and context.settings.get(f"execute_{service.type}_checks") != "0",
        tls=probe.tls,
        tags=_tags(service, host_name, context),
        note=service.get("notes") or (host.get("notes") if host else ""),
        has_login=probe.has_login,
        changes=changes,
        not_covered=_not_covered(probe, service, host, host_name, context),
    )


def _not_covered(
    probe: Probe, service: ResolvedObject, host: ResolvedObject | None, host_name: str, context: _Context
) -> tuple[str, ...]:
    settings = {key: text for key in _NOT_COVERED if (text := service.get(key))}
    parents = {"parents": host.get("parents")} if host is not None else {}
    depends = (host_name, service.get("service_description")) in context.dependent
    sentences = (*probe.not_covered, *not_covered.of_settings(settings | parents))
    return tuple(dict.fromkeys((*sentences, not_covered.DEPENDENCIES) if depends else sentences))


def _tags(service: ResolvedObject, host_name: str, context: _Context) -> tuple[str, ...]:
    service_groups = context.service_groups.get((host_name, service.get("service_description")), ())
    return tuple(
        dict.fromkeys((*context.groups.get(host_name, ()), *split_list(service.get("servicegroups")), *service_groups))
    )


def _interval(service: ResolvedObject, settings: Mapping[str, str]) -> tuple[float | None, tuple[str, ...]]:
    """Return the seconds between two checks, or None if the template that may define them is missing."""
    text = service.get("check_interval")
    unit = _number(settings.get("interval_length", "")) or DEFAULT_UNIT
    if not text:
        return (None if service.missing else DEFAULT_INTERVAL * unit), ()
    units = _number(text)
    if units is None:
        return None, (f"The check_interval {text!r} is not a number; the interval is empty.",)
    return units * unit, ()


def _no_command(service: ResolvedObject) -> UnsupportedCommand:
    if service.missing:
        templates = ", ".join(service.missing)
        return UnsupportedCommand(
            reason=f"The service has no check_command, and its template {templates} is not defined.", error=True
        )
    return UnsupportedCommand(reason="The service has no check_command: another program reports its results.")


def _origin(service: ResolvedObject, host: str) -> str:
    label = " / ".join(part for part in (host, service.get("service_description")) if part)
    return f"{service.origin}: {service.type} {label or service.name}".strip()


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()) else None
