"""Templates of the Nagios family: definitions go in, objects with everything they inherit come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bulkload.migration.tools.nagios.grammar import Definition, names

MAX_TEMPLATE_DEPTH = 50  # templates above templates
MAX_VALUE_CHARS = 1_000_000  # of one directive with everything that + adds to it
_NOT_INHERITED = frozenset({"use", "name", "register"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A definition with what its templates give it."""

    type: str
    place: str
    directives: Mapping[str, str]
    templates: tuple[str, ...] = ()  # every template above it
    missing: tuple[str, ...] = ()  # templates that are named and nowhere defined
    problem: str = ""  # a sentence: why it cannot be resolved

    def get(self, directive: str) -> str:
        """The value of a directive, empty when it is not there."""
        return self.directives.get(directive, "")


def resolve(definitions: Sequence[Definition]) -> list[Resolved]:
    """Every object that is meant to exist; pure templates (`register 0`) are not among them."""
    templates: dict[tuple[str, str], Definition] = {}
    for definition in definitions:
        if definition.get("name"):
            templates.setdefault((definition.type, definition.get("name")), definition)
    finished: dict[int, Resolved] = {}
    return [
        _closed(_resolve(definition, templates, finished, ()))
        for definition in definitions
        if definition.get("register") != "0"
    ]


def _resolve(
    definition: Definition,
    templates: Mapping[tuple[str, str], Definition],
    finished: dict[int, Resolved],
    below: tuple[str, ...],
) -> Resolved:
    """What a definition says and inherits, with the `+` of additive values still in place."""
    known = finished.get(id(definition))
    if known is not None:
        return known
    values = {key: value for key, value in definition.directives.items() if key not in _NOT_INHERITED}
    seen: list[str] = []
    missing: list[str] = []
    problem = ""
    for name in dict.fromkeys(names(definition.get("use"))):
        if name in below:
            problem = f"The templates inherit from each other in a circle ({' → '.join((*below, name))})."
            break
        if len(below) >= MAX_TEMPLATE_DEPTH:
            problem = f"More than {MAX_TEMPLATE_DEPTH} templates inherit from one another."
            break
        template = templates.get((definition.type, name))
        if template is None:
            missing.append(name)
            continue
        above = _resolve(template, templates, finished, (*below, name))
        if above.problem:
            problem = above.problem
            break
        seen += [name, *above.templates]
        missing += above.missing
        for key, value in above.directives.items():
            own = values.get(key)
            if own is None:
                values[key] = value
            elif own.startswith("+") and value != "null":
                values[key] = f"{value},{own[1:]}"  # a + of the template stays and reaches further up
                if len(values[key]) > MAX_VALUE_CHARS:
                    problem = f"Its {key} grows beyond {MAX_VALUE_CHARS:,} characters through its templates."
                    values[key] = own
    resolved = Resolved(
        type=definition.type,
        place=definition.place,
        directives=values,
        templates=tuple(dict.fromkeys(seen)),
        missing=tuple(dict.fromkeys(missing)),
        problem=problem,
    )
    if not problem:  # what a circle cut short must not be taken for the whole
        finished[id(definition)] = resolved
    return resolved


def _closed(resolved: Resolved) -> Resolved:
    """The object as it ends up: no `+`, and `null` means nothing."""
    values = {
        key: value.removeprefix("+")
        for key, value in resolved.directives.items()
        if value.removeprefix("+").strip() != "null"
    }
    return Resolved(
        type=resolved.type,
        place=resolved.place,
        directives=values,
        templates=resolved.templates,
        missing=resolved.missing,
        problem=resolved.problem,
    )
