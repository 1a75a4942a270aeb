"""Port and Teller: what the lane passes goes from socket to socket; all else is told."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

import pytest

from proxy import accel
from proxy.terms.facts import Kind, StatementFacts
from tests.kernels import COMPILED
from tests.messages import backend_message, frontend_message

if TYPE_CHECKING:
    from collections.abc import Iterator

if COMPILED is None:
    pytest.skip("no compiled kernel in this environment", allow_module_level=True)

ASKED = frontend_message('Query "select 1"')
HEAD = backend_message("RowDescription a")
END = backend_message("CommandComplete x") + backend_message("ReadyForQuery I")
ROW = backend_message("DataRow " + "x" * 1000)


class Side:
    """Stands for a RawSide: one end of a connection, and what it was told."""

    def __init__(self, *, is_frontend: bool) -> None:
        self.own, self.peer = socket.socketpair()
        self.own.setblocking(False)
        self.told: list[bytes] = []
        self.written = b""
        self.wakes = 0
        self.port = COMPILED.Port(self.own.fileno(), self, is_frontend=is_frontend)
        self.port.takes = True

    def received(self, chunk: bytes) -> None:
        """Keep what the lane has not passed."""
        self.told.append(chunk)

    def write(self, data: bytes) -> None:
        """Keep what the socket has not taken."""
        self.port.takes = False
        self.written += data

    def woken(self) -> None:
        """Count."""
        self.wakes += 1


class Pair:
    """A frontend and a backend with a lane that knows one query."""

    def __init__(self) -> None:
        self.frontend, self.backend = Side(is_frontend=True), Side(is_frontend=False)
        self.counts = COMPILED.LaneCounts()
        self.lane = COMPILED.LaneState(
            self.counts, lambda _name: None, lambda _known, _status: None
        )
        facts = StatementFacts(Kind.SELECT, returns_rows=True)
        self.lane.book = {self.lane.key_of(ASKED): COMPILED.Known(facts, 0, HEAD)}
        self.lane.is_open, self.lane.epoch, self.lane.valid_until = True, 0, float("inf")
        self.lane.status = ord("I")
        self.frontend.port.link(self.backend.port, self.lane)
        self.backend.port.link(self.frontend.port, self.lane)
        self.epoll = select.epoll()
        watched = {}
        for side in (self.frontend, self.backend):
            self.epoll.register(side.own.fileno(), select.EPOLLIN)
            watched[side.own.fileno()] = side.port
        self.tell = COMPILED.Teller(self.epoll.fileno(), watched)

    def close(self) -> None:
        """Close all sockets."""
        self.epoll.close()
        for side in (self.frontend, self.backend):
            side.own.close()
            side.peer.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    found = Pair()
    yield found
    found.close()


def test_a_known_query_and_its_answer_go_through(pair: Pair) -> None:
    """Nobody is told; both are counted."""
    pair.frontend.peer.send(ASKED)
    pair.tell()
    assert pair.backend.peer.recv(9999) == ASKED
    pair.backend.peer.send(HEAD + ROW + END)
    pair.tell()

    assert pair.frontend.peer.recv(9999) == HEAD + ROW + END
    assert pair.frontend.told == pair.backend.told == []
    assert (sum(pair.counts.rows), sum(pair.counts.statements)) == (1, 1)


def test_anything_else_is_told(pair: Pair) -> None:
    """What the lane does not know, an answer that nobody asked for, an end, an error."""
    pair.frontend.peer.send(ASKED[:-1])
    pair.backend.peer.send(HEAD)
    pair.tell()
    pair.backend.peer.close()
    pair.tell()

    assert pair.frontend.told == [ASKED[:-1]]
    assert pair.backend.told == [HEAD]
    assert pair.backend.wakes == 8  # level-triggered: it is told until it stops to watch


def test_what_a_peer_does_not_take_is_kept_in_order(pair: Pair) -> None:
    """The rest of an answer is the side's to send, and so is what comes after it."""
    answer = HEAD + ROW * 150 + END
    pair.frontend.own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    pair.frontend.peer.send(ASKED)
    pair.tell()
    pair.backend.peer.send(answer)
    pair.tell()

    taken = pair.frontend.peer.recv(1 << 20)
    while len(taken) + len(pair.frontend.written) < len(answer):
        taken += pair.frontend.peer.recv(1 << 20)
    assert 0 < len(pair.frontend.written) < len(answer)
    assert taken + pair.frontend.written == answer

    pair.frontend.peer.send(ASKED)
    pair.tell()
    pair.backend.peer.send(HEAD + END)
    pair.tell()

    assert pair.backend.told == [HEAD + END]


def test_a_side_that_is_let_go_sends_nothing(pair: Pair) -> None:
    """Its number may be another file's by now."""
    pair.backend.port.takes = False
    pair.frontend.peer.send(ASKED)
    pair.tell()
    pair.frontend.port.link(None, None)
    pair.frontend.peer.send(ASKED)
    pair.tell()

    assert pair.frontend.told == [ASKED, ASKED]
    assert not pair.lane.is_under_way


def test_the_kernel_in_use_is_this_one() -> None:
    """Where it is there and nobody has asked for another."""
    assert (accel.Port is COMPILED.Port) is (accel.IMPLEMENTATION == "compiled")
