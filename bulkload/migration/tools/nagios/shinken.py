"""Determines what only Shinken and Alignak have: services of host templates, and hosts that exclude services.

In: resolved objects. Out: the hosts of an unregistered service, which names host templates (`smtp`, `smtp,imap` or
`mail&!(test|lab)`) in place of hosts; and whether a host has a service. Nagios itself ignores such services.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence, Set

from bulkload.migration.tools.nagios.grammar import split_list
from bulkload.migration.tools.nagios.inheritance import ResolvedObject
from bulkload.migration.tools.nagios.membership import Membership, Unresolvable, safe_pattern

MAX_EXPRESSION_DEPTH = 20  # levels of parentheses
_OPERATORS = "()&+|,!"
_COMPLEX = re.compile(r"[()&|!*]")  # without one of these, + is part of a name
_TOKEN = re.compile(r"[()&+|,!]|[^()&+|,!]+")

_Users = Mapping[str, Sequence[str]]  # template → the hosts that use it


def users_of_templates(members: Membership) -> dict[str, list[str]]:
    """Return the hosts that use each template, directly or through others. One without a definition is a tag."""
    users: dict[str, list[str]] = {}
    for host_name, host in members.hosts.items():
        for template in dict.fromkeys((*host.templates, *host.missing)):
            users.setdefault(template, []).append(host_name)
    return users


def hosts_using_templates(service: ResolvedObject, users: _Users, members: Membership) -> tuple[str, ...]:
    """Return the hosts that use the templates in the service's `host_name`."""
    expression = service.get("host_name")
    if not _COMPLEX.search(expression):
        return tuple(dict.fromkeys(host for name in split_list(expression) for host in users.get(name, ())))
    tokens = [token.strip() for token in _TOKEN.findall(expression) if token.strip()]
    selected = _Expression(tokens, users, members.hosts.keys()).hosts()
    return tuple(host for host in members.hosts if host in selected)


def has_service(host: ResolvedObject, description: str) -> bool:
    """Whether a host keeps a service of that description: it may list those to include or to exclude."""
    included, excluded = host.get("service_includes"), host.get("service_excludes")
    if included:
        return _is_listed(description, included)
    return not (excluded and _is_listed(description, excluded))


def _is_listed(description: str, patterns: str) -> bool:
    """Whether a list of names, globs (`g:mail*`) and regular expressions (`r:^mail`) contains a description."""
    for pattern in split_list(patterns):
        kind, colon, text = pattern.partition(":")
        if kind == "r" and colon:
            is_match = safe_pattern(text).match(description[:255]) is not None
        elif kind == "g" and colon:
            is_match = fnmatch.fnmatchcase(description, text)
        else:
            is_match = pattern in ("*", description)
        if is_match:
            return True
    return False


class _Expression:
    """A parser of expressions: `|` and `,` add hosts, `&` and `+` intersect them, and `!` removes them."""

    def __init__(self, tokens: Iterable[str], users: _Users, hosts: Set[str]) -> None:
        self._tokens = [*tokens]
        self._users = users
        self._hosts = hosts
        self._position = 0

    def hosts(self) -> set[str]:
        """Evaluate the whole expression. Raises `Unresolvable` if it is not valid."""
        hosts = self._any_of(0)
        if self._position < len(self._tokens):
            raise self._invalid()
        return hosts

    def _any_of(self, depth: int) -> set[str]:
        included: set[str] = set()
        excluded: set[str] = set()
        while True:
            is_excluded, hosts = self._all_of(depth)
            (excluded if is_excluded else included).update(hosts)
            if not self._next_is("|,"):
                return included - excluded

    def _all_of(self, depth: int) -> tuple[bool, set[str]]:
        """Return the hosts and whether they are excluded: a `!` that stands alone applies to its neighbours."""
        is_excluded, hosts = self._operand(depth)
        while self._next_is("&+"):
            is_next_excluded, next_hosts = self._operand(depth)
            if is_excluded and is_next_excluded:
                hosts = hosts | next_hosts
            elif is_excluded or is_next_excluded:
                hosts = next_hosts - hosts if is_excluded else hosts - next_hosts
                is_excluded = False
            else:
                hosts = hosts & next_hosts
        return is_excluded, hosts

    def _operand(self, depth: int) -> tuple[bool, set[str]]:
        is_excluded = self._next_is("!")
        if depth > MAX_EXPRESSION_DEPTH or self._position == len(self._tokens):
            raise self._invalid()
        if self._next_is("("):
            hosts = self._any_of(depth + 1)
            if not self._next_is(")"):
                raise self._invalid()
            return is_excluded, hosts
        token = self._tokens[self._position]
        if token in _OPERATORS:
            raise self._invalid()
        self._position += 1
        return is_excluded, set(self._hosts if token == "*" else self._users.get(token, ()))

    def _next_is(self, operators: str) -> bool:
        """Skip the next token if it is one of these operators."""
        if self._position < len(self._tokens) and self._tokens[self._position] in operators:
            self._position += 1
            return True
        return False

    def _invalid(self) -> Unresolvable:
        return Unresolvable(f"The expression {' '.join(self._tokens)[:100]!r} of host templates is not valid.")
