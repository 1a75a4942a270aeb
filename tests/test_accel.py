"""A compiled kernel of another version is told by name, not by what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("wanted", "status"), [("auto", 1), ("compiled", 1), ("python", 0)])
def test_a_kernel_of_another_version_is_refused(tmp_path: Path, wanted: str, status: int) -> None:
    """Unless it is not asked for."""
    (tmp_path / "vigie_native.py").write_text("REVISION = 0\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))

    done = subprocess.run(
        [sys.executable, "-c", "import proxy.accel"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PROXY_ACCEL": wanted},
    )

    assert done.returncode == status
    assert ("built from another version" in done.stderr) == bool(status)
