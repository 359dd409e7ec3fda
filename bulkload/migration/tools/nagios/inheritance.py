"""Resolves the templates of Nagios and its forks.

In: definitions. Out: objects with all inherited directives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bulkload.migration.tools.nagios.grammar import Definition, split_list

MAX_TEMPLATE_DEPTH = 50  # levels of inheritance
MAX_VALUE_CHARS = 1_000_000  # of one directive with all values that + adds
_NOT_INHERITED = frozenset({"use", "name", "register"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedObject:
    """A definition with the directives it inherits."""

    type: str
    origin: str
    directives: Mapping[str, str]
    templates: tuple[str, ...] = ()  # all templates it inherits from
    missing: tuple[str, ...] = ()  # templates that are not defined
    problem: str = ""  # a sentence: why it cannot be resolved
    name: str = ""  # under which other objects inherit from it
    is_registered: bool = True  # False: `register 0`

    def get(self, directive: str) -> str:
        """Return the value of a directive, or ""."""
        return self.directives.get(directive, "")


def resolve(definitions: Sequence[Definition]) -> list[ResolvedObject]:
    """Return all objects, also the unregistered ones."""
    templates: dict[tuple[str, str], Definition] = {}
    for definition in definitions:
        if definition.get("name"):
            templates.setdefault((definition.type, definition.get("name")), definition)
    cache: dict[int, ResolvedObject] = {}
    return [_finalise(_resolve(definition, templates, cache, ())) for definition in definitions]


def _resolve(
    definition: Definition,
    templates: Mapping[tuple[str, str], Definition],
    cache: dict[int, ResolvedObject],
    path: tuple[str, ...],
) -> ResolvedObject:
    """Resolve one definition. The `+` of additive values is kept; `path` holds the templates being resolved."""
    cached = cache.get(id(definition))
    if cached is not None:
        return cached
    values = {key: value for key, value in definition.directives.items() if key not in _NOT_INHERITED}
    seen: list[str] = []
    missing: list[str] = []
    problem = ""
    for name in dict.fromkeys(split_list(definition.get("use"))):
        if name in path:
            problem = f"The templates inherit from each other in a cycle ({' → '.join((*path, name))})."
            break
        if len(path) >= MAX_TEMPLATE_DEPTH:
            problem = f"The templates are nested more than {MAX_TEMPLATE_DEPTH} levels deep."
            break
        template = templates.get((definition.type, name))
        if template is None:
            missing.append(name)
            continue
        parent = _resolve(template, templates, cache, (*path, name))
        if parent.problem:
            problem = parent.problem
            break
        seen += [name, *parent.templates]
        missing += parent.missing
        for key, value in parent.directives.items():
            own_value = values.get(key)
            if own_value is None:
                values[key] = value
            elif own_value.startswith("+") and value != "null":
                values[key] = f"{value},{own_value[1:]}"  # a + of the template still applies to its own templates
                if len(values[key]) > MAX_VALUE_CHARS:
                    problem = f"The value of {key} with its templates has more than {MAX_VALUE_CHARS:,} characters."
                    values[key] = own_value
    resolved = ResolvedObject(
        type=definition.type,
        origin=definition.origin,
        directives=values,
        templates=tuple(dict.fromkeys(seen)),
        missing=tuple(dict.fromkeys(missing)),
        problem=problem,
        name=definition.get("name"),
        is_registered=definition.is_registered,
    )
    if not problem:  # a result that a cycle cut short is incomplete
        cache[id(definition)] = resolved
    return resolved


def _finalise(resolved: ResolvedObject) -> ResolvedObject:
    """Remove the `+` of additive values and the directives set to `null`."""
    values = {
        key: value.removeprefix("+")
        for key, value in resolved.directives.items()
        if value.removeprefix("+").strip() != "null"
    }
    return replace(resolved, directives=values)
