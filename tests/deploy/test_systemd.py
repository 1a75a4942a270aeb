"""The unit of systemd: what it starts exists, and it can do no more than it needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.net.ending import FAREWELL_SECONDS
from proxy.settings.load import variable_names
from proxy.settings.settings import Limits

if TYPE_CHECKING:
    from tests.deploy.conftest import Needs

ROOT: Final = Path(__file__).resolve().parents[2]
UNIT: Final = ROOT / "deploy" / "systemd" / "vigie.service"


def settings() -> dict[str, list[str]]:
    """Return the values of each key, sections apart from each other by their keys alone."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        if not line.startswith(("#", "[")) and "=" in line:
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_it_starts_and_reloads_vigie_as_it_wants_to_be() -> None:
    """It tells systemd when it is ready; reload is SIGHUP; the settings are a file."""
    found = settings()

    assert found["Type"] == ["notify"]
    assert re.fullmatch(r"/\S+/vigie run --config /\S+\.yaml", found["ExecStart"][0])
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    for variable in found["Environment"]:
        assert variable.partition("=")[0] in variable_names()


def test_it_waits_for_the_end_of_transactions() -> None:
    """Killed before the drain is over, sessions would not hear why they end."""
    limits = Limits()
    needed = limits.drain_timeout_seconds + 2 * FAREWELL_SECONDS

    assert int(settings()["TimeoutStopSec"][0]) > needed
    assert int(settings()["LimitNOFILE"][0]) > 2 * limits.connections


def test_no_rights_are_left_over() -> None:
    """No user of its own making, no capability, nothing to write but its logs and state."""
    found = settings()

    assert found["DynamicUser"] == ["yes"]
    assert found["CapabilityBoundingSet"] == [""]
    assert found["NoNewPrivileges"] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]


def test_systemd_reads_it(tmp_path: Path, needs: Needs) -> None:
    """Every key and value, by systemd's own check."""
    analyse = needs("systemd-analyze")
    unit = tmp_path / UNIT.name
    text = UNIT.read_text("utf-8")
    unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    done = subprocess.run(
        [analyse, "verify", "--man=no", str(unit)], check=False, capture_output=True, text=True
    )

    own = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert own == []
