"""Converts the services of Nagios and its forks.

In: a parsed configuration. Out: a check or a skipped object for every service on every host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.tools.nagios import commands, membership
from bulkload.migration.tools.nagios.config_files import Configuration
from bulkload.migration.tools.nagios.grammar import split_list
from bulkload.migration.tools.nagios.inheritance import ResolvedObject, resolve
from bulkload.migration.tools.nagios.plugins import Probe, UnsupportedCommand, read_command_line

DEFAULT_INTERVAL = 5.0  # units of interval_length
DEFAULT_UNIT = 60.0  # seconds, the default of interval_length
MAX_SERVICES = 1_000_000  # services times hosts

_ServiceHosts = tuple[ResolvedObject, membership.HostList]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """The objects and settings that a service may refer to."""

    members: membership.Membership
    commands: Mapping[str, str]  # name → command line
    settings: Mapping[str, str]
    groups: Mapping[str, Sequence[str]]  # host → its groups
    service_groups: Mapping[tuple[str, str], Sequence[str]]  # host and description → groups that name the service


def services(configuration: Configuration) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every service on every host."""
    objects = resolve(configuration.definitions)
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
    )
    service_objects = [item for item in objects if item.type == "service"]
    if not service_objects:
        yield SkippedObject(
            origin="all files",
            reason="The files contain no services; add the files with services to the input.",
            error=True,
        )
    resolved: list[_ServiceHosts] = []
    for service in service_objects:
        outcome = _hosts(service, members)
        if isinstance(outcome, SkippedObject):
            yield outcome
        else:
            resolved.append((service, outcome))
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


def _hosts(service: ResolvedObject, members: membership.Membership) -> membership.HostList | SkippedObject:
    """Return the hosts of a service, or why it has none."""
    origin = _origin(service, "")
    if service.problem:
        return SkippedObject(origin=origin, reason=service.problem, error=True)
    try:
        hosts = membership.hosts_of(service, members)
    except membership.Unresolvable as error:
        return SkippedObject(origin=origin, reason=str(error), error=True)
    return hosts if hosts.named or hosts.grouped else _without_hosts(service, origin)


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


def _without_hosts(service: ResolvedObject, origin: str) -> SkippedObject:
    if service.get("host_name") or service.get("hostgroup_name"):
        return SkippedObject(
            origin=origin, reason="The service has no hosts: its groups are empty or all hosts are excluded."
        )
    if service.missing:
        templates = ", ".join(service.missing)
        return SkippedObject(
            origin=origin, reason=f"The service has no host, and its template {templates} is not defined.", error=True
        )
    return SkippedObject(origin=origin, reason="The service has no host and no host group.", error=True)


def _service(
    service: ResolvedObject,
    host_name: str,
    context: _Context,
) -> Check | SkippedObject:
    """Translate one service on one host."""
    origin = _origin(service, host_name)
    host = context.members.hosts.get(host_name)
    if host is not None and host.problem:
        return SkippedObject(origin=origin, reason=f"Host {host_name}: {host.problem}", error=True)
    check_command = service.get("check_command")
    if not check_command:
        return SkippedObject(origin=origin, reason=_no_command(service), error=bool(service.missing))
    name, arguments = commands.split_command(check_command)
    line = context.commands.get(name) or commands.standard_command(name, arguments)
    if line is None:
        return _unknown_command(origin, name, arguments)
    macros = commands.macros_of(service, host_name, host)
    probe = read_command_line(commands.command_line(line, arguments, macros))
    if isinstance(probe, UnsupportedCommand):
        return SkippedObject(origin=origin, reason=probe.reason, error=probe.error)
    if service.get("check_freshness") == "1" and service.get("active_checks_enabled") == "0":
        return SkippedObject(origin=origin, reason="The service is passive: another program reports its results.")
    return _check(origin, probe, service, host_name, context)


def _check(
    origin: str,
    probe: Probe,
    service: ResolvedObject,
    host_name: str,
    context: _Context,
) -> Check | SkippedObject:
    macros = commands.unresolved_macros(" ".join((probe.host, probe.port, probe.timeout)))
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
    missing = (*service.missing, *(host.missing if host else ()))
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
        enabled=service.get("active_checks_enabled") != "0" and context.settings.get("execute_service_checks") != "0",
        tls=probe.tls,
        tags=_tags(service, host_name, context),
        note=service.get("notes") or (host.get("notes") if host else ""),
        has_login=probe.has_login,
        changes=changes,
    )


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


def _no_command(service: ResolvedObject) -> str:
    if service.missing:
        return f"The service has no check_command, and its template {', '.join(service.missing)} is not defined."
    return "The service has no check_command: another program reports its results."


def _unknown_command(origin: str, name: str, arguments: Sequence[str]) -> SkippedObject:
    if commands.is_known_not_mail(name):
        return SkippedObject(origin=origin, reason=f"{name} does not test a mail port.")
    if commands.may_be_mail(name) or (name.startswith("check_tcp") and arguments):
        return SkippedObject(
            origin=origin,
            reason=f"The command {name} is not defined in these files; add the file that defines it.",
            error=True,
        )
    return SkippedObject(origin=origin, reason=f"The command {name} is not defined in these files.")


def _origin(service: ResolvedObject, host: str) -> str:
    label = " / ".join(part for part in (host, service.get("service_description")) if part)
    return f"{service.origin}: service {label}".strip()


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()) else None
