"""Connections to the database, with and without TLS, as libpq's sslmode has it.

Source: PostgreSQL documentation, "SSL Support" of libpq, and "SSL Session Encryption".
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.net.tls_stream import TlsError, TlsStream
from proxy.settings.certificates import ALPN
from proxy.settings.settings import BackendTls
from proxy.wire.encode import SSL_REQUEST

if TYPE_CHECKING:
    from proxy.net.readiness import Readiness
    from proxy.settings.address import Address
    from proxy.settings.certificates import Credentials

_READ_BYTES: Final = 64 * 1024
_ERROR: Final = b"E"
_ACCEPTED: Final = b"S"
_DECLINED: Final = b"N"


class NoTlsError(OSError):
    """The database does not speak TLS, or is not whom we believe."""


@dataclass(frozen=True, slots=True)
class BackendLeg:
    """How to speak to the database. ``credentials`` None: without TLS."""

    settings: BackendTls
    credentials: Credentials | None = None

    @property
    def tries(self) -> tuple[bool, ...]:
        """Whether with TLS, one after the other until the database does not refuse."""
        mode = self.settings.mode
        if self.credentials is None or mode == "disable":
            return (False,)
        return {"allow": (False, True), "prefer": (True, False)}.get(mode, (True,))


WITHOUT_TLS: Final = BackendLeg(BackendTls(mode="disable"))


@dataclass(frozen=True, slots=True)
class Dialled:
    """A connection. ``stream`` None: without TLS. ``early``: what has already come of it."""

    connected: socket.socket
    stream: TlsStream | None = None
    early: bytes = b""


@dataclass(frozen=True, slots=True)
class Dial:
    """Makes connections to the database.

    Args:
        address: of the database; the first address of the name that answers.
        leg: how it is to be spoken to.
        readiness: tells a reset as well; without one it is noticed when time is over.
    """

    address: Address
    leg: BackendLeg = WITHOUT_TLS
    readiness: Readiness | None = None

    async def open(self, opening: bytes = b"", *, once: bool = False) -> Dialled:
        """Return a connection to which ``opening`` was sent.

        Where the mode leaves a second try, an ErrorResponse to ``opening`` leads to it; if that
        one cannot be had, the first with its error is returned.

        Args:
            opening: the StartupMessage and what has followed it, or a CancelRequest.
            once: do not wait for an answer that could lead to a second try.

        Errors: OSError, that of the last address tried; ``socket.gaierror`` for an unknown name;
        NoTlsError.
        """
        first, *others = (False,) if self.address.path else self.leg.tries
        try:
            found = await self._try(opening, with_tls=first)
        except (NoTlsError, ConnectionResetError):
            if not others or not first:
                raise
            return await self._try(opening, with_tls=False)
        if not others or once or (first and found.stream is None):
            return found  # where TLS was declined, that was the other way
        found = await self._answered(found)
        if not found.early.startswith(_ERROR):
            return found
        try:
            other = await self._try(opening, with_tls=not first)
        except OSError:
            return found
        except BaseException:
            found.connected.close()
            raise
        found.connected.close()
        return other

    async def peer_certificate(self) -> bytes | None:
        """Return the certificate of the database in DER; None: a session would have no TLS.

        Errors: OSError, NoTlsError.
        """
        if self.address.path or not any(self.leg.tries):
            return None
        try:
            found = await self._try(b"", with_tls=True)
        except NoTlsError:
            if len(self.leg.tries) > 1:
                return None
            raise
        found.connected.close()
        return None if found.stream is None else found.stream.peer_certificate

    async def receive(self, connected: socket.socket, size: int = _READ_BYTES) -> bytes:
        """Return the next bytes; none at the end. Errors: OSError."""
        if self.readiness is not None:
            return await self.readiness.receive(connected, size)
        return await asyncio.get_running_loop().sock_recv(connected, size)

    async def _try(self, opening: bytes, *, with_tls: bool) -> Dialled:
        connected = await self._connect()
        try:
            stream = await self._encrypt(connected) if with_tls else None
            if opening:
                data = opening if stream is None else stream.encrypt(opening)
                await asyncio.get_running_loop().sock_sendall(connected, data)
        except BaseException:
            connected.close()
            raise
        return Dialled(connected, stream)

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        failed: OSError = OSError("the name has no address")
        for family, target in await _targets(self.address):
            one = socket.socket(family, socket.SOCK_STREAM)
            one.setblocking(False)
            try:
                await loop.sock_connect(one, target)
            except OSError as error:
                one.close()
                failed = error
            except BaseException:
                one.close()
                raise
            else:
                return one
        raise failed

    async def _encrypt(self, connected: socket.socket) -> TlsStream | None:
        """Return the stream when the handshake is over; None: declined, and the mode permits it."""
        is_direct = self.leg.settings.negotiation == "direct"
        if not is_direct and not await self._agrees(connected):
            return None
        assert self.leg.credentials is not None
        loop = asyncio.get_running_loop()
        stream = TlsStream(self.leg.credentials, accepts=False, host=self.address.host)
        try:
            stream.begin()
            while not stream.is_established:
                await loop.sock_sendall(connected, stream.take_outgoing())
                received = await self.receive(connected)
                if not received:
                    raise NoTlsError("the database has closed the connection in the handshake")
                if stream.feed(received):
                    raise NoTlsError("the database speaks first")
            if rest := stream.take_outgoing():
                await loop.sock_sendall(connected, rest)
        except TlsError as error:
            raise NoTlsError(str(error)) from None
        if is_direct and stream.protocol != ALPN:
            raise NoTlsError("the database does not agree to the protocol 'postgresql' by ALPN")
        return stream

    async def _agrees(self, connected: socket.socket) -> bool:
        """Ask for TLS; whether it begins. Errors: NoTlsError, if it has to and does not."""
        await asyncio.get_running_loop().sock_sendall(connected, SSL_REQUEST)
        # one byte is due, and the database has to wait for us then: more is not from its TLS
        answer = await self.receive(connected, 2)
        if answer == _DECLINED:
            if len(self.leg.tries) > 1:
                return False
            raise NoTlsError("the database does not offer TLS")
        if answer != _ACCEPTED:
            raise NoTlsError(
                f"the database answers {answer!r} to SSLRequest, expected S or N and no more"
            )
        return True

    async def _answered(self, found: Dialled) -> Dialled:
        """Wait for the first bytes of the database. Errors: OSError, NoTlsError."""
        early = b""
        try:
            while not early and (received := await self.receive(found.connected)):
                early = received if found.stream is None else found.stream.feed(received)
        except TlsError as error:
            found.connected.close()
            raise NoTlsError(str(error)) from None
        except BaseException:
            found.connected.close()
            raise
        return Dialled(found.connected, found.stream, early)


async def _targets(address: Address) -> list[tuple[int, str | tuple[str, int]]]:
    if address.path:
        return [(socket.AF_UNIX, address.path)]
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )
        return [(family, (str(name[0]), int(name[1]))) for family, _, _, _, name in found]
    family = socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - of IP
    return [(family, (address.host, address.port))]
