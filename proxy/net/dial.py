"""Connections to the database."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.settings.address import Address


async def dial(address: Address) -> socket.socket:
    """Return a connected, non-blocking socket; the first address of the name that answers.

    Errors: OSError, that of the last address tried; ``socket.gaierror`` for an unknown name.
    """
    loop = asyncio.get_running_loop()
    failed: OSError = OSError("the name has no address")
    for family, target in await _targets(address):
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setblocking(False)
        try:
            await loop.sock_connect(one, target)
        except OSError as error:
            one.close()
            failed = error
        except BaseException:
            one.close()
            raise
        else:
            return one
    raise failed


async def _targets(address: Address) -> list[tuple[int, tuple[str, int]]]:
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        )
        return [(family, (str(name[0]), int(name[1]))) for family, _, _, _, name in found]
    family = socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - of IP
    return [(family, (address.host, address.port))]
