"""The section ``upstreams``: databases elsewhere, and which sessions go there."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from proxy.settings.address import Address, parse_address
from proxy.settings.settings import Upstream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.settings.settings import UpstreamData
    from proxy.settings.tls_settings import Complain

T = TypeVar("T")
_Location = tuple[str | int, ...]


def read_upstreams(
    data: Sequence[UpstreamData], listen: Sequence[Address], complain: Complain
) -> tuple[Upstream, ...]:
    """Return them in order; what is wrong, or would never be used, goes to ``complain``."""
    found: list[Upstream] = []
    for index, one in enumerate(data):
        at = ("upstreams", index)
        names = None if one.databases is None else frozenset(one.databases)
        came_by = None if one.listen is None else _listeners(one.listen, listen, at, complain)
        if names is None and came_by is None:
            complain(at, "takes every session, expected databases or listen")
        for earlier in found:
            if _covers(earlier.databases, names) and _covers(earlier.listen, came_by):
                complain(at, f"takes no session that {earlier.address} has not taken")
        address = read_database(one.address, (*at, "address"), complain)
        found.append(Upstream(address, names, came_by))
    return tuple(found)


def read_database(text: str, location: _Location, complain: Complain) -> Address:
    """Return the address of a database; what is wrong with it goes to ``complain``."""
    try:
        found = parse_address(text)
    except ValueError as error:
        complain(location, str(error))
        return Address("", 1)
    if found.port == 0 and not found.path:
        complain(location, "port 0, expected the database's own")
    return found


def _listeners(
    texts: Sequence[str], listen: Sequence[Address], at: _Location, complain: Complain
) -> frozenset[Address]:
    found = set()
    for index, text in enumerate(texts):
        location = (*at, "listen", index)
        try:
            one = parse_address(text)
        except ValueError as error:
            complain(location, str(error))
            continue
        if one not in listen:
            expected = ", ".join(map(str, listen))
            complain(location, f"nobody listens on {one}, expected one of {expected}")
        found.add(one)
    return frozenset(found)


def _covers(wide: frozenset[T] | None, narrow: frozenset[T] | None) -> bool:
    """Whether one set, None being all, holds another."""
    return wide is None or (narrow is not None and narrow <= wide)
