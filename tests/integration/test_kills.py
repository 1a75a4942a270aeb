"""Kills at any moment: what was received over all of them together is within the budget."""

from __future__ import annotations

import os
import random
import secrets
import signal
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import psycopg
import pytest

from proxy.demo.postgres import SUPERUSER
from proxy.demo.tap import Tap
from proxy.demo.vigie_process import VigieProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.demo.lab import Lab

pytestmark = pytest.mark.integration

BUDGET: Final = 100  # of a role that no budget names: EX201
KILLS: Final = int(os.environ.get("TEST_KILLS", "4"))
SESSIONS: Final = 3


@pytest.fixture
def taker(lab: Lab) -> Iterator[tuple[Lab, str]]:
    """A new role: its budget is untouched."""
    role, password = f"taker_{secrets.token_hex(4)}", secrets.token_hex(8)
    with lab.connect(SUPERUSER) as connection:
        connection.execute(f"create role {role} login password '{password}' in role biologist")
    yield replace(lab, passwords={**lab.passwords, role: password}), role
    with lab.connect(SUPERUSER) as connection:
        connection.execute(f"drop role {role}")


def take(lab: Lab, role: str, port: int, chance: random.Random) -> None:
    """Read patients, a few at a time, until the connection breaks or the budget is spent."""
    try:
        with lab.connect(role, port) as connection:
            connection.autocommit = True
            for _ in range(200):
                first = chance.randrange(1, 290)
                connection.execute(
                    b"select nir, last_name from lab.patient where id between %s and %s",
                    [first, first + chance.randrange(8)],
                )
    except psycopg.Error:
        pass  # killed, or cut


@pytest.mark.parametrize("kept", [True, False])
def test_kills_refund_nothing(
    taker: tuple[Lab, str], tmp_path: Path, kept: bool, request: pytest.FixtureRequest
) -> None:
    """Several sessions take what they get; Vigie is killed in the middle of it, time and again.

    With the state in memory the same taker gets more: so the test can fail.
    """
    lab, role = taker
    known = lab.keys()
    received: set[bytes] = set()
    state = str(tmp_path / "state.sqlite") if kept else "memory"
    chance = random.Random(request.node.name)  # noqa: S311 - the same each time
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = VigieProcess(lab.port, folder, options=["--state", state])
        process.start()
        with Tap(process.port) as tap:
            takers = [
                threading.Thread(
                    target=take,
                    args=(lab, role, tap.port, random.Random(chance.random())),  # noqa: S311
                )
                for _ in range(SESSIONS)
            ]
            for one in takers:
                one.start()
            enough = chance.randrange(30, 60)
            while any(one.is_alive() for one in takers) and len(tap.subjects(known)) < enough:
                time.sleep(0.002)
            os.kill(process.process_number, signal.SIGKILL)
            process.stop()
            for one in takers:
                one.join()
            received |= tap.subjects(known)

    if kept:
        assert 0 < len(received) <= BUDGET
    else:
        assert len(received) > BUDGET
