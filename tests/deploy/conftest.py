"""Tools that these tests need: absent, a test is skipped; under VIGIE_STRICT=1 it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest

Needs = Callable[[str], str]


@pytest.fixture(scope="session")
def needs() -> Needs:
    """Return the path of a program, or skip the test with the reason."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path:
            return path
        reason = f"{program} is not installed (Debian: apt-get install prometheus)"
        if os.environ.get("VIGIE_STRICT") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    return find
