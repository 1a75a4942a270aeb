"""Whether the databases can be reached, and what is said about it."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from proxy.demo.postgres import HOST, free_port
from proxy.net import upstreams as module
from proxy.net.dial import Dial
from proxy.net.upstreams import Upstreams
from proxy.settings.address import Address

if TYPE_CHECKING:
    import pytest


async def test_the_upstream_is_watched() -> None:
    """Not reached yet, reached, refused: as readiness says it."""
    with socket.create_server((HOST, 0)) as listener:
        upstreams = Upstreams({"": Address(HOST, listener.getsockname()[1])})
        at_first = upstreams.readiness()
        await upstreams.try_one("")
        reached = upstreams.readiness()
    await upstreams.try_one("")

    assert at_first == ["the database was not reached yet"]
    assert reached == []
    assert upstreams.readiness()[0].startswith("the database cannot be reached: ")


async def test_an_upstream_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline ends each try."""

    async def never(*_arguments: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Dial, "open", never)
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.01)
    upstreams = Upstreams({"": Address(HOST, 1)})
    await upstreams.try_one("")

    assert upstreams.readiness() == ["the database does not answer"]


async def test_one_of_several_is_enough_to_be_ready() -> None:
    """What is lost is told all the same, by its name."""
    with socket.create_server((HOST, 0)) as listener:
        there = Address(HOST, listener.getsockname()[1])
        upstreams = Upstreams({"": there, "gone:1": Address(HOST, free_port())})
        await upstreams.try_one("")
        await upstreams.try_one("gone:1")

    assert upstreams.readiness() == []
    assert [one.partition(": ")[0] for one in upstreams.lost()] == [
        "the database at gone:1 cannot be reached"
    ]
