"""Names that tell rows apart: what rows would be called goes in, unique names come out, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from bulkload.monitors.fields import LONGEST_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class RowName:
    """A row's name, and what else is known of it."""

    name: str
    type: str
    host: str
    port: int | None
    fixed: bool = False  # the name must stay: it is how a monitor that exists is found again


# The shortest suffix that tells all rows of one name apart is taken.
_SUFFIXES: tuple[Callable[[RowName], str], ...] = (
    lambda row: f" :{row.port}",
    lambda row: f" {row.host}",
    lambda row: f" {row.host}:{row.port}",
    lambda row: f" {row.type} {row.host}:{row.port}",
)


def make_unique(rows: Sequence[RowName]) -> list[tuple[str, tuple[str, ...]]]:
    """The name of each row, with a sentence where it is not the one that was asked for."""
    groups: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        groups.setdefault(row.name.casefold(), []).append(at)
    taken = {row.name.casefold() for row in rows}
    result = [(_fitting(row.name, ""), _about_length(row)) for row in rows]
    for members in groups.values():
        loose = [at for at in members if not rows[at].fixed]
        if len(members) == 1 or not loose:
            continue
        for at, name in zip(loose, _distinct([rows[at] for at in loose], taken), strict=True):
            taken.add(name.casefold())
            result[at] = (name, (f"The name {rows[at].name[:100]!r} is used more than once, so it becomes {name!r}.",))
    return _without_cut_duplicates(rows, result)


def _distinct(rows: Sequence[RowName], taken: set[str]) -> list[str]:
    """Names with the first kind of suffix that makes them differ, else with a number."""
    for suffix in _SUFFIXES:
        names = [_fitting(row.name, suffix(row)) for row in rows]
        folded = {name.casefold() for name in names}
        if len(folded) == len(rows) and not folded & taken:
            return names
    numbered: list[str] = []
    used = set(taken)
    numbers = count(1)
    for row in rows:
        name = next(name for number in numbers if (name := _fitting(row.name, f" ({number})")).casefold() not in used)
        used.add(name.casefold())
        numbered.append(name)
    return numbered


def _without_cut_duplicates(
    rows: Sequence[RowName], result: list[tuple[str, tuple[str, ...]]]
) -> list[tuple[str, tuple[str, ...]]]:
    """Number names that became the same only because both were cut."""
    used: set[str] = set()
    counters: dict[str, count[int]] = {}  # one per name, so that thousands of twins are not counted anew
    for at, (name, changes) in enumerate(result):
        if name.casefold() in used and not rows[at].fixed:
            numbers = counters.setdefault(name.casefold(), count(2))
            name = next(new for number in numbers if (new := _fitting(name, f" ({number})")).casefold() not in used)
            result[at] = (name, (*changes, f"The name becomes {name!r}, because another is the same after cutting."))
        used.add(name.casefold())
    return result


def _fitting(name: str, suffix: str) -> str:
    return (
        name[: LONGEST_NAME - len(suffix)].rstrip() + suffix
        if len(name) + len(suffix) > LONGEST_NAME
        else name + suffix
    )


def _about_length(row: RowName) -> tuple[str, ...]:
    return (f"The name is cut to {LONGEST_NAME} characters.",) if len(row.name) > LONGEST_NAME else ()
