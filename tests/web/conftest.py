"""A running upload page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.upload_page import UploadPage, upload_page


@pytest.fixture
def page(tmp_path: Path) -> Iterator[UploadPage]:
    """A server for this machine, with a random key."""
    with upload_page(tmp_path / "output") as page:
        yield page
