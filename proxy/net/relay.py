"""Two sockets and a session between them: the only place that carries out its commands."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from proxy.net import clock
from proxy.net.cancels import CancelKeys, send_cancel
from proxy.session import Session
from proxy.session import commands as c
from proxy.session import events as e

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from proxy.net.sinks import Sinks
    from proxy.net.workers import Workers
    from proxy.session import Context
    from proxy.settings.address import Address

HIGH_WATER_BYTES: Final = 256 * 1024  # of unsent bytes, before the other side is no longer read
LINGER_SECONDS: Final = 10.0  # to send the rest to a peer that does not read
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Surroundings:
    """What the relays of one Vigie share."""

    context: Context
    upstream: Address
    sinks: Sinks
    workers: Workers
    login_timeout_seconds: float
    connect_timeout_seconds: float
    cancel_keys: CancelKeys = field(default_factory=CancelKeys)
    relays: set[Relay] = field(default_factory=set)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)  # the last relay has gone


class Side(asyncio.Protocol):
    """One socket of a relay; tells it what happens."""

    def __init__(self, relay: Relay, *, is_frontend: bool) -> None:
        self._relay = relay
        self._is_frontend = is_frontend
        self.transport: asyncio.Transport | None = None
        self._held: list[bytes] = []  # what is sent before there is a connection
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        transport = cast("asyncio.Transport", transport)  # uvloop's has the methods, not the base
        self.transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        if self._held:
            transport.write(b"".join(self._held))
            self._held.clear()
        if self._closing:
            self.close()
        else:
            self._relay.connected(self)

    def data_received(self, data: bytes) -> None:
        """The peer sent something."""
        if self._is_frontend:
            self._relay.frontend_sent(data)
        else:
            self._relay.backend_sent(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The socket is gone."""
        self.transport = None
        self._closing = True
        self._relay.happened(e.FrontendClosed() if self._is_frontend else e.BackendClosed())
        self._relay.lost()

    def pause_writing(self) -> None:
        """The peer does not read fast enough."""
        self._relay.congested(self, is_congested=True)

    def resume_writing(self) -> None:
        """It does again."""
        self._relay.congested(self, is_congested=False)

    def write(self, data: bytes) -> None:
        """Send bytes, now or when there is a connection."""
        if self.transport is not None:
            self.transport.write(data)
        elif not self._closing:
            self._held.append(data)

    def read(self, *, wanted: bool) -> None:
        """Read on, or stop reading."""
        transport = self.transport
        if transport is None or transport.is_closing() or transport.is_reading() == wanted:
            return
        if wanted:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def close(self) -> None:
        """Close after everything was sent, or after a while."""
        self._closing = True
        transport = self.transport
        if transport is not None:
            transport.close()
            asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()


class Relay:
    """One session with its sockets and tasks; they end with it."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._shared = surroundings
        self.frontend = Side(self, is_frontend=True)
        self._backend = Side(self, is_frontend=False)
        self._session: Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadline: asyncio.TimerHandle | None = None
        self._keys: list[tuple[int, bytes]] = []
        self._congested: set[bool] = set()  # True: the frontend, False: the backend

    def connected(self, side: Side) -> None:
        """A socket is there: the frontend's begins the session."""
        if side is not self.frontend:
            return
        assert side.transport is not None
        peer = side.transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        self._session = Session(self._shared.context, address)
        self._shared.relays.add(self)
        self._shared.sinks.metrics.connection_opened()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(
            self._shared.login_timeout_seconds, self.happened, e.LoginTimeout()
        )

    def frontend_sent(self, chunk: bytes) -> None:
        """Pass a chunk on if the session knows it; else let it decide."""
        session, transport = self._session, self._backend.transport
        if session is None:
            return
        if transport is not None and session.passes_frontend(chunk, clock.now()):
            transport.write(chunk)
        else:
            self.happened(e.FrontendBytes(chunk))

    def backend_sent(self, chunk: bytes) -> None:
        """Pass a chunk on if the session expects it; else let it decide."""
        session, transport = self._session, self.frontend.transport
        if session is None:
            return
        if transport is not None and session.passes_backend(chunk):
            transport.write(chunk)
        else:
            self.happened(e.BackendBytes(chunk))

    def happened(self, event: e.Event) -> None:
        """Let the session decide, and do as it says."""
        session = self._session
        if session is None:
            return
        to_frontend: list[bytes] = []
        to_backend: list[bytes] = []
        closes: list[Side] = []
        for command in session.handle(event, clock.now()):
            match command:
                case c.SendFrontend(data):
                    to_frontend.append(data)
                case c.SendBackend(data):
                    to_backend.append(data)
                case c.CloseFrontend():
                    closes.append(self.frontend)
                case c.CloseBackend():
                    closes.append(self._backend)
                case _:
                    self._carry_out(command)
        _send(self._backend, to_backend)
        _send(self.frontend, to_frontend)
        for side in closes:
            side.close()
        self.frontend.read(wanted=False not in self._congested and not session.holds_frontend)

    def _carry_out(self, command: c.Command) -> None:
        shared = self._shared
        match command:
            case c.OpenBackend():
                self._begin(self._connect())
            case c.CancelBackend(process_id, secret):
                self._begin(self._cancel((process_id, secret)))
            case c.ForwardCancel(process_id, secret):
                self._begin(self._forward_cancel(process_id, secret))
            case c.AskWorker(raw, text):
                self._begin(self._ask_worker(raw, text))
            case c.RegisterKey(process_id, ours, theirs):
                shared.cancel_keys.register(process_id, ours, theirs)
                self._keys.append((process_id, ours))
            case c.LoggedIn():
                if self._deadline is not None:
                    self._deadline.cancel()
            case _:
                shared.sinks.take(command)

    def congested(self, side: Side, *, is_congested: bool) -> None:
        """A peer reads too slowly (or again): the other side is not read (or again)."""
        is_frontend = side is self.frontend
        if is_congested:
            self._congested.add(is_frontend)
        else:
            self._congested.discard(is_frontend)
        if is_frontend:
            self._backend.read(wanted=not is_congested)
        elif self._session is not None:
            self.frontend.read(wanted=not is_congested and not self._session.holds_frontend)

    def lost(self) -> None:
        """A socket is gone; when both are, so is the relay."""
        if self.frontend.transport is not None or self._backend.transport is not None:
            return
        if self not in self._shared.relays:
            return
        self._shared.relays.discard(self)
        if not self._shared.relays:
            self._shared.emptied.set()
        self._shared.sinks.metrics.connection_closed()
        if self._deadline is not None:
            self._deadline.cancel()
        for key in self._keys:
            self._shared.cancel_keys.forget(*key)
        for task in self._tasks:
            task.cancel()

    def abort(self) -> None:
        """Close both sockets at once."""
        self.frontend.abort()
        self._backend.abort()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        shared = self._shared
        host, port = shared.upstream.host, shared.upstream.port
        loop = asyncio.get_running_loop()
        reason = "other"
        try:
            async with asyncio.timeout(shared.connect_timeout_seconds):
                await loop.create_connection(lambda: self._backend, host, port)
        except TimeoutError:
            reason = "timeout"
        except ConnectionRefusedError:
            reason = "refused"
        except OSError as error:
            reason = "unresolved" if type(error).__name__ == "gaierror" else "other"
        else:
            return
        self.happened(e.BackendUnreachable(reason))

    async def _cancel(self, key: tuple[int, bytes]) -> None:
        await send_cancel(self._shared.upstream, key)
        self.happened(e.CancelDone())

    async def _forward_cancel(self, process_id: int, secret: bytes) -> None:
        key = self._shared.cancel_keys.find(process_id, secret)
        if key is not None:
            await send_cancel(self._shared.upstream, key)
        self.frontend.close()

    async def _ask_worker(self, raw: bytes, text: str) -> None:
        outcome = await self._shared.workers.read(text)
        self.happened(e.WorkerAnswered(raw, outcome))


def _send(side: Side, parts: list[bytes]) -> None:
    if parts:
        side.write(parts[0] if len(parts) == 1 else b"".join(parts))
