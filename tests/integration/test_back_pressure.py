"""A peer that does not read holds up itself alone, and fills nobody's memory."""

from __future__ import annotations

import contextlib
import select
from typing import TYPE_CHECKING, Final

import pytest

from proxy.demo.postgres import SUPERUSER
from proxy.wire.encode import frame, query
from tests.fix_vigie import samples, until
from tests.integration import bare

if TYPE_CHECKING:
    from proxy.demo.lab import Lab
    from proxy.demo.vigie_process import VigieProcess

pytestmark = pytest.mark.integration

ROLE = "lims_app"
MIB: Final = 1024 * 1024
CEILING_BYTES: Final = 48 * MIB  # the kernel's buffers on the way, and what Vigie may hold
ENDLESS = "select repeat('x', 1000), generate_series(1, 100000000)"


def waits_for(lab: Lab, process_id: int) -> str | None:
    with lab.connect(SUPERUSER) as connection:
        text = b"select wait_event from pg_stat_activity where pid = %s"
        row = connection.execute(text, [process_id]).fetchone()
    return str(row[0]) if row else None


def open_session(wire: bare.Bare) -> int:
    wire.send(query(b"select pg_backend_pid()"))
    return int(dict(wire.receive_to())["D"][6:])


def test_a_frontend_that_does_not_read_stops_its_backend(lab: Lab, enforcing: VigieProcess) -> None:
    """The backend waits in its write; other sessions are answered; reading goes on where it was."""
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        process_id = open_session(wire)
        wire.send(query(ENDLESS.encode()))
        until(lambda: waits_for(lab, process_id) == "ClientWrite", "the backend to be stopped")
        held = samples(enforcing)["process_resident_memory_bytes"]
        with lab.connect(ROLE, enforcing.port) as other:
            assert other.execute("select 1").fetchone() == (1,)
        rows = [wire.receive() for _ in range(2000)]
        until(lambda: waits_for(lab, process_id) == "ClientWrite", "the backend to be stopped")
        after = samples(enforcing)["process_resident_memory_bytes"]

    assert [row[0] for row in rows if row] == ["T", *"D" * 1999]
    assert after - held < CEILING_BYTES


def test_a_backend_that_does_not_read_stops_its_frontend(lab: Lab, enforcing: VigieProcess) -> None:
    """What is sent ahead of a busy backend is not collected: the frontend's write blocks."""
    message, sent = frame(ord("d"), b"x" * MIB), 0
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        process_id = open_session(wire)
        wire.send(query(b"select pg_sleep(600)"))
        until(lambda: waits_for(lab, process_id) == "PgSleep", "the statement to run")
        wire.socket.setblocking(False)
        left = memoryview(message)
        while sent < 2 * CEILING_BYTES and select.select([], [wire.socket], [], 1)[1]:
            with contextlib.suppress(BlockingIOError):
                done = wire.socket.send(left)
                sent, left = sent + done, left[done:] if done < len(left) else memoryview(message)
        with lab.connect(SUPERUSER) as connection:
            connection.execute("select pg_terminate_backend(%s)", [process_id])

    assert MIB < sent < CEILING_BYTES


def test_a_large_row_is_not_collected(lab: Lab, enforcing: VigieProcess) -> None:
    """A value of 100 MB passes in pieces while its frontend reads it."""
    size = 100 * MIB
    with bare.logged_in(lab, ROLE, enforcing.port) as wire:
        before = samples(enforcing)["process_resident_memory_bytes"]
        wire.send(query(f"select repeat('x', {size})".encode()))
        head = wire.receive()
        wire.socket.recv(MIB)
        until(lambda: bool(select.select([wire.socket], [], [], 0)[0]), "more of it")
        during = samples(enforcing)["process_resident_memory_bytes"]
        text = b""
        while not text.endswith(b"Z\0\0\0\5I"):
            text = text[-20:] + wire.socket.recv(4 * MIB)
        peak = samples(enforcing)["process_resident_memory_bytes"]

    assert head is not None
    assert max(during, peak) - before < CEILING_BYTES
