"""The records of a comparison, and its lines.

In: nothing. Out: `Comparison`, which `compare` makes, and its lines for a file or a frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

ChangeKind = Literal["new", "gone", "changed"]
KINDS: Sequence[ChangeKind] = ("new", "gone", "changed")
NOT_COMPARED = "not compared"  # in place of a kind, for a row that could not be compared
NO_COLUMN = "the new input has no column for it"  # why a field is not compared


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field: its text before and after; empty: not set."""

    field: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changed about one monitor."""

    kind: ChangeKind
    row: int | None  # in the new input; of a monitor that is gone, in the old one; None: only the account has it
    monitor_id: str  # empty: not known
    type: str
    name: str
    host: str
    port: str  # empty: not given
    fields: tuple[FieldChange, ...]

    @property
    def server(self) -> str:
        """Host and port, as far as they are given."""
        return f"{self.host}:{self.port}" if self.port else self.host

    def as_json(self) -> dict[str, object]:
        """The change for JSON."""
        changed = asdict(self)
        return {"change": changed.pop("kind"), **changed}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """A row, or a monitor of the account, that could not be compared."""

    row: int | None  # None: only the account has it
    is_old: bool  # it is on the old side
    reason: str
    monitor_id: str = ""

    def sentence(self, name: str) -> str:
        """What to say about it; `name` is that of its input."""
        subject = f"monitor {self.monitor_id} of the account" if self.row is None else f"{name}: row {self.row}"
        return f"{subject} could not be compared: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How two inputs differ."""

    changes: Sequence[Change]  # in the order of the new input, then what is gone
    same: int  # monitors without a difference
    unclear: Sequence[Unclear] = ()
    silent_fields: Sequence[str] = ()  # fields of the old input that the new one has no column for

    def count(self, kind: ChangeKind) -> int:
        """The number of monitors that changed in this way."""
        return sum(change.kind == kind for change in self.changes)


class Line(NamedTuple):
    """A line of a comparison: of a monitor that is new or gone, a field that changed, or what is not compared."""

    change: str  # a `ChangeKind`, or `NOT_COMPARED`
    row: int | None
    is_old: bool  # the row is in the old input
    monitor_id: str = ""
    type: str = ""
    name: str = ""
    server: str = ""
    field: str = ""  # empty: the whole row
    old: str = ""
    new: str = ""


def comparison_lines(comparison: Comparison) -> Iterator[Line]:
    """Yield the lines; why something is not compared is the value of the side that it is on."""
    for change in comparison.changes:
        line = Line(
            change=change.kind,
            row=change.row,
            is_old=change.kind == "gone",
            monitor_id=change.monitor_id,
            type=change.type,
            name=change.name,
            server=change.server,
        )
        if change.kind == "changed":
            yield from (line._replace(field=each.field, old=each.old, new=each.new) for each in change.fields)
        else:
            yield line
    for unclear in comparison.unclear:
        old, new = (unclear.reason, "") if unclear.is_old else ("", unclear.reason)
        yield Line(NOT_COMPARED, unclear.row, unclear.is_old, monitor_id=unclear.monitor_id, old=old, new=new)
    for field in comparison.silent_fields:
        yield Line(NOT_COMPARED, None, False, field=field, new=NO_COLUMN)
