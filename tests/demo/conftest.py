"""Fixtures of the demonstration's tests."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that other users can enter, as PostgreSQL is one when root starts it."""
    folder = Path(tempfile.mkdtemp(prefix="vigie-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
