"""Sockets that are waited for: bytes, an end and a reset wake whoever waits."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
import uvloop

from proxy.net.readiness import Readiness

SECONDS = 20.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


async def received(end: str) -> bytes:
    """Wait on one end of a connection, to the other of which ``end`` happens meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        other = socket.create_connection(listening.getsockname())
        own, _ = listening.accept()
    own.setblocking(False)
    with own, other:
        readiness = Readiness()
        waiting = asyncio.ensure_future(readiness.receive(own, 100))
        await asyncio.sleep(0)  # it waits now
        match end:
            case "bytes":
                other.sendall(b"bytes")
            case "reset":
                other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                other.close()
            case _:
                other.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(SECONDS):
            return await waiting


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_whatever_happens_wakes_who_waits(run: object) -> None:
    """By either loop; a reset is an error, and not silence."""
    assert callable(run)

    assert run(received("bytes")) == b"bytes"
    assert run(received("end")) == b""
    with pytest.raises(ConnectionResetError):
        run(received("reset"))


async def test_who_no_longer_waits_is_not_watched() -> None:
    """A wait that is given up leaves the socket to the next."""
    own, other = socket.socketpair()
    own.setblocking(False)
    with own, other:
        readiness = Readiness()
        waiting = asyncio.ensure_future(readiness.receive(own, 100))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        other.sendall(b"x")

        assert await readiness.receive(own, 100) == b"x"
        assert readiness._watched == {}
