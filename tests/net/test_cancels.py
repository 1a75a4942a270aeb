"""CancelRequests: whose key means what, and that we wait until a cancel can hit nothing else."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from proxy.demo.postgres import HOST, free_port
from proxy.net import cancels
from proxy.net.cancels import CancelKeys, send_cancel
from proxy.net.dial import Dial
from proxy.settings.address import Address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

THEIRS = b"their secret"


OWNER = object()


def test_a_key_that_was_given_out_is_found() -> None:
    """It stands for the backend's own."""
    keys: CancelKeys[object] = CancelKeys()
    keys.register(7, b"ours", THEIRS, OWNER)

    assert keys.find(7, b"ours") == ((7, THEIRS), OWNER)


@pytest.mark.parametrize(
    ("process_id", "secret"), [(7, b"wrong"), (7, b""), (7, THEIRS), (8, b"ours"), (7, b"ours\0")]
)
def test_any_other_key_is_none(process_id: int, secret: bytes) -> None:
    """Not even the backend's own secret, which no frontend has been told."""
    keys: CancelKeys[object] = CancelKeys()
    keys.register(7, b"ours", THEIRS, OWNER)

    assert keys.find(process_id, secret) is None


def test_one_process_id_may_stand_for_two_sessions() -> None:
    """Two upstream processes may have one number in turn: each key ends with its own session."""
    keys: CancelKeys[object] = CancelKeys()
    keys.register(7, b"first", b"a", OWNER)
    keys.register(7, b"second", b"b", OWNER)
    keys.forget(7, b"first")

    assert (keys.find(7, b"first"), keys.find(7, b"second")) == (None, ((7, b"b"), OWNER))


def test_nothing_is_kept_of_sessions_that_are_over() -> None:
    """Forgetting is complete, and twice is once."""
    keys: CancelKeys[object] = CancelKeys()
    for number in range(100):
        keys.register(number, b"ours", THEIRS, OWNER)
    for number in range(100):
        keys.forget(number, b"ours")
        keys.forget(number, b"ours")

    assert keys._keys == {}


async def answered(
    play: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> tuple[asyncio.Server, Address]:
    upstream = await asyncio.start_server(play, HOST, 0)
    return upstream, Address(HOST, upstream.sockets[0].getsockname()[1])


async def test_it_waits_until_the_backend_has_closed() -> None:
    """Until then the cancel may hit the next statement."""
    received = asyncio.get_running_loop().create_future()
    let_go = asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.readexactly(8 + 4 + len(THEIRS)))
        await let_go.wait()
        writer.close()

    upstream, address = await answered(play)
    async with upstream:
        sending = asyncio.ensure_future(send_cancel(Dial(address), (7, THEIRS)))
        request = await received
        waits = not sending.done()
        let_go.set()
        await sending

    assert request == b"\0\0\0\x18\x04\xd2\x16\x2e\0\0\0\7" + THEIRS
    assert waits


async def test_a_backend_that_never_closes_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A deadline ends the waiting, with a line in the log."""
    monkeypatch.setattr(cancels, "_SECONDS", 0.05)
    let_go = asyncio.Event()

    async def play(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await let_go.wait()
        writer.close()

    upstream, address = await answered(play)
    async with upstream:
        with caplog.at_level(logging.WARNING):
            await send_cancel(Dial(address), (7, THEIRS))
        let_go.set()

    assert caplog.messages == ["a CancelRequest did not reach the database: TimeoutError"]


async def test_a_backend_that_is_not_there_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No error for the caller: its session goes on."""
    with caplog.at_level(logging.WARNING):
        await send_cancel(Dial(Address(HOST, free_port())), (7, THEIRS))

    assert caplog.messages == ["a CancelRequest did not reach the database: ConnectionRefusedError"]
