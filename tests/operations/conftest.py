"""Fixtures for the tests of operations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.draft_workplace import Workplace, workplace_in


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Workplace]:
    """A locked store with an account that is empty."""
    with workplace_in(tmp_path / "store") as workplace:
        yield workplace
