"""The same undamaged conversation direct and through Vigie: every message that comes back is equal.

Messages may come in any order that a frontend can think of; only what must differ is left out:
process ids and secrets.
"""

from __future__ import annotations

import asyncio
import difflib
import random
import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.demo.postgres import HOST, SUPERUSER, EmbeddedPostgres
from proxy.wire import encode
from proxy.wire.backend import decode_row_description
from tests.fuzz.frontend import startup
from tests.fuzz.generate import chunks, conversation
from tests.fuzz.running import HUNG_SECONDS, FuzzError, Target, process, trust
from tests.suites.place import site_until_tomorrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TAG: Final = "tag0123456789"  # one for all: what they say has to be the same
_UNSYNCED: Final = "E: protocol synchronization was lost"
_RESET: Final = "reset"
_PLACES: Final = re.compile(rb"(?:F[\w./-]+\0L\d+\0R\w+\0)(?=\0)")  # of the server's source
_TAKEN: Final = b"KA"  # of these the process id, and of the first the secret


@contextmanager
def side_by_side() -> Iterator[tuple[Target, int]]:
    """Start a server without any laboratory, and a Vigie before it; give the port of the server."""
    with (
        tempfile.TemporaryDirectory(prefix="vigie-fuzz-") as folder,
        EmbeddedPostgres() as postgres,
    ):
        trust(postgres, "create table fuzzed (a text, b text)")
        site = site_until_tomorrow(Path(folder))
        with process(postgres.port, Path(folder), site=site) as vigie:
            target = Target(vigie)
            target.look("at the start")
            yield target, postgres.port
            target.look("at the end")


async def fuzz_same(target: Target, direct: int, seeds: Iterable[int], *, at_once: int = 4) -> int:
    """Run one conversation for each seed at both ports; return how many. Errors: FuzzError."""
    gate, count = asyncio.Semaphore(at_once), 0

    async def one(seed: int) -> None:
        async with gate:
            await _compare(target.port, direct, seed)

    async with asyncio.TaskGroup() as group:
        for seed in seeds:
            group.create_task(one(seed))
            count += 1
    return count


def _is_for_both(message: bytes) -> bool:
    """Whether Vigie does not end the session for it by design: a name that is not ASCII."""
    return message.isascii() or b"\xc3\xa9" not in message


async def _compare(through: int, direct: int, seed: int) -> None:
    chance = random.Random(seed)
    said = [one for one in conversation(chance, _TAG) if _is_for_both(one)]
    messages = [*said, encode.SYNC, encode.query(b"select 'end'")]
    stream = startup(SUPERUSER, SUPERUSER) + b"".join(messages) + encode.TERMINATE
    answers = []
    for port in (direct, through):
        try:
            async with asyncio.timeout(HUNG_SECONDS):
                answers.append(await _answer(port, chunks(random.Random(seed), stream)))
        except TimeoutError:
            where = "direct" if port == direct else "through Vigie"
            raise FuzzError(f"same seed {seed}: no end {where}\n{_told(messages)}") from None
    if answers[0] == [_RESET]:
        return  # what it had said before is not known
    if _UNSYNCED in answers[0][-1:]:  # both end the session, each in its own words
        answers = [[one for one in lines if one[0] != "E"] for lines in answers]
    if answers[0] != answers[1]:
        lines = difflib.unified_diff(answers[0], answers[1], "direct", "through", lineterm="", n=2)
        told = "\n".join(lines)
        raise FuzzError(f"same seed {seed}: answered otherwise\n{_told(messages)}\n{told[:3000]}")


async def _answer(port: int, parts: Iterable[bytes]) -> list[str]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        received, _ = await asyncio.gather(reader.read(-1), _say(writer, parts))
        return _shown(received)
    except ConnectionError:
        return [_RESET]
    finally:
        writer.transport.abort()


async def _say(writer: asyncio.StreamWriter, parts: Iterable[bytes]) -> None:
    for part in parts:
        writer.write(part)
        await writer.drain()


def _shown(received: bytes) -> list[str]:
    """Return the messages as lines, without what is never the same."""
    found, at, own = [], 0, b""
    while at + 5 <= len(received):
        end = at + 1 + int.from_bytes(received[at + 1 : at + 5], "big")
        body = received[at + 5 : end]
        if received[at] == ord("K"):
            own = body[:4]
        if received[at] == ord("A") and body[:4] != own:
            at = end  # another conversation notified the same channel, at a time of its own
            continue
        if received[at] in _TAKEN:
            body = b"" if received[at] == _TAKEN[0] else body[4:]
        if received[at] == ord("T"):
            columns = decode_row_description(body)
            body = repr([(one.name, one.type_oid, one.format) for one in columns]).encode()
        body = _PLACES.sub(b"", body)
        lost = b"synchronization was lost" in body
        found.append(_UNSYNCED if lost else f"{chr(received[at])} {body!r}")
        at = end
    return found


def _told(messages: list[bytes]) -> str:
    return "\n".join(f"> {chr(one[0])} {one[5:120]!r}" for one in messages)
