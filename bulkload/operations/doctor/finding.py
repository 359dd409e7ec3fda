"""Define a finding: one line about what an account does.

In: what was observed. Out: a record that the command line prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]  # a monitor as the API returns it


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an account does, and what that means for bulkload."""

    topic: str  # at most 12 characters
    behaviour: str  # what the account does
    consequence: str  # what that means for bulkload
    is_problem: bool = False  # runs are unsafe or incomplete in this account
    public_behaviour: str | None = None  # without private data, for `--json`; None: `behaviour` has none


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 page", "2 pages"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
