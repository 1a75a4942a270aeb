"""Addresses as everybody writes them."""

from __future__ import annotations

import pytest

from proxy.settings import Address, parse_address
from proxy.settings.address import LONGEST_PATH_BYTES


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6432", Address("127.0.0.1", 6432)),
        ("db.internal:5432", Address("db.internal", 5432)),
        ("[::1]:6432", Address("::1", 6432)),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
        ("localhost:0", Address("localhost", 0)),
        ("unix:/run/vigie/s", Address("", 0, "/run/vigie/s")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    """A host and a port, the brackets of IPv6 no part of the host; or the path of a socket."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "6432",
            "'6432' is no address, expected host:port or unix:/path",
        ),
        (
            ":6432",
            "':6432' is no address, expected host:port or unix:/path",
        ),
        (
            "::1:6432",
            "'::1:6432' is no address, expected host:port or unix:/path",
        ),
        (
            "host:",
            "'host:' is no address, expected host:port or unix:/path",
        ),
        (
            "host:pg",
            "'host:pg' is no address, expected host:port or unix:/path",
        ),
        (
            "a b:1",
            "'a b:1' is no address, expected host:port or unix:/path",
        ),
        ("/run/vigie", "'/run/vigie' is a folder without a port, expected /folder:port"),
        ("unix:run/s", "'unix:run/s' is no Unix socket, expected unix:/path"),
        ("unix:/run/", "'unix:/run/' is no Unix socket, expected unix:/path"),
        ("host:70000", "port 70000 of 'host:70000' is above 65535"),
    ],
)
def test_what_is_no_address(text: str, problem: str) -> None:
    """What is not host:port is refused, and said."""
    with pytest.raises(ValueError, match=r"expected|above") as caught:
        parse_address(text)

    assert str(caught.value) == problem


@pytest.mark.parametrize("folder", ["/run/vigie", "/run/vigie/"])
def test_a_folder_with_a_port_is_the_socket_of_that_port(folder: str) -> None:
    """As libpq names it: host is the folder, and the port is in the name."""
    assert parse_address(f"{folder}:6432") == Address("", 0, "/run/vigie/.s.PGSQL.6432")


def test_the_path_of_a_socket_is_bounded() -> None:
    """Linux takes 107 bytes; a longer one is told here and not by bind."""
    longest = "unix:/" + "a" * (LONGEST_PATH_BYTES - 1)

    assert len(parse_address(longest).path) == LONGEST_PATH_BYTES
    with pytest.raises(ValueError, match="has 108 bytes, a Unix socket 107 at most"):
        parse_address(longest + "a")
