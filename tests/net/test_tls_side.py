"""What stands between a socket and the relay: each gets what it expects of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from proxy.net.tls_side import TlsSide
from proxy.net.tls_stream import TlsStream
from proxy.settings.certificates import backend_credentials, frontend_credentials, utc_now
from proxy.settings.settings import BackendTls, FrontendTls
from tests.fix_tls import Authority

if TYPE_CHECKING:
    from proxy.net.raw import RawSide
    from proxy.settings.certificates import Credentials


class _Socket:
    """Stands for the ``RawSide``: keeps what it was told."""

    def __init__(self, *, is_frontend: bool = True) -> None:
        self.is_frontend = is_frontend
        self.is_open, self.is_closing = True, False
        self.sent = b""
        self.told: list[str] = []

    def report_to(self, _told: object) -> None:
        self.told.append("reports")

    def write(self, data: bytes) -> None:
        self.sent += data

    def read(self, *, wanted: bool) -> None:
        self.told.append("read" if wanted else "stop")

    def close(self) -> None:
        self.is_closing = True
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")

    def take(self) -> bytes:
        """Return what was written since."""
        sent, self.sent = self.sent, b""
        return sent


class _Relay:
    """Keeps what happened."""

    def __init__(self) -> None:
        self.happened: list[object] = []

    def established(self, _side: TlsSide) -> None:
        self.happened.append("established")

    def broken(self, _side: TlsSide, reason: str) -> None:
        self.happened.append(("broken", reason))

    def frontend_sent(self, chunk: bytes) -> None:
        self.happened.append(("frontend", chunk))

    def backend_sent(self, chunk: bytes) -> None:
        self.happened.append(("backend", chunk))

    def congested(self, _side: TlsSide, *, is_congested: bool) -> None:
        self.happened.append(("congested", is_congested))

    def lost(self, _side: TlsSide) -> None:
        self.happened.append("lost")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Credentials, Credentials]:
    """Credentials of the end that accepts, and of the one that begins."""
    pair = Authority(tmp_path_factory.mktemp("side"), "authority").issue("vigie")
    accepting = frontend_credentials(FrontendTls(pair.certificate, pair.key), utc_now())
    beginning = backend_credentials(BackendTls("require"), utc_now())
    assert accepting is not None
    assert beginning is not None
    return accepting, beginning


class _Scene:
    """A side whose peer is a stream of ours."""

    def __init__(self, both: tuple[Credentials, Credentials], *, is_frontend: bool = True) -> None:
        self.socket, self.relay = _Socket(is_frontend=is_frontend), _Relay()
        self.peer = TlsStream(both[1], accepts=False)
        raw = cast("RawSide", self.socket)
        self.side = TlsSide(self.relay, raw, TlsStream(both[0], accepts=True))

    def shake_hands(self) -> _Scene:
        """Carry bytes until both ends are content."""
        self.peer.begin()
        while not (self.peer.is_established and self.side.stream.is_established):
            self.side.received(self.peer.take_outgoing())
            self.peer.feed(self.socket.take())
        return self


@pytest.mark.parametrize(("is_frontend", "who"), [(True, "frontend"), (False, "backend")])
def test_what_comes_through_tls_is_told(
    both: tuple[Credentials, Credentials], who: str, *, is_frontend: bool
) -> None:
    """As one chunk for all the records in it, and after the handshake only."""
    scene = _Scene(both, is_frontend=is_frontend).shake_hands()

    scene.side.received(scene.peer.encrypt(b"a") + scene.peer.encrypt(b"b"))

    assert scene.relay.happened == ["established", (who, b"ab")]


def test_data_in_the_last_bytes_of_the_handshake_is_not_lost(
    both: tuple[Credentials, Credentials],
) -> None:
    """With TLS 1.3 a frontend's start-up comes with its Finished."""
    scene = _Scene(both)
    scene.peer.begin()
    scene.side.received(scene.peer.take_outgoing())
    scene.peer.feed(scene.socket.take())

    scene.side.received(scene.peer.take_outgoing() + scene.peer.encrypt(b"start-up"))

    assert scene.relay.happened == ["established", ("frontend", b"start-up")]


def test_what_came_before_is_taken_first(both: tuple[Credentials, Credentials]) -> None:
    """Direct TLS: the session has read the beginning of the handshake already."""
    scene = _Scene(both)
    scene.peer.begin()
    hello = scene.peer.take_outgoing()
    scene.side.stream.hold(hello[:10])

    scene.side.received(hello[10:])
    scene.side.received(b"")

    scene.peer.feed(scene.socket.take())
    assert scene.peer.is_established


def test_nothing_is_written_before_the_handshake_is_over(
    both: tuple[Credentials, Credentials],
) -> None:
    """An error that cannot be told yet is not told in the clear."""
    scene = _Scene(both)

    scene.side.write(b"FATAL")
    scene.side.close()

    assert (scene.socket.sent, scene.socket.told) == (b"", ["reports", "close"])


def test_what_is_written_is_heard_and_so_is_the_end(
    both: tuple[Credentials, Credentials],
) -> None:
    """The last bytes, then the word that they were the last; once."""
    scene = _Scene(both).shake_hands()

    scene.side.write(b"x" * 100_000)
    scene.side.write(b"")
    scene.side.close()
    scene.side.close()

    assert scene.peer.feed(scene.socket.take()) == b"x" * 100_000
    assert scene.peer.is_ended


def test_the_end_that_the_peer_tells_closes(both: tuple[Credentials, Credentials]) -> None:
    """What came before it is told first."""
    scene = _Scene(both).shake_hands()

    scene.side.received(scene.peer.encrypt(b"last") + scene.peer.end())

    assert scene.relay.happened[-1] == ("frontend", b"last")
    assert scene.socket.told[-1] == "abort"


def test_broken_bytes_are_told_once_and_answered_by_an_alert(
    both: tuple[Credentials, Credentials],
) -> None:
    """Whatever follows is not looked at, and nothing more is written."""
    scene = _Scene(both).shake_hands()

    scene.side.received(b"\x17\x03\x03\x00\x20" + bytes(32))
    alert = scene.socket.take()
    scene.side.received(scene.peer.encrypt(b"more"))
    scene.side.write(b"answer")
    scene.side.close()

    assert [one[0] for one in scene.relay.happened[1:]] == ["broken"]  # type: ignore[index]
    assert alert[:1] in {b"\x15", b"\x17"}
    assert scene.socket.sent == b""


def test_a_socket_that_is_closing_tells_nothing(both: tuple[Credentials, Credentials]) -> None:
    """As without TLS: who was told to go is no longer heard."""
    scene = _Scene(both).shake_hands()
    scene.side.close()

    scene.side.received(scene.peer.encrypt(b"more"))

    assert scene.relay.happened == ["established"]


def test_pressure_and_loss_are_the_sockets(both: tuple[Credentials, Credentials]) -> None:
    """TLS holds nothing back itself."""
    scene = _Scene(both)
    raw = cast("RawSide", scene.socket)

    scene.side.congested(raw, is_congested=True)
    scene.side.read(wanted=False)
    scene.side.lost(raw)

    assert scene.relay.happened == [("congested", True), "lost"]
    assert scene.socket.told == ["reports", "stop"]
    assert scene.side.is_open
