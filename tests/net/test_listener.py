"""Addresses: Unix sockets are as open as they shall be, replaced when abandoned, and removed."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from proxy.net.listener import CannotListenError, Listener
from proxy.settings.address import Address

if TYPE_CHECKING:
    from pathlib import Path


def listening(path: Path, mode: int = 0o660) -> Listener:
    return Listener(
        Address("", 0, str(path)), lambda one: one.close(), option="--listen", mode=mode
    )


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o777])
async def test_the_mode_is_what_was_asked_for(mode: int, tmp_path: Path) -> None:
    """Whatever the umask; and never more at any time."""
    before = os.umask(0o077)
    try:
        listener = listening(tmp_path / "s", mode)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode
    assert (listener.shown, listener.addresses) == ([str(tmp_path / "s")], [])
    listener.close()
    assert not (tmp_path / "s").exists()


async def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    """One that was left behind by a crash keeps nobody from starting."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    listener = listening(path)

    with socket.socket(socket.AF_UNIX) as frontend:
        frontend.connect(str(path))
    listener.close()


async def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    """Two at one path would take each other's frontends."""
    first = listening(tmp_path / "s")

    with pytest.raises(CannotListenError, match="address already in use"):
        listening(tmp_path / "s")

    assert (tmp_path / "s").is_socket()
    first.close()


@pytest.mark.parametrize("name", ["file", "none/s"])
async def test_a_path_that_cannot_be_had_is_told(name: str, tmp_path: Path) -> None:
    """A file is not replaced, and a folder not made."""
    (tmp_path / "file").write_text("kept")

    with pytest.raises(CannotListenError, match="cannot listen on"):
        listening(tmp_path / name)

    assert (tmp_path / "file").read_text() == "kept"


async def test_the_socket_of_another_is_not_removed(tmp_path: Path) -> None:
    """Who has put his own in its place keeps it."""
    path = tmp_path / "s"
    first = listening(path)
    path.unlink()
    second = listening(path)

    first.close()

    assert path.is_socket()
    second.close()
    assert not path.exists()


async def test_both_versions_of_ip() -> None:
    """An address of version 6 takes no version 4 beside it."""
    listener = Listener(Address("::1", 0), lambda one: one.close(), option="--listen")
    ((host, port),) = listener.addresses

    assert host == "::1"
    with socket.create_connection(("::1", port)):
        pass
    listener.close()
