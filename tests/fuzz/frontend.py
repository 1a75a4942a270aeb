"""A frontend that says what it likes to a running Vigie in front of a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from typing import TYPE_CHECKING, Final

from proxy.demo.postgres import HOST
from proxy.wire import encode
from tests.fuzz.generate import chunks, conversation, damaged
from tests.fuzz.running import HUNG_SECONDS, ROLES, FuzzError, foreign_tags, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fuzz.running import Target

_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close by RST
_QUIET_SECONDS: Final = 0.15  # no byte for so long: there will be none


def startup(role: str, database: str = "lab", version: int = 3 << 16) -> bytes:
    """Return a StartupMessage."""
    body = f"user\0{role}\0database\0{database}\0\0".encode()
    return struct.pack(">II", 8 + len(body), version) + body


async def fuzz_frontend(target: Target, seeds: Iterable[int], *, at_once: int = 8) -> int:
    """Run one session for each seed, some at the same time; return how many.

    Errors: FuzzError.
    """
    gate, count = asyncio.Semaphore(at_once), 0

    async def one(seed: int) -> None:
        async with gate:
            await _session(target, seed)

    async with asyncio.TaskGroup() as group:
        for seed in seeds:
            group.create_task(one(seed))
            count += 1
    return count


async def _session(target: Target, seed: int) -> None:
    chance, tag = random.Random(seed), tag_of(seed)
    opening = startup(chance.choice(ROLES), version=chance.choice((3 << 16, (3 << 16) + 2)))
    messages = conversation(chance, tag)
    faults = chance.choice((0, 0, 1, 1, 2, 5))
    if chance.random() < 0.1:
        stream = damaged(chance, [opening, *messages], faults + 1)
    else:
        stream = opening + damaged(chance, messages, faults)
    if chance.random() < 0.5:
        stream += encode.SYNC + encode.query(f"select '{tag}'".encode())
    reader, writer = await asyncio.open_connection(HOST, target.port)
    received = bytearray()
    reading = asyncio.get_running_loop().create_task(_read(reader, received))
    try:
        with contextlib.suppress(ConnectionError):
            await _send(chance, writer, stream, received)
        _end(chance, writer)
        async with asyncio.timeout(HUNG_SECONDS):
            await reading
    except TimeoutError:
        raise FuzzError(f"frontend seed {seed}: the session does not end") from None
    finally:
        reading.cancel()
        writer.transport.abort()
    foreign = foreign_tags(bytes(received), tag)
    if foreign:
        raise FuzzError(f"frontend seed {seed}: received {foreign}, which is another session's")
    _expect_messages(seed, bytes(received))


async def _send(
    chance: random.Random, writer: asyncio.StreamWriter, stream: bytes, received: bytearray
) -> None:
    for chunk in chunks(chance, stream):
        writer.write(chunk)
        async with asyncio.timeout(HUNG_SECONDS):
            await writer.drain()
        await asyncio.sleep(0)
    seen = -1
    if chance.random() < 0.8:  # else it does not wait for any answer
        while seen != len(received):
            seen = len(received)
            await asyncio.sleep(_QUIET_SECONDS)


def _end(chance: random.Random, writer: asyncio.StreamWriter) -> None:
    """Go: in order, half, or by a reset."""
    if writer.transport.is_closing():
        return
    match chance.randrange(4):
        case 0:
            writer.write(encode.TERMINATE)
        case 1:
            own = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            return
        case _:
            pass
    with contextlib.suppress(OSError):  # it has closed already
        writer.write_eof()


async def _read(reader: asyncio.StreamReader, received: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(1 << 16):
            received += chunk


def _expect_messages(seed: int, received: bytes) -> None:
    """Whatever was said, what came back is a stream of messages; only its end may be cut."""
    at = 0
    while at + 5 <= len(received):
        length = int.from_bytes(received[at + 1 : at + 5], "big")
        if length < 4 or chr(received[at]) not in "RvKSZTtnDCIs123GHdcVENA":
            raise FuzzError(f"frontend seed {seed}: no message: {received[at : at + 60]!r}")
        at += 1 + length
