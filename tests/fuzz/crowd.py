"""Thousands of sessions side by side, each with rows of its own word: none ever sees another's."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

from proxy.demo.postgres import HOST
from proxy.wire import encode
from tests.fuzz.frontend import startup
from tests.fuzz.running import HUNG_SECONDS, ROLES, FuzzError, foreign_tags, tag_of

if TYPE_CHECKING:
    from tests.fuzz.running import Target

_ROWS: Final = (1, 3, 40, 700)


async def crowd(target: Target, sessions: int, *, at_once: int = 150, seed: int = 0) -> int:
    """Run so many sessions in waves; return how many rows were seen, each with its own word.

    Errors: FuzzError.
    """
    seen = 0
    for first in range(0, sessions, at_once):
        # all log in, then all ask, so that their statements are truly between each other
        ready = asyncio.Barrier(min(at_once, sessions - first))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_member(target, number, ready, seed))
                for number in range(first, min(first + at_once, sessions))
            ]
        seen += sum(task.result() for task in tasks)
    return seen


async def _member(target: Target, number: int, ready: asyncio.Barrier, seed: int) -> int:
    chance, tag, seen = random.Random(seed * 1_000_003 + number), tag_of(number), 0
    async with asyncio.timeout(HUNG_SECONDS * 3):
        reader, writer = await asyncio.open_connection(HOST, target.port)
        try:
            writer.write(startup(chance.choice(ROLES)))
            await _to_ready(reader, 1)
            await ready.wait()
            for _ in range(chance.randint(1, 4)):
                stream, rows, readies = _asked(chance, tag)
                writer.write(stream)
                await writer.drain()
                seen += _checked(await _to_ready(reader, readies), tag, rows)
            writer.write(encode.TERMINATE)
            await writer.drain()
        finally:
            writer.transport.abort()
    return seen


def _asked(chance: random.Random, tag: str) -> tuple[bytes, int, int]:
    """Return a stream, how many rows it gives, and how many ReadyForQuery."""
    rows = chance.choice(_ROWS)
    text = f"select '{tag}', n from generate_series(1, {rows}) n".encode()
    one = encode.bind(b"", b"") + encode.describe_portal(b"") + encode.execute(b"")
    match chance.randrange(4):
        case 0:
            return encode.query(text), rows, 1
        case 1:
            return encode.parse(b"", text) + one + encode.SYNC, rows, 1
        case 2:  # a pipeline
            return (encode.parse(b"", text) + one + encode.SYNC) * 3, 3 * rows, 3
        case _:
            return encode.query(b"copy (" + text + b") to stdout"), rows, 1


def _checked(messages: list[tuple[int, bytes]], tag: str, rows: int) -> int:
    word = tag.encode()
    carriers = [body for kind, body in messages if kind in b"Dd"]
    if len(carriers) != rows or not all(word in body for body in carriers):
        told = [body[:200] for kind, body in messages if kind in b"E"]
        raise FuzzError(f"session {tag}: {len(carriers)} rows, expected {rows}; errors {told}")
    foreign = foreign_tags(b"".join(body for _, body in messages), tag)
    if foreign:
        raise FuzzError(f"session {tag} received {foreign}, which is another session's")
    return len(carriers)


async def _to_ready(reader: asyncio.StreamReader, times: int) -> list[tuple[int, bytes]]:
    found = []
    while times:
        head = await reader.readexactly(5)
        body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
        found.append((head[0], body))
        times -= head[0] == ord("Z")
    return found
