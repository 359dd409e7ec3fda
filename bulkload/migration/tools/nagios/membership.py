"""Which hosts a Nagios service runs on: hosts, groups and a service go in, host names come out.

Lists know `*`, `!excluded`, groups inside groups, hosts that name their groups themselves, and regular
expressions where nagios.cfg turns them on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bulkload.migration.tools.nagios.grammar import names
from bulkload.migration.tools.nagios.inheritance import Resolved

MAX_PATTERN_REPEATS = 3  # more of them can keep a regular expression busy for hours
_REPEAT = re.compile(r"[*+?{]")
_LOOKS_REGULAR = re.compile(r"[*+?]|\\\.")


class Unresolvable(ValueError):
    """A list of hosts that cannot be worked out; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The hosts there are and the groups they are in."""

    hosts: Mapping[str, Resolved]
    groups: Mapping[str, Sequence[str]]  # group → what its `members` and the hosts themselves say
    nested: Mapping[str, Sequence[str]]  # group → groups inside it
    regular: bool = False  # use_regexp_matching
    all_regular: bool = False  # use_true_regexp_matching
    expanded: dict[str, Sequence[str]] = field(default_factory=dict)  # groups that have been worked out so far


@dataclass(frozen=True, slots=True, kw_only=True)
class HostList:
    """Where a service runs."""

    named: tuple[str, ...]  # by host_name
    grouped: tuple[str, ...]  # through a host group, and not by name


def membership(objects: Iterable[Resolved], *, regular: bool, all_regular: bool) -> Membership:
    """Collect hosts and groups out of all objects."""
    hosts: dict[str, Resolved] = {}
    groups: dict[str, list[str]] = {}
    nested: dict[str, list[str]] = {}
    for item in objects:
        if item.type == "host":
            for name in names(item.get("host_name") or item.get("name")):
                hosts.setdefault(name, item)
                for group in names(item.get("hostgroups")):
                    groups.setdefault(group, []).append(name)
        elif item.type == "hostgroup":
            name = item.get("hostgroup_name")
            groups.setdefault(name, []).extend(names(item.get("members")))
            nested.setdefault(name, []).extend(names(item.get("hostgroup_members")))
    return Membership(hosts=hosts, groups=groups, nested=nested, regular=regular, all_regular=all_regular)


def hosts_of(service: Resolved, members: Membership) -> HostList:
    """The hosts a service runs on, those excluded taken off."""
    named, without = _split(names(service.get("host_name")), members.hosts, members, keep_unknown=True)
    groups, without_groups = _split(names(service.get("hostgroup_name")), members.groups, members, keep_unknown=False)
    excluded = set(without)
    for group in without_groups:
        excluded.update(_members_of(group, members))
    in_groups = dict.fromkeys(host for group in groups for host in _members_of(group, members))
    return HostList(
        named=tuple(host for host in named if host not in excluded),
        grouped=tuple(host for host in in_groups if host not in excluded and host not in named),
    )


def groups_by_host(members: Membership) -> dict[str, list[str]]:
    """The groups that every host is in, also through other groups; groups that cannot be worked out count for none."""
    found: dict[str, list[str]] = {}
    for group in members.groups:
        try:
            hosts = _members_of(group, members)
        except Unresolvable:
            continue
        for host in hosts:
            found.setdefault(host, []).append(group)
    return found


def _members_of(group: str, members: Membership) -> Sequence[str]:
    """The hosts of a group and of the groups inside it."""
    if group in members.expanded:
        return members.expanded[group]
    included: dict[str, None] = {}
    excluded: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(group, (group,))]
    seen: set[str] = set()
    while waiting:
        name, way = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if name not in members.groups:
            raise Unresolvable(f"The host group {name} is not defined in these files.")
        take, leave = _split(members.groups[name], members.hosts, members, keep_unknown=True)
        included.update(dict.fromkeys(take))
        excluded.update(leave)
        for inner in members.nested.get(name, ()):
            if inner in way:
                raise Unresolvable(f"The host groups contain each other ({' → '.join((*way, inner))}).")
            waiting.append((inner, (*way, inner)))
    members.expanded[group] = [host for host in included if host not in excluded]
    return members.expanded[group]


def _split(
    items: Sequence[str], known: Mapping[str, object], members: Membership, *, keep_unknown: bool
) -> tuple[list[str], list[str]]:
    """The names that a list means, and those it excludes."""
    take: dict[str, None] = {}
    leave: dict[str, None] = {}
    for item in items:
        bucket = leave if item.startswith("!") else take
        name = item.lstrip("!").strip()
        if name == "*":
            bucket.update(dict.fromkeys(known))
        elif name in known:
            bucket[name] = None
        elif members.all_regular or (members.regular and _LOOKS_REGULAR.search(name)):
            pattern = _pattern(name)
            bucket.update(dict.fromkeys(host for host in known if pattern.search(host[:255])))
        elif keep_unknown or bucket is leave:
            bucket[name] = None
        else:
            raise Unresolvable(f"The host group {name} is not defined in these files.")
    return list(take), list(leave)


def _pattern(text: str) -> re.Pattern[str]:
    """A regular expression, refused when matching it might never end."""
    if len(_REPEAT.findall(text)) > MAX_PATTERN_REPEATS or re.search(r"\)[*+?{]", text):
        raise Unresolvable(f"The host pattern {text!r} is too complicated to be worked out safely.")
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unresolvable(f"The host pattern {text!r} is not a regular expression that is understood.") from error
