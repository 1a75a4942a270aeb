"""What systemd is told, by the socket that it gives."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from proxy.net.notify import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def systemd(name: str) -> Iterator[socket.socket]:
    """Listen as systemd does; ``name`` as in NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        own.bind("\0" + name[1:] if name.startswith("@") else name)
        own.settimeout(10)
        yield own


@pytest.mark.parametrize("abstract", [False, True])
def test_it_tells_systemd(tmp_path: Path, abstract: bool) -> None:
    """One datagram of lines, to a socket in a folder or in the abstract name space."""
    name = f"@vigie-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with systemd(name) as own:
        Notifier({"NOTIFY_SOCKET": name}).tell(ready=1, status="policy x")

        assert own.recv(1024) == b"READY=1\nSTATUS=policy x"


def test_without_systemd_nothing_happens() -> None:
    """No socket is named: nothing is sent, and nothing goes wrong."""
    Notifier({}).tell(ready=1)


def test_a_systemd_that_is_gone_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Vigie goes on."""
    with caplog.at_level(logging.WARNING):
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).tell(ready=1)

    assert caplog.messages == ["systemd could not be told 'READY=1': No such file or directory"]


async def test_signs_of_life_come_as_long_as_the_loop_runs(tmp_path: Path) -> None:
    """Twice as often as systemd wants them."""
    name = str(tmp_path / "notify")
    with systemd(name) as own:
        environ = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "20000"}
        living = asyncio.ensure_future(Notifier(environ).stay_alive())
        signs = [await asyncio.to_thread(own.recv, 1024) for _ in range(3)]
        living.cancel()

    assert signs == [b"WATCHDOG=1"] * 3


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "much"}, {"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}]
)
async def test_signs_of_life_are_sent_only_if_they_are_wanted_of_us(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """None is wanted, or of another process."""
    await Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), **environ}).stay_alive()
