"""An upstream that answers what it likes, behind a running Vigie."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.demo.postgres import HOST
from proxy.wire import encode
from tests.fuzz.frontend import startup
from tests.fuzz.generate import chunks, conversation, damaged
from tests.fuzz.running import HUNG_SECONDS, ROLES, FuzzError, Target, foreign_tags, process, tag_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

_RESET: Final = struct.pack("ii", 1, 0)
_ANSWERED: Final = b"QPBDECSFHX"
# A server that waits for ever, and never answers, holds its session as it would without Vigie.
_PATIENCE_SECONDS: Final = 2.0
_SETTINGS: Final = (
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("server_version", "16.1"),
)


def _message(tag: str, body: bytes = b"") -> bytes:
    return encode.frame(ord(tag), body)


def _greeting(chance: random.Random) -> list[bytes]:
    """Return what a server says to a StartupMessage."""
    settings = [_message("S", f"{name}\0{value}\0".encode()) for name, value in _SETTINGS]
    key = _message("K", struct.pack(">I", chance.randrange(1 << 31)) + chance.randbytes(4))
    return [_message("R", bytes(4)), *settings, key, _message("Z", b"I")]


def _row_description(chance: random.Random, tag: str) -> bytes:
    columns = chance.randint(0, 3)
    one = f"{tag}\0".encode() + struct.pack(">IhIhih", chance.choice((0, 16406)), 1, 25, -1, -1, 0)
    return _message("T", struct.pack(">h", columns) + one * columns)


def _row(chance: random.Random, tag: str) -> bytes:
    values = [tag.encode()] * chance.randint(0, 3)
    told = b"".join(struct.pack(">i", len(one)) + one for one in values)
    return _message("D", struct.pack(">h", len(values)) + told)


def _error(chance: random.Random, tag: str, kind: str = "E") -> bytes:
    severity = chance.choice(("ERROR", "ERROR", "ERROR", "FATAL", "WARNING"))
    return kind.encode() + encode.error_response("22012", f"no {tag}", severity=severity)[1:]


def any_message(chance: random.Random, tag: str) -> bytes:
    """Return any message of a backend."""
    plain = {name: _message(name) for name in "123Insc"}
    others = {
        "T": _row_description(chance, tag),
        "D": _row(chance, tag),
        "C": _message("C", b"SELECT 1\0"),
        "E": _error(chance, tag),
        "N": _error(chance, tag, "N"),
        "Z": _message("Z", chance.choice((b"I", b"T", b"E"))),
        "S": _message("S", f"application_name\0{tag}\0".encode()),
        "A": _message("A", bytes(4) + f"{tag}\0{tag}\0".encode()),
        "G": _message("G", b"\0\0\1\0\0"),
        "H": _message("H", b"\0\0\1\0\0"),
        "W": _message("W", b"\0\0\1\0\0"),
        "d": _message("d", f"{tag}\n".encode()),
        "V": _message("V", struct.pack(">i", len(tag)) + tag.encode()),
        "t": _message("t", b"\0\0"),
        "R": _message("R", bytes(4)),
        "K": _message("K", bytes(8)),
        "v": _message("v", bytes(8)),
    }
    return chance.choice([*plain.values(), *others.values()])


def _likely(chance: random.Random, kind: int, tag: str) -> list[bytes]:
    """Return what a server might answer to a message of this type."""
    rows = [_row(chance, tag) for _ in range(chance.choice((0, 1, 2, 300)))]
    complete = _message("C", b"SELECT 1\0")
    match chr(kind):
        case "Q":
            columns = _row_description(chance, tag)
            copied = [_message("H", b"\0\0\1\0\0"), _message("d", tag.encode()), _message("c")]
            body = chance.choice(
                (
                    [columns, *rows, complete],
                    [_error(chance, tag)],
                    [*copied, complete],
                    [_message("I")],
                    [complete],
                    [_message("G", b"\0\0\1\0\0")],
                )
            )
            return [*body, _message("Z", chance.choice((b"I", b"T", b"E")))]
        case "P" | "B" | "C":
            told = {"P": "1", "B": "2", "C": "3"}[chr(kind)]
            return [_message(told)] if chance.random() < 0.9 else [_error(chance, tag)]
        case "D":
            described = [_message("t", b"\0\0"), _row_description(chance, tag)]
            return described[chance.randint(0, 1) :] if chance.random() < 0.7 else [_message("n")]
        case "E":
            return [*rows, chance.choice((complete, _message("s"), _error(chance, tag)))]
        case "S":
            return [_message("Z", b"I")]
        case "F":
            return [_message("V", b"\xff\xff\xff\xff"), _message("Z", b"I")]
        case _:
            return []


class _Upstream:
    """Listens where Vigie dials; the seed of a session comes in its application_name."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play one session; whatever goes wrong on the socket is Vigie's right."""
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                await self._play(reader, writer)
        except Exception as error:  # noqa: BLE001 - told at the end of the run
            self.errors.append(error)
        finally:
            writer.transport.abort()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(4), "big")
        opening = await reader.readexactly(size - 4)
        if b"application_name\0" not in opening:
            return  # a CancelRequest, or the probe of readiness
        seed = int(opening.split(b"application_name\0")[1].split(b"\0")[0])
        chance, tag = random.Random(seed ^ 0x5EED), tag_of(seed)
        faults = chance.choice((0, 0, 0, 1))
        await self._say(chance, writer, damaged(chance, _greeting(chance), faults))
        while True:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                head = await reader.readexactly(5)
            body = int.from_bytes(head[1:], "big") - 4
            await reader.readexactly(body)
            if head[0] not in _ANSWERED:
                continue
            answer = _likely(chance, head[0], tag)
            if chance.random() < 0.15:
                answer.insert(chance.randint(0, len(answer)), any_message(chance, tag))
            if answer and chance.random() < 0.1:
                stream = damaged(chance, answer, chance.randint(1, 2))
            else:
                stream = b"".join(answer)
            await self._say(chance, writer, stream)
            if chance.random() < 0.03:
                if chance.random() < 0.5:
                    own = writer.get_extra_info("socket")
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return

    async def _say(
        self, chance: random.Random, writer: asyncio.StreamWriter, stream: bytes
    ) -> None:
        for chunk in chunks(chance, stream):
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0)


@asynccontextmanager
async def upstream() -> AsyncIterator[Target]:
    """Start the upstream and a Vigie before it. Errors: FuzzError."""
    played = _Upstream()
    listening = await asyncio.start_server(played.accept, HOST, 0)
    with tempfile.TemporaryDirectory(prefix="vigie-fuzz-") as folder:
        port = listening.sockets[0].getsockname()[1]
        starting = process(port, Path(folder), probe="/healthz")
        vigie = await asyncio.to_thread(starting.__enter__)
        try:
            target = Target(vigie)
            await asyncio.to_thread(target.look, "at the start")
            yield target
            await asyncio.to_thread(target.look, "at the end")
        finally:
            await asyncio.to_thread(starting.__exit__, None, None, None)
            listening.close()
    if played.errors:
        raise FuzzError("the upstream itself failed") from played.errors[0]


async def fuzz_backend(target: Target, seeds: Iterable[int], *, at_once: int = 8) -> int:
    """Run one session for each seed, some at the same time; return how many. Errors: FuzzError."""
    gate, count = asyncio.Semaphore(at_once), 0

    async def one(seed: int) -> None:
        async with gate:
            await _frontend(target, seed)

    async with asyncio.TaskGroup() as group:
        for seed in seeds:
            group.create_task(one(seed))
            count += 1
    return count


async def _frontend(target: Target, seed: int) -> None:
    """Be a frontend that behaves, and goes when nothing more comes."""
    chance, tag = random.Random(seed), tag_of(seed)
    opening = startup(chance.choice(ROLES))
    body = opening[4:-1] + f"application_name\0{seed}\0\0".encode()
    stream = struct.pack(">I", len(body) + 4) + body + b"".join(conversation(chance, tag))
    reader, writer = await asyncio.open_connection(HOST, target.port)
    received = b""
    try:
        writer.write(stream + encode.SYNC)
        async with asyncio.timeout(HUNG_SECONDS):
            with contextlib.suppress(ConnectionError):
                await writer.drain()
                received = await _until_quiet(reader)
                writer.write_eof()
                while chunk := await reader.read(1 << 16):
                    received += chunk
    except TimeoutError:
        raise FuzzError(f"backend seed {seed}: the session does not end") from None
    except OSError:
        pass  # it had been closed before we said that we go
    finally:
        writer.transport.abort()
    foreign = foreign_tags(received, tag)
    if foreign:
        raise FuzzError(f"backend seed {seed}: received {foreign}, which is another session's")


async def _until_quiet(reader: asyncio.StreamReader) -> bytes:
    found = b""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(0.15):
                chunk = await reader.read(1 << 16)
            if not chunk:
                break
            found += chunk
    return found
