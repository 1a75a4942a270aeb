"""Vigie as a process: started, awaited, ended, and its failure to start explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo.vigie_process import VigieDidNotStartError, VigieProcess

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab
    from tests.fix_vigie import StartVigie

pytestmark = pytest.mark.integration


def test_it_is_ready_when_started(vigie: StartVigie, lab: Lab) -> None:
    """A statement goes through at once; the metrics are there."""
    running = vigie()
    with lab.connect("lims_app", running.port) as connection:
        assert connection.execute("select 1").fetchone() == (1,)

    assert running.is_running
    assert "vigie" in running.metrics()
    assert running.stop() == 0
    assert not running.is_running


def test_a_start_that_fails_says_why(tmp_path: Path, lab: Lab) -> None:
    """A site that does not exist: the error holds what Vigie wrote."""
    process = VigieProcess(lab.port, tmp_path, site=tmp_path / "nowhere")
    with pytest.raises(VigieDidNotStartError, match=r"ended with status [1-9]"):
        process.start()

    assert not process.is_running
