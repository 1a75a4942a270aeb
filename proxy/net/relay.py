"""Two sockets and a session between them: the only place that carries out its commands."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.net import clock
from proxy.net.cancels import CancelKeys, send_cancel
from proxy.net.dial import Dial, NoTlsError
from proxy.net.raw import RawSide
from proxy.net.readiness import Readiness
from proxy.net.tls import Tls, read_certificate
from proxy.net.tls_side import TlsSide
from proxy.net.tls_stream import TlsError, TlsStream
from proxy.session import Session
from proxy.session import commands as c
from proxy.session import events as e
from proxy.settings.certificates import end_point

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from proxy.net.dial import Dialled
    from proxy.net.keeper import Keeper
    from proxy.net.sinks import Sinks
    from proxy.net.workers import Workers
    from proxy.session import Context
    from proxy.settings.address import Address

SPARE: Final = 256  # connections above the limit that are told why they are refused
_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Surroundings:
    """What the relays of one Vigie share."""

    context: Context
    upstreams: Mapping[str, Address]  # by the name that routes have for it; "": all others'
    sinks: Sinks
    workers: Workers
    login_timeout_seconds: float
    connect_timeout_seconds: float
    keeper: Keeper
    tls: Tls = field(default_factory=Tls)
    readiness: Readiness = field(default_factory=Readiness)
    cancel_keys: CancelKeys[Relay] = field(default_factory=CancelKeys)
    cancels: set[asyncio.Task[None]] = field(default_factory=set)  # under way
    relays: set[Relay] = field(default_factory=set)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)  # the last relay has gone

    def dial(self, upstream: str) -> Dial:
        """Return what makes connections to a database, as TLS is set up now."""
        return Dial(self.upstreams[upstream], self.tls.backend, self.readiness)


Side = RawSide | TlsSide


def accept(
    surroundings: Surroundings, connected: socket.socket, listener: Address | None = None
) -> None:
    """Begin a session with a frontend that has connected to this listener.

    More than a few above the limit are not even told why: each that is takes memory.
    """
    limit = surroundings.context.admission.limit
    if limit and len(surroundings.relays) >= limit + SPARE:
        connected.close()
        surroundings.sinks.metrics.connection_refused("too_many")
        return
    Relay(surroundings, listener).begin(connected)


class Relay:
    """One session with its sockets and tasks; they end with it."""

    def __init__(self, surroundings: Surroundings, listener: Address | None) -> None:
        self._shared = surroundings
        self._encryption = surroundings.tls.asked_of(listener)
        self._listener = "" if listener is None else str(listener)
        self._upstream = ""
        self._raw_frontend = RawSide(self, surroundings.readiness, is_frontend=True)
        self._raw_backend = RawSide(self, surroundings.readiness, is_frontend=False)
        self.frontend: Side = self._raw_frontend  # until TLS is put between
        self._backend: Side = self._raw_backend
        self._session: Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadline: asyncio.TimerHandle | None = None
        self._keys: list[tuple[int, bytes]] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._congested: set[bool] = set()  # True: the frontend, False: the backend
        self._held: list[bytes] | None = None  # for the frontend, until the state is kept
        self._waits = 0  # answers of the keeper that are due
        self._closes_after = False  # the frontend's socket, once it may have what is held

    def begin(self, connected: socket.socket) -> None:
        """Take the frontend's socket."""
        self._raw_frontend.attach(connected)

    @property
    def session(self) -> Session | None:
        """Return the session, once the frontend is there."""
        return self._session

    @property
    def dial(self) -> Dial:
        """Return what makes connections to the backend's database."""
        return self._shared.dial(self._upstream)

    def connected(self, side: RawSide) -> None:
        """A socket is there: the frontend's begins the session."""
        if side is not self._raw_frontend:
            return
        address = side.peer_address
        self._session = Session(self._shared.context, address, self._encryption, self._listener)
        self._shared.relays.add(self)
        self._shared.sinks.metrics.connection_opened()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(
            self._shared.login_timeout_seconds, self.happened, e.LoginTimeout()
        )

    def frontend_sent(self, chunk: bytes) -> None:
        """Pass a chunk on if the session knows it; else let it decide."""
        session = self._session
        if session is not None and session.passes_frontend(chunk, clock.now()):
            self._backend.write(chunk)
        else:
            self.happened(e.FrontendBytes(chunk))

    def backend_sent(self, chunk: bytes) -> None:
        """Pass a chunk on if the session expects it; else let it decide."""
        session = self._session
        if session is not None and session.passes_backend(chunk, clock.now()):
            self._to_frontend([chunk])
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
                case c.AwaitState():
                    self._hold()
                    self._shared.keeper.wait(self._state_told)
                case c.Delay(seconds):
                    self._hold()
                    loop = asyncio.get_running_loop()
                    loop.call_later(seconds, self._state_told, True)
                case _:
                    self._carry_out(command)
        _send(self._backend, to_backend)
        self._to_frontend(to_frontend)
        for side in closes:
            if side is self.frontend and self._held is not None:
                self._closes_after = True
            else:
                side.close()
        if self._waiters and not session.asks:
            self._let_go()
        self._shared.keeper.look()
        self.frontend.read(wanted=False not in self._congested and not session.holds_frontend)

    def _hold(self) -> None:
        """Send nothing more to the frontend until ``_state_told`` says that it may leave."""
        if self._held is None:
            self._held = []
            self._backend.read(wanted=False)
        self._waits += 1

    def _state_told(self, may_leave: bool) -> None:  # noqa: FBT001 - a callback's one answer
        self._waits -= 1
        if not may_leave and self._shared.context.enforces:
            self.abort()  # what was held may not leave, nor may what comes after it
        elif not self._waits and self._held is not None:
            held, self._held = self._held, None
            self._to_frontend(held)
            if self._closes_after:
                self.frontend.close()
            self._backend.read(wanted=True not in self._congested)

    def _to_frontend(self, parts: list[bytes]) -> None:
        if self._held is None:
            _send(self.frontend, parts)
        else:
            self._held += parts

    def _carry_out(self, command: c.Command) -> None:
        shared = self._shared
        match command:
            case c.OpenBackend(upstream):
                self._upstream = upstream
                self._begin(self._connect())
            case c.EncryptFrontend(answer, received):
                self._encrypt_frontend(answer, received)
            case c.CancelBackend(process_id, secret):
                # outlives this relay: what its session left running has to end
                _begin(self._cancel((process_id, secret)), shared.cancels)
            case c.ForwardCancel(process_id, secret):
                # outlives this relay: its sender need not wait for the end of it
                _begin(self._forward_cancel(process_id, secret), shared.cancels)
            case c.AskWorker(raw, text):
                self._begin(self._ask_worker(raw, text))
            case c.RegisterKey(process_id, ours, theirs):
                shared.cancel_keys.register(process_id, ours, theirs, self)
                self._keys.append((process_id, ours))
            case c.LoggedIn():
                if self._deadline is not None:
                    self._deadline.cancel()
                self._link()
            case _:
                shared.sinks.take(command)

    def _encrypt_frontend(self, answer: bytes, received: bytes) -> None:
        credentials = self._shared.tls.frontend
        assert credentials is not None
        self._raw_frontend.write(answer)
        side = TlsSide(self, self._raw_frontend, TlsStream(credentials, accepts=True))
        self.frontend = side
        if received:
            side.stream.hold(received)
            # once the session has decided, and in order with whatever comes meanwhile
            asyncio.get_running_loop().call_soon(side.received, b"")

    def established(self, side: TlsSide) -> None:
        """The handshake with the frontend is over."""
        try:
            certificate = read_certificate(side.stream.peer_certificate)
        except TlsError as error:
            self.broken(side, str(error))
            return
        ours = side.stream.credentials
        self.happened(
            e.FrontendEncrypted(side.stream.protocol, certificate, ours.end_point, ours.verifiers)
        )

    def broken(self, side: TlsSide, reason: str) -> None:
        """What came is no TLS."""
        self.happened(
            e.EncryptionBroken("frontend" if side is self.frontend else "backend", reason)
        )

    def _link(self) -> None:
        """Let what the lane passes go from socket to socket; TLS is read and written here."""
        if self._session is None or isinstance(self.frontend, TlsSide):
            return
        if not isinstance(self._backend, TlsSide):
            self.frontend.link(self._backend, self._session.lane)

    def congested(self, side: Side, *, is_congested: bool) -> None:
        """A peer reads too slowly (or again): the other side is not read (or again)."""
        is_frontend = side is self.frontend
        if is_congested:
            self._congested.add(is_frontend)
        else:
            self._congested.discard(is_frontend)
        if is_frontend:
            self._backend.read(wanted=not is_congested and self._held is None)
        elif self._session is not None:
            self.frontend.read(wanted=not is_congested and not self._session.holds_frontend)

    def lost(self, side: Side) -> None:
        """A socket is gone; when both are, so is the relay."""
        self.happened(e.FrontendClosed() if side is self.frontend else e.BackendClosed())
        if self.frontend.is_open or self._backend.is_open:
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
        self._let_go()
        if self._session is not None:
            self._session.end()
        for task in self._tasks:
            task.cancel()

    def abort(self) -> None:
        """Close both sockets at once."""
        self.frontend.abort()
        self._backend.abort()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        _begin(work, self._tasks)

    async def _connect(self) -> None:
        shared, raw = self._shared, self._raw_backend
        reason = "other"
        opening = raw.take_backlog()
        try:
            async with asyncio.timeout(shared.connect_timeout_seconds):
                dialled = await self.dial.open(opening)
        except TimeoutError:
            reason = "timeout"
        except ConnectionRefusedError:
            reason = "refused"
        except NoTlsError as error:
            reason = "tls"
            _log.error("no TLS with the database at %s: %s", self.dial.address, error)
        except OSError as error:
            reason = "unresolved" if isinstance(error, socket.gaierror) else "other"
        else:
            self._attach(dialled)
            return
        self.happened(e.BackendUnreachable(reason))

    def _attach(self, dialled: Dialled) -> None:
        """Go on with the backend's socket, and with what has already come of it."""
        raw, stream = self._raw_backend, dialled.stream
        if stream is None:
            raw.attach(dialled.connected)
        else:
            since = raw.take_backlog()
            self._backend = side = TlsSide(self, raw, stream)
            self.happened(self._encrypted(stream.peer_certificate))
            raw.attach(dialled.connected)
            side.write(since)
        if dialled.early:
            self.backend_sent(dialled.early)

    def _encrypted(self, theirs: bytes) -> e.BackendEncrypted:
        """Return what the session has to know of the backend's certificate."""
        if not isinstance(self.frontend, TlsSide):
            return e.BackendEncrypted(presents_ours=False)
        ours = self.frontend.stream.credentials
        found = end_point(theirs) if ours.verifiers else b""
        return e.BackendEncrypted(ours.certificate == theirs, found)

    async def _cancel(self, key: tuple[int, bytes]) -> None:
        await send_cancel(self.dial, key)
        self.happened(e.CancelDone())

    async def _forward_cancel(self, process_id: int, secret: bytes) -> None:
        found = self._shared.cancel_keys.find(process_id, secret)
        if found is not None:
            key, owner = found
            await owner.until_its_own()
            await send_cancel(owner.dial, key)
        self.frontend.close()

    async def until_its_own(self) -> None:
        """Wait until the backend runs what the frontend sent: a cancel is not for our question."""
        session = self._session
        if session is not None and session.asks and self.frontend.is_open:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _let_go(self) -> None:
        waiters, self._waiters = self._waiters, []
        for one in waiters:
            if not one.done():
                one.set_result(None)

    async def _ask_worker(self, raw: bytes, text: str) -> None:
        outcome = await self._shared.workers.read(text)
        self.happened(e.WorkerAnswered(raw, outcome))


def _begin(work: Coroutine[None, None, None], tasks: set[asyncio.Task[None]]) -> None:
    """Start a task; it is among ``tasks`` until it ends."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _send(side: Side, parts: list[bytes]) -> None:
    if parts:
        side.write(parts[0] if len(parts) == 1 else b"".join(parts))
