"""The file of the canaries: for its owner alone, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.content.canaries import Canary
from proxy.errors import ConfigurationError
from proxy.settings.canary_file import read_canary_file, write_canary_file

if TYPE_CHECKING:
    from pathlib import Path

CANARY = Canary("canary-1", "lab.patient", "id", "7123456789", ("285057800608436",))


def test_only_the_owner_may_read_what_is_written(tmp_path: Path) -> None:
    """Mode 600, also over a file that was there."""
    path = tmp_path / "canaries.json"
    path.write_text("old")
    path.chmod(0o644)

    write_canary_file(path, [CANARY])

    assert path.stat().st_mode & 0o777 == 0o600
    assert read_canary_file(path) == (CANARY,)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Whoever can read it knows whom to avoid."""
    path = tmp_path / "canaries.json"
    write_canary_file(path, [CANARY])
    path.chmod(0o640)

    with pytest.raises(ConfigurationError, match="has mode 640, expected 600"):
        read_canary_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """As any other file of the settings."""
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_canary_file(tmp_path / "none")
