"""Connections to the database: every sslmode against every kind of server, and hostile ones."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final, Self

import pytest

from proxy.demo.postgres import HOST, free_port
from proxy.net.dial import BackendLeg, Dial, NoTlsError
from proxy.settings.address import Address
from proxy.settings.certificates import backend_credentials, utc_now
from proxy.settings.settings import BackendTls
from proxy.wire.encode import SSL_REQUEST
from tests.fix_tls import ANY_WAY, OTHER_HOST, Authority
from tests.integration.bare import startup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fix_tls import TlsLab

SECONDS: Final = 20.0
OPENING: Final = startup(user="lims_app", database="lab")
TLS_ONLY: Final = ("hostssl all all all scram-sha-256",)
PLAIN_ONLY: Final = ("hostnossl all all all scram-sha-256",)


def leg_of(mode: str, ca: Path | None = None, negotiation: str = "postgres") -> BackendLeg:
    settings = BackendTls(mode, negotiation, ca)
    return BackendLeg(settings, backend_credentials(settings, utc_now()))


async def opened(address: Address, leg: BackendLeg) -> tuple[str, bytes]:
    """Open a session; return (tls or plain, tag of the first message)."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS):
        found = await Dial(address, leg).open(OPENING)
        try:
            early = found.early
            while not early:
                received = await loop.sock_recv(found.connected, 1000)
                assert received
                early = found.stream.feed(received) if found.stream else received
        finally:
            found.connected.close()
    return ("plain" if found.stream is None else "tls"), early[:1]


@pytest.fixture
def hba(tls_lab: TlsLab) -> Iterator[TlsLab]:
    """The laboratory, whose pg_hba.conf a test may change."""
    yield tls_lab
    tls_lab.admit(*ANY_WAY)


# What pg_hba.conf admits, and for each mode what comes of it: the last encryption that was tried,
# and R for a session that goes on, E for an error.
SESSIONS: Final = {
    ANY_WAY: {"disable": "plain R", "allow": "plain R", "prefer": "tls R", "require": "tls R"},
    TLS_ONLY: {"disable": "plain E", "allow": "tls R", "prefer": "tls R", "require": "tls R"},
    PLAIN_ONLY: {"disable": "plain R", "allow": "plain R", "prefer": "plain R", "require": "tls E"},
}


@pytest.mark.integration
@pytest.mark.parametrize("admitted", SESSIONS, ids=["any way", "TLS only", "plain only"])
async def test_each_mode_finds_its_way(admitted: tuple[str, ...], hba: TlsLab) -> None:
    """As libpq does: allow and prefer try the other way when the database refuses."""
    hba.admit(*admitted)
    address = Address(HOST, hba.lab.port)
    found = {}
    for mode in SESSIONS[admitted]:
        found[mode] = " ".join(
            one if isinstance(one, str) else one.decode()
            for one in await opened(address, leg_of(mode))
        )

    assert found == SESSIONS[admitted]


@pytest.mark.integration
async def test_a_server_without_tls(tls_lab: TlsLab) -> None:
    """A Unix socket stands for it: PostgreSQL has no TLS there, and none is asked for."""
    path = f"{tls_lab.postgres.base}/.s.PGSQL.{tls_lab.lab.port}"

    assert await opened(Address("", 0, path), leg_of("prefer")) == ("plain", b"R")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("host", "mode", "is_known", "problem"),
    [
        (HOST, "verify-ca", True, None),
        (HOST, "verify-full", True, None),
        ("localhost", "verify-full", True, None),
        (HOST, "verify-ca", False, "self-signed certificate|local issuer"),
        (OTHER_HOST, "verify-ca", True, None),
        (OTHER_HOST, "verify-full", True, "IP address mismatch"),
    ],
)
async def test_whom_the_database_has_to_be(
    host: str,
    mode: str,
    problem: str | None,
    tls_lab: TlsLab,
    tmp_path: Path,
    *,
    is_known: bool,
) -> None:
    """verify-ca asks who signed its certificate, verify-full for its name or address too."""
    authority = tls_lab.authority if is_known else Authority(tmp_path, "nobody")
    leg = leg_of(mode, authority.certificate)
    address = Address(host, tls_lab.lab.port)

    if problem is None:
        assert await opened(address, leg) == ("tls", b"R")
    else:
        with pytest.raises(NoTlsError, match=problem):
            await opened(address, leg)


@pytest.mark.integration
async def test_the_certificate_of_the_database(tls_lab: TlsLab) -> None:
    """What a session would be presented, without opening one; none where it has no TLS."""
    address = Address(HOST, tls_lab.lab.port)

    assert await Dial(address, leg_of("prefer")).peer_certificate() == tls_lab.pair.der
    assert await Dial(address, leg_of("disable")).peer_certificate() is None


class Answering:
    """Listens; gives each connection the next of its answers to whatever it sends first."""

    def __init__(self, *answers: bytes) -> None:
        self._left = list(answers)
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = socket.create_server((HOST, 0))
        self._listening.setblocking(False)
        self.address = Address(HOST, self._listening.getsockname()[1])

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._accept(loop)))
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listening.close()

    async def heard(self) -> bytes:
        """Return what came next, on whichever connection."""
        async with asyncio.timeout(SECONDS):
            return await self._heard.get()

    async def _accept(self, loop: asyncio.AbstractEventLoop) -> None:
        for answer in self._left:
            connected, _ = await loop.sock_accept(self._listening)
            self._tasks.append(loop.create_task(self._answer(loop, connected, answer)))

    async def _answer(
        self, loop: asyncio.AbstractEventLoop, connected: socket.socket, answer: bytes
    ) -> None:
        with connected:
            self._heard.put_nowait(await loop.sock_recv(connected, 1000))
            await loop.sock_sendall(connected, answer)
            if answer:
                self._heard.put_nowait(await loop.sock_recv(connected, 1000))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"N", "the database does not offer TLS"),
        (b"SR", "answers b'SR' to SSLRequest"),
        (b"E", "answers b'E' to SSLRequest"),
        (b"", "answers b'' to SSLRequest"),
    ],
    ids=["declined", "stuffed", "an error", "closed"],
)
async def test_what_is_no_answer_to_sslrequest(answer: bytes, problem: str) -> None:
    """Bytes behind the S were there before TLS: never taken for the database's (CVE-2021-23222)."""
    async with Answering(answer) as server:
        with pytest.raises(NoTlsError, match=problem):
            await Dial(server.address, leg_of("require")).open(OPENING)

        assert await server.heard() == SSL_REQUEST
        if answer:
            assert await server.heard() == b""


async def test_nothing_is_said_before_the_handshake_is_over() -> None:
    """After S comes a ClientHello, and no start-up until the database has answered it."""
    async with Answering(b"S") as server:
        dialling = asyncio.ensure_future(Dial(server.address, leg_of("require")).open(OPENING))
        assert await server.heard() == SSL_REQUEST
        hello = await server.heard()
        with pytest.raises(NoTlsError, match="closed the connection in the handshake"):
            await dialling

    assert hello[:1] == b"\x16"
    assert b"lims_app" not in hello


async def test_prefer_goes_on_in_the_clear_when_tls_is_declined() -> None:
    """On the same connection, as libpq does."""
    async with Answering(b"N") as server:
        found = await Dial(server.address, leg_of("prefer")).open(OPENING)

        assert await server.heard() == SSL_REQUEST
        assert await server.heard() == OPENING
        found.connected.close()


async def test_prefer_dials_anew_when_the_handshake_fails() -> None:
    """Whatever has gone wrong with TLS, there is the other way; the mode says that it may be."""
    async with Answering(b"Sno TLS", b"R\0\0\0\x08\0\0\0\0") as server:
        found = await Dial(server.address, leg_of("prefer")).open(OPENING)
        found.connected.close()

        assert found.stream is None
        assert {await server.heard() for _ in range(3)} == {SSL_REQUEST, b"", OPENING}


async def test_the_first_error_stays_when_there_is_no_other_way() -> None:
    """allow: the database refuses plain text and has no TLS: its own error is what is told."""
    error = b"E\0\0\0\x05\0"
    async with Answering(error, b"Sno TLS") as server:
        found = await Dial(server.address, leg_of("allow")).open(OPENING)
        found.connected.close()

        assert found.early == error
        assert await server.heard() == OPENING


async def test_a_cancel_waits_for_no_answer() -> None:
    """There is none to a CancelRequest; allow sends it in the clear at once."""
    async with Answering(b"") as server:
        found = await Dial(server.address, leg_of("allow")).open(b"cancel", once=True)
        found.connected.close()

        assert await server.heard() == b"cancel"


@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
async def test_nobody_there_is_told_as_such(mode: str) -> None:
    """A refused connection is no matter of TLS, and is not tried again."""
    with pytest.raises(ConnectionRefusedError):
        await Dial(Address(HOST, free_port()), leg_of(mode)).open(OPENING)


async def test_ipv6() -> None:
    """An address of version 6 is dialled as one."""
    with socket.socket(socket.AF_INET6) as listening:
        listening.bind(("::1", 0))
        listening.listen()
        found = await Dial(Address("::1", listening.getsockname()[1])).open()

        assert found.connected.family is socket.AF_INET6
        found.connected.close()
