"""Two sockets and a session between them: commands are carried out, and nothing stays behind."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
import uvloop
from prometheus_client import CollectorRegistry

from proxy import accel
from proxy.demo.postgres import HOST, free_port
from proxy.meter.ledger import Ledger
from proxy.metrics import Metrics
from proxy.net import relay as module
from proxy.net.keeper import Keeper
from proxy.net.listener import Listener
from proxy.net.relay import Surroundings, accept
from proxy.net.sinks import AuditLog, Sinks
from proxy.net.workers import Workers
from proxy.session import commands as c
from proxy.session import events as e
from proxy.settings.address import Address
from tests.conversation import context_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SECONDS: Final = 10.0
MIB: Final = 1024 * 1024
KEY: Final = c.RegisterKey(7, b"ours", b"theirs")


class Scripted:
    """Stands for the session: answers events by a script, and keeps what happened."""

    def __init__(self, script: Callable[[e.Event], list[c.Command]]) -> None:
        self._script = script
        self.events: list[e.Event] = []
        self.holds_frontend = self.asks = False
        self.ends = 0
        self.lane = accel.LaneState(
            accel.LaneCounts(), lambda _name: None, lambda _known, _status: None
        )

    def handle(self, event: e.Event, _now: float) -> list[c.Command]:
        """Ask the script."""
        self.events.append(event)
        return self._script(event)

    def end(self) -> None:
        """Count it."""
        self.ends += 1

    def passes_frontend(self, _chunk: bytes, _now: float) -> bool:
        """Decide about everything."""
        return False

    def passes_backend(self, _chunk: bytes, _now: float) -> bool:
        """Decide about everything."""
        return False


@dataclass
class Place:
    """One listening relay, its upstream, and what came there."""

    port: int
    surroundings: Surroundings
    sessions: list[Scripted] = field(default_factory=list)
    upstream: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    def open_now(self) -> float | None:
        """Return what the gauge of open connections shows."""
        registry = self.surroundings.sinks.metrics.registry
        return registry.get_sample_value("vigie_frontend_connections_open")


def passing(event: e.Event) -> list[c.Command]:
    """Forward everything, close with the other side."""
    match event:
        case e.FrontendBytes(b"open" as chunk):
            return [c.OpenBackend(), c.SendBackend(chunk)]
        case e.FrontendBytes(chunk):
            return [c.SendBackend(chunk)]
        case e.BackendBytes(chunk):
            return [c.SendFrontend(chunk)]
        case e.FrontendClosed():
            return [c.CloseBackend()]
        case e.BackendClosed():
            return [c.CloseFrontend()]
        case _:
            return []


@asynccontextmanager
async def relaying(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    script: Callable[[e.Event], list[c.Command]] = passing,
    *,
    login_seconds: float = 60.0,
    connect_seconds: float = 10.0,
    upstream_port: int | None = None,
    other_port: int | None = None,
) -> AsyncIterator[Place]:
    """Listen, with a scripted session for each connection and an upstream that only accepts."""

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place.upstream.append((reader, writer))

    upstream = await asyncio.start_server(take, HOST, 0)
    port = upstream_port or upstream.sockets[0].getsockname()[1]
    audit = AuditLog(folder / "audit.jsonl")
    workers = Workers()
    metrics = Metrics(CollectorRegistry())
    ledger = Ledger()
    surroundings = Surroundings(
        context_of(),
        {"": Address(HOST, port), "other": Address(HOST, other_port or port)},
        Sinks(metrics, audit, ledger, accel.LaneCounts()),
        workers,
        login_seconds,
        connect_seconds,
        Keeper(ledger, None, None, metrics),
    )
    place = Place(0, surroundings)

    def session(_context: Any, _address: str, _encryption: Any, _listener: str) -> Scripted:
        place.sessions.append(Scripted(script))
        return place.sessions[-1]

    monkeypatch.setattr(module, "Session", session)
    listener = Listener(
        Address(HOST, 0), lambda connected: accept(surroundings, connected), option="--listen"
    )
    ((_, place.port),) = listener.addresses
    try:
        yield place
        for _, writer in place.upstream:
            writer.close()
        await until(lambda: not surroundings.relays)
        assert place.open_now() == 0
        assert surroundings.cancel_keys._keys == {}
    finally:
        listener.close()
        for relay in tuple(surroundings.relays):
            relay.abort()
        for _, writer in place.upstream:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        upstream.close()
        workers.close()
        audit.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)


@asynccontextmanager
async def frontend(
    place: Place,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, place.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def read(reader: asyncio.StreamReader, size: int) -> bytes:
    async with asyncio.timeout(SECONDS):
        return await reader.readexactly(size)


async def rest(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(SECONDS):
        return await reader.read()


async def test_what_is_delayed_comes_later_and_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing overtakes it, what closes waits for it, and meanwhile the backend is not read."""

    def script(event: e.Event) -> list[c.Command]:
        match event:
            case e.BackendBytes(b"slow"):
                return [c.Delay(0.05), c.AwaitState(), c.SendFrontend(b"slow")]
            case e.FrontendBytes(b"more"):
                return [c.SendFrontend(b"more"), c.CloseFrontend(), c.CloseBackend()]
            case _:
                return passing(event)

    async with (
        relaying(monkeypatch, tmp_path, script) as place,
        frontend(place) as (reader, writer),
    ):
        running = asyncio.ensure_future(place.surroundings.keeper.run())
        writer.write(b"open")
        await until(lambda: place.upstream)
        place.upstream[0][1].write(b"slow")
        await until(
            lambda: any(isinstance(one, e.BackendBytes) for one in place.sessions[0].events)
        )
        writer.write(b"more")
        received = await rest(reader)
        place.surroundings.keeper.stop()
        await running

    assert received == b"slowmore"


async def test_bytes_pass_both_ways_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is sent before the backend is connected is kept; then each way, then both close."""
    async with relaying(monkeypatch, tmp_path) as place, frontend(place) as (reader, writer):
        writer.write(b"open")
        await until(lambda: place.upstream)
        theirs, ours = place.upstream[0]
        first = await read(theirs, 4)
        ours.write(b"answer")
        answer = await read(reader, 6)
        writer.write(b"more")
        second = await read(theirs, 4)
        opened = place.open_now()
        writer.close()
        end = await rest(theirs)

    assert (first, answer, second, end) == (b"open", b"answer", b"more", b"")
    assert opened == 1


async def test_megabytes_pass_unchanged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """More than any buffer on the way holds, to a frontend that reads at its own pace."""
    sent = bytes(range(256)) * 4096 * 8
    async with relaying(monkeypatch, tmp_path) as place, frontend(place) as (reader, writer):
        writer.write(b"open")
        await until(lambda: place.upstream)
        theirs, ours = place.upstream[0]
        await read(theirs, 4)
        ours.write(sent)
        writer.write(sent)
        found = await asyncio.gather(read(reader, len(sent)), read(theirs, len(sent)))

    assert list(found) == [sent, sent]


@pytest.mark.parametrize("slow", ["frontend", "backend"])
async def test_a_side_that_does_not_read_stops_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, slow: str
) -> None:
    """The sender's own buffer fills, for the relay does not collect what it cannot pass on."""
    ceiling = 64 * MIB
    async with relaying(monkeypatch, tmp_path) as place, frontend(place) as (reader, writer):
        writer.write(b"open")
        await until(lambda: place.upstream)
        theirs, ours = place.upstream[0]
        await read(theirs, 4)
        source, sink = (ours, reader) if slow == "frontend" else (writer, theirs)
        source.write(b"x" * ceiling)
        transport = source.transport
        left, still = -1, 0
        while still < 50:  # until it stands still
            await asyncio.sleep(0.001)
            now = transport.get_write_buffer_size()
            left, still = now, still + 1 if now == left else 0
        found = await read(sink, ceiling)

    assert left > ceiling // 2
    assert len(found) == ceiling


async def test_a_frontend_that_has_to_wait_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As long as the session holds a message, no further chunk comes to it."""
    async with relaying(monkeypatch, tmp_path) as place, frontend(place) as (_, writer):
        writer.write(b"open")
        await until(lambda: place.upstream)
        (session,) = place.sessions
        session.holds_frontend = True
        writer.write(b"one")
        await until(lambda: e.FrontendBytes(b"one") in session.events)
        writer.write(b"two")
        place.upstream[0][1].write(b"meanwhile")
        await until(lambda: e.BackendBytes(b"meanwhile") in session.events)
        held = e.FrontendBytes(b"two") not in session.events
        session.holds_frontend = False
        place.upstream[0][1].write(b"done")
        await until(lambda: e.FrontendBytes(b"two") in session.events)

    assert held


async def test_what_is_sent_before_a_close_arrives(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An error is read before the connection ends, however large it is."""
    last = b"e" * 4 * MIB

    def script(event: e.Event) -> list[c.Command]:
        if isinstance(event, e.FrontendBytes):
            return [c.SendFrontend(b"first"), c.CloseFrontend(), c.SendFrontend(last)]
        return []

    async with (
        relaying(monkeypatch, tmp_path, script) as place,
        frontend(place) as (reader, writer),
    ):
        writer.write(b"x")
        found = await rest(reader)

    assert found == b"first" + last


async def test_a_backend_that_refuses_is_an_event(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the reason for people, and no address in it."""

    def script(event: e.Event) -> list[c.Command]:
        if isinstance(event, e.BackendUnreachable):
            return [c.SendFrontend(event.reason.encode()), c.CloseBackend(), c.CloseFrontend()]
        return passing(event)

    async with (
        relaying(monkeypatch, tmp_path, script, upstream_port=free_port()) as place,
        frontend(place) as (reader, writer),
    ):
        writer.write(b"open")
        found = await rest(reader)

    assert found == b"refused"


async def test_the_login_has_a_deadline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told to the session, unless that has logged in."""

    def script(event: e.Event) -> list[c.Command]:
        if event == e.FrontendBytes(b"login"):
            return [c.LoggedIn(), c.SendFrontend(b"in")]
        return [c.CloseFrontend()] if isinstance(event, e.LoginTimeout | e.FrontendClosed) else []

    async with (
        relaying(monkeypatch, tmp_path, script, login_seconds=0.1) as place,
        frontend(place) as (fast, writer),
        frontend(place) as (silent, _),
    ):
        writer.write(b"login")
        logged_in = await read(fast, 2)
        end = await rest(silent)
        events = [one.events for one in place.sessions]

    assert (logged_in, end) == (b"in", b"")
    assert sorted(e.LoginTimeout() in one for one in events) == [False, True]


@pytest.mark.parametrize("secret", [b"ours", b"wrong"])
async def test_a_cancel_goes_to_the_session_that_it_means(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret: bytes
) -> None:
    """By a connection of its own with the backend's key; a wrong key opens none."""

    def script(event: e.Event) -> list[c.Command]:
        match event:
            case e.FrontendBytes(b"open"):
                return [c.OpenBackend(), KEY, c.SendFrontend(b"key")]
            case e.FrontendBytes(chunk):
                return [c.ForwardCancel(7, chunk)]
            case _:
                return passing(event)

    async with (
        relaying(monkeypatch, tmp_path, script) as place,
        frontend(place) as (reader, writer),
    ):
        writer.write(b"open")
        await read(reader, 3)
        async with frontend(place) as (cancel, out):
            out.write(secret)
            if secret == b"ours":
                await until(lambda: len(place.upstream) == 2)
                request = await read(place.upstream[1][0], 18)
                place.upstream[1][1].close()
            else:
                request = b""
            end = await rest(cancel)
        connections = len(place.upstream)

    assert end == b""
    assert connections == (2 if secret == b"ours" else 1)
    assert request[12:] == (b"theirs" if secret == b"ours" else b"")


async def test_a_cancel_outlives_its_sender(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever sends it and hangs up at once has cancelled all the same."""

    def script(event: e.Event) -> list[c.Command]:
        match event:
            case e.FrontendBytes(b"key"):
                return [KEY, c.SendFrontend(b"key")]
            case e.FrontendBytes(chunk):
                return [c.ForwardCancel(7, chunk)]
            case _:
                return passing(event)

    async with relaying(monkeypatch, tmp_path, script) as place:
        async with frontend(place) as (reader, writer):
            writer.write(b"key")
            await read(reader, 3)
            async with frontend(place) as (_, out):
                out.write(b"ours")
            await until(lambda: place.upstream)
            request = await read(place.upstream[0][0], 18)
            place.upstream[0][1].close()
        await until(lambda: not place.surroundings.cancels)

    assert request[12:] == b"theirs"


async def test_a_cancel_waits_until_the_backend_runs_what_the_frontend_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While a question of Vigie's own is under way it would hit that, and not the statement."""

    def script(event: e.Event) -> list[c.Command]:
        match event:
            case e.FrontendBytes(b"open" as chunk):
                return [c.OpenBackend(), KEY, c.SendBackend(chunk), c.SendFrontend(b"key")]
            case e.FrontendBytes(b"ours" as chunk):
                return [c.ForwardCancel(7, chunk)]
            case _:
                return passing(event)

    async with (
        relaying(monkeypatch, tmp_path, script) as place,
        frontend(place) as (reader, writer),
    ):
        writer.write(b"open")
        await read(reader, 3)
        await until(lambda: place.upstream)
        place.sessions[0].asks = True
        async with frontend(place) as (_, out):
            out.write(b"ours")
            await until(lambda: place.surroundings.cancels)
            await asyncio.sleep(0.05)
            before = len(place.upstream)
            place.sessions[0].asks = False
            place.upstream[0][1].write(b"answer")
            await until(lambda: len(place.upstream) == 2)
            place.upstream[1][1].close()

    assert before == 1


async def test_a_session_goes_to_the_upstream_of_its_route(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And so does a cancel for it."""
    arrived: list[bytes] = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(await reader.read(18))
        writer.close()

    def script(event: e.Event) -> list[c.Command]:
        match event:
            case e.FrontendBytes(b"open" as chunk):
                return [c.OpenBackend("other"), KEY, c.SendBackend(chunk)]
            case e.FrontendBytes(b"ours" as chunk):
                return [c.ForwardCancel(7, chunk)]
            case _:
                return []

    elsewhere = await asyncio.start_server(other, HOST, 0)
    port = elsewhere.sockets[0].getsockname()[1]
    async with (
        elsewhere,
        relaying(monkeypatch, tmp_path, script, other_port=port) as place,
        frontend(place) as (_, writer),
    ):
        writer.write(b"open")
        await until(lambda: arrived)
        async with frontend(place) as (cancel, out):
            out.write(b"ours")
            await rest(cancel)
        connections = len(place.upstream)

    assert (arrived[0], arrived[1][12:], connections) == (b"open", b"theirs", 0)


async def test_far_above_the_limit_a_connection_is_closed_unheard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A few are told why; the rest would only take memory."""
    monkeypatch.setattr(module, "SPARE", 0)
    async with relaying(monkeypatch, tmp_path) as place:
        place.surroundings.context.admission.limit = 1
        async with frontend(place) as (_, writer):
            writer.write(b"open")
            await until(lambda: place.sessions)
            async with frontend(place) as (reader, _):
                end = await rest(reader)
        sessions = len(place.sessions)
        await until(lambda: not place.surroundings.relays)

    assert (end, sessions, place.sessions[0].ends) == (b"", 1, 1)


async def test_our_own_cancel_is_told_when_it_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CancelDone comes only when the backend has closed that connection."""

    def script(event: e.Event) -> list[c.Command]:
        if event == e.FrontendBytes(b"cut"):
            return [c.CancelBackend(7, b"theirs")]
        return [c.SendFrontend(b"done")] if isinstance(event, e.CancelDone) else passing(event)

    async with (
        relaying(monkeypatch, tmp_path, script) as place,
        frontend(place) as (reader, writer),
    ):
        writer.write(b"cut")
        await until(lambda: place.upstream)
        await read(place.upstream[0][0], 18)
        before = list(place.sessions[0].events)
        place.upstream[0][1].close()
        told = await read(reader, 4)

    assert e.CancelDone() not in before
    assert told == b"done"


async def test_a_worker_answers_with_the_text_it_was_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The session knows which text it is by the bytes."""

    def script(event: e.Event) -> list[c.Command]:
        match event:
            case e.FrontendBytes(chunk):
                return [c.AskWorker(chunk, chunk.decode())]
            case e.WorkerAnswered(text, outcome):
                return [c.SendFrontend(text + str(outcome.reason).encode()), c.CloseFrontend()]
            case _:
                return passing(event)

    async with (
        relaying(monkeypatch, tmp_path, script) as place,
        frontend(place) as (reader, writer),
    ):
        writer.write(b"select 1")
        found = await rest(reader)

    assert found == b"select 1None"


async def test_a_frontend_that_leaves_while_the_backend_is_dialled_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Gone right behind its first bytes: the backend's connection, if any, ends too."""
    async with relaying(monkeypatch, tmp_path) as place:
        for _ in range(20):
            async with frontend(place) as (_, writer):
                writer.write(b"open")
        await until(lambda: len(place.sessions) == 20 and not place.surroundings.relays)
        ends = await asyncio.gather(*(rest(reader) for reader, _ in place.upstream))

    assert set(ends) <= {b"", b"open"}


async def test_a_backend_that_leaves_takes_its_frontend_along(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """BackendClosed is told once; what it had sent before arrives."""
    async with relaying(monkeypatch, tmp_path) as place:
        async with frontend(place) as (reader, writer):
            writer.write(b"open")
            await until(lambda: place.upstream)
            place.upstream[0][1].write(b"last words")
            place.upstream[0][1].close()
            found = await rest(reader)
        events = place.sessions[0].events

    assert found == b"last words"
    assert events.count(e.BackendClosed()) == 1


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("side", ["frontend", "backend"])
def test_a_connection_that_is_reset_ends_the_session(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    side: str,
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Data and reset are there before the loop looks, which is then told of an error alone."""
    lost = e.FrontendClosed() if side == "frontend" else e.BackendClosed()

    async def run() -> None:
        async with relaying(monkeypatch, tmp_path) as place:
            with socket.create_connection((HOST, place.port)) as ours:
                ours.sendall(b"open")
                await until(lambda: place.upstream)
                await read(place.upstream[0][0], 4)
                if side == "frontend":
                    ours.sendall(b"more")
                    reset(ours)
                    ours.close()
                else:
                    place.upstream[0][1].write(b"more")
                    reset(place.upstream[0][1].get_extra_info("socket"))
                    place.upstream[0][1].transport.abort()
                await until(lambda: lost in place.sessions[0].events)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


def reset(connected: socket.socket) -> None:
    """Have it reset when it is closed."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_a_connection_that_was_reset_before_it_is_accepted_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A scanner's connection: it has no address any more, and ends as any other."""
    async with relaying(monkeypatch, tmp_path) as place:
        for _ in range(5):
            with socket.create_connection((HOST, place.port)) as ours:
                reset(ours)
        await until(lambda: len(place.sessions) == 5 and not place.surroundings.relays)
        told = [one.events for one in place.sessions]

    assert told == [[e.FrontendClosed()]] * 5
