"""Makes the names of rows unique.

In: the preferred names. Out: unique names in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from bulkload.monitors.fields import LONGEST_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class RowName:
    """A row's preferred name and the values that may be added to it."""

    name: str
    type: str
    host: str
    port: int | None
    fixed: bool = False  # keep the name: an existing monitor is recognised by it


# The first suffix that makes all rows of one name distinct is used.
_SUFFIXES: tuple[Callable[[RowName], str], ...] = (
    lambda row: f" :{row.port}",
    lambda row: f" {row.host}",
    lambda row: f" {row.host}:{row.port}",
    lambda row: f" {row.type} {row.host}:{row.port}",
)


def make_unique(rows: Sequence[RowName]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the name of each row, with sentences if it differs from the preferred one."""
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row.name.casefold(), []).append(index)
    taken = {row.name.casefold() for row in rows}
    result = [(_with_suffix(row.name, ""), _length_changes(row)) for row in rows]
    for members in groups.values():
        renamable = [index for index in members if not rows[index].fixed]
        if len(members) == 1 or not renamable:
            continue
        for index, name in zip(renamable, _distinct([rows[index] for index in renamable], taken), strict=True):
            taken.add(name.casefold())
            change = f"The name {rows[index].name[:100]!r} is used more than once, so it becomes {name!r}."
            result[index] = (name, (change,))
    return _without_duplicates(rows, result)


def _distinct(rows: Sequence[RowName], taken: set[str]) -> list[str]:
    """Return names with the first suffix that makes them distinct, or else with a number."""
    for suffix in _SUFFIXES:
        names = [_with_suffix(row.name, suffix(row)) for row in rows]
        folded = {name.casefold() for name in names}
        if len(folded) == len(rows) and not folded & taken:
            return names
    numbered: list[str] = []
    used = set(taken)
    numbers = count(1)
    for row in rows:
        name = next(
            name for number in numbers if (name := _with_suffix(row.name, f" ({number})")).casefold() not in used
        )
        used.add(name.casefold())
        numbered.append(name)
    return numbered


def _without_duplicates(
    rows: Sequence[RowName], result: list[tuple[str, tuple[str, ...]]]
) -> list[tuple[str, tuple[str, ...]]]:
    """Add a number to names that became equal because they were shortened."""
    used: set[str] = set()
    counters: dict[str, count[int]] = {}  # one per name, so that thousands of duplicates take linear time
    for index, (name, changes) in enumerate(result):
        if name.casefold() in used and not rows[index].fixed:
            numbers = counters.setdefault(name.casefold(), count(2))
            name = next(new for number in numbers if (new := _with_suffix(name, f" ({number})")).casefold() not in used)
            change = f"The name becomes {name!r}, because another row has the same shortened name."
            result[index] = (name, (*changes, change))
        used.add(name.casefold())
    return result


def _with_suffix(name: str, suffix: str) -> str:
    return (
        name[: LONGEST_NAME - len(suffix)].rstrip() + suffix
        if len(name) + len(suffix) > LONGEST_NAME
        else name + suffix
    )


def _length_changes(row: RowName) -> tuple[str, ...]:
    return (f"The name is shortened to {LONGEST_NAME} characters.",) if len(row.name) > LONGEST_NAME else ()
