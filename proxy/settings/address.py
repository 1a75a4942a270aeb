"""``host:port``, as everybody writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_MAX_PORT: Final = 65535
_FORM: Final = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:\s/]+)):(?P<port>\d{1,5})"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address; ``host`` without the brackets of IPv6."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address of ``host:port`` or ``[::1]:port``; port 0 stands for any free one.

    Errors: ValueError that says what was expected.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no address, expected host:port or [::1]:port")
    port = int(found["port"])
    if port > _MAX_PORT:
        raise ValueError(f"port {port} of '{text}' is above {_MAX_PORT}")
    return Address(found["six"] or found["host"], port)
