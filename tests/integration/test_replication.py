"""Replication connections: none is let through to the database, however it is spelt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.demo.postgres import SUPERUSER
from tests.integration import bare

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess
    from tests.fix_vigie import StartVigie
    from tests.integration.conftest import RunProgram

pytestmark = pytest.mark.integration

SPELLINGS = ["database", "DATABASE", "true", "on", "1", "yes", "t", "y", "tr", "anything"]


@pytest.mark.parametrize("value", SPELLINGS)
def test_a_replication_connection_is_refused(lab: Lab, enforcing: VigieProcess, value: str) -> None:
    """Before the database hears of it, with the rule that says so."""
    with bare.dialled(enforcing.port) as wire:
        wire.send(bare.startup(user=SUPERUSER, database=lab.database, replication=value))
        messages = wire.receive_to()

    error = bare.error(messages)
    assert bare.tags(messages) == "E"
    assert (error["S"], error["C"]) == ("FATAL", "42501")


@pytest.mark.parametrize("value", ["off", "false", "0", "no"])
def test_what_asks_for_no_replication_comes_in(
    lab: Lab, enforcing: VigieProcess, value: str
) -> None:
    """The database asks for a password."""
    with bare.dialled(enforcing.port) as wire:
        wire.send(bare.startup(user=SUPERUSER, database=lab.database, replication=value))
        first = wire.receive()

    assert first is not None
    assert first[0] == "R"


def test_pg_basebackup_takes_nothing(
    enforcing: VigieProcess, run: RunProgram, tmp_path: Path
) -> None:
    """The whole database in one command: refused, and no file is made."""
    folder = tmp_path / "copy"
    done = run("pg_basebackup", "-D", str(folder), role=SUPERUSER, port=enforcing.port)

    assert done.returncode == 1
    assert "connection refused: " in done.stderr
    assert not folder.exists() or not list(folder.iterdir())


def test_observing_a_base_backup_passes_whole(
    vigie: StartVigie, run: RunProgram, tmp_path: Path
) -> None:
    """Nothing is refused then: COPY out on one connection, both ways on another; it is recorded."""
    process = vigie(mode="observe")
    folder = tmp_path / "copy"
    done = run(
        *("pg_basebackup", "-D", str(folder), "-X", "stream", "-c", "fast"),
        role=SUPERUSER,
        port=process.port,
    )
    verified = run("pg_verifybackup", str(folder), role=SUPERUSER)

    assert (done.returncode, verified.returncode) == (0, 0), done.stderr + verified.stderr
    assert "EX912" in process.audit.read_text("ascii")
    assert "protocol error" not in process.log
