"""One good conversation, broken off at every offset and in every way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

from proxy.demo.postgres import HOST
from proxy.wire import encode
from tests.fuzz.frontend import startup
from tests.fuzz.running import HUNG_SECONDS, FuzzError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.fuzz.running import Target

WAYS: Final = ("end", "reset", "silence then reset")
_RESET: Final = struct.pack("ii", 1, 0)
_GOOD: Final = b"".join(
    (
        startup("lims_app"),
        encode.query(b"select 1; select n from generate_series(1, 20) n"),
        encode.parse(b"s", b"select $1::text") + b"",
        encode.frame(ord("B"), b"p\0s\0\0\0\0\1\0\0\0\1x\0\0"),
        encode.describe_portal(b"p"),
        encode.execute(b"p"),
        encode.SYNC,
        encode.query(b"copy fuzzed from stdin"),
        encode.frame(ord("d"), b"a\tb\n"),
        encode.copy_fail(b"no"),
        encode.query(b"select last_name from lab.patient where id = 3"),
        encode.query(b"select id from lab.patient limit 100"),
        encode.query(b"selec"),
        encode.TERMINATE,
    )
)
OFFSETS: Final = len(_GOOD)


async def cut_at(target: Target, offsets: Iterable[int], *, at_once: int = 20) -> int:
    """Break off at each of these offsets in each way; return how many times. Errors: FuzzError."""
    gate, count = asyncio.Semaphore(at_once), 0

    async def one(offset: int, way: str) -> None:
        async with gate:
            try:
                async with asyncio.timeout(HUNG_SECONDS):
                    await _broken_off(target, offset, way)
            except TimeoutError:
                raise FuzzError(f"cut at {offset} by {way}: the session does not end") from None

    async with asyncio.TaskGroup() as group:
        for offset in offsets:
            for way in WAYS:
                group.create_task(one(offset, way))
                count += 1
    return count


async def _broken_off(target: Target, offset: int, way: str) -> None:
    reader, writer = await asyncio.open_connection(HOST, target.port)
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(_GOOD[:offset])
            await writer.drain()
            if way == "silence then reset":
                await asyncio.sleep(0.1)
            if way == "end":
                writer.write_eof()
                while await reader.read(1 << 16):
                    pass
                return
        own = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    finally:
        writer.transport.abort()


async def half_open(target: Target, numbers: Sequence[int]) -> int:
    """Open so many connections that say nothing, or stop in the middle, and let others work.

    They are reset at the end. Errors: FuzzError when a session beside them is not answered.
    """
    idle = []
    for number in numbers:
        _, writer = await asyncio.open_connection(HOST, target.port)
        writer.write(_GOOD[: number % OFFSETS])
        idle.append(writer)
    try:
        async with asyncio.timeout(HUNG_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, target.port)
            writer.write(startup("lims_app") + encode.query(b"select 'here'") + encode.TERMINATE)
            answer = await reader.read()
            writer.close()
    except TimeoutError:
        raise FuzzError("a session beside silent ones is not answered") from None
    finally:
        for writer in idle:
            own = writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
    if b"here" not in answer:
        raise FuzzError(f"a session beside silent ones received {answer!r}")
    return len(idle)
