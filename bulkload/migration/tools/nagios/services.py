"""Services of the Nagios family: the tree of definitions goes in, a check or a reason for every service comes out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.tools.nagios import commands, membership
from bulkload.migration.tools.nagios.config_files import Tree
from bulkload.migration.tools.nagios.grammar import names
from bulkload.migration.tools.nagios.inheritance import Resolved, resolve
from bulkload.migration.tools.nagios.plugins import NoProbe, Probe, read_command_line

DEFAULT_INTERVAL = 5.0  # units of interval_length, where a service says nothing
DEFAULT_UNIT = 60.0  # seconds, nagios.cfg's interval_length
MAX_SERVICES = 1_000_000  # services times hosts

_Placed = tuple[Resolved, membership.HostList]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """Everything a service may refer to."""

    members: membership.Membership
    commands: Mapping[str, str]  # name → command line
    settings: Mapping[str, str]
    groups: Mapping[str, Sequence[str]]  # host → its groups
    service_groups: Mapping[tuple[str, str], Sequence[str]]  # host and description → groups that name the service


def services(tree: Tree) -> Iterator[Check | SkippedObject]:
    """Every service on every host it runs on."""
    objects = resolve(tree.definitions)
    members = membership.membership(
        objects,
        regular=tree.settings.get("use_regexp_matching") == "1",
        all_regular=tree.settings.get("use_true_regexp_matching") == "1",
    )
    site = _Site(
        members=members,
        commands={item.get("command_name"): item.get("command_line") for item in objects if item.type == "command"},
        settings=tree.settings,
        groups=membership.groups_by_host(members),
        service_groups=_service_groups(objects),
    )
    found = [item for item in objects if item.type == "service"]
    if not found:
        yield SkippedObject(
            origin="all files",
            reason=f"No service is among the definitions ({len(tree.definitions):,}); give the files with services.",
            error=True,
        )
    placed: list[_Placed] = []
    for service in found:
        outcome = _placed(service, members)
        if isinstance(outcome, SkippedObject):
            yield outcome
        else:
            placed.append((service, outcome))
    if sum(len(hosts.named) + len(hosts.grouped) for _, hosts in placed) > MAX_SERVICES:
        raise InputError(f"The files stand for more than {MAX_SERVICES:,} services, the most that is read.")
    first = _first(placed)
    for service, hosts in placed:
        for host in (*hosts.named, *hosts.grouped):
            winner = first[host, service.get("service_description")]
            if winner is service:
                yield _service(service, host, site)
            else:
                yield SkippedObject(
                    origin=_origin(service, host),
                    reason=f"The same service of the same host is defined at {winner.place}, which comes first.",
                )


def _placed(service: Resolved, members: membership.Membership) -> membership.HostList | SkippedObject:
    """Where a service runs, or why it runs nowhere."""
    origin = _origin(service, "")
    if service.problem:
        return SkippedObject(origin=origin, reason=service.problem, error=True)
    try:
        hosts = membership.hosts_of(service, members)
    except membership.Unresolvable as error:
        return SkippedObject(origin=origin, reason=str(error), error=True)
    return hosts if hosts.named or hosts.grouped else _homeless(service, origin)


def _first(placed: Sequence[_Placed]) -> dict[tuple[str, str], Resolved]:
    """Which of the services of one description a host gets: the one that names it wins over one from a group."""
    first: dict[tuple[str, str], Resolved] = {}
    for service, hosts in placed:
        for host in hosts.named:
            first.setdefault((host, service.get("service_description")), service)
    for service, hosts in placed:
        for host in hosts.grouped:
            first.setdefault((host, service.get("service_description")), service)
    return first


def _service_groups(objects: Sequence[Resolved]) -> dict[tuple[str, str], list[str]]:
    """The groups that name services, as host,service,host,service."""
    groups: dict[tuple[str, str], list[str]] = {}
    for item in objects:
        if item.type == "servicegroup":
            pairs = iter(names(item.get("members")))
            for host, description in zip(pairs, pairs, strict=False):
                groups.setdefault((host, description), []).append(item.get("servicegroup_name"))
    return groups


def _homeless(service: Resolved, origin: str) -> SkippedObject:
    if service.get("host_name") or service.get("hostgroup_name"):
        return SkippedObject(
            origin=origin, reason="It runs on no host: its groups are empty or all hosts are excluded."
        )
    if service.missing:
        names = ", ".join(service.missing)
        return SkippedObject(
            origin=origin, reason=f"It names no host, and its template {names} is not defined.", error=True
        )
    return SkippedObject(origin=origin, reason="It names no host and no host group.", error=True)


def _service(
    service: Resolved,
    host_name: str,
    site: _Site,
) -> Check | SkippedObject:
    """One service on one host."""
    origin = _origin(service, host_name)
    host = site.members.hosts.get(host_name)
    if host is not None and host.problem:
        return SkippedObject(origin=origin, reason=f"Its host: {host.problem}", error=True)
    value = service.get("check_command")
    if not value:
        return SkippedObject(origin=origin, reason=_no_command(service), error=bool(service.missing))
    name, arguments = commands.split_command(value)
    line = site.commands.get(name) or commands.well_known(name, arguments)
    if line is None:
        return _unknown_command(origin, name, arguments)
    macros = commands.macros_of(service, host_name, host)
    probe = read_command_line(commands.command_line(line, arguments, macros))
    if isinstance(probe, NoProbe):
        return SkippedObject(origin=origin, reason=probe.reason, error=probe.error)
    if service.get("check_freshness") == "1" and service.get("active_checks_enabled") == "0":
        return SkippedObject(origin=origin, reason="It is passive: its results come from elsewhere.")
    return _check(origin, probe, service, host_name, site)


def _check(
    origin: str,
    probe: Probe,
    service: Resolved,
    host_name: str,
    site: _Site,
) -> Check | SkippedObject:
    open_macros = commands.open_macros(" ".join((probe.host, probe.port, probe.timeout)))
    if open_macros:
        undefined = "" if host_name in site.members.hosts else f" (the host {host_name} is not defined in these files)"
        return SkippedObject(origin=origin, reason=f"The macro {open_macros[0]} has no value{undefined}.", error=True)
    if not probe.host:
        return SkippedObject(origin=origin, reason="Its command line names no host to test.", error=True)
    port, timeout = _number(probe.port), _number(probe.timeout)
    if port is None or port != int(port):
        return SkippedObject(origin=origin, reason=f"Its port {probe.port!r} is not a number.", error=True)
    interval, changes = _interval(service, site.settings)
    host = site.members.hosts.get(host_name)
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
        enabled=service.get("active_checks_enabled") != "0" and site.settings.get("execute_service_checks") != "0",
        tls=probe.tls,
        tags=_tags(service, host_name, site),
        note=service.get("notes") or (host.get("notes") if host else ""),
        has_login=probe.has_login,
        changes=changes,
    )


def _tags(service: Resolved, host_name: str, site: _Site) -> tuple[str, ...]:
    named = site.service_groups.get((host_name, service.get("service_description")), ())
    return tuple(dict.fromkeys((*site.groups.get(host_name, ()), *names(service.get("servicegroups")), *named)))


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


def _unknown_command(origin: str, name: str, arguments: Sequence[str]) -> SkippedObject:
    if commands.is_known_not_mail(name):
        return SkippedObject(origin=origin, reason=f"{name} is no test of a mail port.")
    if commands.sounds_like_mail(name) or (name.startswith("check_tcp") and arguments):
        return SkippedObject(
            origin=origin,
            reason=f"The command {name} is not defined in these files; give the file that defines it.",
            error=True,
        )
    return SkippedObject(origin=origin, reason=f"The command {name} is not defined in these files.")


def _origin(service: Resolved, host: str) -> str:
    what = " / ".join(part for part in (host, service.get("service_description")) if part)
    return f"{service.place}: service {what}".strip()


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text.strip()) else None
