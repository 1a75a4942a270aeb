"""``vigie demo`` as a whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from proxy.demo.run import INTERRUPTED, run_demo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration


def test_small_demonstration_is_as_promised(
    capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """With 3,500 patients every budget can be exceeded; none is, and no work is stopped."""
    wanted = request.config.getoption("--pg")
    status = run_demo(3500, as_json=True, pg=None if wanted == "docker" else wanted)

    out, _ = capfd.readouterr()
    result = json.loads(out)
    assert result["failures"] == []
    assert result["work"]["blocked"] == []
    assert all(attack["patients_direct"] for attack in result["attacks"])
    assert status == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(number: signal.Signals, open_folder: Path) -> None:
    """Interrupted while the laboratory is made: one line, status 130, nothing left."""
    script = "import sys; from proxy.demo.run import run_demo; sys.exit(run_demo(400_000))"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(open_folder)},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "laboratory of" in line:
                break
        process.send_signal(number)
        rest = process.stdout.read()

    assert process.returncode == INTERRUPTED
    assert "interrupted; everything it started has ended" in rest
    assert "Traceback" not in rest
    assert list(open_folder.iterdir()) == []


def test_missing_postgres_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    """What is missing and what to install, without a traceback."""
    status = run_demo(10, pg="7")

    out, _ = capfd.readouterr()
    assert status == 1
    assert out.startswith("vigie demo: no PostgreSQL 7 here")
