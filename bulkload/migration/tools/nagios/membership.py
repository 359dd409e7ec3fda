"""Determines the hosts of a Nagios service.

In: hosts, host groups and a service. Out: host names. Supported are `*`, `!excluded`, nested groups, hosts that name
their own groups, and regular expressions if nagios.cfg enables them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bulkload.migration.tools.nagios.grammar import split_list
from bulkload.migration.tools.nagios.inheritance import ResolvedObject

MAX_PATTERN_REPEATS = 3  # more can make a regular expression run for hours
_REPEAT = re.compile(r"[*+?{]")
_LOOKS_LIKE_REGEX = re.compile(r"[*+?]|\\\.")


class Unresolvable(ValueError):
    """A list of hosts cannot be resolved. The message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """All hosts and the groups they are in."""

    hosts: Mapping[str, ResolvedObject]
    groups: Mapping[str, Sequence[str]]  # group → entries of its `members` and hosts that name it
    nested: Mapping[str, Sequence[str]]  # group → its `hostgroup_members`
    is_regex_enabled: bool = False  # use_regexp_matching
    is_regex_always: bool = False  # use_true_regexp_matching
    expanded: dict[str, Sequence[str]] = field(default_factory=dict)  # cache: group → its hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class HostList:
    """The hosts of a service."""

    named: tuple[str, ...]  # listed in host_name
    grouped: tuple[str, ...]  # only through a host group


def membership(objects: Iterable[ResolvedObject], *, is_regex_enabled: bool, is_regex_always: bool) -> Membership:
    """Collect the hosts and groups of all objects."""
    hosts: dict[str, ResolvedObject] = {}
    groups: dict[str, list[str]] = {}
    nested: dict[str, list[str]] = {}
    for item in objects:
        if item.type == "host":
            for name in split_list(item.get("host_name") or item.get("name")):
                hosts.setdefault(name, item)
                for group in split_list(item.get("hostgroups")):
                    groups.setdefault(group, []).append(name)
        elif item.type == "hostgroup":
            name = item.get("hostgroup_name")
            groups.setdefault(name, []).extend(split_list(item.get("members")))
            nested.setdefault(name, []).extend(split_list(item.get("hostgroup_members")))
    return Membership(
        hosts=hosts, groups=groups, nested=nested, is_regex_enabled=is_regex_enabled, is_regex_always=is_regex_always
    )


def hosts_of(service: ResolvedObject, members: Membership) -> HostList:
    """Return the hosts of a service, without excluded hosts."""
    named, excluded_hosts = _split(split_list(service.get("host_name")), members.hosts, members, keep_unknown=True)
    groups, excluded_groups = _split(
        split_list(service.get("hostgroup_name")), members.groups, members, keep_unknown=False
    )
    excluded = set(excluded_hosts)
    for group in excluded_groups:
        excluded.update(_members_of(group, members))
    in_groups = dict.fromkeys(host for group in groups for host in _members_of(group, members))
    return HostList(
        named=tuple(host for host in named if host not in excluded),
        grouped=tuple(host for host in in_groups if host not in excluded and host not in named),
    )


def groups_by_host(members: Membership) -> dict[str, list[str]]:
    """Return the groups of every host, direct or nested. Groups that cannot be resolved are left out."""
    result: dict[str, list[str]] = {}
    for group in members.groups:
        try:
            hosts = _members_of(group, members)
        except Unresolvable:
            continue
        for host in hosts:
            result.setdefault(host, []).append(group)
    return result


def _members_of(group: str, members: Membership) -> Sequence[str]:
    """Return the hosts of a group and of its nested groups."""
    if group in members.expanded:
        return members.expanded[group]
    included: dict[str, None] = {}
    excluded: set[str] = set()
    queue: list[tuple[str, tuple[str, ...]]] = [(group, (group,))]
    seen: set[str] = set()
    while queue:
        name, path = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name not in members.groups:
            raise Unresolvable(f"The host group {name} is not defined in these files.")
        included_hosts, excluded_hosts = _split(members.groups[name], members.hosts, members, keep_unknown=True)
        included.update(dict.fromkeys(included_hosts))
        excluded.update(excluded_hosts)
        for inner in members.nested.get(name, ()):
            if inner in path:
                raise Unresolvable(f"The host groups contain each other ({' → '.join((*path, inner))}).")
            queue.append((inner, (*path, inner)))
    members.expanded[group] = [host for host in included if host not in excluded]
    return members.expanded[group]


def _split(
    items: Sequence[str], known: Mapping[str, object], members: Membership, *, keep_unknown: bool
) -> tuple[list[str], list[str]]:
    """Return the included and the excluded names of a list."""
    included: dict[str, None] = {}
    excluded: dict[str, None] = {}
    for item in items:
        target = excluded if item.startswith("!") else included
        name = item.lstrip("!").strip()
        if name == "*":
            target.update(dict.fromkeys(known))
        elif name in known:
            target[name] = None
        elif members.is_regex_always or (members.is_regex_enabled and _LOOKS_LIKE_REGEX.search(name)):
            pattern = safe_pattern(name)
            target.update(dict.fromkeys(host for host in known if pattern.search(host[:255])))
        elif keep_unknown or target is excluded:
            target[name] = None
        else:
            raise Unresolvable(f"The host group {name} is not defined in these files.")
    return list(included), list(excluded)


def safe_pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression. Raises `Unresolvable` if matching it may take too long."""
    if len(_REPEAT.findall(text)) > MAX_PATTERN_REPEATS or re.search(r"\)[*+?{]", text):
        raise Unresolvable(f"The host pattern {text!r} is too complex to be evaluated safely.")
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unresolvable(f"The host pattern {text!r} is not a supported regular expression.") from error
