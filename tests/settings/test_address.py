"""Addresses as everybody writes them."""

from __future__ import annotations

import pytest

from proxy.settings import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:6432", Address("127.0.0.1", 6432)),
        ("db.internal:5432", Address("db.internal", 5432)),
        ("[::1]:6432", Address("::1", 6432)),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    """A host and a port; the brackets of IPv6 are no part of the host."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("6432", "'6432' is no address, expected host:port or [::1]:port"),
        (":6432", "':6432' is no address, expected host:port or [::1]:port"),
        ("::1:6432", "'::1:6432' is no address, expected host:port or [::1]:port"),
        ("host:", "'host:' is no address, expected host:port or [::1]:port"),
        ("host:pg", "'host:pg' is no address, expected host:port or [::1]:port"),
        ("a b:1", "'a b:1' is no address, expected host:port or [::1]:port"),
        ("host:70000", "port 70000 of 'host:70000' is above 65535"),
    ],
)
def test_what_is_no_address(text: str, problem: str) -> None:
    """What is not host:port is refused, and said."""
    with pytest.raises(ValueError, match=r"expected|above") as caught:
        parse_address(text)

    assert str(caught.value) == problem
